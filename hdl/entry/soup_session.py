"""A SoupBinTCP session, seen from the client: what the server says, and heartbeats."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import enum, wiring
from amaranth.lib.wiring import In, Out
from tickwire.hdl.entry.framer import LANES
from tickwire.hdl.entry.session_timers import SessionTimers
from tickwire.hdl.stream.packet import Packet, packet_stream, strobe
from tickwire.hdl.wire import soupbintcp

__all__ = ["SoupState", "SoupEvent", "SoupSession"]

_HEADER = soupbintcp.PACKET_HEADER
_SEQUENCE = soupbintcp.LOGIN_ACCEPTED["sequence"]
_FIRST_DIGIT = _HEADER.size + _SEQUENCE.offset
_ACCEPTED_SIZE = _HEADER.size + soupbintcp.LOGIN_ACCEPTED.size
_REJECTED_SIZE = _HEADER.size + soupbintcp.LOGIN_REJECTED.size
_HEARTBEAT = _HEADER.pack(length=1, type=soupbintcp.CLIENT_HEARTBEAT[0])
_LAST_BEAT = _ACCEPTED_SIZE // LANES


class SoupState(enum.Enum, shape=3):
    OUT = 0             # no answer to a login has come
    IN = 1
    REJECTED = 2
    ENDED = 3           # the server has ended the session: there is nothing more to come
    LOST = 4            # framing


class SoupEvent(enum.Enum, shape=4):
    """A packet has ended, or the framing was lost."""

    ACCEPTED = 0        # login
    REJECTED = 1
    SEQUENCED = 2
    UNSEQUENCED = 3
    HEARTBEAT = 4
    DEBUG = 5
    END = 6
    IMPROPER = 7        # of unknown type, of the wrong size, or at the wrong time


class SoupSession(wiring.Component):
    """Follows a session and keeps it alive; what it does not do is log in, which the host does.

    From the login on a heartbeat is asked for whenever nothing was sent for a period, whether the
    host is there or not. The number of the next sequenced message is taken from Login Accepted
    (20 digits; modulo 2**64) and counted on; while the digits are being read, ``o_hold`` keeps the
    messages behind it back.

    Latency: last beat → ``o_event`` and ``o_next`` 1 cycle; of Login Accepted 41 cycles. The tick
    with which a period is over → ``o`` 2 cycles, ``o_silent`` 1 cycle.

    Members
    -------
    i : In, strobe(Packet(8))
        From a ``MessageFramer``.
    i_lost : In, 1 bit
        Its ``o_lost``.
    i_reset : In, 1 bit
        Another connection begins.
    i_tick, i_heartbeat, i_silence : In
        See ``SessionTimers``.
    i_sent : In, 1 bit
        A segment with data of this session has left.
    o : Out, packet_stream(8)
        Client heartbeats.
    o_hold : Out, 1 bit
        For the framer's ``i_hold``.
    o_state : Out, SoupState
    o_next : Out, 64 bits
        Number of the next sequenced message. While one arrives, its number.
    o_reason : Out, 8 bits
        Letter of the last Login Rejected.
    o_silent : Out, 1 bit
        The server was silent for too long.
    o_event : Out, a bit for each SoupEvent
        Strobes, one at most.
    """

    i: In(strobe(Packet(LANES)))
    i_lost: In(1)
    i_reset: In(1)
    i_tick: In(1)
    i_heartbeat: In(16)
    i_silence: In(16)
    i_sent: In(1)
    o: Out(packet_stream(LANES))
    o_hold: Out(1)
    o_state: Out(SoupState)
    o_next: Out(64)
    o_reason: Out(8)
    o_silent: Out(1)
    o_event: Out(len(SoupEvent))

    def elaborate(self, platform):
        m = Module()
        beat, state = self.i.payload, self.o_state
        octets = [beat.data.word_select(lane, 8) for lane in range(LANES)]

        # Which packet, and how long it is so far.
        first_kind, kind = octets[_HEADER["type"].offset], Signal(8)
        count, place = Signal(range(_LAST_BEAT + 2)), Signal(range(_LAST_BEAT + 2))
        now = Signal(8)
        m.d.comb += [place.eq(Mux(beat.first, 0, count)), now.eq(Mux(beat.first, first_kind, kind))]
        with m.If(self.i.valid):
            m.d.sync += [count.eq(place + (place != _LAST_BEAT + 1)), kind.eq(now)]

        def has_size(size):
            """The packet whose last beat this is has so many bytes."""
            return (place == (size - 1) // LANES) & (beat.end == (size - 1) % LANES + 1)

        # Digits of the sequence number as they come. The specification has spaces on their left;
        # Nasdaq's own Python package writes them on the right.
        digits = Signal(4 * _SEQUENCE.size)
        spaces, strange = Signal(_SEQUENCE.size), Signal(_SEQUENCE.size)
        for index in range(_SEQUENCE.size):
            offset = _FIRST_DIGIT + index
            octet = octets[offset % LANES]
            with m.If(self.i.valid & (place == offset // LANES)):
                m.d.sync += [
                    digits.word_select(index, 4).eq(octet[:4]),
                    spaces[index].eq(octet == ord(" ")),
                    strange[index].eq((octet != ord(" ")) & ((octet[4:] != 3) | (octet[:4] > 9))),
                ]

        # Login Accepted: ten times what there is, and a digit more; two cycles each.
        reading, adds, at = Signal(), Signal(), Signal(range(_SEQUENCE.size))
        number, tenfold = Signal(64), Signal(64)
        digit, is_space, is_right = Signal(4), Signal(), Signal()
        m.d.sync += [digit.eq(digits.word_select(at, 4)), is_space.eq(spaces.bit_select(at, 1))]
        longer = Mux(is_space, number, tenfold + digit)
        starts = ~spaces & Cat(1, spaces)[:_SEQUENCE.size]      # of rows of digits: one there is
        m.d.sync += is_right.eq(~strange.any() & starts.any() & ((starts & (starts - 1)) == 0))

        def event(which):
            return self.o_event[which.value].eq(1)

        inside = state == SoupState.IN
        accepted = soupbintcp.ACCEPTED[0]
        m.d.sync += self.o_event.eq(0)
        with m.If(self.i.valid & beat.first & (first_kind == accepted) & (beat.end > 2)):
            m.d.sync += self.o_hold.eq(1)
        with m.If(self.i.valid & beat.last), m.Switch(now):
            with m.Case(accepted):
                with m.If(has_size(_ACCEPTED_SIZE) & (state == SoupState.OUT)):
                    m.d.sync += [reading.eq(1), adds.eq(0), at.eq(0), number.eq(0)]
                with m.Else():
                    m.d.sync += [self.o_hold.eq(0), event(SoupEvent.IMPROPER)]
            with m.Case(soupbintcp.REJECTED[0]):
                with m.If(has_size(_REJECTED_SIZE) & (state == SoupState.OUT)):
                    m.d.sync += [event(SoupEvent.REJECTED), state.eq(SoupState.REJECTED),
                                 self.o_reason.eq(octets[_HEADER.size])]
                with m.Else():
                    m.d.sync += event(SoupEvent.IMPROPER)
            with m.Case(soupbintcp.SEQUENCED[0]):
                with m.If(inside):
                    m.d.sync += [event(SoupEvent.SEQUENCED), self.o_next.eq(self.o_next + 1)]
                with m.Else():
                    m.d.sync += event(SoupEvent.IMPROPER)
            with m.Case(soupbintcp.END_OF_SESSION[0]):
                m.d.sync += [event(SoupEvent.END), state.eq(SoupState.ENDED)]
            with m.Case(soupbintcp.SERVER_HEARTBEAT[0]):
                m.d.sync += event(SoupEvent.HEARTBEAT)
            with m.Case(soupbintcp.DEBUG[0]):
                m.d.sync += event(SoupEvent.DEBUG)
            with m.Case(soupbintcp.UNSEQUENCED[0]):
                m.d.sync += event(SoupEvent.UNSEQUENCED)
            with m.Default():
                m.d.sync += event(SoupEvent.IMPROPER)
        with m.If(reading):
            m.d.sync += [adds.eq(~adds), tenfold.eq((number << 3) + (number << 1))]
            with m.If(adds):
                m.d.sync += [number.eq(longer), at.eq(at + 1)]
                with m.If(at == _SEQUENCE.size - 1):
                    m.d.sync += [reading.eq(0), self.o_hold.eq(0)]
                    with m.If(is_right):
                        m.d.sync += [event(SoupEvent.ACCEPTED), state.eq(SoupState.IN),
                                     self.o_next.eq(longer)]
                    with m.Else():
                        m.d.sync += event(SoupEvent.IMPROPER)
        with m.If(self.i_lost):
            m.d.sync += state.eq(SoupState.LOST)

        m.submodules.timers = timers = SessionTimers()
        gone = self.o.valid & self.o.ready
        m.d.comb += [
            timers.i_run.eq(inside), timers.i_tick.eq(self.i_tick),
            timers.i_sent.eq(self.i_sent | gone), timers.i_received.eq(self.i.valid),
            timers.i_heartbeat.eq(self.i_heartbeat), timers.i_silence.eq(self.i_silence),
            self.o_silent.eq(timers.o_silent),
            self.o.payload.data.eq(int.from_bytes(_HEARTBEAT, "little")),
            self.o.payload.end.eq(len(_HEARTBEAT)),
            self.o.payload.first.eq(1), self.o.payload.last.eq(1),
        ]
        with m.If(~self.o.valid):
            m.d.sync += self.o.valid.eq(timers.o_due & inside & ~self.i_sent)
        with m.Elif(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(self.i_reset):
            m.d.sync += [state.eq(SoupState.OUT), self.o_hold.eq(0), reading.eq(0),
                         self.o_event.eq(0)]
        return m
