"""Says the touch in the cycle after the last level of an update, before anyone has seen the FCS."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from tickwire.hdl.book.event import BookEvent
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
    Side,
    is_kind,
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
    5 cycles, ``o_tradable`` 6 cycles.

    Parameters
    ----------
    levels, row_levels : int
        As in ``PriceLevelBook``.

    Members
    -------
    i : In, strobe(FeedEvent)
        PRICE at least 4 cycles after INSTRUMENT, 1 after HEADER, 1 before LEVEL.
    i_instrument : In, strobe(InstrumentLookup)
        3 cycles after INSTRUMENT.
    i_verdict : In, strobe(FrameVerdict)
    i_header : In, MessageHeader
        Registers of the message, one cycle after their event.
    i_lost : In, 1 bit
        A frame is being lost.
    i_loaded, i_rows, i_state, i_last, i_newer
        The memory's answer; ``i_newer`` another cycle later.
    i_finished : In, 48 bits
        Number of the last message that the authority has done.
    i_idle : In, 1 bit
        It has done all.
    i_settled : In, 1 bit
        No loss is known that is not in the memory yet.
    o : Out, strobe(BookEvent)
    o_signature : Out, 32 bits
        Of the touch in the registers, from the cycle after ``o`` on.
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
            "i_loaded": In(1),
            "i_rows": In(data.ArrayLayout(data.ArrayLayout(Entry, row_levels), 2)),
            "i_state": In(book_state(levels)),
            "i_last": In(NUMBER),
            "i_newer": In(1),
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
            return self.i.valid & is_kind(event.kind, kind)

        # What is held.
        rows = Signal(data.ArrayLayout(data.ArrayLayout(Entry, size), 2), reset_less=True)
        known = Signal(data.ArrayLayout(size, 2))       # as a thermometer, from the best on
        deeper = Signal(2)                              # there are levels behind the known ones
        held = Signal(7)
        right = Signal()                                # it is all as if applied to this point
        change_id, open_update = Signal(64, reset_less=True), Signal()

        # Message start. The rows are being read, whatever is known of the instrument; in the next
        # cycle they are there, and it is known whether they are wanted.
        lookup = self.i_instrument.payload
        asked, asked_known = Signal(7), Signal()
        mine, ended = Signal(), Signal()
        finished = Signal(NUMBER, reset_less=True)
        all_done, settled = Signal(), Signal()
        same, is_book = lookup.index == held, header.message == MessageKind.BOOK
        goes_on = Signal()
        m.d.comb += goes_on.eq(right & same & ~self.i_idle & self.i_settled & ~header.suspect
                               & ~ended & ~comes(FeedEventKind.END) & ~self.i_verdict.valid)
        # `takes` matters for this message only, so it need not wait for `known`.
        takes, loads = Signal(), Signal()
        m.d.sync += [
            takes.eq(self.i_instrument.valid & ~goes_on),
            loads.eq(self.i_instrument.valid & ~goes_on & lookup.known & is_book),
        ]
        with m.If(self.i_instrument.valid):
            m.d.sync += [
                asked.eq(lookup.index),
                asked_known.eq(lookup.known),
                mine.eq(lookup.known & is_book),
                finished.eq(self.i_finished),
                all_done.eq(self.i_idle),
                settled.eq(self.i_settled),
            ]

        state = self.i_state
        with m.If(loads):
            m.d.sync += held.eq(asked)

        # Judgement of what was loaded, a cycle later.
        judges, judges_book = Signal(), Signal()
        whole, done = Signal(), Signal()
        trusted = Signal()
        m.d.sync += [judges.eq(self.i_loaded & asked_known), judges_book.eq(loads)]
        with m.If(self.i_loaded):
            m.d.sync += [
                whole.eq(state.built & ~state.stale & settled
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

        # PRICE: all comparisons, at the earliest in the cycle of the load, on the memory's output.
        # In halves and quarters, which the next cycle joins.
        less_high, less_low, here = (
            Signal(size, name=name) for name in ("less_high", "less_low", "here"))
        matches = [Signal(4, name=f"matches_{n}") for n in range(size)]
        is_deeper, of_ask, creates, deletes = Signal(), Signal(), Signal(), Signal()
        stored_known = [Cat(stored.count > n for n in range(size)) for stored in state.sides]
        stored_deeper = [(stored.count > size) | stored.lost for stored in state.sides]
        ask = event.side == Side.ASK

        def now(compare):
            """Of what the memory says and what is held; which of them, is chosen last."""
            return Mux(takes, compare(self.i_rows, stored_known, stored_deeper),
                       compare(rows, known, deeper))

        with m.If(comes(FeedEventKind.PRICE)):
            for n in range(size):
                def compared(bits, less, n=n):
                    key = side_key(event.side, event.price)[bits]

                    def compare(rows, *_):
                        own = Mux(ask, rows[1][n].key, rows[0][n].key)[bits]
                        return own < key if less else own == key
                    return now(compare)

                m.d.sync += [
                    less_high[n].eq(compared(slice(32, 64), True)),
                    less_low[n].eq(compared(slice(0, 32), True)),
                    matches[n].eq(Cat(compared(slice(start, start + 16), False)
                                      for start in range(0, 64, 16))),
                ]
            m.d.sync += [
                here.eq(now(lambda _, known, __: Mux(ask, known[1], known[0]))),
                is_deeper.eq(now(lambda _, __, deeper: Mux(ask, deeper[1], deeper[0]))),
                of_ask.eq(ask),
                creates.eq(event.change == Change.CREATED),
                deletes.eq(event.change == Change.DELETED),
            ]

        # The same for the chain.
        last_id = Mux(takes, state.change_id, change_id)
        earlier, repeated, follows = (Signal(2, name=name)
                                      for name in ("earlier", "repeated", "follows"))
        was_open = Signal()
        m.d.sync += was_open.eq(Mux(takes, state.open, open_update))
        for half, bits in enumerate((slice(0, 32), slice(32, 64))):
            m.d.sync += [
                earlier[half].eq(header.change_id[bits] < last_id[bits]),
                repeated[half].eq(header.change_id[bits] == last_id[bits]),
                follows[half].eq(header.previous_change_id[bits] == last_id[bits]),
            ]
        contained, chains = Signal(), Signal()
        m.d.comb += [
            contained.eq(earlier[1] | repeated[1] & (earlier[0] | repeated[0] & ~was_open)),
            chains.eq(follows.all() | repeated.all() & was_open),
        ]

        # LEVEL: which way each entry moves is the same for both sides.
        before, behind, found_at = Signal(size), Signal(size), Signal(size)
        for n in range(size):
            less = less_high[n] | matches[n][2:].all() & less_low[n]
            m.d.comb += [
                before[n].eq(here[n] & less),
                behind[n].eq(here[n] & ~less),
                found_at[n].eq(here[n] & matches[n].all()),
            ]
        found, behind_all = found_at.any(), ~behind.any()
        inserts, removes, wrong, empties = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            inserts.eq(creates & (~behind_all | ~here.all() & ~is_deeper)),
            removes.eq(deletes & found),
            # What is not here may be deeper down: only the authority knows.
            wrong.eq(Mux(creates, found, ~found & ~(behind_all & is_deeper))
                     | ~deletes & ~event.amount[:63].any()),
            empties.eq(removes & is_deeper & ~here[1]),
        ]
        applies, says = Signal(), Signal()
        m.d.comb += [
            applies.eq(comes(FeedEventKind.LEVEL) & mine & ~contained),
            says.eq(applies & usable & chains & ~wrong & ~empties & event.last & header.final),
        ]
        # Entries that are not `known` may hold anything, and so may all if they are not `right`.
        for n in range(size):
            changes = Mux(creates, ~before[n], Mux(deletes, found_at[:n + 1].any(), found_at[n]))
            takes_new = Mux(creates, before[n - 1] if n else 1, ~deletes)
            for one, key in enumerate((~event.price, event.price)):
                better, worse = rows[one][max(n - 1, 0)], rows[one][min(n + 1, size - 1)]
                with m.If(loads | applies & (of_ask == one) & changes):
                    m.d.sync += rows[one][n].eq(Mux(
                        loads | takes_new,
                        Mux(loads, self.i_rows[one][n].as_value(), Cat(key, event.amount)),
                        Mux(deletes, worse.as_value(), better.as_value())))
        for one in range(2):
            with m.If(loads):
                m.d.sync += [known[one].eq(stored_known[one]),
                             deeper[one].eq(stored_deeper[one])]
            with m.Elif(applies & (of_ask == one)):
                m.d.sync += [
                    known[one].eq(Mux(inserts, Cat(1, here)[:size],
                                      Mux(removes, here >> 1, here))),
                    deeper[one].eq(is_deeper | creates & here.all()),
                ]
        with m.If(loads):
            m.d.sync += [change_id.eq(state.change_id), open_update.eq(state.open)]
        with m.Elif(applies & event.last):
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
        with m.Elif(comes(FeedEventKind.END) | comes(FeedEventKind.LEVEL) & event.last
                    | self.i_verdict.valid):
            m.d.sync += ended.eq(1)

        touch = touch_of(rows[0][0], rows[1][0], known[0][0], known[1][0])
        m.d.sync += [
            self.o.valid.eq(says),
            self.o.payload.stamp.eq(event.stamp),
            self.o_signature.eq(signature(touch)),
        ]
        m.d.comb += [
            self.o.payload.instrument.eq(held),
            self.o.payload.touch.eq(touch),
            self.o.payload.tradable.eq(1),
            self.o.payload.timestamp.eq(header.timestamp),
            self.o.payload.change_id.eq(header.change_id),
        ]
        return m
