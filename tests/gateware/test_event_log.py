# amaranth: UnusedElaboratable=no
"""Records come out whole, in order, with their verdict obeyed and every loss counted."""

import random

import pytest
from amaranth.sim import Simulator
from tickwire.gateware.event_log import EventLog
from tickwire.gateware.record_lane import RecordLane
from tickwire.gateware.records import BOOK, ORDER, RECORDS, TICKER
from tickwire.hdl.entry.intent import Action, Reason, Source
from tickwire.hdl.feed.event import FeedEventKind, Side


def unpack(words):
    """A record's fields, by the layout that the host reads, written here a second time."""
    raw = b"".join(word.to_bytes(8, "little") for word in words)
    kind = raw[62]
    record = next(r for r in RECORDS if r.number == kind)
    values, at = {"record": record.name}, 0
    for part in record.fields:
        size = part.width // 8
        values[part.name] = int.from_bytes(raw[at:at + size], "little")
        at += size
    return values


class Bench:
    def __init__(self, ring=1024):
        self.dut = EventLog()
        self.words, self.records, self.lost = [], [], 0
        self.sim = Simulator(self.dut)
        self.sim.add_clock(6.4e-9)
        self.ring = ring
        self.sim.add_process(self.collect)
        self.sim.add_process(self.count)

    async def collect(self, ctx):
        async for *_, valid, payload in ctx.tick().sample(self.dut.o.valid, self.dut.o.payload):
            if valid:
                assert payload.first == (len(self.words) == 0)
                self.words.append(payload.word)
                if len(self.words) == 8:
                    self.records.append(unpack(self.words))
                    self.words = []

    async def count(self, ctx):
        async for *_, lost in ctx.tick().sample(self.dut.o_count_lost):
            self.lost += lost

    def run(self, body):
        async def testbench(ctx):
            ctx.set(self.dut.ring, self.ring)
            ctx.set(self.dut.publish_book, 1)
            ctx.set(self.dut.publish_ticker, 1)
            await ctx.tick().repeat(4)
            await body(ctx, self.dut)
            await ctx.tick().repeat(40)
        self.sim.add_testbench(testbench)
        self.sim.run()
        return self.records


async def book(ctx, dut, **touch):
    ctx.set(dut.i_book.payload, {
        "instrument": 5, "tradable": 1, "timestamp": 1_686_000_000_123, "change_id": 77,
        "stamp": 0x1234, "touch": {"bid_valid": 1, **touch}})
    ctx.set(dut.i_book.valid, 1)
    await ctx.tick()
    ctx.set(dut.i_book.valid, 0)


async def ticker(ctx, dut, bid):
    ctx.set(dut.i_feed.payload, {"kind": FeedEventKind.INSTRUMENT})
    ctx.set(dut.i_feed.valid, 1)
    await ctx.tick()
    ctx.set(dut.i_feed.valid, 0)
    await ctx.tick()
    ctx.set(dut.i_index.payload, 9)
    ctx.set(dut.i_index.valid, 1)
    await ctx.tick()
    ctx.set(dut.i_index.valid, 0)
    await ctx.tick().repeat(6)
    ctx.set(dut.i_feed.payload, {"kind": FeedEventKind.TICKER, "bid_price": bid, "price": 3,
                                 "bid_amount": 1, "stamp": 99})
    ctx.set(dut.i_feed.valid, 1)
    await ctx.tick()
    ctx.set(dut.i_feed.valid, 0)


async def verdict(ctx, dut, good):
    ctx.set(dut.i_verdict.payload.good, good)
    ctx.set(dut.i_verdict.valid, 1)
    await ctx.tick()
    ctx.set(dut.i_verdict.valid, 0)


def test_a_book_event_becomes_a_record():
    bench = Bench()

    async def body(ctx, dut):
        ctx.set(dut.cycle, 0x1_2345_6789)
        await book(ctx, dut, bid_price=11, bid_amount=12, ask_price=13, ask_amount=14)

    (record,) = bench.run(body)
    assert record == {
        "record": "BOOK", "bid_price": 11, "bid_amount": 12, "ask_price": 13, "ask_amount": 14,
        "timestamp": 1_686_000_000_123, "change_id": 77, "published_high": 0x12345,
        "published": 0x6789, "instrument": 5, "flags": 0b011, "sequence": 0, "stamp": 0x1234,
        "kind": BOOK.number, "phase": 0}


def test_first_word_comes_twelve_cycles_after_the_event():
    bench = Bench()
    seen = []

    async def watch(ctx):
        cycle = 0
        async for *_, event, first in ctx.tick().sample(bench.dut.i_book.valid,
                                                        bench.dut.o.valid):
            if event or first:
                seen.append(cycle)
            cycle += 1

    bench.sim.add_process(watch)

    async def body(ctx, dut):
        await book(ctx, dut)

    bench.run(body)
    assert seen[1] - seen[0] == 12


def test_tickers_wait_for_their_verdict():
    bench = Bench()

    async def body(ctx, dut):
        for bid, good in ((1, 1), (2, 0), (3, 1)):
            await ticker(ctx, dut, bid)
            await verdict(ctx, dut, good)
            await ctx.tick().repeat(12)
        await ticker(ctx, dut, 4)
        await ticker(ctx, dut, 5)
        await ctx.tick().repeat(30)
        assert len(bench.records) == 2
        await verdict(ctx, dut, 1)

    records = bench.run(body)
    assert [r["bid_price"] for r in records] == [1, 3, 4, 5]
    assert {(r["record"], r["instrument"], r["kind"], r["flags"]) for r in records} == {
        ("TICKER", 9, TICKER.number, 0b010)}
    assert [r["sequence"] for r in records] == [0, 1, 2, 3]
    assert bench.lost == 0


