"""The decision list: each rule's meaning on small traffic, the chosen rules on whole captures."""

import struct
from collections import Counter

import pytest
from tickwire.sim.capture import CapturedPacket, read_capture
from tickwire.sim.models.decisions import Rule, decide, price_units
from tickwire.sim.models.demo_rules import decision_words, demo_rules, line_rate_frames
from tickwire.sim.traffic import write_traffic
from tickwire.sim.traffic_wire import Level, book, datagram_frame, snapshots, ticker

TIME = 1_700_000_000_000


class Feed:
    """Packets of one instrument, for tests."""

    def __init__(self, *levels: Level) -> None:
        self.packets: list[CapturedPacket] = []
        self.change_id = 100
        if levels:
            self.add(*snapshots(7, TIME, 100, levels, 64))

    def add(self, *messages: bytes) -> None:
        number = len(self.packets) + 1
        data = datagram_frame(1, number, messages)
        self.packets.append(CapturedPacket(number, 0, data, len(data)))

    def book(self, ms: int, *levels: Level, last: bool = True) -> bytes:
        previous, self.change_id = self.change_id, self.change_id + 1
        return book(7, TIME + ms, previous, self.change_id, levels, last=last)

    def update(self, ms: int, *levels: Level) -> None:
        self.add(self.book(ms, *levels))

    def tick(self, ms: int, *touch: float) -> None:
        self.add(ticker(7, TIME + ms, 10.0, 1.0, touch))

    def decide(self, **rule):
        return [(d.packet, d.side, d.price) for d in
                decide(self.packets, [Rule(instrument_id=7, **rule)])]


def ask(price, amount=1.0, change=0):
    return Level(0, change, price, amount)


def bid(price, amount=1.0, change=0):
    return Level(1, change, price, amount)


def test_book_trigger_takes_at_or_below_and_hits_at_or_above():
    feed = Feed(ask(11.0), bid(10.0))               # a snapshot decides nothing
    assert feed.decide(trigger="book", buy_limit=12.0) == []
    assert len(decide(feed.packets, [Rule(instrument_id=7, trigger="book", buy_limit=12.0)],
                      snapshots=True)) == 1
    feed.update(1, ask(10.5))
    feed.update(2, ask(10.5, 0, 2), bid(10.4))
    rule = {"trigger": "book", "buy_limit": 10.5, "sell_limit": 10.4}
    assert feed.decide(**rule) == [(2, "buy", 10.5), (3, "sell", 10.4)]
    assert feed.decide(trigger="book", buy_limit=10.49) == []
    assert feed.decide(trigger="book", sell_limit=10.41) == []
    # Both sides match: the offer is taken.
    assert feed.decide(trigger="book", buy_limit=12.0, sell_limit=1.0) == [
        (2, "buy", 10.5), (3, "buy", 11.0)]


def test_book_trigger_waits_for_the_updates_end():
    feed = Feed(ask(11.0), bid(10.0))
    first = book(7, TIME + 1, 100, 101, [ask(10.5)], last=False)
    feed.change_id = 101
    feed.add(first)
    feed.add(book(7, TIME + 1, 100, 101, [ask(10.4)], last=True))
    assert feed.decide(trigger="book", buy_limit=10.5) == [(3, "buy", 10.4)]


def test_an_empty_side_decides_nothing():
    feed = Feed(ask(11.0), bid(10.0))
    feed.update(1, ask(11.0, 0, 2))
    feed.tick(2, 10.0, 1.0, 0.0, 0.0)
    assert feed.decide(trigger="book", buy_limit=12.0) == []
    assert feed.decide(trigger="ticker", buy_limit=12.0) == []


def test_ticker_trigger_judges_the_bid_first():
    feed = Feed(ask(11.0), bid(10.0))
    feed.tick(1, 10.0, 1.0, 11.0, 1.0)
    assert feed.decide(trigger="ticker", sell_limit=10.0, buy_limit=11.0,
                       gap_ms=1) == [(2, "sell", 10.0)]
    assert feed.decide(trigger="ticker", sell_limit=10.1, buy_limit=11.0) == [(2, "buy", 11.0)]
    # With a gap of 0 both sides may be decided on, else the first decision rests the rule.
    assert feed.decide(trigger="ticker", sell_limit=10.0, buy_limit=11.0) == [
        (2, "sell", 10.0), (2, "buy", 11.0)]
    assert feed.decide(trigger="book", sell_limit=10.0) == []


