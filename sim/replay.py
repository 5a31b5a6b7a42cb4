"""Runs a capture through the gateware, once for each launch policy, and keeps what came out."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from tickwire.sim.branch import Branch, Branches
from tickwire.sim.checks import Levels
from tickwire.sim.event_records import split
from tickwire.sim.models.decisions import Rule
from tickwire.sim.plan import Plan
from tickwire.sim.wire_words import (
    FRAME_DTYPE,
    SETTLE,
    WireFrame,
    WordChunk,
    WordWriter,
)

__all__ = ["Policy", "Timing", "Machine", "PassOptions", "PassResult", "run_pass"]

Policy = Literal["after_fcs", "cut_through"]
Timing = Literal["line-rate", "recorded"]
Progress = Callable[[int], None]
T = TypeVar("T")

READ_SETTLE = 4096          # idle cycles before levels are read: the level queue runs empty
CHUNK = 8192                # words a call: a fraction of a second even in the slowest engine


class Machine(Protocol):
    """A gateware out of reset, and the host that drives it. One for each pass.

    Between calls no time passes; what uses registers (``configure``, ``levels``, ``counters``,
    ``stale``) takes cycles in which the wire idles.
    """

    @property
    def engine(self) -> str:
        """Name of the simulator."""
        ...

    @property
    def cycles(self) -> int:
        """Cycles since reset, as ``take_frames`` counts them; the next word's."""
        ...

    def configure(self, plan: Plan, rules: Sequence[Rule], options: PassOptions) -> None:
        """Subscriptions, instruments, session, rules, limits; then arm."""
        ...

    def run(self, data: NDArray[np.uint64], control: NDArray[np.uint8],
            skips: NDArray[np.uint64]) -> None:
        """Words on the XGMII input, back to back with those of the last call."""
        ...

    def idle(self, cycles: int) -> None: ...

    def take_frames(self) -> list[WireFrame]:
        """Frames that have left since the last call."""
        ...

    def take_records(self) -> NDArray[np.uint8]:
        """Event records since the last call; takes no cycles but when a ring is nearly full."""
        ...

    def levels(self, index: int) -> Levels | None:
        """All levels of one book through the registers; None if it is stale."""
        ...

    def stale(self) -> list[int]:
        """Dense indices of instruments whose book is stale."""
        ...

    def counters(self) -> Mapping[str, int]:
        """The counters page, by the counters' names."""
        ...

    def venue_instruments(self) -> Mapping[int, int]:
        """Market data's instrument ids to those that ``configure`` gave for orders."""
        ...

    def branch(self, action: Callable[[], T]) -> Branch[T]:
        """Do something with a copy of the machine, as :func:`tickwire.sim.branch.branch` does."""
        ...


@dataclass(frozen=True, kw_only=True)
class PassOptions:
    """What one pass is about.

    Parameters
    ----------
    loaded : bool
        The host sends frames of 1,514 bytes as fast as it can meanwhile.
    snapshots : bool
        Read the book back at every later snapshot.
    """

    policy: Policy = "after_fcs"
    timing: Timing = "line-rate"
    loaded: bool = False
    snapshots: bool = False
    skip: bool = True


@dataclass
class PassResult:
    """What came out of one pass; every figure is the gateware's own.

    Members
    -------
    records : dict of structured arrays
        Event records by kind.
    raw_records : array of uint8
        The same as they stood in the ring.
    frames : list of WireFrame
        Everything that left.
    received : array of FRAME_DTYPE
        Where the capture's frames stood on the input; words are cycles as in ``frames``.
    snapshots : dict
        The snapshot's packet and the venue's instrument id to the levels that were read back.
    """

    options: PassOptions
    engine: str
    cycles: int
    wall_s: float
    records: dict[str, NDArray[Any]]
    raw_records: NDArray[np.uint8]
    frames: list[WireFrame]
    received: NDArray[Any]
    counters: dict[str, int]
    venue_instruments: dict[int, int]
    stale: list[int] = field(default_factory=list)
    snapshots: dict[tuple[int, int], Levels | None] = field(default_factory=dict)


