"""The engines of a replay: how a pass runs in each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from tickwire.sim.build_tools import ToolError
from tickwire.sim.cocotb_runner import CocotbError
from tickwire.sim.machine import RECORDS, SIMULATED_TOP, EngineMachine, MachineError
from tickwire.sim.models.decisions import Rule
from tickwire.sim.plan import Plan
from tickwire.sim.replay import PassOptions, PassResult, Progress, run_pass

__all__ = ["RunPass", "pass_runner"]


class RunPass(Protocol):
    """Runs one pass on a new machine; as :func:`tickwire.sim.replay.run_pass` otherwise."""

    def __call__(self, plan: Plan, rules: Sequence[Rule], options: PassOptions,
                 progress: Progress = ..., /) -> PassResult: ...


def pass_runner(engine: str, *, waves: Path | None = None,
                progress: Callable[[str], None] | None = None, component: Any = None) -> RunPass:
    """What runs passes in an engine; the gateware is compiled here, once.

    Parameters
    ----------
    engine : str
        ``"verilator"``, the native engine, or ``"cocotb"``.
    waves : Path
        The first pass writes its waveforms into this file, a VCD.
    progress : callable
        Gets a sentence before each long step of compiling.
    component : Component
        Another top than the gateway in its default configuration.

    Raises
    ------
    MachineError
        If the engine is not known, not installed or cannot be built, or the waves cannot be
        written; from the runner, if a pass cannot run.
    """
    if waves is not None:
        try:
            waves.parent.mkdir(parents=True, exist_ok=True)
            waves.touch()
        except OSError as error:
            raise MachineError(f"{waves}: cannot be written: {error.strerror}; give another "
                               "--out") from error
    try:
        if engine == "verilator":
            return _native(waves, progress, component)
        if engine == "cocotb":
            from tickwire.sim.cocotb_replay import passes_in_cocotb

            return passes_in_cocotb(waves, progress, component)
    except (ToolError, CocotbError) as error:
        raise MachineError(str(error)) from error
    raise MachineError(f"there is no engine {engine!r} for replays; use verilator or cocotb")


def _native(waves: Path | None, progress: Callable[[str], None] | None,
            component: Any) -> RunPass:
    from tickwire.sim.engine import Engine
    from tickwire.sim.engine_build import build_library, library_of_top

    traced = waves is not None
    if component is None:
        library, _ = library_of_top(SIMULATED_TOP, waves=traced, progress=progress)
    else:
        library = build_library(component, waves=traced, progress=progress)
    files = [waves]

    def run(plan: Plan, rules: Sequence[Rule], options: PassOptions,
            progress: Progress = lambda packet: None) -> PassResult:
        machine = EngineMachine(Engine(library, event_records=RECORDS,
                                       waves=files.pop() if files else None))
        try:
            return run_pass(machine, plan, rules, options, progress)
        finally:
            machine.close()

    return run
