"""Packet beats become frames on the XGMII: preamble, padding, FCS and inter-packet gap."""

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, enum, wiring
from amaranth.lib.wiring import In, Out
from tickwire.hdl.mac.crc import INITIAL, crc_step, state_before_zeros
from tickwire.hdl.mac.gap import InterPacketGap
from tickwire.hdl.phy.xgmii import (
    IDLE_WORD,
    LANES,
    PREAMBLE,
    REMOTE_FAULT,
    SFD,
    Character,
    XgmiiWord,
    word_const,
)
from tickwire.hdl.stream.packet import packet_stream, strobe

__all__ = ["MacTransmit", "FrameDone"]

_FCS = 4            # bytes
_MINIMUM = 60       # bytes without FCS (IEEE 802.3-2022, 4A.4.2: minFrameSize is 64)
_PAD_BEAT = (_MINIMUM - 1) // LANES             # beat that holds the last byte of a padded frame
_PAD_END = _MINIMUM - _PAD_BEAT * LANES         # bytes of it that the frame must have


class FrameDone(data.Struct):
    """What became of a frame that was sent."""

    aborted: 1      # broken off or thrown away: by request, ran dry, link fault


class _State(enum.Enum, shape=2):
    IDLE = 0
    BEATS = 1       # from the source, or padding
    TAIL = 2        # rest of the FCS
    TERMINATE = 3   # a word of its own for TERMINATE


