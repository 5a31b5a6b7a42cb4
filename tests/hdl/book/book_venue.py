"""A venue that trades at random, and a line that loses, damages and contradicts."""

import random
from collections import Counter

from book_golden import (
    ASK,
    BID,
    BOOK,
    CHANGED,
    CREATED,
    DELETED,
    SNAPSHOT,
    TICKER,
    Frame,
    Message,
)


class Venue:
    """True books without end, and the frames that tell of them.

    Parameters
    ----------
    channels : dict
        Incremental channel of each instrument.
    snapshot_channel : int
    prices : int
        Prices a side.
    errors : float
        Probability that a message is wrong in some way.
    """

    def __init__(self, channels, snapshot_channel, *, seed, prices=14, errors=0.02,
                 damage=0.04, gaps=0.03):
        self.rng = random.Random(seed)
        self.channels, self.snapshot_channel = channels, snapshot_channel
        self.prices, self.errors, self.damage, self.gaps = prices, errors, damage, gaps
        self.books = {index: [{}, {}] for index in channels}
        self.ids = Counter()
        self.time = 0
        self.parts = []                 # of a snapshot that has begun

    def frame(self):
        """Next frame that arrives. Damaged ones are followed by a gap, as a lost one is."""
        rng = self.rng
        if self.parts or rng.random() < 0.25:
            channel, messages = self.snapshot_channel, self._snapshots()
        else:
            channel = rng.choice(sorted(set(self.channels.values())))
            mine = [index for index, its in self.channels.items() if its == channel]
            messages = []
            for _ in range(rng.randint(1, 4)):
                index = rng.choice(mine)
                kind = rng.random()
                if kind < 0.15:
                    messages.append(Message(TICKER, index))
                elif kind < 0.2:
                    messages.append(Message(rng.choice((BOOK, SNAPSHOT, TICKER)), -1))
                else:
                    messages += self.update(index)
        lot = rng.random()
        if lot < self.damage:
            return Frame(channel, messages, good=False)
        return Frame(channel, messages, gap=lot > 1 - self.gaps)

    def _amount(self):
        return self.rng.getrandbits(63) | 1

    def update(self, index):
        """One logical update: messages of one or several increments."""
        rng, ids = self.rng, self.ids
        self.time += 1
        count = 1 if rng.random() < 0.8 else rng.randint(2, 3)
        same_ids = rng.random() < 0.5
        previous, messages = ids[index], []
        ids[index] += rng.randint(1, 3)
        for number in range(count):
            if number and not same_ids:
                previous = ids[index]
                ids[index] += 1
            levels = [self._change(index) for _ in range(rng.randint(0, 3) or 1)]
            if rng.random() < 0.05:
                levels = []
            messages.append(Message(BOOK, index, levels, previous, ids[index],
                                    final=int(number == count - 1), timestamp=self.time))
        if rng.random() < self.errors:
            self._spoil(rng.choice(messages))
        return messages

    def _change(self, index):
        rng = self.rng
        side = rng.getrandbits(1)
        book = self.books[index][side]
        # Good prices are more likely, so that the touch moves.
        rank = min(rng.randrange(self.prices), rng.randrange(self.prices))
        price = 1000 - rank if side == BID else 2000 + rank
        if price not in book:
            book[price] = self._amount()
            return side, CREATED, price, book[price]
        if rng.random() < 0.5:
            book[price] = self._amount()
            return side, CHANGED, price, book[price]
        del book[price]
        return side, DELETED, price, 0

    def _spoil(self, message):
        rng = self.rng
        lot = rng.randrange(4)
        if lot == 0 or not message.levels:
            message.previous += 1
        elif lot == 1:
            message.cut = True
        else:
            number = rng.randrange(len(message.levels))
            side, change, price, amount = message.levels[number]
            message.levels[number] = (
                (side, rng.choice([c for c in (CREATED, CHANGED, DELETED) if c != change]),
                 price, amount) if lot == 2 else (side, CHANGED, price, rng.choice((0, 1 << 63))))

    def _snapshots(self):
        """Snapshot messages of a frame; a snapshot may go on in the next one."""
        rng = self.rng
        messages = []
        for _ in range(rng.randint(1, 2)):
            if not self.parts:
                self.parts = self.snapshot(rng.choice(sorted(self.channels)))
            messages.append(self.parts.pop(0))
        return messages

    def snapshot(self, index, parts=None):
        rng = self.rng
        levels = [(side, CREATED, price, amount) for side in rng.sample((BID, ASK), 2)
                  for price, amount in sorted(self.books[index][side].items(),
                                              reverse=side == BID)]
        if rng.random() < 0.1:
            rng.shuffle(levels)
        if rng.random() < self.errors and levels:
            levels.append(rng.choice(levels))
        parts = parts or rng.choice((1, 1, 2, 3))
        cuts = sorted(rng.randint(0, len(levels)) for _ in range(parts - 1))
        bounds = [0, *cuts, len(levels)]
        complete = int(rng.random() > self.errors)
        return [Message(SNAPSHOT, index, levels[begin:end], change_id=self.ids[index],
                        final=int(end_number == parts), complete=complete, timestamp=self.time)
                for end_number, (begin, end) in enumerate(
                    zip(bounds[:-1], bounds[1:], strict=True), 1)]
