"""The state machine of all connections: one visit to one session at a time."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from tickwire.hdl.csr.table import table_write
from tickwire.hdl.stream.packet import strobe
from tickwire.hdl.tcp.acceptance import Acceptance
from tickwire.hdl.tcp.agenda import choose
from tickwire.hdl.tcp.announce import announce
from tickwire.hdl.tcp.arrival import segment_arrives
from tickwire.hdl.tcp.calls import call
from tickwire.hdl.tcp.congestion import CongestionControl
from tickwire.hdl.tcp.connection import (
    TIME_BITS,
    Command,
    Consumed,
    ControlBlock,
    Event,
    Hot,
    Notice,
    TcpSettings,
)
from tickwire.hdl.tcp.delivery import Portion
from tickwire.hdl.tcp.initial_sequence import InitialSequence
from tickwire.hdl.tcp.jobs import Stray, Wanted
from tickwire.hdl.tcp.registers import HotWrite
from tickwire.hdl.tcp.round_trip import RoundTrip
from tickwire.hdl.tcp.segment import SESSION_BITS, Binding, Endpoint, Release, Segment
from tickwire.hdl.tcp.timers import consumed, sent, tick
from tickwire.hdl.tcp.visit import Task, Visit

__all__ = ["SessionVisits", "Tally"]

_SAMPLE = (1 << 17) - 1     # largest round trip in ticks
_GROWTH = 2                 # cycles, after the first one, of RoundTrip, which takes longest


class _State(enum.Enum, shape=3):
    IDLE = 0
    LOAD = 1        # the row comes out of the memory
    CHECK = 2       # differences
    TEST = 3        # comparisons
    DECIDE = 4
    APPLY = 5
    HASH = 6        # an initial sequence number is being made
    GROW = 7        # estimate and congestion window are being made


class Tally(data.Struct):
    """What the host reads of a session besides its registers."""

    event: Event
    retransmissions: 16
    pending: 1              # bytes were delivered that are not consumed yet


class SessionVisits(wiring.Component):
    """Takes segments, ticks, departures, consumed bytes and commands, one at a time, to the
    session's control block, and writes it back. Nothing here waits for a transmitter.

    After a segment other tasks have a turn. Commands that make a row a new connection's wait until
    nothing of the old one is under way.

    Latency: ``i_segment`` or ``i_command`` taken → ``o_set``, ``o_write``, ``o_event``, ``o_bind``
    and ``o_release`` 5 cycles, 22 if a connection is opened; → ``o_stray`` and ``o_portion`` 6.
    The next task is taken after 6 cycles, 9 if something new was acknowledged, or nothing new for
    the third time, or a timeout cuts the congestion window; 23 if a connection is opened.

    Parameters
    ----------
    parameters : TcpParameters

    Members
    -------
    i_tick : In, 1 bit
    i_settings : In, TcpSettings
    i_segment : In, stream(Segment)
    i_new, i_fin, i_busy : In, ``sessions`` bits
        Something new has left; our FIN has; the row must not get a new connection.
    i_consumed : In, stream(Consumed)
    i_command : In, stream(Command)
    o_index : Out, 6 bits
    i_hot : In, Hot
    i_next : In, 32 bits
        SND.NXT of the session at ``o_index``, in the same cycle.
    o_write : Out, strobe(HotWrite)
    o_set : Out, strobe(Wanted)
    o_end : Out, strobe of {session, end: Endpoint}
    o_stray : Out, stream(Stray)
    o_portion : Out, stream(Portion)
        For each matched segment with payload.
    o_bind : Out, table_write(Binding, sessions)
    o_release : Out, strobe(Release)
    o_event : Out, strobe(Notice)
    i_tally : In, 6 bits
    o_tally : Out, Tally
        1 cycle later.
    o_count_limited : Out, 1 bit
        A reset or a challenge acknowledgement was not sent: another one waited, or the limit was
        reached.
    o_count_untimely : Out, 1 bit
        Payload of a segment came too early, too late or a second time; none of it was delivered.
    """

    def __init__(self, parameters):
        self._parameters = parameters
        sessions = parameters.sessions
        super().__init__({
            "i_tick": In(1),
            "i_settings": In(TcpSettings),
            "i_segment": In(stream.Signature(Segment)),
            "i_new": In(sessions),
            "i_fin": In(sessions),
            "i_busy": In(sessions),
            "i_consumed": In(stream.Signature(Consumed)),
            "i_command": In(stream.Signature(Command)),
            "o_index": Out(SESSION_BITS),
            "i_hot": In(Hot),
            "i_next": In(32),
            "o_write": Out(strobe(HotWrite)),
            "o_set": Out(strobe(Wanted)),
            "o_end": Out(strobe(data.StructLayout({"session": SESSION_BITS, "end": Endpoint}))),
            "o_stray": Out(stream.Signature(Stray)),
            "o_portion": Out(stream.Signature(Portion)),
            "o_bind": Out(table_write(Binding, sessions)),
            "o_release": Out(strobe(Release)),
            "o_event": Out(strobe(Notice)),
            "i_tally": In(SESSION_BITS),
            "o_tally": Out(Tally),
            "o_count_limited": Out(1),
            "o_count_untimely": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        parameters = self._parameters
        visit = Visit(parameters)
        row, hot, segment = visit.row, visit.hot, visit.segment
        m.submodules.rows = rows = Memory(shape=ControlBlock, depth=parameters.sessions, init=[],
                                          attrs={"no_rw_check": 1})
        m.submodules.tallies = tallies = Memory(shape=Tally, depth=parameters.sessions, init=[])
        read, write = rows.read_port(), rows.write_port()
        shown, noted = tallies.read_port(), tallies.write_port()
        m.submodules.acceptance = acceptance = Acceptance()
        m.submodules.congestion = congestion = CongestionControl()
        m.submodules.round_trip = round_trip = RoundTrip(parameters.least_rto,
                                                         parameters.most_rto)
        state = Signal(_State)
        m.d.comb += [visit.settings.eq(self.i_settings), visit.busy.eq(self.i_busy),
                     visit.findings.eq(acceptance.o), self.o_index.eq(visit.session)]

        # Time
        m.d.sync += visit.now.eq(visit.now + self.i_tick)
        challenges = Signal(range(parameters.challenges + 1), init=parameters.challenges)
        period = Signal(range(parameters.challenge_period))
        refill = Signal()
        m.d.comb += refill.eq(self.i_tick & (period == parameters.challenge_period - 1))
        with m.If(self.i_tick):
            m.d.sync += period.eq(Mux(refill, 0, period + 1))

        chosen, takes = choose(m, self, visit, parameters.sessions, state == _State.IDLE)
        m.d.comb += read.addr.eq(chosen)
        m.submodules.initial = initial = InitialSequence(parameters.isn_period)
        number, numbered = initial.o, initial.o_done
        m.d.comb += [
            initial.i_start.eq((state == _State.APPLY) & visit.opens),
            initial.i_secret.eq(visit.settings.secret),
            initial.i_address.eq(visit.settings.address), initial.i_peer.eq(row.address),
            initial.i_port.eq(row.local_port), initial.i_peer_port.eq(row.port),
        ]

        # What the visit needs is computed while the segment is compared.
        left, after = Signal(TIME_BITS), Signal(13)
        m.d.comb += [
            acceptance.i.eq(segment), acceptance.i_row.eq(row), acceptance.i_hot.eq(hot),
            acceptance.i_next.eq(visit.next),
            left.eq(row.deadline - visit.now),
        ]
        backed_off = row.estimate.rto << row.backoff
        m.d.sync += [
            visit.timeout.eq(Mux(backed_off > parameters.most_rto, parameters.most_rto,
                                 backed_off)),
            visit.elapsed.eq(visit.now - row.since), visit.quiet.eq(visit.now - row.heard),
            visit.expired.eq(left[-1] | (left == 0)),
            after.eq(row.buffered - Mux(visit.consumed.length > row.buffered, row.buffered,
                                        visit.consumed.length)),
            visit.room.eq(parameters.receive_buffer - after - hot.window),
        ]

        # And then: the congestion window and the estimate
        growing = Signal(range(_GROWTH + 1))
        sample, acked, flight = Signal(TIME_BITS), Signal(16), Signal(16)
        m.d.comb += [
            congestion.i.eq(row.congestion), congestion.i_event.eq(visit.growth),
            congestion.i_again.eq(visit.again), congestion.i_mss.eq(row.mss),
            congestion.i_acked.eq(acked), congestion.i_flight.eq(flight),
            congestion.i_acknowledgement.eq(segment.acknowledgement),
            congestion.i_next.eq(visit.next),
            sample.eq(visit.now - row.started + 1),     # at least one tick, and never too short
            round_trip.i.eq(row.estimate), round_trip.i_sample.eq(
                Mux(sample > _SAMPLE, _SAMPLE, sample)),
        ]

        applies, stores, grown = Signal(), Signal(), Signal(ControlBlock)
        grows = visit.grows | visit.samples
        with m.Switch(state):
            with m.Case(_State.IDLE):
                m.d.sync += visit.rest()
                with m.If(takes):
                    m.d.sync += state.eq(_State.LOAD)
            with m.Case(_State.LOAD):
                m.d.sync += [row.eq(read.data), hot.eq(self.i_hot), visit.next.eq(self.i_next),
                             visit.fin_left.eq((self.i_fin >> visit.session)[0]),
                             visit.exists.eq(visit.session < parameters.sessions),
                             state.eq(_State.CHECK)]
            with m.Case(_State.CHECK):
                m.d.sync += state.eq(_State.TEST)
            with m.Case(_State.TEST):
                m.d.sync += state.eq(_State.DECIDE)
            with m.Case(_State.DECIDE):
                m.d.sync += [state.eq(_State.APPLY), acked.eq(visit.findings.acked),
                             flight.eq(visit.findings.flight)]
                with m.Switch(visit.task):
                    for task, decide in ((Task.SEGMENT, segment_arrives), (Task.COMMAND, call),
                                         (Task.TICK, tick), (Task.SENT, sent),
                                         (Task.CONSUMED, consumed)):
                        with m.Case(task):
                            decide(m, visit)
            with m.Case(_State.APPLY):
                m.d.comb += applies.eq(~visit.opens)
                m.d.sync += [growing.eq(0), state.eq(Mux(visit.opens, _State.HASH,
                                                         Mux(grows, _State.GROW, _State.IDLE)))]
            with m.Case(_State.HASH):
                m.d.comb += applies.eq(numbered)
                with m.If(numbered):
                    m.d.sync += state.eq(_State.IDLE)
            with m.Case(_State.GROW):
                m.d.sync += growing.eq(growing + 1)
                with m.If(growing == _GROWTH):
                    m.d.comb += stores.eq(1)
                    m.d.sync += state.eq(_State.IDLE)

        resends = congestion.o_resend & visit.grows
        m.d.comb += grown.eq(row)
        with m.If(visit.opens):
            m.d.comb += grown.congestion.recover.eq(number)
        with m.If(stores & visit.grows):
            m.d.comb += [grown.congestion.eq(congestion.o),
                         grown.timing.eq(row.timing & ~resends)]        # Karn
            with m.If(resends & (row.retransmissions != 0xffff)):
                m.d.comb += grown.retransmissions.eq(row.retransmissions + 1)
        with m.If(stores & visit.samples):
            m.d.comb += grown.estimate.eq(round_trip.o)
        with m.If(visit.event != Event.NONE):
            m.d.comb += grown.event.eq(visit.event)
        with m.If(visit.peer_closed):
            m.d.comb += grown.event.eq(Event.PEER_CLOSED)

        # Everything goes back where it came from.
        keeps = (applies | stores) & visit.exists
        there = self.o_write.payload
        m.d.comb += [
            write.addr.eq(visit.session), write.data.eq(grown), write.en.eq(keeps),
            noted.addr.eq(visit.session), noted.en.eq(keeps),
            noted.data.event.eq(grown.event), noted.data.retransmissions.eq(grown.retransmissions),
            noted.data.pending.eq(grown.buffered != 0),
            shown.addr.eq(self.i_tally), self.o_tally.eq(shown.data),
            self.o_write.valid.eq(keeps), there.session.eq(visit.session), there.hot.eq(hot),
            there.fresh.eq(visit.opens), there.sequence.eq(number),
        ]
        cwnd = grown.congestion.cwnd
        m.d.comb += there.hot.usable.eq(Mux(hot.peer_window < cwnd, hot.peer_window, cwnd))
        with m.If(visit.opens):
            m.d.comb += there.hot.unacknowledged.eq(number)

        wanted = self.o_set.payload
        challenged = visit.challenge & (challenges != 0)
        m.d.comb += [
            self.o_set.valid.eq(keeps), wanted.session.eq(visit.session),
            wanted.purge.eq(visit.purge & applies), wanted.pending.resend.eq(resends & stores),
        ]
        with m.If(applies):
            m.d.comb += [wanted.pending.eq(visit.pend), wanted.pending.ack.eq(
                visit.pend.ack | challenged)]
        with m.If(refill):
            m.d.sync += challenges.eq(parameters.challenges)
        with m.Elif(applies & challenged):
            m.d.sync += challenges.eq(challenges - 1)

        announce(m, self, visit, applies)
        with m.If(applies & visit.challenge & ~challenged):
            m.d.comb += self.o_count_limited.eq(1)
        return m
