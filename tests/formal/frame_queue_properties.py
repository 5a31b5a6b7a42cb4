"""What a queue of frames owes both sides, stated on the beats that go in and come out.

One beat that goes in is watched, any one, and is seen to come out when it must: as it may be any,
this holds for all. The gateware's registers are named only in invariants.
"""

from amaranth.hdl import Assert, Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In
from seeded import through
from tickwire.hdl.mac.frame_queue import FrameQueue

DEPTH = 8
LEAST = DEPTH - 2       # beats that fit in any case


class FramesAreKeptWhole(wiring.Component):
    """What comes out are the frames that were kept, whole and in their order, and nothing else.

    Each frame that ends is kept, dropped (and counted) or was aborted. It is dropped only if it
    found that many beats in the queue. A frame that is kept is offered within 3 cycles of its end,
    or with no pause behind the one before; a beat that is offered stays until it is taken, and
    within a frame the next one follows at once.

    Parameters
    ----------
    queue : FrameQueue
        With a depth of ``DEPTH``.
    waits : bool
        It makes its source wait, and so must drop nothing.
    invariants : bool
        State them too; a bounded check does without.
    """

    def __init__(self, queue=None, *, waits=False, invariants=True):
        self.queue = queue or FrameQueue(DEPTH, waits=waits)
        self.waits = waits
        self.invariants = invariants
        super().__init__({**self.queue.signature.members, "watch": In(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.queue = queue = self.queue
        through(m, self, queue)
        beat_in, beat_out = self.i.payload, self.o.payload
        taken, given = self.i.valid & self.i.ready, self.o.valid & self.o.ready
        ends = taken & beat_in.last

        # Each frame's fate
        inside, aborted, crowded = Signal(), Signal(), Signal()
        full_before = Signal()
        aborts = aborted | self.i_abort & (inside | taken)
        crowds = crowded | taken & full_before
        ended, ended_aborted, ended_crowded = Signal(), Signal(), Signal()
        with m.If(taken):
            m.d.sync += inside.eq(~beat_in.last)
        m.d.sync += [
            aborted.eq(aborts & ~ends), crowded.eq(crowds & ~ends), ended.eq(ends),
            ended_aborted.eq(aborts), ended_crowded.eq(crowds),
        ]
        m.d.comb += [
            Assert(self.o_count_kept + self.o_count_dropped == (ended & ~ended_aborted)),
            Assert(~self.o_count_dropped | ended_crowded),
        ]
        if self.waits:
            m.d.comb += Assert(~self.o_count_dropped)

        # Beats: of the frame that comes, of the one that has just come, of all that were kept
        own, size = Signal(range(2 * DEPTH)), Signal(range(2 * DEPTH))
        kept = Signal(range(4 * DEPTH))
        kept_now = kept + Mux(self.o_count_kept, size, 0)
        with m.If(taken):
            m.d.sync += own.eq(Mux(beat_in.last, 0, own + ~own.all()))
        m.d.sync += [size.eq(own + 1), kept.eq(kept_now - given),
                     full_before.eq(kept_now + own >= LEAST)]
        m.d.comb += [Assert(~self.o.valid | (kept != 0)), Assert(self.o_empty == (kept_now == 0))]

        # What is offered: held, without pauses, soon
        waiting, must_follow, late = Signal(), Signal(), Signal(2)
        before, first = Signal.like(beat_out.as_value()), Signal(init=1)
        m.d.sync += [waiting.eq(self.o.valid & ~self.o.ready), before.eq(beat_out),
                     must_follow.eq(given & ~beat_out.last),
                     late.eq(Mux(self.o.valid | (kept_now == 0), 0, late + 1))]
        with m.If(given):
            m.d.sync += first.eq(beat_out.last)
        with m.If(waiting):
            m.d.comb += Assert(self.o.valid & (beat_out.as_value() == before))
        with m.If(self.o.valid):
            m.d.comb += Assert(beat_out.first == first)
        m.d.comb += [Assert(beat_out.begin == 0), Assert(~must_follow | self.o.valid),
                     Assert(late <= 2)]

        # The watched beat: `ahead` others come out before it, if its frame is kept
        watched, sure, ahead = Signal(), Signal(), Signal(range(4 * DEPTH))
        what, place = Signal.like(Cat(beat_in.data, beat_in.end, beat_in.last)), Signal(4)
        comes = watched & (sure | self.o_count_kept)
        with m.If(~watched):
            m.d.sync += [
                watched.eq(taken & self.watch & ~aborts), sure.eq(0),
                what.eq(Cat(beat_in.data, beat_in.end, beat_in.last)),
                ahead.eq(kept_now + own - given), place.eq(queue.following),
            ]
        with m.Else():
            gone = ~comes & (aborts & ~ended | ended & ~self.o_count_kept)
            m.d.sync += [watched.eq(~gone & ~(comes & given & (ahead == 0))), sure.eq(comes),
                         ahead.eq(ahead - given)]
        shown = Cat(beat_out.data, beat_out.end, beat_out.last)
        with m.If(comes & given & (ahead == 0)):
            m.d.comb += Assert(shown == what)
        if not self.invariants:
            return m

        # Invariants: where the queue has all that. Positions count modulo twice the depth.
        at_watched = queue.memory.read_port(domain="comb")
        at_last = queue.memory.read_port(domain="comb")
        m.d.comb += [at_watched.addr.eq(place), at_last.addr.eq(queue.whole - 1)]

        def distance(later, earlier):
            return (later - earlier)[:len(place)]

        in_queue = distance(queue.following, queue.reading)
        whole = distance(queue.whole, queue.reading)
        shown_soon = queue.in_memory + self.o.valid
        bad = queue.spoilt | queue.lost
        m.d.comb += [
            Assert(in_queue <= Mux(queue.full, DEPTH - 1, DEPTH - 2)), Assert(whole <= in_queue),
            Assert(kept_now == whole + shown_soon), Assert(~queue.full | full_before),
            Assert(queue.opened == inside), Assert(queue.spoilt == aborted),
            Assert(~queue.lost | crowded & (not self.waits)),
            Assert(inside | ~(bad | crowded | own.any())),
            Assert(Mux(bad | ~inside, queue.following == queue.whole,
                       own == distance(queue.following, queue.whole))),
            # The last whole frame has an end, and what is read of it is not its end before.
            Assert((whole == 0) | at_last.data.last),
            Assert(~queue.in_memory | queue.read.data.last | (whole != 0)),
            Assert(~self.o.valid | beat_out.last | queue.in_memory),
            Assert(queue.after_last == Mux(self.o.valid, beat_out.last, first)),
            Assert((late != 1) | self.o.valid | queue.in_memory),
            Assert((late != 2) | self.o.valid),
        ]
        with m.If(watched & (comes | ~ended & ~bad)):
            m.d.comb += [
                Assert(distance(ahead, shown_soon) == distance(place, queue.reading)),
                Assert(Mux(comes, ahead < kept_now,
                           (ahead >= kept_now) & (ahead < kept_now + own))),
            ]
            with m.If(ahead >= shown_soon):
                m.d.comb += Assert(at_watched.data.as_value() == what)
            with m.Elif(ahead == self.o.valid):
                m.d.comb += Assert(queue.read.data.as_value() == what)
            with m.Else():
                m.d.comb += Assert(shown == what)
        return m
