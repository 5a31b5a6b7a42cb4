"""The matching core: one instrument's orders, matched by price and then time.

Prices and quantities are whole numbers (ticks and lots), so nothing is ever rounded.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass, field
from enum import Enum, IntEnum

__all__ = ["Side", "TimeInForce", "SelfTrade", "Order", "Fill", "Result", "OrderBook"]


class Side(IntEnum):
    """As in Deribit's multicast schema."""

    ASK = 0
    BID = 1

    @property
    def other(self) -> Side:
        return Side(1 - self)


class TimeInForce(Enum):
    GOOD_TILL_CANCEL = "gtc"
    IMMEDIATE_OR_CANCEL = "ioc"
    FILL_OR_KILL = "fok"


class SelfTrade(Enum):
    """Which of two orders with the same ``self_match`` goes."""

    CANCEL_TAKER = "taker"
    CANCEL_MAKER = "maker"


@dataclass
class Order:
    """One order; ``remaining`` and ``filled`` change while it lives.

    Members
    -------
    quantity : int
        Asked for, what is filled included.
    self_match : object
        Orders for which it is equal do not trade with each other; None trades with all.
    """

    order_id: int
    side: Side
    price: int
    quantity: int
    self_match: object = None
    filled: int = 0
    remaining: int = field(init=False)

    def __post_init__(self) -> None:
        self.remaining = self.quantity - self.filled


@dataclass(frozen=True)
class Fill:
    """``taker`` came and met ``maker``, which rested, at the maker's price."""

    taker: Order
    maker: Order
    price: int
    quantity: int


@dataclass
class Result:
    """What became of an order that came.

    Members
    -------
    removed : list of Order
        Resting orders that self-trade prevention has cancelled.
    self_trade : bool
        The rest of the order was cancelled by self-trade prevention.
    resting : bool
        A rest of the order is in the book.
    """

    fills: list[Fill] = field(default_factory=list)
    removed: list[Order] = field(default_factory=list)
    self_trade: bool = False
    resting: bool = False


class OrderBook:
    """The orders of one instrument."""

    def __init__(self) -> None:
        # Orders of a level stand in a dict in the order of their time.
        self._levels: tuple[dict[int, dict[int, Order]], ...] = ({}, {})
        # Prices of a side, the best one last: asks negated, so that both ascend to the best.
        self._keys: tuple[list[int], ...] = ([], [])
        self._orders: dict[int, Order] = {}

    def __contains__(self, order_id: int) -> bool:
        return order_id in self._orders

    def __len__(self) -> int:
        return len(self._orders)

    def best(self, side: Side) -> int | None:
        """The side's best price."""
        keys = self._keys[side]
        return None if not keys else keys[-1] if side is Side.BID else -keys[-1]

    def total(self, side: Side, price: int) -> int:
        """Quantity that rests at a price; 0 without a level."""
        return sum(order.remaining for order in self._levels[side].get(price, {}).values())

    def levels(self, side: Side) -> list[tuple[int, int]]:
        """Prices and their quantities, the best first."""
        return [(price, self.total(side, price)) for price in self._prices(side)]

    def queue(self, side: Side, price: int) -> list[Order]:
        """The orders of a level, the first to be met first."""
        return list(self._levels[side].get(price, {}).values())

    def crosses(self, side: Side, price: int) -> bool:
        """Whether an order at this price would meet another one."""
        best = self.best(side.other)
        return best is not None and (price >= best if side is Side.BID else price <= best)

    def submit(self, order: Order,
               time_in_force: TimeInForce = TimeInForce.GOOD_TILL_CANCEL,
               self_trade: SelfTrade = SelfTrade.CANCEL_TAKER) -> Result:
        """Match an order; its rest goes into the book, or away if it shall not stay.

        Raises
        ------
        ValueError
            If nothing is left to trade or the id is in the book already.
        """
        if order.remaining < 1:
            raise ValueError(f"An order must have at least 1 to trade, not {order.remaining}")
        if order.order_id in self._orders:
            raise ValueError(f"Order {order.order_id} is in the book already")
        result = Result()
        if (time_in_force is TimeInForce.FILL_OR_KILL
                and self._available(order, self_trade) < order.remaining):
            return result
        while order.remaining and not result.self_trade and self.crosses(order.side, order.price):
            best = self.best(order.side.other)
            assert best is not None
            maker = next(iter(self._levels[order.side.other][best].values()))
            if _same_party(order, maker):
                if self_trade is SelfTrade.CANCEL_TAKER:
                    result.self_trade = True
                else:
                    self.cancel(maker.order_id)
                    result.removed.append(maker)
                continue
            quantity = min(order.remaining, maker.remaining)
            for one in (order, maker):
                one.remaining -= quantity
                one.filled += quantity
            result.fills.append(Fill(order, maker, maker.price, quantity))
            if not maker.remaining:
                self._remove(maker)
        if (order.remaining and not result.self_trade
                and time_in_force is TimeInForce.GOOD_TILL_CANCEL):
            self._insert(order)
            result.resting = True
        return result

    def cancel(self, order_id: int) -> Order:
        """Take an order out of the book. KeyError if it is not there."""
        order = self._orders[order_id]
        self._remove(order)
        return order

    def reduce(self, order_id: int, quantity: int) -> Order:
        """Lower an order's quantity, fills included; its place in the queue stays.

        Raises
        ------
        KeyError
            If the order is not in the book.
        ValueError
            If nothing would be left or the quantity would not become lower.
        """
        order = self._orders[order_id]
        if not order.filled < quantity < order.quantity:
            raise ValueError(f"Order {order_id} can be reduced to {order.filled + 1} to "
                             f"{order.quantity - 1}, not to {quantity}")
        order.remaining = quantity - order.filled
        order.quantity = quantity
        return order

    def _prices(self, side: Side) -> list[int]:
        sign = 1 if side is Side.BID else -1
        return [sign * key for key in reversed(self._keys[side])]

    def _available(self, order: Order, self_trade: SelfTrade) -> int:
        """What an order could trade, up to what remains of it."""
        found = 0
        for price in self._prices(order.side.other):
            if price > order.price if order.side is Side.BID else price < order.price:
                break
            for maker in self._levels[order.side.other][price].values():
                if _same_party(order, maker):
                    if self_trade is SelfTrade.CANCEL_TAKER:
                        return found
                    continue
                found += maker.remaining
                if found >= order.remaining:
                    return found
        return found

    def _insert(self, order: Order) -> None:
        level = self._levels[order.side].get(order.price)
        if level is None:
            level = self._levels[order.side][order.price] = {}
            insort(self._keys[order.side], self._key(order))
        level[order.order_id] = order
        self._orders[order.order_id] = order

    def _remove(self, order: Order) -> None:
        level = self._levels[order.side][order.price]
        del level[order.order_id], self._orders[order.order_id]
        if not level:
            del self._levels[order.side][order.price]
            keys = self._keys[order.side]
            del keys[bisect_left(keys, self._key(order))]

    @staticmethod
    def _key(order: Order) -> int:
        return order.price if order.side is Side.BID else -order.price


def _same_party(one: Order, other: Order) -> bool:
    return one.self_match is not None and one.self_match == other.self_match
