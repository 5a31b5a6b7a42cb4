"""Decides what a message means for its book."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from tickwire.hdl.book.record import HeaderRecord, book_state

__all__ = ["MessageJudge"]


class MessageJudge(wiring.Component):
    """Compares a message's change ids with its book's, and says what to do.

    An increment is applied to a healthy book if it follows the book's change id, directly or as a
    further message of the same logical update (venues repeat the ids in it, or go on with the
    chain). It is passed over if the book is not healthy, or contains it already.

    A snapshot is passed over if the book is healthy, or if parts before this one may be missing.
    When one part has been passed over, so are the others, up to the final one. Else the first
    part begins a new book; parts with the same change id go on with it.

    Latency: ``i_state`` → outputs 2 cycles.

    Parameters
    ----------
    levels : int
        As in ``PriceLevelBook``.

    Members
    -------
    message : In, HeaderRecord
        Stays until the outputs are used.
    i_state : In, book_state
        From the memory.
    i_newer : In, 1 bit
        A cycle later: nothing was lost since the book's snapshot.
    o_applies : Out, 1 bit
        An increment that follows.
    o_contained, o_breaks, o_distrusts : Out, 1 bit
        An increment for a healthy book that contains it; that does not follow; for a book that
        looks healthy, but something was lost.
    o_begins, o_continues, o_skips : Out, 1 bit
        A snapshot's part that begins a book, goes on with one, is passed over.
    """

    def __init__(self, *, levels):
        super().__init__({
            "message": In(HeaderRecord),
            "i_state": In(book_state(levels)),
            "i_newer": In(1),
            **{f"o_{name}": Out(1) for name in (
                "applies", "contained", "breaks", "distrusts", "begins", "continues", "skips")},
        })

    def elaborate(self, platform):
        m = Module()
        message, state = self.message, self.i_state
        contained, follows, same = Signal(), Signal(), Signal()
        usable, building, skipping = Signal(), Signal(), Signal()

        repeats = message.change_id == state.change_id
        m.d.sync += [
            contained.eq((message.change_id < state.change_id) | repeats & ~state.open),
            follows.eq((message.previous_change_id == state.change_id) | repeats & state.open),
            same.eq(repeats),
            usable.eq(state.built & ~state.stale),
            building.eq(state.building),
            skipping.eq(state.skipping),
        ]

        increment, healthy = ~message.snapshot, usable & self.i_newer
        skips = healthy | message.adrift | skipping
        goes_on = building & same
        m.d.sync += [
            self.o_distrusts.eq(increment & usable & ~self.i_newer),
            self.o_contained.eq(increment & healthy & contained),
            self.o_breaks.eq(increment & healthy & ~contained & ~follows),
            self.o_applies.eq(increment & healthy & ~contained & follows),
            self.o_skips.eq(message.snapshot & skips),
            self.o_continues.eq(message.snapshot & ~skips & goes_on),
            self.o_begins.eq(message.snapshot & ~skips & ~goes_on),
        ]
        return m
