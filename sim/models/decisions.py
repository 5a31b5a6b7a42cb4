"""The plain decision list: which orders the threshold strategy must send on a capture.

Computed from the capture and the rules alone. What a rule does, precisely:

* Trigger ``book``: looked at after each logical update by increments (the Book message with
  isLast = 1) of an instrument whose book is whole and unbroken; never at a snapshot. If the best
  ask exists and is at or below ``buy_limit``: buy at the best ask. Else, if the best bid exists
  and is at or above ``sell_limit``: sell at the best bid.
* Trigger ``ticker``: looked at in each Ticker message of such an instrument. Its bid stands
  before its ask, so the bid is judged first: if it is at or above ``sell_limit``: sell at it.
  Then, if the rule does not rest, the ask: if it is at or below ``buy_limit``: buy at it. A
  price of zero says that the side is empty and decides nothing.
* After a decision the rule rests until ``timestampMs`` is at least ``gap_ms`` later than that of
  the decision (with a gap of 0 one Ticker may decide twice); a ``one_shot`` rule rests for ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

from tickwire.sim.capture import CapturedPacket
from tickwire.sim.models.deribit import (
    TICKER_ASK_PRICE,
    TICKER_BID_PRICE,
    Message,
    parse_datagram,
    udp_payload,
)
from tickwire.sim.models.deribit_books import Book, Books, Touch

__all__ = ["Rule", "Decision", "Event", "Trigger", "decide", "events", "judge",
           "price_units"]

Trigger = Literal["book", "ticker"]
OrderSide = Literal["buy", "sell"]
PRICE_UNIT = 10**9          # of Starbase: prices are whole multiples of 1e-9


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Threshold rule of one instrument. A limit of None is off; quantity is a mantissa."""

    instrument_id: int
    trigger: Trigger
    buy_limit: float | None = None
    sell_limit: float | None = None
    quantity: int = 1
    one_shot: bool = False
    gap_ms: int = 0

    def __post_init__(self) -> None:
        if self.trigger not in ("book", "ticker"):
            raise ValueError(f"Rule trigger must be 'book' or 'ticker', not {self.trigger!r}")
        if self.buy_limit is None and self.sell_limit is None:
            raise ValueError(f"Rule of instrument {self.instrument_id} has neither a buy limit "
                             "nor a sell limit, so it can never decide anything")
        if self.quantity < 1:
            raise ValueError(f"Rule quantity must be at least 1, not {self.quantity}")

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Decision:
    """One order that must leave.

    Members
    -------
    packet : int
        Number in the capture, the first is 1.
    price : float
        As on the wire; ``price_units(price)`` is what the order carries.
    field_end : int
        Byte of the frame (from the destination address) that completes what was decided on: the
        last byte of the ticker's price, or of the update's last level.
    """

    packet: int
    instrument_id: int
    side: OrderSide
    price: float
    quantity: int
    trigger: Trigger
    timestamp_ms: int
    field_end: int


def price_units(price: float) -> int:
    """The double as a whole number of 1e-9, rounded to the nearest.

    Raises
    ------
    ValueError
        If the double is not the one nearest to a multiple of 1e-9, or does not fit in 64 bits.
    """
    numerator, denominator = price.as_integer_ratio()
    units = (2 * numerator * PRICE_UNIT + denominator) // (2 * denominator)
    if units / PRICE_UNIT != price:
        raise ValueError(f"price {price!r} is no multiple of 1e-9")
    if not -2**63 <= units < 2**63:
        raise ValueError(f"price {price!r} does not fit in 64 bits of 1e-9")
    return units


class Event(NamedTuple):
    """What a rule looks at: the touch after an update, or the one that a Ticker says."""

    packet: int
    instrument_id: int
    trigger: Trigger
    timestamp_ms: int
    touch: Touch
    bid_end: int                # byte of the frame that completes the bid price, or the update
    ask_end: int
    whole: bool                 # the instrument has a whole, unbroken book
    snapshot: bool = False      # the touch of a snapshot that began or mended a book


