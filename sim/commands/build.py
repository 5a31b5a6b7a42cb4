"""``tickwire build``: routes the core and tells how fast and how large it is."""

from __future__ import annotations

import datetime
import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from tickwire.sim.build import Core, Part, build_core, prepare
from tickwire.sim.build_record import RouteRecord, RouteRegressionError
from tickwire.sim.build_tools import ToolError

__all__ = ["build"]

ROOT = Path("build/core")
RECORD = Path("docs/route.json")


def build(
    what: Annotated[str, typer.Argument(help="What to build: `core`.")],
    part: Annotated[str, typer.Option(help="An ECP5, as LFE5UM5G-85F-8.")] = "LFE5UM5G-85F-8",
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds of the placer to try.")] = 3,
    record: Annotated[bool, typer.Option(
        "--record", help=f"Enter the result into {RECORD}.")] = False,
    because: Annotated[str, typer.Option(
        help="With --record: why the core may be slower or larger than before.")] = "",
    check: Annotated[bool, typer.Option(
        "--check", help=f"Compare with {RECORD}; route only if the core is not in it.")] = False,
) -> None:
    """Synthesise, place and route the whole core in its default configuration.

    The core's ports are tied to a ring of registers, so that nothing is optimised away and every
    path starts and ends in a register. The result is printed and written to
    build/core/timing.json; what was routed once is not routed again while the netlist is the same.
    """
    console = Console()
    try:
        if what != "core":
            raise ValueError(f"There is nothing called {what!r} to build: only `core`.")
        chosen = Part(part)
        core = _default_core(chosen)

        def route(numbers: Sequence[int]) -> Mapping[str, Any]:
            return _route(core, numbers, console)

        if check:
            console.print(RouteRecord(RECORD).check(core.key, route), highlight=False)
            return
        timing = route(range(1, seeds + 1))
        _show(timing, console)
        if record:
            RouteRecord(RECORD).add(timing, date=datetime.date.today().isoformat(),
                                    revision=_revision(), because=because)
            console.print(f"Entered into {RECORD}.", highlight=False)
    except (ValueError, ToolError, RouteRegressionError) as error:
        typer.echo(f"tickwire build: {error}", err=True)
        raise typer.Exit(1 if isinstance(error, RouteRegressionError) else 2) from error


def _default_core(part: Part) -> Core:
    from tickwire.gateware.config import GatewayConfig
    from tickwire.gateware.gateway import Gateway
    config = GatewayConfig()
    return prepare(Gateway(config), part, domains={"rx": "rx"}, config=config)


def _route(core: Core, seeds: Sequence[int], console: Console) -> Mapping[str, Any]:
    with console.status("") as status:
        def progress(phase: str) -> None:
            status.update(phase)
            if not console.is_terminal:
                console.print(phase, highlight=False)

        timing = build_core(core, seeds=seeds, root=ROOT, progress=progress)
    (ROOT / "timing.json").write_text(json.dumps(timing, indent=1) + "\n")
    return timing


def _show(timing: Mapping[str, Any], console: Console) -> None:
    clocks = list(timing["fmax_mhz_median"])
    speed = Table("seed", *(f"{clock}, MHz" for clock in clocks), title=f"Fmax on {timing['part']}")
    for run in timing["seeds"]:
        speed.add_row(str(run["seed"]), *(f"{run['fmax_mhz'][clock]:.1f}" for clock in clocks))
    speed.add_row("median", *(f"{timing['fmax_mhz_median'][clock]:.1f}" for clock in clocks))
    size = Table("cells", "used", "available", title="Size, with the ring")
    for kind, cells in timing["cells"].items():
        if isinstance(cells, dict):
            size.add_row(kind.replace("_", " "), f"{cells['used']:,}", f"{cells['available']:,}")
    console.print(speed, size)
    for path in timing["worst_paths"]:
        console.print(f"seed {path['seed']}, {path['clock']}: {path['delay_ns']} ns "
                      f"({path['routing_ns']} of it routing), {path['levels']} levels, "
                      f"{path['from']} → {path['to']}", highlight=False, soft_wrap=True)
    console.print(f"Written to {ROOT / 'timing.json'}", highlight=False)


def _revision() -> str:
    """The commit that is checked out; the netlist's hash says what was really routed."""
    found = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], capture_output=True,
                           text=True, check=False)
    return found.stdout.strip()
