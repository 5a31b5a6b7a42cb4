"""The toy gateway under cocotb: passes equal the native engine's, errors come home, waves open."""

from pathlib import Path

import numpy as np
import pytest
from tickwire.sim.cocotb_replay import passes_of, simulator
from tickwire.sim.cocotb_runner import simulate
from tickwire.sim.engine_build import WAVE_WIDTH
from tickwire.sim.machine import MachineError
from tickwire.sim.models.decisions import Rule
from tickwire.sim.passes import pass_runner
from tickwire.sim.plan import Capture, make_plan
from tickwire.sim.replay import PassOptions
from tickwire.sim.toy_gateway import ToyGateway
from tickwire.sim.traffic import write_traffic
from vcd_signals import read, starts, widths


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    path = tmp_path_factory.mktemp("cocotb") / "a.pcap"
    write_traffic(path, 1, 40, instruments=10)
    return make_plan(Capture(path))


@pytest.fixture(scope="module")
def built():
    return simulator(ToyGateway())


def test_recorded_time_with_skips_is_the_same_in_both_engines(built, plan):
    native, cocotb = (run(plan, [], PassOptions(timing="recorded", snapshots=True)) for run in (
        pass_runner("verilator", component=ToyGateway()), passes_of(built)))
    assert len(native.frames) == plan.golden.packets
    assert native.frames == cocotb.frames
    assert native.cycles == cocotb.cycles
    assert np.array_equal(native.received, cocotb.received)
    assert np.array_equal(native.raw_records, cocotb.raw_records)
    assert native.snapshots == cocotb.snapshots and native.snapshots


def test_an_error_in_the_simulator_comes_home(built, plan):
    rule = Rule(instrument_id=4711, trigger="book", buy_limit=1.0)
    with pytest.raises(MachineError, match="(?s)one_pass; the log is .*KeyError: 4711"):
        passes_of(built)(plan, [rule], PassOptions())


def test_what_the_source_cannot_send_is_refused(built):
    simulate(built, Path(__file__).with_name("cocotb_engine_words.py"))


def test_waves_of_the_first_pass(tmp_path, plan):
    """Looks ahead, which are copies of the whole simulator, are not in it."""
    file = tmp_path / "waves.vcd"
    run = pass_runner("cocotb", waves=file, component=ToyGateway())
    result = run(plan, [], PassOptions(snapshots=True))
    assert result.snapshots
    scopes, changes, _ = read(file)
    assert {"top", "component", "bank"} <= scopes
    assert max(widths(file).values()) <= WAVE_WIDTH
    came, left = (np.array(starts(changes[name])) for name in ("rx__payload", "tx"))
    offset = came[0] - int(result.received["start_word"][0])
    assert np.array_equal(came - offset, result.received["start_word"])
    assert (left - offset).tolist() == [frame.start_cycle for frame in result.frames]
