"""Bytes as they come on the wire, and the numbers that they are."""

from amaranth.hdl import Cat

__all__ = ["number"]


def number(octets):
    """A number whose first byte on the wire is its highest (RFC 791, appendix B).

    Parameters
    ----------
    octets : Value
        8 × n bits, the byte that came first lowest.
    """
    return Cat(octets[at:at + 8] for at in reversed(range(0, len(octets), 8)))
