# amaranth: UnusedElaboratable=no
"""OpenOrders: whatever the venue says, in whatever order, against a dict of orders."""

import random

import pytest
from amaranth.sim import Simulator
from orders_model import OPEN, Orders
from tickwire.hdl.entry.execution import ExecutionKind
from tickwire.hdl.entry.intent import Action
from tickwire.hdl.feed.event import Side
from tickwire.hdl.risk.exposure import ExposureTable
from tickwire.hdl.risk.open_orders import OpenOrders
from tickwire.hdl.risk.order_state import Anomaly, OrderState

ROWS, INSTRUMENTS = 8, 4
KINDS = [kind.name for kind in ExecutionKind]


class Bench:
    """Drives the table and remembers what it counted."""

    def __init__(self, ctx, dut, seed=1):
        self.ctx, self.dut, self.rng = ctx, dut, random.Random(seed)
        self.anomalies, self.cycle = [], 0
        for payload in (dut.i_sent.payload, dut.i_change.payload, dut.i_position.payload):
            ctx.set(payload.as_value(), self.rng.getrandbits(64))

    async def tick(self, count=1):
        for _ in range(count):
            await self.ctx.tick()
            self.cycle += 1
            strobes = self.ctx.get(self.dut.o_anomaly)
            self.anomalies += [anomaly.name for anomaly in Anomaly if strobes >> anomaly.value & 1]

    async def give(self, door, payload):
        """Cycles from the offer until it was taken."""
        self.ctx.set(door.payload, payload)
        self.ctx.set(door.valid, 1)
        waited = 0
        while not self.ctx.get(door.ready):
            await self.tick()
            waited += 1
        await self.tick()
        self.ctx.set(door.valid, 0)
        self.ctx.set(door.payload.as_value(), self.rng.getrandbits(200))
        return waited

    async def settle(self):
        while self.ctx.get(self.dut.o_pending):
            await self.tick()

    async def send(self, client_id, **terms):
        side = Side[terms.pop("side")]
        return await self.give(self.dut.i_sent, {
            "action": Action.NEW, "client_id": client_id, "side": side, **terms})

    async def cancel(self, client_id):
        return await self.give(self.dut.i_sent, {
            "action": Action.CANCEL, "client_id": client_id, "instrument": 3, "quantity": 77})

    async def change(self, kind, client_id, **values):
        return await self.give(self.dut.i_change, {
            "kind": ExecutionKind[kind], "client_id": client_id, **values})

    async def row(self, number):
        ctx, dut = self.ctx, self.dut
        ctx.set(dut.i_read.payload, number)
        ctx.set(dut.i_read.valid, 1)
        while not ctx.get(dut.i_read.ready):
            await self.tick()
        await self.tick()
        ctx.set(dut.i_read.valid, 0)
        ctx.set(dut.i_read.payload, 0)
        assert not ctx.get(dut.o_read.valid)
        await self.tick()
        assert ctx.get(dut.o_read.valid)
        return ctx.get(dut.o_read.payload)

    async def worst(self, instrument):
        self.ctx.set(self.dut.i_query, instrument)
        await self.tick(5)
        worst = self.ctx.get(self.dut.o_worst)
        assert worst.instrument == instrument
        return worst.long, worst.short

    async def listed(self, stall=0.0):
        """Client ids of a list that is made now."""
        ctx, dut, found = self.ctx, self.dut, []
        ctx.set(dut.i_list, 1)
        await self.tick()
        ctx.set(dut.i_list, 0)
        while ctx.get(dut.o_listing) or ctx.get(dut.o_listed.valid):
            ready = self.rng.random() >= stall
            ctx.set(dut.o_listed.ready, ready)
            if ctx.get(dut.o_listed.valid) and ready:
                found.append(ctx.get(dut.o_listed.payload.client_id))
            await self.tick()
        ctx.set(dut.o_listed.ready, 0)
        return found


def run(test, rows=ROWS, instruments=INSTRUMENTS):
    dut = OpenOrders(rows=rows, instruments=instruments)

    async def bench(ctx):
        bench = Bench(ctx, dut)
        for _ in range(max(rows, instruments)):
            assert not ctx.get(dut.i_sent.ready) and ctx.get(dut.o_pending)
            await bench.tick()
        assert ctx.get(dut.i_sent.ready)
        await test(bench, dut)

    simulator = Simulator(dut)
    simulator.add_clock(6.4e-9)
    simulator.add_testbench(bench)
    simulator.run()


TERMS = {"instrument": 2, "side": "BID", "exponent": 0, "quantity": 10, "price": 5}


