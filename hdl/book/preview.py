"""Says the touch in the cycle after the last level of an update, before anyone has seen the FCS."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from tickwire.hdl.book.event import BookEvent
from tickwire.hdl.book.memory import RowAddress
from tickwire.hdl.book.record import (
    NUMBER,
    Entry,
    InstrumentLookup,
    MessageHeader,
    book_state,
    side_key,
    signature,
    touch_of,
)
from tickwire.hdl.feed.event import (
    Change,
    FeedEvent,
    FeedEventKind,
    FrameVerdict,
    MessageKind,
)
from tickwire.hdl.stream.packet import strobe

__all__ = ["TouchPreview"]


class TouchPreview(wiring.Component):
    """Best rows of one instrument in registers, moved as the level changes arrive.

    At a message's start it loads both sides' best row from memory. If the authority still owes
    changes of this instrument, the memory is behind: then the registers go on if they hold that
    instrument, else there is no event from here, and the authority's comes later. The same goes
    for everything unusual: a chain that does not fit, a level that should be there and is not, a
    frame with a gap before it, all known levels deleted while there are deeper ones. So an event
    from here always is ``tradable``, but it is hearsay until the frame's verdict.

    Latency: last LEVEL of a message with ``final`` → ``o`` 1 cycle. INSTRUMENT → registers usable
    4 cycles, ``o_tradable`` 6 cycles.

    Parameters
    ----------
    levels, row_levels : int
        As in ``PriceLevelBook``.

    Members
    -------
    i : In, strobe(FeedEvent)
        PRICE at least 4 cycles after INSTRUMENT, 1 after HEADER, 1 before LEVEL.
    i_instrument : In, strobe(InstrumentLookup)
        2 cycles after INSTRUMENT.
    i_verdict : In, strobe(FrameVerdict)
    i_header : In, MessageHeader
        Registers of the message, one cycle after their event.
    i_lost : In, 1 bit
        A frame is being lost.
    o_read : Out, strobe(RowAddress)
        To the memory, whose answer is expected 2 cycles later.
    i_loaded, i_rows, i_state, i_last, i_newer, i_collided
        The memory's answer; ``i_newer`` another cycle later.
    i_finished : In, 48 bits
        Number of the last message that the authority has done.
    i_idle : In, 1 bit
        It has done all.
    i_settled : In, 1 bit
        No loss is known that is not in the memory yet.
    o : Out, strobe(BookEvent)
    o_signature : Out, 32 bits
        Of the touch in the registers, from the cycle of ``o`` on.
    o_tradable : Out, 1 bit
        The book of the arriving message's instrument is whole and the frame has no gap before it;
        from 6 cycles after INSTRUMENT until the next one. It does not know of changes that still
        wait for the authority.
    """

    def __init__(self, *, levels, row_levels):
        self._row_levels = row_levels
        super().__init__({
            "i": In(strobe(FeedEvent)),
            "i_instrument": In(strobe(InstrumentLookup)),
            "i_verdict": In(strobe(FrameVerdict)),
            "i_header": In(MessageHeader),
            "i_lost": In(1),
            "o_read": Out(strobe(RowAddress)),
            "i_loaded": In(1),
            "i_rows": In(data.ArrayLayout(data.ArrayLayout(Entry, row_levels), 2)),
            "i_state": In(book_state(levels)),
            "i_last": In(NUMBER),
            "i_newer": In(1),
            "i_collided": In(1),
            "i_finished": In(NUMBER),
            "i_idle": In(1),
            "i_settled": In(1),
            "o": Out(strobe(BookEvent)),
            "o_signature": Out(32),
            "o_tradable": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        size = self._row_levels
        event, header = self.i.payload, self.i_header

        def comes(kind):
            return self.i.valid & (event.kind == kind)

        # What is held.
        rows = Signal(data.ArrayLayout(data.ArrayLayout(Entry, size), 2), reset_less=True)
        known = Signal(data.ArrayLayout(size, 2))       # as a thermometer, from the best on
        deeper = Signal(2)                              # there are levels behind the known ones
        held = Signal(7)
        right = Signal()                                # it is all as if applied to this point
        change_id, open_update = Signal(64, reset_less=True), Signal()

        # Message start. Two cycles after INSTRUMENT the index is there, two later the rows.
        lookup = self.i_instrument.payload
        is_book = header.message == MessageKind.BOOK
        asked = Signal(7)
        goes_on, mine, ended = Signal(), Signal(), Signal()
        finished = Signal(NUMBER, reset_less=True)
        all_done, settled = Signal(), Signal()
        m.d.comb += [
            self.o_read.valid.eq(self.i_instrument.valid & lookup.known),
            self.o_read.payload.index.eq(lookup.index),
            self.o_read.payload.channel.eq(lookup.channel),
        ]
        same = lookup.index == held
        with m.If(self.i_instrument.valid):
            m.d.sync += [
                asked.eq(lookup.index),
                goes_on.eq(right & same & ~self.i_idle & self.i_settled & ~header.suspect),
                mine.eq(lookup.known & is_book),
                finished.eq(self.i_finished),
                all_done.eq(self.i_idle),
                settled.eq(self.i_settled),
            ]

        loads = Signal()
        m.d.comb += loads.eq(self.i_loaded & mine & ~goes_on)
        state = self.i_state
        with m.If(loads):
            m.d.sync += [
                rows.eq(self.i_rows),
                held.eq(asked),
                change_id.eq(state.change_id),
                open_update.eq(state.open),
            ]
            for one, stored in enumerate(state.sides):
                m.d.sync += [
                    known[one].eq(Cat(stored.count > n for n in range(size))),
                    deeper[one].eq((stored.count > size) | stored.lost),
                ]

        # Judgement of what was loaded, a cycle later.
        judges, judges_book = Signal(), Signal()
        whole, done = Signal(), Signal()
        trusted = Signal()
        m.d.sync += [judges.eq(self.i_loaded), judges_book.eq(loads)]
        with m.If(self.i_loaded):
            m.d.sync += [
                whole.eq(state.built & ~state.stale & ~self.i_collided & settled
                         & ~header.suspect),
                done.eq(all_done | (self.i_last <= finished)),
            ]
        m.d.comb += trusted.eq(whole & self.i_newer)
        with m.If(judges):
            m.d.sync += self.o_tradable.eq(trusted)
        with m.If(comes(FeedEventKind.INSTRUMENT)):
            m.d.sync += self.o_tradable.eq(0)

        usable = Signal()       # `right`, as it will be known a cycle after the load
        m.d.comb += usable.eq(Mux(judges_book, trusted & done & ~ended, right))
        with m.If(judges_book):
            m.d.sync += right.eq(usable)

        # PRICE: all comparisons of both sides, in the cycle of the load on the memory's output.
        smaller = Signal(data.ArrayLayout(size, 2))
        equal = Signal(data.ArrayLayout(size, 2))
        source = Signal.like(rows)
        m.d.comb += source.eq(Mux(loads, self.i_rows.as_value(), rows.as_value()))
        with m.If(comes(FeedEventKind.PRICE)):
            for side, key in ((0, ~event.price), (1, event.price)):
                m.d.sync += [
                    smaller[side].eq(Cat(source[side][n].key < key for n in range(size))),
                    equal[side].eq(Cat(source[side][n].key == key for n in range(size))),
                ]
        contained, chains = Signal(), Signal()
        last_id = Mux(loads, state.change_id, change_id)
        is_open = Mux(loads, state.open, open_update)
        repeats = header.change_id == last_id
        m.d.sync += [
            contained.eq((header.change_id < last_id) | repeats & ~is_open),
            chains.eq((header.previous_change_id == last_id) | repeats & is_open),
        ]

        # LEVEL: one move network for both sides.
        side, change = event.side.as_value(), event.change
        here, before, found_at = Signal(size), Signal(size), Signal(size)
        is_deeper = Signal()
        row, moved = (Signal(data.ArrayLayout(Entry, size), name=name)
                      for name in ("row", "moved"))
        new = Signal(Entry)
        m.d.comb += [
            here.eq(known[side]),
            before.eq(here & smaller[side]),
            found_at.eq(here & equal[side]),
            is_deeper.eq(deeper.bit_select(side, 1)),
            row.eq(rows[side]),
            new.key.eq(side_key(event.side, event.price)),
            new.amount.eq(event.amount),
        ]
        creates, deletes = change == Change.CREATED, change == Change.DELETED
        found, behind_all = found_at.any(), here == before
        inserts, removes, wrong, empties = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            inserts.eq(creates & (~behind_all | ~here.all() & ~is_deeper)),
            removes.eq(deletes & found),
            # What is not here may be deeper down: only the authority knows.
            wrong.eq(Mux(creates, found, ~found & ~(behind_all & is_deeper))
                     | ~deletes & ~event.amount[:63].any()),
            empties.eq(removes & is_deeper & ~here[1]),
        ]
        changes = Signal(size)
        from_found = Cat(found_at[:n + 1].any() for n in range(size))
        m.d.comb += changes.eq(Mux(creates, Mux(inserts, ~before, 0),
                                   Mux(deletes, from_found, found_at)))
        for n in range(size):
            takes_new = ~creates | before[n - 1] if n else 1
            m.d.comb += moved[n].eq(Mux(deletes, row[min(n + 1, size - 1)], Mux(
                takes_new, new, row[max(n - 1, 0)])))

        applies, says = Signal(), Signal()
        m.d.comb += [
            applies.eq(comes(FeedEventKind.LEVEL) & mine & ~ended & usable & ~contained),
            says.eq(applies & chains & ~wrong & ~empties & event.last & header.final),
        ]
        for one in range(2):
            with m.If(applies & (side == one)):
                for n in range(size):
                    with m.If(changes[n]):
                        m.d.sync += rows[one][n].eq(moved[n])
                m.d.sync += [
                    known[one].eq(Mux(inserts, Cat(1, here)[:size],
                                      Mux(removes, here >> 1, here))),
                    deeper[one].eq(is_deeper | creates & here.all()),
                ]
        with m.If(applies & event.last):
            m.d.sync += [change_id.eq(header.change_id), open_update.eq(~header.final)]

        # What makes the registers wrong: the authority may see the book otherwise from here on.
        stops = comes(FeedEventKind.INSTRUMENT) | self.i_verdict.valid
        verdict = self.i_verdict.payload
        rebuilds = lookup.known & same & (header.message == MessageKind.SNAPSHOT)
        with m.If((applies & (~chains | wrong | empties))
                  | (comes(FeedEventKind.END) & mine)
                  | (stops & mine & ~ended & ~(comes(FeedEventKind.LEVEL) & event.last))
                  | (self.i_instrument.valid & rebuilds)
                  | (self.i_verdict.valid & (~verdict.good | verdict.gap))
                  | self.i_lost):
            m.d.sync += right.eq(0)
        with m.If(comes(FeedEventKind.INSTRUMENT)):
            m.d.sync += [mine.eq(0), ended.eq(0)]
        with m.Elif(comes(FeedEventKind.END) | comes(FeedEventKind.LEVEL) & event.last):
            m.d.sync += ended.eq(1)

        touch = touch_of(rows[0][0], rows[1][0], known[0][0], known[1][0])
        m.d.sync += [self.o.valid.eq(says), self.o.payload.stamp.eq(event.stamp)]
        m.d.comb += [
            self.o.payload.instrument.eq(held),
            self.o.payload.touch.eq(touch),
            self.o.payload.tradable.eq(1),
            self.o.payload.timestamp.eq(header.timestamp),
            self.o.payload.change_id.eq(header.change_id),
            self.o_signature.eq(signature(touch)),
        ]
        return m
