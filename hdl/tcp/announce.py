"""What others hear of a visit: the receiver, the retransmission buffer, the host."""

from amaranth.hdl import Mux, Signal
from tickwire.hdl.tcp.connection import Event, State
from tickwire.hdl.tcp.visit import Task

__all__ = ["announce"]


def announce(m, ports, visit, applies):
    """Strobes and streams of the visit, in the cycle in which it ``applies``."""
    row, hot, segment = visit.row, visit.hot, visit.segment
    bind, release, notice = (ports.o_bind.payload, ports.o_release.payload,
                             ports.o_event.payload)
    m.d.comb += [
        ports.o_bind.valid.eq(applies & visit.exists & visit.binds),
        bind.index.eq(visit.session), bind.row.valid.eq(hot.state != State.CLOSED),
        bind.row.listening.eq(hot.state == State.LISTEN),
        bind.row.address.eq(row.address), bind.row.port.eq(row.port),
        bind.row.local_port.eq(row.local_port),
        ports.o_release.valid.eq(applies & visit.releases),
        release.session.eq(visit.session), release.all.eq(visit.releases_all),
        release.acknowledgement.eq(hot.unacknowledged),
    ]
    opener = Mux(visit.task == Task.COMMAND, visit.command.end, segment.end)
    m.d.comb += [
        ports.o_end.valid.eq(applies & visit.opens),
        ports.o_end.payload.session.eq(visit.session), ports.o_end.payload.end.eq(opener),
    ]

    # The peer's FIN is told of a cycle after what else there is.
    closed = Signal()
    m.d.sync += closed.eq(applies & visit.peer_closed)
    m.d.comb += [
        ports.o_event.valid.eq((applies & (visit.event != Event.NONE)) | closed),
        notice.session.eq(visit.session),
        notice.event.eq(Mux(closed, Event.PEER_CLOSED, visit.event)),
    ]

    stray, portion = ports.o_stray, ports.o_portion
    control = segment.control
    with m.If(stray.ready):
        m.d.sync += stray.valid.eq(0)
    with m.If(portion.ready):
        m.d.sync += portion.valid.eq(0)
    with m.If(applies & visit.resets):          # RFC 9293, 3.10.7.1
        with m.If(stray.valid & ~stray.ready):
            m.d.comb += ports.o_count_limited.eq(1)
        with m.Else():
            m.d.sync += [
                stray.valid.eq(1), stray.payload.end.eq(segment.end),
                stray.payload.ack.eq(~control.ack),
                stray.payload.sequence.eq(Mux(control.ack, segment.acknowledgement, 0)),
                stray.payload.acknowledgement.eq(
                    segment.sequence + segment.length + control.syn + control.fin),
            ]
    with m.If(applies & (visit.task == Task.SEGMENT) & segment.matched
              & (segment.length != 0)):
        m.d.comb += ports.o_count_untimely.eq(visit.take == 0)
        m.d.sync += [portion.valid.eq(1), portion.payload.session.eq(visit.session),
                     portion.payload.skip.eq(visit.skip), portion.payload.take.eq(visit.take)]
