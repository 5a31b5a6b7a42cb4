"""Damaged frames and the kill switch, seen from outside: what leaves and what is counted."""

import numpy as np
import pytest
from gateway_bench import Bench, Feed
from tickwire.sim.models.starbase import parse_order
from tickwire.sim.traffic_wire import Level

CHEAP = 98.5                # an ask at which the bench's strategy buys
FIVE_BIDS = [(100.0 - at, 10.0) for at in range(5)]
FIVE_ASKS = [(101.0 + at, 10.0) for at in range(5)]


def flip(byte, frame=0):
    """One bit of a byte of the frame changes on the wire; its FCS stays as it was."""
    def change(data, control):
        starts = np.flatnonzero((control & 0x11 != 0) & ((data & 0xFF == 0xFB)
                                | (data >> np.uint64(32) & np.uint64(0xFF) == 0xFB)))
        word = int(starts[frame])
        lane = 0 if int(data[word]) & 0xFF == 0xFB else 4
        at = word * 8 + lane + 8 + byte
        data[at // 8] ^= np.uint64(1 << 8 * (at % 8))
    return change


def started(**options):
    bench, feed = Bench(**options), Feed()
    bench.play(feed.snapshot(7), feed.snapshot(8))
    assert bench.levels() == (FIVE_BIDS, FIVE_ASKS)
    bench.moved()
    return bench, feed


def deciding(feed, trigger, ask=CHEAP):
    if trigger == "ticker":
        return feed.frame(feed.tick(7, ask))
    return feed.frame(feed.update(7, Level(0, 0, ask, 3.0)))


@pytest.mark.parametrize("trigger", ["book", "ticker"])
def test_a_bad_frame_moves_nothing_after_fcs(trigger):
    bench, feed = started(trigger=trigger)
    frame = deciding(feed, trigger)
    # The last byte of the datagram: all that is decided on was there before it, and was right.
    seen = bench.play(frame, change=flip(len(frame) - 1))
    assert seen.frames == []
    moved = bench.moved()
    assert moved["RX_FCS"] == 1 and moved["STRATEGY_INTENT"] == 1
    assert moved["REFUSED_BAD_FRAME"] == 1
    assert not {"FEED_GOOD", "BOOK_UPDATES", "ORDERS_SENT", "RX_GOOD"} & set(moved)
    assert seen.reasons() == ["BAD_FRAME"]
    assert bench.levels() == (FIVE_BIDS, FIVE_ASKS)
    # The same frame again, whole this time, is served as if nothing had been.
    seen = bench.play(frame)
    assert seen.reasons() == ["PASSED"]
    sent, = seen.frames
    assert parse_order(sent.data).price == int(CHEAP * 10**9)
    if trigger == "book":
        assert bench.levels() == (FIVE_BIDS, [(CHEAP, 3.0), *FIVE_ASKS])
    moved = bench.moved()
    assert moved["RX_GOOD"] == moved["FEED_GOOD"] == moved["ORDERS_SENT"] == 1
    assert "FEED_GAP" not in moved


def test_a_bad_frame_without_a_decision_is_only_counted():
    bench, feed = started()
    frame = feed.frame(feed.update(7, Level(1, 1, 100.0, 4.0)))
    seen = bench.play(frame, change=flip(60))
    assert seen.frames == [] and seen.reasons() == []
    assert bench.moved() == {"RX_FCS": 1}
    assert bench.levels() == (FIVE_BIDS, FIVE_ASKS)


def test_a_lost_frame_makes_books_stale_until_a_snapshot():
    bench, feed = started()
    bench.play(feed.frame(feed.update(8, Level(1, 1, 99.0, 5.0))))
    lost = feed.frame(feed.update(7, Level(1, 1, 100.0, 4.0)))
    bench.play(lost, change=flip(60))
    seen = bench.play(deciding(feed, "book"))
    assert seen.frames == [] and bench.levels() is None
    moved = bench.moved()
    assert moved["FEED_GAP"] == 1
    bench.play(feed.snapshot(7))
    assert bench.levels() == (FIVE_BIDS, FIVE_ASKS)
    assert bench.play(deciding(feed, "book")).reasons() == ["PASSED"]


@pytest.mark.parametrize("trigger", ["book", "ticker"])
def test_a_bad_frame_makes_the_instrument_stale_under_cut_through(trigger):
    bench, feed = started(policy="cut_through", trigger=trigger)
    frame = deciding(feed, trigger)
    seen = bench.play(frame, change=flip(len(frame) - 1))
    # The order has left, and was not called back; from now on nothing follows it.
    assert seen.reasons() == ["PASSED"] and len(seen.frames) == 1
    moved = bench.moved()
    assert moved["RX_FCS"] == moved["ORDERS_SENT"] == 1
    assert not {"FEED_GOOD", "BOOK_UPDATES"} & set(moved)
    assert bench.levels() is None
    assert bench.levels(bench.eight) == (FIVE_BIDS, FIVE_ASKS)
    # Stale: good frames are read, but nothing is decided.
    seen = bench.play(frame)
    assert seen.frames == [] and seen.reasons() == []
    assert bench.moved()["FEED_GOOD"] == 1
    # A snapshot mends the book, but only the host lets the instrument trade again.
    bench.play(feed.snapshot(7))
    assert bench.levels() == (FIVE_BIDS, FIVE_ASKS)
    seen = bench.play(deciding(feed, trigger))
    assert seen.frames == [] and seen.reasons() == ["RESTRICTED"]
    assert bench.moved()["REFUSED_RESTRICTED"] == 1
    bench.gateway.risk.set(bench.seven, maximum_quantity=100, lowest_price=0, highest_price=1000)
    assert bench.play(deciding(feed, trigger, CHEAP - 1)).reasons() == ["PASSED"]


def test_a_contradicting_update_makes_the_book_stale():
    bench, feed = started()
    assert bench.play(deciding(feed, "book")).reasons() == ["PASSED"]
    bench.moved()
    seen = bench.play(deciding(feed, "book"))       # created, but it is there already
    assert seen.frames == [] and bench.levels() is None
    assert bench.moved()["BOOK_INCONSISTENT"] == 1
    assert bench.levels(bench.eight) == (FIVE_BIDS, FIVE_ASKS)


@pytest.mark.parametrize("pull", ["register", "pin"])
@pytest.mark.parametrize("policy", ["after_fcs", "cut_through"])
def test_kill_between_two_ticks(policy, pull):
    bench, feed = started(policy=policy, trigger="ticker")
    assert bench.play(deciding(feed, "ticker")).reasons() == ["PASSED"]
    bench.moved()
    if pull == "register":
        bench.gateway.kill()
    else:
        bench.engine.kill_pin(True)
    seen = bench.play(deciding(feed, "ticker"))
    assert seen.frames == [] and seen.reasons() == ["KILLED"]
    moved = bench.moved()
    assert moved["REFUSED_KILLED"] == moved["ARMING_KILLED"] == 1
    assert "ORDERS_SENT" not in moved and "TX_FRAMES" not in moved
    assert bench.gateway.status()["killed"]
    # Let go, released and armed again, it trades.
    bench.engine.kill_pin(False)
    bench.gateway.release_kill()
    assert bench.play(deciding(feed, "ticker")).reasons() == ["NOT_ARMED"]
    bench.gateway.arm()
    assert bench.play(deciding(feed, "ticker")).reasons() == ["PASSED"]
