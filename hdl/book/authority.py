"""Owns all levels: applies the records of good frames to the books, in order."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from tickwire.hdl.book.counts import AUTHORITY_COUNTS
from tickwire.hdl.book.event import BookEvent, TopOfBook
from tickwire.hdl.book.judge import MessageJudge
from tickwire.hdl.book.memory import RowAddress, row_write, state_write
from tickwire.hdl.book.record import (
    NUMBER,
    EndRecord,
    Entry,
    HeaderRecord,
    Record,
    book_state,
    signature,
    touch_of,
)
from tickwire.hdl.book.side_levels import SideLevels
from tickwire.hdl.stream.packet import strobe

__all__ = ["BookAuthority"]

class BookAuthority(wiring.Component):
    """Takes the messages of good frames from the queue, one level change after the other.

    A book becomes stale when the chain breaks, a level contradicts it, its channel had a gap, or a
    side is empty while its horizon is set: then there is one event that is not ``tradable``, and
    nothing more until a snapshot has rebuilt the book. With its final part it is healthy, unless
    datagrams of its channel were lost between the parts. Increments between the parts are passed
    over. A snapshot that says it is not the whole book leaves it unbuilt.

    Latency, for a side of n rows: n + 6 cycles for a level change, 2 for a snapshot's level in
    order, 1 for a level passed over, 11 for a message beside its levels.

    Parameters
    ----------
    levels, row_levels : int
        As in ``PriceLevelBook``.

    Members
    -------
    i : In, stream(Record)
    o_read : Out, strobe(RowAddress)
    i_granted, i_arrives, i_rows, i_state, i_newer : In
        Of the memory.
    o_rows : Out, strobe(row_write)
    o_state : Out, strobe(state_write)
    i_busy : In, 1 bit
        The state of this message's book must not be written in this cycle.
    o_finished : Out, 48 bits
        Number of the last message done.
    i_host_waits, o_host_turn, i_host_done : In, Out, In, 1 bit
        The host's reader gets the memory between two messages, so a level agrees with the state.
    enable : In, 1 bit
    o_book : Out, strobe(BookEvent)
        Every event, in order. What is not tradable shows no touch.
    o_book_previewed : Out, 1 bit
        The preview had an event for this update.
    o_book_snapshot : Out, 1 bit
        The event comes of a snapshot.
    o_late : Out, 1 bit
        With ``o_book``: the strategy has to see this event too, for it was not previewed, or
        it withdraws the book.
    o_max_depth : Out
        Most levels that a side ever had.
    o_count_… : Out, 1 bit
        See :mod:`tickwire.hdl.book.counts`.
    """

    def __init__(self, *, levels, row_levels):
        self._levels, self._row_levels = levels, row_levels
        super().__init__({
            "i": In(stream.Signature(Record)),
            "o_read": Out(strobe(RowAddress)),
            "i_granted": In(1),
            "i_arrives": In(1),
            "i_rows": In(data.ArrayLayout(data.ArrayLayout(Entry, row_levels), 2)),
            "i_state": In(book_state(levels)),
            "i_newer": In(1),
            "o_rows": Out(strobe(row_write(row_levels))),
            "o_state": Out(strobe(state_write(levels))),
            "i_busy": In(1),
            "o_finished": Out(NUMBER),
            "i_host_waits": In(1),
            "o_host_turn": Out(1),
            "i_host_done": In(1),
            "enable": In(1),
            "o_book": Out(strobe(BookEvent)),
            "o_book_previewed": Out(1),
            "o_book_snapshot": Out(1),
            "o_late": Out(1),
            "o_max_depth": Out(range(levels + 1)),
            **{f"o_count_{name}": Out(1) for name in AUTHORITY_COUNTS},
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.levels = levels = SideLevels(
            levels=self._levels, row_levels=self._row_levels)

        m.submodules.judge = judge = MessageJudge(levels=self._levels)

        record = self.i.payload
        message = Signal(HeaderRecord, reset_less=True)
        end = Signal(EndRecord, reset_less=True)
        book = Signal(book_state(self._levels), reset_less=True)
        applying = Signal()     # this message's levels are for the book
        withdrawn = Signal()    # this message made the book stale
        increment = ~message.snapshot

        def withdraw():
            return [book.stale.eq(1), withdrawn.eq(1), applying.eq(0)]

        def skip():
            return [book.building.eq(0), book.skipping.eq(~message.final)]

        def contradict():
            """The message does not fit the book, or the snapshot itself."""
            m.d.comb += self.o_count_inconsistent.eq(1)
            m.d.sync += applying.eq(0)
            with m.If(message.snapshot):
                m.d.sync += skip()
            with m.Else():
                m.d.sync += withdraw()

        def read(index, channel, row=0):
            m.d.comb += [
                self.o_read.valid.eq(1),
                self.o_read.payload.index.eq(index),
                self.o_read.payload.channel.eq(channel),
                self.o_read.payload.row.eq(row),
            ]

        m.d.comb += [
            getattr(levels, name).eq(getattr(self, name))
            for name in ("i_granted", "i_arrives", "i_rows")]
        m.d.comb += [
            judge.message.eq(message),
            judge.i_state.eq(self.i_state),
            judge.i_newer.eq(self.i_newer),
            levels.i.payload.eq(record.level),
            levels.snapshot.eq(message.snapshot),
            levels.index.eq(message.index),
            self.o_rows.valid.eq(levels.o_rows.valid),
            self.o_rows.payload.eq(levels.o_rows.payload),
            self.o_count_level_changes.eq(levels.o_applied & increment),
            self.o_count_beyond_horizon.eq(levels.o_beyond),
            self.o_state.payload.index.eq(message.index),
            self.o_state.payload.state.eq(book),
        ]
        for side in levels.o_sides:
            with m.If(side.count > self.o_max_depth):
                m.d.sync += self.o_max_depth.eq(side.count)

        number = Signal(NUMBER)
        m.d.comb += number.eq(self.o_finished + 1)
        touch = Signal(TopOfBook, reset_less=True)
        exhausted, tradable, agrees = Signal(), Signal(), Signal()
        unexpected = Signal()   # the preview should have seen that this message is not to be used
        done = Signal()
        m.d.comb += [
            self.o_book.payload.instrument.eq(message.index),
            self.o_book.payload.touch.eq(Mux(tradable, touch.as_value(), 0)),
            self.o_book.payload.tradable.eq(tradable),
            self.o_book.payload.timestamp.eq(end.timestamp),
            self.o_book.payload.change_id.eq(message.change_id),
            self.o_book.payload.stamp.eq(end.stamp),
            self.o_book_previewed.eq(end.previewed),
            self.o_book_snapshot.eq(message.snapshot),
        ]
        with m.If(done):
            m.d.comb += self.o_state.valid.eq(1)
            m.d.sync += self.o_finished.eq(number)

        with m.FSM():
            with m.State("IDLE"):
                with m.If(self.enable & self.i_host_waits):
                    m.next = "HOST"
                with m.Elif(self.enable & self.i.valid):
                    m.d.comb += self.i.ready.eq(1)
                    m.d.sync += [message.eq(record.header), withdrawn.eq(0)]
                    read(record.header.index, record.header.channel)
                    m.next = "LOOK"
                    with m.If(self.i_granted):
                        m.next = "LOOKED"

            # The book's state, and whether it can be trusted.
            with m.State("LOOK"):
                read(message.index, message.channel)
                with m.If(self.i_granted):
                    m.next = "LOOKED"
            with m.State("LOOKED"):
                m.d.sync += book.eq(self.i_state)
                with m.If(self.i_arrives):
                    m.next = "JUDGE"
            with m.State("JUDGE"):
                m.next = "JUDGED"
            with m.State("JUDGED"):
                m.next = "LEVELS"
                m.d.comb += [
                    levels.i_sides.valid.eq(1),
                    levels.i_sides.payload.eq(Mux(judge.o_begins, 0, book.sides)),
                    self.o_count_contained.eq(judge.o_contained),
                    self.o_count_chain_breaks.eq(judge.o_breaks),
                    self.o_count_snapshots_ignored.eq(judge.o_skips & message.final),
                ]
                m.d.sync += [
                    applying.eq(judge.o_applies | judge.o_begins),
                    unexpected.eq(judge.o_contained | judge.o_breaks),
                ]
                with m.If(judge.o_breaks | judge.o_distrusts):
                    m.d.sync += withdraw()
                with m.If(judge.o_skips):
                    m.d.sync += skip()
                with m.If(judge.o_continues):
                    m.next = "LOOK_FRAME"
                with m.If(judge.o_begins):
                    m.d.sync += [
                        book.eq(0),
                        book.building.eq(1),
                        book.channel.eq(message.channel),
                        book.number.eq(number),
                        book.change_id.eq(message.change_id),
                    ]

            # A further part: was anything of the snapshot's own channel lost since the first?
            with m.State("LOOK_FRAME"):
                read(message.index, message.frame_channel)
                with m.If(self.i_granted):
                    m.next = "LOOKED_FRAME"
            with m.State("LOOKED_FRAME"), m.If(self.i_arrives):
                m.next = "JUDGE_FRAME"
            with m.State("JUDGE_FRAME"):
                m.next = "LEVELS"
                with m.If(self.i_newer):
                    m.d.sync += applying.eq(1)
                with m.Else():
                    m.d.comb += self.o_count_snapshots_ignored.eq(message.final)
                    m.d.sync += skip()

            # One level after the other. Its last record is taken when the others are done.
            with m.State("LEVELS"):
                is_end = record.end.end
                m.d.comb += [
                    levels.i.valid.eq(self.i.valid & ~is_end & applying),
                    self.i.ready.eq(levels.i.ready | ~is_end & ~applying),
                    self.o_read.valid.eq(levels.o_read.valid),
                    self.o_read.payload.eq(levels.o_read.payload),
                ]
                with m.If(levels.o_wrong):
                    contradict()
                m.d.sync += end.eq(record.end)
                with m.If(self.i.valid & self.i.ready & is_end):
                    m.d.sync += book.sides.eq(levels.o_sides)
                    m.next = "END"

            # The message's end.
            with m.State("END"):
                m.next = "KEEP"
                with m.If(applying & end.broken):
                    contradict()
                    with m.If(message.snapshot):
                        m.next = "STORE"
                with m.Elif(applying):
                    m.d.sync += [book.change_id.eq(message.change_id),
                                 book.open.eq(increment & ~message.final)]
                    with m.If(~message.final):
                        m.next = "STORE"
                    with m.Elif(message.snapshot):
                        m.d.sync += [book.building.eq(0), book.built.eq(message.complete)]
                        with m.If(~message.complete):
                            m.d.comb += self.o_count_snapshots_ignored.eq(1)
                            m.next = "STORE"
                with m.Elif(~withdrawn):
                    m.next = "STORE"
            # The state first: the memory judges the book by the number that is in there.
            with m.State("KEEP"), m.If(~self.i_busy):
                m.d.comb += self.o_state.valid.eq(1)
                read(message.index, message.channel)
                m.next = "TOUCH"
                with m.If(self.i_granted):
                    m.next = "TOUCHED"
            with m.State("TOUCH"):
                read(message.index, message.channel)
                with m.If(self.i_granted):
                    m.next = "TOUCHED"
            with m.State("TOUCHED"):
                bid, ask = book.sides
                m.d.sync += [
                    touch.eq(touch_of(self.i_rows[0][0], self.i_rows[1][0],
                                      bid.count != 0, ask.count != 0)),
                    exhausted.eq((bid.lost & (bid.count == 0)) | (ask.lost & (ask.count == 0))),
                ]
                with m.If(self.i_arrives):
                    m.next = "JUDGE_TOUCH"
            with m.State("JUDGE_TOUCH"):
                m.d.sync += [
                    tradable.eq(applying & self.i_newer & ~exhausted),
                    book.stale.eq(book.stale | ~self.i_newer | exhausted),
                    agrees.eq(signature(touch) == end.signature),
                ]
                m.d.comb += self.o_count_exhausted.eq(applying & exhausted)
                m.next = "SAY"
            with m.State("SAY"), m.If(~self.i_busy):
                m.d.comb += [
                    self.o_book.valid.eq(1),
                    self.o_late.eq(~end.previewed | ~tradable),
                    self.o_count_updates.eq(applying & increment),
                    self.o_count_snapshots_built.eq(applying & message.snapshot),
                    self.o_count_late.eq(increment & tradable & ~end.previewed),
                    self.o_count_preview_mismatch.eq(
                        end.previewed & (unexpected | tradable & ~agrees)),
                    done.eq(1),
                ]
                m.next = "IDLE"
            with m.State("STORE"), m.If(~self.i_busy):
                m.d.comb += [
                    done.eq(1),
                    self.o_count_preview_mismatch.eq(end.previewed & unexpected),
                ]
                m.next = "IDLE"

            with m.State("HOST"):
                m.d.comb += self.o_host_turn.eq(1)
                with m.If(self.i_host_done):
                    m.next = "IDLE"
        return m
