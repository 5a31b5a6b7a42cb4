"""``make bench``: cells and clock of rooms by themselves, each routed in a ring of registers."""

from __future__ import annotations

import functools
import itertools
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table
from tickwire.hdl.ip.edge import NetworkEdge
from tickwire.hdl.ip.receive import IpReceive
from tickwire.hdl.mac.frame_queue import FrameQueue
from tickwire.hdl.mac.frame_store import FrameStore
from tickwire.hdl.mac.receive import MacReceive
from tickwire.hdl.mac.transmit import MacTransmit
from tickwire.hdl.tcp.engine import TcpEngine
from tickwire.hdl.tcp.parameters import TcpParameters
from tickwire.sim.build import Core, Part, build_core, prepare
from tickwire.sim.build_tools import ToolError

__all__ = ["ROOMS", "Room", "measure", "print_table", "write_page"]


PART = "LFE5UM5G-85F-8"
_MORE_SEEDS = 3


class Room(NamedTuple):
    """A room, and its latency in cycles as its test asserts it."""

    make: Callable[[], Any]
    latency: str


_TCP = "4 to the segment, 9 more to its acknowledgement, 3 more to the frame"

ROOMS: Mapping[str, Room] = {
    "MacReceive": Room(MacReceive, "1 to the beat, 3 from TERMINATE to the verdict"),
    "MacTransmit": Room(MacTransmit, "1 to START, 2 to the first bytes"),
    "IpReceive": Room(IpReceive, "1 to the payload, 1 from the frame's end to the verdict"),
    "FrameStore": Room(FrameStore, "whole frames"),
    "FrameQueue": Room(FrameQueue, "whole frames"),
    "NetworkEdge": Room(NetworkEdge, "36 to an ARP reply, 38 to an echo reply, 7 to the host"),
    **{f"TcpEngine, {sessions} session{'s' * (sessions > 1)}": Room(
        functools.partial(TcpEngine, TcpParameters(sessions=sessions), 95), _TCP)
       for sessions in (1, 4, 16)},
}

_PAGE = """# Rooms by themselves

`make bench` writes this page. Each room is synthesised, placed and routed alone on {part}, its
ports tied to a ring of registers, whose flip-flops are not counted; LUTs that only lead to a
flip-flop are. Fmax is the median of so many placements: {seeds}. Latencies are cycles of the
core's clock, from a room's last needed word to its answer; the room's test asserts each.

| room | LUT4 | flip-flops | block RAMs | Fmax, MHz | latency |
|---|---|---|---|---|---|
{rows}
"""


def measure(names: Sequence[str] = tuple(ROOMS), *, seeds: int = 3,
            root: Path = Path("build/rooms"),
            progress: Callable[[str], None] = lambda phase: None) -> list[dict[str, Any]]:
    """Route rooms, or read what was routed before.

    Parameters
    ----------
    seeds : int
        Routes of which the median is taken. The router cannot reach the clock's pin from some
        placements of small cores: another seed takes the place of such a one.

    Returns
    -------
    list of dict
        ``{room, luts, flip_flops, block_rams, fmax_mhz, latency}``, in the order of ``names``.

    Raises
    ------
    ValueError
        If there is no such room.
    ToolError
        If a room could not be routed with any of the first seeds.
    """
    rows = []
    for name in names:
        if name not in ROOMS:
            raise ValueError(f"There is no room {name!r} to be measured: choose from "
                             f"{', '.join(ROOMS)}.")

        def say(phase: str, name: str = name) -> None:
            progress(f"{name}: {phase}")

        core = prepare(ROOMS[name].make(), Part(PART))
        timings = _routes(core, seeds, root, say)
        cells = timings[0]["cells"]
        rows.append({
            "room": name,
            "luts": cells["luts"]["used"],
            "flip_flops": cells["flip_flops"]["used"] - cells["ring_flip_flops"],
            "block_rams": cells.get("block_rams", {}).get("used", 0),
            "fmax_mhz": statistics.median(one["fmax_mhz_median"]["sync"] for one in timings),
            "latency": ROOMS[name].latency,
        })
    return rows


def _routes(core: Core, wanted: int, root: Path,
            say: Callable[[str], None]) -> list[dict[str, Any]]:
    timings: list[dict[str, Any]] = []
    for seed in itertools.count(1):
        try:
            timings.append(build_core(core, seeds=(seed,), root=root, progress=say))
        except ToolError:
            if seed > wanted + _MORE_SEEDS:
                raise
        if len(timings) == wanted:
            break
    return timings


def print_table(rows: Sequence[Mapping[str, Any]], console: Console) -> None:
    """The same for people at a terminal."""
    table = Table("room", "LUT4", "flip-flops", "block RAMs", "MHz", "latency, cycles")
    for row in rows:
        table.add_row(row["room"], f"{row['luts']:,}", f"{row['flip_flops']:,}",
                      str(row["block_rams"]), f"{row['fmax_mhz']:.0f}", row["latency"])
    console.print(table)


def write_page(rows: Sequence[Mapping[str, Any]], path: Path, *, seeds: int) -> None:
    """Write the page of the documentation."""
    lines = [f"| {row['room']} | {row['luts']:,} | {row['flip_flops']:,} | {row['block_rams']} "
             f"| {row['fmax_mhz']:.0f} | {row['latency']} |" for row in rows]
    path.write_text(_PAGE.format(part=PART, seeds=seeds, rows="\n".join(lines)))