class MacTransmit(wiring.Component):
    """Transmit half of a 10 Gb/s MAC (IEEE 802.3-2022, 4.2.8 and clause 46).

    Frames are padded to 60 bytes and get their FCS. Between TERMINATE and START there are ``gap``
    characters on average, TERMINATE counted (46.2.1): START may come up to 3 characters early as
    long as that is made up for later (deficit idle count, 46.3.1.4), so with ``gap`` = 12 it is
    9 to 15 under full load. After a longer pause START stands in lane 0.

    Protocol: ``i`` holds a frame's first beat. As soon as the gap allows, ``o`` has START in the
    next cycle, and from that cycle on one beat is accepted in every cycle. If the source then
    has none, the frame is broken off. A frame that is broken off ends with error characters and
    TERMINATE, without FCS; the rest of its beats is taken and thrown away: the source must go on
    as far as ``last`` (or be silent, and come again with a ``first``).

    While the link is at fault, no frame begins (46.3.4): what is offered is thrown away and
    reported like a frame that was broken off. One in progress is broken off.

    Latency: first beat offered → START word 1 cycle; first beat offered → its bytes 2 cycles; beat
    accepted → its bytes 1 cycle (in lane 4: half of them 2); ``i_abort`` → error word 1 cycle.
    ``i_fault`` → no START from the second cycle on; error word, or Remote Fault, 2 cycles.
    Last beat accepted → TERMINATE word 1 cycle (up to 3 bytes in the beat, lane 0), 3 cycles
    (8 bytes, lane 4), else 2 cycles.

    Parameters
    ----------
    gap : int
        Average gap in characters under full load: a multiple of 4, 12 (the standard's) to 64.

    Members
    -------
    i : In, packet_stream(8)
        Frame from the destination address without FCS, ``begin`` = 0, ``end`` at least 1.
    i_goes_on : In, 1 bit
        ``i.valid``, of a frame that has begun: so a source whose first beat comes late in the cycle
        has a short way.
    i_abort : In, 1 bit
        Breaks off the frame in progress: acts from the cycle in which START stands on ``o`` up to
        the cycle before TERMINATE does. Ignored when idle.
    i_fault : In, 1 bit
        The link is at fault. Once it is over, a whole gap passes before START.
    i_remote_fault : In, 1 bit
        Remote Fault instead of idle between frames: the answer to a local fault.
    o : Out, XgmiiWord
        A word in every cycle. Registered.
    o_start : Out, 1 bit
        START stands on ``o``, or would but for the fault.
    o_done : Out, strobe(FrameDone)
        TERMINATE stands on ``o``, or the first beat was thrown away a cycle before.
    o_count_frames, o_count_aborted, o_count_underrun, o_count_fault : Out, 1 bit
        With ``o_done``, exactly one of them.

    Raises
    ------
    ValueError
        If ``gap`` is not supported.
    """

    def __init__(self, gap=12):
        if gap % 4 or not 12 <= gap <= 64:
            raise ValueError(f"MacTransmit gap must be a multiple of 4 from 12 to 64 characters, "
                             f"not {gap!r}")
        super().__init__({
            "i": In(packet_stream(LANES)),
            "i_goes_on": In(1),
            "i_abort": In(1),
            "i_fault": In(1),
            "i_remote_fault": In(1),
            "o": Out(XgmiiWord, init={"data": IDLE_WORD.data, "control": IDLE_WORD.control}),
            "o_start": Out(1),
            "o_done": Out(strobe(FrameDone)),
            "o_count_frames": Out(1),
            "o_count_aborted": Out(1),
            "o_count_underrun": Out(1),
            "o_count_fault": Out(1),
        })
        # State, here so that the proofs may name it
        self.gap = InterPacketGap(gap)
        self.state = Signal(_State)
        self.shifted = Signal()             # START was in lane 4
        self.at_pad, self.behind_pad = Signal(), Signal()
        self.padding = Signal()     # the source's last beat was taken, the frame is too short
        self.ended = Signal(LANES + 1, reset_less=True)
        self.held_octets = Signal(32, reset_less=True)
        self.held_controls = Signal(4, reset_less=True)
        self.fault, self.discarding = Signal(), Signal()

    def elaborate(self, platform):
        m = Module()
        m.submodules.gap = gap = self.gap
        state, shifted = self.state, self.shifted
        in_idle, in_beats = state == _State.IDLE, state == _State.BEATS
        in_tail = state == _State.TAIL
        # Registered once more, so that they cost the output's multiplexer no time.
        fault, remote_fault = self.fault, Signal()
        m.d.sync += [fault.eq(self.i_fault), remote_fault.eq(self.i_remote_fault)]
        m.d.comb += gap.i_hold.eq(self.i_fault | fault)

        # Where the frame ends. Padding is zero bytes after the source's last beat.
        beat = self.i.payload
        index = Signal(range(_PAD_BEAT))        # of the beat, up to the pad beat
        at_pad, behind_pad, padding = self.at_pad, self.behind_pad, self.padding
        keep = [~padding & ~(beat.last & (beat.end <= lane)) for lane in range(LANES)]
        ends = Signal(LANES + 1)    # bit n: this beat is the last one and has n bytes
        for number in range(1, LANES + 1):
            allowed = at_pad | behind_pad if number >= _PAD_END else behind_pad
            here = beat.last & (beat.end == number) & ~padding & allowed
            if number == _PAD_END:
                here |= at_pad & (padding | beat.last & (beat.end < _PAD_END))
            m.d.comb += ends[number].eq(here)
        closes = at_pad & padding | (at_pad | behind_pad) & beat.last
        ended = self.ended
        m.d.sync += ended.eq(ends)

        # FCS. What must follow the last byte in the same word is computed for each length at once;
        # the rest comes a cycle later, out of the register that went on over zero bytes.
        crc = Signal(32, reset_less=True)
        with m.If(in_idle):
            m.d.sync += crc.eq(INITIAL)
        with m.Else():
            m.d.sync += crc.eq(crc_step(crc, beat.data, LANES, keep=keep))

        # Beat, FCS, TERMINATE and idle are one row of characters. A character is a list of
        # (condition, octet), of which at most one holds, and the condition for being control.
        def now(position):
            """Positions 0 to 7, which hold the beat."""
            choices = [(keep[position], beat.data.word_select(position, 8))]
            for number in range(max(1, position - _FCS + 1), position + 1):
                part = position - number
                fcs = ~crc_step(crc, beat.data, number, range(8 * part, 8 * part + 8),
                                keep if number == _PAD_END else None)
                choices.append((ends[number], fcs))
            if position > _FCS:
                choices += [(ends[position - _FCS], Character.TERMINATE),
                            (ends[:position - _FCS].any(), Character.IDLE)]
            return choices, ends[:max(1, position - _FCS + 1)].any()

        def late(position):
            """Positions 8 to 12, a cycle after the last beat."""
            choices, first = [], position - _FCS
            for number in range(first + 1, LANES + 1):
                part = position - number
                fcs = ~state_before_zeros(crc, LANES - number)[8 * part:8 * part + 8]
                choices.append((ended[number], fcs))
            choices += [(ended[first], Character.TERMINATE), (ended[:first].any(), Character.IDLE)]
            return choices, ended[:first + 1].any()

        def fixed(*characters):
            return [([(Const(1), int(character))], Const(isinstance(character, Character)))
                    for character in characters]

        row = [now(position) for position in range(LANES)]
        late_row = [late(position) for position in range(LANES, LANES + _FCS + 1)]
        half = fixed(Character.START, *[PREAMBLE] * 3)
        rest = fixed(*[PREAMBLE] * 3, SFD)
        idle = fixed(*[Character.IDLE] * 7)
        # Between frames; `idle` stands behind a frame in its own word.
        pause = [([(Const(1), Mux(remote_fault, int(signal), Character.IDLE))],
                  Const(1) if lane == 0 else ~remote_fault)
                 for lane, signal in enumerate(REMOTE_FAULT)]
        terminate = fixed(Character.TERMINATE)

        # For each lane, all that may be there. All choices are gated and ORed at the same depth.
        lanes = [([], []) for _ in range(LANES)]
        held = [([], []) for _ in range(4)]

        def put(gate, first, characters, target=lanes):
            for (octets, controls), (choices, control) in zip(target[first:], characters,
                                                              strict=False):
                octets += [Mux(gate & condition, octet, 0) for condition, octet in choices]
                controls.append(gate & control)

        def merge(target, part):
            return [reduce(or_, lane[part]) for lane in target]

        # In lane 4 everything is 4 bytes late: the upper half of each beat waits a cycle.
        put(in_idle, 0, rest, held)
        put(in_beats, 0, row[4:], held)
        held_octets, held_controls = self.held_octets, self.held_controls
        m.d.sync += [held_octets.eq(Cat(octet[:8] for octet in merge(held, 0))),
                     held_controls.eq(Cat(merge(held, 1)))]
        held_row = [([(Const(1), held_octets.word_select(lane, 8))], held_controls[lane])
                    for lane in range(4)]

        begins = in_idle & self.i.valid & beat.first & gap.o_ready
        begins_low, begins_high = begins & ~gap.o_high, begins & gap.o_high
        # A frame offered at fault: its first beat is taken a cycle later, as it would be else.
        discards, discarding = Signal(), self.discarding
        m.d.comb += discards.eq(in_idle & self.i.valid & beat.first & fault & ~discarding)
        m.d.sync += discarding.eq(discards)
        put(in_idle, 0, pause)
        put(in_idle, 4, pause)
        put(in_beats & ~shifted, 0, row)
        put((in_beats | in_tail) & shifted, 0, held_row)
        put(in_beats & shifted, 4, row[:4])
        put(in_tail & ~shifted, 0, late_row + idle[:3])
        put(in_tail & shifted, 4, late_row[:4])
        put(state == _State.TERMINATE, 0, terminate + idle)

        # START and preamble are put over idle behind the registers: so an order that comes late in
        # its cycle has to reach two of them only.
        word = Signal(self.o.shape(), init=IDLE_WORD)
        starts = Signal(2)
        m.d.comb += self.o.eq(word)
        for gate, first, characters in ((starts[0], 0, half + rest), (starts[1], 4, half)):
            with m.If(gate):
                for lane, (choices, control) in enumerate(characters, first):
                    m.d.comb += [
                        self.o.data.word_select(lane, 8).eq(choices[0][1]),
                        self.o.control[lane].eq(control),
                    ]
        m.d.sync += [
            starts.eq(Cat(begins_low, begins_high)),
            word.data.eq(Cat(octet[:8] for octet in merge(lanes, 0))),
            word.control.eq(Cat(merge(lanes, 1))),
            self.o_start.eq(begins | discards),
            self.o_done.valid.eq(gap.i_end | discarding),
            self.o_done.payload.aborted.eq(discarding),
            self.o_count_frames.eq(gap.i_end),
            self.o_count_aborted.eq(0),
            self.o_count_underrun.eq(0),
            self.o_count_fault.eq(discarding),
        ]
        # What is left of a frame that was broken off has no `first`.
        m.d.comb += self.i.ready.eq(Mux(in_idle, ~beat.first | discarding, in_beats & ~padding))

        def end_frame(lane):
            m.d.comb += [gap.i_end.eq(1), gap.i_lane.eq(lane)]
            m.d.sync += state.eq(_State.IDLE)

        def number(one_hot):
            return Cat(Cat(one_hot[at] for at in range(LANES + 1) if at >> bit & 1).any()
                       for bit in range(3))

        with m.Switch(state):
            with m.Case(_State.IDLE):
                m.d.comb += gap.i_idle.eq(~begins)
                m.d.sync += [shifted.eq(gap.o_high), padding.eq(0), index.eq(0), at_pad.eq(0),
                             behind_pad.eq(0)]
                with m.If(begins):
                    m.d.sync += state.eq(_State.BEATS)

            with m.Case(_State.BEATS):
                m.d.sync += [
                    index.eq(index + 1),
                    at_pad.eq((index == _PAD_BEAT - 1) & ~at_pad & ~behind_pad),
                    behind_pad.eq(behind_pad | at_pad),
                    padding.eq(padding | beat.last),
                ]
                with m.If(closes):
                    m.d.sync += state.eq(_State.TAIL)
                with m.If(~shifted & ends[:_FCS].any()):
                    end_frame(Cat(number(ends)[:2], 1))

            with m.Case(_State.TAIL):
                with m.If(shifted & ended[LANES]):
                    m.d.sync += state.eq(_State.TERMINATE)
                with m.Else():
                    end_frame(number(ended) ^ Mux(shifted, 0, 4))

            with m.Case(_State.TERMINATE):
                end_frame(0)

        underrun = in_beats & ~padding & ~self.i_goes_on
        with m.If(~in_idle & (self.i_abort | fault | underrun)):
            m.d.sync += [
                word.eq(word_const([Character.ERROR] * 4 + [Character.TERMINATE]
                                     + [Character.IDLE] * 3)),
                self.o_done.payload.aborted.eq(1),
                self.o_done.valid.eq(1),
                self.o_count_frames.eq(0),
                self.o_count_aborted.eq(self.i_abort),
                self.o_count_fault.eq(fault & ~self.i_abort),
                self.o_count_underrun.eq(~fault & ~self.i_abort),
            ]
            end_frame(4)
        return m
