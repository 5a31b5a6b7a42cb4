"""A Starbase session, seen from the client: sequence numbers, gaps, heartbeats."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import enum, stream, wiring
from amaranth.lib.wiring import In, Out
from tickwire.hdl.entry.framer import LANES
from tickwire.hdl.entry.session_timers import SessionTimers
from tickwire.hdl.stream.packet import Packet, strobe
from tickwire.hdl.wire import starbase

__all__ = ["StarbaseState", "StarbaseEvent", "StarbaseSession"]

_BODY = starbase.HEADER.size
_TYPES = starbase.SESSION_TYPES
# The gateway reads the body of these; it is enough if it reaches to the end of what is read.
_READ = {
    starbase.LOGON_CONF: "heartbeatIntervalSeconds",
    starbase.TEST_REQUEST: "correlationId",
    starbase.GAP_FILL: "newSequenceNumber",
}


class StarbaseState(enum.Enum, shape=2):
    OUT = 0             # no answer to a logon has come
    IN = 1
    LOGGED_OUT = 2
    LOST = 3            # framing


class StarbaseEvent(enum.Enum, shape=4):
    """What a message was."""

    LOGON_CONF = 0
    LOGGED_OUT = 1
    HEARTBEAT = 2
    TEST_REQUEST = 3
    GAP_FILL = 4
    REJECT = 5
    RESPONSE = 6        # any other: of the application
    REPEATED = 7        # its number has been seen: nothing else is done with it
    GAP = 8             # numbers are missing before it. Comes beside the event of a message of the
    #                     session; a response or a gap fill is not taken
    VERSION = 9         # beside the event, or a cycle before that of a gap fill: another schema
    #                     version, so nothing is decoded of it
    IMPROPER = 10       # too short, or not at this time


class StarbaseSession(wiring.Component):
    """Follows a session and keeps it alive; logging on and asking for what is missing is the
    host's.

    A message whose number is the expected one is taken. One with a lower number has been taken
    before. One with a higher number shows a gap: a response is thrown away then, for the venue
    sends everything again from ``o_expected`` on when the host asks for it; LogonConf, LoggedOut,
    Heartbeat and TestRequest are heeded all the same, without moving the expectation.

    The venue's TestRequests are answered with their correlation id, and a heartbeat with 0 is
    asked for whenever nothing was sent for a period.

    Latency: last beat → ``o_event``, ``o_state``, ``o_expected`` 1 cycle, of a GapFill 2 cycles;
    ``o_last_processed`` a cycle behind ``o_expected``. Second beat → ``o_apply``
    3 cycles. Last beat of a TestRequest → ``o`` 1 cycle; the tick with which a period is over →
    ``o`` 2 cycles, ``o_silent`` 1 cycle.

    Members
    -------
    i : In, strobe(Packet(8))
        From a ``MessageFramer``, whose framing has seen to the marker and the length.
    i_lost : In, 1 bit
        Its ``o_lost``.
    i_reset : In, 1 bit
        Another connection begins. Numbers go on.
    i_load : In, strobe(64)
        Number of the message that is expected next. Between connections.
    i_version : In, 16 bits
        Schema version that was agreed upon.
    i_tick, i_heartbeat, i_silence : In
        See ``SessionTimers``.
    i_sent : In, 1 bit
        A segment with data of this session has left.
    o : Out, stream(64)
        Correlation ids of heartbeats that are to be sent.
    o_apply : Out, 1 bit
        For the decoder: the message that arrives counts.
    o_state : Out, StarbaseState
    o_expected : Out, 64 bits
    o_last_processed : Out, 64 bits
        ``o_expected`` - 1, for orders.
    o_newest : Out, 64 bits
        Highest number of the last gap: up to this one something is missing.
    o_confirmed : Out, 64 bits
        Last of our messages that the venue says it has processed.
    o_interval : Out, 32 bits
        Heartbeat interval of the last LogonConf, seconds.
    o_silent : Out, 1 bit
    o_event : Out, a bit for each StarbaseEvent
        Strobes.
    o_count_unanswered : Out, 1 bit
        A TestRequest came while two heartbeats were waiting to be sent.
    """

    i: In(strobe(Packet(LANES)))
    i_lost: In(1)
    i_reset: In(1)
    i_load: In(strobe(64))
    i_version: In(16)
    i_tick: In(1)
    i_heartbeat: In(16)
    i_silence: In(16)
    i_sent: In(1)
    o: Out(stream.Signature(64))
    o_apply: Out(1)
    o_state: Out(StarbaseState)
    o_expected: Out(64, init=1)
    o_last_processed: Out(64)
    o_newest: Out(64)
    o_confirmed: Out(64)
    o_interval: Out(32)
    o_silent: Out(1)
    o_event: Out(len(StarbaseEvent))
    o_count_unanswered: Out(1)

    def elaborate(self, platform):
        m = Module()
        beat, state, expected = self.i.payload, self.o_state, self.o_expected

        # The header's fields, and the first field of the body. All are within one beat or begin
        # one.
        count, place = Signal(3), Signal(3)
        m.d.comb += place.eq(Mux(beat.first, 0, count))
        with m.If(self.i.valid):
            m.d.sync += count.eq(place + ~place.all())

        def load(register, field, offset=0):
            at = offset + field.offset
            with m.If(self.i.valid & (place == at // LANES)):
                m.d.sync += register.eq(beat.data >> 8 * (at % LANES))

        kind, version, sequence, confirmed = Signal(16), Signal(16), Signal(64), Signal(64)
        load(kind, starbase.HEADER["messageTypeId"])
        load(version, starbase.HEADER["version"])
        load(sequence, starbase.HEADER["sequenceNumber"])
        load(confirmed, starbase.HEADER["lastProcessedSeqNo"])
        body, body_now = Signal(64), Signal(64)
        in_body = place == _BODY // LANES
        with m.If(self.i.valid & in_body):
            m.d.sync += body.eq(beat.data)
        m.d.comb += body_now.eq(Mux(in_body, beat.data, body))
        long_enough = {layout: (place > _BODY // LANES) | in_body & (beat.end >= layout[name].size)
                       for layout, name in _READ.items()}

        # A cycle after the number, what it is beside the expected one.
        is_next, is_old, agreed, is_response = Signal(), Signal(), Signal(), Signal()
        m.d.sync += [
            is_next.eq(sequence == expected),
            is_old.eq(sequence < expected),
            agreed.eq(version == self.i_version),
            is_response.eq(Cat(kind == number for number in _TYPES.values()) == 0),
        ]
        inside = state == StarbaseState.IN
        m.d.sync += self.o_apply.eq(is_next & agreed & is_response & inside)

        def event(which):
            return self.o_event[which.value].eq(1)

        asks, correlation = Signal(), Signal(64)
        fills = Signal()            # a gap: its message has been counted, and `body` is there
        m.d.sync += [self.o_event.eq(0), fills.eq(0)]
        with m.If(fills):
            with m.If(body >= expected):
                m.d.sync += [event(StarbaseEvent.GAP_FILL), expected.eq(body)]
            with m.Else():
                m.d.sync += event(StarbaseEvent.IMPROPER)
        with m.If(self.i.valid & beat.last):
            heeded = ~is_old
            with m.If(is_next):
                m.d.sync += expected.eq(expected + 1)
            with m.If(is_old):
                m.d.sync += event(StarbaseEvent.REPEATED)
            with m.Else():
                m.d.sync += self.o_confirmed.eq(confirmed)
            with m.If(heeded & ~is_next):
                m.d.sync += [event(StarbaseEvent.GAP), self.o_newest.eq(sequence)]
            with m.If(heeded & ~agreed):
                m.d.sync += event(StarbaseEvent.VERSION)
            with m.Switch(kind):
                with m.Case(_TYPES[starbase.LOGON_CONF]):
                    with m.If(heeded & long_enough[starbase.LOGON_CONF]
                              & (state == StarbaseState.OUT)):
                        m.d.sync += [event(StarbaseEvent.LOGON_CONF), state.eq(StarbaseState.IN),
                                     self.o_interval.eq(body_now)]
                    with m.Elif(heeded):
                        m.d.sync += event(StarbaseEvent.IMPROPER)
                with m.Case(_TYPES[starbase.LOGGED_OUT]), m.If(heeded):
                    m.d.sync += [event(StarbaseEvent.LOGGED_OUT),
                                 state.eq(StarbaseState.LOGGED_OUT)]
                with m.Case(_TYPES[starbase.HEARTBEAT]), m.If(heeded):
                    m.d.sync += event(StarbaseEvent.HEARTBEAT)
                with m.Case(_TYPES[starbase.TEST_REQUEST]):
                    with m.If(heeded & long_enough[starbase.TEST_REQUEST]):
                        m.d.comb += [asks.eq(inside), correlation.eq(body_now)]
                        m.d.sync += event(StarbaseEvent.TEST_REQUEST)
                    with m.Elif(heeded):
                        m.d.sync += event(StarbaseEvent.IMPROPER)
                with m.Case(_TYPES[starbase.GAP_FILL]):
                    with m.If(is_next & long_enough[starbase.GAP_FILL]):
                        m.d.sync += fills.eq(1)
                    with m.Elif(is_next):
                        m.d.sync += event(StarbaseEvent.IMPROPER)
                with m.Case(_TYPES[starbase.REJECT]), m.If(heeded):
                    m.d.sync += event(StarbaseEvent.REJECT)
                with m.Default(), m.If(is_next):
                    m.d.sync += event(StarbaseEvent.RESPONSE)
        with m.If(self.i_lost):
            m.d.sync += state.eq(StarbaseState.LOST)
        m.d.sync += self.o_last_processed.eq(expected - 1)

        # Heartbeats: one is offered, and one more answer waits.
        m.submodules.timers = timers = SessionTimers()
        waits, waiting = Signal(), Signal(64)
        gone = self.o.valid & self.o.ready
        m.d.comb += [
            timers.i_run.eq(inside), timers.i_tick.eq(self.i_tick),
            timers.i_sent.eq(self.i_sent | gone), timers.i_received.eq(self.i.valid),
            timers.i_heartbeat.eq(self.i_heartbeat), timers.i_silence.eq(self.i_silence),
            self.o_silent.eq(timers.o_silent),
        ]
        m.d.sync += self.o_count_unanswered.eq(0)
        with m.If(~self.o.valid | self.o.ready):
            m.d.sync += [
                self.o.valid.eq(waits | asks | timers.o_due & inside & ~self.i_sent & ~gone),
                self.o.payload.eq(Mux(waits, waiting, Mux(asks, correlation, 0))),
                waits.eq(waits & asks), waiting.eq(correlation),
            ]
        with m.Elif(asks):
            m.d.sync += [waits.eq(1), self.o_count_unanswered.eq(waits)]
            with m.If(~waits):
                m.d.sync += waiting.eq(correlation)

        with m.If(self.i_load.valid):
            m.d.sync += expected.eq(self.i_load.payload)
        with m.If(self.i_reset):
            m.d.sync += [state.eq(StarbaseState.OUT), self.o_event.eq(0), waits.eq(0), fills.eq(0)]
        return m
