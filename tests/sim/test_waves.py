"""Waveforms of the first pass: they open, begin at time 0, and show what came and left when."""

import numpy as np
import pytest
from tickwire.sim.engine import Engine
from tickwire.sim.engine_build import WAVE_WIDTH, build_library
from tickwire.sim.machine import MachineError
from tickwire.sim.passes import pass_runner
from tickwire.sim.plan import Capture, make_plan
from tickwire.sim.replay import PassOptions
from tickwire.sim.toy_gateway import ToyGateway
from tickwire.sim.traffic import write_traffic
from vcd_signals import CYCLE_PS, read, starts, widths


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    path = tmp_path_factory.mktemp("waves") / "a.pcap"
    write_traffic(path, 1, 40, instruments=10)
    return make_plan(Capture(path))


def test_the_first_pass_is_written(tmp_path, plan):
    """Looks ahead are not in it, and neither is a second pass."""
    file = tmp_path / "out" / "waves.vcd"
    run = pass_runner("verilator", waves=file, component=ToyGateway())
    result = run(plan, [], PassOptions(snapshots=True))
    assert result.snapshots
    written = file.stat().st_size
    run(plan, [], PassOptions(policy="cut_through"))
    assert file.stat().st_size == written
    scopes, changes, end = read(file)
    assert {"gateway", "bank"} <= scopes
    assert starts(changes["rx__payload"]) == result.received["start_word"].tolist()
    assert starts(changes["tx"]) == [frame.start_cycle for frame in result.frames]
    assert len(changes["clk"]) == 2 * (end + CYCLE_PS // 2) // CYCLE_PS


def test_neither_nets_without_a_name_nor_wide_ones_are_in_it(tmp_path):
    library = build_library(ToyGateway(), waves=True)
    with Engine(library, waves=tmp_path / "waves.vcd") as engine:
        engine.idle(10)
    found = widths(tmp_path / "waves.vcd")
    assert found["tx"] == 72 and not [name for name in found if name.startswith(("$", "_"))]
    assert max(found.values()) <= WAVE_WIDTH


def test_time_goes_on_over_what_is_skipped(tmp_path):
    library = build_library(ToyGateway(), waves=True)
    with Engine(library, waves=tmp_path / "waves.vcd") as engine:
        engine.idle(10)
        engine.skip(1000)
        engine.run(np.zeros(1, np.uint64), np.zeros(1, np.uint8))
    _, changes, _ = read(tmp_path / "waves.vcd")
    assert changes["rx__payload"][-1] == (1010 * CYCLE_PS, 0)


def test_where_there_can_be_no_waves_it_says_so(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(MachineError, match="waves.vcd: cannot be written.*give another --out"):
        pass_runner("verilator", waves=tmp_path / "file" / "waves.vcd")
    with pytest.raises(ValueError, match="was built without waves"):
        Engine(build_library(ToyGateway()), waves=tmp_path / "waves.vcd")
    with pytest.raises(ValueError, match="cannot be written, or"):
        Engine(build_library(ToyGateway(), waves=True), waves=tmp_path / "no" / "waves.vcd")


@pytest.mark.parametrize("engine, told", [
    ("verilator", "The compiler g[+][+] is not on PATH: install"),
    ("cocotb", "Building gateway with verilator failed: .")])
def test_an_engine_that_cannot_be_built_says_why(engine, told, tmp_path, monkeypatch):
    monkeypatch.setenv("TICKWIRE_BUILD", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(MachineError, match=told):
        pass_runner(engine, component=ToyGateway())


def test_other_engines_are_refused():
    with pytest.raises(MachineError, match="no engine 'spice' for replays; use verilator or co"):
        pass_runner("spice")
