"""What a strategy's Python model is told and what it answers; standard library only."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

__all__ = ["BID", "ASK", "Message", "Quote", "Touch", "Verdict", "Write", "Intent", "Event",
           "Model", "price_key"]

BID, ASK = 0, 1     # as Side in hdl/feed/event.py


def price_key(price):
    """The unsigned 64-bit key of a double, in the order of the doubles."""
    bits = struct.unpack("<Q", struct.pack("<d", price))[0]
    return bits ^ ((1 << 64) - 1 if bits >> 63 else 1 << 63)


@dataclass(frozen=True)
class Message:
    """A message of the feed begins.

    Members
    -------
    instrument : int or None
        Dense index; None if the instrument is not in the table.
    timestamp : int
        The venue's, in its unit.
    """

    instrument: int | None
    timestamp: int


@dataclass(frozen=True)
class Quote:
    """One side of the touch, in a ticker message: that of the last :class:`Message`."""

    side: int
    price: int              # ordered key
    suspect: bool = False   # the frame's sequence number shows a gap
    tradable: bool = True   # what the gateway knows of the instrument's book
    stamp: int = 0          # cycle, modulo 2^16


@dataclass(frozen=True)
class Touch:
    """The touch of a book after a logical update. A side without a level has the price None."""

    instrument: int
    timestamp: int
    bid: int | None         # ordered key
    ask: int | None
    tradable: bool = True
    committed: bool = False     # the frame's verdict came before: this is no hearsay
    stamp: int = 0


@dataclass(frozen=True)
class Verdict:
    """End of a frame: whether what it said is true."""

    good: bool


@dataclass(frozen=True)
class Write:
    """The host writes a row of the strategy's parameters, as one set."""

    instrument: int
    row: Mapping[str, int]


@dataclass(frozen=True)
class Intent:
    """An order that the strategy wants. ``committed``: it rests on no hearsay."""

    instrument: int
    side: int
    price: int
    quantity: int
    trigger: int
    timestamp: int
    committed: bool = False


Event = Message | Quote | Touch | Verdict | Write


class Model(Protocol):
    """A strategy in Python: what it does is the definition of what its gateware does."""

    def step(self, event: Event) -> Intent | None:
        """Take one event; at most one intent comes of it."""
        ...
