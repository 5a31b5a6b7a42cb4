"""Names, files and life signs of simulated cards' processes."""

from __future__ import annotations

import os
import re
import tempfile
import time
from pathlib import Path

from tickwire.host.errors import BoardError

__all__ = ["checked_name", "memory_path", "log_path", "alive", "pause"]


def checked_name(name: str) -> str:
    """The name, if a card may have it."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
        raise BoardError("A card's name is made of letters, digits, '_', '.' and '-', "
                         f"not {name!r}")
    return name


def memory_path(name: str) -> Path:
    """Where a card's shared memory is, by the card's name."""
    shared = Path("/dev/shm")
    return (shared if shared.is_dir() else Path(tempfile.gettempdir())) / f"tickwire-{name}"


def log_path(name: str) -> Path:
    """What a card prints goes there."""
    return Path(tempfile.gettempdir()) / f"tickwire-{name}.log"


def alive(pid: int) -> bool:
    """Whether there is such a process, and it has not ended."""
    try:
        os.kill(pid, 0)
        # A process that has ended and was not yet waited for still has its number.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
    except PermissionError:
        return True


def pause(turn: int) -> None:
    """Wait a little for another process, longer the more turns it has lasted."""
    if turn < 2000:
        if turn % 50 == 49:
            os.sched_yield()
    else:
        time.sleep(min(1e-3, 1e-5 * (turn - 1999)))
