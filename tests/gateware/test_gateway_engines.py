"""A replay between cocotbext-eth's source and sink says what one in the native engine says."""

import json

import numpy as np
import pytest
from gateway_bench import Session, small_simulator
from tickwire.sim.capture import write_pcap
from tickwire.sim.cocotb_replay import passes_of
from tickwire.sim.outcome import evaluate, write_files
from tickwire.sim.passes import pass_runner
from tickwire.sim.plan import Capture
from tickwire.sim.replay import PassOptions
from tickwire.sim.traffic import DeribitTraffic

PACKETS = 150
DEPTH = 13                  # levels of a side: what SMALL holds, and some more
POLICIES = ("after_fcs", "cut_through")


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    traffic = DeribitTraffic(1, instruments=10)
    traffic.instruments = [one for one in traffic.instruments if one.depth <= DEPTH]
    path = tmp_path_factory.mktemp("engines") / "traffic.pcap"
    write_pcap(path, traffic.frames(PACKETS))
    return Session.of(Capture(path))


@pytest.fixture(scope="module")
def outcomes(session):
    """The native engine has the default sizes, cocotb small ones: that must not show."""
    found = {}
    for engine, run in (("verilator", pass_runner("verilator")),
                        ("cocotb", passes_of(small_simulator()))):
        told = []
        passes = [run(session.plan, session.rules,
                      PassOptions(policy=policy, snapshots=policy == "after_fcs"), told.append)
                  for policy in POLICIES]
        assert max(told) == PACKETS
        found[engine] = evaluate(session.plan, session.rules, session.decisions, passes)
        assert found[engine].first.engine == engine
    return found


@pytest.fixture(params=POLICIES)
def both(request, outcomes):
    """The two engines' passes under one policy."""
    return [outcome.passes[POLICIES.index(request.param)] for outcome in outcomes.values()]


def test_books_and_tickers_are_those_of_the_golden_model(outcomes):
    for outcome in outcomes.values():
        assert outcome.tickers.good and outcome.tickers.equal > 100
        assert outcome.snapshots.good and outcome.snapshots.equal > 5


def test_every_frame_leaves_in_the_same_cycle(both):
    native, cocotb = both
    assert len(native.frames) > 20
    assert native.frames == cocotb.frames
    assert np.array_equal(native.received, cocotb.received)
    assert native.cycles == cocotb.cycles


def test_records_are_the_same_to_the_last_byte(both):
    native, cocotb = both
    assert all(len(native.records[kind]) > 20 for kind in ("BOOK", "TICKER", "ORDER"))
    assert np.array_equal(native.raw_records, cocotb.raw_records)


def test_what_the_host_reads_is_the_same(both):
    native, cocotb = both
    assert native.counters == cocotb.counters
    assert native.counters["RX_GOOD"] == PACKETS
    assert native.snapshots == cocotb.snapshots
    assert native.stale == cocotb.stale


def test_the_files_are_the_same(outcomes, tmp_path):
    written = []
    for name, outcome in outcomes.items():
        write_files(outcome, tmp_path / name)
        files = {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
        summary = json.loads(files.pop("summary.json"))
        for part in (summary, *summary["passes"]):
            del part["wall_s"]
        assert summary.pop("engine") == name
        assert name.encode() in files.pop("report.html")
        written.append((summary, files))
    assert written[0] == written[1]
    assert sorted(written[0][1]) == ["events.npy", "orders-cut_through.pcap", "orders.pcap"]
