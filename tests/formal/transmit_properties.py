"""What the transmitter owes the wire, stated on the words of its output.

The gateware's own registers are named only in invariants, which help the induction and weaken
nothing.
"""

from amaranth.hdl import Assert, Assume, Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In
from free_octets import FreeOctets
from tickwire.hdl.mac.transmit import MacTransmit
from tickwire.hdl.phy.xgmii import LANES, PREAMBLE, REMOTE_FAULT, SFD, Character, column
from tickwire.hdl.stream.packet import packet_stream

LONG = 60           # characters after which a gap is not counted any further
GAP, MINIMUM, DEBT = 12, 9, 3


class FramesLeaveWhole(FreeOctets):
    """Every word of the output is legal where it stands, whatever source and link do.

    A frame once begun has octets only, up to TERMINATE, and is broken off only in the cycle after
    a reason: an abort, a link fault, a beat that the source did not have. Gaps are 9 characters
    or more, and of any row of frames the sum of the gaps is at most 3 short of 12 each.

    Of the FCS nothing is said, so its octets are free inputs: :meth:`with_free_fcs` lets them take
    the place of the functions that compute it.

    Parameters
    ----------
    hears_aborts : bool
        A seeded bug if not: some aborts come out of nowhere.
    invariants : bool
        State them too; a bounded check does without.
    """

    def __init__(self, *, hears_aborts=True, invariants=True):
        self.hears_aborts = hears_aborts
        self.invariants = invariants
        self.transmit = MacTransmit()
        super().__init__({"i": In(packet_stream(LANES)), "i_abort": In(1), "i_fault": In(1),
                          "i_remote_fault": In(1), "nowhere": In(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.transmit = transmit = self.transmit
        wiring.connect(m, wiring.flipped(self.i), transmit.i)
        m.d.comb += [
            transmit.i_goes_on.eq(transmit.i.valid),
            transmit.i_abort.eq(self.i_abort | (0 if self.hears_aborts else self.nowhere)),
            transmit.i_fault.eq(self.i_fault),
            transmit.i_remote_fault.eq(self.i_remote_fault),
        ]
        beat = self.i.payload
        m.d.comb += [Assume((beat.end >= 1) & (beat.end <= LANES)),
                     Assume(beat.last | (beat.end == LANES))]

        # The word, as something that it may be
        word = transmit.o
        octets = [word.data.word_select(lane, 8) for lane in range(LANES)]
        halves = [(word.data[:32], word.control[:4]), (word.data[32:], word.control[4:])]

        def is_column(half, characters):
            data, control = column(characters)
            return (halves[half][0] == data) & (halves[half][1] == control)

        pause = [is_column(half, [Character.IDLE] * 4) | is_column(half, REMOTE_FAULT)
                 for half in range(2)]
        begin = [is_column(half, [Character.START, *[PREAMBLE] * 3]) for half in range(2)]
        completes = [is_column(half, [*[PREAMBLE] * 3, SFD]) for half in range(2)]
        ends = [Cat(*(octets[lane] == Character.IDLE for lane in range(at + 1, LANES)),
                    octets[at] == Character.TERMINATE,
                    word.control == (0xff << at & 0xff)).all() for at in range(LANES)]
        error = is_column(0, [Character.ERROR] * 4) & is_column(
            1, [Character.TERMINATE] + [Character.IDLE] * 3)
        starts_low = begin[0] & completes[1]
        starts_high = pause[0] & begin[1]

        # What went before it
        inside, half, reason = Signal(), Signal(), Signal()
        since = Signal(range(LONG + LANES), init=LONG)      # characters from TERMINATE on
        debt = Signal(range(DEBT + 1))
        gap = since + Mux(starts_high, 4, 0)
        short = debt + GAP - gap
        begins = starts_low | starts_high
        over = error | Cat(ends).any()
        inside_after = Mux(inside, ~over, begins)
        half_after = ~inside & starts_high
        since_after, debt_after = Signal.like(since), Signal.like(debt)
        m.d.comb += [
            since_after.eq(Mux(since >= LONG - LANES, LONG, since + LANES)),
            debt_after.eq(debt),
        ]
        for at in range(LANES):
            with m.If(inside & ends[at]):
                m.d.comb += since_after.eq(LANES - at)
        with m.If(inside & error):
            m.d.comb += since_after.eq(4)
        with m.If(~inside & begins):
            m.d.comb += debt_after.eq(Mux(gap > GAP + DEBT, 0, Mux(short < 0, 0, short)))
        fault, taken = Signal(), Signal()       # link fault a cycle ago; the last beat was taken
        starved = inside_after & ~taken & self.i.ready & ~self.i.valid
        m.d.sync += [
            inside.eq(inside_after), half.eq(half_after), since.eq(since_after),
            debt.eq(debt_after), fault.eq(self.i_fault),
            reason.eq(self.i_abort | fault | starved),
            taken.eq(inside_after & (taken | (self.i.valid & self.i.ready & beat.last))),
        ]

        with m.If(inside):
            m.d.comb += [
                Assert((word.control == 0) | over),
                Assert(~half | completes[0] | error),
                Assert(~error | reason),
                Assert(error | ~over | taken),
            ]
        with m.Else():
            m.d.comb += Assert((pause[0] & pause[1]) | begins)
            with m.If(begins):
                m.d.comb += [Assert(gap >= MINIMUM), Assert(short <= DEBT)]
        if self.invariants:
            self.state_invariants(m, inside_after, half_after, since_after, debt_after, taken)
        return m

    def state_invariants(self, m, inside, half, since, debt, taken):
        """How the transmitter's registers go with what has been seen, the present word included."""
        tx = self.transmit
        idle, beats = tx.state.as_value() == 0, tx.state.as_value() == 1
        tail, terminate = tx.state.as_value() == 2, tx.state.as_value() == 3
        ended = tx.ended
        held = [tx.held_octets.word_select(n, 8) for n in range(4)]
        control = tx.held_controls
        m.d.comb += [
            Assert(inside == ~idle),
            Assert(idle | (taken == (tail | terminate | tx.padding))),
            Assert(~half | (beats & tx.shifted & ~tx.at_pad & ~tx.behind_pad & ~tx.padding)),
            Assert(~(tx.at_pad & tx.behind_pad)),
            Assert(~tx.padding | ~beats | ~tx.behind_pad),
            Assert(idle | (debt <= tx.gap.deficit)),
            Assert(~tx.discarding | idle),
            Assert(~idle | ~tx.discarding | (tx.gap.wait == 3)),
            Assert(~tx.fault | ~idle | (tx.gap.wait > 1)),
            Assert(~idle | (since >= LONG)
                   | (since + 4 * tx.gap.wait + tx.gap.deficit >= GAP + debt)),
            Assert((since > 0) & (since <= LONG)),
            Assert(tx.gap.wait <= 3),
        ]
        with m.If(half):
            m.d.comb += Assert((tx.held_octets == column([*[PREAMBLE] * 3, SFD])[0])
                               & (control == 0))
        with m.If(beats & tx.shifted):
            m.d.comb += Assert(control == 0)
        with m.If(tail):
            m.d.comb += [
                Assert(sum(ended[n] for n in range(LANES + 1)) == 1), Assert(~ended[0]),
                Assert(tx.shifted | ~ended[:4].any()),
            ]
            with m.If(tx.shifted):
                for place in range(4):
                    m.d.comb += Assert(control[place] == ended[:place + 1].any())
                    with m.If(ended[place]):
                        m.d.comb += Assert(held[place] == Character.TERMINATE)
                    with m.If(ended[:place].any()):
                        m.d.comb += Assert(held[place] == Character.IDLE)
        with m.If(terminate):
            m.d.comb += Assert(tx.shifted)
