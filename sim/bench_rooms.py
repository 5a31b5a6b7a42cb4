"""``make bench``: cells and clock of rooms by themselves, each routed in a ring of registers."""

from __future__ import annotations

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
from tickwire.sim.build import Part, build_core, prepare

__all__ = ["ROOMS", "Room", "measure", "print_table", "write_page"]


PART = "LFE5UM5G-85F-8"


class Room(NamedTuple):
    """A room, and its latency in cycles as its test asserts it."""

    make: Callable[[], Any]
    latency: str


ROOMS: Mapping[str, Room] = {
    "MacReceive": Room(MacReceive, "1 to the beat, 3 from TERMINATE to the verdict"),
    "MacTransmit": Room(MacTransmit, "1 to START, 2 to the first bytes"),
    "IpReceive": Room(IpReceive, "1 to the payload, 1 from the frame's end to the verdict"),
    "FrameStore": Room(FrameStore, "whole frames"),
    "FrameQueue": Room(FrameQueue, "whole frames"),
    "NetworkEdge": Room(NetworkEdge, "36 to an ARP reply, 38 to an echo reply, 7 to the host"),
}

_PAGE = """# Rooms by themselves

`make bench` writes this page. Each room is synthesised, placed and routed alone on {part}, its
ports tied to a ring of registers, whose flip-flops are not counted; LUTs that only lead to a
flip-flop are. Fmax is the median of {seeds} seeds. Latencies are cycles of the core's clock, from
a room's last needed word to its answer; the room's test asserts each.

| room | LUT4 | flip-flops | block RAMs | Fmax, MHz | latency |
|---|---|---|---|---|---|
{rows}
"""


def measure(names: Sequence[str] = tuple(ROOMS), *, seeds: Sequence[int] = (1, 2, 3),
            root: Path = Path("build/rooms"),
            progress: Callable[[str], None] = lambda phase: None) -> list[dict[str, Any]]:
    """Route rooms, or read what was routed before.

    Returns
    -------
    list of dict
        ``{room, luts, flip_flops, block_rams, fmax_mhz, latency}``, in the order of ``names``.

    Raises
    ------
    ValueError
        If there is no such room.
    """
    rows = []
    for name in names:
        if name not in ROOMS:
            raise ValueError(f"There is no room {name!r} to be measured: choose from "
                             f"{', '.join(ROOMS)}.")

        def say(phase: str, name: str = name) -> None:
            progress(f"{name}: {phase}")

        core = prepare(ROOMS[name].make(), Part(PART))
        timing = build_core(core, seeds=seeds, root=root, progress=say)
        cells = timing["cells"]
        rows.append({
            "room": name,
            "luts": cells["luts"]["used"],
            "flip_flops": cells["flip_flops"]["used"] - cells["ring_flip_flops"],
            "block_rams": cells.get("block_rams", {}).get("used", 0),
            "fmax_mhz": timing["fmax_mhz_median"]["sync"],
            "latency": ROOMS[name].latency,
        })
    return rows


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
