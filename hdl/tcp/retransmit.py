"""What was sent and is not yet acknowledged, to be sent again as it was."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import enum, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from tickwire.hdl.stream.packet import strobe
from tickwire.hdl.tcp.segment import LARGEST_SEGMENT, SESSION_BITS, Record, Release

__all__ = ["RetransmitBuffer"]

_WORD = 8               # bytes


class _State(enum.Enum, shape=2):
    SCAN = 0            # session by session: is there something to be released?
    READ = 1            # its oldest record's first word is there
    JUDGE = 2           # what it says was compared


def record_words(length):
    """Words of a record with ``length`` bytes of payload."""
    return 1 + ((length + _WORD - 1) >> 3)


class RetransmitBuffer(wiring.Component):
    """A ring of records for each session, in one memory: the retransmission queue of RFC 9293,
    3.8.1.

    A record is a word that says what it is, and its payload from lane 0 on. One is written while
    its frame leaves, and counts once ``i_commit`` says that the frame has left whole. Until then
    the next ``i_begin`` takes its place. One for which there is no room is not kept, and counted:
    who sends must ask before.

    What is acknowledged is released in the background, a record at a time and never while
    ``i_hold``: so the record that is being sent again stays. Until a session is cleared it has no
    room; after reset that takes as many cycles as there are sessions.

    Latency: ``i_commit``, or a release that was carried out → ``o_room_*``, ``o_empty`` 2 cycles;
    ``i_asked_*`` → the same 1 cycle; ``i_open`` → ``o_record`` 1 cycle; ``i_open`` → ``o_word``
    2 cycles; ``i_next`` → ``o_word`` 1 cycle. ``i_release`` → released at most sessions + 3 ×
    records + 1 cycles if no other session has anything to be released.

    Parameters
    ----------
    sessions : int
        1 to 64.
    buffer_bytes : int
        Of each session's ring: a power of two that holds the largest segment, at least 2,048.
    order_bytes : int
        Payload of the largest order, 1 to 1,460.

    Members
    -------
    i_begin : In, strobe of 6 bits
        A frame with payload of this session begins.
    i_word : In, strobe of 64 bits
        Its payload, eight bytes at a time; from the second cycle after ``i_begin`` on.
    i_commit : In, strobe(Record)
        It has left whole. Not with ``i_word``.
    i_release : In, strobe(Release)
        ``all`` is also for the frame that is leaving.
    i_asked_message, i_asked_order : In, 6 bits
        A session.
    o_room_message : Out, 1 bit
        There is room for the largest segment in ``i_asked_message``, and
    o_empty : Out, 1 bit
        no record.
    o_room_order : Out, 1 bit
        There is room for an order in ``i_asked_order``.
    i_open : In, strobe of 6 bits
        The oldest record of this session is to be read.
    o_nothing : Out, 1 bit
        With ``i_open``: there is none.
    i_hold : In, 1 bit
        From the cycle after ``i_open`` to the end of reading.
    o_record : Out, Record
        In the cycle after ``i_open``.
    o_word : Out, 64 bits
        Of the open record: the first one of its payload, and after each ``i_next`` the next one.
    i_next : In, 1 bit
        From two cycles after ``i_open`` on.
    o_count_lost : Out, 1 bit
        A record was not kept for want of room.

    Raises
    ------
    ValueError
        If a parameter is not supported.
    """

    def __init__(self, sessions=8, buffer_bytes=2048, order_bytes=LARGEST_SEGMENT):
        if not 1 <= sessions <= 1 << SESSION_BITS:
            raise ValueError(f"RetransmitBuffer sessions must be from 1 to {1 << SESSION_BITS}, as "
                             f"a session's index has {SESSION_BITS} bits, not {sessions!r}")
        if buffer_bytes < 2048 or buffer_bytes & (buffer_bytes - 1):
            raise ValueError("RetransmitBuffer buffer_bytes must be a power of two and at least "
                             f"2048, so that the largest segment fits, not {buffer_bytes!r}")
        if not 1 <= order_bytes <= LARGEST_SEGMENT:
            raise ValueError(f"RetransmitBuffer order_bytes must be from 1 to {LARGEST_SEGMENT}, "
                             f"which a segment holds, not {order_bytes!r}")
        self._sessions = sessions
        self._words = buffer_bytes // _WORD
        self._order_words = record_words(order_bytes)
        super().__init__({
            "i_begin": In(strobe(SESSION_BITS)),
            "i_word": In(strobe(64)),
            "i_commit": In(strobe(Record)),
            "i_release": In(strobe(Release)),
            "i_asked_message": In(SESSION_BITS),
            "i_asked_order": In(SESSION_BITS),
            "o_room_message": Out(1),
            "o_empty": Out(1),
            "o_room_order": Out(1),
            "i_open": In(strobe(SESSION_BITS)),
            "o_nothing": Out(1),
            "i_hold": In(1),
            "o_record": Out(Record),
            "o_word": Out(64),
            "i_next": In(1),
            "o_count_lost": Out(1),
        })
        # What happens in this cycle, here so that the proofs may name it
        self.keeps = Signal()               # a record counts from now on
        self.releases_one = Signal()        # the oldest one does not any more
        self.clears_all = Signal()

    def elaborate(self, platform):
        m = Module()
        ring_bits = (self._words - 1).bit_length()
        index_bits = (self._sessions - 1).bit_length()
        pointer_shape = range(2 * self._words)      # a bit more, so that full and empty differ
        used_shape = range(self._words + 1)

        m.submodules.memory = memory = Memory(
            shape=64, depth=self._sessions * self._words, init=[], attrs={"no_rw_check": 1})
        write, read = memory.write_port(), memory.read_port()
        small = {"depth": self._sessions, "init": [], "attrs": {"ram_style": "distributed"}}
        m.submodules.heads = heads = Memory(shape=pointer_shape, **small)
        m.submodules.tails = tails = Memory(shape=pointer_shape, **small)
        m.submodules.acknowledged = acknowledged = Memory(shape=32, **small)
        set_head, set_tail = heads.write_port(), tails.write_port()
        set_acknowledged = acknowledged.write_port()
        # Reset does not clear a memory, so every session is to be cleared after it.
        clears = Signal(self._sessions, init=(1 << self._sessions) - 1)
        releases = Signal(self._sessions)

        def look(session, name):
            """Head, tail and used words of a session."""
            head, tail = heads.read_port(domain="comb"), tails.read_port(domain="comb")
            used = Signal(used_shape, name=f"{name}_used")
            m.d.comb += [head.addr.eq(session), tail.addr.eq(session),
                         used.eq((tail.data - head.data)[:len(used)])]
            return head.data, tail.data, used

        def address(session, pointer):
            return Cat(pointer[:ring_bits], session[:index_bits])

        # Writing
        writer = Signal(SESSION_BITS)
        written = Signal(ring_bits)         # words of the payload
        free = Signal(used_shape)       # when it began; more may be released since
        lost, void, measures = Signal(), Signal(), Signal()
        _, tail, used = look(writer, "writer")
        commit, fits = self.i_commit.payload, Signal()
        m.d.comb += [
            fits.eq(written + 1 < free),
            write.addr.eq(address(writer, Mux(self.i_word.valid, tail + 1 + written, tail))),
            write.data.eq(Mux(self.i_word.valid, self.i_word.payload, commit.as_value())),
            write.en.eq(self.i_word.valid & fits | self.i_commit.valid),
            set_tail.addr.eq(writer),
            set_tail.data.eq(tail + record_words(commit.length)),
            self.keeps.eq(self.i_commit.valid & ~lost & ~void),
            set_tail.en.eq(self.keeps),
        ]
        m.d.sync += [
            measures.eq(self.i_begin.valid),
            self.o_count_lost.eq(self.i_commit.valid & lost & ~void),
        ]
        with m.If(measures):
            # What is put in before a clearing that has to wait would go with it.
            m.d.sync += [free.eq(self._words - used), lost.eq(clears.bit_select(writer, 1))]
        with m.If(self.i_word.valid):
            m.d.sync += [written.eq(written + fits), lost.eq(lost | ~fits)]
        with m.If(self.i_begin.valid):
            m.d.sync += [writer.eq(self.i_begin.payload), written.eq(0), lost.eq(0), void.eq(0)]
        with m.Elif(self.i_release.valid & self.i_release.payload.all
                    & (self.i_release.payload.session == writer)):
            m.d.sync += void.eq(1)

        # Releasing, and reading what is to be sent again
        state = Signal(_State)
        scanned = Signal(range(self._sessions))
        looked = Signal(SESSION_BITS)
        m.d.comb += looked.eq(Mux(self.i_open.valid, self.i_open.payload, scanned))
        head, tail, used = look(looked, "looked")
        held = self.i_hold | self.i_open.valid
        base, pointer, moved = Signal(SESSION_BITS), Signal(pointer_shape), Signal(pointer_shape)
        record = self.o_record
        words = Signal(used_shape)
        ahead = Signal(32)              # how far the acknowledgement is beyond the record's end
        asked = acknowledged.read_port(domain="comb")
        m.d.comb += [
            moved.eq(pointer + self.i_next),
            record.eq(read.data),
            self.o_word.eq(read.data),
            self.o_nothing.eq((used == 0) | clears.bit_select(looked, 1)),
            read.addr.eq(Mux(self.i_hold, address(base, moved), address(looked, head))),
            asked.addr.eq(scanned),
            set_head.addr.eq(scanned),
            set_head.en.eq(self.releases_one | self.clears_all),
        ]
        with m.If(self.i_open.valid):
            m.d.sync += [base.eq(looked), pointer.eq(head + 1)]
        with m.Elif(self.i_hold):
            m.d.sync += pointer.eq(moved)

        done = Signal()         # nothing more is to be released of this session
        with m.Switch(state):
            with m.Case(_State.SCAN), m.If(~held):
                with m.If(clears.bit_select(scanned, 1)):
                    m.d.comb += [set_head.data.eq(tail), self.clears_all.eq(1), done.eq(1)]
                with m.Elif(releases.bit_select(scanned, 1) & (used != 0)):
                    m.d.sync += state.eq(_State.READ)
                with m.Else():
                    m.d.comb += done.eq(1)
            with m.Case(_State.READ):
                m.d.sync += [
                    words.eq(record_words(record.length)),
                    ahead.eq(asked.data - record.sequence - record.length),
                    state.eq(_State.JUDGE),
                ]
            with m.Case(_State.JUDGE):
                m.d.sync += state.eq(_State.SCAN)
                with m.If(~held):
                    m.d.comb += [set_head.data.eq(head + words),
                                 self.releases_one.eq(~ahead[31]), done.eq(ahead[31])]
        with m.If(done):
            m.d.sync += [
                scanned.eq(Mux(scanned == self._sessions - 1, 0, scanned + 1)),
                releases.bit_select(scanned, 1).eq(0),
            ]
        with m.If(self.clears_all):
            m.d.sync += clears.bit_select(scanned, 1).eq(0)
        release = self.i_release.payload
        m.d.comb += [
            set_acknowledged.addr.eq(release.session),
            set_acknowledged.data.eq(release.acknowledgement),
            set_acknowledged.en.eq(self.i_release.valid),
        ]
        with m.If(self.i_release.valid):
            m.d.sync += [releases.bit_select(release.session, 1).eq(1)]
            with m.If(release.all):
                m.d.sync += clears.bit_select(release.session, 1).eq(1)

        # Who asks
        for session, room, size in (
                (self.i_asked_message, self.o_room_message, record_words(LARGEST_SEGMENT)),
                (self.i_asked_order, self.o_room_order, self._order_words)):
            _, _, used = look(session, room.name)
            clearing = clears.bit_select(session, 1)
            m.d.sync += room.eq((used <= self._words - size) & ~clearing)
            if room is self.o_room_message:
                m.d.sync += self.o_empty.eq((used == 0) | clearing)
        return m
