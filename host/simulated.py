"""The simulated card, from the host's side: a process of its own behind shared memory."""

from __future__ import annotations

import fcntl
import mmap
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from tickwire.host.card_memory import (
    BURST,
    BURST_WORDS,
    FAILED,
    FIELDS,
    HEADER_BYTES,
    MAGIC,
    MODE_FREE,
    MODE_PAUSED,
    WRITE,
    Layout,
)
from tickwire.host.card_process import alive, checked_name, log_path, memory_path, pause
from tickwire.host.errors import BoardError, BusError, CardDiedError

__all__ = ["SimulatedBoard"]

_FIELD = {name: place for place, name in enumerate(FIELDS)}
_DEFAULT_TOP = "tickwire.gateware.gateway:SimulatedGateway"
_PATIENCE = 60.0        # seconds in which a card that lives answers


class SimulatedBoard:
    """A simulated card. Several hosts may be attached to one card; each may die without it.

    Besides being a board it has the card's cable: :meth:`play` and :meth:`take_tx`.

    Members
    -------
    name : str
    fresh : bool
        This host has started the card.
    """

    def __init__(self, name: str, process: subprocess.Popen[bytes] | None) -> None:
        self.name, self._process = name, process
        self.fresh = process is not None
        self._lock = threading.Lock()
        self._file = os.open(memory_path(name), os.O_RDWR)
        self._map = mmap.mmap(self._file, 0)
        self._memory = memoryview(self._map)
        self._header = self._memory[:HEADER_BYTES].cast("Q")
        self._layout = Layout(event_records=self._get("event_records"),
                              wire_words=self._get("wire_words"),
                              frame_slots=self._get("frame_slots"),
                              frame_slot=self._get("frame_slot"))
        self.frame_ring: NDArray[np.uint8] = self._region("frames")
        self.ring: NDArray[np.uint8] = self._region("events")
        self._pid = self._get("pid")

    @classmethod
    def attach(cls, name: str) -> Self:
        """Attach to a card that runs under a name.

        Raises
        ------
        BoardError
            If there is none.
        """
        try:
            with memory_path(checked_name(name)).open("rb") as file:
                header = memoryview(file.read(HEADER_BYTES)).cast("Q")
        except FileNotFoundError:
            header = None
        if header is None or len(header) * 8 < HEADER_BYTES or header[_FIELD["magic"]] != MAGIC \
                or not alive(header[_FIELD["pid"]]):
            raise BoardError(f"There is no simulated card named {name}: start one with "
                             f"`python -m tickwire.sim.card {name}`, or open 'sim:' for one of "
                             "your own")
        return cls(name, None)

    @classmethod
    def start(cls, name: str | None = None, *, top: str | None = None,
              options: tuple[str, ...] = ()) -> Self:
        """Start a card that ends with this process, and attach to it.

        Parameters
        ----------
        name : str
            Under which others may attach; made up if None.
        top : str
            ``module:class`` of the gateware; TICKWIRE_SIM_TOP, else the gateway.
        options : tuple of str
            More of ``python -m tickwire.sim.card``'s.

        Raises
        ------
        BoardError
            If the card did not come up, with the end of what it printed.
        """
        name = checked_name(name or f"{os.getpid()}-{time.monotonic_ns():x}")
        top = top or os.environ.get("TICKWIRE_SIM_TOP", _DEFAULT_TOP)
        log = log_path(name)
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "tickwire.sim.card", name, "--top", top,
                 "--owner", str(os.getpid()), *options],
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        # It says that it is ready by its last line, after the memory is set up.
        while process.poll() is None:
            if log.read_bytes().endswith(b"ready\n"):
                return cls(name, process)
            time.sleep(0.01)
        said = log.read_text(errors="replace")[-2000:]
        log.unlink()
        raise BoardError(f"The simulated card {name} ended with status {process.returncode} "
                         f"before it was ready. It said:\n{said}")

    def _get(self, name: str) -> int:
        return self._header[_FIELD[name]]

    def _set(self, name: str, value: int) -> None:
        self._header[_FIELD[name]] = value

    def _region(self, name: str) -> NDArray[Any]:
        return self._layout.view(self._memory, name)

    def _wait(self, done: Callable[[], bool], what: str) -> None:
        """Wait for the card. CardDiedError if it is gone."""
        turn, deadline = 0, 0.0
        while not done():
            pause(turn)
            turn += 1
            if turn % 1024:
                continue
            self._check_alive(what)
            now = time.monotonic()
            deadline = deadline or now + _PATIENCE
            if now > deadline:
                full = (self._get("tx_collect") and self._get("tx_produced")
                        - self._get("tx_consumed") >= self._layout.wire_words)
                raise BusError(f"The simulated card {self.name} (process {self._pid}) did not "
                               f"answer {what} within {_PATIENCE:.0f} s: "
                               + ("its ring of transmitted words is full, call take_tx()" if full
                                  else "it is stopped or stuck"))

    def _check_alive(self, what: str) -> None:
        if self._process is not None:
            status = self._process.poll()
            if status is None:
                return
            end = f" with status {status}"
        elif alive(self._pid):
            return
        else:
            end = ""
        tail = ""
        if log_path(self.name).exists():
            tail = log_path(self.name).read_text(errors="replace")[-500:]
        raise CardDiedError(f"The simulated card {self.name} (process {self._pid}) has ended{end} "
                            f"during {what}: close this gateway and open a new one. "
                            f"The card's last words: {tail or 'none'}")

    def _access(self, address: int, value: int, what: str,
                burst: Sequence[int] = ()) -> int:
        with self._lock:
            # Of several hosts one has the mailbox; the kernel gives it back when a host dies.
            fcntl.flock(self._file, fcntl.LOCK_EX)
            try:
                # A host that was killed may have left an access under way.
                self._wait(lambda: self._get("response") == self._get("request"), what)
                self._region("burst")[:len(burst)] = burst
                self._set("address", address)
                self._set("write_data", value)
                number = self._get("response") + 1
                self._set("request", number)
                self._wait(lambda: self._get("response") == number, what)
                result = self._get("response_data")
            finally:
                fcntl.flock(self._file, fcntl.LOCK_UN)
        if result & FAILED:
            raise BusError(f"The simulated card's bus did not answer {what}: the register bank is "
                           "not clocked or not connected.")
        return result

    def read32(self, offset: int) -> int:
        """One bus access."""
        return self._access(offset, 0, f"a read of BAR offset {offset:#06x}")

    def write32(self, offset: int, value: int) -> None:
        """One bus access; it is over when this returns."""
        self._access(offset | WRITE, value, f"a write to BAR offset {offset:#06x}")

    def write_words(self, offset: int, values: Sequence[int]) -> None:
        """A bus access for each value; all are over when this returns."""
        for at in range(0, len(values), BURST_WORDS):
            words = values[at:at + BURST_WORDS]
            self._access(offset + 4 * at | WRITE | BURST, len(words),
                         f"{len(words)} writes from BAR offset {offset + 4 * at:#06x} on", words)

    @property
    def accesses(self) -> int:
        """Bus accesses that the card has seen, from all hosts."""
        return self._get("accesses")

    @property
    def cycles(self) -> int:
        """Cycles that the card has run; skipped ones count as one."""
        return self._get("cycles")

    def pause(self) -> None:
        """From now on time passes by accesses, :meth:`play` and :meth:`run` only."""
        self._set("run_target", 0)
        self._set("mode", MODE_PAUSED)
        self.read32(0)      # the card has seen it

    def resume(self) -> None:
        """Time passes by itself again."""
        self._set("mode", MODE_FREE)

    def run(self, cycles: int) -> None:
        """While paused: let so many cycles pass."""
        if self._get("mode") != MODE_PAUSED:
            raise ValueError("SimulatedBoard.run is for a card that is paused: call pause() first")
        self._run_to(self.cycles + cycles)

    def _run_to(self, target: int) -> None:
        self._set("run_target", target)
        self._wait(lambda: self.cycles >= target, f"a run to cycle {target}")

    def play(self, data: ArrayLike, control: ArrayLike, skips: ArrayLike | None = None) -> None:
        """Put XGMII words on the receiver's cable and wait until they have gone in.

        Parameters
        ----------
        data, control : arrays of uint64 and uint8
        skips : array of uint64, shape (n, 2)
            (index, cycles), indices rising: before the word at ``index`` so many idle cycles
            pass at once.
        """
        words = np.asarray(data, dtype=np.uint64)
        codes = np.asarray(control, dtype=np.uint16)
        if words.ndim != 1 or words.shape != codes.shape:
            raise ValueError("SimulatedBoard.play needs as many data words as control words, not "
                             f"{words.shape} and {codes.shape}")
        if skips is not None:
            jumps = np.asarray(skips, dtype=np.uint64).reshape(-1, 2)
            words = np.insert(words, jumps[:, 0].astype(np.intp), jumps[:, 1])
            codes = np.insert(codes, jumps[:, 0].astype(np.intp), Layout.SKIP)
        ring_data, ring_control = self._region("rx_data"), self._region("rx_control")
        size = self._layout.wire_words
        start, produced = 0, self._get("rx_produced")
        while start < len(words):
            self._wait(lambda: self._get("rx_produced") - self._get("rx_consumed") < size,
                       "words to play")
            room = size - (produced - self._get("rx_consumed"))
            place = produced % size
            count = min(room, size - place, len(words) - start)
            ring_data[place:place + count] = words[start:start + count]
            ring_control[place:place + count] = codes[start:start + count]
            produced += count
            start += count
            target = self.cycles + count
            self._set("rx_produced", produced)
            if self._get("mode") == MODE_PAUSED:
                self._run_to(target)
        self._wait(lambda: self._get("rx_consumed") == self._get("rx_produced"), "words to play")

    def collect_tx(self, on: bool = True) -> None:
        """Keep what the card transmits, from now on. When the ring is full the card waits."""
        self._set("tx_collect", int(on))

    def take_tx(self) -> tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.uint8]]:
        """Words transmitted since the last call, idle ones left out: cycle, data, control."""
        consumed, produced = self._get("tx_consumed"), self._get("tx_produced")
        places = np.arange(consumed, produced, dtype=np.uint64) % self._layout.wire_words
        at = places.astype(np.intp)
        taken = (self._region("tx_cycle")[at], self._region("tx_data")[at],
                 self._region("tx_control")[at])
        self._set("tx_consumed", produced)
        return taken

    def kill_pin(self, level: bool) -> None:
        """Set the level of the card's kill pin."""
        self._set("kill_pin", int(level))

    def close(self) -> None:
        """Detach. A card that this host has started ends."""
        if self._file < 0:
            return
        if self._process is not None:
            self._set("stop", 1)
            try:
                self._process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            log_path(self.name).unlink(missing_ok=True)
        os.close(self._file)
        self._file = -1
        # Views of the event ring may live on; then the memory goes when they do.
        self._header.release()
