"""Time for the protocols of the network edge."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["EdgeTicks"]

_TICKS_IN_SECOND = 10


class EdgeTicks(wiring.Component):
    """Strobes every 100 ms and every second.

    The period can be set at run time, since a simulated gateway's time runs slower than that of
    the kernel it talks to.

    Latency: from one ``o_tick`` to the next ``i_period`` cycles; the tenth comes with
    ``o_second``.

    Members
    -------
    i_period : In, 32 bits
        Cycles in 100 ms; 0: no ticks.
    i_skip : In, 64 bits
        Cycles that the clocks leap over, for simulations; one tick at most comes of a leap.
    o_tick, o_second : Out, 1 bit
    """

    i_period: In(32)
    i_skip: In(64)
    o_tick: Out(1)
    o_second: Out(1)

    def elaborate(self, platform):
        m = Module()
        elapsed = Signal(32)
        ticks = Signal(range(_TICKS_IN_SECOND))
        after = elapsed + 1 + self.i_skip
        ends = after >= self.i_period       # a period that was made shorter ends at once
        last = ticks == _TICKS_IN_SECOND - 1
        m.d.sync += [self.o_tick.eq(0), self.o_second.eq(0)]
        with m.If((self.i_period == 0) | ends):
            m.d.sync += elapsed.eq(0)
        with m.Else():
            m.d.sync += elapsed.eq(after)
        with m.If((self.i_period != 0) & ends):
            m.d.sync += [self.o_tick.eq(1), self.o_second.eq(last)]
            with m.If(last):
                m.d.sync += ticks.eq(0)
            with m.Else():
                m.d.sync += ticks.eq(ticks + 1)
        return m
