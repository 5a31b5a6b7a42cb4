"""Messages of the host's that wait to be sent, each as one segment."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from tickwire.hdl.ip.checksum import ChecksumTest
from tickwire.hdl.stream.packet import packet_stream
from tickwire.hdl.tcp.segment import LARGEST_SEGMENT, SESSION_BITS, Message
from tickwire.hdl.tcp.sums import fold

__all__ = ["MessageQueue"]

_LANES = 8
_SETTLING = 3           # cycles from a message's last beat to its sum
_LAST_WORD, _LAST_BYTES = divmod(LARGEST_SEGMENT, _LANES)
_MINIMUM_DEPTH = 256    # words: the largest message fits


class MessageQueue(wiring.Component):
    """A queue of packets that can be read again from the start of the one in front.

    A message stays in front until it is taken: one whose frame was broken off is still there. One
    that is empty, or too long for a segment, is dropped and counted.

    Latency: last beat → ``o`` 4 cycles if nothing else waits; ``o.ready`` → the next one on
    ``o`` 1 cycle; ``o.ready``, ``i_rewind``, ``i_next`` → ``o_word`` 1 cycle.

    Parameters
    ----------
    depth : int
        Words of 8 bytes, a power of two, at least 256.
    messages : int
        That may wait, at least 1.

    Members
    -------
    i : In, packet_stream(8)
        Payloads, ``begin`` = 0; an empty one is a beat with ``end`` = 0. It has to wait while the
        queue is full.
    i_session : In, 6 bits
        Stands with a payload's first beat.
    o : Out, stream of Message
        The one in front; ``ready`` takes it away.
    o_sum : Out, 16 bits
        Of its words as they stand in the beats.
    o_word : Out, 64 bits
        Of the message in front: the first one, and after each ``i_next`` the next one.
    i_next, i_rewind : In, 1 bit
    o_count_taken, o_count_refused : Out, 1 bit
        A message is in the queue; it was empty or too long. 3 cycles after its last beat.

    Raises
    ------
    ValueError
        If a parameter is not supported.
    """

    def __init__(self, depth=512, messages=16):
        if depth < _MINIMUM_DEPTH or depth & (depth - 1):
            raise ValueError(f"MessageQueue depth must be a power of two and at least "
                             f"{_MINIMUM_DEPTH} words, not {depth!r}")
        if messages < 1:
            raise ValueError(f"MessageQueue messages must be at least 1, not {messages!r}")
        self._depth = depth
        self._messages = messages
        super().__init__({
            "i": In(packet_stream(_LANES)),
            "i_session": In(SESSION_BITS),
            "o": Out(stream.Signature(Message)),
            "o_sum": Out(16),
            "o_word": Out(64),
            "i_next": In(1),
            "i_rewind": In(1),
            "o_count_taken": Out(1),
            "o_count_refused": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = Memory(shape=64, depth=self._depth, init=[],
                                              attrs={"no_rw_check": 1})
        write, read = memory.write_port(), memory.read_port()
        width = Message.as_shape().size
        m.submodules.waiting = waiting = SyncFIFO(width=width + 16, depth=self._messages)
        m.submodules.sum = total = ChecksumTest(LARGEST_SEGMENT // 2)

        # Pointers have a bit more than addresses, so that full and empty differ.
        pointer_shape = range(2 * self._depth)
        front, reading = Signal(pointer_shape), Signal(pointer_shape)
        whole, following = Signal(pointer_shape), Signal(pointer_shape)
        index = Signal(8)               # of the beat
        too_long = Signal()
        message = Signal(Message)
        settling = Signal(_SETTLING)
        refused = Signal()
        beat, taken, full = self.i.payload, Signal(), Signal()
        here = Mux(beat.first, 0, index)
        fits = Signal()
        m.d.comb += [
            full.eq((following - front)[:len(front)] == self._depth),
            self.i.ready.eq(~full & ~settling.any() & waiting.w_rdy),
            taken.eq(self.i.valid & self.i.ready),
            fits.eq((beat.first | ~too_long)
                    & ((here < _LAST_WORD) | (here == _LAST_WORD) & (beat.end <= _LAST_BYTES))),
            write.addr.eq(following),
            write.data.eq(beat.data),
            write.en.eq(taken & fits),
            total.i_valid.eq(taken),
            total.i_restart.eq(beat.first),
            total.i_data.eq(beat.data),
            total.i_mask.eq(Cat(beat.end > lane for lane in range(_LANES))),
        ]
        m.d.sync += settling.eq(settling << 1 | taken & beat.last)
        with m.If(taken):
            m.d.sync += [
                index.eq(here + 1),
                too_long.eq(~fits),
                following.eq(following + fits),
            ]
            with m.If(beat.first):
                m.d.sync += message.session.eq(self.i_session)
            with m.If(beat.last):
                bad = ~fits | beat.first & (beat.end == 0)
                m.d.sync += [message.length.eq((here << 3) + beat.end), refused.eq(bad)]
                with m.If(bad):
                    m.d.sync += following.eq(whole)
                with m.Else():
                    m.d.sync += whole.eq(following + 1)

        folded = Signal(16, reset_less=True)
        m.d.sync += folded.eq(fold(total.o_sum[:28]))
        m.d.comb += [
            waiting.w_data.eq(Cat(message, folded)),
            waiting.w_en.eq(settling[-1] & ~refused),
            self.o_count_taken.eq(settling[-1] & ~refused),
            self.o_count_refused.eq(settling[-1] & refused),
        ]

        # The other end
        moved = Signal(pointer_shape)
        behind = Signal(pointer_shape)
        takes = self.o.valid & self.o.ready
        m.d.comb += [
            Cat(self.o.payload, self.o_sum).eq(waiting.r_data),
            self.o.valid.eq(waiting.r_rdy),
            waiting.r_en.eq(self.o.ready),
            behind.eq(front + ((self.o.payload.length + _LANES - 1) >> 3)),
            moved.eq(Mux(takes, behind, Mux(self.i_rewind, front, reading + self.i_next))),
            read.addr.eq(moved),
            self.o_word.eq(read.data),
        ]
        m.d.sync += reading.eq(moved)
        with m.If(takes):
            m.d.sync += front.eq(behind)
        return m
