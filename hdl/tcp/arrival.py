"""SEGMENT ARRIVES (RFC 9293, 3.10.7), step by step."""

from amaranth.hdl import Mux
from tickwire.hdl.tcp.congestion import CongestionEvent
from tickwire.hdl.tcp.connection import Event, State, Timer

__all__ = ["segment_arrives"]


def segment_arrives(m, visit):
    """One cycle: the segment is judged, everything is decided."""
    segment, found, hot = visit.segment, visit.findings, visit.hot
    control = segment.control
    opened = (hot.state != State.CLOSED) & (hot.state != State.LISTEN)
    elsewhere = opened & ~found.same_end        # the row has got another connection meanwhile
    with m.If(~segment.matched | ~visit.exists | (hot.state == State.CLOSED) | elsewhere):
        m.d.sync += visit.resets.eq(~control.rst)       # 3.10.7.1
    with m.Elif(hot.state == State.LISTEN):
        _listen(m, visit)
    with m.Elif(hot.state == State.SYN_SENT):
        _syn_sent(m, visit)
    with m.Else():
        _synchronized(m, visit)


def _passive_open(m, visit):
    segment, row = visit.segment, visit.row
    m.d.sync += [*visit.opened(State.SYN_RECEIVED), *visit.heard_syn(),
                 row.address.eq(segment.end.address), row.port.eq(segment.end.port),
                 row.local_port.eq(segment.end.local_port)]


def _listen(m, visit):
    """3.10.7.2"""
    control, found = visit.segment.control, visit.findings
    busy = (visit.busy >> visit.session)[0]     # the peer will ask again
    with m.If(~control.rst & control.ack):
        m.d.sync += visit.resets.eq(1)
    with m.Elif(~control.rst & control.syn & ~found.bad_source & ~busy):
        _passive_open(m, visit)


def _syn_sent(m, visit):
    """3.10.7.3. Payload and FIN of a SYN are left for the peer to send again."""
    segment, found, row, hot = visit.segment, visit.findings, visit.row, visit.hot
    control = segment.control
    with m.If(control.ack & ~found.ack_new):
        m.d.sync += visit.resets.eq(~control.rst)
    with m.Elif(control.rst), m.If(control.ack):
        visit.close(m, Event.REFUSED)
    with m.Elif(control.syn):
        m.d.sync += visit.heard_syn()
        with m.If(control.ack):
            _established(m, visit)
            m.d.sync += visit.pend.ack.eq(1)
        with m.Else():      # simultaneous open
            m.d.sync += [hot.state.eq(State.SYN_RECEIVED), visit.pend.syn.eq(1),
                         row.timing.eq(0)]


def _established(m, visit):
    """Our SYN is acknowledged."""
    segment, row, hot = visit.segment, visit.row, visit.hot
    lost = row.backoff != 0
    m.d.sync += [
        hot.state.eq(State.ESTABLISHED), visit.event.eq(Event.ESTABLISHED),
        hot.unacknowledged.eq(segment.acknowledgement), hot.peer_window.eq(segment.window),
        row.wl1.eq(segment.sequence), row.wl2.eq(segment.acknowledgement),
        row.max_window.eq(Mux(row.max_window > segment.window, row.max_window, segment.window)),
        row.timer.eq(Timer.OFF), row.backoff.eq(0), row.timing.eq(0), row.heard.eq(visit.now),
        visit.samples.eq(visit.findings.timed),
        visit.grows.eq(1), visit.growth.eq(CongestionEvent.OPENED), visit.again.eq(lost),
    ]
    with m.If(lost):        # RFC 6298, 5.7
        m.d.sync += row.estimate.rto.eq(3 * visit.parameters.initial_rto)
    with m.If(row.closing):
        m.d.sync += [hot.state.eq(State.FIN_WAIT_1), visit.pend.fin.eq(1)]


def _synchronized(m, visit):
    """3.10.7.4"""
    segment, found, row, hot = visit.segment, visit.findings, visit.row, visit.hot
    control = segment.control
    time_wait = hot.state == State.TIME_WAIT
    received = hot.state == State.SYN_RECEIVED
    reopens = (time_wait & row.passive & control.syn & ~control.ack & ~control.rst
               & found.not_before & ~(visit.busy >> visit.session)[0])
    with m.If(reopens):                             # 3.6.1 (MAY-2)
        _passive_open(m, visit)
    with m.Elif(control.rst):                       # first and second: RFC 5961, 3.2
        with m.If(found.exact):
            _reset(m, visit)
        with m.Elif(found.in_window):
            m.d.sync += visit.challenge.eq(1)
    with m.Elif(~found.acceptable):                 # first
        # A SYN that comes again has not heard ours. One with ACK has: if both sides answered such
        # ones with their own, they would never end.
        with m.If(received & control.syn & ~control.ack):
            m.d.sync += visit.pend.syn.eq(1)
        with m.Else():
            m.d.sync += visit.pend.ack.eq(1)
        with m.If(time_wait & control.fin):
            m.d.sync += row.deadline.eq(visit.later(visit.parameters.two_msl))
    with m.Elif(control.syn):                       # fourth: RFC 5961, 4.2
        with m.If(received & row.passive):
            visit.close(m, Event.NONE, listens=1)
        with m.Else():
            m.d.sync += visit.challenge.eq(1)
    with m.Elif(control.ack):                       # fifth
        with m.If(received & ~found.ack_new):
            m.d.sync += visit.resets.eq(1)
        with m.Elif(~received & ~found.ack_valid):  # RFC 5961, 5.2
            m.d.sync += visit.challenge.eq(1)
        with m.Else():
            with m.If(received):
                _established(m, visit)
            with m.Else():
                _acknowledgement(m, visit)
            _text(m, visit)
            with m.If(control.fin & found.fin_in_order):
                _fin(m, visit)


