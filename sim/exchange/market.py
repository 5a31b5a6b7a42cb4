"""All books of the exchange: who owns which order, what is told to whom, and in which order.

An order's own connection hears first what became of it, then the owners of the orders that it
met, then the market data. Each operation is one logical update of a book.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from tickwire.sim.exchange.order_book import Order, OrderBook, SelfTrade, Side, TimeInForce
from tickwire.sim.exchange.record import Record
from tickwire.sim.traffic_market import CHANGED, CREATED, DELETED, Instrument, Move

__all__ = ["CancelReason", "Listing", "Held", "Execution", "Outcome", "Owner", "Terms", "Market",
           "Publisher"]

MOST = 1 << 40                          # ticks or lots of one order


class CancelReason(StrEnum):
    USER = "user"
    TIME_IN_FORCE = "time in force"
    POST_ONLY = "post only"
    SELF_TRADE = "self trade"
    DISCONNECT = "disconnect"
    REPLACED = "replaced"
    END_OF_DAY = "end of day"


@dataclass
class Listing:
    """An instrument and its book. ``symbol`` is what OUCH calls it."""

    instrument: Instrument
    symbol: str
    book: OrderBook = field(default_factory=OrderBook)
    last_ticks: int = 0

    def price(self, ticks: int) -> Decimal:
        one = self.instrument
        return Decimal(ticks * one.tick_units).scaleb(-one.tick_digits)

    def quantity(self, lots: int) -> Decimal:
        return Decimal(lots * self.instrument.lot).scaleb(-self.instrument.lot_digits)

    def ticks(self, price: Decimal) -> int | None:
        """None if the price is not positive or not on a tick."""
        return _whole(price.scaleb(self.instrument.tick_digits) / self.instrument.tick_units)

    def lots(self, quantity: Decimal) -> int | None:
        """None if the quantity is not positive or not a whole number of lots."""
        return _whole(quantity.scaleb(self.instrument.lot_digits) / self.instrument.lot)


@dataclass(frozen=True)
class Execution:
    """One trade as one of its two orders sees it."""

    match_id: int
    ticks: int
    lots: int
    maker: bool


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What is asked for. ``post_only``: away with it if it would trade at once."""

    side: Side
    ticks: int
    lots: int
    time_in_force: TimeInForce = TimeInForce.GOOD_TILL_CANCEL
    post_only: bool = False
    self_match: object = None
    self_trade: SelfTrade = SelfTrade.CANCEL_TAKER


@dataclass
class Held:
    """An order and whose it is. ``client_id`` is the owner's name for it."""

    owner: Owner
    client_id: int
    listing: Listing
    order: Order
    terms: Terms


@dataclass(frozen=True)
class Outcome:
    """What became of an order at once. ``reason`` is None while nothing was cancelled."""

    held: Held
    executions: list[Execution]
    resting: bool
    canceled: int = 0
    reason: CancelReason | None = None


class Owner(Protocol):
    """Who sends orders. ``name`` stands in the record."""

    @property
    def name(self) -> str: ...

    def on_execution(self, held: Held, execution: Execution) -> None:
        """A resting order was met."""

    def on_cancel(self, held: Held, lots: int, reason: CancelReason) -> None:
        """A resting order was cancelled without having been asked for by its owner."""


class Publisher(Protocol):
    """Market data."""

    def on_update(self, listing: Listing, moves: list[Move],
                  trades: list[tuple[Side, Execution]]) -> None:
        """Levels and trades (with the taker's side) of one logical update."""


