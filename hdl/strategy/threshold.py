"""Takes the offer at or below one price, hits the bid at or above another."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, enum
from amaranth.lib.wiring import In, Out, connect, flipped
from tickwire.hdl.csr.table import table_write
from tickwire.hdl.entry.intent import Action, Source
from tickwire.hdl.feed.event import FeedEventKind, Side, is_kind

from .fired import FiredMemory
from .interface import Strategy
from .late import LateEvents
from .prefetch import RowPrefetch
from .threshold_model import ThresholdModel

__all__ = ["Trigger", "ThresholdRow", "ThresholdStrategy"]


class Trigger(enum.Enum, shape=1):
    """What is decided on."""

    BOOK = 0        # the touch after a logical update
    TICKER = 1      # the ticker message itself


class ThresholdRow(data.Struct):
    """The strategy's parameters for one instrument. Writing the row arms a one-shot again."""

    enabled: 1
    buy: 1              # buy at the best ask if it is buy_limit or less
    sell: 1             # sell at the best bid if it is sell_limit or more
    trigger: Trigger
    one_shot: 1         # one intent, until the row is written again
    buy_limit: 64       # ordered key
    sell_limit: 64      # ordered key
    quantity: 32        # mantissa
    minimum_gap: 32     # between two intents, in the venue's unit of time


def finite(key):
    """The price behind an ordered key is neither infinite nor NaN."""
    return Mux(key[63], ~key[52:63].all(), key[52:63].any())


def nonzero(key):
    """The price behind an ordered key is neither zero nor negative zero."""
    return ~((key[63] & ~key[:63].any()) | (~key[63] & key[:63].all()))


def crosses(row, ask, ask_valid, bid, bid_valid):
    """Whether a touch is good enough to buy, and to sell, by the parameters in ``row``."""
    return (row.buy & ask_valid & finite(ask) & (ask <= row.buy_limit),
            row.sell & bid_valid & finite(bid) & (bid >= row.sell_limit))