def run_pass(machine: Machine, plan: Plan, rules: Sequence[Rule], options: PassOptions,
             progress: Progress = lambda packet: None) -> PassResult:
    """Configure a machine, play the capture, wait until all is at rest, collect.

    Parameters
    ----------
    progress : callable
        Called with the number of the last packet that went in.
    """
    started = time.monotonic()
    machine.configure(plan, rules, options)
    machine.take_frames()
    wanted: dict[int, list[int]] = defaultdict(list)
    if options.snapshots:
        for check in plan.golden.books.snapshots:
            if check.instrument_id in plan.index_of:
                wanted[check.packet].append(check.instrument_id)
    branches: Branches[Levels | None] = Branches(begin=machine.branch)
    frames: list[WireFrame] = []
    received: list[NDArray[Any]] = []
    records: list[NDArray[np.uint8]] = []
    writer = WordWriter(recorded=options.timing == "recorded", skip=options.skip,
                        chunk_words=CHUNK)
    packets = ((p.number, p.time_ns, p.data) for p in plan.capture.packets())
    first = machine.cycles

    def collect() -> None:
        frames.extend(machine.take_frames())
        records.append(machine.take_records())

    for chunk in writer.words(packets):
        for begin, end, packet in _pieces(chunk, wanted):
            skips = _skips(chunk, begin, end)
            received.append(_received(chunk, begin, end, machine.cycles))
            machine.run(chunk.data[begin:end], chunk.control[begin:end], skips)
            for instrument in wanted.get(packet, ()):
                branches.start((packet, instrument),
                               partial(_levels, machine, plan.index_of[instrument]))
        collect()
        if len(chunk.frames):
            progress(int(chunk.frames["packet"][-1]))
    machine.idle(SETTLE)
    collect()
    cycles = machine.cycles - first
    result = PassResult(
        options=options, engine=machine.engine, cycles=cycles,
        wall_s=0.0, records={}, raw_records=np.concatenate(records),
        frames=frames, received=np.concatenate(received), counters=dict(machine.counters()),
        venue_instruments=dict(machine.venue_instruments()), stale=machine.stale(),
        snapshots=branches.results())
    result.records = split(result.raw_records)
    result.wall_s = time.monotonic() - started
    return result


def _levels(machine: Machine, index: int) -> Levels | None:
    machine.idle(READ_SETTLE)
    return machine.levels(index)


def _pieces(chunk: WordChunk,
            wanted: Mapping[int, Any]) -> Iterator[tuple[int, int, int]]:
    """Words begin … end - 1 of the chunk, and the packet after which books are to be read."""
    begin = 0
    for row in chunk.frames:
        if int(row["packet"]) in wanted:
            end = int(row["end_word"]) + 1 - chunk.first_word
            yield begin, end, int(row["packet"])
            begin = end
    if begin < len(chunk):
        yield begin, len(chunk), 0


def _skips(chunk: WordChunk, begin: int, end: int) -> NDArray[np.uint64]:
    here = chunk.skips[(chunk.skips[:, 0] >= begin) & (chunk.skips[:, 0] < end)].copy()
    here[:, 0] -= np.uint64(begin)
    return here


def _received(chunk: WordChunk, begin: int, end: int, cycle: int) -> NDArray[Any]:
    """The frames of a piece, their words in the machine's cycles; a skip counts as one cycle."""
    words = chunk.frames["start_word"] - np.uint64(chunk.first_word)
    rows = chunk.frames[(words >= begin) & (words < end)].copy()
    skips = chunk.skips[chunk.skips[:, 0] >= begin][:, 0]
    for name in ("start_word", "end_word"):
        at = rows[name] - np.uint64(chunk.first_word)
        rows[name] = at - np.uint64(begin) + np.uint64(cycle) + np.searchsorted(
            skips, at, side="right").astype(np.uint64)
    return rows.astype(FRAME_DTYPE)
