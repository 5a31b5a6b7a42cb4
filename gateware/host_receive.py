"""Received frames, and what TCP sessions have received, for the ring in the host's memory."""

from amaranth.hdl import C, Cat, Module, Mux, Signal
from amaranth.lib import enum, stream, wiring
from amaranth.lib.wiring import In, Out
from tickwire.gateware.records import FRAME_HEADER_BYTES
from tickwire.hdl.csr.frame import FrameWord
from tickwire.hdl.phy.xgmii import LANES
from tickwire.hdl.stream.packet import Packet, packet_stream, strobe
from tickwire.hdl.tcp.connection import Consumed
from tickwire.hdl.tcp.segment import SESSION_BITS

__all__ = ["HostReceive"]


class _State(enum.Enum, shape=2):
    HEAD = 0        # a frame's first beat waits
    BODY = 1
    END = 2         # the header's second word
    DROP = 3        # up to the frame's last beat


class HostReceive(wiring.Component):
    """Turns frames, and bytes of TCP sessions, into words of the host's frame ring.

    A host that does not take its frames must not stop those that hardware answers: a frame that
    finds no free slot is dropped whole and counted, so that ``i`` waits for one packet of
    ``i_data`` and two cycles a frame at most. Bytes of a session were acknowledged, so they wait.
    Where both wait they take turns.

    Latency: first beat offered → first word 1 cycle; n beats take n + 2 cycles.

    Parameters
    ----------
    slot : int
        Bytes of a slot, a multiple of 8.

    Members
    -------
    i : In(packet_stream(8))
        Frames without FCS.
    i_data : In(packet_stream(8))
        What sessions have received, at most a slot at a time.
    i_data_session : In(6)
        Stands with ``i_data``.
    cycle : In(64)
    ring, consumed : In(32)
        Slots that the host's ring holds, 0: there is none; slots that the host has given back,
        modulo 2^32.
    o : Out(strobe(FrameWord))
    o_produced : Out(32)
        Slots filled, modulo 2^32.
    o_consumed : Out(stream(Consumed))
        So many bytes of a session stand in the ring. The next ones wait until it is taken.
    o_count_passed, o_count_no_room, o_count_too_long : Out(1)
        Of each frame of ``i`` one: it went into a slot, no slot was free, a slot is too short for
        it.
    """

    def __init__(self, slot):
        self._capacity = (slot - FRAME_HEADER_BYTES) // LANES
        super().__init__({
            "i": In(packet_stream(LANES)),
            "i_data": In(packet_stream(LANES)),
            "i_data_session": In(SESSION_BITS),
            "cycle": In(64),
            "ring": In(32),
            "consumed": In(32),
            "o": Out(strobe(FrameWord)),
            "o_produced": Out(32),
            "o_consumed": Out(stream.Signature(Consumed)),
            "o_count_passed": Out(1),
            "o_count_no_room": Out(1),
            "o_count_too_long": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        out = self.o.payload
        state = Signal(_State)
        from_session, session = Signal(), Signal(SESSION_BITS)      # the packet is a session's
        source = Signal(8)
        beat = Packet(LANES)(Mux(from_session, self.i_data.payload, self.i.payload))
        valid, ready = Mux(from_session, self.i_data.valid, self.i.valid), Signal()
        m.d.comb += [
            self.i.ready.eq(ready & ~from_session),
            self.i_data.ready.eq(ready & from_session),
            source.eq(Mux(from_session, session + 1, 0)),
        ]
        # Slots that are full or being filled. A frame takes three cycles at least, so that `room`
        # knows of it when the next one comes.
        started, left, room = Signal(32), Signal(32), Signal()
        m.d.sync += [
            left.eq(self.ring - (started - self.consumed)),
            room.eq(left.any() & ~left[31]),
        ]
        beats = Signal(range(self._capacity + 1))
        length = Signal(16)
        fits = beats != self._capacity
        m.d.sync += [
            self.o.valid.eq(0),
            out.first.eq(0),
            out.last.eq(0),
            self.o_count_passed.eq(0),
            self.o_count_no_room.eq(0),
            self.o_count_too_long.eq(0),
        ]
        with m.If(self.o_consumed.ready):
            m.d.sync += self.o_consumed.valid.eq(0)
        data_waits = Signal()
        m.d.comb += data_waits.eq(self.i_data.valid & ~self.o_consumed.valid)
        with m.Switch(state):
            with m.Case(_State.HEAD):
                m.d.sync += [
                    out.word.eq(self.cycle), out.first.eq(1), beats.eq(0), length.eq(0),
                    from_session.eq(data_waits & room),
                    session.eq(self.i_data_session),
                ]
                with m.If((data_waits | self.i.valid) & room):
                    m.d.sync += [
                        self.o.valid.eq(1),
                        started.eq(started + 1),
                        state.eq(_State.BODY),
                    ]
                with m.Elif(self.i.valid):
                    m.d.sync += [self.o_count_no_room.eq(1), state.eq(_State.DROP)]

            with m.Case(_State.BODY):
                m.d.comb += ready.eq(1)
                m.d.sync += out.word.eq(beat.data)
                with m.If(valid):
                    m.d.sync += [
                        self.o.valid.eq(fits),
                        beats.eq(beats + 1),
                        length.eq(length + beat.end),
                    ]
                    with m.If(~fits):
                        m.d.sync += [
                            started.eq(started - 1),
                            self.o_count_too_long.eq(1),
                            state.eq(_State.DROP),
                        ]
                    with m.Elif(beat.last):
                        m.d.sync += state.eq(_State.END)
                    with m.If(~fits & beat.last):
                        m.d.sync += state.eq(_State.HEAD)

            with m.Case(_State.END):
                m.d.sync += [
                    out.word.eq(Cat(self.o_produced, length, source, C(0, 8))),
                    out.last.eq(1),
                    self.o.valid.eq(1),
                    self.o_produced.eq(self.o_produced + 1),
                    self.o_count_passed.eq(~from_session),
                    state.eq(_State.HEAD),
                ]
                with m.If(from_session):
                    m.d.sync += [
                        self.o_consumed.valid.eq(1),
                        self.o_consumed.payload.session.eq(session),
                        self.o_consumed.payload.length.eq(length),
                    ]

            with m.Case(_State.DROP):
                m.d.comb += ready.eq(1)
                with m.If(valid & beat.last):
                    m.d.sync += state.eq(_State.HEAD)
        return m
