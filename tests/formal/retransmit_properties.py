"""What the retransmission buffer owes, stated on what goes in and comes out.

Every record that counts is remembered here, too, in the order of their bytes; the oldest that was
not released is what must be read. The memory's words are the only thing that is not looked at.
"""

from amaranth.hdl import Assert, Assume, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In
from seeded import through
from tickwire.hdl.tcp.retransmit import RetransmitBuffer
from tickwire.hdl.tcp.segment import Record

WORDS = 4           # of the ring
LONGEST = 2         # words of payload
KEPT = 2            # records that may fit: each has two words at least


class _Kept(data.Struct):
    """A record, as it was put in."""

    record: Record
    first: 64
    second: 64


def small_ring(module=None):
    """A buffer for one session, with a ring that its constructor would not take."""
    buffer = (module.RetransmitBuffer if module else RetransmitBuffer)(sessions=1)
    buffer._words = WORDS
    return buffer


class RecordsComeBackAsTheyWere(wiring.Component):
    """What is read is the oldest record that was not released, with its own bytes.

    A record is released only if its last byte was acknowledged, or the session cleared. One that
    finds room is kept, another one is counted.

    Assumed is what TcpTransmit does: a begin, then the words of one record from the second cycle
    on, then a commit that fits them, or the next begin; records are of one or two words, and follow
    one another in sequence. A record that is open is read without a pause.

    Parameters
    ----------
    buffer : RetransmitBuffer
        From :func:`small_ring`.
    """

    def __init__(self, buffer=None):
        self.buffer = buffer or small_ring()
        super().__init__({**self.buffer.signature.members, "read": In(2)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.buffer = buffer = self.buffer
        through(m, self, buffer)

        # The frame that leaves
        step = Signal(2)            # 0: none has begun; 1: begun; 2: words may come
        count = Signal(range(LONGEST + 1))
        leaves = Signal(_Kept)
        sequence = Signal(32)       # of the next record's first byte
        void = Signal()
        begin, word, commit = self.i_begin, self.i_word, self.i_commit
        release = self.i_release
        clear = release.valid & release.payload.all
        m.d.comb += [
            Assume(begin.payload == 0), Assume(release.payload.session == 0),
            Assume(self.i_open.payload == 0),
            Assume(~word.valid | (step == 2) & (count != LONGEST) & ~begin.valid),
            Assume(~commit.valid | (step == 2) & (count != 0) & ~begin.valid & ~word.valid),
            Assume(~commit.valid | (commit.payload.length <= count << 3)
                   & (commit.payload.length > (count - 1) << 3)
                   & (commit.payload.sequence == sequence)),
        ]
        with m.If(begin.valid):
            m.d.sync += [step.eq(1), count.eq(0), void.eq(0)]
        with m.Else():
            m.d.sync += [step.eq(Mux(commit.valid, 0, Mux(step == 1, 2, step))),
                         count.eq(count + word.valid), void.eq(void | clear)]
        with m.If(word.valid):
            with m.If(count == 0):
                m.d.sync += leaves.first.eq(word.payload)
            with m.Else():
                m.d.sync += leaves.second.eq(word.payload)

        # All that is kept
        kept = [Signal(_Kept, name=f"kept_{place}") for place in range(KEPT)]
        held, used = Signal(range(KEPT + 1)), Signal(range(WORDS + 1))
        free = Signal(range(WORDS + 1))     # when the frame began; more may be since
        began, doomed = Signal(), Signal()
        cleared = Signal(init=1)    # there is a clearing to be carried out
        m.d.sync += began.eq(begin.valid)
        with m.If(began):
            m.d.sync += [free.eq(WORDS - used), doomed.eq(cleared)]
        size = 1 + count
        puts = commit.valid & buffer.keeps
        takes = buffer.releases_one
        oldest = 1 + Mux(kept[0].record.length > 8, 2, 1)
        acknowledged = Signal(32)
        with m.If(release.valid):
            m.d.sync += acknowledged.eq(release.payload.acknowledgement)
        ahead = Signal(32)
        m.d.comb += ahead.eq(acknowledged - kept[0].record.sequence - kept[0].record.length)
        wipes = buffer.clears_all
        m.d.sync += [
            held.eq(Mux(wipes, 0, held - takes) + puts),
            used.eq(Mux(wipes, 0, used - Mux(takes, oldest, 0)) + Mux(puts, size, 0)),
            cleared.eq(clear | cleared & ~wipes),
        ]
        with m.If(commit.valid):
            m.d.sync += sequence.eq(sequence + commit.payload.length)
        base = Mux(wipes, 0, held - takes)
        for place, own in enumerate(kept):
            with m.If(takes & (place + 1 < KEPT)):
                m.d.sync += own.eq(kept[min(place + 1, KEPT - 1)])
            with m.If(puts & (base == place)):
                m.d.sync += [own.record.eq(commit.payload), own.first.eq(leaves.first),
                             own.second.eq(leaves.second)]
        m.d.comb += [
            # Nothing is acknowledged that was not sent, nor taken back.
            Assume(~release.valid | (release.payload.acknowledgement - acknowledged)[:32]
                   <= (sequence - acknowledged)[:32]),
            Assert(~takes | (held != 0) & ~ahead[31]),
            Assert(~wipes | cleared),
            Assert(~(takes | wipes) | ~(self.i_hold | self.i_open.valid)),
            # What had room when its frame began is kept.
            Assert(~commit.valid | void | doomed | (size > free) | puts),
            Assert(~puts | (size <= free) & ~void & ~doomed),
        ]

        # Reading: open, the record, then its words
        reading = Signal(3)
        m.d.comb += [
            Assume(~self.i_open.valid | (reading == 0)),
            Assume(self.i_hold == (reading != 0)),
            Assume(~self.i_next | (reading == 2)),
            Assert(~self.i_open.valid | (self.o_nothing == ((held == 0) | cleared))),
        ]
        with m.Switch(reading):
            with m.Case(0), m.If(self.i_open.valid & ~self.o_nothing):
                m.d.sync += reading.eq(1)
            with m.Case(1):
                m.d.comb += Assert(self.o_record.as_value() == kept[0].record.as_value())
                m.d.sync += reading.eq(2)
            with m.Case(2):
                m.d.comb += Assert(self.o_word == kept[0].first)
                with m.If(self.i_next):
                    m.d.sync += reading.eq(Mux(kept[0].record.length > 8, 3, 0))
            with m.Case(3):
                m.d.comb += Assert(self.o_word == kept[0].second)
                m.d.sync += reading.eq(0)
        return m
