"""Looks ahead: a forked process does something to the simulation that the real one never sees.

At one moment of a run that must go on back to back, a copy of the whole process lets the
simulated gateware come to rest, reads what it wants through the registers and sends it home.
"""

from __future__ import annotations

import os
import pickle
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

__all__ = ["Branch", "BranchError", "Branches", "branch"]

T = TypeVar("T")


class BranchError(RuntimeError):
    """The forked process failed; the text has its traceback."""


@dataclass
class Branch(Generic[T]):
    """A running look ahead. ``result()`` waits for it."""

    pid: int
    pipe: int

    def result(self) -> T:
        with os.fdopen(self.pipe, "rb") as handle:
            content = handle.read()
        _, status = os.waitpid(self.pid, 0)
        if not content:
            raise BranchError(f"the forked process ended with status {status} and said nothing")
        value: T
        good, value = pickle.loads(content)
        if not good:
            raise BranchError(str(value))
        return value


def branch(action: Callable[[], T]) -> Branch[T]:
    """Run ``action`` in a copy of this process; its value has to be picklable.

    What it does to memory stays there. It must not use what both processes share, such as
    sockets, or shared memory in which another process waits.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writer)
        return Branch(pid, reader)
    status = 1
    try:
        os.close(reader)
        try:
            answer: tuple[bool, Any] = True, action()
            content = pickle.dumps(answer)
        except BaseException:
            content = pickle.dumps((False, traceback.format_exc()))
        with os.fdopen(writer, "wb") as handle:
            handle.write(content)
        status = 0
    finally:
        # Nothing of the parent's may be flushed or cleaned up a second time.
        os._exit(status)


class Branches(Generic[T]):
    """At most so many branches at a time; results stand under the key they were started with."""

    def __init__(self, most: int = 2) -> None:
        self.most = most
        self._running: list[tuple[Any, Branch[T]]] = []
        self._results: dict[Any, T] = {}

    def start(self, key: Any, action: Callable[[], T]) -> None:
        if len(self._running) >= self.most:
            self._collect()
        self._running.append((key, branch(action)))

    def _collect(self) -> None:
        key, running = self._running.pop(0)
        self._results[key] = running.result()

    def results(self) -> dict[Any, T]:
        """All results; waits for those that still run."""
        while self._running:
            self._collect()
        return self._results
