"""Books read back from the gateway, level by level."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from tickwire.gateware.vocabulary import Side
from tickwire.host.errors import BusError
from tickwire.host.price import from_bits, from_key
from tickwire.host.registers import Registers
from tickwire.host.tables import Instrument, Instruments

__all__ = ["Level", "Book", "Books"]


@dataclass(frozen=True)
class Level:
    """One price level, exact."""

    price: Decimal
    amount: Decimal


@dataclass(frozen=True)
class Book:
    """One book: levels from the best on, its last change id, and whether it may be traded on."""

    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    change_id: int
    tradable: bool


class Books:
    """``books[instrument]`` reads all levels of a book; the instrument by itself or its name."""

    #: Reads of BOOK_STATE for one selection; and attempts while the book goes on changing.
    PATIENCE = 10_000
    ATTEMPTS = 20

    def __init__(self, registers: Registers, instruments: Instruments) -> None:
        self._registers, self._instruments = registers, instruments

    def __getitem__(self, instrument: Instrument | str) -> Book:
        """Read a whole book. BusError if it changes all the time meanwhile."""
        if isinstance(instrument, str):
            instrument = self._instruments[instrument]
        for _ in range(self.ATTEMPTS):
            state, before = self._select(instrument, Side.BID, 0)
            sides = [self._levels(instrument, side, state[name])
                     for side, name in ((Side.BID, "bids"), (Side.ASK, "asks"))]
            after, change_id = self._select(instrument, Side.BID, 0)
            if (before == change_id and None not in sides
                    and all(state[k] == after[k] for k in ("tradable", "bids", "asks"))):
                bids, asks = (tuple(levels or ()) for levels in sides)
                return Book(bids, asks, change_id, bool(state["tradable"]))
        raise BusError(f"BOOK_CHANGE_ID of {instrument.name} changed during each of "
                       f"{self.ATTEMPTS} attempts to read the book: read it while less goes on, "
                       "or follow its touch with gw.events")

    def _select(self, instrument: Instrument, side: Side, level: int
                ) -> tuple[dict[str, int], int]:
        r = self._registers
        r.command_fields("BOOK_SELECT", instrument=instrument.index, side=side, level=level)
        for _ in range(self.PATIENCE):
            state = r.fields("BOOK_STATE")
            if state["done"]:
                return state, r.read("BOOK_CHANGE_ID")
        raise BusError(f"BOOK_STATE did not say DONE to level {level} of {instrument.name} within "
                       f"{self.PATIENCE} reads: the book is busy or stuck; see gw.stats()")

    def _levels(self, instrument: Instrument, side: Side, count: int) -> list[Level] | None:
        """Levels of one side; None if one has gone meanwhile."""
        levels = []
        for level in range(count):
            state, _ = self._select(instrument, side, level)
            if not state["valid"]:
                return None
            levels.append(Level(from_key(self._registers.read("BOOK_PRICE")),
                                from_bits(self._registers.read("BOOK_AMOUNT"))))
        return levels
