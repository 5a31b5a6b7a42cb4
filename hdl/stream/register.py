"""A register between two rooms on a packet stream."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from tickwire.hdl.stream.packet import packet_stream

__all__ = ["PacketRegister"]


class PacketRegister(wiring.Component):
    """Takes a beat before anybody behind it looks for one.

    So ``i`` shows ready while nothing is offered, even if the room behind ``o`` is ready only for a
    beat that it sees.

    Latency: beat accepted → offered 1 cycle; then a beat a cycle.

    Parameters
    ----------
    lanes : int
        Bytes in a beat.

    Members
    -------
    i : In, packet_stream(lanes)
    o : Out, packet_stream(lanes)
    """

    def __init__(self, lanes):
        super().__init__({"i": In(packet_stream(lanes)), "o": Out(packet_stream(lanes))})

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.i.ready.eq(~self.o.valid | self.o.ready)
        with m.If(self.i.ready):
            m.d.sync += [self.o.valid.eq(self.i.valid), self.o.payload.eq(self.i.payload)]
        return m
