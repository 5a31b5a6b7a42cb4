"""What all commands share: errors in one line, progress bars that come only when they help."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import typer

__all__ = ["fail", "Bar", "progress_bar", "check_venue", "VENUES", "CARD", "board_name"]

VENUES = ("deribit",)
CARD = "card"               # name of a simulated card that was given none
PATIENCE_S = 1.0            # no bar for what is done by then


def fail(command: str, message: object) -> NoReturn:
    """End with exit status 2 and one line that says why."""
    typer.echo(f"tickwire {command}: {message}", err=True)
    raise typer.Exit(2)


def check_venue(command: str, venue: str) -> None:
    if venue not in VENUES:
        fail(command, f"unknown venue {venue!r}; known: {', '.join(VENUES)}")


def board_name(card: str) -> str:
    """What ``Gateway.open`` takes: ``sim:NAME`` for a simulated card's NAME."""
    return card if ":" in card else f"sim:{card}"


class Bar:
    """A progress bar that appears once the work has taken a second, on a terminal."""

    def __init__(self, text: str, total: int | None) -> None:
        self._text, self._total = text, total
        self._began = time.monotonic()
        self._progress: Any = None
        self._task: Any = None

    def __call__(self, done: int) -> None:
        """So much is done by now."""
        if self._progress is None:
            if time.monotonic() - self._began < PATIENCE_S:
                return
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
            from rich.progress import TimeRemainingColumn as Remaining

            console = Console(stderr=True)
            self._progress = Progress(TextColumn("{task.description}"), BarColumn(),
                                      MofNCompleteColumn(), Remaining(), console=console,
                                      transient=True, disable=not console.is_terminal)
            self._progress.start()
            self._task = self._progress.add_task(self._text, total=self._total)
        self._progress.update(self._task, completed=done)

    def close(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None


@contextmanager
def progress_bar(text: str, total: int | None) -> Iterator[Bar]:
    """A :class:`Bar` that is gone at the end."""
    bar = Bar(text, total)
    try:
        yield bar
    finally:
        bar.close()
