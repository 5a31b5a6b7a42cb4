"""The bytes of a TCP session become messages again."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from tickwire.hdl.feed.window import pick
from tickwire.hdl.stream.packet import Packet, packet_stream, strobe

__all__ = ["LANES", "MessageFramer"]

LANES = 8
_WORDS = 16             # of bytes that wait
_SPACE = _WORDS * LANES


class MessageFramer(wiring.Component):
    """Cuts a session's bytes into messages, each of which begins in lane 0 of a beat of its own.

    A message comes out with its header and its padding. Bytes wait in a ring in which every byte
    of the stream has the lane that its number in the stream gives it, so that a chunk is turned
    once when it is written and a message once when it is read. The header of the next message is
    looked at while the one before is read.

    A beat holds bytes of one message only, so a message of n bytes takes ceil(n / 8) cycles, two
    at least, and ``i.ready`` falls when 121 bytes or more wait: never for messages that are padded
    to 8 bytes. Nothing else makes the sender wait, but ``i_hold``.

    An impossible length, or a wrong marker, means that nobody knows where the next message begins:
    the framing is lost. What comes then is thrown away, until ``i_reset``.

    Latency: beat with the length's last byte → first beat of ``o`` 4 cycles, if by then its bytes
    are there and no beat of another message is due; beat with a later 8 bytes, or the last ones,
    2 cycles, or one behind the beat before. The length's last byte → ``o_lost`` 3 cycles, if the
    message before has been read.

    Parameters
    ----------
    framing : Framing

    Members
    -------
    i : In, packet_stream(8)
        The session's bytes in chunks of any size, each from lane 0 on. Where chunks begin and end
        means nothing.
    i_reset : In, 1 bit
        Another connection begins: forget everything, the beat of this cycle included.
    i_hold : In, 1 bit
        Begin no message; one that has begun goes on.
    o : Out, strobe(Packet(8))
        From registers. A beat that is not its message's last is full.
    o_lost : Out, 1 bit
        The framing is lost.
    o_count_lost : Out, 1 bit
        It has just been lost.
    """

    def __init__(self, framing):
        self._framing = framing
        super().__init__({
            "i": In(packet_stream(LANES)),
            "i_reset": In(1),
            "i_hold": In(1),
            "o": Out(strobe(Packet(LANES))),
            "o_lost": Out(1),
            "o_count_lost": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        framing = self._framing
        place = range(_SPACE)
        writing, reading, waiting = Signal(place), Signal(place), Signal(range(_SPACE + 1))
        start = Signal(place)       # of the next message
        lanes = [Memory(shape=8, depth=_WORDS, init=[]) for _ in range(LANES)]

        def read(lane, where):
            """The byte of a lane that is among the eight from a place on."""
            port = lanes[lane].read_port(domain="comb")
            m.d.comb += port.addr.eq(where[3:] + (where[:3] > lane))
            return port.data

        def turned(row, where, count=LANES):
            """Bytes of a row, the one at a place first."""
            return [pick([row[(lane + turn) % LANES] for turn in range(LANES)], where[:3])
                    for lane in range(count)]

        # Write: all eight lanes, for lanes behind the chunk's end are written again.
        taken, data = self.i.valid & self.i.ready & ~self.o_lost, self.i.payload.data
        m.d.comb += self.i.ready.eq(self.o_lost | (waiting <= _SPACE - LANES))
        for lane, memory in enumerate(lanes):
            m.submodules[f"lane_{lane}"] = memory
            port = memory.write_port()
            m.d.comb += [
                port.en.eq(taken),
                port.addr.eq(writing[3:] + (writing[:3] > lane)),
                port.data.eq(pick([data.word_select((lane - turn) % LANES, 8)
                                   for turn in range(LANES)], writing[:3])),
            ]
        gained = Mux(taken, self.i.payload.end, 0)
        with m.If(taken):
            m.d.sync += writing.eq(writing + self.i.payload.end)

        # The header of the next message is looked at before its turn, while another one is read.
        at = framing.length.offset
        size_of_field = framing.length.size
        beyond = Signal(signed(19))         # bytes from `start` on; negative: not yet there
        seen, marked = Signal(), Signal()
        length = Signal(16)
        peeked = turned([read(lane, start) for lane in range(LANES)], start, at + size_of_field)
        octets = peeked[at:]
        begins = Signal()
        m.d.sync += [
            seen.eq((seen | (beyond >= at + size_of_field)) & ~begins),
            length.eq(Cat(octets if framing.byteorder == "little" else octets[::-1])),
            marked.eq(1 if framing.marker is None else peeked[0] == framing.marker),
        ]
        wrong = ~marked | (length < framing.smallest - framing.outside) | (
            length > framing.largest - framing.outside)
        size = Signal(17)
        m.d.comb += size.eq((length + framing.outside + framing.alignment - 1)
                            & -framing.alignment)

        # The message whose turn it is.
        inside, first, ends = Signal(), Signal(), Signal()
        left = Signal(range(framing.largest + framing.alignment))
        gives, count = Signal(), Signal(range(LANES + 1))
        m.d.comb += [
            gives.eq(inside & ((waiting >= LANES) | ends & (waiting[:4] >= left[:4]))),
            count.eq(Mux(ends, left, LANES)),
            begins.eq(seen & ~wrong & ~self.i_hold & (~inside | gives & ends)),
        ]
        m.d.sync += [
            self.o.valid.eq(gives),
            self.o.payload.data.eq(Cat(turned([read(lane, reading) for lane in range(LANES)],
                                              reading))),
            self.o.payload.first.eq(first),
            self.o.payload.last.eq(ends),
            self.o.payload.end.eq(count),
            waiting.eq(waiting + gained - Mux(gives, count, 0)),
            beyond.eq(beyond + gained - Mux(begins, size, 0)),
            self.o_count_lost.eq(0),
        ]
        with m.If(gives):
            m.d.sync += [
                reading.eq(reading + count), first.eq(0), inside.eq(~ends),
                left.eq(left - LANES), ends.eq(left <= 2 * LANES),
            ]
        with m.If(begins):
            m.d.sync += [
                start.eq(start + size), inside.eq(1), first.eq(1), left.eq(size),
                ends.eq(size <= LANES),
            ]
        with m.If(seen & wrong & (~inside | gives & ends) & ~self.o_lost):
            m.d.sync += [self.o_lost.eq(1), self.o_count_lost.eq(1), inside.eq(0)]
        with m.If(self.i_reset):
            m.d.sync += [register.eq(0) for register in (
                writing, reading, start, waiting, beyond, seen, inside, self.o.valid,
                self.o_lost, self.o_count_lost)]
        return m
