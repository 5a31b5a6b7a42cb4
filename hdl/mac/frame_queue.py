"""A queue of whole frames: what comes out never pauses for want of a beat."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from tickwire.hdl.phy.xgmii import LANES
from tickwire.hdl.stream.packet import packet_stream

__all__ = ["FrameQueue"]

_MINIMUM_DEPTH = 8
_SLACK = 2      # beats that may come after the queue was found full


class _Slot(data.Struct):
    """A beat in memory; with 68 bits it fits two block RAMs of 36."""

    data: 8 * LANES
    end: range(LANES + 1)
    last: 1


class FrameQueue(wiring.Component):
    """Store-and-forward queue of frames in block RAM.

    A frame is offered once all of it is there, so that a transmitter behind ``o`` cannot run dry.
    One that does not fit is dropped whole and counted. One that is found bad while it comes is
    taken back by ``i_abort``, as if it had not come.

    Latency: last beat taken → first beat offered 3 cycles if the queue was empty; then a beat a
    cycle, from one frame to the next too.

    Parameters
    ----------
    depth : int
        Beats of 8 bytes, a power of two, at least 8. A frame of depth - 2 beats fits when nothing
        else is there. 512 are two block RAMs of an ECP5.
    waits : bool
        ``i.ready`` falls while the queue is full, so nothing is dropped. A frame longer than the
        queue would then never come to its end. Otherwise ``i.ready`` is always 1.

    Members
    -------
    i : In, packet_stream(8)
        Beats begin in lane 0. May pause.
    i_abort : In, 1 bit
        With or without a beat: nothing of the frame that is being taken is kept. What comes of it
        later is not kept either, up to the beat with ``last``. With that beat: the same.
    o : Out, packet_stream(8)
    o_empty : Out, 1 bit
        No whole frame waits or is leaving.
    o_count_kept, o_count_dropped : Out, 1 bit
        In the cycle after the last beat: the frame is in the queue; it found no room. Neither for
        an aborted one.

    Raises
    ------
    ValueError
        If ``depth`` is not supported.
    """

    def __init__(self, depth=512, *, waits=False):
        if depth < _MINIMUM_DEPTH or depth & (depth - 1):
            raise ValueError(f"FrameQueue depth must be a power of two and at least "
                             f"{_MINIMUM_DEPTH} beats, not {depth!r}")
        self._depth = depth
        self._waits = waits
        super().__init__({
            "i": In(packet_stream(LANES)),
            "i_abort": In(1),
            "o": Out(packet_stream(LANES)),
            "o_empty": Out(1),
            "o_count_kept": Out(1),
            "o_count_dropped": Out(1),
        })
        # State, here so that the proofs may name it
        self.memory = Memory(shape=_Slot, depth=depth, init=[])
        self.read = self.memory.read_port()
        # Pointers have a bit more than addresses, so that full and empty differ.
        self.following = Signal(range(2 * depth))
        self.whole = Signal(range(2 * depth))
        self.reading = Signal(range(2 * depth))
        self.full = Signal()        # late by a cycle, hence the slack
        self.spoilt = Signal()      # the frame that is being taken is not kept
        self.lost = Signal()        # … because there was no room
        self.opened = Signal()      # a frame has begun and not ended
        self.in_memory = Signal()
        self.after_last = Signal(init=1)

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = self.memory
        write, read = self.memory.write_port(), self.read
        following, whole, reading = self.following, self.whole, self.reading
        full, spoilt, lost = self.full, self.spoilt, self.lost
        m.d.sync += full.eq(
            (following - reading)[:len(following)] >= self._depth - _SLACK)

        taken, ends = Signal(), Signal()
        m.d.comb += [
            self.i.ready.eq(~full if self._waits else 1),
            taken.eq(self.i.valid & self.i.ready),
            ends.eq(taken & self.i.payload.last),
            write.en.eq(taken & ~full),
            write.addr.eq(following[:-1]),
            write.data.data.eq(self.i.payload.data),
            write.data.end.eq(self.i.payload.end),
            write.data.last.eq(self.i.payload.last),
        ]
        overflows = taken & full
        aborts = spoilt | self.i_abort
        drops = lost | overflows
        bad = aborts | drops
        opened = self.opened
        m.d.sync += [
            self.o_count_kept.eq(ends & ~bad),
            self.o_count_dropped.eq(ends & drops & ~aborts),
        ]
        with m.If(taken):
            m.d.sync += opened.eq(~self.i.payload.last)
        with m.If(ends):
            m.d.sync += [spoilt.eq(0), lost.eq(0)]
            with m.If(bad):
                m.d.sync += following.eq(whole)
            with m.Else():
                m.d.sync += [following.eq(following + 1), whole.eq(following + 1)]
        with m.Else():
            m.d.sync += [
                spoilt.eq(spoilt | self.i_abort & (opened | taken)),
                lost.eq(drops),
                following.eq(Mux(bad, whole, following + taken)),
            ]

        # Pipeline: address → memory → register. It stands still while the beat is not accepted.
        moves, in_memory = Signal(), self.in_memory
        beat = self.o.payload
        there = reading != whole
        m.d.comb += [
            moves.eq(~self.o.valid | self.o.ready),
            read.addr.eq(reading[:-1]),
            read.en.eq(moves),
            self.o_empty.eq(~there & ~in_memory & ~self.o.valid),
        ]
        after_last = self.after_last
        with m.If(moves):
            m.d.sync += [
                reading.eq(reading + there),
                in_memory.eq(there),
                self.o.valid.eq(in_memory),
                beat.data.eq(read.data.data),
                beat.end.eq(read.data.end),
                beat.last.eq(read.data.last),
                beat.first.eq(after_last),
            ]
            with m.If(in_memory):
                m.d.sync += after_last.eq(read.data.last)
        return m