def _reset(m, visit):
    """Second: the connection is gone."""
    row, state = visit.row, visit.hot.state
    with m.If(state == State.SYN_RECEIVED):
        with m.If(row.passive):
            visit.close(m, Event.NONE, listens=1)
        with m.Else():
            visit.close(m, Event.REFUSED)
    with m.Elif((state == State.CLOSING) | (state == State.LAST_ACK)
                | (state == State.TIME_WAIT)):
        visit.close(m, Event.CLOSED)
    with m.Else():
        visit.close(m, Event.RESET)


def _acknowledgement(m, visit):
    """Fifth, from ESTABLISHED on."""
    segment, found, row, hot = visit.segment, visit.findings, visit.row, visit.hot
    m.d.sync += [row.heard.eq(visit.now), row.probes.eq(0)]
    with m.If(found.ack_new):
        m.d.sync += [
            hot.unacknowledged.eq(segment.acknowledgement), visit.releases.eq(1),
            row.since.eq(visit.now), row.deadline.eq(visit.later(visit.timeout)),
            row.timer.eq(Mux(found.ack_all, Timer.OFF, Timer.RETRANSMIT)),
            visit.grows.eq(1), visit.growth.eq(CongestionEvent.ACKNOWLEDGED),
            visit.samples.eq(found.timed),
        ]
        with m.If(found.timed):                     # RFC 6298, 5.7 and Karn: a true measurement
            m.d.sync += [row.timing.eq(0), row.backoff.eq(0)]
    with m.Elif(found.ack_equal & (found.flight != 0) & (segment.length == 0)
                & ~segment.control.fin & (segment.window == hot.peer_window)):
        m.d.sync += [visit.grows.eq(1), visit.growth.eq(CongestionEvent.DUPLICATE)]

    with m.If(segment.window == 0):     # it is there, and answers: wait for ever (3.8.6.1)
        m.d.sync += row.since.eq(visit.now)
    with m.If(found.newer):
        m.d.sync += [hot.peer_window.eq(segment.window), row.wl1.eq(segment.sequence),
                     row.wl2.eq(segment.acknowledgement)]
        with m.If(segment.window > row.max_window):
            m.d.sync += row.max_window.eq(segment.window)

    with m.If(_fin_acknowledged(visit)), m.Switch(hot.state):
        with m.Case(State.FIN_WAIT_1):
            m.d.sync += hot.state.eq(State.FIN_WAIT_2)
        with m.Case(State.CLOSING):
            _time_wait(m, visit)
        with m.Case(State.LAST_ACK):
            visit.close(m, Event.CLOSED)


def _fin_acknowledged(visit):
    return visit.fin_left & visit.findings.ack_new & visit.findings.ack_all


def _time_wait(m, visit):
    m.d.sync += [visit.hot.state.eq(State.TIME_WAIT), visit.row.timer.eq(Timer.WAIT),
                 visit.row.deadline.eq(visit.later(visit.parameters.two_msl))]


def _text(m, visit):
    """Seventh. What comes too early is dropped, and asked for again."""
    segment, found, row, hot = visit.segment, visit.findings, visit.row, visit.hot
    takes = ((hot.state == State.SYN_RECEIVED) | (hot.state == State.ESTABLISHED)
             | (hot.state == State.FIN_WAIT_1) | (hot.state == State.FIN_WAIT_2))
    with m.If(takes & (segment.length != 0)):
        with m.If(visit.settings.delayed_ack & ~row.delayed & (found.take != 0)):
            m.d.sync += row.delayed.eq(1)           # 3.8.6.3
        with m.Else():
            m.d.sync += [visit.pend.ack.eq(1), row.delayed.eq(0)]
        m.d.sync += [
            visit.skip.eq(Mux(found.take == 0, 0, found.skip)), visit.take.eq(found.take),
            hot.acknowledgement.eq(hot.acknowledgement + found.take),
            hot.window.eq(hot.window - found.take), row.buffered.eq(row.buffered + found.take),
        ]


def _fin(m, visit):
    """Eighth."""
    found, row, hot = visit.findings, visit.row, visit.hot
    takes = ((hot.state == State.SYN_RECEIVED) | (hot.state == State.ESTABLISHED)
             | (hot.state == State.FIN_WAIT_1) | (hot.state == State.FIN_WAIT_2))
    with m.If(takes):
        m.d.sync += [
            hot.acknowledgement.eq(hot.acknowledgement + found.take + 1),
            hot.window.eq(hot.window - found.take - 1), visit.pend.ack.eq(1), row.delayed.eq(0),
            visit.peer_closed.eq(1),
        ]
    with m.Switch(hot.state):
        with m.Case(State.SYN_RECEIVED):
            m.d.sync += hot.state.eq(Mux(row.closing, State.CLOSING, State.CLOSE_WAIT))
        with m.Case(State.ESTABLISHED):
            m.d.sync += hot.state.eq(State.CLOSE_WAIT)
        with m.Case(State.FIN_WAIT_1):
            with m.If(_fin_acknowledged(visit)):
                _time_wait(m, visit)
            with m.Else():
                m.d.sync += hot.state.eq(State.CLOSING)
        with m.Case(State.FIN_WAIT_2):
            _time_wait(m, visit)
