"""Two sources of frames become one, frame by frame."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from tickwire.hdl.phy.xgmii import LANES
from tickwire.hdl.stream.packet import packet_stream

__all__ = ["FrameMerge"]


class FrameMerge(wiring.Component):
    """Offers frames of two sources in turn, as long as both have some.

    The choice stands from the offer of a frame to its last beat. Between frames it rests with
    ``i_first``, whose way is a plain wire; the other source waits for a cycle.

    Latency: ``i_first`` → ``o`` 0 cycles; ``i_second`` → ``o`` 1 cycle for a frame's first beat,
    0 for the others; in the other direction 0.

    Members
    -------
    i_first, i_second : In, packet_stream(8)
    o : Out, packet_stream(8)
    """

    i_first: In(packet_stream(LANES))
    i_second: In(packet_stream(LANES))
    o: Out(packet_stream(LANES))

    def elaborate(self, platform):
        m = Module()
        first, second = self.i_first, self.i_second
        chosen = Signal()           # the second one
        inside = Signal()           # a frame was offered, and its last beat not yet taken
        m.d.comb += [
            self.o.payload.eq(Mux(chosen, second.payload, first.payload)),
            self.o.valid.eq(Mux(chosen, second.valid, first.valid)),
            first.ready.eq(self.o.ready & ~chosen),
            second.ready.eq(self.o.ready & chosen),
        ]
        ends = self.o.valid & self.o.ready & self.o.payload.last
        with m.If(ends):
            # After the first one's frame it is the second one's turn, if that has one.
            m.d.sync += [inside.eq(0), chosen.eq(~chosen & second.valid)]
        with m.Elif(self.o.valid):
            m.d.sync += inside.eq(1)
        with m.Elif(~inside):
            m.d.sync += chosen.eq(second.valid & ~chosen)
        return m
