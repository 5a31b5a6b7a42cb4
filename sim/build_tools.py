"""Runs the tools that come as Python wheels (YoWASP), each as a process of its own with a log."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sysconfig
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from amaranth.back import rtlil
from amaranth.hdl import ClockDomain, Fragment, Signal, Value
from amaranth.hdl._ir import PortDirection
from amaranth.hdl._xfrm import DomainCollector
from amaranth.lib.wiring import In

__all__ = ["ToolError", "component_ports", "content_hash", "leave_unnamed_out",
           "leave_zeros_out", "run_tool",
           "to_rtlil", "tool_path"]


class ToolError(RuntimeError):
    """A tool failed. The message names the tool, its exit status, its log and the log's end."""


def tool_path(name: str) -> Path:
    """Where this Python environment has the command ``name``.

    Raises
    ------
    ToolError
        If it is not installed.
    """
    path = Path(sysconfig.get_path("scripts")) / name
    if not path.exists():
        raise ToolError(f"The tool {name} is not installed beside this Python: run `make setup`.")
    return path


def run_tool(name: str, arguments: Sequence[str], *, cwd: Path, log: Path,
             on_line: Callable[[str], None] | None = None) -> str:
    """Run a tool in the folder ``cwd``, write what it prints to ``log`` and return it.

    File names among the arguments have to be relative to ``cwd``: a YoWASP tool sees a private
    ``/tmp``, so absolute paths do not work everywhere.

    Parameters
    ----------
    on_line : callable
        Called with every line as it is printed, for progress.

    Raises
    ------
    ToolError
        If the tool is missing or ends with another status than 0.
    """
    command = [str(tool_path(name)), *arguments]
    # A tool starts others by their bare names (SymbiYosys its solvers).
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", "")])
    lines: list[str] = []
    with log.open("w", buffering=1) as file, subprocess.Popen(
            command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace",
            env={**os.environ, "PATH": path}) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                file.write(line)
                lines.append(line)
                if on_line is not None:
                    on_line(line)
        except BaseException:
            process.terminate()
            raise
    if process.returncode:
        tail = "".join(lines[-30:])
        raise ToolError(f"{name} ended with status {process.returncode}; its log is {log} and "
                        f"ends with:\n{tail}")
    return "".join(lines)


def component_ports(component: Any) -> dict[str, tuple[Signal, PortDirection]]:
    """The ports of a component by their flat names (``i__payload``), each with its direction.

    Members that are constants (``ready`` of an ``always_ready`` stream) have no port.
    """
    ports: dict[str, tuple[Signal, PortDirection]] = {}
    for path, member, port in component.signature.flatten(component):
        value = Value.cast(port)
        if isinstance(value, Signal):
            direction = PortDirection.Input if member.flow == In else PortDirection.Output
            ports["__".join(map(str, path))] = (value, direction)
    return ports


def to_rtlil(component: Any, *, name: str = "top", one_clock: bool = False) -> str:
    """RTLIL of a component, without source locations, so that comments do not change it.

    Parameters
    ----------
    name : str
        Name of the top module.
    one_clock : bool
        All open domains have the clock ``clk``, and none has a reset. For a simulator without
        events that is a third of the work: what registers take depends on a reset, and is computed
        anew whenever an input or another clock could have changed.
    """
    ports = component_ports(component)
    fragment = Fragment.get(component, platform=None)
    # Left to itself, Amaranth makes the domains that are still open in the order of a set: it
    # differs from process to process, and what was built once would be built again.
    domains = DomainCollector()
    domains(fragment)
    clock = Signal(name="clk")
    for domain in map(ClockDomain, sorted(domains.used_domains - domains.defined_domains
                                          - {"comb"})):
        fragment.add_domains(domain)
        if one_clock:
            domain.clk = clock
            ports["clk"] = (clock, PortDirection.Input)
            continue
        for signal in (domain.clk, domain.rst):
            ports[signal.name] = (signal, PortDirection.Input)
    return rtlil.convert(fragment, name=name, ports=ports, emit_src=False)


def leave_unnamed_out(verilog: Path) -> None:
    """Let Verilator's waves do without the nets that nobody has named, in a file of yosys'.

    They are most of all nets, and a name that begins with ``$`` is none in a VCD file. Verilator
    does not trace a name that begins with an underscore.
    """
    verilog.write_text(verilog.read_text().replace("\\$", "\\_$"))


def leave_zeros_out(verilog: Path) -> None:
    """Let Verilator do without the zeros that memories begin with, in a file of yosys'.

    With ``--x-initial fast`` they are there anyway, and they would be most of all C++.
    """
    def others(block: re.Match[str]) -> str:
        return re.sub(r"^ +(?:\\\S+ |\w+)\[\d+\] = \d+'h0+;\n", "", block[0], flags=re.MULTILINE)

    verilog.write_text(re.sub(r"^  initial begin\n.*?^  end\n", others, verilog.read_text(),
                              flags=re.MULTILINE | re.DOTALL))


def content_hash(*parts: str) -> str:
    """First 16 hexadecimal digits of a SHA-256 over all parts."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode())
        digest.update(b"\0")
    return digest.hexdigest()[:16]
