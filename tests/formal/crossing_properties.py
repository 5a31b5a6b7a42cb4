"""What the crossing of received words owes, whatever its two clocks do.

Both clocks are inputs that move as they like, at the same moment too.
"""

from amaranth.hdl import Assert, Assume, Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In
from seeded import through
from synchroniser import EDGES, Synchroniser, edges_at
from tickwire.hdl.phy.xgmii import Character, column
from tickwire.hdl.stream.crossing import ElasticCrossing
from tickwire.hdl.timing.stamp import gray_decode, gray_encode

DEPTH = 16


class WordsCross(wiring.Component):
    """What is written is read once, in order and unchanged; what is not written need not be.

    A word is not written if it says nothing and no frame can be open, if its START was put beside
    the TERMINATE of the word before, or for want of room. Only for START to be
    put there must the reader not be too fast: at most 4 edges of its clock in the time of 3 of the
    writer's. All else is for any clocks.

    Parameters
    ----------
    crossing : ElasticCrossing
        Its module's ``FFSynchronizer`` is :meth:`synchroniser`.
    invariants : bool
        State them too; a bounded check does without.
    """

    def __init__(self, crossing=None, *, invariants=True):
        self.crossing = crossing or ElasticCrossing()
        self.invariants = invariants
        self.synchronisers = []
        super().__init__({**self.crossing.signature.members, "watch": In(1), "missed": In(11)})

    def synchroniser(self, *args, **options):
        """In the place of ``FFSynchronizer``."""
        self.synchronisers.append(Synchroniser(*args, **options))
        return self.synchronisers[-1]

    def elaborate(self, platform):
        m = Module()
        crossing = self.crossing
        through(m, self, crossing)
        at_slot = crossing.memory.read_port(domain="comb")
        m.submodules.crossing = crossing.elaborate(platform)    # now, for its synchronisers
        produced, consumed = crossing.produced, crossing.consumed

        def register(name, width=1):
            return Signal(width, name=name, reset_less=True)

        # The reader's edges in the time of three of the writer's
        edges, ago = edges_at(m, 3)
        m.d.comb += Assume(~crossing.joins | ((edges - ago[2])[:EDGES] <= 4))

        # What becomes of a word
        word = self.i.payload
        halves = [(word.data[:32], word.control[:4]), (word.data[32:], word.control[4:])]

        def is_idle(data, control):
            idle_data, idle_control = column([Character.IDLE] * 4)
            return (data == idle_data) & (control == idle_control)

        idle = [is_idle(*half) for half in halves]
        sets = [(data[:8] == Character.SEQUENCE) & (control == 1) for data, control in halves]
        start = [(data[:8] == Character.START) & control[0] for data, control in halves]
        says_nothing = (idle[0] | sets[0]) & (idle[1] | sets[1])
        open_, upper_free = register("open"), register("upper_free")    # after the last one kept
        kept = crossing.stores | crossing.joins
        with m.If(kept):
            m.d.rx += [open_.eq((word.control == 0) | start[0] | start[1]),
                       upper_free.eq(idle[1] & (halves[0][1] != 0) & ~start[0] & ~idle[0])]
        skipped = self.i.valid & says_nothing & ~open_
        m.d.comb += [
            Assert(crossing.stores + crossing.joins + crossing.loses + skipped == self.i.valid),
            Assert(~crossing.joins | (idle[0] & start[1] & upper_free)),
            Assert(~crossing.loses | ((produced - crossing.consumed_rx)[:5] == DEPTH)),
        ]

        # Nothing is read twice, or before it is there, or left behind
        given, taken, late = register("given", 5), register("taken", 5), register("late", 3)
        waits = produced != consumed
        m.d.rx += taken.eq(taken + crossing.stores)
        m.d.sync += [given.eq(given + self.o.valid),
                     late.eq(Mux(waits & ~self.o.valid, late + 1, 0))]
        m.d.comb += [Assert(~self.o.valid | (taken != given)), Assert(late <= 3)]

        # The watched word, until the writer has come round to its slot
        watched, slot = register("watched"), register("slot", 5)
        entry = Cat(word.data, word.control, self.i_stamp)
        what = register("what", len(entry))
        behind = (produced - slot)[:5]
        with m.If(crossing.stores & ~watched):
            m.d.rx += [watched.eq(self.watch), slot.eq(taken), what.eq(entry)]
        with m.If(watched & crossing.stores & (behind == DEPTH)):
            m.d.rx += watched.eq(0)
        with m.If(watched & crossing.joins & (behind == 1)):
            m.d.rx += [what[32:64].eq(halves[1][0]), what[68:72].eq(halves[1][1])]
        pending = watched & ((slot - given)[:5] < (taken - given)[:5])
        shown = Cat(self.o.payload.data, self.o.payload.control, self.o_stamp)
        with m.If(pending & self.o.valid & (given == slot)):
            m.d.comb += Assert(shown == what)
        missed = self.missed
        for crossed in self.synchronisers:
            m.d.comb += crossed.missed.eq(missed)
            missed = missed[len(crossed.missed):]
        if not self.invariants:
            return m

        # Invariants. All places lie in this order, and at most the depth apart: the writer's, as
        # the reader sees it, the reader's, as the writer sees it.
        to_rx, to_sync = self.synchronisers[:2]

        def back(gray):
            """How far this one is behind the writer."""
            return (produced - gray_decode(gray))[:5]

        order = [back(to_sync.stages[0]), back(to_sync.stages[1]), (produced - consumed)[:5],
                 back(to_rx.stages[0]), back(to_rx.stages[1]),
                 (produced - crossing.consumed_rx)[:5]]
        m.d.comb += [Assert(nearer <= farther)
                     for nearer, farther in zip(order, (*order[1:], DEPTH), strict=True)]
        for crossed, place in ((to_rx, consumed), (to_sync, produced)):
            step = (place - gray_decode(crossed.before))[:5]
            m.d.comb += [Assert(crossed.i == gray_encode(place)), Assert(step <= 1)]
            with m.If(crossed.moved != crossed.seen):
                m.d.comb += Assert(step <= (place - gray_decode(crossed.stages[0]))[:5])
        # How late the writer sees the reader, in edges of the reader's clock
        seen_late = [(farther - order[2])[:5] for farther in order[3:]]
        m.d.comb += [Assert(steps <= (edges - then)[:EDGES] + 1)
                     for steps, then in zip(seen_late, ago, strict=True)]
        m.d.comb += [Assert(nearer >= farther)
                     for nearer, farther in zip((edges, *ago), ago, strict=False)]
        # How late the reader sees the writer
        unseen = [gray_encode(consumed) == gray
                  for gray in (to_sync.before, *to_sync.stages)]
        m.d.comb += [
            Assert((late == 0) | waits),
            Assert((late == 0) | (to_sync.moved == to_sync.seen) | ~unseen[0]),
            Assert((late < 2) | ~unseen[1]), Assert((late < 3) | ~unseen[2]),
        ]
        # The words
        m.d.comb += [
            at_slot.addr.eq(slot), Assert(taken == produced), Assert(given == consumed),
            Assert(crossing.may_be_open == open_), Assert(crossing.half_free == upper_free),
            Assert(~watched | ((behind >= 1) & (behind <= DEPTH))),
            Assert(~upper_free | (crossing.last_slot == (produced - 1)[:4])),
        ]
        with m.If(pending):
            m.d.comb += Assert(at_slot.data.as_value() == what)
            with m.If((consumed == slot) & ~unseen[2]):
                m.d.comb += Assert(crossing.output.as_value() == what)
        with m.If(watched & upper_free & (behind == 1)):
            m.d.comb += [
                Assert(Cat(what[:32], what[64:68]) == crossing.last),
                Assert(what[72:] == crossing.last_stamp),
                Assert(is_idle(what[32:64], what[68:72])),
            ]
        return m
