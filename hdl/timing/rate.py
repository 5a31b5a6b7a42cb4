"""The length of a cycle as the nanosecond clock counts it.

No Amaranth here: gateware, host and tests read the same numbers.
"""

__all__ = ["FRACTION_BITS", "INCREMENT_BITS", "increment_per_cycle"]

#: Bits below the nanosecond. One unit more in each cycle of 6.4 ns is 0.0364 ppb.
FRACTION_BITS = 32
INCREMENT_BITS = 8 + FRACTION_BITS


def increment_per_cycle(hz):
    """Nanoseconds of one cycle at ``hz`` Hz, in units of 2**-32 ns, to the nearest.

    Raises
    ------
    ValueError
        If a cycle is 256 ns or longer, or too short to count.
    """
    increment = round((10 ** 9 << FRACTION_BITS) / hz) if hz > 0 else 0
    if not 0 < increment < 1 << INCREMENT_BITS:
        raise ValueError(f"A nanosecond clock must run at more than 3,906,250 Hz, not {hz!r}")
    return increment
