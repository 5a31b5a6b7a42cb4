"""The control room of the TCP engine: connections, timers, and what is sent when."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from tickwire.hdl.csr.table import table_write
from tickwire.hdl.stream.packet import packet_stream, strobe
from tickwire.hdl.tcp.connection import (
    Command,
    Consumed,
    Notice,
    OrderView,
    Refusal,
    State,
    Status,
    TcpSettings,
)
from tickwire.hdl.tcp.delivery import Delivery
from tickwire.hdl.tcp.jobs import JobScheduler
from tickwire.hdl.tcp.registers import SessionRegisters
from tickwire.hdl.tcp.segment import (
    SESSION_BITS,
    Binding,
    Left,
    Message,
    Release,
    Segment,
    SegmentJob,
    SessionView,
)
from tickwire.hdl.tcp.visits import SessionVisits

__all__ = ["TcpControl"]


class TcpControl(wiring.Component):
    """TCP (RFC 9293) for a fixed number of sessions, without the frames.

    Segments come in one by one, jobs for segments go out one by one. The receiver is never made to
    wait by the transmitter: what a segment asks for is a bit of its session until it is sent.
    Messages and orders are sent at once or refused; nothing but these bits is queued.

    Latency: ``i_segment`` taken → ``o_job`` offered 9 cycles (ACK; a reset of a stray as well);
    SYN → SYN-ACK and OPEN → SYN 26; ``i_message`` → ``o_job`` 3; → ``o_discard`` 2; ``i_segment``
    taken → first beat of ``o_data`` 8 cycles + skip // 8, one more if bytes are moved;
    ``i_commit`` and ``i_order_commit`` → ``o_view`` and ``o_order`` 1 cycle, these follow their
    index at once. A segment is taken every 6 cycles, 9 if it acknowledges something new; other
    tasks take as long between two segments.

    Parameters
    ----------
    parameters : TcpParameters

    Members
    -------
    i_tick : In, 1 bit
        Unit of all times.
    i_settings : In, TcpSettings
    i_segment : In, stream(Segment)
        Good segments. For a matched one with payload, that waits at ``i_payload``.
    i_payload : In, packet_stream(8)
        From lane 0 on.
    o_bind : Out, table_write(Binding, sessions)
        Row of the receiver's match table.
    o_job : Out, stream(SegmentJob)
        The next one is not offered before ``i_commit`` or ``i_failed`` of the last one, unless that
        is stray. A job with ``resend`` names SND.UNA; the sequence number is the record's.
    i_view_session : In, 6 bits
    o_view : Out, SessionView
    i_commit : In, strobe(Left)
        The job's frame has left whole; just once, whatever its length, unless the job is stray.
    i_failed : In, strobe of 6 bits
        It has not. What it was for is sent again.
    i_message : In, stream(Message)
        The message in front. ``ready`` with ``o_discard``; one that has left is not offered any
        more from the cycle after ``i_commit`` on.
    i_room : In, 1 bit
        The retransmission buffer of the message's session has room for it.
    o_discard : Out, strobe(Refusal)
    o_release : Out, strobe(Release)
    i_order_session : In, 6 bits
    o_order : Out, OrderView
        An order must not begin while ``open`` is 0, whatever was seen before: our FIN may have left
        meanwhile.
    i_order_commit : In, strobe(Left)
        An order's frame has left whole. May come with ``i_commit``, for another session.
    o_data : Out, packet_stream(8)
        Payload in order, each byte once, from lane 0 on. Who takes it has room for
        ``receive_buffer`` bytes of each session: segments wait behind it.
    o_data_session : Out, 6 bits
    i_consumed : In, stream(Consumed)
        The host has taken bytes: the window may open.
    i_command : In, stream(Command)
        OPEN and LISTEN wait while a job of the session's last connection is out.
    o_event : Out, strobe(Notice)
    i_status_session : In, 6 bits
    o_status : Out, Status
        2 cycles later.
    o_count_limited, o_count_untimely : Out, 1 bit
        See :class:`SessionVisits`.
    """

    def __init__(self, parameters):
        self._parameters = parameters
        super().__init__({
            "i_tick": In(1),
            "i_settings": In(TcpSettings),
            "i_segment": In(stream.Signature(Segment)),
            "i_payload": In(packet_stream(8)),
            "o_bind": Out(table_write(Binding, parameters.sessions)),
            "o_job": Out(stream.Signature(SegmentJob)),
            "i_view_session": In(SESSION_BITS),
            "o_view": Out(SessionView),
            "i_commit": In(strobe(Left)),
            "i_failed": In(strobe(SESSION_BITS)),
            "i_message": In(stream.Signature(Message)),
            "i_room": In(1),
            "o_discard": Out(strobe(Refusal)),
            "o_release": Out(strobe(Release)),
            "i_order_session": In(SESSION_BITS),
            "o_order": Out(OrderView),
            "i_order_commit": In(strobe(Left)),
            "o_data": Out(packet_stream(8)),
            "o_data_session": Out(SESSION_BITS),
            "i_consumed": In(stream.Signature(Consumed)),
            "i_command": In(stream.Signature(Command)),
            "o_event": Out(strobe(Notice)),
            "i_status_session": In(SESSION_BITS),
            "o_status": Out(Status),
            "o_count_limited": Out(1),
            "o_count_untimely": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        sessions = self._parameters.sessions
        m.submodules.visits = visits = SessionVisits(self._parameters)
        m.submodules.jobs = jobs = JobScheduler(sessions)
        m.submodules.registers = registers = SessionRegisters(sessions)
        m.submodules.delivery = delivery = Delivery()

        connect(m, flipped(self.i_segment), visits.i_segment)
        connect(m, flipped(self.i_consumed), visits.i_consumed)
        connect(m, flipped(self.i_command), visits.i_command)
        connect(m, visits.o_bind, flipped(self.o_bind))
        connect(m, visits.o_release, flipped(self.o_release))
        connect(m, visits.o_event, flipped(self.o_event))
        connect(m, visits.o_write, registers.i_write)
        connect(m, visits.o_set, jobs.i_set)
        connect(m, visits.o_end, jobs.i_end)
        connect(m, visits.o_stray, jobs.i_stray)
        connect(m, visits.o_portion, delivery.i_portion)
        connect(m, flipped(self.i_payload), delivery.i)
        connect(m, delivery.o, flipped(self.o_data))
        connect(m, flipped(self.i_message), jobs.i_message)
        connect(m, jobs.o_discard, flipped(self.o_discard))
        connect(m, jobs.o_job, flipped(self.o_job))
        connect(m, flipped(self.i_commit), registers.i_commit)
        connect(m, flipped(self.i_order_commit), registers.i_order_commit)

        shown = Signal(SESSION_BITS)
        m.d.sync += shown.eq(self.i_status_session)
        m.d.comb += [
            visits.i_tick.eq(self.i_tick), visits.i_settings.eq(self.i_settings),
            visits.i_new.eq(registers.o_new), visits.i_fin.eq(registers.o_fin),
            visits.i_busy.eq(jobs.o_busy),
            registers.i_index[0].eq(visits.o_index), visits.i_hot.eq(registers.o_hot[0]),
            visits.i_next.eq(registers.o_next[0]),
            registers.i_index[1].eq(jobs.o_index), jobs.i_hot.eq(registers.o_hot[1]),
            jobs.i_next.eq(registers.o_next[1]), jobs.i_fin.eq(registers.o_fin),
            registers.i_fin.eq(jobs.o_fin), jobs.i_room.eq(self.i_room),
            jobs.i_left.eq(self.i_commit.valid), jobs.i_failed.eq(self.i_failed.valid),
            registers.i_view.eq(self.i_view_session), self.o_view.eq(registers.o_view),
            registers.i_order.eq(self.i_order_session), self.o_order.eq(registers.o_order),
            self.o_data_session.eq(delivery.o_session),
            registers.i_index[2].eq(shown), visits.i_tally.eq(self.i_status_session),
            self.o_count_limited.eq(visits.o_count_limited),
            self.o_count_untimely.eq(visits.o_count_untimely),
        ]
        hot, state = registers.o_hot[2], Signal(State)
        # Of the same moment as what the tally says: with a FIN there may be bytes to come.
        m.d.sync += state.eq(hot.state)
        m.d.comb += [
            self.o_status.state.eq(state), self.o_status.event.eq(visits.o_tally.event),
            self.o_status.retransmissions.eq(visits.o_tally.retransmissions),
            self.o_status.pending.eq(visits.o_tally.pending),
            self.o_status.sequence.eq(registers.o_next[2]),
            self.o_status.unacknowledged.eq(hot.unacknowledged),
            self.o_status.peer_window.eq(hot.peer_window),
            self.o_status.usable_window.eq(hot.usable),
            self.o_status.acknowledgement.eq(hot.acknowledgement),
            self.o_status.window.eq(hot.window),
        ]
        return m
