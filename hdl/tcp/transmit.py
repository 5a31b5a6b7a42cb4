"""Jobs become segments, and what they carried is kept until it is acknowledged."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import enum, stream, wiring
from amaranth.lib.wiring import In, Out
from tickwire.hdl.ip.settings import EdgeSettings
from tickwire.hdl.mac.transmit import FrameDone
from tickwire.hdl.stream.packet import Packet, packet_stream, strobe
from tickwire.hdl.tcp.compose import Contents, SegmentComposer
from tickwire.hdl.tcp.message_queue import MessageQueue
from tickwire.hdl.tcp.order_tap import OrderTap
from tickwire.hdl.tcp.retransmit import RetransmitBuffer
from tickwire.hdl.tcp.segment import (
    LARGEST_SEGMENT,
    SESSION_BITS,
    Left,
    Message,
    Release,
    SegmentJob,
    SessionView,
)
from tickwire.hdl.tcp.session import Commit

__all__ = ["TcpTransmit"]

_LANES = 8
_SETTLING = 3   # cycles from a frame's end until an order may be decided on


class _State(enum.Enum, shape=2):
    IDLE = 0
    PREPARE = 1     # is there what the job wants to be sent?
    START = 2
    SEND = 3


class TcpTransmit(wiring.Component):
    """Transmit half of TCP over IPv4 over Ethernet II (RFC 9293, 791, 894), and what it may have
    to send again, orders' payloads included.

    A frame that is offered may wait while orders overtake it. What it says of its session is
    looked up in the cycle in which its fourth beat is accepted, which is at least four cycles
    after the end of the frame before. From the first beat on one must be accepted in every
    cycle: between ``o`` and the MAC there may be an arbiter, but no register.

    What a frame uses up counts when it has left whole: a message that was broken off stays in
    front, and nothing is kept of it.

    An order has its sequence number before its frame begins. So no order of the session may be
    decided on from the cycle before a frame with something new begins until what it uses up shows
    in the session: ``o_busy`` says so. While another frame is on the wire, orders may still go
    before the one that is offered.

    Latency: job accepted → first beat offered 3 cycles; ``i_done`` → ``o_left``, ``o_failed``
    1 cycle; ``i_done`` (or the last beat accepted, if the frame was broken off before) → next job
    accepted 1 cycle. An order's way through ``i_order`` costs it nothing.

    Parameters
    ----------
    sessions, buffer_bytes, order_bytes : int
        See :class:`RetransmitBuffer`.
    message_depth, messages : int
        ``depth`` and ``messages`` of :class:`MessageQueue`.

    Members
    -------
    i : In, stream of SegmentJob
        With ``payload`` or ``resend`` (not both) there is neither SYN nor ``mss``. A job whose
        message or record is not there fails.
    i_settings : In, EdgeSettings
    o_session : Out, 6 bits
        Of the job that was accepted last.
    i_view : In, SessionView
        Of ``o_session``.
    o : Out, packet_stream(8)
    i_started : In, 1 bit
        A frame has begun, whosever it is: the MAC's ``o_start``.
    i_done : In, strobe(FrameDone)
        A frame has ended, whosever it is. It counts for this room's after its first beat was taken.
    o_left : Out, strobe(Left)
        A job's frame has left whole, whether it carried something new or not. Not for a stray one.
    o_busy : Out, 1 bit
        An intent of ``o_session`` that the risk gate takes in this cycle must be refused. It falls
        three cycles after ``o_left``: the session must show it by the fourth.
    o_failed : Out, strobe of 6 bits
        A job was not carried out. Not for a stray one.
    i_message : In, packet_stream(8)
        See :class:`MessageQueue`, like
    i_message_session : In, 6 bits
        and
    o_message : Out, stream of Message
        whose ``ready`` throws the message in front away; not between a job with ``payload`` and its
        end. After such a job's ``o_left`` the next message is in front from the next cycle on.
    i_order : In, strobe(Packet(8))
        Beats of an order's frame in the cycles in which they are accepted.
    i_order_session : In, 6 bits
        Stands with the first of them.
    i_order_commit : In, strobe of :class:`~tickwire.hdl.tcp.session.Commit`
        It has left whole. If it has not, nothing need be said.
    i_release, i_asked_message, i_asked_order, o_room_message, o_empty, o_room_order
        See :class:`RetransmitBuffer`.
    o_count_message_taken, o_count_message_refused, o_count_lost, o_count_sent, o_count_resent,
    o_count_failed : Out, 1 bit each
        Messages that came in, and that were empty or too long; records for which there was no room;
        frames that left whole (``resent`` beside ``sent``), jobs that were not carried out.

    Raises
    ------
    ValueError
        If a parameter is not supported.
    """

    def __init__(self, sessions=8, buffer_bytes=2048, order_bytes=LARGEST_SEGMENT,
                 message_depth=512, messages=16):
        self.messages = MessageQueue(message_depth, messages)
        self.buffer = RetransmitBuffer(sessions, buffer_bytes, order_bytes)
        super().__init__({
            "i": In(stream.Signature(SegmentJob)),
            "i_settings": In(EdgeSettings),
            "o_session": Out(SESSION_BITS),
            "i_view": In(SessionView),
            "o": Out(packet_stream(_LANES)),
            "i_started": In(1),
            "i_done": In(strobe(FrameDone)),
            "o_busy": Out(1),
            "o_left": Out(strobe(Left)),
            "o_failed": Out(strobe(SESSION_BITS)),
            "i_message": In(packet_stream(_LANES)),
            "i_message_session": In(SESSION_BITS),
            "o_message": Out(stream.Signature(Message)),
            "i_order": In(strobe(Packet(_LANES))),
            "i_order_session": In(SESSION_BITS),
            "i_order_commit": In(strobe(Commit)),
            "i_release": In(strobe(Release)),
            "i_asked_message": In(SESSION_BITS),
            "i_asked_order": In(SESSION_BITS),
            "o_room_message": Out(1),
            "o_empty": Out(1),
            "o_room_order": Out(1),
            **{f"o_count_{name}": Out(1) for name in (
                "message_taken", "message_refused", "lost", "sent", "resent", "failed")},
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.messages = messages = self.messages
        m.submodules.buffer = buffer = self.buffer
        m.submodules.composer = composer = SegmentComposer()
        m.submodules.tap = tap = OrderTap()
        wiring.connect(m, wiring.flipped(self.i_message), messages.i)
        wiring.connect(m, wiring.flipped(self.i_order), tap.i)
        wiring.connect(m, wiring.flipped(self.i_order_commit), tap.i_commit)
        wiring.connect(m, wiring.flipped(self.i_release), buffer.i_release)
        wiring.connect(m, composer.o, wiring.flipped(self.o))
        job = Signal(SegmentJob, reset_less=True)
        m.d.comb += [
            messages.i_session.eq(self.i_message_session),
            composer.i_job.eq(job),
            composer.i_view.eq(self.i_view),
            composer.i_mac.eq(self.i_settings.mac),
            composer.i_address.eq(self.i_settings.address),
            self.o_session.eq(job.session),
            buffer.i_asked_message.eq(self.i_asked_message),
            buffer.i_asked_order.eq(self.i_asked_order),
            self.o_room_message.eq(buffer.o_room_message),
            self.o_room_order.eq(buffer.o_room_order),
            self.o_empty.eq(buffer.o_empty),
            self.o_count_lost.eq(buffer.o_count_lost),
            self.o_count_message_taken.eq(messages.o_count_taken),
            self.o_count_message_refused.eq(messages.o_count_refused),
        ]

        # One job at a time
        state = Signal(_State)
        begun, exhausted, done = Signal(), Signal(), Signal()
        missing = Signal()
        taken = self.o.valid & self.o.ready
        starts = taken & self.o.payload.first
        done_now = self.i_done.valid & begun & ~done
        whole = done_now & ~self.i_done.payload.aborted
        finished = ((exhausted | taken & self.o.payload.last) & (done | done_now))
        prepares, opened = state == _State.PREPARE, state == _State.START
        m.d.comb += self.i.ready.eq(state == _State.IDLE)
        with m.Switch(state):
            with m.Case(_State.IDLE):
                m.d.sync += [begun.eq(0), exhausted.eq(0), done.eq(0)]
                with m.If(self.i.valid):
                    m.d.sync += [job.eq(self.i.payload), state.eq(_State.PREPARE)]
            with m.Case(_State.PREPARE):
                m.d.sync += [missing.eq(job.resend & buffer.o_nothing
                                        | job.payload & ~messages.o.valid),
                             state.eq(_State.START)]
            with m.Case(_State.START):
                m.d.comb += composer.i_start.eq(~missing)
                m.d.sync += state.eq(Mux(missing, _State.IDLE, _State.SEND))
            with m.Case(_State.SEND):
                with m.If(taken):
                    m.d.sync += [begun.eq(1), exhausted.eq(self.o.payload.last)]
                with m.If(done_now):
                    m.d.sync += done.eq(1)
                with m.If(finished):
                    m.d.sync += state.eq(_State.IDLE)

        # Whether an order may be decided on: it would not be sent before the next cycle.
        uses_up = (job.payload | job.control.syn | job.control.fin) & ~job.resend
        on_wire = Signal()              # a frame
        settling = Signal(_SETTLING)
        with m.If(self.i_started):
            m.d.sync += on_wire.eq(1)
        with m.Elif(self.i_done.valid):
            m.d.sync += on_wire.eq(0)
        m.d.sync += settling.eq(settling << 1 | done_now & uses_up)
        waits = self.o.valid & ~begun & (~on_wire | self.i_done.valid)
        m.d.comb += self.o_busy.eq(uses_up & (waits | begun & ~done) | settling.any())

        # What it carries
        contents = Signal(Contents, reset_less=True)
        with m.If(opened):
            m.d.sync += [
                contents.resent.eq(job.resend),
                contents.sequence.eq(buffer.o_record.sequence),
                contents.length.eq(0),
                contents.sum.eq(0),
            ]
            with m.If(job.resend):
                m.d.sync += [contents.length.eq(buffer.o_record.length),
                             contents.sum.eq(buffer.o_record.sum)]
            with m.Elif(job.payload):
                m.d.sync += [contents.length.eq(messages.o.payload.length),
                             contents.sum.eq(messages.o_sum)]
        m.d.comb += [
            composer.i_contents.eq(contents),
            composer.i_word.eq(Mux(job.resend, buffer.o_word, messages.o_word)),
            buffer.i_open.valid.eq(prepares & job.resend),
            buffer.i_open.payload.eq(job.session),
            buffer.i_hold.eq((opened | (state == _State.SEND)) & job.resend),
            buffer.i_next.eq(composer.o_next & job.resend),
            messages.i_next.eq(composer.o_next & job.payload),
            messages.i_rewind.eq(finished | (state != _State.SEND)),
        ]

        # What is kept of it: a message, or an order that leaves by its own way
        words = Signal(8)               # of the message, that are still to be written
        left = Signal()                 # the frame has left whole a cycle ago
        with m.If(starts):
            m.d.sync += words.eq((contents.length + _LANES - 1) >> 3)
        with m.Elif(messages.i_next & (words != 0)):
            m.d.sync += words.eq(words - 1)
        keeps = left & job.payload
        m.d.sync += [
            left.eq(whole),
            self.o_left.valid.eq(whole & ~job.stray),
            self.o_failed.valid.eq((done_now & ~whole | opened & missing) & ~job.stray),
            self.o_count_sent.eq(whole),
            self.o_count_resent.eq(whole & job.resend),
            self.o_count_failed.eq(done_now & ~whole | opened & missing),
            self.o_left.payload.session.eq(job.session),
            self.o_left.payload.sequence.eq(composer.o_sequence),
            self.o_left.payload.length.eq(contents.length + job.control.syn + job.control.fin),
            self.o_failed.payload.eq(job.session),
        ]
        record = buffer.i_commit.payload
        m.d.comb += [
            buffer.i_begin.valid.eq(starts & job.payload | tap.o_begin),
            buffer.i_begin.payload.eq(Mux(tap.o_begin, self.i_order_session, job.session)),
            buffer.i_word.valid.eq(messages.i_next & (words != 0) | tap.o_word.valid),
            buffer.i_word.payload.eq(
                Mux(tap.o_word.valid, tap.o_word.payload, messages.o_word)),
            buffer.i_commit.valid.eq(keeps | tap.o_commit.valid),
            record.eq(tap.o_commit.payload),
            self.o_message.valid.eq(messages.o.valid),
            self.o_message.payload.eq(messages.o.payload),
            messages.o.ready.eq(keeps | self.o_message.ready),
        ]
        with m.If(keeps):
            m.d.comb += [
                record.sequence.eq(self.o_left.payload.sequence),
                record.length.eq(contents.length),
                record.sum.eq(contents.sum),
            ]
        return m
