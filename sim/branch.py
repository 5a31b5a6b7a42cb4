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
from pathlib import Path
from typing import Any, Generic, NoReturn, TypeVar

__all__ = ["Branch", "BranchError", "Branches", "branch", "fork", "let_go", "outcome", "tell"]

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
    found = fork()
    if not isinstance(found, Branch):
        tell(found, outcome(action))
    return found


def fork() -> Branch[Any] | int:
    """Copy this process: in the real one its :class:`Branch`, in the copy the pipe for `tell`."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writer)
        return Branch(pid, reader)
    os.close(reader)
    return writer


def outcome(action: Callable[[], T]) -> tuple[bool, Any]:
    """What an action has given: True and its value, or False and its traceback."""
    try:
        return True, action()
    except BaseException:
        return False, traceback.format_exc()


def tell(pipe: int, answer: tuple[bool, Any]) -> NoReturn:
    """End of a copy: sends the outcome home."""
    status = 1
    try:
        try:
            content = pickle.dumps(answer)
        except Exception:
            content = pickle.dumps((False, traceback.format_exc()))
        with os.fdopen(pipe, "wb") as handle:
            handle.write(content)
        status = 0
    finally:
        # Nothing of the parent's may be flushed or cleaned up a second time.
        os._exit(status)


def let_go(path: Path) -> None:
    """In a copy: what is written into this open file from now on goes nowhere.

    The real process writes on, and both would share the file's position.
    """
    for entry in Path("/proc/self/fd").iterdir():
        if os.path.realpath(entry) == os.path.realpath(path):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, int(entry.name))
            os.close(nowhere)


class Branches(Generic[T]):
    """At most so many branches at a time; results stand under the key they were started with.

    Parameters
    ----------
    most : int
        So many run at once.
    begin : callable
        Starts one, as :func:`branch` does.
    """

    def __init__(self, most: int = 2,
                 begin: Callable[[Callable[[], T]], Branch[T]] = branch) -> None:
        self.most = most
        self._begin = begin
        self._running: list[tuple[Any, Branch[T]]] = []
        self._results: dict[Any, T] = {}

    def start(self, key: Any, action: Callable[[], T]) -> None:
        if len(self._running) >= self.most:
            self._collect()
        self._running.append((key, self._begin(action)))

    def _collect(self) -> None:
        key, running = self._running.pop(0)
        self._results[key] = running.result()

    def results(self) -> dict[Any, T]:
        """All results; waits for those that still run."""
        while self._running:
            self._collect()
        return self._results
