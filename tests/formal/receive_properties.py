"""What the receiver owes those behind it, stated on the words of its input.

Of the FCS nothing is said, so it is a free input: ``free_octets`` takes the place of the function
that computes it over a beat.
"""

from amaranth.hdl import Assert, Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In
from seeded import through
from tickwire.hdl.mac.receive import MacReceive
from tickwire.hdl.phy.xgmii import LANES, PREAMBLE, SFD, Character, column
from tickwire.hdl.stream.packet import Packet

LONGEST = 2**14 - 1     # bytes; lengths are counted no further


class Words:
    """What a word of the input is, found apart from the gateware."""

    def __init__(self, word):
        octets = [word.data.word_select(lane, 8) for lane in range(LANES)]
        is_octet = ~word.control

        def is_column(first, characters):
            data, control = column(characters)
            return ((word.data[8 * first:8 * first + 32] == data)
                    & (word.control[first:first + 4] == control))

        half, rest = [Character.START, *[PREAMBLE] * 3], [*[PREAMBLE] * 3, SFD]
        self.starts_low = is_column(0, half) & is_column(4, rest)
        self.starts_high = is_column(4, half)
        self.completes = is_column(0, rest)     # the preamble that began in lane 4
        self.idle = is_column(0, [Character.IDLE] * 4) & is_column(4, [Character.IDLE] * 4)
        self.breaks = word.control.any()
        before = [is_octet[:lane].all() for lane in range(LANES)]
        self.leads = Cat(before[lane] & is_octet[lane] for lane in range(LANES))
        self.terminates = Cat(before[lane] & word.control[lane]
                              & (octets[lane] == Character.TERMINATE)
                              for lane in range(LANES)).any()
        claims = [word.control[lane] & (octets[lane] == Character.START) for lane in (0, 4)]
        self.no_frame = claims[0] & ~self.starts_low | claims[1] & ~self.starts_high


class _Receiver(wiring.Component):
    """The receiver, its FCS free. Invariants are stated too if wanted."""

    def __init__(self, receive=None, *, invariants=True):
        self.invariants = invariants
        self.receive = receive or MacReceive()
        super().__init__({**self.receive.signature.members, "fcs": In(32)})

    def free_octets(self, state, data, octets):
        """Like ``crc_step``, but any value may come out."""
        return self.fcs

    def elaborate(self, platform):
        m = Module()
        m.submodules.receive = self.receive
        through(m, self, self.receive)
        return m


class ReceiverRecovers(_Receiver):
    """Whatever state the receiver is in, START is followed by a first beat, and idle by nothing.

    Nothing is assumed or asserted of the receiver's registers, so the induction begins in any
    state of theirs, reachable or not: what came before the words named here does not matter.
    Words come in every cycle; that gaps between them change nothing is :class:`FramesComeWhole`'s.
    """

    def elaborate(self, platform):
        m = super().elaborate(platform)
        here = Words(self.i.payload)
        low, high, silent = Signal(), Signal(), Signal(range(5))
        is_low, is_high = Signal(), Signal()
        m.d.sync += [
            low.eq(self.i.valid & here.starts_low), high.eq(self.i.valid & here.starts_high),
            is_low.eq(low & self.i.valid), is_high.eq(high & self.i.valid & here.completes),
            silent.eq(Mux(self.i.valid & here.idle, silent + (silent != 4), 0)),
        ]
        beat = self.o.payload
        with m.If(is_low):
            m.d.comb += Assert(self.o.valid & beat.first & (beat.begin == 0))
        with m.If(is_high):
            m.d.comb += Assert(self.o.valid & beat.first & (beat.begin == 4))
        with m.If(silent >= 2):
            m.d.comb += Assert(~self.o.valid & ~self.o_count_preamble)
        with m.If(silent == 4):
            m.d.comb += Assert(~self.o_end.valid)
        return m


