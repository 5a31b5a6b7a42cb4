"""Makes the frames of the network edge out of a program, a job and what is in the buffer."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, enum, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from tickwire.hdl.ip.program import HEADER_BYTES, PROGRAMS, Program, Source
from tickwire.hdl.stream.packet import packet_stream

__all__ = ["ComposeJob", "FrameComposer", "TAILED", "starts"]

_LANES = 8
_WORDS = _LANES // 2
_TAIL_BEAT = HEADER_BYTES // _LANES     # beat in which the header ends; one word of it is in there

#: Programs behind whose header the buffer's contents follow, from the same byte on.
TAILED = (Program.ECHO_REPLY, Program.UDP_ECHO, Program.UDP)


class ComposeJob(data.Struct):
    """What a program may ask for. Numbers, first byte highest."""

    mac: 48
    address: 32
    source_port: 16
    destination_port: 16


class _RomStep(data.Struct):
    operand: 16
    source: Source
    in_header_sum: 1
    in_sum: 1
    emit: 1
    final: 1


class _State(enum.Enum, shape=2):
    IDLE = 0
    SUM = 1         # first pass through the program
    EMIT = 2        # second pass
    TAIL = 3        # from the buffer


def starts():
    """Program to its first row in the ROM."""
    table, at = {}, 0
    for program, steps in PROGRAMS.items():
        table[program] = at
        at += len(steps)
    return table


def _rom():
    return [{"operand": step.operand, "source": step.source,
             "in_header_sum": step.in_header_sum, "in_sum": step.in_sum, "emit": step.emit,
             "final": index == len(steps) - 1}
            for steps in PROGRAMS.values() for index, step in enumerate(steps)]


class FrameComposer(wiring.Component):
    """Goes through a program twice: to sum the words, and to send them with the checksums known.

    A step takes a cycle. The programs in ``TAILED`` go on with the buffer's contents, a beat a
    cycle; ``COPY`` is nothing else. Inputs other than ``i_start`` must stand from there to
    ``o_done``.

    Latency: ``i_start`` → first beat offered 3 cycles for ``COPY``, n + 11 for n steps.

    Parameters
    ----------
    depth : int
        Beats in the buffer, a power of two.

    Members
    -------
    i_start : In, 1 bit
        Not while a frame is in the making.
    i_program : In, Program
    i_job : In, ComposeJob
    i_mac, i_address : In, 48 and 32 bits
        Our own.
    i_length : In
        Bytes of the frame, for programs with a tail.
    i_payload_sum : In, 32 bits
        Sum of the payload's 16-bit words as they stand in the beats, for ``UDP``.
    i_continued, i_more : In, 1 bit
        ``COPY`` does not begin or does not end a frame.
    o_buffer : Out
        Read address, one cycle before ``i_buffer`` must have it, if ``o_buffer_read``.
    i_buffer : In, 64 bits
    o : Out, packet_stream(8)
    o_done : Out, 1 bit
        The last beat is being accepted.
    """

    def __init__(self, depth=512):
        self._depth = depth
        super().__init__({
            "i_start": In(1),
            "i_program": In(Program),
            "i_job": In(ComposeJob),
            "i_mac": In(48),
            "i_address": In(32),
            "i_length": In(range(depth * _LANES + 1)),
            "i_payload_sum": In(32),
            "i_continued": In(1),
            "i_more": In(1),
            "o_buffer": Out(range(depth)),
            "o_buffer_read": Out(1),
            "i_buffer": In(64),
            "o": Out(packet_stream(_LANES)),
            "o_done": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        table = starts()
        m.submodules.rom = rom = Memory(shape=_RomStep, depth=256, init=_rom())
        fetch = rom.read_port()

        state = Signal(_State)
        start = Signal(8)
        with m.Switch(self.i_program):
            for program, row in table.items():
                with m.Case(program):
                    m.d.comb += start.eq(row)
        tailed = Signal()
        m.d.comb += tailed.eq(Cat(self.i_program == program for program in TAILED).any()
                              & (self.i_length > HEADER_BYTES))

        # Everything moves unless a beat waits.
        beat = self.o.payload
        moves = Signal()
        closing = Signal()          # the beat on `o` is the last one
        m.d.comb += [
            moves.eq(~self.o.valid | self.o.ready),
            self.o_done.eq(self.o.valid & self.o.ready & closing),
            self.o_buffer_read.eq(moves),
        ]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += [self.o.valid.eq(0), beat.first.eq(0)]

        # Stage 1: the step is read. Stage 2: the word of the frame is. Stage 3: the word is there.
        row = Signal(8)
        present = Signal(4)
        step, executed = Signal(_RomStep), Signal(_RomStep)
        word = Signal(16)
        m.d.comb += [fetch.addr.eq(row), fetch.en.eq(moves)]
        header_sum, total = Signal(17), Signal(17)      # with the carry that is still to be added
        with m.If(moves):
            m.d.sync += [
                row.eq(row + 1),
                present[1:].eq(present[:3]),
                step.eq(fetch.data),
                executed.eq(step),
                word.eq(self._word(m, step, header_sum, total)),
            ]

        lane = Signal(range(_WORDS))
        runs = Signal()
        m.d.comb += runs.eq(moves & present[3])
        with m.If(runs):
            for accumulator, counts in ((header_sum, executed.in_header_sum),
                                        (total, executed.in_sum)):
                counted = counts & (state == _State.SUM)
                m.d.sync += accumulator.eq(
                    accumulator[:16] + (word & counted.replicate(16)) + accumulator[16])

        again = Signal()            # the program begins
        index = Signal(range(self._depth))
        reading, in_memory, at_end = Signal(), Signal(), Signal()
        keeps = Signal()            # a word of the header is in the tail's first beat
        last_byte = Signal.like(self.i_length)
        m.d.comb += last_byte.eq(self.i_length - 1)

        with m.Switch(state):
            with m.Case(_State.IDLE), m.If(self.i_start):
                m.d.sync += [
                    beat.first.eq(~self.i_continued), beat.last.eq(0), beat.end.eq(_LANES),
                    closing.eq(0), lane.eq(0), header_sum.eq(0), total.eq(0),
                ]
                with m.If(self.i_program == Program.COPY):
                    m.d.sync += [state.eq(_State.TAIL), reading.eq(1), index.eq(0),
                                 keeps.eq(0)]
                with m.Else():
                    m.d.comb += again.eq(1)
                    m.d.sync += state.eq(_State.SUM)
            with m.Case(_State.SUM), m.If(runs & executed.final):
                m.d.comb += again.eq(1)
                m.d.sync += state.eq(_State.EMIT)
            with m.Case(_State.EMIT):
                with m.If(runs & executed.emit):
                    m.d.sync += [
                        beat.data.word_select(lane, 16).eq(Cat(word[8:], word[:8])),
                        lane.eq(lane + 1),
                        self.o.valid.eq(lane == _WORDS - 1),
                    ]
                with m.If(runs & executed.final):
                    m.d.sync += present.eq(0)
                    with m.If(tailed):
                        m.d.sync += [state.eq(_State.TAIL), reading.eq(1),
                                     index.eq(_TAIL_BEAT), keeps.eq(1)]
                    with m.Else():
                        m.d.sync += [self.o.valid.eq(1), beat.last.eq(1), closing.eq(1),
                                     beat.end.eq(Cat(Const(0, 1), lane + 1))]
            with m.Case(_State.TAIL), m.If(moves):
                m.d.sync += [in_memory.eq(reading), at_end.eq(index == last_byte[3:])]
                with m.If(reading):
                    m.d.sync += [index.eq(index + 1), reading.eq(index != last_byte[3:])]
                with m.If(in_memory):
                    m.d.sync += [self.o.valid.eq(1), beat.data[16:].eq(self.i_buffer[16:]),
                                 keeps.eq(0)]
                    with m.If(~keeps):
                        m.d.sync += beat.data[:16].eq(self.i_buffer[:16])
                    with m.If(at_end):
                        m.d.sync += [closing.eq(1), beat.last.eq(~self.i_more),
                                     beat.end.eq(last_byte[:3] + 1)]
        with m.If(self.o_done):
            m.d.sync += state.eq(_State.IDLE)
        with m.If(again):
            m.d.sync += [row.eq(start), present.eq(1)]

        m.d.comb += self.o_buffer.eq(
            Mux(state == _State.TAIL, index, fetch.data.operand[2:]))
        return m

    def _word(self, m, step, header_sum, total):
        """The word that ``step`` asks for."""
        def words(value):
            return [value[at:at + 16] for at in reversed(range(0, len(value), 16))]

        job = self.i_job
        frame = self.i_buffer.word_select(step.operand[:2], 16)
        payload_sum = [Cat(part[8:], part[:8]) for part in
                       (self.i_payload_sum[:16], self.i_payload_sum[16:])]
        values = [
            step.operand, Cat(frame[8:], frame[:8]), *words(self.i_mac), *words(self.i_address),
            *words(job.mac), *words(job.address), job.source_port, job.destination_port,
            self.i_length + step.operand, ~header_sum[:16], ~total[:16],
            Mux(total[:16].all(), total[:16], ~total[:16]), *payload_sum, total[:16],
        ]
        word = Signal(16)
        with m.Switch(step.source):
            for source, value in zip(Source, values, strict=True):
                with m.Case(source):
                    m.d.comb += word.eq(value)
        return word
