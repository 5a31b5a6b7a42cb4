"""One's-complement sums (RFC 1071), in lane order: the byte that leaves first is the lower one."""

from amaranth.hdl import Mux

__all__ = ["fold", "words"]


def words(value):
    """16-bit words of a value that is in lane order, or whose words are."""
    return [value[at:at + 16] for at in range(0, len(value), 16)]


def fold(value):
    """A sum of words, with its carries, as the 16 bits of the same one's-complement number.

    Both possible results are there before the carry is, which then only selects.

    Parameters
    ----------
    value : Value
        17 to 31 bits.
    """
    low, high = value[:16], value[16:]
    plain = (low + high)[:17]
    return Mux(plain[16], (low + high + 1)[:16], plain[:16])