def test_two_outcomes_in_one_cycle_are_both_kept():
    bench = Bench()

    async def body(ctx, dut):
        ctx.set(dut.i_frame_end, 500)
        ctx.set(dut.i_order, 1)
        await ctx.tick()
        ctx.set(dut.i_order, 0)
        ctx.set(dut.i_frame_end, 600)
        for source, reason, price in ((dut.i_outcome, Reason.PASSED, 1),
                                      (dut.i_refused, Reason.RATE, 2)):
            ctx.set(source.payload, {
                "reason": reason, "client_id": 42, "decided": 7, "released": 8, "preamble": 9,
                "intent": {"action": Action.NEW, "source": Source.HOST, "instrument": 3,
                           "side": Side.ASK, "price": price, "quantity": 10, "trigger": 6,
                           "timestamp": 123}})
            ctx.set(source.valid, 1)
        await ctx.tick()
        ctx.set(dut.i_outcome.valid, 0)
        ctx.set(dut.i_refused.valid, 0)

    refused, sent = bench.run(body)
    assert (sent["price"], sent["reason"], sent["frame_end"]) == (1, 0, 500)
    assert (refused["price"], refused["reason"], refused["frame_end"]) == (2, 11, 600)
    for record in (sent, refused):
        assert record["kind"] == ORDER.number
        assert (record["client_id"], record["quantity"], record["decided"], record["released"],
                record["preamble"], record["stamp"], record["timestamp"], record["side"],
                record["source"], record["instrument"]) == (42, 10, 7, 8, 9, 6, 123, 1, 1, 3)


def test_a_full_ring_keeps_room_for_orders_and_stops_them_in_time():
    bench = Bench(ring=128)

    async def body(ctx, dut):
        for _ in range(70):
            await book(ctx, dut)
            await ctx.tick().repeat(11)
        # 64 records are kept for orders: book events are dropped, orders may still pass.
        assert ctx.get(dut.o_produced) == 64
        assert not ctx.get(dut.o_full)
        for _ in range(40):
            ctx.set(dut.i_refused.valid, 1)
            await ctx.tick()
            ctx.set(dut.i_refused.valid, 0)
            await ctx.tick().repeat(11)
        assert ctx.get(dut.o_full)
        ctx.set(dut.consumed, 104)
        await ctx.tick().repeat(6)
        assert not ctx.get(dut.o_full)

    records = bench.run(body)
    assert [r["record"] for r in records] == ["BOOK"] * 64 + ["ORDER"] * 40
    assert bench.lost == 0


def test_no_ring_no_records_no_orders():
    bench = Bench(ring=0)

    async def body(ctx, dut):
        await book(ctx, dut)
        await ctx.tick().repeat(40)
        assert ctx.get(dut.o_full)

    assert bench.run(body) == []


@pytest.mark.parametrize("holds", [False, True])
def test_a_lane_under_random_load_loses_only_what_it_counts(holds):
    rng = random.Random(holds)
    dut = RecordLane(depth=8, holds=holds)
    sent, received, finished = [], [], []
    lost = 0

    async def feed(ctx):
        pending = []
        for number in range(400):
            accepted = ctx.get(dut.o_ready)
            record = sum(((number << 8) | k) << 64 * k for k in range(8))
            ctx.set(dut.i.payload, record)
            ctx.set(dut.i.valid, 1)
            if accepted:
                pending.append(number)
            await ctx.tick()
            ctx.set(dut.i.valid, 0)
            ctx.set(dut.i.payload, rng.getrandbits(512))
            await ctx.tick().repeat(rng.choice((1, 3, 7, 9, 20)))
            if rng.random() < 0.4 or number == 399:
                good = rng.random() < 0.7 or not holds
                ctx.set(dut.i_settle.payload, good)
                ctx.set(dut.i_settle.valid, 1)
                await ctx.tick()
                ctx.set(dut.i_settle.valid, 0)
                sent.extend(pending if good else [])
                pending = []
                await ctx.tick().repeat(9)
        await ctx.tick().repeat(400)
        finished.append(True)

    async def drain(ctx):
        while not finished:
            await ctx.tick()
            if not ctx.get(dut.o_whole):
                continue
            words = []
            ctx.set(dut.i_take, 1)
            for _ in range(8):
                words.append(ctx.get(dut.o_word))
                await ctx.tick()
            ctx.set(dut.i_take, 0)
            assert [w & 0xFF for w in words] == list(range(8))
            received.append(words[0] >> 8)
            await ctx.tick().repeat(rng.choice((1, 2, 30)))

    async def count(ctx):
        nonlocal lost
        async for *_, one in ctx.tick().sample(dut.o_count_lost):
            lost += one

    sim = Simulator(dut)
    sim.add_clock(1e-8)
    sim.add_testbench(feed)
    sim.add_testbench(drain)
    sim.add_process(count)
    sim.run()
    assert received == sent
    assert lost > 0
    if not holds:
        assert len(received) + lost == 400


def test_depth_must_be_a_power_of_two():
    with pytest.raises(ValueError, match="RecordLane depth must be a power of two and at least 4, "
                                         "not 6"):
        RecordLane(depth=6)
