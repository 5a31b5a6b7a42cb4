"""A whole gateway in plain Python: what it counts, records and decides, frame by frame."""

import copy
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import book_golden
from datagram_rules import BOOK, TICKER, Message, Reading, finite, price_key, read
from frame_rules import Arrival, Subscriptions, arrival

__all__ = ["NAMES", "Decision", "Outcome", "GoldenGateway"]

NAMES = {1000: "INSTRUMENT", 1001: "BOOK", 1002: "TRADES", 1003: "TICKER", 1004: "SNAPSHOT",
         1005: "SNAPSHOT_START", 1006: "SNAPSHOT_END", 1007: "COMBO_LEGS", 1008: "PRICE_INDEX",
         1009: "RFQ", 1010: "INSTRUMENT_V2"}
MODULUS = 1 << 32
LEVELS = 64

Decision = tuple[int, int, int]         # instrument, time of its message, key of the price


@dataclass
class Outcome:
    """What one frame must bring; prices are ordered keys, amounts the wire's bits.

    Members
    -------
    counters : tuple of str
        Along its way through MAC, IP and feed decoder.
    books : list
        (instrument, change id, time, tradable, best bid, best ask), a level being (key, amount).
    tickers : list
        (instrument, time, bid, its amount, ask, its amount).
    decisions : list of Decision
        Each must be made.
    hearsay : list of Decision
        May be made before the frame is known to be bad; of a good frame none.
    named : set of int
        Instruments that a bad frame named before it was known to be bad.
    """

    counters: tuple[str, ...]
    channel: int | None = None
    books: list[tuple] = field(default_factory=list)
    tickers: list[tuple] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    hearsay: list[Decision] = field(default_factory=list)
    named: set[int] = field(default_factory=set)

    @property
    def good(self) -> bool:
        return "FEED_GOOD" in self.counters


class GoldenGateway:
    """Knows what every frame does, from the frame's bytes and what came before.

    Every instrument is bought at its best ask after each increment, unless the time of its message
    is before that of the last decision: so each touch that may be traded on shows as a decision.

    Parameters
    ----------
    subscriptions : mapping
        Group and port to the dense channel.
    instruments : mapping
        The venue's id to dense index and channel.
    repeated : int
        So far behind the expected one a sequence number may be and is passed over; whatever else
        is not expected is a gap.

    Members
    -------
    counters : Counter
        Everything that was counted.
    expected : dict
        Dense channel to the sequence number that comes next.
    """

    def __init__(self, subscriptions: Subscriptions, instruments: Mapping[int, tuple[int, int]],
                 *, cut_through: bool, repeated: int) -> None:
        self.subscriptions, self.instruments = subscriptions, instruments
        self.cut_through, self.repeated = cut_through, repeated
        self.counters: Counter[str] = Counter()
        self.expected: dict[int, int] = {}
        self._decided: dict[int, int] = {}      # instrument → time of the last decision
        self.books = book_golden.Books(
            dict(instruments.values()), LEVELS, cut_through=cut_through, history=False)

    def frame(self, wire: bytes) -> Outcome:
        """One frame, FCS and all, or what is left of it."""
        came = arrival(wire, self.subscriptions)
        if came.channel is None or not came.payload:
            outcome = Outcome(came.counters, came.channel)
        else:
            outcome = self._datagram(came, read(came.payload))
        self.counters.update(outcome.counters)
        return outcome

    def _datagram(self, came: Arrival, reading: Reading) -> Outcome:
        outcome = Outcome(came.counters, came.channel)
        gap = False
        if reading.sequence is not None and came.channel in self.expected:
            behind = (self.expected[came.channel] - reading.sequence) % MODULUS
            gap = behind != 0
            if 0 < behind <= self.repeated:
                if came.accepted:
                    outcome.counters += ("FEED_DUPLICATE",)
                return outcome
        good = came.accepted and reading.error is None
        if came.accepted and not good:
            outcome.counters += ("FEED_MALFORMED",)
        if not good:
            outcome.hearsay = self._hearsay(came, reading, gap)
            outcome.named = {self.instruments[one.instrument][0] for one in reading.messages
                             if one.named and one.instrument in self.instruments}
        self._play(came, reading, outcome, good=good, gap=gap and good)
        if good:
            self.expected[came.channel] = (reading.sequence + 1) % MODULUS
            self.counters.update(f"MESSAGES_{NAMES.get(one.template, 'OTHER')}"
                                 for one in reading.messages)
            outcome.counters += ("FEED_GOOD", "FEED_GAP") if gap else ("FEED_GOOD",)
            outcome.tickers = [row for one in reading.messages for row in self._ticker(one)]
        return outcome

    def _plain(self, message: Message) -> book_golden.Message:
        """The golden book's message; of one that is not read on only the instrument matters."""
        index = self.instruments.get(message.instrument, (-1, 0))[0]
        if message.template == TICKER or message.root is None:
            return book_golden.Message(book_golden.TICKER, index)
        levels = [(book_golden.BID if side else book_golden.ASK, change, price_key(price), amount)
                  for side, change, price, amount in message.levels]
        if message.template == BOOK:
            _, time, previous, change_id, final = message.root
            return book_golden.Message(book_golden.BOOK, index, levels, previous, change_id, final,
                                       timestamp=time)
        _, time, change_id, complete, final = message.root
        return book_golden.Message(book_golden.SNAPSHOT, index, levels, 0, change_id, final,
                                   complete, time)

    def _play(self, came: Arrival, reading: Reading, outcome: Outcome, *, good: bool,
              gap: bool) -> None:
        before = self.books.counts.copy()
        for index, touch, tradable, change_id, (time, _), snapshot in self.books.play(
                book_golden.Frame(came.channel, [self._plain(one) for one in reading.messages
                                                 if one.named], good, gap)):
            bid, ask = touch
            outcome.books.append((index, change_id, time, tradable, bid, ask))
            if tradable and ask and not snapshot and time >= self._decided.get(index, 0):
                self._decided[index] = time
                outcome.decisions.append((index, time, ask[0]))
        self.counters.update({f"BOOK_{name.upper()}": count - before[name]
                              for name, count in self.books.counts.items()})

    def _hearsay(self, came: Arrival, reading: Reading, gap: bool) -> list[Decision]:
        """Decisions that a bad frame's increments would bring if it were good."""
        whole = [self._plain(one) for one in reading.messages
                 if one.whole and one.template == BOOK and one.instrument in self.instruments]
        if gap or not whole:
            return []
        trial = book_golden.Books({}, LEVELS, history=False)
        trial.books = {one.instrument: copy.deepcopy(self.books.books[one.instrument])
                       for one in whole}
        return [(index, time, touch[1][0]) for index, touch, tradable, _, (time, _), _ in
                trial.play(book_golden.Frame(came.channel, whole)) if tradable and touch[1]]

    def _ticker(self, message: Message):
        """The record of a ticker, unless it names no price or an instrument that nobody knows."""
        if message.template != TICKER or message.instrument not in self.instruments:
            return
        _, _, time, bid, bid_amount, ask, ask_amount = message.root
        if finite(bid) and finite(ask):
            yield (self.instruments[message.instrument][0], time, price_key(bid), bid_amount,
                   price_key(ask), ask_amount)

    def image(self, index: int) -> tuple[bool, int, list, list]:
        """Whether a book may be traded on, its change id, its levels: bids and asks, best first."""
        book = self.books.books[index]
        return (book.built and not book.stale and not book.distrusted, book.change_id,
                book.best_first(book_golden.BID), book.best_first(book_golden.ASK))
