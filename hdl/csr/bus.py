"""The bus by which a host reaches the register bank."""

from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["CsrBus"]


class CsrBus(wiring.Signature):
    """32-bit accesses to BAR 0, one at a time; seen from the side that asks.

    ``read`` or ``write`` is high for one cycle, with ``address`` (and ``write_data``) beside it.
    After at least one cycle ``acknowledge`` is high for one cycle, with ``read_data`` beside it;
    only after that the next access may begin. Every access is acknowledged, one to an unmapped
    address too: nobody can hang the bus.

    Members
    -------
    address : 14 bits
        Number of the 32-bit word in the BAR: byte offset / 4.
    read, write : 1 bit
        Strobes; never both.
    write_data, read_data : 32 bits
        Data; each is defined only in the cycle of its strobe.
    acknowledge : 1 bit
        The access is over.
    """

    def __init__(self):
        super().__init__({
            "address": Out(14),
            "read": Out(1),
            "write": Out(1),
            "write_data": Out(32),
            "read_data": In(32),
            "acknowledge": In(1),
        })

    def __eq__(self, other):
        return isinstance(other, CsrBus)