def test_deciding_byte_is_the_fields_last():
    feed = Feed(ask(11.0), bid(10.0))
    feed.tick(1, 10.125, 1.0, 11.0, 1.0)
    for rule, price in (({"sell_limit": 10.0}, 10.125), ({"buy_limit": 11.0}, 11.0)):
        found, = decide(feed.packets, [Rule(instrument_id=7, trigger="ticker", **rule)])

        end = found.field_end + 1
        assert struct.unpack("<d", feed.packets[1].data[end - 8:end]) == (price,)
    feed.update(2, ask(10.75))
    found, = decide(feed.packets, [Rule(instrument_id=7, trigger="book", buy_limit=10.75)])
    assert found.field_end == len(feed.packets[2].data) - 1


def test_no_book_or_a_broken_one_decides_nothing():
    feed = Feed()
    feed.tick(1, 10.0, 1.0, 11.0, 1.0)
    assert feed.decide(trigger="ticker", sell_limit=1.0) == []
    feed.add(*snapshots(7, TIME, 100, [ask(11.0), bid(10.0)], 64))
    feed.change_id = 105                            # updates 101 … 105 are lost
    feed.update(2, bid(10.1))
    feed.tick(3, 10.1, 1.0, 11.0, 1.0)
    assert feed.decide(trigger="ticker", sell_limit=1.0) == []
    assert feed.decide(trigger="book", sell_limit=1.0) == []
    assert len(decide(feed.packets, [Rule(instrument_id=7, trigger="ticker", sell_limit=1.0)],
                      any_book=True)) == 2


def test_one_shot_and_gap_in_feed_time():
    feed = Feed(ask(11.0), bid(10.0))
    for ms in (0, 5, 10, 14, 20):
        feed.update(ms, bid(10.0, 2.0 + ms, 1))
    assert len(feed.decide(trigger="book", sell_limit=10.0)) == 5
    assert [p for p, *_ in feed.decide(trigger="book", sell_limit=10.0, gap_ms=10)] == [2, 4, 6]
    assert [p for p, *_ in feed.decide(trigger="book", sell_limit=10.0, one_shot=True)] == [2]


def test_price_units():
    assert price_units(25_364.75) == 25_364_750_000_000
    assert price_units(0.0005) == 500_000
    assert price_units(-0.1) == -100_000_000
    with pytest.raises(ValueError, match="price 1e-10 is no multiple of 1e-9"):
        price_units(1e-10)
    with pytest.raises(ValueError, match="does not fit in 64 bits of 1e-9"):
        price_units(1e10)


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match="Rule trigger must be 'book' or 'ticker', not 'x'"):
        Rule(instrument_id=1, trigger="x", buy_limit=1.0)
    with pytest.raises(ValueError, match="neither a buy limit nor a sell limit"):
        Rule(instrument_id=1, trigger="book")
    with pytest.raises(ValueError, match="Rule quantity must be at least 1, not 0"):
        Rule(instrument_id=1, trigger="book", buy_limit=1.0, quantity=0)
    rule = Rule(instrument_id=1, trigger="book", buy_limit=1.0)
    with pytest.raises(ValueError, match="one rule for each instrument"):
        decide([], [rule, rule])


def check_choice(path, orders):
    rules = demo_rules(lambda: read_capture(path))
    assert rules == demo_rules(lambda: read_capture(path))
    decisions = decide(read_capture(path), rules)
    assert decisions == decide(read_capture(path), rules, any_book=True, snapshots=True)
    assert len(decisions) >= orders
    assert len({d.price for d in decisions}) >= 5
    assert len({d.instrument_id for d in decisions}) >= 4
    assert {d.trigger for d in decisions} == {"book", "ticker"}
    assert {d.side for d in decisions} == {"buy", "sell"}
    frames = line_rate_frames(read_capture(path))
    fields, ends = decision_words(decisions, frames)
    assert all(int(f) - int(e) >= 40 for e, f in zip(ends, fields[1:], strict=False))
    lanes = {int(row["packet"]): int(row["start_lane"]) for row in frames}
    return Counter((d.trigger, lanes[d.packet]) for d in decisions)


def test_demo_rules_on_the_real_capture(real_capture):
    counts = check_choice(real_capture, 100)
    assert min(counts.values()) >= 20 and len(counts) == 4


def test_demo_rules_on_generated_traffic(tmp_path):
    write_traffic(tmp_path / "a.pcap", 1, 5000)
    counts = check_choice(tmp_path / "a.pcap", 100)
    assert min(counts.values()) >= 20 and len(counts) == 4
