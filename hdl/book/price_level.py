"""The price-level book of all instruments: a preview that is fast, an authority that knows."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from tickwire.hdl.book.authority import BookAuthority
from tickwire.hdl.book.counts import AUTHORITY_COUNTS, WRITER_COUNTS
from tickwire.hdl.book.event import BookEvent
from tickwire.hdl.book.host_reader import HostReader
from tickwire.hdl.book.loss import LossRecorder
from tickwire.hdl.book.memory import BookMemory
from tickwire.hdl.book.preview import TouchPreview
from tickwire.hdl.book.queue import RecordQueue
from tickwire.hdl.book.record import EarlyLookup, HostLevel, HostRequest, InstrumentLookup
from tickwire.hdl.book.writer import RecordWriter
from tickwire.hdl.feed.event import FeedEvent, FrameVerdict
from tickwire.hdl.stream.packet import strobe

__all__ = ["PriceLevelBook"]


class PriceLevelBook(wiring.Component):
    """Books of price levels, both sides, all instruments (docs/adr/0002).

    Level changes wait in a queue until their frame's verdict, then the authority applies them to
    the books in block memory. The preview says the touch before that on ``o``, in the cycle after
    the last LEVEL event of an update. What it cannot know is late: the authority has it on
    ``o_book``, and says so. An event that is not ``tradable`` withdraws the book.

    Latency: last LEVEL of an increment with ``final`` → ``o`` 1 cycle, or late (counted).
    Without a backlog, verdict → ``o_book`` 18 cycles and n + 6 for each level change, n being
    the rows in use on its side.

    Rate: a snapshot's levels in order take 2 cycles each, less than the 2.125 in which they
    arrive; those of a healthy book 1 cycle. A level change takes n + 6, at most 22 cycles with 16
    rows, and arrives in 2.25: bursts of up to ``queue`` records (two for each message beside its
    levels) are absorbed. At 156.25 MHz that is 7 million changes a second on sides with 64
    levels, 15 million with 16.

    Parameters
    ----------
    instruments : int
        Books: a power of two from 2 to 128.
    levels : int
        Levels that a side keeps: a power of two, at most 128.
    row_levels : int
        Levels in a row: a power of two from 2 to ``levels``.
    queue : int
        Records that wait: a power of two from 8 to 4096.
    channels : int
        Dense channel indices: a power of two from 2 to 64.

    Members
    -------
    i : In, strobe(FeedEvent)
    i_early : In, strobe(EarlyLookup)
        Exactly 2 cycles after each INSTRUMENT event, index and channel if it is known.
    i_instrument : In, strobe(InstrumentLookup)
        The instrument table's answer, exactly 3 cycles after each INSTRUMENT event.
    i_verdict : In, strobe(FrameVerdict)
    cut_through : In, 1 bit
        Orders may leave before the verdict: a frame that proves bad makes all instruments that it
        named stale, and they are announced on ``o_disarm``.
    o : Out, strobe(BookEvent)
        For the strategy, always ``tradable``. Before the frame's verdict it is hearsay.
    o_tradable : Out, 1 bit
        For what trades on a message itself: the book of the arriving message's instrument is whole
        and the frame has no gap before it. From 6 cycles after INSTRUMENT until the next one.
    o_book : Out, strobe(BookEvent)
        For the host: every event of the authority, in order. An event that is not ``tradable``
        shows no touch.
    o_book_late : Out, 1 bit
        With ``o_book``: it is for the strategy, too, for ``o`` had no event for this update, or
        the book is withdrawn.
    o_book_previewed, o_book_snapshot : Out, 1 bit
        With ``o_book``: ``o`` had an event for this update before; it comes of a snapshot.
    i_host : In, strobe(HostRequest)
        Which level to read; not before the answer to the one before.
    o_host : Out, strobe(HostLevel)
        The level, with the state of its book between the same two messages.
    o_disarm : Out, strobe(7 bits)
        This instrument was named in a damaged frame under ``cut_through``.
    o_ready : Out, 1 bit
        The memories are clear. Before, 128 cycles from reset on, frames are refused.
    o_max_depth : Out
        Most levels that a side ever had.
    o_count_… : Out, 1 bit
        One cycle for each thing counted, see :mod:`tickwire.hdl.book.counts`.

    Raises
    ------
    ValueError
        If a size is not supported.
    """

    def __init__(self, *, instruments=128, levels=64, row_levels=4, queue=512, channels=64):
        for name, value, least, most in (("instruments", instruments, 2, 128),
                                         ("levels", levels, 2, 128),
                                         ("row_levels", row_levels, 2, levels),
                                         ("queue", queue, 8, 4096),
                                         ("channels", channels, 2, 64)):
            if not least <= value <= most or value & (value - 1):
                raise ValueError(f"PriceLevelBook {name} must be a power of two from {least} to "
                                 f"{most}, not {value!r}")
        self._instruments, self._channels = instruments, channels
        self._sizes = {"levels": levels, "row_levels": row_levels}
        self._queue = queue
        super().__init__({
            "i": In(strobe(FeedEvent)),
            "i_early": In(strobe(EarlyLookup)),
            "i_instrument": In(strobe(InstrumentLookup)),
            "i_verdict": In(strobe(FrameVerdict)),
            "cut_through": In(1),
            "o": Out(strobe(BookEvent)),
            "o_tradable": Out(1),
            "o_book": Out(strobe(BookEvent)),
            "o_book_late": Out(1),
            "o_book_previewed": Out(1),
            "o_book_snapshot": Out(1),
            "i_host": In(strobe(HostRequest)),
            "o_host": Out(strobe(HostLevel)),
            "o_disarm": Out(strobe(7)),
            "o_ready": Out(1),
            "o_max_depth": Out(range(levels + 1)),
            **{f"o_count_{name}": Out(1) for name in (*AUTHORITY_COUNTS, *WRITER_COUNTS)},
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.writer = writer = RecordWriter()
        m.submodules.queue = queue = RecordQueue(self._queue)
        m.submodules.losses = losses = LossRecorder(
            instruments=self._instruments, channels=self._channels)
        m.submodules.memory = memory = BookMemory(
            instruments=self._instruments, channels=self._channels, **self._sizes)
        m.submodules.preview = preview = TouchPreview(**self._sizes)
        m.submodules.authority = authority = BookAuthority(**self._sizes)
        m.submodules.reader = reader = HostReader(**self._sizes)

        def feed(source, *targets):
            """A strobe goes to several rooms."""
            for target in targets:
                m.d.comb += [target.valid.eq(source.valid), target.payload.eq(source.payload)]

        # After reset the memories are cleared, a word of each in a cycle.
        turn = Signal(range(max(self._instruments, self._channels)))
        clearing = Signal(init=1)
        with m.If(clearing):
            m.d.sync += [turn.eq(turn + 1), clearing.eq(~turn.all())]
        m.d.sync += self.o_ready.eq(~clearing)
        m.d.comb += [
            memory.i_clear.valid.eq(clearing),
            memory.i_clear.payload.eq(turn),
            writer.enable.eq(self.o_ready),
            authority.enable.eq(self.o_ready),
        ]

        # Events to records, records to the queue, the queue to the authority.
        feed(self.i, writer.i, preview.i)
        feed(self.i_instrument, writer.i_instrument, preview.i_instrument, losses.i_instrument)
        feed(self.i_verdict, writer.i_verdict, preview.i_verdict)
        feed(writer.o, queue.i)
        m.d.comb += [
            queue.commit.eq(writer.o_commit),
            queue.rewind.eq(writer.o_rewind),
            writer.i_full.eq(queue.full),
            writer.i_previewed.eq(preview.o.valid),
            writer.i_signature.eq(preview.o_signature),
        ]
        wiring.connect(m, queue.o, authority.i)

        # Losses.
        feed(writer.o_verdict, losses.i_verdict)
        feed(writer.o_last, memory.i_last)
        feed(losses.o_gap, memory.i_gap)
        feed(losses.o_damage, memory.i_damage)
        feed(losses.o_disarm, self.o_disarm)
        m.d.comb += [
            losses.cut_through.eq(self.cut_through),
            losses.i_number.eq(writer.o_number),
        ]

        # The memory's one read port: first the preview, then the authority or the host.
        feed(self.i_early, memory.i_preview)
        feed(authority.o_rows, memory.i_rows)
        feed(authority.o_state, memory.i_state)
        feed(self.i_host, reader.i)
        feed(reader.o, self.o_host)
        host = authority.o_host_turn
        m.d.comb += [
            memory.i_authority.valid.eq(Mux(host, reader.o_read.valid, authority.o_read.valid)),
            memory.i_authority.payload.eq(
                Mux(host, reader.o_read.payload, authority.o_read.payload)),
            reader.i_turn.eq(host),
            authority.i_host_waits.eq(reader.o_waits),
            authority.i_host_done.eq(reader.o_done),
        ]
        for room in (authority, reader):
            m.d.comb += [room.i_granted.eq(memory.o_granted),
                         room.i_arrives.eq(memory.o_for_authority)]
        for room in (authority, reader, preview):
            m.d.comb += [
                room.i_rows.eq(memory.o_rows),
                room.i_state.eq(memory.o_state),
                room.i_newer.eq(memory.o_newer),
            ]

        # Two cycles old: before a message's rows are read, the one before has long been counted.
        differs, idle = Signal(6), Signal()
        unlike = authority.o_finished ^ writer.o_number
        m.d.sync += [
            differs.eq(Cat(unlike[n:n + 8].any() for n in range(0, len(unlike), 8))),
            idle.eq(~differs.any()),
        ]
        # A cycle old: between a verdict and the next message there are more.
        m.d.sync += [
            preview.i_settled.eq(self.o_ready & ~writer.o_pending_verdict & ~losses.o_unsettled),
            preview.i_lost.eq(writer.o_verdict.valid & writer.o_verdict.payload.gap),
        ]
        m.d.comb += [
            preview.i_header.eq(writer.o_header),
            preview.i_loaded.eq(memory.o_for_preview),
            preview.i_last.eq(memory.o_last),
            authority.i_busy.eq(memory.o_busy),
            preview.i_finished.eq(authority.o_finished),
            preview.i_idle.eq(idle),
            self.o_tradable.eq(preview.o_tradable),
        ]

        # Events.
        feed(preview.o, self.o)
        feed(authority.o_book, self.o_book)
        m.d.comb += [
            self.o_book_late.eq(authority.o_late),
            self.o_book_previewed.eq(authority.o_book_previewed),
            self.o_book_snapshot.eq(authority.o_book_snapshot),
            self.o_max_depth.eq(authority.o_max_depth),
        ]
        m.d.comb += [
            getattr(self, f"o_count_{name}").eq(getattr(room, f"o_count_{name}"))
            for room, names in ((authority, AUTHORITY_COUNTS), (writer, WRITER_COUNTS))
            for name in names]
        return m
