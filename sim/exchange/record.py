"""What the exchange did, order by order: one JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TextIO

__all__ = ["Record"]


class Record:
    """Numbers and writes events.

    Parameters
    ----------
    file : text file or None
        Where the lines go; None keeps nothing.
    clock : callable
        Nanoseconds since 1970.
    """

    def __init__(self, file: TextIO | None, clock: Callable[[], int]) -> None:
        self._file, self._clock = file, clock
        self.written = 0

    def __call__(self, event: str, **values: Any) -> None:
        """Write one event. Prices and quantities are decimals, written as text."""
        self.written += 1
        if self._file is not None:
            line = {"number": self.written, "time_ns": self._clock(), "event": event, **values}
            self._file.write(json.dumps(line, default=str) + "\n")
            self._file.flush()
