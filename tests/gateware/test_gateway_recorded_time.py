"""A capture at its recorded times: idle that is left out shows nowhere but in the words run."""

from bisect import bisect_left
from dataclasses import replace

import numpy as np
import pytest
from gateway_bench import Changed, Session, capture_path, machine
from tickwire.sim.checks import compare_frames, compare_orders
from tickwire.sim.plan import Capture
from tickwire.sim.replay import PassOptions, run_pass

WINDOW_NS = 10_000_000
BEFORE_NS = 1_000_000       # in which all that came before the window has room at line rate
CLOCK_NS = 6.4


def busiest(packets, decisions):
    """Index of the packet with which the window with the most orders begins, and of its end."""
    times = [packet.time_ns for packet in packets]
    numbers = [decision.packet - 1 for decision in decisions]

    def orders(begin):
        end = bisect_left(times, times[begin] + WINDOW_NS)
        return bisect_left(numbers, end) - bisect_left(numbers, begin)

    begin = max(range(len(packets)), key=orders)
    return begin, bisect_left(times, times[begin] + WINDOW_NS)


@pytest.fixture(scope="module")
def session():
    """Books are built at line rate, then ten milliseconds follow as they were recorded."""
    whole = Session.of(Capture(capture_path()))
    packets = list(whole.plan.capture.packets())
    begin, end = busiest(packets, whole.decisions)
    first = packets[begin].time_ns - BEFORE_NS

    def cut(given):
        for packet in given:
            if packet.number <= end:
                yield packet if packet.number > begin else replace(packet, time_ns=first)

    # Its plan and rules are those of the whole capture; the golden books are not asked here.
    plan = replace(whole.plan, capture=Changed(whole.plan.capture.path, change=cut))
    found = Session(plan, whole.rules)
    assert sum(decision.packet > begin for decision in found.decisions) >= 2
    return found


@pytest.fixture(scope="module")
def passes(session):
    return [run_pass(machine(), session.plan, session.rules,
                     PassOptions(timing="recorded", skip=skip)) for skip in (True, False)]


def test_ten_milliseconds_were_skipped_and_run(passes):
    skipped, run = passes
    assert run.cycles * CLOCK_NS > WINDOW_NS
    assert skipped.cycles * 4 < run.cycles


def test_records_are_the_same_to_the_last_byte(passes):
    """Stamps too: the gateware's own time jumps by what was left out."""
    skipped, run = passes
    assert len(run.records["BOOK"]) > 100 and len(run.records["TICKER"]) > 100
    assert np.array_equal(skipped.raw_records, run.raw_records)
    assert skipped.counters == run.counters


def test_orders_are_the_same_and_as_decided(session, passes):
    skipped, run = passes
    assert [frame.data for frame in skipped.frames] == [frame.data for frame in run.frames]
    for one in passes:
        orders = compare_orders(one.records["ORDER"], session.decisions, session.plan.index_of)
        frames, _ = compare_frames(one.frames, session.decisions, one.venue_instruments)
        assert orders.good and frames.good, orders.faults + frames.faults
        assert orders.checked == len(session.decisions)
