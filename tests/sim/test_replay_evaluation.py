"""Replay, comparisons, latencies and summary, on a machine that is made of the golden model."""

import copy
import json

import numpy as np
import pytest
from fake_machine import FakeMachine, order_frame
from tickwire.sim.checks import compare_frames
from tickwire.sim.latency import from_probes, from_wire
from tickwire.sim.models.decisions import decide
from tickwire.sim.models.demo_rules import demo_rules
from tickwire.sim.models.starbase import StarbaseError, check_session, parse_order
from tickwire.sim.outcome import evaluate, match, write_files
from tickwire.sim.plan import Capture, make_plan
from tickwire.sim.replay import PassOptions, run_pass
from tickwire.sim.traffic import write_traffic

POLICIES = ("after_fcs", "cut_through")


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    path = tmp_path_factory.mktemp("replay") / "traffic.pcap"
    write_traffic(path, 3, 1500, instruments=20)
    return make_plan(Capture(path))


@pytest.fixture(scope="module")
def rules(plan):
    return demo_rules(plan.capture.packets)


@pytest.fixture(scope="module")
def decisions(plan, rules):
    return decide(plan.capture.packets(), rules)


def run(plan, rules, machine=None, **options):
    return run_pass(machine or FakeMachine(), plan, rules, PassOptions(**options))


@pytest.fixture(scope="module")
def outcome(plan, rules, decisions):
    passes = [run(plan, rules, policy=policy, snapshots=policy == "after_fcs")
              for policy in POLICIES]
    passes.append(run(plan, rules, FakeMachine(jitter=40), policy="after_fcs", loaded=True))
    return evaluate(plan, rules, decisions, passes)


def test_all_is_equal(outcome, decisions):
    assert outcome.good, {k: v.faults for k, v in outcome.comparisons().items()}
    assert outcome.tickers.checked == outcome.plan.golden.figures()["tickers_checked"] > 500
    assert outcome.snapshots.checked == len(outcome.plan.golden.books.snapshots) > 20
    for policy in POLICIES:
        assert outcome.orders[policy].equal == len(decisions) > 20
        assert outcome.frames[policy].equal == len(decisions)


def test_summary_has_what_was_asked_for(outcome, decisions, tmp_path):
    paths = write_files(outcome, tmp_path / "out")
    assert [path.name for path in paths] == ["summary.json", "orders.pcap",
                                             "orders-cut_through.pcap", "events.npy",
                                             "report.html"]
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert {"capture", "sha256", "venue", "engine", "cycles", "wall_s", "packets", "rewritten",
            "messages", "book", "orders", "latency", "drops"} <= set(summary)
    assert {"instruments", "level_changes", "tickers_checked", "tickers_equal",
            "tickers_before_book", "snapshots_checked", "snapshots_equal", "max_depth",
            "stale_instruments"} <= set(summary["book"])
    assert summary["orders"]["sent"] == len(decisions)
    assert summary["orders"]["refused"] == {}
    for policy, what in (("after_fcs", "frame_end_to_order"), ("cut_through", "message_to_order"),
                         ("cut_through", "book_to_order")):
        found = summary["latency"][policy][what]
        assert {"unit", "count", "min", "max", "histogram"} == set(found)
        assert sum(found["histogram"].values()) == found["count"] > 5
        assert found["min"] == found["max"]
    assert summary["drops"] == {"rx_fcs_error": 0, "feed_gap": 0}
    events = np.load(tmp_path / "out" / "events.npy")
    assert (np.diff(events["sequence"].astype(int)) == 1).all()
    assert set(events["kind"]) == {"BOOK", "TICKER", "ORDER"}
    tickers = outcome.plan.golden.books.tickers
    mine = events[events["kind"] == "TICKER"]
    assert mine["bid_price"].tolist() == [check.ticker[0] for check in tickers]
    assert not np.isnan(mine["ask_amount"]).any()


def test_loaded_passes_have_rows_of_their_own(outcome):
    loaded = [one for one in outcome.measurements if one.loaded]
    assert {max(one.cycles) for one in loaded} == {49}
    idle = [one for one in outcome.measurements if not one.loaded]
    assert all(max(one.cycles) == min(one.cycles) <= 9 for one in idle)
    assert {(one.policy, one.trigger, one.lane) for one in idle} == {
        (policy, trigger, lane) for policy in POLICIES for trigger in ("book", "ticker")
        for lane in (0, 4)}


