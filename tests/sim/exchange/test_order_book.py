"""The matching core: price then time, conservation, never crossed; against a plain list."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tickwire.sim.exchange.order_book import (
    Order,
    OrderBook,
    SelfTrade,
    Side,
    TimeInForce,
)

GTC, IOC, FOK = (TimeInForce.GOOD_TILL_CANCEL, TimeInForce.IMMEDIATE_OR_CANCEL,
                 TimeInForce.FILL_OR_KILL)


@dataclass
class Rested:
    number: int
    side: Side
    price: int
    left: int
    party: object


class PlainBook:
    """All orders in a list in the order of their time; nothing is indexed."""

    def __init__(self):
        self.orders = []

    def best(self, side):
        """The order of a side that is met first."""
        found = [one for one in self.orders if one.side is side]
        sign = -1 if side is Side.BID else 1
        return min(found, key=lambda one: sign * one.price, default=None)

    def submit(self, number, side, price, left, party, time, mode):
        before = [Rested(**vars(one)) for one in self.orders]
        wanted, fills, stop = left, [], False
        while left and not stop:
            best = self.best(side.other)
            if best is None or (best.price > price if side is Side.BID else best.price < price):
                break
            if party is not None and best.party == party:
                if mode is SelfTrade.CANCEL_TAKER:
                    stop = True
                else:
                    self.orders.remove(best)
                continue
            met = min(left, best.left)
            fills.append((best.number, best.price, met))
            best.left -= met
            left -= met
            if not best.left:
                self.orders.remove(best)
        if time is FOK and sum(met for *_, met in fills) < wanted:
            self.orders = before
            return []
        if left and not stop and time is GTC:
            self.orders.append(Rested(number, side, price, left, party))
        return fills

    def levels(self, side):
        found = {}
        for one in self.orders:
            if one.side is side:
                found[one.price] = found.get(one.price, 0) + one.left
        return sorted(found.items(), reverse=side is Side.BID)


SUBMIT = st.tuples(
    st.just("submit"), st.sampled_from(Side), st.integers(98, 103), st.integers(1, 9),
    st.sampled_from((None, None, "a", "b")), st.sampled_from((GTC, GTC, IOC, FOK)),
    st.sampled_from(SelfTrade))
ACTIONS = st.one_of(
    SUBMIT, SUBMIT, SUBMIT,
    st.tuples(st.just("cancel"), st.integers(0, 50)),
    st.tuples(st.just("reduce"), st.integers(0, 50), st.integers(1, 20)))


@given(st.lists(ACTIONS, min_size=30, max_size=60))
def test_against_a_plain_list(actions):
    book, plain, sent = OrderBook(), PlainBook(), {}
    for number, (action, *given_values) in enumerate(actions):
        if action == "submit":
            side, price, quantity, party, time, mode = given_values
            order = sent[number] = Order(number, side, price, quantity, party)
            result = book.submit(order, time, mode)
            expected = plain.submit(number, side, price, quantity, party, time, mode)
            assert [(fill.maker.order_id, fill.price, fill.quantity)
                    for fill in result.fills] == expected
            assert all(fill.taker is order for fill in result.fills)
            assert result.resting == (number in book)
            assert order.filled + order.remaining == order.quantity
            for gone in result.removed:
                assert gone.order_id not in book
        elif given_values[0] in book:
            if action == "cancel":
                book.cancel(given_values[0])
                plain.orders = [one for one in plain.orders if one.number != given_values[0]]
            else:
                one = next(one for one in plain.orders if one.number == given_values[0])
                filled = sent[one.number].filled
                size = filled + given_values[1]
                if size < sent[one.number].quantity:
                    book.reduce(one.number, size)
                    one.left = size - filled
        for side in Side:
            assert book.levels(side) == plain.levels(side)
            assert book.best(side) == (best.price if (best := plain.best(side)) else None)
            for price, _ in book.levels(side):
                assert [(order.order_id, order.remaining) for order in book.queue(side, price)] \
                    == [(one.number, one.left) for one in plain.orders
                        if (one.side, one.price) == (side, price)]
        bid, ask = book.best(Side.BID), book.best(Side.ASK)
        assert bid is None or ask is None or bid < ask
        assert len(book) == len(plain.orders)
    traded = {Side.BID: 0, Side.ASK: 0}
    for order in sent.values():
        traded[order.side] += order.filled
    assert traded[Side.BID] == traded[Side.ASK]


def test_time_decides_at_one_price_and_a_reduction_keeps_the_place():
    book = OrderBook()
    for number in (1, 2):
        book.submit(Order(number, Side.ASK, 10, 5))
    book.reduce(1, 3)
    result = book.submit(Order(3, Side.BID, 11, 4))
    assert [(fill.maker.order_id, fill.price, fill.quantity) for fill in result.fills] == [
        (1, 10, 3), (2, 10, 1)]
    book.submit(Order(4, Side.ASK, 10, 1))
    assert [order.order_id for order in book.queue(Side.ASK, 10)] == [2, 4]


@pytest.mark.parametrize("mode, filled", [(SelfTrade.CANCEL_TAKER, 0),
                                          (SelfTrade.CANCEL_MAKER, 5)])
def test_fill_or_kill_counts_what_self_trade_prevention_leaves(mode, filled):
    book = OrderBook()
    book.submit(Order(0, Side.ASK, 9, 2, "b"))
    book.submit(Order(1, Side.ASK, 10, 5, "a"))
    book.submit(Order(2, Side.ASK, 11, 5, "b"))
    order = Order(3, Side.BID, 11, 5, "a")
    result = book.submit(order, FOK, mode)
    assert (order.filled, sum(fill.quantity for fill in result.fills)) == (filled, filled)
    assert (1 in book) == (mode is SelfTrade.CANCEL_TAKER)


def test_nonsense_is_refused():
    book = OrderBook()
    book.submit(Order(1, Side.BID, 10, 5))
    with pytest.raises(ValueError, match="must have at least 1 to trade, not 0"):
        book.submit(Order(2, Side.BID, 10, 0))
    with pytest.raises(ValueError, match="Order 1 is in the book already"):
        book.submit(Order(1, Side.BID, 10, 5))
    with pytest.raises(ValueError, match="Order 1 can be reduced to 1 to 4, not to 5"):
        book.reduce(1, 5)
    with pytest.raises(KeyError):
        book.cancel(2)
