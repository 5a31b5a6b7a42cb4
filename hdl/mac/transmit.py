"""Packet beats become frames on the XGMII: preamble, padding, FCS and inter-packet gap."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, enum, wiring
from amaranth.lib.wiring import In, Out
from tickwire.hdl.mac.crc import INITIAL, crc_step, state_before_zeros
from tickwire.hdl.phy.xgmii import (
    IDLE_WORD,
    LANES,
    PREAMBLE,
    SFD,
    Character,
    XgmiiWord,
    column,
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

    aborted: 1      # broken off, by request or because the source ran dry


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

    Latency: first beat offered → START word 1 cycle; first beat offered → its bytes 2 cycles; beat
    accepted → its bytes 1 cycle (in lane 4: half of them 2); ``i_abort`` → error word 1 cycle.
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
    i_abort : In, 1 bit
        Breaks off the frame in progress: acts from the cycle in which START stands on ``o`` up to
        the cycle before TERMINATE does. Ignored when idle.
    o : Out, XgmiiWord
        A word in every cycle. Registered.
    o_start : Out, 1 bit
        START stands on ``o``.
    o_done : Out, strobe(FrameDone)
        TERMINATE stands on ``o``.
    o_count_frames, o_count_aborted, o_count_underrun : Out, 1 bit
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
        self._gap = gap
        super().__init__({
            "i": In(packet_stream(LANES)),
            "i_abort": In(1),
            "o": Out(XgmiiWord, init={"data": IDLE_WORD.data, "control": IDLE_WORD.control}),
            "o_start": Out(1),
            "o_done": Out(strobe(FrameDone)),
            "o_count_frames": Out(1),
            "o_count_aborted": Out(1),
            "o_count_underrun": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        state = Signal(_State)
        in_beats = state == _State.BEATS

        # The beat as the wire wants it: padding is zero bytes after the source's last beat.
        beat = self.i.payload
        padding = Signal()          # the source's last beat has been taken, the frame is too short
        index = Signal(range(_PAD_BEAT + 2))    # of the beat, stops behind the pad beat
        at_pad = index == _PAD_BEAT
        closes = Signal()           # this beat is the last one, padding included
        end = Signal(range(LANES + 1))
        m.d.comb += [
            closes.eq((beat.last | padding) & (index >= _PAD_BEAT)),
            end.eq(Mux(~closes, LANES,
                       Mux(at_pad & (padding | (beat.end < _PAD_END)), _PAD_END, beat.end))),
        ]
        octets = Signal(8 * LANES)
        m.d.comb += octets.eq(Cat(
            Mux(~padding & (~beat.last | (lane < beat.end)), beat.data.word_select(lane, 8), 0)
            for lane in range(LANES)))

        # FCS. What must follow the last byte in the same word is computed for each length at once;
        # the rest comes a cycle later, out of the register that went on over zero bytes.
        crc = Signal(32, reset_less=True)
        m.d.sync += crc.eq(Mux(state == _State.IDLE, INITIAL, crc_step(crc, octets, LANES)))

        ends_at = [closes & (end == number) for number in range(LANES + 1)]

        def stream_byte(position):
            """Character at ``position`` of beat, FCS, TERMINATE, idle: (data, control)."""
            value = Mux(end > position, octets.word_select(position, 8), 0)
            for number in range(1, LANES):
                part = position - number
                if 0 <= part < _FCS:
                    fcs = ~crc_step(crc, octets, number, range(8 * part, 8 * part + 8))
                    value = value | Mux(ends_at[number], fcs, 0)
            terminates = ends_at[position - _FCS] if position > _FCS else Const(0)
            idles = Cat(ends_at[number] for number in range(1, LANES)
                        if number + _FCS < position).any()
            value = value | Mux(terminates, Character.TERMINATE, 0) | Mux(idles, Character.IDLE, 0)
            return value, terminates | idles

        now = [stream_byte(position) for position in range(LANES)]

        last_end = Signal(range(LANES + 1), reset_less=True)
        m.d.sync += last_end.eq(end)

        def late_byte(position):
            """The same a cycle after the last beat."""
            value = Const(0, 8)
            control = Const(1)
            for number in range(1, LANES + 1):
                part = position - number
                here = last_end == number
                if 0 <= part < _FCS:
                    fcs = ~state_before_zeros(crc, LANES - number)[8 * part:8 * part + 8]
                    value = value | Mux(here, fcs, 0)
                    control = control & ~here
                else:
                    character = Character.TERMINATE if part == _FCS else Character.IDLE
                    value = value | Mux(here, int(character), 0)
            return value, control

        late = [late_byte(position) for position in range(LANES, LANES + _FCS + 1)]

        def assemble(characters):
            return (Cat(value for value, _ in characters),
                    Cat(control for _, control in characters))

        idle = [(Const(int(Character.IDLE), 8), Const(1, 1))]
        terminate = [(Const(int(Character.TERMINATE), 8), Const(1, 1))]
        now_low, now_high = assemble(now[:4]), assemble(now[4:])
        late_low, late_high = assemble(late[:4]), assemble(late[4:] + idle * 3)
        idle_column = assemble(idle * 4)

        # In lane 4 everything is 4 bytes late: the upper half of each beat waits in `held`.
        shifted = Signal()
        held = (Signal(32, reset_less=True), Signal(4, reset_less=True))
        low, high = (Signal(32), Signal(4)), (Signal(32), Signal(4))
        word = self.o

        def put(target, characters):
            return [target[0].eq(characters[0]), target[1].eq(characters[1])]

        m.d.sync += [
            word.data.eq(Cat(low[0], high[0])),
            word.control.eq(Cat(low[1], high[1])),
            self.o_start.eq(0),
            self.o_done.valid.eq(0),
            self.o_count_frames.eq(0),
            self.o_count_aborted.eq(0),
            self.o_count_underrun.eq(0),
        ]

        # Gap: columns (4 characters) that must pass before START, counted from the word that is
        # being made. 0: lane 0 may have it, 1: lane 4.
        wait = Signal(range(self._gap // 4 + 2))
        deficit = Signal(2)

        def end_frame(lane, *, aborted):
            """TERMINATE is in lane ``lane`` of the word that is being made."""
            # START comes up to 3 characters early, or if that was too much lately, late by the rest
            # of the column: then the deficit goes down, which is what its overflow does.
            late_start = Signal()
            m.d.comb += late_start.eq(deficit + lane[:2] > 3)
            m.d.sync += [
                state.eq(_State.IDLE),
                wait.eq(self._gap // 4 - 2 + lane[2] + late_start),
                deficit.eq(deficit + lane[:2]),
                self.o_done.valid.eq(1),
                self.o_done.payload.aborted.eq(aborted),
                self.o_count_frames.eq(not aborted),
            ]

        underrun = in_beats & ~padding & ~self.i.valid
        m.d.comb += [
            # What is left of a frame that was broken off has no `first`.
            self.i.ready.eq(Mux(state == _State.IDLE, ~beat.first, in_beats & ~padding)),
            *put(low, idle_column), *put(high, idle_column),
        ]

        with m.Switch(state):
            with m.Case(_State.IDLE):
                begins = self.i.valid & beat.first & (wait <= 1)
                half = column([Character.START, *[PREAMBLE] * 3])
                rest = column([*[PREAMBLE] * 3, SFD])
                with m.If(begins):
                    m.d.sync += [
                        state.eq(_State.BEATS),
                        self.o_start.eq(1),
                        shifted.eq(wait[0]),
                        padding.eq(0),
                        index.eq(0),
                    ]
                    with m.If(wait[0]):
                        m.d.comb += put(high, half)
                    with m.Else():
                        m.d.comb += [*put(low, half), *put(high, rest)]
                with m.Else():
                    m.d.sync += wait.eq(Mux(wait <= 2, 0, wait - 2))
                    with m.If(wait <= 1):
                        m.d.sync += deficit.eq(0)       # a longer gap has made up for it
                m.d.sync += put(held, rest)

            with m.Case(_State.BEATS):
                with m.If(shifted):
                    m.d.comb += [*put(low, held), *put(high, now_low)]
                with m.Else():
                    m.d.comb += [*put(low, now_low), *put(high, now_high)]
                m.d.sync += put(held, now_high)
                with m.If(index <= _PAD_BEAT):
                    m.d.sync += index.eq(index + 1)
                with m.If(closes):
                    m.d.sync += state.eq(_State.TAIL)
                    with m.If(~shifted & (end < LANES - _FCS)):
                        end_frame((end + _FCS)[:3], aborted=False)
                with m.Elif(beat.last):
                    m.d.sync += padding.eq(1)

            with m.Case(_State.TAIL):
                with m.If(shifted):
                    m.d.comb += [*put(low, held), *put(high, late_low)]
                    with m.If(last_end == LANES):
                        m.d.sync += state.eq(_State.TERMINATE)
                    with m.Else():
                        end_frame(last_end[:3], aborted=False)
                with m.Else():
                    m.d.comb += [*put(low, late_low), *put(high, late_high)]
                    end_frame((last_end + _FCS)[:3], aborted=False)

            with m.Case(_State.TERMINATE):
                m.d.comb += put(low, assemble(terminate + idle * 3))
                end_frame(Const(0, 3), aborted=False)

        broken_off = word_const([Character.ERROR] * 4 + [Character.TERMINATE]
                                + [Character.IDLE] * 3)
        with m.If((state != _State.IDLE) & (self.i_abort | underrun)):
            m.d.sync += word.eq(broken_off)
            end_frame(Const(4, 3), aborted=True)
            m.d.sync += [
                self.o_count_aborted.eq(self.i_abort),
                self.o_count_underrun.eq(~self.i_abort),
            ]
        return m
