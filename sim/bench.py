"""``make bench``: what the engines simulate in a second, on the same frames in one run; the cycles
that things take; and what rooms take of a device, each by itself."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from tickwire.sim.build_tools import tool_path
from tickwire.sim.capture import read_capture
from tickwire.sim.cocotb_replay import simulator
from tickwire.sim.cocotb_runner import simulate
from tickwire.sim.engine import Engine
from tickwire.sim.traffic import write_traffic
from tickwire.sim.wire_words import WordChunk, frames_to_words

__all__ = ["bench", "main"]

LEAST_CYCLES = 1_000_000


def bench(make: Callable[[], Any], *, packets: int, folder: Path) -> dict[str, Any]:
    """Play the same generated frames through the native engine and through cocotb.

    Parameters
    ----------
    make : callable
        Makes the top component, which has the ports of :class:`Engine`; called once for each
        engine.
    packets : int
        How many packets are generated. The native engine plays them again and again, for at
        least a million cycles; cocotb once.
    folder : Path
        For the capture and the results.

    Returns
    -------
    dict
        ``packets``, ``native`` and ``cocotb``, each ``{cycles, seconds, cycles_per_second}``, and
        ``ratio``, the one's speed over the other's.
    """
    folder.mkdir(parents=True, exist_ok=True)
    capture = folder / "frames.pcap"
    write_traffic(capture, 1, packets)
    words = frames_to_words((packet.data for packet in read_capture(capture)), tail=1)
    results = {"native": _native(make(), words), "cocotb": _cocotb(make(), words, folder)}
    for result in results.values():
        result["cycles_per_second"] = round(result["cycles"] / result["seconds"])
    ratio = results["native"]["cycles_per_second"] / results["cocotb"]["cycles_per_second"]
    return {"packets": packets, **results, "ratio": round(ratio, 1)}


def _native(component: Any, words: WordChunk) -> dict[str, Any]:
    with Engine.build(component) as engine:
        engine.run(words.data, words.control)   # the first pass warms the caches
        cycles, began = 0, time.perf_counter()
        while cycles < LEAST_CYCLES:
            engine.run(words.data, words.control)
            cycles += len(words)
        return {"cycles": cycles, "seconds": time.perf_counter() - began}


def _cocotb(component: Any, words: WordChunk, folder: Path) -> dict[str, Any]:
    file, result = folder.resolve() / "words.npz", folder.resolve() / "cocotb.json"
    np.savez(file, data=words.data, control=words.control)
    simulate(simulator(component), "tickwire.sim.bench_cocotb",
             parameters={"words": str(file), "result": str(result)})
    told: dict[str, Any] = json.loads(result.read_text())
    return told


def main(arguments: list[str] | None = None) -> None:
    """Print the tables, write ``build/bench/bench.json``, docs/latency.md and docs/rooms.md."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--packets", type=int, default=2_000)
    parser.add_argument("--out", type=Path, default=Path("build/bench"))
    parser.add_argument("--only", choices=("engines", "latency", "rooms"),
                        help="leave the others out")
    parser.add_argument("--seeds", type=int, default=3, help="of the rooms' placement")
    chosen = parser.parse_args(arguments)
    chosen.out.mkdir(parents=True, exist_ok=True)
    console = Console()
    if chosen.only in (None, "engines"):
        _engines(chosen.packets, chosen.out, console)
    if chosen.only in (None, "latency"):
        _latency(chosen.out, console)
    if chosen.only in (None, "rooms"):
        _rooms(console, chosen.seeds)


def _latency(out: Path, console: Console) -> None:
    from tickwire.sim.bench_latency import answers, order_rows, page, rooms
    from tickwire.sim.engine_build import library_of_top
    from tickwire.sim.machine import SIMULATED_TOP
    data = Path(os.environ.get("TICKWIRE_DATA", "../shared/data"))
    capture, name = data / "deribit" / "sample_capture_v1_6.pcapng", "Deribit's sample capture"
    if not capture.exists():
        capture, name = out / "traffic.pcap", "Generated traffic (no real capture was found)"
        write_traffic(capture, 1, 5_000)
    subprocess.run([str(tool_path("tickwire")), "replay", str(capture), "--out",
                    str(out / "replay")], check=True)
    summary = json.loads((out / "replay" / "summary.json").read_text())
    with Engine(library_of_top(SIMULATED_TOP)[0], event_records=1024) as engine:
        answered = answers(engine)
    text = page(measured=rooms(), answered=answered, orders=order_rows(summary), capture=name)
    Path("docs/latency.md").write_text(text)
    console.print("Written to docs/latency.md", highlight=False)


def _rooms(console: Console, seeds: int) -> None:
    from tickwire.sim.bench_rooms import measure, print_table, write_page
    with console.status("rooms") as status:
        rows = measure(seeds=seeds, progress=status.update)
    print_table(rows, console)
    write_page(rows, Path("docs/rooms.md"), seeds=seeds)


def _engines(packets: int, out: Path, console: Console) -> None:
    from tickwire.gateware.gateway import SimulatedGateway
    result = bench(SimulatedGateway, packets=packets, folder=out)
    (out / "bench.json").write_text(json.dumps(result, indent=1) + "\n")
    table = Table("engine", "cycles", "seconds", "cycles a second")
    for name in ("native", "cocotb"):
        one = result[name]
        table.add_row(name, f"{one['cycles']:,}", f"{one['seconds']:.2f}",
                      f"{one['cycles_per_second']:,}")
    console.print(table)
    console.print(f"The native engine is {result['ratio']} times as fast, on the same "
                  f"{result['packets']} packets in this run.", highlight=False)


if __name__ == "__main__":
    main(sys.argv[1:])
