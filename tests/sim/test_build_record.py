"""The record of routed results refuses a regression, and lets CI skip what it knows."""

import copy
import json

import pytest
from tickwire.sim.build_record import RouteRecord, RouteRegressionError

GOOD = {
    "part": "LFE5UM5G-85F-8", "config": {}, "netlist": "a", "seeds": [],
    "fmax_mhz_median": {"sync": 160.0, "rx": 200.0},
    "cells": {"luts": {"used": 20_000, "available": 83_640},
              "block_rams": {"used": 2, "available": 208}, "ring_flip_flops": 9},
    "worst_paths": [{"seed": 1, "delay_ns": 6.25}, {"seed": 2, "delay_ns": 6.5}],
}


def result(netlist, sync=160.0, luts=20_000, rams=2):
    timing = copy.deepcopy(GOOD)
    timing["netlist"] = netlist
    timing["fmax_mhz_median"]["sync"] = sync
    timing["cells"]["luts"]["used"] = luts
    timing["cells"]["block_rams"]["used"] = rams
    return timing


@pytest.fixture
def record(tmp_path):
    record = RouteRecord(tmp_path / "route.json")
    record.add(GOOD, date="2025-01-01", revision="r1")
    return record


def never(seeds):
    raise AssertionError(f"routed with seeds {seeds}")


def test_an_entry_is_kept_with_its_date_revision_and_limit(record):
    (entry,) = json.loads(record.path.read_text())
    assert entry["date"] == "2025-01-01"
    assert entry["revision"] == "r1"
    assert entry["limit"] == {"seed": 2, "delay_ns": 6.5}
    assert RouteRecord(record.path).entry("a") == entry


def test_five_per_cent_are_allowed(record):
    record.add(result("b", sync=152.0, luts=21_000, rams=10), date="d", revision="r")
    assert [entry["netlist"] for entry in record.entries] == ["a", "b"]


@pytest.mark.parametrize("worse, sentence", [
    ({"sync": 151.9}, "Fmax of sync fell from 160.0 to 151.9 MHz"),
    ({"luts": 21_001}, "The number of luts rose from 20000 to 21001"),
    ({"rams": 11}, "The number of block_rams rose from 2 to 11"),
])
def test_more_is_refused_unless_somebody_says_why(record, worse, sentence):
    with pytest.raises(RouteRegressionError, match=sentence):
        record.add(result("b", **worse), date="d", revision="r")
    assert len(RouteRecord(record.path).entries) == 1
    record.add(result("b", **worse), date="d", revision="r", because="deeper books")
    assert record.check("b", never).startswith("Netlist b is on record: sync")


def test_a_known_netlist_is_not_routed(record):
    assert "a is on record: sync 160.0 MHz, rx 200.0 MHz, 20000 LUTs" in record.check("a", never)


def test_a_regression_that_was_written_in_by_hand_is_refused(record):
    record.add(result("b", sync=100.0), date="d", revision="r", because="x")
    record.entries[1]["because"] = ""
    with pytest.raises(RouteRegressionError, match="fell from 160.0 to 100.0"):
        record.check("b", never)


def test_an_unknown_netlist_is_routed_with_one_seed(record):
    asked = []

    def route(seeds):
        asked.append(seeds)
        return result("b")

    assert "b is not on record yet" in record.check("b", route)
    assert asked == [(1,)]


def test_an_unlucky_seed_is_not_yet_a_regression(record):
    assert "160.0 MHz" in record.check("b", lambda seeds: result("b", sync=100.0 if len(seeds) == 1
                                                                 else 160.0))
    with pytest.raises(RouteRegressionError, match="fell from 160.0 to 100.0"):
        record.check("b", lambda seeds: result("b", sync=100.0))


def test_a_file_that_is_no_record_is_refused(tmp_path):
    (tmp_path / "route.json").write_text("{}")
    with pytest.raises(ValueError, match="is not a list of routed results"):
        RouteRecord(tmp_path / "route.json")
