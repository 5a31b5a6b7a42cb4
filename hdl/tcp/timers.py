"""What time does to a session, and what is set going when something leaves."""

from amaranth.hdl import Mux
from tickwire.hdl.tcp.congestion import CongestionEvent
from tickwire.hdl.tcp.connection import Event, State, Timer

__all__ = ["consumed", "sent", "tick"]

_R1 = 3                     # retransmissions (RFC 9293, 3.8.3)
_MOST_BACKOFF = 15
_MOST_RETRANSMISSIONS = 0xffff


def tick(m, visit):
    """The clock has moved. Timers are compared with it, so no tick need be seen by itself."""
    row, hot, settings = visit.row, visit.hot, visit.settings
    opening = (hot.state == State.SYN_SENT) | (hot.state == State.SYN_RECEIVED)
    with m.If(row.delayed):
        m.d.sync += [row.delayed.eq(0), visit.pend.ack.eq(1)]
    with m.If((hot.state == State.CLOSED) | (hot.state == State.LISTEN)):
        pass
    with m.Elif(hot.state == State.TIME_WAIT), m.If(visit.expired):
        visit.close(m, Event.CLOSED)
    with m.Elif(opening | visit.flight()):
        limit = Mux(opening, settings.syn_timeout, settings.user_timeout)
        runs = opening | (row.timer == Timer.RETRANSMIT)
        with m.If(runs & (limit != 0) & (visit.elapsed >= limit)):      # R2
            with m.If((hot.state == State.SYN_RECEIVED) & row.passive):
                visit.close(m, Event.NONE, listens=1)
            with m.Else():
                visit.close(m, Event.TIMED_OUT)
        with m.Elif((row.timer == Timer.RETRANSMIT) & visit.expired & visit.flight()):
            _retransmit(m, visit, opening)
        with m.Elif((row.timer != Timer.RETRANSMIT) & visit.flight()):
            m.d.sync += [row.timer.eq(Timer.RETRANSMIT), row.since.eq(visit.now),
                         row.deadline.eq(visit.later(visit.timeout))]
    with m.Else():
        _idle(m, visit)


def _double(visit):
    most = visit.parameters.most_rto
    return Mux(visit.timeout > most >> 1, most, visit.timeout << 1)


def _back_off(m, visit):
    """RFC 6298, 5.5 and 5.6."""
    row = visit.row
    m.d.sync += [row.backoff.eq(Mux(row.backoff == _MOST_BACKOFF, row.backoff, row.backoff + 1)),
                 row.deadline.eq(visit.later(_double(visit)))]


def _retransmit(m, visit, opening):
    row = visit.row
    _back_off(m, visit)
    m.d.sync += [
        visit.pend.syn.eq(opening), visit.pend.resend.eq(~opening), row.timing.eq(0),
        row.retransmissions.eq(Mux(row.retransmissions == _MOST_RETRANSMISSIONS,
                                   row.retransmissions, row.retransmissions + 1)),
        visit.grows.eq(~opening), visit.growth.eq(CongestionEvent.TIMEOUT),
        visit.again.eq(row.backoff != 0),
    ]
    with m.If(row.backoff == _R1 - 1):
        m.d.sync += visit.event.eq(Event.SLOW)


def _idle(m, visit):
    """Nothing is in flight. A window that is too small is asked about (RFC 9293, 3.8.6.1), since
    the hardware keeps no data that would do it; else the peer is asked whether it is there."""
    row, hot, parameters = visit.row, visit.hot, visit.parameters
    largest = Mux(hot.largest < parameters.largest_message, hot.largest,
                  parameters.largest_message)
    sends = (hot.state == State.ESTABLISHED) | (hot.state == State.CLOSE_WAIT)
    small = (hot.peer_window == 0) | ((hot.peer_window < largest)
                                      & (hot.peer_window < row.max_window))
    with m.If(sends & small):
        with m.If(row.timer != Timer.PERSIST):
            m.d.sync += [row.timer.eq(Timer.PERSIST), row.deadline.eq(visit.later(visit.timeout))]
        with m.Elif(visit.expired):
            _back_off(m, visit)
            m.d.sync += visit.pend.probe.eq(1)
            limit = visit.settings.user_timeout
            with m.If((limit != 0) & (visit.quiet >= limit)):       # nobody answers
                visit.close(m, Event.TIMED_OUT)
    with m.Elif(row.timer == Timer.PERSIST):
        m.d.sync += [row.timer.eq(Timer.OFF), row.backoff.eq(0)]
    with m.Elif(row.keep_alive & (visit.settings.keep_alive != 0)):
        _keep_alive(m, visit)


def _keep_alive(m, visit):
    """RFC 9293, 3.8.4: only after a time in which nothing came."""
    row, parameters = visit.row, visit.parameters
    with m.If(visit.quiet < visit.settings.keep_alive):
        m.d.sync += row.timer.eq(Timer.OFF)
    with m.Elif((row.timer != Timer.KEEP_ALIVE) | visit.expired):
        m.d.sync += [
            row.timer.eq(Timer.KEEP_ALIVE), visit.pend.probe.eq(1), row.probes.eq(row.probes + 1),
            row.deadline.eq(visit.later(parameters.keep_alive_interval)),
        ]
        with m.If(row.probes == parameters.keep_alive_probes):
            visit.close(m, Event.TIMED_OUT)


def sent(m, visit):
    """A frame with something new has left: it is waited for and timed (RFC 6298, 5.1 and 3)."""
    row = visit.row
    with m.If(visit.flight()):
        with m.If(row.timer != Timer.RETRANSMIT):
            m.d.sync += [row.timer.eq(Timer.RETRANSMIT), row.since.eq(visit.now),
                         row.deadline.eq(visit.later(visit.timeout))]
            with m.If(row.timer == Timer.PERSIST):
                m.d.sync += [row.backoff.eq(0),
                             row.deadline.eq(visit.later(row.estimate.rto))]
        with m.If(~row.timing):
            m.d.sync += [row.timing.eq(1), row.timed.eq(visit.next), row.started.eq(visit.now)]


def consumed(m, visit):
    """The window opens in large steps only (RFC 9293, 3.8.6.2.2)."""
    row, hot = visit.row, visit.hot
    half = visit.parameters.receive_buffer // 2
    length = visit.consumed.length
    step = Mux(row.mss < half, row.mss, half)
    receives = ((hot.state == State.ESTABLISHED) | (hot.state == State.FIN_WAIT_1)
                | (hot.state == State.FIN_WAIT_2))
    m.d.sync += row.buffered.eq(Mux(row.buffered < length, 0, row.buffered - length))
    with m.If(receives & (visit.room >= step)):
        m.d.sync += [hot.window.eq(hot.window + visit.room), visit.pend.ack.eq(1)]
