# amaranth: UnusedElaboratable=no
"""ArpCache against a dictionary with ages; NextHop with it."""

import random

import pytest
from amaranth.sim import Simulator
from tickwire.hdl.ip.arp import ArpCache
from tickwire.hdl.ip.next_hop import NextHop

ROWS, LIFETIME = 4, 3


def simulate(dut, bench):
    simulator = Simulator(dut)
    simulator.add_clock(6.4e-9)
    simulator.add_testbench(bench)
    simulator.run()


async def finish(ctx, *answers):
    """Cycles until one of the answers stands, and which do."""
    for cycle in range(100):
        seen = [ctx.get(answer) for answer in answers]
        if any(seen):
            return cycle, seen
        await ctx.tick()
    raise AssertionError("no answer")


class Cache:
    """Drives the cache; garbage stands on what is not valid."""

    def __init__(self, ctx, dut, rng):
        self.ctx, self.dut, self.rng = ctx, dut, rng

    async def learn(self, address, mac, *, known=False):
        ctx, dut = self.ctx, self.dut
        for signal, value in ((dut.i_learn_address, address), (dut.i_learn_mac, mac),
                              (dut.i_learn_known, known), (dut.i_learn, 1)):
            ctx.set(signal, value)
        cycles, _ = await finish(ctx, dut.o_learned)
        await ctx.tick()
        ctx.set(dut.i_learn, 0)
        ctx.set(dut.i_learn_address, self.rng.choice((0, address)))
        ctx.set(dut.i_learn_mac, self.rng.getrandbits(48))
        return cycles

    async def look_up(self, address):
        ctx, dut = self.ctx, self.dut
        ctx.set(dut.i_address, address)
        ctx.set(dut.i_look_up, 1)
        cycles, (found, missing) = await finish(ctx, dut.o_found, dut.o_missing)
        assert found != missing
        mac = ctx.get(dut.o_mac) if found else None
        await ctx.tick()
        ctx.set(dut.i_look_up, 0)
        ctx.set(dut.i_address, self.rng.getrandbits(32))
        return cycles, mac

    async def second(self):
        self.ctx.set(self.dut.i_tick, 1)
        await self.ctx.tick()
        self.ctx.set(self.dut.i_tick, 0)
        await self.ctx.tick().repeat(2 * ROWS + 3)


@pytest.mark.parametrize("seed", range(3))
def test_random_lives_equal_a_dictionary(seed):
    rng = random.Random(seed)
    dut = ArpCache(ROWS, LIFETIME)
    addresses = [rng.getrandbits(32) for _ in range(6)]
    lives = {}          # address: [mac, life]
    found = 0

    async def bench(ctx):
        nonlocal found
        cache = Cache(ctx, dut, rng)
        for _ in range(150):
            address, mac = rng.choice(addresses), rng.getrandbits(48)
            what = rng.randrange(5)
            if what == 0:
                known = rng.random() < 0.5
                if address not in lives and len(lives) == ROWS and not known:
                    least = min(life for _, life in lives.values())
                    if sum(life == least for _, life in lives.values()) > 1:
                        continue        # which of several old ones goes is not said
                    del lives[next(key for key, (_, life) in lives.items() if life == least)]
                await cache.learn(address, mac, known=known)
                if not known or address in lives:
                    lives[address] = [mac, LIFETIME]
            elif what == 1 and rng.random() < 0.4:
                await cache.second()
                for key in list(lives):
                    lives[key][1] -= 1
                    if not lives[key][1]:
                        del lives[key]
            else:
                _, seen = await cache.look_up(address)
                assert seen == (lives[address][0] if address in lives else None)
                found += seen is not None

    simulate(dut, bench)
    assert found > 10


def test_a_tick_is_not_lost_while_another_is_due():
    """Two in a row age an entry twice."""
    dut = ArpCache(ROWS, 2)

    async def bench(ctx):
        cache = Cache(ctx, dut, random.Random(1))
        await cache.learn(1, 2)
        ctx.set(dut.i_tick, 1)
        await ctx.tick().repeat(2)
        ctx.set(dut.i_tick, 0)
        await ctx.tick().repeat(4 * ROWS + 8)
        assert await cache.look_up(1) == (2 * ROWS + 1, None)

    simulate(dut, bench)


