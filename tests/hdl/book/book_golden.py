"""A plain book of price levels, to say what the hardware has to say. Knows no gateware."""

from collections import Counter
from dataclasses import dataclass, field

BID, ASK = 0, 1
CREATED, CHANGED, DELETED = 0, 1, 2
BOOK, SNAPSHOT, TICKER = 0, 1, 2


@dataclass
class Message:
    """A message as it stands on the wire; levels are (side, change, price, amount)."""

    kind: int
    instrument: int                 # dense index, or -1: not in the table
    levels: list = field(default_factory=list)
    previous: int = 0
    change_id: int = 0
    final: int = 1
    complete: int = 1
    timestamp: int = 0
    cut: bool = False               # the last level does not come
    stamp: int = 0                  # of its last event; filled in by whoever plays it


@dataclass
class Frame:
    """Messages and what becomes of the frame that brings them."""

    channel: int
    messages: list
    good: bool = True
    gap: bool = False               # datagrams are missing before it


class Book:
    """One instrument."""

    def __init__(self, channel, levels):
        self.channel, self.capacity = channel, levels
        self.sides = [{}, {}]
        self.horizon = [None, None]
        self.built = self.stale = self.building = self.skipping = self.open = False
        self.distrusted = False         # something was lost since the snapshot began
        self.build_broken = False       # something of the snapshot was lost since it began
        self.build_channel = None
        self.change_id = 0

    def best_first(self, side):
        return sorted(self.sides[side].items(), reverse=side == BID)

    def better(self, side, one, other):
        return one > other if side == BID else one < other

    def touch(self):
        return tuple(self.best_first(side)[0] if self.sides[side] else None
                     for side in (BID, ASK))

    def clear(self):
        self.sides, self.horizon = [{}, {}], [None, None]

    def apply(self, side, change, price, amount, counts):
        """Whether the level was applied, or None if it does not fit the book."""
        here, horizon = self.sides[side], self.horizon[side]
        if change != DELETED and amount % 2**63 == 0:
            return None
        if horizon is not None and not self.better(side, price, horizon):
            counts["beyond_horizon"] += 1
            return False
        if (change == CREATED) == (price in here):
            return None
        if change == DELETED:
            del here[price]
        else:
            here[price] = amount
        if len(here) > self.capacity:
            worst, _ = self.best_first(side)[-1]
            del here[worst]
            self.horizon[side] = worst
            counts["beyond_horizon"] += 1
        return True

    def exhausted(self):
        return any(h is not None and not s for s, h in zip(self.sides, self.horizon, strict=True))

    def image(self):
        """What the host may read."""
        return (self.built, self.built and (self.stale or self.distrusted), self.building,
                self.change_id, tuple(tuple(self.best_first(side)) for side in (BID, ASK)),
                tuple(h is not None for h in self.horizon))


class Books:
    """All instruments, frame by frame in order.

    ``history`` keeps every state in which a reader may find a book; that takes time.
    """

    def __init__(self, channels, levels, *, cut_through=False, history=True):
        self.books = {index: Book(channel, levels) for index, channel in channels.items()}
        self.cut_through = cut_through
        self.adrift = set()
        self.counts = Counter()
        self.disarmed = []
        self.depth = 0
        self.history = {index: {book.image()} for index, book in self.books.items()} \
            if history else None

    def play(self, frame):
        """Events of the frame: (instrument, touch, tradable, change_id, (timestamp, stamp),
        snapshot). What was cut off has no time."""
        self.counts["unknown_instrument"] += sum(m.instrument < 0 for m in frame.messages)
        if not frame.good:
            if self.cut_through:
                for message in frame.messages:
                    if message.instrument >= 0:
                        self.disarmed.append(message.instrument)
                        book = self.books[message.instrument]
                        book.distrusted = book.build_broken = True
            self._remember()
            return []
        if frame.gap:
            self._lose(frame.channel)
        self._remember()
        events = []
        first = True
        for message in frame.messages:
            adrift = False
            if message.kind == SNAPSHOT:
                adrift = frame.gap and first or frame.channel in self.adrift
                first = False
                self.adrift.discard(frame.channel)
                if adrift and not message.final:
                    self.adrift.add(frame.channel)
            if message.kind != TICKER and message.instrument >= 0:
                book = self.books[message.instrument]
                play = self._snapshot if message.kind == SNAPSHOT else self._increment
                said = play(book, message, adrift, frame)
                if said is not None:
                    events.append((message.instrument, book.touch() if said else (None, None),
                                   said, message.change_id,
                                   None if message.cut else (message.timestamp, message.stamp),
                                   message.kind == SNAPSHOT))
                self.depth = max([self.depth, *map(len, book.sides)])
                self._remember()
        if frame.gap:
            self._lose(frame.channel)
        self._remember()
        return events

    def _remember(self):
        if self.history is None:
            return
        for index, book in self.books.items():
            self.history[index].add(book.image())

    def _lose(self, channel):
        for book in self.books.values():
            book.distrusted |= book.channel == channel
            book.build_broken |= book.build_channel == channel

    def _increment(self, book, message, adrift, frame):
        """True or False if there is an event, tradable or not; else None."""
        if not book.built or book.stale:
            return None
        if book.distrusted:
            book.stale = True
            return False
        again = book.open and message.change_id == book.change_id
        if message.change_id <= book.change_id and not again:
            self.counts["contained"] += 1
            return None
        if message.previous != book.change_id and not again:
            self.counts["chain_breaks"] += 1
            book.stale = True
            return False
        for side, change, price, amount in message.levels:
            applied = book.apply(side, change, price, amount, self.counts)
            if applied is None:
                self.counts["inconsistent"] += 1
                book.stale = True
                return False
            self.counts["level_changes"] += applied
        if message.cut:
            self.counts["inconsistent"] += 1
            book.stale = True
            return False
        book.change_id, book.open = message.change_id, not message.final
        if not message.final:
            return None
        self.counts["updates"] += 1
        if book.exhausted():
            self.counts["exhausted"] += 1
            book.stale = True
            return False
        return True

    def _snapshot(self, book, message, adrift, frame):
        healthy = book.built and not book.stale and not book.distrusted
        goes_on = book.building and message.change_id == book.change_id
        if healthy or adrift or book.skipping or goes_on and book.build_broken:
            self.counts["snapshots_ignored"] += message.final
            book.building, book.skipping = False, not message.final
            return None
        if not goes_on:
            book.clear()
            book.built = book.stale = book.open = book.distrusted = book.build_broken = False
            book.building, book.build_channel = True, frame.channel
            book.change_id = message.change_id
        broken = message.cut
        for side, _, price, amount in message.levels:
            if book.apply(side, CREATED, price, amount, self.counts) is None:
                broken = True
                break
        if broken:
            self.counts["inconsistent"] += 1
            book.building, book.skipping = False, not message.final
            return None
        if not message.final:
            return None
        book.building, book.built = False, bool(message.complete)
        if not message.complete:
            self.counts["snapshots_ignored"] += 1
            return None
        self.counts["snapshots_built"] += 1
        # A gap counts as behind all of its frame, what it brings for its own channel included.
        book.stale = book.distrusted or frame.gap and book.channel == frame.channel
        return not book.stale
