"""TCP in hardware: the rooms of the engine and what connects them."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from tickwire.hdl.ip.settings import EdgeSettings
from tickwire.hdl.mac.frame import FrameEnd
from tickwire.hdl.mac.transmit import FrameDone
from tickwire.hdl.stream.packet import Packet, packet_stream, strobe
from tickwire.hdl.tcp.connection import (
    Command,
    Consumed,
    Notice,
    OrderView,
    RefusalReason,
    Status,
    TcpSettings,
)
from tickwire.hdl.tcp.control import TcpControl
from tickwire.hdl.tcp.delivery_queue import DeliveryQueue
from tickwire.hdl.tcp.receive import TcpReceive
from tickwire.hdl.tcp.segment import SESSION_BITS, Left
from tickwire.hdl.tcp.session import Commit
from tickwire.hdl.tcp.transmit import TcpTransmit

__all__ = ["MessageOutcome", "TcpEngine", "TCP_COUNTS"]

_LANES = 8

#: Counts, by the room that makes them.
TCP_COUNTS = {
    "receive": ("accepted", "unmatched", "header", "checksum", "no_room", "options"),
    "transmit": ("sent", "resent", "failed", "lost"),
    "control": ("limited", "untimely"),
}


class MessageOutcome(data.Struct):
    """What became of a message of the host's."""

    refused: 1
    reason: RefusalReason


