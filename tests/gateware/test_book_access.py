"""One reader, two readers' wishes; a watched book that may be stale is never called tradable."""

from amaranth.sim import Simulator
from tickwire.gateware.book_access import BookAccess
from tickwire.hdl.feed.event import Side

LATENCY = 7


def simulate(body, built=lambda index: index != 9):
    dut = BookAccess()
    requests = []

    async def testbench(ctx):
        await body(ctx, dut)
        done.append(True)

    async def book(ctx):
        while not done:
            await ctx.tick()
            if ctx.get(dut.o.valid):
                wish = ctx.get(dut.o.payload)
                requests.append((wish.index, wish.side, wish.level))
                await ctx.tick().repeat(LATENCY)
                ctx.set(dut.i.payload, {"valid": 1, "price": 1000 * wish.index + wish.level,
                                        "built": built(wish.index)})
                ctx.set(dut.i.valid, 1)
                await ctx.tick()
                ctx.set(dut.i.valid, 0)

    done = []
    sim = Simulator(dut)
    sim.add_clock(6.4e-9)
    sim.add_testbench(testbench)
    sim.add_testbench(book)
    sim.run()
    return requests


async def select(ctx, dut, index, level):
    ctx.set(dut.i_select.payload, {"index": index, "side": Side.ASK, "level": level})
    ctx.set(dut.i_select.valid, 1)
    await ctx.tick()
    ctx.set(dut.i_select.valid, 0)


def test_the_host_gets_the_level_it_asked_for_last():
    async def body(ctx, dut):
        await select(ctx, dut, 5, 3)
        await ctx.tick().repeat(LATENCY + 5)
        assert ctx.get(dut.o_done)
        assert ctx.get(dut.o_level.price) == 5003
        for gap in range(LATENCY + 4):
            await select(ctx, dut, 6, gap)
            await ctx.tick().repeat(gap + 1)
            await select(ctx, dut, 7, gap)
            for _ in range(2 * LATENCY + 10):
                await ctx.tick()
                assert not ctx.get(dut.o_done) or ctx.get(dut.o_level.price) == 7000 + gap
            assert ctx.get(dut.o_done)

    assert simulate(body)[0] == (5, Side.ASK, 3)


def test_a_watched_book_is_known_and_withdrawn_at_once():
    async def body(ctx, dut):
        ctx.set(dut.i_index, 4)
        ctx.set(dut.i_watch, 1)
        await ctx.tick().repeat(LATENCY + 6)
        assert ctx.get(dut.o_known) and ctx.get(dut.o_tradable)
        ctx.set(dut.i_verdict.payload, {"good": 1, "gap": 1})
        for phase in range(12):     # in every phase of the reads that go on meanwhile
            await ctx.tick().repeat(40 + phase)
            ctx.set(dut.i_verdict.valid, 1)
            await ctx.tick()
            ctx.set(dut.i_verdict.valid, 0)
            for _ in range(LATENCY):
                assert not ctx.get(dut.o_tradable)
                await ctx.tick()
        await ctx.tick().repeat(40)
        assert ctx.get(dut.o_tradable)
        ctx.set(dut.i_watch, 0)
        await ctx.tick()
        assert not ctx.get(dut.o_known)
        ctx.set(dut.i_index, 9)     # not built
        ctx.set(dut.i_watch, 1)
        for _ in range(3 * LATENCY):
            await ctx.tick()
            assert not ctx.get(dut.o_tradable)
        assert ctx.get(dut.o_known)
        await select(ctx, dut, 5, 1)
        await ctx.tick().repeat(3 * LATENCY)
        assert ctx.get(dut.o_done)

    simulate(body)
