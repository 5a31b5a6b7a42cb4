"""Calls of the host: OPEN, CLOSE and ABORT (RFC 9293, 3.10.1, 3.10.4 and 3.10.5)."""

from tickwire.hdl.tcp.acceptance import bad_address
from tickwire.hdl.tcp.connection import CommandKind, Event, State, Timer

__all__ = ["call"]


def call(m, visit):
    """One cycle: the command is obeyed, or refused because of the state."""
    with m.If(~visit.exists):
        m.d.sync += visit.event.eq(Event.BAD_COMMAND)
    with m.Else(), m.Switch(visit.command.kind):
        with m.Case(CommandKind.OPEN):
            _open(m, visit)
        with m.Case(CommandKind.LISTEN):
            _listen(m, visit)
        with m.Case(CommandKind.CLOSE):
            _close(m, visit)
        with m.Case(CommandKind.ABORT):
            _abort(m, visit)


def _open(m, visit):
    command, row, hot = visit.command, visit.row, visit.hot
    with m.If((hot.state != State.CLOSED) & (hot.state != State.LISTEN)):
        m.d.sync += visit.event.eq(Event.BAD_COMMAND)
    with m.Elif(bad_address(command.end.address)):
        m.d.sync += visit.event.eq(Event.BAD_ADDRESS)
    with m.Else():
        m.d.sync += [
            *visit.opened(State.SYN_SENT), row.passive.eq(0), row.again.eq(0),
            row.keep_alive.eq(command.keep_alive), row.address.eq(command.end.address),
            row.port.eq(command.end.port), row.local_port.eq(command.end.local_port),
            hot.acknowledgement.eq(0), hot.peer_window.eq(0), row.max_window.eq(0),
        ]


def _listen(m, visit):
    command, row, hot = visit.command, visit.row, visit.hot
    with m.If(hot.state != State.CLOSED):
        m.d.sync += visit.event.eq(Event.BAD_COMMAND)
    with m.Else():
        m.d.sync += [
            hot.state.eq(State.LISTEN), visit.binds.eq(1), row.event.eq(Event.NONE),
            row.passive.eq(1), row.again.eq(command.again), row.timer.eq(Timer.OFF),
            row.keep_alive.eq(command.keep_alive), row.local_port.eq(command.end.local_port),
        ]


def _close(m, visit):
    row, hot = visit.row, visit.hot
    with m.Switch(hot.state):
        with m.Case(State.LISTEN, State.SYN_SENT):
            visit.close(m, Event.CLOSED, listens=0)
        with m.Case(State.SYN_RECEIVED):        # when it is ESTABLISHED
            m.d.sync += row.closing.eq(1)
        with m.Case(State.ESTABLISHED):
            m.d.sync += [hot.state.eq(State.FIN_WAIT_1), visit.pend.fin.eq(1)]
        with m.Case(State.CLOSE_WAIT):
            m.d.sync += [hot.state.eq(State.LAST_ACK), visit.pend.fin.eq(1)]
        with m.Default():
            m.d.sync += visit.event.eq(Event.BAD_COMMAND)


def _abort(m, visit):
    hot = visit.hot
    synchronized = ((hot.state == State.SYN_RECEIVED) | (hot.state == State.ESTABLISHED)
                    | (hot.state == State.FIN_WAIT_1) | (hot.state == State.FIN_WAIT_2)
                    | (hot.state == State.CLOSE_WAIT))
    with m.If(hot.state == State.CLOSED):
        m.d.sync += visit.event.eq(Event.BAD_COMMAND)
    with m.Else():
        visit.close(m, Event.ABORTED, listens=0)
        m.d.sync += visit.pend.reset.eq(synchronized)