class FramesComeWhole(_Receiver):
    """Beats are the octets behind a preamble, up to a control character; each frame has one end.

    A beat with ``first`` is followed by exactly one with ``last``, at the first word with a control
    character, and that by exactly one ``o_end`` two cycles later, with exactly one count.
    """

    def elaborate(self, platform):
        m = super().elaborate(platform)
        word, here = self.i.payload, Words(self.i.payload)

        # The word's place, which the word before tells
        after_low, after_high, open_ = Signal(), Signal(), Signal()
        opens = after_low | after_high & here.completes
        belongs = opens | open_
        with m.If(self.i.valid):
            m.d.sync += [after_low.eq(here.starts_low), after_high.eq(here.starts_high),
                         open_.eq(belongs & ~here.breaks)]
        lanes = here.leads & Mux(after_high, 0xf0, 0xff)
        expected, due, no_frame = Signal(Packet(LANES)), Signal(), Signal()
        m.d.sync += [
            due.eq(self.i.valid & belongs),
            no_frame.eq(self.i.valid & (here.no_frame | after_high & ~here.completes)),
            expected.first.eq(opens), expected.last.eq(here.breaks),
            expected.begin.eq(Mux(after_high, 4, 0)), expected.end.eq(sum(here.leads)),
            expected.data.eq(Cat(Mux(lanes[lane], word.data.word_select(lane, 8), 0)
                                 for lane in range(LANES))),
        ]
        beat = self.o.payload
        m.d.comb += [Assert(self.o.valid == due), Assert(self.o_count_preamble == no_frame)]
        with m.If(self.o.valid):
            m.d.comb += Assert(beat.as_value() == expected.as_value())

        # The beats alone, as those behind see them
        inside = Signal()
        with m.If(self.o.valid):
            m.d.sync += inside.eq(~beat.last)
            m.d.comb += [Assert(beat.first == ~inside),
                         Assert((beat.begin == 0) | (beat.first & (beat.begin == 4))),
                         Assert(beat.begin <= beat.end), Assert(beat.last == (beat.end < LANES))]

        # The end
        length = Signal(14, reset_less=True)
        total = Mux(beat.first, 0, length) + beat.end - beat.begin
        with m.If(self.o.valid):
            m.d.sync += length.eq(Mux(total > LONGEST, LONGEST, total))
        just_ended, ended = Signal(), Signal()
        m.d.sync += [just_ended.eq(self.o.valid & beat.last), ended.eq(just_ended)]
        whole = self.later(m, here.terminates, 3)
        max_length = self.later(m, self.max_length, 2)
        length_then = self.later(m, length, 1)
        stamp = self.later(m, self.i_stamp, 1)
        end_stamp = self.later(m, stamp, 2)
        verdict = self.o_end.payload
        counts = Cat(self.o_count_good, self.o_count_symbol, self.o_count_runt,
                     self.o_count_oversize, self.o_count_fcs)
        wrong = Cat(verdict.runt, verdict.oversize, verdict.fcs_error)
        m.d.comb += [Assert(self.o_end.valid == ended),
                     Assert(sum(counts) == self.o_end.valid)]
        with m.If(self.o_end.valid):
            m.d.comb += [
                Assert(verdict.length == length_then),
                Assert(verdict.symbol_error == ~whole),
                Assert(~verdict.symbol_error | ~wrong.any()),
                Assert(verdict.good == ~(verdict.symbol_error | wrong.any())),
                Assert(self.o_count_good == verdict.good),
                Assert(~whole | (verdict.runt == (verdict.length < 64))),
                Assert(~verdict.oversize | (verdict.length > max_length)),
                Assert(~whole | (verdict.length <= max_length + 8) | verdict.oversize),
                Assert(self.o_end_stamp == end_stamp),
            ]
        m.d.comb += Assert(~self.o.valid | (self.o_stamp == stamp))

        if not self.invariants:
            return m

        # Invariants: the receiver knows the place as it is found here, and the length.
        receive = self.receive
        m.d.comb += [
            Assert(receive.after_start == after_low), Assert(receive.after_half == after_high),
            Assert(receive.inside == open_), Assert(receive.length == length),
            Assert(after_low + after_high + open_ <= 1),
            Assert(Mux(due, (inside == ~expected.first) & (open_ == ~expected.last),
                       inside == open_)),
        ]
        return m

    def later(self, m, value, cycles):
        """The value so many cycles ago; not reset, like what the receiver keeps of a frame."""
        for _ in range(cycles):
            before, value = value, Signal.like(Const(0, len(value)), reset_less=True)
            m.d.sync += value.eq(before)
        return value
