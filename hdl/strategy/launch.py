"""Decides when an order may leave: once its frame is known to be good, or at once."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from tickwire.hdl.entry.intent import OrderIntent, Reason
from tickwire.hdl.feed.event import FrameVerdict
from tickwire.hdl.stream.packet import strobe

__all__ = ["LaunchGate"]


class LaunchGate(wiring.Component):
    """Holds intents until their frame's verdict, or lets them pass, as the launch policy says.

    Under ``after_fcs`` (``cut_through`` = 0) an intent waits. A good verdict releases what waits,
    in order, one every other cycle; a bad one voids it. Under ``cut_through`` an intent passes at
    once; if its frame then proves bad, its instrument is to be disarmed. Every intent that comes in
    goes out exactly once, at ``o`` or at ``o_void``, and never at both in one cycle.

    Latency: ``i`` → ``o`` 0 cycles if nothing is waited for (``cut_through``, ``i_committed``, or
    the good verdict stands in the same cycle); good ``i_verdict`` → ``o`` 0 cycles for the first.

    Parameters
    ----------
    depth : int
        Intents that can wait; a power of two.

    Members
    -------
    i : In(strobe(OrderIntent))
        From the strategy, in the cycle of its frame's verdict at the latest.
    i_committed : In(1)
        With ``i``: rests on no hearsay, waits for no verdict.
    i_verdict : In(strobe(FrameVerdict))
        Verdict on the frame to which all intents belong that came since the last one.
    cut_through : In(1)
        Launch policy, taken with each intent. An intent that finds others waiting waits behind
        them, not for the verdict; but a bad one that comes meanwhile voids it.
    now : In(16)
        Cycle counter.
    o : Out(stream.Signature(OrderIntent))
        Released. The payload stands already while the intent waits; ``valid`` falls for a cycle
        when another intent was refused for want of room.
    o_decided, o_released : Out(16), Out(16)
        With ``o`` and ``o_void``: cycle in which the intent came, and this cycle.
    o_next : Out(strobe(7))
        An intent waits. The payload is the instrument of the one that waits first in the next
        cycle, so that its limits can be fetched; if none waits, of the one at ``i``.
    o_room : Out(1)
        An intent that comes in the next cycle finds room.
    o_any : Out(1)
        An intent comes or waits. In the cycle before ``o_void``, too.
    o_void : Out(strobe(Reason))
        The intent at ``o.payload`` is refused here: BAD_FRAME, or RATE if it found no room. Not in
        the cycle in which it came.
    o_disarm : Out(strobe(7))
        This instrument's order passed under ``cut_through``, and its frame was bad.
    """

    def __init__(self, *, depth=8):
        if depth < 2 or depth & (depth - 1):
            raise ValueError("LaunchGate depth must be a power of two and at least 2, "
                             f"not {depth!r}")
        self.depth = depth
        super().__init__({
            "i": In(strobe(OrderIntent)),
            "i_committed": In(1),
            "i_verdict": In(strobe(FrameVerdict)),
            "cut_through": In(1),
            "now": In(16),
            "o": Out(stream.Signature(OrderIntent)),
            "o_decided": Out(16),
            "o_released": Out(16),
            "o_next": Out(strobe(7)),
            "o_room": Out(1),
            "o_any": Out(1),
            "o_void": Out(strobe(Reason)),
            "o_disarm": Out(strobe(7)),
        })
        self.entry = data.StructLayout({"intent": OrderIntent, "decided": 16})
        # The first that waits stands in a register: it is compared in the cycle of its release.
        self.head = Signal(self.entry, reset_less=True)
        self.memory = Memory(shape=self.entry, depth=depth, init=[])
        self.loaded = Signal(init=1)
        # An intent that came without room, until it has been refused.
        self.crowded, self.crowded_out = Signal(), Signal(self.entry, reset_less=True)
        self.read_at, self.write_at = Signal(range(depth)), Signal(range(depth))
        # Bit n of each speaks of the intent that waits at place n: it is there; its frame was good
        # or does not matter; its frame was bad; it need not wait for the verdict.
        self.used, self.good, self.bad, self.free = (
            Signal(depth, name=name) for name in ("used", "good", "bad", "free"))

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = self.memory
        write = self.memory.write_port()
        read = self.memory.read_port(domain="comb")

        verdict_good = self.i_verdict.valid & self.i_verdict.payload.good
        verdict_bad = self.i_verdict.valid & ~self.i_verdict.payload.good
        watch_full = Signal()
        passes_unproven = (self.cut_through & ~self.i_committed & ~self.i_verdict.valid
                           & ~watch_full)
        i_good = self.i_committed | verdict_good
        i_goes = i_good | passes_unproven
        i_bad = ~self.i_committed & verdict_bad

        head, used, good, bad, free = self.head, self.used, self.good, self.bad, self.free
        empty, full = ~used[0], used[-1]
        head_bad = bad[0] | (~good[0] & verdict_bad)
        head_goes = ~head_bad & (good[0] | free[0] | verdict_good)

        # An intent without room is refused in the next cycle, and the first one waits for that;
        # so registers alone choose the payload.
        pop, push = Signal(), Signal()
        loaded = self.loaded
        no_room = self.i.valid & full
        crowded, crowded_out = self.crowded, self.crowded_out
        m.d.sync += [
            crowded.eq(no_room),
            crowded_out.intent.eq(self.i.payload),
            crowded_out.decided.eq(self.now),
        ]
        chosen = data.View(self.entry, Mux(crowded, crowded_out.as_value(), head.as_value()))
        m.d.comb += [
            self.o.valid.eq(Mux(empty, self.i.valid & i_goes, loaded & head_goes & ~crowded)),
            self.o.payload.eq(Mux(empty, self.i.payload, chosen.intent)),
            self.o_decided.eq(Mux(empty, self.now, chosen.decided)),
            self.o_released.eq(self.now),
            self.o_void.valid.eq(~empty & (loaded & head_bad | crowded)),
            self.o_void.payload.eq(Mux(crowded, Reason.RATE, Reason.BAD_FRAME)),
            self.o_next.valid.eq(~empty),
            self.o_next.payload.eq(Mux(empty, self.i.payload.instrument, Mux(
                loaded, head.intent.instrument, read.data.intent.instrument))),
            self.o_any.eq(self.i.valid | ~empty),
            self.o_room.eq(~full & ~(used[-2] & self.i.valid)),
            pop.eq(~empty & loaded & ~crowded & (head_bad | (head_goes & self.o.ready))),
            push.eq(self.i.valid & ~full & ~(empty & i_goes & self.o.ready)),
        ]

        # What stays moves up when the first one goes, and only then the new one finds its place.
        stays = Signal(self.depth)
        place = Signal(self.depth)
        m.d.comb += [
            stays.eq(Mux(pop, used[1:], used)),
            place.eq(Mux(push, ~stays & Cat(1, stays), 0)),
        ]
        for vector, judged, entering in (
                (used, used, 1),
                (good, good | Mux(verdict_good, used & ~bad, 0), i_good),
                (bad, bad | Mux(verdict_bad, used & ~good, 0), i_bad),
                (free, free, passes_unproven)):
            m.d.sync += vector.eq(Mux(pop, judged[1:], judged) | Mux(entering, place, 0))

        # While nothing waits, whatever comes is loaded: only if it is pushed it counts. The next
        # one follows from the memory in the cycle after the first one has gone, so registers alone
        # load it.
        m.d.comb += [
            write.en.eq(push & ~empty),
            write.addr.eq(self.write_at),
            write.data.intent.eq(self.i.payload),
            write.data.decided.eq(self.now),
            read.addr.eq(self.read_at),
        ]
        with m.If(write.en):
            m.d.sync += self.write_at.eq(self.write_at + 1)
        with m.If(empty):
            m.d.sync += [head.intent.eq(self.i.payload), head.decided.eq(self.now)]
        with m.Elif(~loaded):
            m.d.sync += [head.eq(read.data), loaded.eq(1), self.read_at.eq(self.read_at + 1)]
        with m.If(pop):
            m.d.sync += loaded.eq(~used[1] & ~push)

        # Instruments of the orders that passed unproven, in the order of passing.
        watched, condemned = Signal(self.depth), Signal(self.depth)
        watch_place = Signal(self.depth)
        instruments = [Signal(7, reset_less=True, name=f"watched_{n}") for n in range(self.depth)]
        watch = Signal()
        m.d.comb += [
            watch.eq(self.i.valid & passes_unproven & ~full),
            watch_full.eq(watched[-1]),
            watch_place.eq(~watched & Cat(1, watched)),
            self.o_disarm.valid.eq(condemned[0]),
            self.o_disarm.payload.eq(instruments[0]),
        ]
        seen = Signal(self.depth)
        fate = Signal(self.depth)
        m.d.comb += [
            seen.eq(Mux(verdict_good, watched & condemned, watched | Mux(watch, watch_place, 0))),
            fate.eq(Mux(verdict_bad, watched, condemned)),
        ]
        with m.If(condemned[0]):
            m.d.sync += [watched.eq(seen[1:]), condemned.eq(fate[1:])]
        with m.Else():
            m.d.sync += [watched.eq(seen), condemned.eq(fate)]
        for n, register in enumerate(instruments):
            following = instruments[n + 1] if n + 1 < self.depth else register
            entering = Mux(watch_place[n], self.i.payload.instrument, register)
            entering_next = (Mux(watch_place[n + 1], self.i.payload.instrument, following)
                             if n + 1 < self.depth else register)
            m.d.sync += register.eq(Mux(condemned[0], entering_next, entering))
        return m
