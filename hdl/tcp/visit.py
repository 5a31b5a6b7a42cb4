"""A visit of the control room to one session: what is known there, and what is to be done."""

from amaranth.hdl import Mux, Signal
from amaranth.lib import enum
from tickwire.hdl.tcp.acceptance import Findings
from tickwire.hdl.tcp.congestion import CongestionEvent
from tickwire.hdl.tcp.connection import (
    TIME_BITS,
    Command,
    Consumed,
    ControlBlock,
    Event,
    Hot,
    State,
    TcpSettings,
    Timer,
)
from tickwire.hdl.tcp.jobs import Pending
from tickwire.hdl.tcp.segment import LARGEST_SEGMENT, SESSION_BITS, Segment

__all__ = ["Task", "Visit"]

_LEAST_MSS = 48             # bytes: a peer that asks for less would make us send nothing


class Task(enum.Enum, shape=3):
    """Why the session is visited."""

    SEGMENT = 0
    TICK = 1
    SENT = 2                # something new is in flight
    CONSUMED = 3
    COMMAND = 4


class Visit:
    """Registers of the visit under way. What ``arrival``, ``timers`` and ``calls`` decide changes
    ``row`` and ``hot``, which are written back, and says what else is to be done; that is cleared
    before the next visit.
    """

    def __init__(self, parameters):
        self.parameters = parameters
        self.settings = Signal(TcpSettings)
        self.now = Signal(TIME_BITS)                # ticks
        self.busy = Signal(parameters.sessions)     # rows that must not get a new connection

        self.task = Signal(Task)
        self.session = Signal(SESSION_BITS)
        self.exists = Signal()                      # there is such a session
        self.segment = Signal(Segment)
        self.command = Signal(Command)
        self.consumed = Signal(Consumed)
        self.row = Signal(ControlBlock)
        self.hot = Signal(Hot)
        self.next = Signal(32)                      # SND.NXT
        self.fin_left = Signal()
        self.findings = Signal(Findings)
        self.timeout = Signal(18)                   # RTO, backed off
        self.elapsed = Signal(TIME_BITS)            # since R2 began
        self.quiet = Signal(TIME_BITS)              # since something was heard
        self.expired = Signal()
        self.room = Signal(13)                      # free bytes beyond the window's right edge

        self.pend = Signal(Pending)
        self.purge = Signal()
        self.challenge = Signal()                   # acknowledge, if the limit allows it
        self.resets = Signal()                      # what belongs to no session
        self.event = Signal(Event)
        self.peer_closed = Signal()                 # after `event`
        self.binds = Signal()
        self.opens = Signal()                       # a connection begins
        self.releases = Signal()
        self.releases_all = Signal()
        self.samples = Signal()                     # a round trip is over
        self.grows = Signal()
        self.growth = Signal(CongestionEvent)
        self.again = Signal()                       # see CongestionControl
        self.skip = Signal(11)
        self.take = Signal(11)

    def rest(self):
        """Nothing is to be done."""
        return [signal.eq(0) for signal in (
            self.pend, self.purge, self.challenge, self.resets, self.event, self.peer_closed,
            self.binds, self.opens, self.releases, self.releases_all, self.samples, self.grows,
            self.again, self.skip, self.take)]

    def flight(self):
        """Something has not been acknowledged."""
        return self.next != self.hot.unacknowledged

    def later(self, ticks):
        """A deadline."""
        return (self.now + ticks)[:TIME_BITS]

    def opened(self, state):
        """A new connection; the initial sequence number follows."""
        row = self.row
        return [
            self.opens.eq(1), self.binds.eq(1), self.purge.eq(1), self.releases.eq(1),
            self.releases_all.eq(1), self.pend.syn.eq(1), self.hot.state.eq(state),
            self.hot.window.eq(self.parameters.receive_buffer),
            row.closing.eq(0), row.buffered.eq(0), row.delayed.eq(0),
            row.event.eq(Event.NONE), row.retransmissions.eq(0),
            row.timer.eq(Timer.OFF), row.since.eq(self.now), row.heard.eq(self.now),
            row.backoff.eq(0), row.probes.eq(0), row.timing.eq(0), row.estimate.eq(0),
            row.estimate.rto.eq(self.parameters.initial_rto), row.congestion.eq(0),
        ]

    def heard_syn(self):
        """The peer's initial sequence number, window and segment size."""
        segment, row, hot = self.segment, self.row, self.hot
        mss = Mux(segment.mss < _LEAST_MSS, _LEAST_MSS,
                  Mux(segment.mss > LARGEST_SEGMENT, LARGEST_SEGMENT, segment.mss))
        return [
            hot.acknowledgement.eq(segment.sequence + 1), hot.peer_window.eq(segment.window),
            hot.largest.eq(mss), row.mss.eq(mss), row.max_window.eq(segment.window),
            row.wl1.eq(segment.sequence), row.wl2.eq(segment.acknowledgement),
            row.heard.eq(self.now),
        ]

    def close(self, m, event, *, listens=None):
        """The connection is over; a row that listens again waits for the next one."""
        listens = self.row.again if listens is None else listens
        m.d.sync += [
            self.hot.state.eq(Mux(listens, State.LISTEN, State.CLOSED)), self.pend.eq(0),
            self.purge.eq(1), self.event.eq(event), self.binds.eq(1), self.releases.eq(1),
            self.releases_all.eq(1), self.row.timer.eq(Timer.OFF), self.row.timing.eq(0),
            self.grows.eq(0), self.samples.eq(0),
        ]
