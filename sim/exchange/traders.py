"""Who else trades: a market maker that quotes every book, and noise that takes from it. Seeded."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from tickwire.sim.exchange.market import (
    CancelReason,
    Execution,
    Held,
    Listing,
    Market,
    Outcome,
    Terms,
)
from tickwire.sim.exchange.order_book import SelfTrade, Side, TimeInForce
from tickwire.sim.traffic_market import random_lots

__all__ = ["Traders"]

DRIFT = (-2, -1, -1, 0, 1, 1, 2)        # ticks by which a middle walks


@dataclass
class _Quoter:
    """Owns resting orders and keeps track of them."""

    name: str
    orders: dict[int, set[int]] = field(default_factory=dict)

    def told(self, outcome: Outcome) -> None:
        if outcome.resting:
            instrument = outcome.held.listing.instrument.instrument_id
            self.orders.setdefault(instrument, set()).add(outcome.held.order.order_id)

    def forget(self, held: Held) -> None:
        self.orders[held.listing.instrument.instrument_id].discard(held.order.order_id)

    def on_execution(self, held: Held, execution: Execution) -> None:
        if not held.order.remaining:
            self.forget(held)

    def on_cancel(self, held: Held, lots: int, reason: CancelReason) -> None:
        self.forget(held)


class Traders:
    """Moves the books, one step at a time; the same seed gives the same orders."""

    def __init__(self, market: Market, seed: int) -> None:
        self._market = market
        self._rng = random.Random(seed)
        self._maker, self._noise = _Quoter("maker"), _Quoter("noise")
        self._listings = list(market.listings.values())
        self._weights = [one.instrument.weight for one in self._listings]

    def fill(self) -> None:
        """First quotes in all books; some options stay without, as on the real venue."""
        for listing in self._listings:
            one = listing.instrument
            if one.fill(self._rng):
                for side in (Side.ASK, Side.BID):
                    for ticks, lots in one.ranked(side):
                        self._quote(listing, side, ticks, lots)

    def step(self) -> None:
        """Something happens in one book."""
        rng = self._rng
        listing = rng.choices(self._listings, self._weights)[0]
        one = listing.instrument
        one.middle = max(40, one.middle + rng.choice(DRIFT))
        choice = rng.random()
        if choice < 0.25:
            self._take(listing)
        elif choice < 0.5:
            self._withdraw(listing)
        side = rng.choice((Side.ASK, Side.BID))
        away = min(1 + int(rng.expovariate(4 / one.depth)), 2 * one.depth)
        ticks = one.middle + (away if side is Side.ASK else -away)
        if ticks > 0:
            self._quote(listing, side, ticks, random_lots(rng))

    def _quote(self, listing: Listing, side: Side, ticks: int, lots: int) -> None:
        """A resting order; quotes that are in its way go, somebody else's orders are met."""
        book, mine = listing.book, self._maker.orders.setdefault(
            listing.instrument.instrument_id, set())
        terms = Terms(side=side, ticks=ticks, lots=lots, self_match=self._maker.name,
                      self_trade=SelfTrade.CANCEL_MAKER)
        self._market.submit(self._maker, listing, terms, 0, tell=self._maker.told)
        while len(book.levels(side)) > listing.instrument.depth:
            worst = book.queue(side, book.levels(side)[-1][0])
            gone = [order.order_id for order in worst if order.order_id in mine]
            if len(gone) < len(worst):
                break
            for order_id in gone:
                self._drop(order_id)

    def _take(self, listing: Listing) -> None:
        side = self._rng.choice((Side.ASK, Side.BID))
        best = listing.book.best(side.other)
        if best is not None:
            slip = self._rng.randint(0, 2)
            terms = Terms(side=side, ticks=max(1, best + (slip if side is Side.BID else -slip)),
                          lots=random_lots(self._rng),
                          time_in_force=TimeInForce.IMMEDIATE_OR_CANCEL)
            self._market.submit(self._noise, listing, terms, 0, tell=self._noise.told)

    def _withdraw(self, listing: Listing) -> None:
        mine = self._maker.orders.get(listing.instrument.instrument_id)
        if mine:
            self._drop(self._rng.choice(sorted(mine)))

    def _drop(self, order_id: int) -> None:
        self._maker.forget(self._market.orders[order_id])
        self._market.cancel(order_id, CancelReason.USER)
