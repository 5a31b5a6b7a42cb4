"""The replay's machine on a toy gateway: real registers, real engine, no market."""

import numpy as np
import pytest
from tickwire.sim.engine import Engine
from tickwire.sim.engine_build import build_library
from tickwire.sim.event_records import split
from tickwire.sim.machine import EngineMachine
from tickwire.sim.models.demo_rules import demo_rules
from tickwire.sim.plan import Capture, make_plan
from tickwire.sim.replay import PassOptions, run_pass
from tickwire.sim.toy_gateway import ToyGateway
from tickwire.sim.traffic import write_traffic
from tickwire.sim.wire_words import frames_to_words


@pytest.fixture(scope="module")
def library():
    return build_library(ToyGateway())


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    path = tmp_path_factory.mktemp("machine") / "a.pcap"
    write_traffic(path, 1, 200, instruments=10)
    return make_plan(Capture(path))


@pytest.fixture
def machine(library):
    made = EngineMachine(Engine(library))
    yield made
    made.close()


def test_a_pass_through_the_real_engine(machine, plan):
    """The toy echoes every frame and makes a record of each START."""
    rules = demo_rules(plan.capture.packets)
    result = run_pass(machine, plan, rules, PassOptions())
    sent = [packet.data for packet in plan.capture.packets()]
    assert [frame.data for frame in result.frames] == sent
    assert all(frame.fcs_good and frame.intact for frame in result.frames)
    # Two cycles later, lane by lane: input and output count cycles alike.
    starts = np.array([frame.start_cycle for frame in result.frames])
    assert set((starts - result.received["start_word"].astype(int)).tolist()) == {2}
    assert result.counters["RX_GOOD"] == len(sent)
    assert len(result.records["BOOK"]) > 0
    assert result.engine == "verilator"


def test_skipped_idle_is_counted_as_the_engine_counts_it(machine, plan):
    result = run_pass(machine, plan, [], PassOptions(timing="recorded"))
    starts = np.array([frame.start_cycle for frame in result.frames])
    assert len(starts) == plan.golden.packets
    assert set((starts - result.received["start_word"].astype(int)).tolist()) == {2}


def test_a_fork_reads_levels_and_the_run_goes_on(machine, plan):
    machine.configure(plan, [], PassOptions())
    chunk = frames_to_words([bytes(range(60))] * 4, tail=20)
    half = int(chunk.frames["end_word"][1]) + 1
    machine.take_frames()
    before = machine.cycles
    machine.run(chunk.data[:half], chunk.control[:half], chunk.skips)
    looked = machine.branch(lambda: (machine.idle(100), machine.cycles))
    assert looked.result()[1] == before + half + 100
    assert machine.cycles == before + half
    machine.run(chunk.data[half:], chunk.control[half:], chunk.skips)
    frames = machine.take_frames()
    assert len(frames) == 4
    assert frames[-1].end_cycle - frames[0].start_cycle < len(chunk)
    assert len(split(machine.take_records())["BOOK"]) == 4
    assert len(machine.take_records()) == 0
