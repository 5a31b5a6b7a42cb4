"""The real capture through the whole gateway: all that it says and sends is as decided before."""

import shutil
import subprocess
from dataclasses import replace
from itertools import islice

import pytest
from gateway_bench import Changed, Session, capture_path, machine
from tickwire.sim import checks
from tickwire.sim.latency import from_probes, from_wire
from tickwire.sim.outcome import evaluate, write_files
from tickwire.sim.plan import Capture
from tickwire.sim.replay import PassOptions, run_pass
from tickwire.sim.rewrite import flip_bits

POLICIES = ("after_fcs", "cut_through")
CYCLES = {("after_fcs", "book"): 10, ("after_fcs", "ticker"): 10,
          ("cut_through", "book"): 10, ("cut_through", "ticker"): 9}


def run(plan, rules, **options):
    return run_pass(machine(), plan, rules, PassOptions(**options))


@pytest.fixture(scope="module")
def session():
    return Session.of(Capture(capture_path()))


@pytest.fixture(scope="module")
def outcome(session):
    passes = [run(session.plan, session.rules, policy=policy, snapshots=policy == "after_fcs")
              for policy in POLICIES]
    return evaluate(session.plan, session.rules, session.decisions, passes)


def test_each_ticker_and_snapshot_is_equal(outcome):
    assert (outcome.tickers.checked, outcome.tickers.equal) == (3441, 3441)
    assert (outcome.snapshots.checked, outcome.snapshots.equal) == (110, 110)
    assert not outcome.tickers.faults + outcome.snapshots.faults


@pytest.mark.parametrize("policy", POLICIES)
def test_orders_are_the_decision_list(outcome, session, policy):
    assert len(session.decisions) == 162
    assert outcome.orders[policy].equal == outcome.frames[policy].equal == 162
    assert not outcome.orders[policy].faults + outcome.frames[policy].faults


def test_one_latency_in_each_case(outcome):
    found = {(one.policy, one.trigger, one.lane): set(one.cycles) for one in outcome.measurements}
    assert found == {(policy, trigger, lane): {cycles} for (policy, trigger), cycles
                     in CYCLES.items() for lane in (0, 4)}


def test_probes_say_what_the_wire_shows(outcome, session):
    for one in outcome.passes:
        policy = one.options.policy
        assert (from_probes(one.records["ORDER"], policy).tolist()
                == from_wire(one.frames, session.decisions, one.received, policy).tolist())


def test_nothing_is_dropped(outcome):
    for one in outcome.passes:
        assert not any(checks.drops(one.counters).values())
        assert not one.stale
        assert one.counters["RX_GOOD"] == one.counters["FEED_GOOD"] == 5066
        assert not checks.refusals(one.records["ORDER"])


def test_tshark_finds_nothing_wrong(outcome, tmp_path):
    tshark = shutil.which("tshark")
    if tshark is None:
        pytest.skip("no tshark on PATH: install Wireshark's command line")
    write_files(outcome, tmp_path)
    for name in ("orders.pcap", "orders-cut_through.pcap"):
        shown = subprocess.run(
            [tshark, "-n", "-r", str(tmp_path / name), "-o", "ip.check_checksum:TRUE",
             "-o", "tcp.check_checksum:TRUE", "-o", "tcp.analyze_sequence_numbers:TRUE",
             "-T", "fields", "-e", "frame.number", "-e", "ip.checksum.status",
             "-e", "tcp.checksum.status", "-e", "_ws.expert.message", "-e", "_ws.malformed"],
            capture_output=True, text=True, check=True).stdout.splitlines()
        assert len(shown) == 162
        # Status 1 is "good". Wireshark remarks once that it has not seen the connection open.
        assert {line.split("\t")[1] for line in shown} == {"1"}
        assert {line.split("\t")[2] for line in shown} == {"1"}
        remarks = {line.split("\t", 3)[3].strip() for line in shown}
        assert remarks == {""}, remarks


def test_one_corrupted_level_makes_both_figures_fall():
    """Behind right checksums a level's amount is wrong: only the comparisons can see it."""
    path = capture_path()
    short = Session.of(Changed(path, change=lambda packets: islice(packets, 2600)))
    plan = replace(short.plan, capture=Changed(
        path, change=lambda packets: flip_bits(islice(packets, 2600), 1756, 259, 1)))
    found = evaluate(plan, short.rules, short.decisions,
                     [run(plan, short.rules, snapshots=True)])
    assert 0 < found.tickers.equal < found.tickers.checked
    assert 0 < found.snapshots.equal < found.snapshots.checked
    assert not any(checks.drops(found.first.counters).values())
