"""The event ring: what the gateway says of books, tickers and orders, without a copy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from tickwire.gateware.records import FLAGS, RECORD_BYTES, RECORDS, Record
from tickwire.host.errors import EventsLostError
from tickwire.host.registers import Registers

__all__ = ["DTYPES", "COMMON", "Events", "select", "flag"]


def _dtype(record: Record) -> np.dtype[Any]:
    return np.dtype([(part.name, f"<u{part.width // 8}") for part in record.fields])


#: Record types by name; each is 64 bytes long.
DTYPES: dict[str, np.dtype[Any]] = {record.name: _dtype(record) for record in RECORDS}

_MODULO = 0xFFFF_FFFF
_KINDS = {record.name: record.number for record in RECORDS}


def _common() -> np.dtype[Any]:
    """The fields that stand at the same place in every kind of record.

    What lies between them has fields too: NumPy copies no byte of a record that has no field.
    """
    shared = []
    for part in RECORDS[0].fields:
        low = RECORDS[0].low(part.name)
        if all((part.name, low) in [(f.name, r.low(f.name)) for f in r.fields] for r in RECORDS):
            shared.append((low // 8, part.name, part.width // 8))
    layout: list[tuple[str, str]] = []
    offset = 0
    for place, name, size in shared:
        if place > offset:
            layout.append((f"bytes_{offset}", f"V{place - offset}"))
        layout.append((name, f"<u{size}"))
        offset = place + size
    assert offset == RECORD_BYTES
    return np.dtype(layout)


#: What all records have: kind, sequence, stamp, instrument, flags, phase.
COMMON = _common()


def select(records: NDArray[Any], name: str) -> NDArray[Any]:
    """Records of one kind (``"BOOK"``, ``"TICKER"``, ``"ORDER"``), with all their fields."""
    return records[records["kind"] == _KINDS[name]].view(DTYPES[name])


def flag(records: NDArray[Any], name: str) -> NDArray[np.bool_]:
    """One of the bits of ``flags``: ``tradable``, ``bid_valid``, ``ask_valid``."""
    return np.asarray(records["flags"] >> FLAGS.index(name) & 1, dtype=np.bool_)


class Events:
    """Reader of one board's event ring.

    It goes on where the last reader stopped, because the gateway knows what was taken. While
    records wait to be taken and the ring is full, the gateway sends no orders (LOG_FULL).

    Parameters
    ----------
    ring : array of uint8
        The ring's memory.
    registers : Registers
    """

    def __init__(self, ring: NDArray[np.uint8], registers: Registers) -> None:
        self._registers = registers
        self._count = len(ring) // RECORD_BYTES
        self._records: NDArray[Any] = ring.view(COMMON)
        self._phases = ring.reshape(-1, RECORD_BYTES)[:, -1]
        self._next = self._told = 0
        if self._count:
            self._next = self._told = registers.read("EVENTS_CONSUMED")
            registers.write("EVENT_RING", self._count)

    def poll(self, most: int = 4096) -> NDArray[Any]:
        """Records that have come, at most ``most``: a view into the ring, oldest first.

        The view is good until the next call, which gives its records back to the gateway.

        Raises
        ------
        EventsLostError
            If records were overwritten before they were read. The next call goes on behind them.
        """
        if not self._count:
            return self._records[:0]
        place = self._next % self._count
        # The first round's phase is 1, the second one's 0, and so on.
        phase = self._next // self._count & 1 ^ 1
        window = self._phases[place:place + most]
        other = window != phase
        ready = int(other.argmax()) if other.any() else len(window)
        self._release(waiting=ready > 0)
        # A slot that was written again since shows a number from the future.
        ahead = int(self._records["sequence"][place]) - self._next & _MODULO
        if 0 < ahead < 1 << 31:
            self._lost()
        self._next = self._next + ready & _MODULO
        return self._records[place:place + ready]

    def _lost(self) -> None:
        expected, self._next = self._next, self._registers.read("EVENTS_PRODUCED")
        raise EventsLostError(
            f"Event record {expected} is no longer in the ring, which holds {self._count}: "
            f"{self._next - expected & _MODULO} records are lost. Poll more often, or open the "
            "board with a larger ring.")

    def _release(self, *, waiting: bool) -> None:
        """Tell the gateway what was taken: seldom while there is more to read."""
        taken = self._next - self._told & _MODULO
        if taken and (not waiting or taken >= self._count // 16):
            self._registers.write("EVENTS_CONSUMED", self._next)
            self._told = self._next
