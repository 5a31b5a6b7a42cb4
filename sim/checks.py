"""Compares what the gateware said and did with the golden model, from plain arrays."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tickwire.gateware.vocabulary import Action, Reason, Side, Source
from tickwire.sim.event_records import key_to_float, touches
from tickwire.sim.models.decisions import Decision, price_units
from tickwire.sim.models.deribit_books import SnapshotCheck, TickerCheck
from tickwire.sim.models.starbase import (
    NEW,
    OrderFrame,
    StarbaseError,
    check_session,
    parse_order,
)
from tickwire.sim.wire_words import WireFrame

__all__ = ["Levels", "Comparison", "compare_tickers", "compare_snapshots", "compare_orders",
           "compare_frames", "refusals", "drops", "messages"]

# Asks and bids, the best level first: price and amount.
Levels = tuple[Sequence[tuple[float, float]], Sequence[tuple[float, float]]]

FAULTS = 10                 # so many are told in words
DROP_PLACES = ("RX_FCS", "RX_SYMBOL", "RX_RUNT", "RX_OVERSIZE", "RX_PREAMBLE",
               "CROSSING_OVERFLOW", "IP_NOT_IP", "IP_BAD_IP_HEADER", "IP_IP_CHECKSUM",
               "IP_FRAGMENT", "IP_NOT_UDP", "IP_DESTINATION", "IP_UDP_LENGTH",
               "IP_UDP_CHECKSUM", "IP_NO_SUBSCRIPTION", "FEED_MALFORMED", "FEED_DUPLICATE",
               "FEED_GAP", "BOOK_QUEUE_OVERFLOW", "BOOK_UNKNOWN_INSTRUMENT",
               "BOOK_BEYOND_HORIZON", "BOOK_INCONSISTENT", "BOOK_CHAIN_BREAKS",
               "BOOK_PREVIEW_MISMATCH", "STRATEGY_NO_ROOM", "STRATEGY_MISMATCH", "TX_UNDERRUN",
               "EVENT_LOST")


@dataclass
class Comparison:
    """How much was compared, how much was equal, and the first differences in words."""

    checked: int = 0
    equal: int = 0
    apart: int = 0          # not comparable, and known to be: tickers before their book
    faults: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return self.checked == self.equal and not self.faults

    def fault(self, text: str) -> None:
        if len(self.faults) < FAULTS:
            self.faults.append(text)

    def count(self, equal: bool, text: str) -> None:
        self.checked += 1
        self.equal += equal
        if not equal:
            self.fault(text)


def compare_tickers(book: NDArray[Any], ticker: NDArray[Any], golden: Iterable[TickerCheck],
                    index_of: Mapping[int, int]) -> Comparison:
    """Each Ticker that the gateware read against the touch that the gateware's book had.

    The golden model only says which Ticker belongs to which state of the book: the change id
    that the book has after the Ticker's packet. Prices and amounts on both sides are hardware's.

    Parameters
    ----------
    book, ticker : structured arrays
        Event records BOOK and TICKER.
    golden : iterable of TickerCheck
        All Tickers of the capture in order.
    index_of : mapping
        The venue's instrument id to the dense index.
    """
    result = Comparison()
    said = dict(zip(zip(book["instrument"].tolist(), book["change_id"].tolist(), strict=True),
                    map(tuple, touches(book).tolist()), strict=True))
    waiting: dict[int, list[int]] = defaultdict(list)
    for at in range(len(ticker) - 1, -1, -1):
        waiting[int(ticker["instrument"][at])].append(at)
    times = ticker["timestamp"].tolist()
    read = touches_of_tickers(ticker)
    for check in golden:
        index = index_of.get(check.instrument_id)
        if index is None:
            continue
        # One that the gateware never saw must not shift all that follow.
        queue = waiting[index]
        row = queue.pop() if queue and times[queue[-1]] == check.timestamp_ms else None
        if check.touch is None:
            result.apart += 1
            continue
        place = f"packet {check.packet}, instrument {check.instrument_id}"
        if row is None:
            result.count(False, f"{place}: the gateware has no record of this Ticker")
            continue
        touch = said.get((index, check.change_id or 0))
        if touch is None:
            result.count(False, f"{place}: the gateware said no touch at change id "
                                f"{check.change_id}")
            continue
        result.count(touch == read[row], f"{place}: Ticker {read[row]} at {times[row]}, touch "
                                         f"{touch} at change id {check.change_id}")
    return result


def touches_of_tickers(ticker: NDArray[Any]) -> list[tuple[float, ...]]:
    """Touches in Ticker records; the venue writes an empty side as price 0, amount 0."""
    keys = np.stack([key_to_float(ticker["bid_price"]), ticker["bid_amount"].view(np.float64),
                     key_to_float(ticker["ask_price"]), ticker["ask_amount"].view(np.float64)],
                    axis=1) if len(ticker) else np.empty((0, 4))
    return list(map(tuple, keys.tolist()))


def compare_snapshots(read: Mapping[tuple[int, int], Levels | None],
                      golden: Iterable[SnapshotCheck]) -> Comparison:
    """All levels read back from the gateware against each later snapshot of the capture.

    Parameters
    ----------
    read : mapping
        The snapshot's (last) packet and instrument id to all levels of the book after it; None
        if the gateware said that the book is stale.
    """
    result = Comparison()
    for check in golden:
        place = f"packet {check.packet}, instrument {check.instrument_id}"
        key = check.packet, check.instrument_id
        if key not in read:
            result.count(False, f"{place}: the book was not read")
            continue
        levels = read[key]
        if levels is None:
            result.count(False, f"{place}: the book is stale")
            continue
        equal = all(tuple(map(tuple, mine)) == theirs
                    for mine, theirs in zip(levels, check.levels, strict=True))
        result.count(equal, f"{place}: levels differ: read {_short(levels)}, "
                            f"snapshot {_short(check.levels)}")
    return result


def _short(levels: Levels) -> str:
    asks, bids = levels
    return (f"{len(asks)} asks from {asks[0] if asks else 'none'}, "
            f"{len(bids)} bids from {bids[0] if bids else 'none'}")


def compare_orders(orders: NDArray[Any], decisions: Sequence[Decision],
                   index_of: Mapping[int, int]) -> Comparison:
    """Order records of the strategy that were sent, one by one, against the decision list.

    Instrument, side, price, quantity and the order of sending have to agree.
    """
    sent = orders[(orders["reason"] == Reason.PASSED) & (orders["source"] == Source.STRATEGY)
                  & (orders["action"] == Action.NEW)]
    prices = key_to_float(sent["price"]).tolist()
    mine = [(int(row["instrument"]), "buy" if row["side"] == Side.BID else "sell", price,
             int(row["quantity"])) for row, price in zip(sent, prices, strict=True)]
    theirs = [(index_of.get(d.instrument_id), d.side, d.price, d.quantity) for d in decisions]
    return _one_by_one("order", mine, theirs, [d.packet for d in decisions])


def compare_frames(frames: Sequence[WireFrame], decisions: Sequence[Decision],
                   venue_instruments: Mapping[int, int]) -> tuple[Comparison, list[OrderFrame]]:
    """The order frames on the wire against the decision list; checksums and sequences, too.

    Parameters
    ----------
    venue_instruments : mapping
        The market data's instrument id to that of orders.
    """
    orders, faults = [], []
    for number, frame in enumerate(frames, 1):
        if not (frame.fcs_good and frame.intact):
            faults.append(f"frame {number} at cycle {frame.start_cycle}: broken or wrong FCS")
            continue
        try:
            orders.append(parse_order(frame.data))
        except StarbaseError as error:
            faults.append(f"frame {number} at cycle {frame.start_cycle}: {error}")
    mine = [(one.instrument, {1: "buy", -1: "sell"}.get(one.side), one.price, one.quantity)
            for one in orders if one.message == NEW]
    theirs = [(venue_instruments.get(d.instrument_id), d.side, price_units(d.price), d.quantity)
              for d in decisions]
    result = _one_by_one("frame", mine, theirs, [d.packet for d in decisions])
    for text in faults + check_session(orders):
        result.fault(text)
    return result, orders


def _one_by_one(what: str, mine: Sequence[Any], theirs: Sequence[Any],
                packets: Sequence[int]) -> Comparison:
    result = Comparison()
    for number in range(max(len(mine), len(theirs))):
        if number >= len(theirs):
            result.count(False, f"{what} {number + 1}: {mine[number]} was not decided")
        elif number >= len(mine):
            result.count(False, f"{what} {number + 1}: {theirs[number]}, decided on packet "
                                f"{packets[number]}, is missing")
        else:
            result.count(mine[number] == theirs[number],
                         f"{what} {number + 1}: {mine[number]}, decided on packet "
                         f"{packets[number]} was {theirs[number]}")
    return result


def refusals(orders: NDArray[Any]) -> dict[str, int]:
    """Orders that were not sent, by reason."""
    found = Counter(Reason(int(reason)).name for reason in orders["reason"]
                    if reason != Reason.PASSED)
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def drops(counters: Mapping[str, int]) -> dict[str, int]:
    """What was lost or set aside, by the counter of its place; every place, zeros too."""
    return {name.lower(): value for name, value in counters.items()
            if name.startswith(DROP_PLACES)}


def messages(counters: Mapping[str, int]) -> dict[str, int]:
    """Messages that the gateware read, by name."""
    return {name.removeprefix("MESSAGES_").lower(): value for name, value in counters.items()
            if name.startswith("MESSAGES_")}
