"""The markets behind generated traffic: instruments, their levels and how they move.

Prices are held in ticks and amounts in lots, so that nothing is ever rounded; the doubles that go
out are the nearest ones of the decimal numbers, as a venue's are.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

__all__ = ["ASK", "BID", "CREATED", "CHANGED", "DELETED", "Instrument", "Move", "make_instruments"]

ASK, BID = 0, 1                         # as in the schema
CREATED, CHANGED, DELETED = 0, 1, 2

# side, change, ticks, lots
Move = tuple[int, int, int, int]


def random_lots(rng: random.Random) -> int:
    return rng.choice((1, 2, 5, 10, 25, 100)) * rng.randint(1, 40)


@dataclass
class Instrument:
    """One market.

    Members
    -------
    kind : int
        0 future, 1 option, 4 spot.
    tick_units, tick_digits : int
        The tick size is ``tick_units / 10**tick_digits``.
    lot, lot_digits : int
        One lot is ``lot / 10**lot_digits``.
    middle : int
        Between the two sides, in ticks; no level stands there.
    depth : int
        Most levels of a side.
    weight : float
        How often something happens here.
    sides : pair of dict
        ``sides[ASK]`` and ``sides[BID]``: ticks to lots.
    """

    instrument_id: int
    name: str
    currency: str
    quote: str
    kind: int
    tick_digits: int
    tick_units: int
    lot: int
    lot_digits: int
    middle: int
    depth: int
    weight: float
    change_id: int = 0
    trade_seq: int = 1000
    sides: tuple[dict[int, int], dict[int, int]] = field(default_factory=lambda: ({}, {}))

    def price(self, ticks: int) -> float:
        """Nearest double of the decimal number, as a venue computes it."""
        return ticks * self.tick_units / 10 ** self.tick_digits

    def amount(self, lots: int) -> float:
        return lots * self.lot / 10 ** self.lot_digits

    def best(self, side: int) -> int | None:
        levels = self.sides[side]
        if not levels:
            return None
        return min(levels) if side == ASK else max(levels)

    def ranked(self, side: int) -> list[tuple[int, int]]:
        """Ticks and lots of one side, the best first."""
        return sorted(self.sides[side].items(), reverse=side == BID)

    def fill(self, rng: random.Random) -> bool:
        """First levels. Some options have no book at all yet, as on the real venue."""
        if self.kind == 1 and rng.random() < 0.2:
            return False
        for side in (ASK, BID):
            for rank in range(self.depth):
                away = 1 + rank + rng.randint(0, rank // 3)
                ticks = self.middle + (away if side == ASK else -away)
                if ticks > 0:
                    self.sides[side][ticks] = random_lots(rng)
        return True

    def move(self, rng: random.Random) -> tuple[list[Move], list[Move]]:
        """One logical update: the level changes, and those of them that were trades.

        No level is named twice, and afterwards the book is not crossed.
        """
        changes: list[Move] = []
        self.middle = max(40, self.middle + rng.choice((-2, -1, -1, 0, 1, 1, 2)))
        for side in (ASK, BID):
            for ticks, lots in self.ranked(side):
                if (ticks <= self.middle) if side == ASK else (ticks >= self.middle):
                    del self.sides[side][ticks]
                    changes.append((side, DELETED, ticks, lots))
        trades = changes[:4]
        for _ in range(rng.choices((1, 2, 3, 6, 14), (60, 22, 10, 6, 2))[0]):
            side = rng.randrange(2)
            away = min(1 + int(rng.expovariate(4 / self.depth)), 2 * self.depth)
            self._change(rng, side, self.middle + (away if side == ASK else -away), changes)
        if not changes:
            side = next((s for s in (ASK, BID) if self.sides[s]), ASK)
            best = self.best(side)
            self._set(side, self.middle + 1 if best is None else best, rng, changes)
        return changes, trades

    def _set(self, side: int, ticks: int, rng: random.Random, changes: list[Move]) -> None:
        kind = CHANGED if ticks in self.sides[side] else CREATED
        self.sides[side][ticks] = lots = random_lots(rng)
        changes.append((side, kind, ticks, lots))

    def _change(self, rng: random.Random, side: int, ticks: int, changes: list[Move]) -> None:
        levels = self.sides[side]
        named = {(move[0], move[2]) for move in changes}
        if ticks <= 0 or (side, ticks) in named:
            return
        # Sides that have become shallow fill up again.
        share = 0.45 if len(levels) > 0.8 * self.depth else 0.1
        if ticks in levels and len(levels) > 1 and rng.random() < share:
            changes.append((side, DELETED, ticks, levels.pop(ticks)))
            return
        if ticks not in levels and len(levels) >= self.depth:
            worst = max(levels) if side == ASK else min(levels)
            if (side, worst) in named:
                return
            changes.append((side, DELETED, worst, levels.pop(worst)))
        self._set(side, ticks, rng, changes)


def make_instruments(rng: random.Random, count: int) -> list[Instrument]:
    """Perpetuals, futures, spot pairs and options of three currencies."""
    made: list[Instrument] = []
    markets = (("BTC", 26_000), ("ETH", 1_700), ("SOL", 20))
    months = ("30JUN23", "28JUL23", "29SEP23", "29DEC23", "29MAR24")
    for number in range(count):
        currency, level = markets[min(number % 5 // 2, 2)]
        share = number / max(1, count - 1)
        if number < 3:
            currency, level = markets[number]
            kind, name, digits, units = 0, f"{currency}-PERPETUAL", (1, 2, 4)[number], 5
        elif share < 0.3:
            kind, digits, units = 0, (1, 2, 4)[min(number % 5 // 2, 2)], 5
            name = f"{currency}-{months[number % 5]}"
        elif share < 0.35:
            kind, name, digits, units = 4, f"{currency}_USDC", 4, 1
        else:
            kind, digits, units = 1, 4, 5
            strike = round(level * rng.uniform(0.6, 1.5) / 100) * 100 or 20
            name = f"{currency}-{months[number % 5]}-{strike}-{'CP'[number % 2]}"
            level = 0
        middle = (rng.randint(20, 900) if kind == 1
                  else level * 10 ** digits // units + rng.randint(-400, 400))
        made.append(Instrument(
            instrument_id=number + 1 + number // 7, name=name, currency=currency,
            quote="USD" if kind != 4 else "USDC", kind=kind, tick_digits=digits,
            tick_units=units, lot=1 if kind else 10, lot_digits=(0, 1, 0, 0, 4)[kind],
            middle=max(40, middle), depth=rng.randint(3, 12) if kind == 1
            else rng.randint(10, 33), weight=0.25 if kind == 1 else 6.0 if number < 3 else 1.5))
    # One very deep book, so that a snapshot in several messages is always there.
    made[0].depth = 50
    return made
