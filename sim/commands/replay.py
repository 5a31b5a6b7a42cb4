"""``tickwire replay``: runs a capture through the gateware and reports what it did."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from tickwire.sim.commands.common import check_venue, fail, progress_bar

if TYPE_CHECKING:
    from tickwire.sim.outcome import Outcome

__all__ = ["replay"]


class Timing(StrEnum):
    LINE_RATE = "line-rate"
    RECORDED = "recorded"


class EngineName(StrEnum):
    VERILATOR = "verilator"
    COCOTB = "cocotb"


def replay(
    capture: Annotated[Path, typer.Argument(
        help="A pcap or pcapng file of Ethernet frames.", show_default=False)],
    venue: Annotated[str, typer.Option(help="Whose market data: `deribit`.")] = "deribit",
    out: Annotated[Path, typer.Option(
        help="Folder for summary.json, orders.pcap, events.npy and report.html.")] = Path(
            "build/replay"),
    timing: Annotated[Timing, typer.Option(
        help="Back to back at 10 Gb/s, or at the recorded times; long idle is skipped by "
             "advancing the cycle counter.")] = Timing.LINE_RATE,
    engine: Annotated[EngineName, typer.Option(
        help="The native engine, or cocotb with Verilator: the same between other people's XGMII "
             "source and sink, and several times slower.",
    )] = EngineName.VERILATOR,
    raw: Annotated[bool, typer.Option(
        "--raw", help="Play frames as they are. Otherwise captures from a loopback interface get "
                      "proper addresses and checksums, and it is said how many.")] = False,
    waves: Annotated[bool, typer.Option(
        "--waves", help="Also write the waveforms of the first pass into waves.vcd: signals of the "
                        "top, the data path and each room in it, about 2 kB a cycle.")] = False,
    loaded: Annotated[bool, typer.Option(
        help="Also measure with host frames of 1,514 bytes sent as fast as possible.")] = True,
) -> None:
    """Run a capture through the simulated gateware: feed, books, strategy, risk, orders.

    The capture is played twice, once for each launch policy (and twice more while the host sends
    long frames). Each time the host package configures the gateway, thresholds are chosen from
    the capture itself, and everything that the gateware says is compared with models in plain
    Python: every ticker with the touch of the hardware's book, every later snapshot with all
    levels read back through the registers, every order with a decision list.

    Example: `tickwire replay sample.pcapng --out build/demo`, then open build/demo/report.html.
    """
    from tickwire.sim.capture import CaptureError
    from tickwire.sim.models.decisions import decide
    from tickwire.sim.models.demo_rules import demo_rules
    from tickwire.sim.outcome import evaluate, write_files
    from tickwire.sim.plan import Capture, make_plan
    from tickwire.sim.replay import PassOptions

    check_venue("replay", venue)
    try:
        source = Capture(capture, raw=raw)
        plan = make_plan(source)
    except CaptureError as error:
        fail("replay", error)
    _say_capture(plan.golden.packets, plan.rewritten, raw)
    if plan.left_out:
        typer.echo(f"{len(plan.left_out)} instruments have no place in the gateway's table and "
                   "are left out, the least busy ones")
    rules = demo_rules(source.packets)
    decisions = decide(source.packets(), rules)

    # The engine is made last: a wrong file must not cost a build of the gateware.
    from tickwire.sim.machine import MachineError
    from tickwire.sim.passes import pass_runner

    wanted = [PassOptions(policy=policy, timing=timing.value, loaded=heavy,
                          snapshots=policy == "after_fcs" and not heavy)
              for heavy in ((False, True) if loaded else (False,))
              for policy in ("after_fcs", "cut_through")]
    passes = []
    try:
        run = pass_runner(engine.value, waves=out / "waves.vcd" if waves else None,
                          progress=typer.echo)
        for number, options in enumerate(wanted, 1):
            text = (f"pass {number} of {len(wanted)}: {options.policy}"
                    + (", loaded transmitter" if options.loaded else ""))
            with progress_bar(text, plan.golden.packets) as bar:
                passes.append(run(plan, rules, options, bar))
    except MachineError as error:
        fail("replay", error)
    outcome = evaluate(plan, rules, decisions, passes, venue=venue)
    _show(outcome)
    try:
        for path in write_files(outcome, out):
            typer.echo(f"  {path}")
        if waves:
            typer.echo(f"  {out / 'waves.vcd'}")
    except OSError as error:
        fail("replay", f"{out}: cannot be written: {error.strerror}; give another --out")
    if not outcome.good and not raw:
        raise typer.Exit(1)


def _say_capture(packets: int, rewritten: dict[str, int], raw: bool) -> None:
    if raw:
        typer.echo(f"{packets:,} packets, played as they are")
    elif rewritten["packets"]:
        counts = ", ".join(f"{name.replace('_', ' ')} {count:,}"
                           for name, count in rewritten.items() if name != "packets" and count)
        typer.echo(f"{packets:,} packets, {rewritten['packets']:,} of them rewritten ({counts})")
    else:
        typer.echo(f"{packets:,} packets, none had to be rewritten")


def _show(outcome: Outcome) -> None:
    """The result in one screen."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    table = Table(box=box.SIMPLE, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_column()
    for name, one in outcome.comparisons().items():
        mark = "[green]equal[/]" if one.good else "[bold red]DIFFERENT[/]"
        table.add_row(name, f"{one.equal:,} of {one.checked:,}", mark)
    drops = sum(outcome.summary()["drops"].values())
    table.add_row("Dropped or set aside, all places", f"{drops:,}",
                  "[green]none[/]" if not drops else "[yellow]see summary.json[/]")
    console.print(table)
    for name, one in outcome.comparisons().items():
        for fault in one.faults[:3]:
            console.print(f"[red]{name}:[/] {fault}", soft_wrap=True)
    latency = Table(box=box.SIMPLE, title="Latency on the wire, XGMII word to XGMII word",
                    title_justify="left")
    for column in ("policy", "from … to the order's START", "trigger", "lane", "transmitter"):
        latency.add_column(column)
    for column in ("orders", "least, cycles", "most, cycles", "most, ns"):
        latency.add_column(column, justify="right")
    for each in outcome.measurements:
        case = each.case()
        latency.add_row(each.policy, each.what.removesuffix("_to_order").replace("_", " "),
                        each.trigger, str(each.lane), "loaded" if each.loaded else "idle",
                        str(case["count"]), str(case["min"]), str(case["max"]),
                        f"{max(each.cycles) * 6.4:.1f}")
    console.print(latency)
    run = outcome.first
    console.print(f"{run.cycles:,} cycles of {run.engine} in {run.wall_s:.1f} s "
                  f"({run.cycles / max(run.wall_s, 1e-9):,.0f} a second, checks included)")
