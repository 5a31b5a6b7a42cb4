"""The Ethernet CRC as XOR equations, for any number of bytes at once."""

from functools import cache, reduce
from operator import xor

from amaranth.hdl import Cat, Const

__all__ = ["INITIAL", "advance", "crc_step", "state_before_zeros", "residue"]

# IEEE 802.3-2022, 3.2.9: x^32 + x^26 + … + 1. Octets travel least significant bit first, so the
# register is kept reflected and shifts to the right.
_POLYNOMIAL = 0xedb88320

INITIAL = 0xffff_ffff


def advance(state, octets):
    """The register (32 bits, reflected, not complemented) after ``octets``, in plain Python."""
    for octet in octets:
        state ^= octet
        for _ in range(8):
            state = state >> 1 ^ (_POLYNOMIAL if state & 1 else 0)
    return state


@cache
def _columns(octets):
    """What each state bit, then each data bit, adds to the register after ``octets`` bytes."""
    zeros = bytes(octets)
    by_state = [advance(1 << bit, zeros) for bit in range(32)]
    by_data = [advance(0, (1 << bit).to_bytes(octets, "little")) for bit in range(8 * octets)]
    return by_state, by_data


def crc_step(state, data, octets, rows=range(32), keep=None):
    """The register after the first ``octets`` bytes of ``data``.

    Parameters
    ----------
    state : Value, 32 bits
        Register before, reflected, not complemented.
    data : Value
        Byte 0 in the least significant bits; bytes from ``octets`` on are not looked at.
    octets : int
        At least 0.
    rows : range
        Which bits of the register are wanted.
    keep : sequence of Value, 1 bit
        For each byte: 0 takes it for zero. Applied to sums, so that it may come late.

    Returns
    -------
    Value
        The wanted bits, lowest first. Combinational, one XOR tree a bit.
    """
    by_state, by_data = _columns(octets)
    bits = []
    for row in rows:
        terms = [state[bit] for bit in range(32) if by_state[bit] >> row & 1]
        for octet in range(octets):
            part = [data[bit] for bit in range(8 * octet, 8 * octet + 8) if by_data[bit] >> row & 1]
            if keep is None:
                terms += part
            elif part:
                terms.append(Cat(part).xor() & keep[octet])
        bits.append(Cat(terms).xor() if terms else Const(0, 1))
    return Cat(bits)


@cache
def _inverse_rows(octets):
    """For each bit of the register: which bits of the one ``octets`` zero bytes later it sums."""
    # Shifting back is linear too: undo one zero bit at a time, for each unit vector.
    def back(state):
        for _ in range(8 * octets):
            top = state >> 31
            state = ((state ^ (_POLYNOMIAL if top else 0)) << 1 | top) & 0xffff_ffff
        return state
    columns = [back(1 << bit) for bit in range(32)]
    return [sum((columns[bit] >> row & 1) << bit for bit in range(32)) for row in range(32)]


def state_before_zeros(state, octets):
    """The register as it was before ``octets`` zero bytes went through it.

    Parameters
    ----------
    state : Value of 32 bits, or int
        Register after the zero bytes.

    Returns
    -------
    Value of 32 bits, or int
        Of the same kind as ``state``. Combinational.
    """
    rows = _inverse_rows(octets)
    if isinstance(state, int):
        return sum(((state & row).bit_count() & 1) << bit for bit, row in enumerate(rows))
    return Cat(reduce(xor, [state[bit] for bit in range(32) if row >> bit & 1]) for row in rows)


def residue(zeros):
    """The register after a frame with a good FCS and ``zeros`` zero bytes behind it.

    Without zeros this is 0xDEBB20E3, as for any CRC-32 that is sent complemented.
    """
    return advance(0xdebb20e3, bytes(zeros))