def test_latency_and_what_comes_first():
    dut = ArpCache(ROWS, LIFETIME)

    async def bench(ctx):
        cache = Cache(ctx, dut, random.Random(1))
        assert await cache.learn(1, 2) == 2 * ROWS + 1
        assert await cache.look_up(1) == (2 * ROWS + 1, 2)
        assert await cache.look_up(3) == (2 * ROWS + 1, None)
        # All at once: a second, something to learn, a look-up of it.
        ctx.set(dut.i_tick, 1)
        ctx.set(dut.i_learn, 1)
        ctx.set(dut.i_learn_known, 0)
        ctx.set(dut.i_learn_address, 5)
        ctx.set(dut.i_learn_mac, 6)
        await ctx.tick()        # the tick is seen a cycle later than what stands
        ctx.set(dut.i_tick, 0)
        cycles, _ = await finish(ctx, dut.o_learned)
        assert cycles == 2 * ROWS
        ctx.set(dut.i_look_up, 1)
        ctx.set(dut.i_address, 5)
        await ctx.tick()
        ctx.set(dut.i_learn, 0)
        cycles, (found, _) = await finish(ctx, dut.o_found, dut.o_missing)
        assert cycles == 2 * (2 * ROWS + 2) - 1 and found and ctx.get(dut.o_mac) == 6

    simulate(dut, bench)


@pytest.mark.parametrize("address, netmask, gateway, expected", [
    (0x0a000001, 0xff000000, 0, ("hop", 0x0a000001)),
    (0x0b000001, 0xff000000, 0x0a0000fe, ("hop", 0x0a0000fe)),
    (0x0b000001, 0xff000000, 0, ("failed", None)),
    (0x0b000001, 0, 0, ("hop", 0x0b000001)),
    (0x0affffff, 0xff000000, 0, ("mac", 0xffffffffffff)),
    (0x0bffffff, 0xff000000, 0x0a0000fe, ("hop", 0x0a0000fe)),
    (0xffffffff, 0xff000000, 0, ("mac", 0xffffffffffff)),
    (0xefff1234, 0xff000000, 0, ("mac", 0x01005e7f1234)),
    (0xe0000001, 0xff000000, 0, ("mac", 0x01005e000001)),
    (0xf0000001, 0xff000000, 0x0a0000fe, ("hop", 0x0a0000fe)),
])
def test_next_hop(address, netmask, gateway, expected):
    dut = NextHop()

    async def bench(ctx):
        ctx.set(dut.i_settings, {"address": 0x0a0a0a0a, "netmask": netmask, "gateway": gateway})
        ctx.set(dut.i_address, address)
        ctx.set(dut.i_start, 1)
        await ctx.tick()
        ctx.set(dut.i_start, 0)
        cycles, (done, looks_up) = await finish(ctx, dut.o_done, dut.o_look_up)
        kind, value = expected
        assert cycles == 1
        if kind == "hop":
            assert looks_up and ctx.get(dut.o_hop) == value
            ctx.set(dut.i_found, 1)
            ctx.set(dut.i_mac, 0x123456)
            await ctx.tick()
            ctx.set(dut.i_found, 0)
            value = 0x123456
        assert ctx.get(dut.o_done)
        assert ctx.get(dut.o_failed) == (kind == "failed")
        if kind != "failed":
            assert ctx.get(dut.o_mac) == value
        await ctx.tick()
        assert not ctx.get(dut.o_done)

    simulate(dut, bench)


def test_requests_are_repeated_with_the_seconds_and_then_given_up():
    dut = NextHop(tries=2)

    async def bench(ctx):
        async def pulse(signal):
            ctx.set(signal, 1)
            await ctx.tick()
            ctx.set(signal, 0)

        ctx.set(dut.i_settings, {"address": 1, "netmask": 0, "gateway": 0})
        ctx.set(dut.i_address, 2)
        await pulse(dut.i_start)
        await finish(ctx, dut.o_look_up)
        await pulse(dut.i_missing)
        assert ctx.get(dut.o_ask)
        await ctx.tick().repeat(5)
        await pulse(dut.i_asked)
        assert not ctx.get(dut.o_ask)
        # Somebody else's address was learned: looked up once more, in vain.
        await pulse(dut.i_learned)
        assert ctx.get(dut.o_look_up)
        await pulse(dut.i_missing)
        assert not ctx.get(dut.o_ask)
        await pulse(dut.i_tick)
        assert ctx.get(dut.o_ask)
        await pulse(dut.i_asked)
        await ctx.tick().repeat(5)
        assert not ctx.get(dut.o_done)
        await pulse(dut.i_tick)
        assert ctx.get(dut.o_done) and ctx.get(dut.o_failed)

    simulate(dut, bench)


@pytest.mark.parametrize("make, sentence", [
    (lambda: ArpCache(rows=12), "ArpCache rows must be a power of two from 2 to 64, not 12"),
    (lambda: ArpCache(lifetime=0), "ArpCache lifetime must be 1 to 255 ticks, not 0"),
    (lambda: NextHop(tries=8), "NextHop tries must be 1 to 7, not 8"),
])
def test_refusals(make, sentence):
    with pytest.raises(ValueError) as caught:
        make()
    assert str(caught.value) == sentence