async def compare(bench, dut, orders):
    """Everything that the table says is what the model says."""
    await bench.settle()
    assert bench.anomalies == orders.anomalies
    assert bench.ctx.get(dut.o_open) == orders.count()
    for instrument in range(INSTRUMENTS):
        assert await bench.worst(instrument) == orders.worst(instrument)
    for number in range(ROWS):
        row, model = await bench.row(number), orders.rows.get(number)
        if model is None:
            assert row.state == OrderState.FREE
            continue
        assert (row.state.name, row.open) == (model.state, model.open)
        assert (row.client_id, row.instrument, row.side.name, row.quantity, row.price) == (
            model.client_id, model.instrument, model.side, model.quantity, model.price)
    assert await bench.listed(stall=0.3) == [
        orders.rows[number].client_id for number in sorted(orders.rows)
        if orders.rows[number].state in OPEN]


@pytest.mark.parametrize("seed", range(3))
def test_random_lives_of_orders(seed):
    rng = random.Random(seed)

    async def test(bench, dut):
        orders, ids = Orders(ROWS), []
        for step in range(240):
            what = rng.random()
            if what < 0.3 or not ids:
                client_id = rng.choice((len(ids) + 1, rng.getrandbits(64)))
                terms = {"instrument": rng.randrange(INSTRUMENTS), "price": rng.getrandbits(64),
                         "side": rng.choice(("BID", "ASK")), "exponent": rng.choice((0, 0, 255)),
                         "quantity": rng.choice((rng.randrange(1, 9), rng.getrandbits(32) or 1))}
                ids.append(client_id)
                await bench.send(client_id, **terms)
                orders.send(client_id, **terms)
            elif what < 0.4:
                client_id = rng.choice(ids[-12:])
                await bench.cancel(client_id)
                orders.cancel(client_id)
            elif what < 0.42:
                position = rng.randrange(-1 << 40, 1 << 40)
                await bench.give(dut.i_position, {"instrument": 1, "filled": position})
                orders.filled[1] = position
            elif what < 0.43:
                bench.ctx.set(dut.i_break, 1)
                await bench.tick()
                bench.ctx.set(dut.i_break, 0)
                orders.session_breaks()
            else:
                client_id = rng.choice((*ids[-12:], rng.getrandbits(64)))
                values = {"final": rng.random() < 0.1, "stated": rng.random() < 0.3,
                          "quantity": rng.choice((rng.randrange(9), rng.getrandbits(64) >> 2)),
                          "exponent": rng.choice((0, 0, 0, 255)),
                          "leaves": rng.choice((rng.randrange(9), rng.getrandbits(64)))}
                kind = rng.choice((*KINDS, "ACCEPTED", "EXECUTED", "EXECUTED"))
                await bench.change(kind, client_id, **values)
                orders.change(kind, client_id, **values)
            if rng.random() < 0.3:
                await bench.tick(rng.randrange(9))
            if step % 12 == 11:
                await compare(bench, dut, orders)
        assert {*orders.anomalies} == {anomaly.name for anomaly in Anomaly}

    run(test)


LIVES = {
    "fill": (("ACCEPTED", {}), ("EXECUTED", {"quantity": 4}), ("EXECUTED", {"quantity": 6})),
    "fill before the acknowledgement": (("EXECUTED", {"quantity": 10}), ("ACCEPTED", {})),
    "cancel": (("ACCEPTED", {}), ("CANCELLED", {"quantity": 10}), ("CANCELLED", {"quantity": 10})),
    "fill meets cancel": (("ACCEPTED", {}), ("EXECUTED", {"quantity": 3}),
                          ("CANCELLED", {"quantity": 7}), ("CANCEL_REJECTED", {})),
    "reject": (("REJECTED", {}), ("REJECTED", {}), ("ACCEPTED", {})),
    "dead on arrival": (("ACCEPTED", {"final": 1}), ("CANCELLED", {"final": 1})),
    "immediate or cancel": (("ACCEPTED", {}), ("EXECUTED", {"quantity": 2}),
                            ("CANCELLED", {"final": 1})),
}


@pytest.mark.parametrize("cancels", (False, True))
@pytest.mark.parametrize("life", LIVES)
def test_every_life_ends_with_nothing_reserved(life, cancels):
    async def test(bench, dut):
        await bench.send(1, **TERMS)
        if cancels:
            await bench.cancel(1)
        await bench.settle()
        assert bench.ctx.get(dut.o_open) == 1 and await bench.worst(2) == (10, 0)
        for kind, values in LIVES[life]:
            await bench.change(kind, 1, **values)
        await bench.settle()
        filled = sum(values.get("quantity", 0) for kind, values in LIVES[life]
                     if kind == "EXECUTED")
        assert bench.ctx.get(dut.o_open) == 0
        assert await bench.worst(2) == (filled, filled)
        assert (await bench.row(1)).state == OrderState.DONE

    run(test)


