"""The time at which a pulse-per-second input rose."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

__all__ = ["PulseStamp", "STAGES"]

STAGES = 2          # of the synchroniser, and cycles by which a stamp is late


class PulseStamp(wiring.Component):
    """Keeps the time of the last rising edge of a pin, and counts the edges.

    The pin is asynchronous and goes through two flip-flops. The cycle of an edge is the one at
    whose end the first of them takes it; an edge too close to that end may count as one of the
    next cycle. A level shorter than a cycle may be missed.

    Latency: the edge shows in ``o_time`` and ``o_count`` 3 cycles after its cycle, and the time
    is that of 2 cycles after it.

    Members
    -------
    i : 1 bit
        The pin, asynchronous, idle low.
    i_time : 64 bits
        Time in ns.
    o_time : 64 bits
        ``i_time`` 2 cycles after that of the last edge; 0 before the first.
    o_count : 32 bits
        Edges since reset, modulo 2**32.
    """

    i: In(1)
    i_time: In(64)
    o_time: Out(64)
    o_count: Out(32)

    def elaborate(self, platform):
        m = Module()
        level = Signal()
        before = Signal()
        m.submodules.synchroniser = FFSynchronizer(self.i, level, stages=STAGES)
        m.d.sync += before.eq(level)
        with m.If(level & ~before):
            m.d.sync += [
                self.o_time.eq(self.i_time),
                self.o_count.eq(self.o_count + 1),
            ]
        return m