class Market:
    """The books, their orders and the numbers that the exchange gives out."""

    def __init__(self, listings: Iterable[Listing], record: Record) -> None:
        self.listings = {one.instrument.instrument_id: one for one in listings}
        self.symbols = {one.symbol: one for one in self.listings.values()}
        self.record = record
        self.publishers: list[Publisher] = []
        self.orders: dict[int, Held] = {}
        self._next_order = self._next_match = 1

    def submit(self, owner: Owner, listing: Listing, terms: Terms, client_id: int, *,
               tell: Callable[[Outcome], None], order_id: int = 0, filled: int = 0) -> Outcome:
        """Take an order in.

        Parameters
        ----------
        tell : callable
            Gets the outcome before anybody else hears of it.
        order_id, filled : int
            Of an order that is amended: it keeps both.
        """
        if not order_id:
            order_id, self._next_order = self._next_order, self._next_order + 1
        order = Order(order_id, terms.side, terms.ticks, terms.lots, terms.self_match, filled)
        held = Held(owner, client_id, listing, order, terms)
        self._write("accepted", held, side=terms.side.name, price=listing.price(terms.ticks),
                    quantity=listing.quantity(order.remaining))
        if terms.post_only and listing.book.crosses(terms.side, terms.ticks):
            self._write("canceled", held, quantity=listing.quantity(order.remaining),
                        reason=CancelReason.POST_ONLY)
            outcome = Outcome(held, [], False, order.remaining, CancelReason.POST_ONLY)
            tell(outcome)
            return outcome
        before = _levels(listing)
        result = listing.book.submit(order, terms.time_in_force, terms.self_trade)
        met: list[tuple[Held, Execution]] = []
        for fill in result.fills:
            maker = self.orders[fill.maker.order_id]
            match, self._next_match = self._next_match, self._next_match + 1
            met.append((maker, Execution(match, fill.price, fill.quantity, True)))
            self._write("executed", held, match_id=match, maker_order_id=fill.maker.order_id,
                        maker_owner=maker.owner.name, maker_client_id=maker.client_id,
                        price=listing.price(fill.price), quantity=listing.quantity(fill.quantity))
            if not fill.maker.remaining:
                del self.orders[fill.maker.order_id]
        gone = [self.orders.pop(one.order_id) for one in result.removed]
        for one in gone:
            self._write("canceled", one, quantity=listing.quantity(one.order.remaining),
                        reason=CancelReason.SELF_TRADE)
        rest = 0 if result.resting else order.remaining
        reason = None if not rest else (
            CancelReason.SELF_TRADE if result.self_trade else CancelReason.TIME_IN_FORCE)
        if result.resting:
            self.orders[order_id] = held
        elif rest:
            self._write("canceled", held, quantity=listing.quantity(rest), reason=reason)
        executions = [Execution(one.match_id, one.ticks, one.lots, False) for _, one in met]
        outcome = Outcome(held, executions, result.resting, rest, reason)
        tell(outcome)
        for maker, execution in met:
            maker.owner.on_execution(maker, execution)
        for one in gone:
            one.owner.on_cancel(one, one.order.remaining, CancelReason.SELF_TRADE)
        self._publish(listing, before, [(terms.side, one) for one in executions])
        return outcome

    def cancel(self, order_id: int, reason: CancelReason) -> int:
        """Cancel a resting order; gives back its lots. KeyError if there is none."""
        held = self.orders.pop(order_id)
        before = _levels(held.listing)
        lots = held.listing.book.cancel(order_id).remaining
        self._write("canceled", held, quantity=held.listing.quantity(lots), reason=reason)
        if reason not in (CancelReason.USER, CancelReason.REPLACED):
            held.owner.on_cancel(held, lots, reason)
        self._publish(held.listing, before, [])
        return lots

    def reduce(self, order_id: int, lots: int) -> int:
        """Lower a resting order's size, fills included, where it stands; gives back what went.

        KeyError and ValueError as from :meth:`OrderBook.reduce`.
        """
        held = self.orders[order_id]
        before, asked = _levels(held.listing), held.order.quantity
        held.listing.book.reduce(order_id, lots)
        self._write("canceled", held, quantity=held.listing.quantity(asked - lots),
                    reason=CancelReason.USER)
        self._publish(held.listing, before, [])
        return asked - lots

    def cancel_all(self, owner: Owner, reason: CancelReason,
                   only: Callable[[Held], bool] = lambda held: True) -> int:
        """Cancel an owner's resting orders; gives back how many."""
        found = [order_id for order_id, held in self.orders.items()
                 if held.owner is owner and only(held)]
        for order_id in found:
            self.cancel(order_id, reason)
        return len(found)

    def _write(self, event: str, held: Held, **values: object) -> None:
        self.record(event, owner=held.owner.name, client_id=held.client_id,
                    order_id=held.order.order_id, instrument=held.listing.instrument.name,
                    **values)

    def _publish(self, listing: Listing, before: list[dict[int, int]],
                 trades: list[tuple[Side, Execution]]) -> None:
        if trades:
            listing.last_ticks = trades[-1][1].ticks
        moves = list(_moves(before, _levels(listing)))
        if moves:
            for publisher in self.publishers:
                publisher.on_update(listing, moves, trades)


def _whole(number: Decimal) -> int | None:
    return int(number) if 0 < number <= MOST and number == int(number) else None


def _levels(listing: Listing) -> list[dict[int, int]]:
    return [dict(listing.book.levels(side)) for side in (Side.ASK, Side.BID)]


def _moves(before: list[dict[int, int]], after: list[dict[int, int]]) -> Iterable[Move]:
    for side in (Side.ASK, Side.BID):
        old, new = before[side], after[side]
        for price in sorted(old.keys() | new.keys(), reverse=side is Side.BID):
            if price not in new:
                yield side, DELETED, price, old[price]
            elif price not in old:
                yield side, CREATED, price, new[price]
            elif old[price] != new[price]:
                yield side, CHANGED, price, new[price]
