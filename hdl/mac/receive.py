"""XGMII words become packet beats, and each frame gets a verdict."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from tickwire.hdl.mac.crc import INITIAL, crc_step, residue, state_before_zeros
from tickwire.hdl.mac.frame import FrameEnd
from tickwire.hdl.phy.xgmii import LANES, PREAMBLE, SFD, Character, XgmiiWord, column
from tickwire.hdl.stream.packet import Packet, strobe

__all__ = ["MacReceive"]

_TAG_PROTOCOLS = (0x8100, 0x88a8)   # IEEE 802.1Q C-tag and S-tag
_LENGTH_BITS = 14


class MacReceive(wiring.Component):
    """Receive half of a 10 Gb/s MAC (IEEE 802.3-2022, 4.2.9 and clause 46).

    Bytes are not moved: a frame whose START stood in lane 4 has ``begin`` = 4 in its first beat.
    All bytes from the destination address to the end of the FCS are passed on; unused lanes are
    zero. Any control character ends a frame, TERMINATE as well as anything that has no place there.
    As it may stand in lane 0, a frame's last beat may be empty (``end`` = ``begin``). A frame
    that produced a beat with ``first`` gets exactly one with ``last`` and after it exactly one
    ``o_end``. A START may come in the very word that holds the TERMINATE of the frame before.

    Before the first byte there must be START in lane 0 or 4, six octets 55 and D5; otherwise
    there is no frame, and ``o_count_preamble`` says so.

    Latency: word → beat 1 cycle; word with TERMINATE (or what broke the frame off) → ``o_end`` and
    its count 3 cycles. Both for either lane and every length.

    Parameters
    ----------
    lanes : int
        Bytes in a beat: 8.

    Members
    -------
    i : In, strobe(XgmiiWord)
        May have gaps.
    i_stamp : In, 16 bits
        Cycle in which the word stood on the input of the chip; travels with it.
    max_length : In, 14 bits
        Longest good frame in bytes with FCS; each of up to two VLAN tags may add 4
        (IEEE 802.3-2022, 3.2.7).
    o : Out, strobe(Packet(8))
    o_stamp : Out, 16 bits
        Stamp of the beat's word.
    o_end : Out, strobe(FrameEnd)
        ``symbol_error`` excludes the other flags, as such a frame has neither length nor FCS.
        ``runt``, ``oversize`` and ``fcs_error`` are found independently.
    o_end_stamp : Out, 16 bits
        Stamp of the word that ended the frame.
    o_count_good, o_count_symbol, o_count_runt, o_count_oversize, o_count_fcs : Out, 1 bit
        With ``o_end``, exactly one of them: the first that applies in this order.
    o_count_preamble : Out, 1 bit
        A START that was no frame. Latency 1.

    Raises
    ------
    ValueError
        If ``lanes`` is not 8.
    """

    def __init__(self, lanes=LANES):
        if lanes != LANES:
            raise ValueError(f"MacReceive lanes must be {LANES}, the width of a 64-bit XGMII "
                             f"word, not {lanes!r}")
        super().__init__({
            "i": In(strobe(XgmiiWord)),
            "i_stamp": In(16),
            "max_length": In(_LENGTH_BITS, init=1518),
            "o": Out(strobe(Packet(LANES))),
            "o_stamp": Out(16),
            "o_end": Out(strobe(FrameEnd)),
            "o_end_stamp": Out(16),
            "o_count_good": Out(1),
            "o_count_symbol": Out(1),
            "o_count_runt": Out(1),
            "o_count_oversize": Out(1),
            "o_count_fcs": Out(1),
            "o_count_preamble": Out(1),
        })
        # Where the next word stands, and sums over the frame; here so that the proofs may name it
        self.after_start = Signal()     # the whole preamble was in the word before
        self.after_half = Signal()      # its first half was, in lanes 4 to 7
        self.inside = Signal()          # the word before was the frame's and did not end it
        self.running = Signal(32, reset_less=True)
        self.length = Signal(_LENGTH_BITS, reset_less=True)

    def elaborate(self, platform):
        m = Module()

        word = self.i.payload
        low_data, high_data = word.data[:32], word.data[32:]
        low_control, high_control = word.control[:4], word.control[4:]

        def is_column(data, control, characters):
            expected_data, expected_control = column(characters)
            return (data == expected_data) & (control == expected_control)

        begin_column = [Character.START, *[PREAMBLE] * 3]
        end_column = [*[PREAMBLE] * 3, SFD]
        low_begins = is_column(low_data, low_control, begin_column)
        high_begins = is_column(high_data, high_control, begin_column)
        low_completes = is_column(low_data, low_control, end_column)
        high_completes = is_column(high_data, high_control, end_column)

        def claims(data, control):
            return control[0] & (data[:8] == Character.START)

        # Stage 0: where in a frame does this word stand?
        after_start, after_half, inside = self.after_start, self.after_half, self.inside

        begins = low_begins & high_completes
        in_frame = Signal()
        m.d.comb += in_frame.eq(after_start | inside | after_half & low_completes)

        # Lanes before the first control character, as a thermometer.
        is_octet = Signal(LANES)
        m.d.comb += is_octet.eq(Cat(~word.control[:lane + 1].any() for lane in range(LANES)))
        is_frame = Signal(LANES)
        m.d.comb += is_frame.eq(is_octet & Mux(after_half, 0xf0, 0xff))
        first_control = [word.control[lane] & (is_octet[lane - 1] if lane else 1)
                         for lane in range(LANES)]
        ended = word.control.any()
        terminated = Cat(first_control[lane] & (word.data.word_select(lane, 8)
                                                == Character.TERMINATE)
                         for lane in range(LANES)).any()

        end = Signal(range(LANES + 1))
        m.d.comb += end.eq(LANES)
        for lane in reversed(range(LANES)):
            with m.If(word.control[lane]):
                m.d.comb += end.eq(lane)

        with m.If(self.i.valid):
            m.d.sync += [
                after_start.eq(begins),
                after_half.eq(high_begins),
                inside.eq(in_frame & ~ended),
            ]

        beat = self.o.payload
        beat_terminated = Signal()
        m.d.sync += [
            self.o.valid.eq(self.i.valid & in_frame),
            beat.data.eq(Cat(Mux(is_frame[lane], word.data.word_select(lane, 8), 0)
                             for lane in range(LANES))),
            beat.begin.eq(Mux(after_half, 4, 0)),
            beat.end.eq(end),
            beat.first.eq(~inside),
            beat.last.eq(ended),
            beat_terminated.eq(terminated),
            self.o_stamp.eq(self.i_stamp),
            self.o_count_preamble.eq(self.i.valid & (
                claims(low_data, low_control) & ~begins
                | claims(high_data, high_control) & ~high_begins
                | after_half & ~low_completes)),
        ]

        # Stage 1: CRC over the beat. Lanes that do not belong to the frame are zero: before it they
        # are made up for by the initial value, behind it by the residue to compare with. So one CRC
        # serves every lane and every length.
        running = self.running
        after_beat = Signal(32)
        m.d.comb += after_beat.eq(crc_step(running, beat.data, LANES))
        with m.If(after_half):
            m.d.sync += running.eq(Const(state_before_zeros(INITIAL, 4), 32))
        with m.Elif(after_start):
            m.d.sync += running.eq(INITIAL)
        with m.Elif(self.o.valid):
            m.d.sync += running.eq(after_beat)

        length = self.length
        length_before = Mux(beat.first, 0, length)
        length_sum = Signal(_LENGTH_BITS + 1)
        m.d.comb += length_sum.eq(length_before + (beat.end - beat.begin).as_unsigned()[:4])

        index = Signal(2, reset_less=True)      # of the beat, stops at 3
        tags = Signal(2, reset_less=True)       # thermometer
        here = Mux(beat.first, 0, index)
        tag_low, tag_high = (
            Cat(Cat(beat.data.word_select(lane + 1, 8), beat.data.word_select(lane, 8)) == protocol
                for protocol in _TAG_PROTOCOLS).any() for lane in (0, 4))
        shifted = Signal(reset_less=True)       # the frame began in lane 4
        with m.If(self.o.valid):
            m.d.sync += [
                length.eq(Mux(length_sum[-1], ~0, length_sum)),
                index.eq(here + (here != 3)),
            ]
            with m.If(beat.first):
                m.d.sync += [shifted.eq(beat.begin[2]), tags.eq(0)]
            with m.Elif(~shifted & (index == 1)):
                m.d.sync += tags[0].eq(tag_high)        # bytes 12 and 13
            with m.Elif(~shifted & (index == 2)):
                m.d.sync += tags[1].eq(tags[0] & tag_low)
            with m.Elif(shifted & (index == 2)):
                m.d.sync += [tags[0].eq(tag_low), tags[1].eq(tag_low & tag_high)]

        # Stage 2: the frame's last beat has been added up.
        limit = Signal(_LENGTH_BITS + 1, reset_less=True)
        m.d.sync += limit.eq(self.max_length + Cat(Const(0, 2), tags[0] & ~tags[1], tags[1]))

        finished = Signal()
        whole = Signal(reset_less=True)
        stamp = Signal(16, reset_less=True)
        checked = Signal(32, reset_less=True)
        tail = Signal(3, reset_less=True)
        m.d.sync += [
            finished.eq(self.o.valid & beat.last),
            whole.eq(beat_terminated),
            stamp.eq(self.o_stamp),
            checked.eq(after_beat),
            tail.eq(beat.end),
        ]
        residues = Array(Const(residue(LANES - lanes), 32) for lanes in range(LANES))
        fcs_error = checked != residues[tail]
        runt = length < 64
        oversize = length > limit

        # Stage 3: the verdict.
        verdict = self.o_end.payload
        m.d.sync += [
            self.o_end.valid.eq(finished),
            self.o_end_stamp.eq(stamp),
            verdict.symbol_error.eq(~whole),
            verdict.runt.eq(whole & runt),
            verdict.oversize.eq(whole & oversize),
            verdict.fcs_error.eq(whole & fcs_error),
            verdict.good.eq(whole & ~runt & ~oversize & ~fcs_error),
            verdict.length.eq(length),
        ]
        m.d.comb += [
            self.o_count_good.eq(self.o_end.valid & verdict.good),
            self.o_count_symbol.eq(self.o_end.valid & verdict.symbol_error),
            self.o_count_runt.eq(self.o_end.valid & verdict.runt),
            self.o_count_oversize.eq(self.o_end.valid & verdict.oversize & ~verdict.runt),
            self.o_count_fcs.eq(self.o_end.valid & verdict.fcs_error & ~verdict.runt
                                & ~verdict.oversize),
        ]
        return m
