"""PAUSE frames: a timer that they set, and a gate that holds frames back meanwhile."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from tickwire.hdl.mac.summary import Summary
from tickwire.hdl.phy.xgmii import LANES
from tickwire.hdl.stream.packet import packet_stream, strobe

__all__ = ["PauseTimer", "PauseGate"]

_QUANTUM = 8        # words of 64 bits in 512 bit times (IEEE 802.3-2022, 31B.2)


class PauseTimer(wiring.Component):
    """Obeys received PAUSE frames (IEEE 802.3-2022, annex 31B).

    Each one sets the timer anew to so many quanta of 512 bit times, of which a word at 10 Gb/s
    holds 64; 0 ends the pause. Frames with a bad FCS set nothing.

    Latency: ``i`` → ``o_pause_*`` and counts 1 cycle. A pause of n quanta lasts n ``tick`` cycles.

    Parameters
    ----------
    tick : int
        Cycles of a quantum: 8 at 10 Gb/s and one word a cycle. A simulation whose other end
        counts another time takes another.

    Members
    -------
    i : In, strobe(Summary)
    i_enable : In, 1 bit
        PAUSE is obeyed at all.
    i_obey_for_orders : In, 1 bit
        By orders too.
    o_pause_host : Out, 1 bit
        No frame but orders may begin.
    o_pause_orders : Out, 1 bit
        No order either.
    o_count_frames : Out, 1 bit
        A PAUSE frame, obeyed or not.
    o_count_unknown : Out, 1 bit
        Another MAC Control frame: discarded without effect (31.5.3.2).

    Raises
    ------
    ValueError
        If ``tick`` is not positive.
    """

    def __init__(self, tick=_QUANTUM):
        if tick < 1:
            raise ValueError(f"PauseTimer tick must be at least 1 cycle, not {tick!r}")
        self._tick = tick
        super().__init__({
            "i": In(strobe(Summary)),
            "i_enable": In(1, init=1),
            "i_obey_for_orders": In(1),
            "o_pause_host": Out(1),
            "o_pause_orders": Out(1),
            "o_count_frames": Out(1),
            "o_count_unknown": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        frame = self.i.payload
        quanta = Signal(16)
        cycles = Signal(range(self._tick))      # that the present quantum has yet, less one
        paused = Signal()
        m.d.sync += [
            self.o_count_frames.eq(self.i.valid & frame.pause),
            self.o_count_unknown.eq(self.i.valid & frame.control & ~frame.pause),
        ]
        with m.If(~self.i_enable):
            m.d.sync += paused.eq(0)
        with m.Elif(self.i.valid & frame.pause):
            m.d.sync += [paused.eq(frame.quanta != 0), quanta.eq(frame.quanta),
                         cycles.eq(self._tick - 1)]
        with m.Elif(cycles != 0):
            m.d.sync += cycles.eq(cycles - 1)
        with m.Else():
            m.d.sync += cycles.eq(self._tick - 1)
            m.d.sync += quanta.eq(quanta - paused)
            with m.If(quanta == 1):
                m.d.sync += paused.eq(0)
        m.d.comb += [
            self.o_pause_host.eq(paused),
            self.o_pause_orders.eq(paused & self.i_obey_for_orders),
        ]
        return m


class PauseGate(wiring.Component):
    """Lets whole frames pass, and none begin while there is a pause.

    What has been offered once stays offered, as streams promise, so a frame that waited for
    another one's end when the pause came still leaves: one at most (31B.3.7 allows far more).

    Latency: 0 cycles in both directions; ``i_pause`` → gate shut 1 cycle.

    Members
    -------
    i : In, packet_stream(8)
    i_pause : In, 1 bit
    o : Out, packet_stream(8)
    """

    def __init__(self):
        super().__init__({"i": In(packet_stream(LANES)), "i_pause": In(1),
                          "o": Out(packet_stream(LANES))})
        self.shut = Signal()
        self.inside = Signal()      # the frame's first beat has been offered, its last not taken

    def elaborate(self, platform):
        m = Module()
        shut, inside = self.shut, self.inside
        m.d.comb += [
            self.o.payload.eq(self.i.payload),
            self.o.valid.eq(self.i.valid & ~shut),
            self.i.ready.eq(self.o.ready & ~shut),
        ]
        ends = self.o.valid & self.o.ready & self.i.payload.last
        after = Mux(ends, 0, inside | self.o.valid)
        m.d.sync += [inside.eq(after), shut.eq(self.i_pause & ~after)]
        return m
