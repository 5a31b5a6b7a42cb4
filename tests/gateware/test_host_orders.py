"""A posted order reaches the risk gate once, and its result the host."""

from amaranth.sim import Simulator
from tickwire.gateware.host_orders import HostOrders
from tickwire.hdl.entry.intent import Action, Reason, Source
from tickwire.hdl.feed.event import Side


def simulate(body):
    dut = HostOrders()
    lost = []

    async def testbench(ctx):
        ctx.set(dut.i_venue_sequence, 900)
        await body(ctx, dut)

    async def count(ctx):
        async for *_, one in ctx.tick().sample(dut.o_count_lost):
            lost.extend([1] * one)

    sim = Simulator(dut)
    sim.add_clock(6.4e-9)
    sim.add_testbench(testbench)
    sim.add_process(count)
    sim.run()
    return len(lost)


async def post(ctx, dut, number, **fields):
    for name, value in {"action": Action.NEW, "side": Side.ASK, "instrument": 17, "quantity": 30,
                        "price": 1 << 63, "client_id": 5, "now": 4242, **fields}.items():
        ctx.set(getattr(dut, name), value)
    ctx.set(dut.i_post.payload, number)
    ctx.set(dut.i_post.valid, 1)
    await ctx.tick()
    ctx.set(dut.i_post.valid, 0)
    for name in ("instrument", "quantity", "price", "now"):
        ctx.set(getattr(dut, name), 1)


async def outcome(ctx, source, **fields):
    ctx.set(source.payload, {"intent": {"source": Source.HOST}, **fields})
    ctx.set(source.valid, 1)
    await ctx.tick()
    ctx.set(source.valid, 0)


def test_an_order_waits_for_the_gate_and_gets_its_result():
    async def body(ctx, dut):
        await post(ctx, dut, 7)
        for _ in range(3):
            assert ctx.get(dut.o_watch)
            assert not ctx.get(dut.o.valid)
            await ctx.tick()
        ctx.set(dut.i_known, 1)
        await ctx.tick()
        ctx.set(dut.i_known, 0)     # the book may change its mind, the offer stays
        for _ in range(5):
            assert ctx.get(dut.o.valid)
            intent = ctx.get(dut.o.payload)
            assert (intent.instrument, intent.quantity, intent.price, intent.trigger,
                    intent.source) == (17, 30, 1 << 63, 4242, Source.HOST)
            await ctx.tick()
        ctx.set(dut.o.ready, 1)
        await ctx.tick()
        assert not ctx.get(dut.o.valid)
        ctx.set(dut.i_venue_sequence, 901)
        await outcome(ctx, dut.i_outcome, intent={"source": Source.STRATEGY}, client_id=1)
        assert not ctx.get(dut.o_done)
        await outcome(ctx, dut.i_outcome, client_id=88, reason=Reason.PASSED)
        assert ctx.get(dut.o_done)
        assert ctx.get(dut.o_number) == 7
        assert ctx.get(dut.o_client_id) == 88
        assert ctx.get(dut.o_venue_sequence) == 900
        assert ctx.get(dut.o_reason) == Reason.PASSED
        await post(ctx, dut, 8)
        assert not ctx.get(dut.o_done)
        await ctx.tick()
        await outcome(ctx, dut.i_refused, reason=Reason.RATE)
        assert (ctx.get(dut.o_number), ctx.get(dut.o_reason)) == (8, Reason.RATE)

    assert simulate(body) == 0


def test_a_cancel_does_not_wait_for_the_book():
    async def body(ctx, dut):
        await post(ctx, dut, 1, action=Action.CANCEL, client_id=33)
        assert ctx.get(dut.o.valid)
        assert not ctx.get(dut.o_watch)
        assert ctx.get(dut.o.payload.client_id) == 33
        await ctx.tick()

    assert simulate(body) == 0


def test_a_post_too_early_is_dropped_and_counted():
    async def body(ctx, dut):
        await post(ctx, dut, 1)
        await post(ctx, dut, 2, instrument=3)
        assert ctx.get(dut.o.payload.instrument) == 17
        assert ctx.get(dut.o_number) == 1
        await ctx.tick()

    assert simulate(body) == 1
