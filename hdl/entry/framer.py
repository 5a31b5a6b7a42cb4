"""The bytes of a TCP session become messages again."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from tickwire.hdl.feed.window import pick
from tickwire.hdl.stream.packet import Packet, packet_stream, strobe

__all__ = ["LANES", "MessageFramer"]

LANES = 8
_WORDS = 4              # of bytes that wait
_SPACE = _WORDS * LANES


class MessageFramer(wiring.Component):
    """Cuts a session's bytes into messages, each of which begins in lane 0 of a beat of its own.

    A message comes out with its header and its padding. Bytes wait in a ring in which every byte
    of the stream has the lane that its number in the stream gives it, so that a chunk is turned
    once when it is written and a message once when it is read.

    A beat holds bytes of one message only, so a message of n bytes takes ceil(n / 8) cycles, and
    ``i.ready`` falls when 25 bytes or more wait: never for messages that are padded to 8 bytes.
    Nothing else makes the sender wait, but ``i_hold``.

    An impossible length, or a wrong marker, means that nobody knows where the next message begins:
    the framing is lost. What comes then is thrown away, until ``i_reset``.

    Latency: beat with a message's next 8 bytes, or its last ones → ``o`` 2 cycles, if no beat of
    another message is due; then a beat a cycle. The length's last byte → ``o_lost`` 2 cycles.

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
        ring = [[Signal(8, name=f"byte_{word}_{lane}", reset_less=True) for lane in range(LANES)]
                for word in range(_WORDS)]

        # Write: all eight lanes, for lanes behind the chunk's end are written again.
        taken = self.i.valid & self.i.ready & ~self.o_lost
        data, lane_in, word_in = self.i.payload.data, writing[:3], writing[3:]
        m.d.comb += self.i.ready.eq(self.o_lost | (waiting <= _SPACE - LANES))
        for lane in range(LANES):
            octet = pick([data.word_select((lane - turn) % LANES, 8) for turn in range(LANES)],
                         lane_in)
            where = (word_in + (lane_in > lane))[:len(word_in)]
            for word in range(_WORDS):
                with m.If(taken & (where == word)):
                    m.d.sync += ring[word][lane].eq(octet)

        # Read: the next eight bytes of the stream, in lane 0 the first of them.
        lane_out, word_out = reading[:3], reading[3:]
        row = [pick([ring[word][lane] for word in range(_WORDS)],
                    (word_out + (lane_out > lane))[:len(word_out)]) for lane in range(LANES)]
        shown = Cat(pick([row[(lane + turn) % LANES] for turn in range(LANES)], lane_out)
                    for lane in range(LANES))

        # How long the message is that may begin here.
        at = framing.length.offset
        octets = [shown.word_select(at + byte, 8) for byte in range(framing.length.size)]
        length = Cat(octets if framing.byteorder == "little" else octets[::-1])
        size = Signal(17)
        m.d.comb += size.eq((length + framing.outside + framing.alignment - 1)
                            & -framing.alignment)
        wrong = (length < framing.smallest - framing.outside) | (
            length > framing.largest - framing.outside)
        if framing.marker is not None:
            wrong |= shown[:8] != framing.marker

        inside, rest = Signal(), Signal(range(framing.largest + framing.alignment))
        left = Signal(17)
        m.d.comb += left.eq(Mux(inside, rest, size))
        ends = left <= LANES
        whole = (waiting >= LANES) | (ends & (waiting[:3] >= left))
        begins = ~inside & ~self.i_hold & (waiting >= at + framing.length.size)
        gives = Signal()
        count = Signal(range(LANES + 1))
        m.d.comb += [
            gives.eq(whole & (inside | begins & ~wrong)),
            count.eq(Mux(ends, left, LANES)),
        ]
        m.d.sync += [
            self.o.valid.eq(gives),
            self.o.payload.data.eq(shown),
            self.o.payload.first.eq(~inside),
            self.o.payload.last.eq(ends),
            self.o.payload.end.eq(count),
            self.o_count_lost.eq(0),
            waiting.eq(waiting + Mux(taken, self.i.payload.end, 0) - Mux(gives, count, 0)),
        ]
        with m.If(taken):
            m.d.sync += writing.eq(writing + self.i.payload.end)
        with m.If(gives):
            m.d.sync += [
                reading.eq(reading + count),
                inside.eq(~ends),
                rest.eq(left - LANES),
            ]
        with m.If(begins & wrong & ~self.o_lost):
            m.d.sync += [self.o_lost.eq(1), self.o_count_lost.eq(1)]
        with m.If(self.o_lost):
            m.d.sync += self.o.valid.eq(Const(0, 1))
        with m.If(self.i_reset):
            m.d.sync += [register.eq(0) for register in (
                writing, reading, waiting, inside, self.o.valid, self.o_lost, self.o_count_lost)]
        return m
