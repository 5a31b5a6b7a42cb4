"""Golden books of Deribit's multicast feed, and the checks of data in a capture against them.

A book side is a dict from price to amount: no order is kept, so none can be wrong; the best price
is looked for when it is asked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tickwire.sim.capture import CapturedPacket
from tickwire.sim.models.deribit import Datagram, Message, parse_datagram, udp_payload

__all__ = ["ASK", "BID", "Touch", "Book", "SnapshotCheck", "TickerCheck", "Books", "FeedSummary",
           "summarise"]

ASK, BID = 0, 1                                 # as in the schema
CREATED, CHANGED, DELETED = 0, 1, 2
SNAPSHOT_CHANNELS = 100                         # from here on

# bid price, bid amount, ask price, ask amount; a side without levels has price and amount 0,
# which is how the venue's ticker says it.
Touch = tuple[float, float, float, float]


@dataclass
class Book:
    """All levels of one instrument.

    Members
    -------
    change_id : int
        Of the last update that is in it.
    healthy : bool
        The chain of change ids is unbroken since the last snapshot.
    sides : list of dict
        ``sides[ASK]`` and ``sides[BID]``: price to amount.
    """

    change_id: int
    sides: list[dict[float, float]]
    healthy: bool = True

    def touch(self) -> Touch:
        bids, asks = self.sides[BID], self.sides[ASK]
        bid = max(bids) if bids else 0.0
        ask = min(asks) if asks else 0.0
        return bid, bids.get(bid, 0.0), ask, asks.get(ask, 0.0)

    def levels(self, side: int) -> list[tuple[float, float]]:
        """Price and amount, the best one first."""
        return sorted(self.sides[side].items(), reverse=side == BID)

    def crossed(self) -> bool:
        bids, asks = self.sides[BID], self.sides[ASK]
        return bool(bids and asks) and max(bids) >= min(asks)


@dataclass(frozen=True)
class TickerCheck:
    """One Ticker and the book after its packet; without a book touch and change_id are None."""

    packet: int
    instrument_id: int
    timestamp_ms: int
    ticker: Touch
    touch: Touch | None
    change_id: int | None
    healthy: bool

    @property
    def equal(self) -> bool:
        return self.ticker == self.touch


@dataclass(frozen=True)
class SnapshotCheck:
    """One whole snapshot of an instrument that had a book already."""

    packet: int
    instrument_id: int
    change_id: int
    parts: int
    equal: bool
    levels: tuple[tuple[tuple[float, float], ...], tuple[tuple[float, float], ...]]


@dataclass
class Books:
    """Feeds datagrams to the books and counts what data/INDEX.md's table counts.

    Members
    -------
    on_update : callable or None
        Called as ``on_update(packet, message, book)`` after each logical update of a healthy book
        (an increment with isLast = 1).
    on_start : callable or None
        Called the same way when a snapshot has begun a book, or mended one.
    """

    books: dict[int, Book] = field(default_factory=dict)
    on_update: Callable[[int, Message, Book], None] | None = None
    on_start: Callable[[int, Message, Book], None] | None = None
    tickers: list[TickerCheck] = field(default_factory=list)
    snapshots: list[SnapshotCheck] = field(default_factory=list)
    started: int = 0
    started_with_change_id_0: int = 0
    updates: int = 0
    level_changes: int = 0
    not_last: int = 0
    chain_breaks: int = 0
    already_contained: int = 0
    sequence_gaps: int = 0
    max_depth: int = 0
    false_touches: int = 0
    crossed_changes: int = 0
    max_parts: int = 0
    _pending: dict[int, tuple[int, int, list[dict[float, float]]]] = field(default_factory=dict)
    _partial: set[int] = field(default_factory=set)
    _sequences: dict[tuple[str, int, int], int] = field(default_factory=dict)

    def datagram(self, packet: int, datagram: Datagram, port: tuple[str, int] = ("", 0)) -> None:
        """Apply all messages, then check the Tickers among them."""
        self.follow(datagram, port)
        for message in datagram.messages:
            self.message(packet, message)
        for message in datagram.messages:
            if message.template != 1003:
                continue
            f = message.fields
            book = self.books.get(f["instrumentId"])
            self.tickers.append(TickerCheck(
                packet, f["instrumentId"], f["timestampMs"],
                (f["bestBidPrice"], f["bestBidAmount"], f["bestAskPrice"], f["bestAskAmount"]),
                book.touch() if book else None, book.change_id if book else None,
                bool(book and book.healthy)))

    def follow(self, datagram: Datagram, port: tuple[str, int]) -> None:
        """Compare the sequence number with the last one of this group, port and channel."""
        key = (*port, datagram.channel)
        expected = self._sequences.get(key, datagram.sequence)
        self.sequence_gaps += datagram.sequence != expected
        self._sequences[key] = (datagram.sequence + 1) & 0xFFFFFFFF

    def message(self, packet: int, message: Message) -> None:
        """Apply one message, if it is of a book."""
        if message.template == 1001:
            self._book(packet, message)
        elif message.template == 1004:
            self._snapshot(packet, message)

    def _book(self, packet: int, message: Message) -> None:
        f = message.fields
        book = self.books.get(f["instrumentId"])
        if book is None:
            return
        self.updates += 1
        self.not_last += not f["isLast"]
        if book.healthy and f["changeId"] <= book.change_id and not self._is_partial(message):
            self.already_contained += 1
            return
        if book.healthy and f["prevChangeId"] != book.change_id and not self._is_partial(message):
            self.chain_breaks += 1
            book.healthy = False
        before = book.touch()
        seen: list[Touch] = []
        for side, change, price, amount in message.groups:
            self.level_changes += 1
            if change == DELETED:
                book.sides[side].pop(price, None)
            else:
                book.sides[side][price] = amount
            seen.append(book.touch())
            self.crossed_changes += book.crossed()
            self.max_depth = max(self.max_depth, len(book.sides[side]))
        after = book.touch()
        # Best prices (both sides together) in the middle of the message that never existed.
        existed = ((before[0], before[2]), (after[0], after[2]))
        self.false_touches += any((touch[0], touch[2]) not in existed for touch in seen)
        book.change_id = f["changeId"]
        if f["isLast"]:
            self._partial.discard(f["instrumentId"])
            if book.healthy and self.on_update:
                self.on_update(packet, message, book)
        else:
            self._partial.add(f["instrumentId"])

    def _is_partial(self, message: Message) -> bool:
        """The message goes on with an update that has begun: it has the same change id."""
        instrument = message.fields["instrumentId"]
        return (instrument in self._partial
                and message.fields["changeId"] == self.books[instrument].change_id)

    def _snapshot(self, packet: int, message: Message) -> None:
        f = message.fields
        instrument, change_id = f["instrumentId"], f["changeId"]
        pending = self._pending.get(instrument)
        if pending is None or pending[0] != change_id:
            pending = (change_id, 0, [{}, {}])
        parts, sides = pending[1] + 1, pending[2]
        for side, price, amount in message.groups:
            sides[side][price] = amount
        self._pending[instrument] = (change_id, parts, sides)
        if not f["isLastInBook"]:
            return
        del self._pending[instrument]
        self.max_parts = max(self.max_parts, parts)
        self.max_depth = max(self.max_depth, *(len(side) for side in sides))
        book = self.books.get(instrument)
        if book is None:
            self.started += 1
            self.started_with_change_id_0 += change_id == 0
            self._start(packet, message, Book(change_id, sides))
        elif not book.healthy:
            if change_id >= book.change_id:
                self._start(packet, message, Book(change_id, sides))
        else:
            self.snapshots.append(SnapshotCheck(
                packet, instrument, change_id, parts,
                book.change_id == change_id and book.sides == sides,
                (tuple(sorted(sides[ASK].items())),
                 tuple(sorted(sides[BID].items(), reverse=True)))))

    def _start(self, packet: int, message: Message, book: Book) -> None:
        self.books[message.fields["instrumentId"]] = book
        if self.on_start:
            self.on_start(packet, message, book)


@dataclass
class FeedSummary:
    """Everything that the golden model says of a capture."""

    packets: int
    datagrams: int
    messages: Counter[str]
    fills: int
    channels: set[tuple[str, int, int]]
    books: Books

    def figures(self) -> dict[str, int]:
        """The figures by name, for printing and comparing."""
        b = self.books
        with_book = [check for check in b.tickers if check.touch is not None]
        return {
            "packets": self.packets, "datagrams": self.datagrams,
            "messages": sum(self.messages.values()), "fills": self.fills,
            "tickers_checked": len(with_book),
            "tickers_equal": sum(check.equal for check in with_book),
            "tickers_before_book": len(b.tickers) - len(with_book),
            "books_started": b.started, "books_started_with_change_id_0":
                b.started_with_change_id_0,
            "level_changes": b.level_changes, "updates": b.updates, "not_last": b.not_last,
            "chain_breaks": b.chain_breaks, "sequence_gaps": b.sequence_gaps,
            "snapshots_checked": len(b.snapshots),
            "snapshots_equal": sum(check.equal for check in b.snapshots),
            "snapshots_in_parts": sum(check.parts > 1 for check in b.snapshots),
            "max_depth": b.max_depth, "false_touches": b.false_touches,
            "crossed_level_changes": b.crossed_changes,
        }


def summarise(packets: Iterable[CapturedPacket],
              on_update: Callable[[int, Message, Book], None] | None = None) -> FeedSummary:
    """Run a capture through the golden model."""
    books = Books(on_update=on_update)
    summary = FeedSummary(0, 0, Counter(), 0, set(), books)
    for packet in packets:
        summary.packets += 1
        found = udp_payload(packet.data)
        if found is None:
            continue
        summary.datagrams += 1
        address, port, _, payload = found
        datagram = parse_datagram(payload)
        summary.channels.add((address, port, datagram.channel))
        summary.messages += datagram.counts()
        summary.fills += sum(len(m.groups) for m in datagram.messages if m.template == 1002)
        books.datagram(packet.number, datagram, (address, port))
    return summary