class TcpEngine(wiring.Component):
    """Connections that live in hardware (RFC 9293), shared by orders and by the host.

    Latency: a frame's end → segment 4 cycles → acknowledgement offered 9 + 3 cycles; message's last
    beat → offered 4 + 2 + 3 + 3. An order's way is not touched.

    Parameters
    ----------
    parameters : TcpParameters
    order_bytes : int
        Payload of the largest order.
    payload_depth, delivery_depth, message_depth : int
        Beats that may wait: of payloads received, of what is delivered, of messages.

    Members
    -------
    i : In, strobe(Packet(8))
    i_end : In, strobe(FrameEnd)
        Frames as MacReceive gives them.
    i_settings : In, EdgeSettings
    i_tcp_settings : In, TcpSettings
    i_claim_all : In, 1 bit
        See :class:`TcpReceive`.
    i_tick : In, 1 bit
        Unit of all times.
    o_claimed : Out, 1 bit
        For the frame store.
    o : Out, packet_stream(8)
        Segments as frames. No register may follow before the MAC.
    i_started, i_done : In, 1 bit, strobe(FrameDone)
        The MAC's ``o_start`` and ``o_done``, of any frame.
    o_busy : Out, 1 bit
        An order of ``i_order_session`` must be refused: a segment with something new is about to
        leave, and the order would have its sequence number.
    i_message, i_message_session : In, packet_stream(8), 6 bits
        Messages of the host's. Each has its ``o_message``, in their order.
    o_message : Out, strobe(MessageOutcome)
    i_order : In, strobe(Packet(8))
        Beats of orders in the cycles in which they are accepted.
    i_order_session : In, 6 bits
        Whose orders they are.
    i_order_commit : In, strobe(Commit)
    o_order : Out, OrderView
    o_order_room : Out, 1 bit
        An order can be kept for retransmission.
    o_left : Out, strobe(Left)
        Another frame than an order's has left.
    o_data, o_data_session : Out, packet_stream(8), 6 bits
        What sessions have received, in order.
    i_consumed : In, stream(Consumed)
    i_command : In, stream(Command)
    o_event : Out, strobe(Notice)
    i_status_session : In, 6 bits
    o_status : Out, Status
    o_count_* : Out, 1 bit
        As in :data:`TCP_COUNTS`, by the rooms' names.
    """

    def __init__(self, parameters, order_bytes, *, payload_depth=512, delivery_depth=512,
                 message_depth=256):
        self.control = TcpControl(parameters)
        self.receive = TcpReceive(parameters.sessions, payload_depth=payload_depth)
        self.transmit = TcpTransmit(parameters.sessions, order_bytes=order_bytes,
                                    message_depth=message_depth)
        self.delivered = DeliveryQueue(delivery_depth)
        super().__init__({
            "i": In(strobe(Packet(_LANES))),
            "i_end": In(strobe(FrameEnd)),
            "i_settings": In(EdgeSettings),
            "i_tcp_settings": In(TcpSettings),
            "i_claim_all": In(1),
            "i_tick": In(1),
            "o_claimed": Out(1),
            "o": Out(packet_stream(_LANES)),
            "i_started": In(1),
            "i_done": In(strobe(FrameDone)),
            "o_busy": Out(1),
            "i_message": In(packet_stream(_LANES)),
            "i_message_session": In(SESSION_BITS),
            "o_message": Out(strobe(MessageOutcome)),
            "i_order": In(strobe(Packet(_LANES))),
            "i_order_session": In(SESSION_BITS),
            "i_order_commit": In(strobe(Commit)),
            "o_order": Out(OrderView),
            "o_order_room": Out(1),
            "o_left": Out(strobe(Left)),
            "o_data": Out(packet_stream(_LANES)),
            "o_data_session": Out(SESSION_BITS),
            "i_consumed": In(stream.Signature(Consumed)),
            "i_command": In(stream.Signature(Command)),
            "o_event": Out(strobe(Notice)),
            "i_status_session": In(SESSION_BITS),
            "o_status": Out(Status),
            **{f"o_count_{name}": Out(1) for names in TCP_COUNTS.values() for name in names},
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.control = control = self.control
        m.submodules.receive = receive = self.receive
        m.submodules.transmit = transmit = self.transmit
        m.submodules.delivered = delivered = self.delivered

        # In
        connect(m, flipped(self.i), receive.i)
        connect(m, flipped(self.i_end), receive.i_end)
        connect(m, receive.o, control.i_segment)
        connect(m, receive.o_payload, control.i_payload)
        connect(m, control.o_bind, receive.i_bind)
        connect(m, control.o_data, delivered.i)
        connect(m, delivered.o, flipped(self.o_data))
        m.d.comb += [
            receive.i_settings.eq(self.i_settings),
            receive.i_claim_all.eq(self.i_claim_all),
            self.o_claimed.eq(receive.o_claimed),
            delivered.i_session.eq(control.o_data_session),
            self.o_data_session.eq(delivered.o_session),
        ]
        # Out
        connect(m, control.o_job, transmit.i)
        connect(m, transmit.o, flipped(self.o))
        connect(m, flipped(self.i_done), transmit.i_done)
        connect(m, control.o_release, transmit.i_release)
        connect(m, flipped(self.i_order), transmit.i_order)
        connect(m, flipped(self.i_order_commit), transmit.i_order_commit)
        order, left = self.i_order_commit, transmit.o_left
        m.d.comb += [
            transmit.i_started.eq(self.i_started),
            self.o_busy.eq(transmit.o_busy & (transmit.o_session == self.i_order_session)),
            transmit.i_settings.eq(self.i_settings),
            control.i_view_session.eq(transmit.o_session),
            transmit.i_view.eq(control.o_view),
            control.i_commit.valid.eq(left.valid), control.i_commit.payload.eq(left.payload),
            self.o_left.valid.eq(left.valid), self.o_left.payload.eq(left.payload),
            control.i_failed.valid.eq(transmit.o_failed.valid),
            control.i_failed.payload.eq(transmit.o_failed.payload),
            transmit.i_order_session.eq(self.i_order_session),
            transmit.i_asked_order.eq(self.i_order_session),
            self.o_order_room.eq(transmit.o_room_order),
            control.i_order_session.eq(self.i_order_session),
            self.o_order.eq(control.o_order),
            control.i_order_commit.valid.eq(order.valid),
            control.i_order_commit.payload.session.eq(self.i_order_session),
            control.i_order_commit.payload.sequence.eq(order.payload.sequence),
            control.i_order_commit.payload.length.eq(order.payload.length),
        ]
        # Messages: asked for the room of the one in front, a cycle later
        connect(m, flipped(self.i_message), transmit.i_message)
        waiting, discarded = transmit.o_message, control.o_discard
        asked = Signal(2)
        is_message = Signal()           # the job that is out
        with m.If(control.o_job.valid & control.o_job.ready):
            m.d.sync += is_message.eq(control.o_job.payload.payload)
        m.d.comb += [
            transmit.i_message_session.eq(self.i_message_session),
            transmit.i_asked_message.eq(waiting.payload.session),
            control.i_room.eq(transmit.o_room_message),
            control.i_message.valid.eq(waiting.valid & asked[-1]),
            control.i_message.payload.eq(waiting.payload),
            waiting.ready.eq(control.i_message.ready),
            self.o_message.valid.eq(left.valid & is_message | discarded.valid),
            self.o_message.payload.refused.eq(discarded.valid),
            self.o_message.payload.reason.eq(discarded.payload.reason),
        ]
        m.d.sync += asked.eq(Mux(waiting.valid & ~self.o_message.valid, asked << 1 | 1, 0))
        # Host
        connect(m, flipped(self.i_consumed), control.i_consumed)
        connect(m, flipped(self.i_command), control.i_command)
        connect(m, control.o_event, flipped(self.o_event))
        m.d.comb += [
            control.i_tick.eq(self.i_tick),
            control.i_settings.eq(self.i_tcp_settings),
            control.i_status_session.eq(self.i_status_session),
            self.o_status.eq(control.o_status),
        ]
        for room, names in TCP_COUNTS.items():
            for name in names:
                m.d.comb += getattr(self, f"o_count_{name}").eq(
                    getattr(getattr(self, room), f"o_count_{name}"))
        return m