def test_latency():
    async def test(bench, dut):
        ctx = bench.ctx
        ctx.set(dut.i_query, 2)
        ctx.set(dut.i_next, 1)
        assert await bench.send(1, **TERMS) == 0
        assert await bench.change("EXECUTED", 1, quantity=4) == 4
        # The order was taken 6 cycles ago: its row was written one cycle ago.
        assert ctx.get(dut.o_open) == 1
        taken, worst = [], []
        for _ in range(16):
            taken.append(ctx.get(dut.o_taken))
            worst.append(ctx.get(dut.o_worst.long))
            await bench.tick()
        assert taken[0] == 1 and all(taken)
        # Reserved from the eleventh cycle on: 8 to the memory, 3 to the answer; 4 were filled.
        assert worst == [0] * 5 + [10] * 11
        ctx.set(dut.i_query, 1)
        await bench.tick(2)
        assert ctx.get(dut.o_worst.instrument) == 2
        await bench.tick()
        assert ctx.get(dut.o_worst.instrument) == 1
        # A done order frees its row.
        await bench.change("REJECTED", 1)
        await bench.tick(3)
        assert ctx.get(dut.o_open) == 1
        await bench.tick()
        assert ctx.get(dut.o_open) == 0
        await bench.tick(2)
        assert not ctx.get(dut.o_taken)
        # A stray change is counted in the fifth cycle behind the one in which it was taken.
        await bench.change("BROKEN", 9)
        await bench.tick(3)
        assert bench.anomalies == []
        await bench.tick()
        assert bench.anomalies == ["STRAY"]

    run(test)


def test_a_break_takes_five_cycles_a_row():
    async def test(bench, dut):
        for client_id in (1, 2, 3):
            await bench.send(client_id, **TERMS)
        await bench.change("REJECTED", 2)
        await bench.settle()
        bench.ctx.set(dut.i_break, 1)
        await bench.tick()
        bench.ctx.set(dut.i_break, 0)
        assert await bench.change("ACCEPTED", 1) == 1 + 5 * ROWS
        await bench.settle()
        assert [(await bench.row(number)).state.name for number in (1, 2, 3)] == [
            "ACKNOWLEDGED", "DONE", "UNKNOWN"]
        assert await bench.worst(2) == (20, 0)

    run(test)


def test_what_was_sent_before_the_break_is_unknown():
    async def test(bench, dut):
        bench.ctx.set(dut.i_break, 1)
        assert await bench.send(1, **TERMS) == 0
        bench.ctx.set(dut.i_break, 0)
        await bench.settle()
        assert (await bench.row(1)).state == OrderState.UNKNOWN

    run(test)


def test_a_list_takes_two_cycles_a_row():
    async def test(bench, dut):
        for client_id in (0, 7, 13):
            await bench.send(client_id, **TERMS)
        await bench.settle()
        ctx, times = bench.ctx, []
        ctx.set(dut.o_listed.ready, 1)
        ctx.set(dut.i_list, 1)
        await bench.tick()
        ctx.set(dut.i_list, 0)
        for cycle in range(1, 40):
            if ctx.get(dut.o_listed.valid):
                times.append((cycle, ctx.get(dut.o_listed.payload.client_id)))
            await bench.tick()
        assert times == [(3, 0), (3 + 2 * 5 + 1, 13), (3 + 2 * 7 + 2, 7)]
        assert await bench.listed() == [0, 13, 7]

    run(test)


def test_nothing_is_read_in_the_cycle_of_a_write():
    """Block memory would give neither the old row nor the new one. So a list, a row and a worst
    case take a cycle more if a write comes in theirs."""
    lists, reads, queries = set(), set(), set()
    for delay in range(12):
        async def test(bench, dut, delay=delay):
            ctx = bench.ctx
            ctx.set(dut.i_list, 1)
            await bench.tick()
            ctx.set(dut.i_list, 0)
            start = bench.cycle
            await bench.tick(delay)
            await bench.change("BROKEN", 9)         # writes what is there
            while ctx.get(dut.o_listing):
                await bench.tick()
            lists.add(bench.cycle - start)
            await bench.settle()
            await bench.change("BROKEN", 9)
            await bench.tick(delay)
            start = bench.cycle
            await bench.row(1)
            reads.add(bench.cycle - start)
            await bench.settle()
            await bench.change("BROKEN", 9)
            await bench.tick(delay)
            start = bench.cycle
            ctx.set(dut.i_query, 3)
            while ctx.get(dut.o_worst.instrument) != 3:
                await bench.tick()
            queries.add(bench.cycle - start)

        run(test)
    assert (lists, reads, queries) == ({2 * ROWS, 2 * ROWS + 1}, {2, 3}, {3, 4})


@pytest.mark.parametrize("rows", (1, 12))
def test_rows(rows):
    with pytest.raises(ValueError, match="^OpenOrders rows must be a power of two of at least 2, "
                                         f"not {rows}$"):
        OpenOrders(rows=rows)


@pytest.mark.parametrize("instruments", (1, 24, 256))
def test_instruments(instruments):
    with pytest.raises(ValueError, match="^ExposureTable instruments must be a power of two from "
                                         f"2 to 128, not {instruments}$"):
        ExposureTable(instruments)