class ThresholdStrategy(Strategy):
    """Buys at the best ask while that is at or below a limit, or sells at the best bid above one.

    One event brings at most one intent; buying wins. A price that is not finite never triggers; in
    a ticker, zero stands for an empty side, and does not either.

    Latency: event → ``o`` 1 cycle; ``i_late`` → ``o`` 7 cycles when nothing else goes on;
    ``i_write`` → first event that is decided by the new row 6 cycles, and from the fourth to
    the sixth no intent may come although both the old and the new row would allow it.

    Two events of one instrument that are both to fire must be at least 2 cycles apart. A late one
    sees to that itself: it is not decided on in the cycle of a LEVEL event, behind which a touch
    may come.

    Parameters
    ----------
    instruments : int
        Dense indices; a power of two.
    hearsay : int
        Intents that one frame may bring before its verdict; a power of two.
    late : int
        Late events that can wait; a power of two.

    Members
    -------
    i_write : In(table_write(ThresholdRow, instruments))
        Parameters of one instrument.
    o_count_intent : Out(1)
        An intent was made.
    o_count_no_room : Out(1)
        An intent was not made because too many others wait for a verdict, or a late event was
        lost because too many others wait for their row.
    o_count_mismatch : Out(1)
        An event came for which no row had been fetched; nothing was decided on it.

    The other members are those of :class:`Strategy`.
    """

    def __init__(self, *, instruments=128, hearsay=8, late=4):
        if instruments < 2 or instruments > 128 or instruments & (instruments - 1):
            raise ValueError("ThresholdStrategy instruments must be a power of two from 2 to 128, "
                             f"not {instruments!r}")
        self.instruments = instruments
        self.hearsay = hearsay
        self.late = late
        super().__init__({
            "i_write": In(table_write(ThresholdRow, instruments)),
            "o_count_intent": Out(1),
            "o_count_no_room": Out(1),
            "o_count_mismatch": Out(1),
        })

    def model(self):
        return ThresholdModel(hearsay=self.hearsay)

    def elaborate(self, platform):
        m = Module()
        m.submodules.rows = rows = RowPrefetch(ThresholdRow, self.instruments)
        m.submodules.fired = fired = FiredMemory(self.instruments, self.hearsay)
        m.submodules.late = late = LateEvents(self.instruments, self.late)

        notice, event, book = self.i_instrument, self.i_feed.payload, self.i_book.payload
        row, wanted = rows.o_row, self.o.payload

        # The row of the message that is arriving.
        known, current, usable, frame_open = Signal(), Signal(), Signal(), Signal()
        timestamp, next_timestamp = Signal(64, reset_less=True), Signal(64, reset_less=True)
        fetch = notice.valid & notice.payload.known & (notice.payload.index < self.instruments)
        m.d.comb += [
            rows.i_fetch.valid.eq(fetch), rows.i_fetch.payload.eq(notice.payload.index),
            fired.i_fetch.valid.eq(fetch), fired.i_fetch.payload.eq(notice.payload.index),
        ]
        m.d.sync += usable.eq(rows.o_ready & ~fetch)
        with m.If(notice.valid):
            m.d.sync += [known.eq(fetch), current.eq(1), timestamp.eq(next_timestamp)]
        with m.If(self.i_feed.valid):
            m.d.sync += frame_open.eq(1)
            with m.If(is_kind(event.kind, FeedEventKind.INSTRUMENT)):
                m.d.sync += [next_timestamp.eq(event.timestamp), current.eq(0)]
        with m.If(self.i_verdict.valid):
            m.d.sync += frame_open.eq(0)

        # The row register shows a written row 3 cycles later: its intents are forgotten then.
        connect(m, flipped(self.i_write), rows.i_write)
        changing = Signal(3)
        index = rows.o_written.payload
        for number in range(3):
            before, index = index, Signal.like(index, name=f"written_{number}", reset_less=True)
            m.d.sync += index.eq(before)
        m.d.sync += changing.eq(Cat(rows.o_written.valid, changing))
        m.d.comb += [fired.i_clear.valid.eq(changing[-1]), fired.i_clear.payload.eq(index)]

        # An intent is remembered in the cycle in which it is said; until that shows, it blocks.
        earliest, next_earliest = Signal(65, reset_less=True), Signal(65, reset_less=True)
        gap_over = Signal()
        fast_index = Signal()       # the intent's instrument was that of the fetched row
        fires_here = self.o.valid & fast_index
        last = Mux(fires_here, earliest, fired.o.earliest)
        m.d.sync += [
            next_earliest.eq(timestamp + row.minimum_gap),
            gap_over.eq((~fires_here & ~fired.o.fired) | (~row.one_shot & (timestamp >= last))),
        ]
        m.d.comb += [
            fired.i_verdict.valid.eq(self.i_verdict.valid),
            fired.i_verdict.payload.eq(self.i_verdict.payload),
            fired.i_fire.valid.eq(self.o.valid),
            fired.i_fire.payload.index.eq(wanted.instrument),
            fired.i_fire.payload.earliest.eq(earliest),
            fired.i_fire.payload.settled.eq(
                self.o_committed | (self.i_cut_through & ~self.i_verdict.valid)),
        ]
        room = fired.o_room & self.i_room

        # The decision. Tickers and books are compared apart: to choose one first would take longer.
        by_ticker = row.trigger == Trigger.TICKER
        is_ask = is_kind(event.kind, FeedEventKind.ASK)
        ticker_event = self.i_feed.valid & is_kind(event.kind, FeedEventKind.BID, FeedEventKind.ASK)
        book_event = self.i_book.valid
        fits = usable & (book.instrument == rows.o_index)
        by_ticker_occasion = (by_ticker & ticker_event & current & known & ~event.suspect
                              & self.i_tradable & nonzero(event.price))
        by_book_occasion = ~by_ticker & book_event & book.tradable & fits
        book_buys, book_sells = crosses(row, book.touch.ask_price, book.touch.ask_valid,
                                        book.touch.bid_price, book.touch.bid_valid)
        ticker_buys, ticker_sells = crosses(row, event.price, is_ask, event.price, ~is_ask)
        may_fire = (usable & row.enabled & gap_over & ~fires_here & frame_open
                    & ~self.i_verdict.valid)
        would_fire = may_fire & (by_ticker_occasion & (ticker_buys | ticker_sells)
                                 | by_book_occasion & (book_buys | book_sells))

        # The same for late events, whenever no other event is there, nor may be in the next cycle.
        late_row, late_book = rows.o_slow_row, late.o.payload
        late_gap_over = Signal()
        late_next_earliest = Signal(65, reset_less=True)
        level_event = self.i_feed.valid & is_kind(event.kind, FeedEventKind.LEVEL)
        m.d.comb += [
            late.i.valid.eq(self.i_late.valid),
            late.i.payload.eq(self.i_late.payload),
            rows.i_slow.valid.eq(late.o_fetch.valid),
            rows.i_slow.payload.eq(late.o_fetch.payload),
            late.o_fetch.ready.eq(rows.i_slow.ready),
            fired.i_slow.valid.eq(late.o_fetch.valid & rows.i_slow.ready),
            fired.i_slow.payload.eq(late.o_fetch.payload),
            late.i_disturb.eq(
                self.i_verdict.valid
                | (self.o.valid & (wanted.instrument == late.o_fetch.payload))
                | rows.o_writing | changing.any()),
            late.o.ready.eq(~ticker_event & ~book_event & ~level_event & ~late.i_disturb),
        ]
        m.d.sync += [
            late_next_earliest.eq(late_book.timestamp + late_row.minimum_gap),
            late_gap_over.eq(~fired.o_slow.fired | (
                ~late_row.one_shot & (late_book.timestamp >= fired.o_slow.earliest))),
        ]
        late_buys, late_sells = crosses(
            late_row, late_book.touch.ask_price, late_book.touch.ask_valid,
            late_book.touch.bid_price, late_book.touch.bid_valid)
        late_would_fire = (
            late.o.valid & late.o.ready & late_row.enabled & late_book.tradable & late_gap_over
            & (late_row.trigger == Trigger.BOOK) & (late_book.instrument == rows.o_slow_index)
            & (late_buys | late_sells))

        either = would_fire | late_would_fire
        m.d.sync += [
            self.o.valid.eq(either & room),
            self.o_count_no_room.eq((either & ~room) | late.o_count_lost),
            self.o_count_mismatch.eq((book_event & ~fits)
                                     | (ticker_event & (~current | (known & ~usable)))),
        ]
        m.d.comb += self.o_count_intent.eq(self.o.valid)

        m.d.comb += [wanted.action.eq(Action.NEW), wanted.source.eq(Source.STRATEGY)]
        with m.If(ticker_event | book_event):
            m.d.sync += [
                self.o_committed.eq(0),
                fast_index.eq(1),
                earliest.eq(next_earliest),
                wanted.instrument.eq(rows.o_index),
                wanted.side.eq(Mux(Mux(by_ticker, is_ask, book_buys), Side.BID, Side.ASK)),
                wanted.price.eq(Mux(by_ticker, event.price, Mux(
                    book_buys, book.touch.ask_price, book.touch.bid_price))),
                wanted.quantity.eq(row.quantity),
                wanted.trigger.eq(Mux(by_ticker, event.stamp, book.stamp)),
                wanted.timestamp.eq(timestamp),
            ]
        with m.Else():
            m.d.sync += [
                self.o_committed.eq(1),
                fast_index.eq(rows.o_slow_index == rows.o_index),
                earliest.eq(late_next_earliest),
                wanted.instrument.eq(rows.o_slow_index),
                wanted.side.eq(Mux(late_buys, Side.BID, Side.ASK)),
                wanted.price.eq(Mux(late_buys, late_book.touch.ask_price,
                                    late_book.touch.bid_price)),
                wanted.quantity.eq(late_row.quantity),
                wanted.trigger.eq(late_book.stamp),
                wanted.timestamp.eq(late_book.timestamp),
            ]
        return m
