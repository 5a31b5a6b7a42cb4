"""A frame, a datagram or a message that the host wrote, sent once or many times."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import enum, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from tickwire.hdl.phy.xgmii import LANES
from tickwire.hdl.stream.packet import packet_stream

__all__ = ["HostFrame", "HostFrameKind", "MINIMUM_LENGTH", "MAXIMUM_LENGTH"]

MINIMUM_LENGTH = 14         # bytes: addresses and type
MAXIMUM_LENGTH = 1514       # bytes without FCS
_SESSION_BITS = 6           # index of a TCP session
_WORD = 4                   # bytes that the host writes at a time


class HostFrameKind(enum.Enum, shape=2):
    """What the host wrote."""

    FRAME = 0
    DATAGRAM = 1            # a head (see ``DatagramDoor``) and a payload
    MESSAGE = 2             # for a TCP session


# Of each kind: least and most bytes, and by how much it becomes longer as a frame.
_BOUNDS = {
    HostFrameKind.FRAME: (MINIMUM_LENGTH, MAXIMUM_LENGTH, 0),
    HostFrameKind.DATAGRAM: (8, 8 + 1472, 42 - 8),
    HostFrameKind.MESSAGE: (1, 1460, 54),
}


class HostFrame(wiring.Component):
    """Buffer for one thing that the host sends, in words of 32 bits, and the sender of it.

    Byte n of the frame is byte n mod 4 (the least significant is 0) of word n div 4. The host must
    not write while ``o_busy``; what it writes then may or may not be in the frames that follow.

    Latency: ``i_send`` → first beat offered 3 cycles; then a beat a cycle, also from one repetition
    to the next.

    Parameters
    ----------
    depth_bytes : int
        Size of the buffer: a power of two, at least 2048.

    Members
    -------
    i_address : In
        Word to write, 0 … depth_bytes / 4 - 1.
    i_data : In, 32 bits
    i_enable : In, 1 bit
        Write ``i_data`` in this cycle.
    i_send : In, 1 bit
        Send what is in the buffer.
    i_length : In, 11 bits
        With ``i_send``: bytes without FCS, 14 to 1514. The MAC pads to 60. Of a datagram: bytes
        with its head, 8 to 1480. Of a message: 1 to 1460.
    i_kind : In, HostFrameKind
        With ``i_send``.
    i_session : In, 6 bits
        With ``i_send``: whose the message is.
    i_repeat : In, 16 bits
        With ``i_send``: how often; 0 is once, too.
    i_cap : In, 11 bits
        Longest frame allowed at present, in bytes without FCS. Read with ``i_send``; a frame that
        has been taken is sent with all its repetitions.
    i_stop : In, 1 bit
        No further repetition; the frame in progress is finished.
    o : Out, packet_stream(8)
    o_kind : Out, HostFrameKind
        What stands at ``o``.
    o_session : Out, 6 bits
        Whose message stands there.
    o_busy : Out, 1 bit
        From the cycle after ``i_send`` until the last beat has been accepted.
    o_count_refused : Out, 1 bit
        ``i_send`` was refused, in the cycle before: busy, or the length out of range.

    Raises
    ------
    ValueError
        If ``depth_bytes`` is not supported.
    """

    def __init__(self, depth_bytes=2048):
        if depth_bytes < 2048 or depth_bytes & (depth_bytes - 1):
            raise ValueError("HostFrame depth_bytes must be a power of two that holds a frame of "
                             f"{MAXIMUM_LENGTH} bytes, not {depth_bytes!r}")
        self._depth = depth_bytes
        super().__init__({
            "i_address": In(range(depth_bytes // _WORD)),
            "i_data": In(32),
            "i_enable": In(1),
            "i_send": In(1),
            "i_length": In(range(2048)),
            "i_kind": In(HostFrameKind),
            "i_session": In(_SESSION_BITS),
            "i_repeat": In(16),
            "i_cap": In(range(2048), init=MAXIMUM_LENGTH),
            "i_stop": In(1),
            "o": Out(packet_stream(LANES)),
            "o_kind": Out(HostFrameKind),
            "o_session": Out(_SESSION_BITS),
            "o_busy": Out(1),
            "o_count_refused": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        # Two words of the host's are one beat: each half has its own write enable.
        m.submodules.memory = memory = Memory(shape=8 * LANES, depth=self._depth // LANES, init=[])
        write = memory.write_port(granularity=8 * _WORD)
        read = memory.read_port()
        m.d.comb += [
            write.addr.eq(self.i_address[1:]),
            write.data.eq(self.i_data.replicate(2)),
            write.en.eq(Mux(self.i_enable, Mux(self.i_address[0], 0b10, 0b01), 0)),
        ]

        # Pipeline: address → memory → register. It stands still while the beat is not accepted.
        moves = Signal()
        m.d.comb += moves.eq(~self.o.valid | self.o.ready)
        reading = Signal()          # there are beats to read yet
        index = Signal(range(self._depth // LANES))
        final = Signal.like(index)              # beat with the frame's last byte
        final_end = Signal(range(LANES + 1))    # its bytes
        remaining = Signal(16)                  # repetitions after this one
        in_memory = Signal()                    # there is a beat at the memory's output
        memory_first, memory_last = Signal(), Signal()
        beat = self.o.payload

        at_final = index == final
        m.d.comb += [read.addr.eq(index), read.en.eq(moves), self.o_busy.eq(
            reading | in_memory | self.o.valid)]
        with m.If(moves):
            m.d.sync += [
                in_memory.eq(reading),
                memory_first.eq(index == 0),
                memory_last.eq(at_final),
                self.o.valid.eq(in_memory),
                beat.data.eq(read.data),
                beat.first.eq(memory_first),
                beat.last.eq(memory_last),
                beat.end.eq(Mux(memory_last, final_end, LANES)),
            ]
            with m.If(reading):
                m.d.sync += index.eq(index + 1)
                with m.If(at_final):
                    m.d.sync += [
                        index.eq(0),
                        remaining.eq(remaining - 1),
                        reading.eq((remaining != 0) & ~self.i_stop),
                    ]
        with m.If(self.i_stop):
            m.d.sync += remaining.eq(0)

        allowed = Signal()
        with m.Switch(self.i_kind):
            for kind, (least, most, headers) in _BOUNDS.items():
                with m.Case(kind):
                    m.d.comb += allowed.eq((self.i_length >= least) & (self.i_length <= most)
                                           & (self.i_length + headers <= self.i_cap))
        m.d.sync += self.o_count_refused.eq(self.i_send & (self.o_busy | ~allowed))
        with m.If(self.i_send & ~self.o_busy & allowed):
            m.d.sync += [
                reading.eq(1),
                index.eq(0),
                final.eq((self.i_length - 1)[3:]),
                final_end.eq((self.i_length - 1)[:3] + 1),
                self.o_kind.eq(self.i_kind),
                self.o_session.eq(self.i_session),
                remaining.eq(Mux(self.i_repeat == 0, 0, self.i_repeat - 1)),
            ]
        return m