def test_probes_agree_with_the_wire(plan, rules, decisions):
    for policy in POLICIES:
        for timing in ("line-rate", "recorded"):
            result = run(plan, rules, policy=policy, timing=timing)
            probes = from_probes(result.records["ORDER"], policy)
            wire = from_wire(result.frames, decisions, result.received, policy)
            assert probes.tolist() == wire.tolist()


def test_recorded_time_gives_the_same_as_line_rate(plan, rules, decisions):
    result = run(plan, rules, policy="after_fcs", timing="recorded", snapshots=True)
    found = evaluate(plan, rules, decisions, [result])
    assert found.good, {k: v.faults for k, v in found.comparisons().items()}
    line = run(plan, rules, policy="after_fcs")
    assert result.cycles > 2 * line.cycles


def test_one_wrong_level_is_seen_by_tickers_and_snapshots(plan, rules, decisions):
    result = run(plan, rules, FakeMachine(break_level=60), snapshots=True)
    found = evaluate(plan, rules, decisions, [result])
    assert found.tickers.equal < found.tickers.checked
    assert found.snapshots.equal < found.snapshots.checked
    assert not found.good and "Ticker" in found.tickers.faults[0]


def test_a_missing_ticker_record_does_not_shift_the_others(plan, rules, decisions):
    checks = plan.golden.books.tickers
    packet = next(check.packet for check in checks[300:] if check.touch)
    found = evaluate(plan, rules, decisions,
                     [run(plan, rules, FakeMachine(drop_ticker=packet), snapshots=True)])
    assert found.tickers.checked - found.tickers.equal == sum(
        check.packet == packet for check in checks)
    assert "no record of this Ticker" in found.tickers.faults[0]


def test_snapshots_that_were_not_read_or_stale_are_not_equal(plan, rules, decisions):
    result = run(plan, rules, snapshots=True)
    first, second = list(result.snapshots)[:2]
    del result.snapshots[first]
    result.snapshots[second] = None
    found = evaluate(plan, rules, decisions, [result])
    assert found.snapshots.checked - found.snapshots.equal == 2
    assert "the book was not read" in "".join(found.snapshots.faults)
    assert "the book is stale" in "".join(found.snapshots.faults)


@pytest.mark.parametrize("name, value", [("instrument", 3), ("side", 1), ("price", 12345),
                                         ("quantity", 77), ("reason", 5)])
def test_every_part_of_an_order_is_compared(outcome, plan, rules, decisions, name, value):
    result = copy.copy(outcome.first)
    orders = result.records["ORDER"].copy()
    orders[name][4] = value if orders[name][4] != value else 0
    result.records = {**result.records, "ORDER": orders}
    found = evaluate(plan, rules, decisions, [result])
    assert not found.orders["after_fcs"].good
    assert "order 5" in found.orders["after_fcs"].faults[0]
    assert found.frames["after_fcs"].good           # those are still right


def test_orders_are_compared_in_the_order_of_sending(outcome, plan, rules, decisions):
    result = copy.copy(outcome.first)
    orders = result.records["ORDER"].copy()
    orders[[3, 4]] = orders[[4, 3]]
    result.records = {**result.records, "ORDER": orders}
    assert not evaluate(plan, rules, decisions, [result]).orders["after_fcs"].good
    assert len(match(orders, decisions, plan.index_of)[0]) == len(decisions)


def test_frames_are_checked_byte_by_byte(outcome, decisions):
    ids = outcome.first.venue_instruments
    good = outcome.first.frames
    assert compare_frames(good, decisions, ids)[0].good
    assert "is missing" in compare_frames(good[:-1], decisions, ids)[0].faults[0]
    assert "was not decided" in compare_frames(good, decisions[:-1], ids)[0].faults[0]
    swapped = [good[1], good[0], *good[2:]]
    assert "TCP sequence" in " ".join(compare_frames(swapped, decisions, ids)[0].faults)


def test_starbase_reader_refuses_what_is_wrong():
    good = order_frame(1, 7, 10**9, 3, 1)
    found = parse_order(good)
    assert (found.client_id, found.instrument, found.price, found.quantity, found.side,
            found.tcp_length) == (1, 7, 10**9, 3, 1, 96)
    for at in range(14, len(good)):
        bad = good[:at] + bytes([good[at] ^ 1]) + good[at + 1:]
        with pytest.raises(StarbaseError):
            parse_order(bad)
    for cut in range(len(good)):
        with pytest.raises(StarbaseError):
            parse_order(good[:cut])
    one, three = parse_order(good), parse_order(order_frame(3, 7, 10**9, 3, 1))
    assert check_session([one, three]) == [
        "order 2: TCP sequence 193, expected 97", "order 2: venue sequence 3, expected 2"]
