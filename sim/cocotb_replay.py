"""A replay under cocotb: a simulator for each pass, which runs the whole pass inside of it."""

from __future__ import annotations

import contextlib
import pickle
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tickwire.sim.cocotb_runner import CocotbError, build, simulate
from tickwire.sim.engine_build import (
    WAVE_LEVELS,
    WAVE_WIDTH,
    build_folder,
    component_of_top,
    source_key,
)
from tickwire.sim.leaf_ports import LeafPorts
from tickwire.sim.machine import SIMULATED_TOP, MachineError
from tickwire.sim.models.decisions import Rule
from tickwire.sim.plan import Plan
from tickwire.sim.replay import PassOptions, PassResult, Progress

if TYPE_CHECKING:
    from tickwire.sim.passes import RunPass

__all__ = ["passes_in_cocotb", "passes_of", "simulator", "simulator_of_top"]

WATCH_S = 0.2               # how often it is looked how far a pass is


def simulator(component: Any, *, waves: bool = False) -> Path:
    """A simulator of a top with the ports of :class:`tickwire.sim.engine.Engine`, for `simulate`.

    Its waves have the signals that the native engine's have.
    """
    # The gateway is a level deeper than there: in LeafPorts, which is the top.
    return build(LeafPorts(component), name="gateway", waves=waves, wave_levels=WAVE_LEVELS + 1,
                 wave_width=WAVE_WIDTH, timescale=("1ns", "1fs"),
                 build_root=build_folder() / "cocotb")


def simulator_of_top(top: str, *, waves: bool = False,
                     progress: Callable[[str], None] | None = None) -> Path:
    """The same for a top named as ``module:class``; nothing is elaborated if no source changed."""
    known = build_folder() / "cocotb" / "tops" / source_key(top, version("cocotb"),
                                                            "waves" * waves)
    if known.exists() and (built := Path(known.read_text())).exists():
        return built
    if progress is not None:
        progress("The gateware is compiled for cocotb, which takes some minutes the first time")
    built = simulator(component_of_top(top), waves=waves)
    known.parent.mkdir(exist_ok=True)
    known.write_text(str(built))
    return built


def passes_in_cocotb(waves: Path | None, progress: Callable[[str], None] | None,
                     component: Any) -> RunPass:
    """See :func:`tickwire.sim.passes.pass_runner`."""
    if not all(map(find_spec, ("cocotb", "cocotbext", "cocotbext.eth"))):
        raise MachineError("the engine cocotb needs cocotb and cocotbext-eth, which come with "
                           "`make setup` or `pip install 'tickwire[test]'`")
    traced = waves is not None
    return passes_of(simulator_of_top(SIMULATED_TOP, waves=traced, progress=progress)
                     if component is None else simulator(component, waves=traced), waves)


def passes_of(built: Path, waves: Path | None = None) -> RunPass:
    """Passes in what :func:`simulator` has made; the first one writes waves."""
    files = [waves]

    def run(plan: Plan, rules: Sequence[Rule], options: PassOptions,
            progress: Progress = lambda packet: None) -> PassResult:
        return _pass(built, (plan, rules, options), files.pop() if files else None, progress)

    return run


def _pass(built: Path, order: tuple[Plan, Sequence[Rule], PassOptions], waves: Path | None,
          progress: Progress) -> PassResult:
    plan, *rest = order
    # The simulator has a folder of its own.
    absolute = replace(plan, capture=replace(plan.capture, path=plan.capture.path.resolve()))
    with tempfile.TemporaryDirectory(prefix="tickwire-replay-") as name:
        folder = Path(name)
        (folder / "order.pickle").write_bytes(pickle.dumps((absolute, *rest)))
        try:
            with _watched(folder / "progress", progress):
                where = simulate(built, "tickwire.sim.cocotb_pass", parameters={"folder": name},
                                 waves=waves is not None)
        except CocotbError as error:
            raise MachineError(str(error)) from error
        if waves is not None:
            shutil.move(where / "dump.vcd", waves)
        shutil.rmtree(where)
        result: PassResult = pickle.loads((folder / "result.pickle").read_bytes())
    return result


@contextlib.contextmanager
def _watched(file: Path, progress: Progress) -> Iterator[None]:
    """Tells of the packet number that the simulator writes into a file; the last one as well."""
    done = threading.Event()

    def watch() -> None:
        ended = False
        while not ended:
            ended = done.wait(WATCH_S)
            with contextlib.suppress(OSError, ValueError):
                progress(int(file.read_text()))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