def events(packets: Iterable[CapturedPacket]) -> Iterator[Event]:
    """All moments at which a rule could decide, in the order in which their bytes arrive."""
    found: list[Event] = []
    offset = 0

    def update(packet: int, message: Message, book: Book) -> None:
        end = offset + message.end - 1
        found.append(Event(packet, message.fields["instrumentId"], "book",
                           message.fields["timestampMs"], book.touch(), end, end, True))

    def start(packet: int, message: Message, book: Book) -> None:
        update(packet, message, book)
        found[-1] = found[-1]._replace(snapshot=True)

    books = Books(on_update=update, on_start=start)
    for packet in packets:
        payload = udp_payload(packet.data)
        if payload is None:
            continue
        offset = payload[2]
        # A Ticker is judged in its place between Book messages, so they go one by one.
        for message in parse_datagram(payload[3]).messages:
            if message.template != 1003:
                books.message(packet.number, message)
                continue
            f = message.fields
            book = books.books.get(f["instrumentId"])
            block = offset + message.block
            found.append(Event(
                packet.number, f["instrumentId"], "ticker", f["timestampMs"],
                (f["bestBidPrice"], f["bestBidAmount"], f["bestAskPrice"], f["bestAskAmount"]),
                block + TICKER_BID_PRICE + 7, block + TICKER_ASK_PRICE + 7,
                book is not None and book.healthy))
        yield from found
        found.clear()


def judge(moments: Iterable[Event], rules: Sequence[Rule], *, any_book: bool = False,
          snapshots: bool = False) -> list[Decision]:
    """The decisions that the rules make on these events; see :func:`decide`."""
    by_instrument = {rule.instrument_id: rule for rule in rules}
    if len(by_instrument) != len(rules):
        raise ValueError("decide() takes one rule for each instrument, and two were given for "
                         "one of them")
    last: dict[int, int] = {}
    decisions: list[Decision] = []
    for event in moments:
        rule = by_instrument.get(event.instrument_id)
        if (rule is None or rule.trigger != event.trigger or not (event.whole or any_book)
                or (event.snapshot and not snapshots)):
            continue
        for side, price, end in _matches(rule, event):
            before = last.get(rule.instrument_id)
            if before is not None and (rule.one_shot
                                       or event.timestamp_ms - before < rule.gap_ms):
                break
            last[rule.instrument_id] = event.timestamp_ms
            decisions.append(Decision(event.packet, rule.instrument_id, side, price,
                                      rule.quantity, rule.trigger, event.timestamp_ms, end))
            if rule.trigger == "book":
                break
    return decisions


def _matches(rule: Rule, event: Event) -> Iterator[tuple[OrderSide, float, int]]:
    """What the rule would do, in the order in which it looks."""
    bid, bid_amount, ask, ask_amount = event.touch
    # In an update an amount of zero says that the side is empty; a strategy that decides in the
    # middle of a Ticker has the price only.
    has_bid, has_ask = ((bid_amount, ask_amount) if rule.trigger == "book" else (bid, ask))
    buys = bool(has_ask) and rule.buy_limit is not None and ask <= rule.buy_limit
    sells = bool(has_bid) and rule.sell_limit is not None and bid >= rule.sell_limit
    if buys and rule.trigger == "book":
        yield "buy", ask, event.ask_end
    if sells:
        yield "sell", bid, event.bid_end
    if buys and rule.trigger == "ticker":
        yield "buy", ask, event.ask_end


def decide(packets: Iterable[CapturedPacket], rules: Sequence[Rule], *,
           any_book: bool = False, snapshots: bool = False) -> list[Decision]:
    """All decisions on a capture, in the order in which their deciding bytes arrive.

    Parameters
    ----------
    packets : iterable
        The capture.
    rules : sequence of Rule
        At most one for each instrument.
    any_book : bool
        Judge a Ticker even when its instrument has no whole book.
    snapshots : bool
        A snapshot that begins or mends a book is an update, too.
    """
    return judge(events(packets), rules, any_book=any_book, snapshots=snapshots)
