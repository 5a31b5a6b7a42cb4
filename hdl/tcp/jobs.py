"""Which segment is sent next, and what it is made of."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from tickwire.hdl.stream.packet import strobe
from tickwire.hdl.tcp.connection import Hot, Refusal, RefusalReason, State
from tickwire.hdl.tcp.segment import SESSION_BITS, Endpoint, Message, SegmentJob, Sequence

__all__ = ["JobScheduler", "Pending", "Stray", "Wanted"]


class Pending(data.Struct):
    """Segments that a session has to send; the first ones go first."""

    reset: 1
    syn: 1                  # or SYN-ACK
    resend: 1               # the oldest record, or FIN
    fin: 1
    probe: 1                # a byte that was acknowledged long ago is asked about
    ack: 1


class Wanted(data.Struct):
    """A session has segments to send."""

    session: SESSION_BITS
    pending: Pending        # in addition
    purge: 1                # and nothing else


class Stray(data.Struct):
    """A reset of what belongs to no session."""

    end: Endpoint
    sequence: 32
    acknowledgement: 32
    ack: 1                  # it acknowledges


class _State(enum.Enum, shape=3):
    CHOOSE = 0
    READ = 1
    BUILD = 2
    OFFER = 3
    WAIT = 4


class _Made(data.Struct):
    job: SegmentJob
    possible: 1
    clears: Pending         # what need not be sent any more once the job is out
    fin: 1                  # its FIN is the first one


class JobScheduler(wiring.Component):
    """Keeps what each session has to send, one bit a kind, and makes jobs of it, one at a time.

    Sessions take turns; resets of strays come after them. A message comes last, but waits for one
    job of another kind at most. It is sent or refused, and never cut: it is what its writer has
    pushed (RFC 9293, 3.8.6.2.1 and 3.9.1.2).

    Latency: ``i_set`` → ``o_job`` offered 4 cycles, if the transmitter is free and it is the
    session's turn; ``i_stray`` and ``i_message`` → ``o_job`` 3 cycles, → ``o_discard`` 2.
    ``i_left`` or ``i_failed`` → next job 4 cycles.

    Parameters
    ----------
    sessions : int
        1 to 64.

    Members
    -------
    i_set : In, strobe(Wanted)
    i_stray : In, stream(Stray)
        Not sent again if its frame fails: the peer will ask again.
    i_end : In, strobe of {session, end: Endpoint}
        Whom a session talks to.
    i_message : In, stream(Message)
        ``ready`` with ``o_discard`` only. One that has left is not offered any more from the cycle
        after ``i_left`` on; one whose frame has failed is tried again.
    i_room : In, 1 bit
        The retransmission buffer has room for the message in front.
    o_discard : Out, strobe(Refusal)
    o_index : Out, 6 bits
    i_hot : In, Hot
    i_next : In, 32 bits
        SND.NXT of the session at ``o_index``, in the same cycle.
    i_fin : In, ``sessions`` bits
        The session's FIN has left.
    o_job : Out, stream(SegmentJob)
    i_left, i_failed : In, 1 bit
        The job's frame has left whole; it has not. One of the two after each job but a stray one.
    o_fin : Out, 1 bit
        The job out is a FIN.
    o_busy : Out, ``sessions`` bits
        A session has a job out, or a reset to send: its row must not get another connection.
    """

    def __init__(self, sessions):
        self._sessions = sessions
        super().__init__({
            "i_set": In(strobe(Wanted)),
            "i_stray": In(stream.Signature(Stray)),
            "i_end": In(strobe(data.StructLayout({"session": SESSION_BITS, "end": Endpoint}))),
            "i_message": In(stream.Signature(Message)),
            "i_room": In(1),
            "o_discard": Out(strobe(Refusal)),
            "o_index": Out(SESSION_BITS),
            "i_hot": In(Hot),
            "i_next": In(32),
            "i_fin": In(sessions),
            "o_job": Out(stream.Signature(SegmentJob)),
            "i_left": In(1),
            "i_failed": In(1),
            "o_fin": Out(1),
            "o_busy": Out(sessions),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.ends = ends = Memory(shape=Endpoint, depth=self._sessions, init=[])
        end_write, end_read = ends.write_port(), ends.read_port()
        m.d.comb += [
            end_write.addr.eq(self.i_end.payload.session),
            end_write.data.eq(self.i_end.payload.end),
            end_write.en.eq(self.i_end.valid),
        ]
        state = Signal(_State)
        pending = Array(Signal(Pending, name=f"pending_{index}")
                        for index in range(self._sessions))
        some = Cat(row.as_value().any() for row in pending)

        # The sessions after the last one go first.
        last, session = Signal(SESSION_BITS), Signal(SESSION_BITS)
        chosen = Signal(SESSION_BITS)
        later = Cat(some[index] & (index > last) for index in range(self._sessions))
        for from_ in (some, later):
            for index in reversed(range(self._sessions)):
                with m.If(from_[index]):
                    m.d.comb += chosen.eq(index)

        is_message, is_stray, asked = Signal(), Signal(), Signal()
        seen, cleared = Signal(Pending), Signal(Pending)
        hot, following, fin_left = Signal(Hot), Signal(32), Signal()
        message = self.i_message.payload
        drops, taken, put_back = Signal(), Signal(), Signal()
        flight, spare = Signal(32), Signal(32)      # bytes in flight; what the window leaves
        m.d.comb += [flight.eq(following - hot.unacknowledged),
                     spare.eq(hot.usable - flight - message.length)]
        m.d.comb += [self.o_index.eq(session), end_read.addr.eq(session)]

        with m.If(self.i_message.valid & (state != _State.CHOOSE) & ~is_message):
            m.d.sync += asked.eq(1)     # it waits for the job that is out, and for no other
        with m.Switch(state):
            with m.Case(_State.CHOOSE):
                m.d.sync += [is_message.eq(0), is_stray.eq(0), state.eq(_State.READ)]
                with m.If(self.i_message.valid & (asked | ~(some.any() | self.i_stray.valid))):
                    m.d.sync += [is_message.eq(1), session.eq(message.session), asked.eq(0)]
                with m.Elif(some.any()):
                    m.d.sync += [session.eq(chosen), last.eq(chosen)]
                with m.Elif(self.i_stray.valid):
                    m.d.sync += is_stray.eq(1)
                with m.Else():
                    m.d.sync += state.eq(_State.CHOOSE)
            with m.Case(_State.READ):
                m.d.sync += [hot.eq(self.i_hot), following.eq(self.i_next),
                             fin_left.eq((self.i_fin >> session)[0]),
                             seen.eq(pending[session].as_value()), state.eq(_State.BUILD)]
            with m.Case(_State.BUILD):
                offers = Signal()
                job = self._job(m, session, end_read.data, seen, hot, following, flight, fin_left)
                m.d.sync += [self.o_job.valid.eq(offers),
                             state.eq(Mux(offers, _State.OFFER, _State.CHOOSE))]
                with m.If(is_stray):
                    m.d.comb += [offers.eq(1), self.i_stray.ready.eq(1)]
                    m.d.sync += [self.o_job.payload.eq(_reset(m, self.i_stray.payload)),
                                 cleared.eq(0), self.o_fin.eq(0)]
                with m.Elif(is_message):
                    said = Signal(SegmentJob)
                    refusal = self.o_discard.payload
                    sends = (hot.state == State.ESTABLISHED) | (hot.state == State.CLOSE_WAIT)
                    known = message.session < self._sessions
                    m.d.comb += [
                        said.session.eq(session), said.end.eq(end_read.data),
                        said.control.ack.eq(1), said.control.psh.eq(1),
                        said.origin.eq(Sequence.NEXT), said.payload.eq(1),
                        refusal.session.eq(message.session),
                        self.o_discard.valid.eq(~offers), self.i_message.ready.eq(~offers),
                    ]
                    with m.If(~sends | ~known):
                        m.d.comb += refusal.reason.eq(RefusalReason.NO_SESSION)
                    with m.Elif(message.length > hot.largest):
                        m.d.comb += refusal.reason.eq(RefusalReason.TOO_LONG)
                    with m.Elif(spare[31]):
                        m.d.comb += refusal.reason.eq(RefusalReason.NO_WINDOW)
                    with m.Elif(~self.i_room):
                        m.d.comb += refusal.reason.eq(RefusalReason.NO_ROOM)
                    with m.Else():
                        m.d.comb += offers.eq(1)
                    m.d.sync += [self.o_job.payload.eq(said), cleared.eq(0), cleared.ack.eq(1),
                                 self.o_fin.eq(0)]
                with m.Else():
                    m.d.comb += [offers.eq(job.possible), drops.eq(~job.possible)]
                    m.d.sync += [self.o_job.payload.eq(job.job), cleared.eq(job.clears),
                                 self.o_fin.eq(job.fin)]
            with m.Case(_State.OFFER), m.If(self.o_job.ready):
                m.d.comb += taken.eq(1)
                m.d.sync += [self.o_job.valid.eq(0),
                             state.eq(Mux(is_stray, _State.CHOOSE, _State.WAIT))]
            with m.Case(_State.WAIT), m.If(self.i_left | self.i_failed):
                m.d.comb += put_back.eq(self.i_failed)
                m.d.sync += [self.o_fin.eq(0), state.eq(_State.CHOOSE)]

        # What is asked for in the cycle in which its bit goes stays.
        wanted = self.i_set.payload
        goes, comes = Signal(Pending), Signal(Pending)
        with m.If(drops):
            m.d.comb += goes.eq(seen)
        with m.Elif(taken):
            m.d.comb += goes.eq(cleared)
        with m.If(put_back):
            m.d.comb += comes.eq(cleared)
        for index, row in enumerate(pending):
            mine, set_ = Signal(name=f"mine_{index}"), Signal(name=f"set_{index}")
            m.d.comb += [mine.eq(session == index),
                         set_.eq(self.i_set.valid & (wanted.session == index))]
            kept = (row.as_value() & ~Mux(mine, goes.as_value(), 0)) \
                | Mux(mine, comes.as_value(), 0)
            m.d.sync += row.eq(Mux(set_ & wanted.purge, 0, kept)
                               | Mux(set_, wanted.pending.as_value(), 0))
            m.d.comb += self.o_busy[index].eq(
                row.reset | (mine & ~is_stray & (state != _State.CHOOSE)))
        return m

    @staticmethod
    def _job(m, session, end, seen, hot, following, flight, fin_left):
        """The first segment that a session has to send and can."""
        made = Signal(_Made)
        job, kinds = made.job, Signal(Pending)
        syn_sent, syn_received = hot.state == State.SYN_SENT, hot.state == State.SYN_RECEIVED
        opening = syn_sent | syn_received
        alive = (hot.state != State.CLOSED) & (hot.state != State.LISTEN)
        closing = ((hot.state == State.FIN_WAIT_1) | (hot.state == State.CLOSING)
                   | (hot.state == State.LAST_ACK))
        m.d.comb += [
            kinds.reset.eq(seen.reset),
            kinds.syn.eq(seen.syn & opening),
            kinds.resend.eq(seen.resend & alive & ~opening & flight.any()),
            kinds.fin.eq(seen.fin & closing & ~fin_left),
            kinds.probe.eq(seen.probe & alive & ~opening),
            kinds.ack.eq(seen.ack & alive & ~syn_sent),
            made.possible.eq(kinds.as_value().any()),
            job.session.eq(session), job.end.eq(end), job.control.ack.eq(1),
            job.origin.eq(Sequence.NEXT),
            made.clears.eq(seen.as_value() & ~kinds.as_value()), made.clears.ack.eq(1),
        ]
        with m.If(kinds.reset):
            m.d.comb += [job.control.rst.eq(1), job.control.ack.eq(0), made.clears.reset.eq(1),
                         made.clears.ack.eq(seen.ack & ~kinds.ack)]
        with m.Elif(kinds.syn):
            m.d.comb += [job.control.syn.eq(1), job.control.ack.eq(syn_received), job.mss.eq(1),
                         job.origin.eq(Sequence.GIVEN), job.sequence.eq(hot.unacknowledged),
                         made.clears.syn.eq(1)]
        with m.Elif(kinds.resend):
            only_fin = fin_left & (flight == 1)
            m.d.comb += [
                job.origin.eq(Sequence.GIVEN), job.sequence.eq(hot.unacknowledged),
                job.resend.eq(~only_fin), job.control.psh.eq(~only_fin),
                job.control.fin.eq(only_fin), made.clears.resend.eq(1),
            ]
        with m.Elif(kinds.fin):
            m.d.comb += [job.control.fin.eq(1), made.fin.eq(1), made.clears.fin.eq(1)]
        with m.Elif(kinds.probe):
            m.d.comb += [job.origin.eq(Sequence.GIVEN),
                         job.sequence.eq(hot.unacknowledged - 1), made.clears.probe.eq(1)]
        return made


def _reset(m, stray):
    job = Signal(SegmentJob)
    m.d.comb += [
        job.end.eq(stray.end), job.stray.eq(1), job.control.rst.eq(1),
        job.control.ack.eq(stray.ack), job.origin.eq(Sequence.GIVEN),
        job.sequence.eq(stray.sequence), job.acknowledgement.eq(stray.acknowledgement),
    ]
    return job
