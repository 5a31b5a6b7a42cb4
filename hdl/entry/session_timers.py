"""When a venue's session has to say something, and when it has not heard anything for too long."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["SessionTimers"]


class SessionTimers(wiring.Component):
    """Counts ticks since something was sent, and since something was received.

    A tick that comes with what is sent or received counts as before it. As events fall between
    ticks, a period of n ticks is over after more than n - 1 and at most n tick periods.

    Latency: the tick with which a period is over → ``o_due``, ``o_silent`` 1 cycle; ``i_sent``,
    ``i_received`` → low again 1 cycle.

    Members
    -------
    i_run : In, 1 bit
        While it is low, nothing is due and nobody is silent.
    i_tick, i_sent, i_received : In, 1 bit
    i_heartbeat, i_silence : In, 16 bits
        Periods in ticks; 0: for ever.
    o_due : Out, 1 bit
        Nothing was sent for so long.
    o_silent : Out, 1 bit
        Nothing was received for so long.
    """

    i_run: In(1)
    i_tick: In(1)
    i_sent: In(1)
    i_received: In(1)
    i_heartbeat: In(16)
    i_silence: In(16)
    o_due: Out(1)
    o_silent: Out(1)

    def elaborate(self, platform):
        m = Module()
        for happened, period, over, name in (
                (self.i_sent, self.i_heartbeat, self.o_due, "since_sent"),
                (self.i_received, self.i_silence, self.o_silent, "since_received")):
            ticks = Signal(16, name=name)
            with m.If(happened | ~self.i_run):
                m.d.sync += [ticks.eq(0), over.eq(0)]
            with m.Elif(self.i_tick):
                m.d.sync += [
                    ticks.eq(ticks + ~ticks.all()),
                    over.eq((period != 0) & (ticks + 1 >= period)),
                ]
        return m
