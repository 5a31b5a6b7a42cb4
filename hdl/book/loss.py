"""Keeps what makes books untrustworthy: gaps of channels, and damaged frames."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out
from tickwire.hdl.book.memory import NumberWrite
from tickwire.hdl.book.record import NUMBER, InstrumentLookup
from tickwire.hdl.feed.event import FrameVerdict
from tickwire.hdl.stream.packet import strobe

__all__ = ["LossRecorder"]


class LossRecorder(wiring.Component):
    """Writes the message number of every loss beside the channel or the instrument it concerns.

    A gap concerns all books of its channel. A damaged frame whose events could already have
    moved an order (``cut_through``) concerns every instrument that it named, in whatever message:
    these are announced on ``o_disarm``. If a frame names more instruments than the list holds,
    all instruments are announced and all channels counted as having a gap.

    Latency: ``i_verdict`` → ``o_gap`` 0 cycles, → first ``o_disarm`` and ``o_damage`` 2 cycles,
    then one a cycle.

    Parameters
    ----------
    instruments, channels : int
    depth : int
        Instruments named in frames that wait for their verdict or for being announced: a power
        of two. The default holds two frames of 1518 bytes full of the shortest messages.

    Members
    -------
    i_instrument : In, strobe(InstrumentLookup)
    i_verdict : In, strobe(FrameVerdict)
        After the last ``i_instrument`` of the frame.
    cut_through : In, 1 bit
    i_number : In, 48 bits
        Number of the last message so far, at ``i_verdict`` that of the frame's last.
    o_gap, o_damage : Out, strobe(NumberWrite)
    o_disarm : Out, strobe(7 bits)
    o_unsettled : Out, 1 bit
        Losses are known that have not been written yet.

    Raises
    ------
    ValueError
        If ``depth`` is not a power of two.
    """

    def __init__(self, *, instruments, channels, depth=64):
        if depth < 2 or depth & (depth - 1):
            raise ValueError(f"LossRecorder depth must be a power of two of at least 2, "
                             f"not {depth!r}")
        self._last = max(instruments, channels) - 1
        self._instruments = instruments
        self._depth = depth
        super().__init__({
            "i_instrument": In(strobe(InstrumentLookup)),
            "i_verdict": In(strobe(FrameVerdict)),
            "cut_through": In(1),
            "i_number": In(NUMBER),
            "o_gap": Out(strobe(NumberWrite)),
            "o_damage": Out(strobe(NumberWrite)),
            "o_disarm": Out(strobe(7)),
            "o_unsettled": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.named = named = memory.Memory(shape=7, depth=self._depth, init=[])
        write, read = named.write_port(), named.read_port(domain="comb")

        end, committed, begin = (Signal(range(2 * self._depth), name=name)
                                 for name in ("end", "committed", "begin"))
        verdict = self.i_verdict.payload
        damaged = Signal()
        full, too_many = Signal(), Signal()
        adding = self.i_instrument.valid & self.i_instrument.payload.known
        m.d.comb += [
            full.eq((end - begin)[:len(end)] == self._depth),
            damaged.eq(self.i_verdict.valid & ~verdict.good & self.cut_through),
            write.addr.eq(end[:-1]),
            write.data.eq(self.i_instrument.payload.index),
            write.en.eq(adding & ~full),
        ]
        with m.If(adding):
            m.d.sync += [end.eq(end + ~full), too_many.eq(too_many | full)]
        with m.If(self.i_verdict.valid):
            m.d.sync += too_many.eq(0)
            with m.If(damaged):
                m.d.sync += committed.eq(end)
            with m.Else():
                m.d.sync += end.eq(committed)

        # All of them, when the list was too short.
        everything = Signal()
        turn = Signal(range(self._last + 1))
        with m.If(everything):
            m.d.sync += turn.eq(turn + 1)
            with m.If(turn == self._last):
                m.d.sync += [turn.eq(0), everything.eq(0)]
        with m.If(damaged & too_many):
            m.d.sync += [turn.eq(0), everything.eq(1)]

        listed = Signal()
        m.d.comb += [
            listed.eq((begin != committed) & ~everything),
            read.addr.eq(begin[:-1]),
            self.o_gap.payload.number.eq(self.i_number),
        ]
        m.d.sync += [
            self.o_damage.valid.eq(listed),
            self.o_damage.payload.index.eq(read.data),
            self.o_damage.payload.number.eq(self.i_number),
            self.o_disarm.valid.eq(listed | everything & (turn < self._instruments)),
            self.o_disarm.payload.eq(Mux(everything, turn, read.data)),
        ]
        m.d.comb += self.o_unsettled.eq(listed | everything | self.o_damage.valid)
        with m.If(listed):
            m.d.sync += begin.eq(begin + 1)

        # The walk over all channels gives way to a gap, and comes back to its channel.
        gap = self.i_verdict.valid & verdict.good & verdict.gap
        m.d.comb += [
            self.o_gap.valid.eq(gap | everything),
            self.o_gap.payload.index.eq(Mux(gap, verdict.channel, turn)),
        ]
        with m.If(gap & everything):
            m.d.sync += [turn.eq(turn), everything.eq(1)]
        return m
