"""What is new in a segment's payload goes to the host, byte by byte in order."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out
from tickwire.hdl.stream.packet import packet_stream
from tickwire.hdl.tcp.segment import SESSION_BITS

__all__ = ["Portion", "Delivery"]

_LANES = 8


class Portion(data.Struct):
    """Which bytes of the payload in front are delivered."""

    session: SESSION_BITS
    skip: 11                # bytes at its head that came before
    take: 11                # bytes after them; 0: none, the payload is dropped


class _State(enum.Enum, shape=2):
    IDLE = 0
    DROP = 1        # to the payload's end
    FIRST = 2       # the first beat with bytes to deliver is awaited
    FOLLOW = 3      # a beat is kept; the next one completes it


class Delivery(wiring.Component):
    """Takes one payload from ``i`` for each portion, and delivers the bytes asked for.

    Bytes are moved to begin in lane 0. ``i`` begins there, too.

    Latency: ``i_portion`` accepted → first beat offered 2 cycles + skip // 8, one more if bytes
    are moved and the portion ends in a later beat of ``i``; then a beat a cycle. Ready for the next
    portion when the payload is gone and all is delivered.

    Members
    -------
    i_portion : In, stream(Portion)
        ``skip`` + ``take`` is at most the payload's length.
    i : In, packet_stream(8)
    o : Out, packet_stream(8)
    o_session : Out, 6 bits
        Whose bytes ``o`` are.
    """

    i_portion: In(stream.Signature(Portion))
    i: In(packet_stream(_LANES))
    o: Out(packet_stream(_LANES))
    o_session: Out(SESSION_BITS)

    def elaborate(self, platform):
        m = Module()
        state = Signal(_State)
        whole, shift = Signal(8), Signal(3)     # beats to skip, then bytes
        left, first = Signal(11), Signal()
        kept = Signal(8 * _LANES)
        ended = Signal()                        # the payload's last beat is taken

        beat, out = self.i.payload, self.o.payload
        free = ~self.o.valid | self.o.ready
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)

        def deliver(bytes_, *, last):
            m.d.sync += [
                self.o.valid.eq(1), out.data.eq(bytes_), out.begin.eq(0), out.first.eq(first),
                out.last.eq(last), out.end.eq(Mux(last, left, _LANES)),
                left.eq(left - _LANES), first.eq(0),
            ]

        room = Signal(4)            # bytes in `kept` that are still to be delivered
        m.d.comb += room.eq(_LANES - shift)
        moved = Signal(8 * _LANES)
        m.d.comb += moved.eq(Cat(kept, beat.data) >> (shift << 3))

        with m.Switch(state):
            with m.Case(_State.IDLE):
                m.d.comb += self.i_portion.ready.eq(free)
                portion = self.i_portion.payload
                with m.If(self.i_portion.valid & free):
                    m.d.sync += [self.o_session.eq(portion.session), left.eq(portion.take),
                                 whole.eq(portion.skip[3:]), shift.eq(portion.skip[:3]),
                                 first.eq(1), ended.eq(0),
                                 state.eq(Mux(portion.take == 0, _State.DROP, _State.FIRST))]
            with m.Case(_State.DROP):
                m.d.comb += self.i.ready.eq(1)
                with m.If(self.i.valid & beat.last):
                    m.d.sync += state.eq(_State.IDLE)
            with m.Case(_State.FIRST):
                m.d.comb += self.i.ready.eq(free)
                with m.If(self.i.valid & free):
                    m.d.sync += [kept.eq(beat.data), ended.eq(beat.last)]
                    with m.If(whole != 0):
                        m.d.sync += whole.eq(whole - 1)
                    with m.Else():
                        with m.If(left <= room):        # all of it is in this beat
                            deliver(beat.data >> (shift << 3), last=1)
                            m.d.sync += state.eq(Mux(beat.last, _State.IDLE, _State.DROP))
                        with m.Elif(shift == 0):
                            deliver(beat.data, last=0)
                        with m.Else():
                            m.d.sync += state.eq(_State.FOLLOW)
            with m.Case(_State.FOLLOW):
                tail = left <= room                     # `kept` alone has them
                m.d.comb += self.i.ready.eq(free & ~tail)
                with m.If(free & tail):
                    deliver(kept >> (shift << 3), last=1)
                    m.d.sync += state.eq(Mux(ended, _State.IDLE, _State.DROP))
                with m.Elif(free & self.i.valid):
                    m.d.sync += [kept.eq(beat.data), ended.eq(beat.last)]
                    deliver(moved, last=left <= _LANES)
                    with m.If(left <= _LANES):
                        m.d.sync += state.eq(Mux(beat.last, _State.IDLE, _State.DROP))
        return m
