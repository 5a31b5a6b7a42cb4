"""The nanosecond clock: its rate, and how the host sets and corrects it."""

import random
from fractions import Fraction

import pytest
from amaranth.sim import Simulator
from tickwire.hdl.timing.clock import NanosecondClock
from tickwire.hdl.timing.rate import FRACTION_BITS, increment_per_cycle

LATENCY = 3
ALL = (1 << 64) - 1


def run(test):
    dut = NanosecondClock()

    async def testbench(ctx):
        await test(ctx, dut)

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(testbench)
    simulator.run()


def test_rate():
    """After 10,000 cycles of 6.4 ns the clock has gone 64,000 ns, whatever it started from."""
    async def test(ctx, dut):
        ctx.set(dut.i_increment, increment_per_cycle(156_250_000))
        await ctx.tick().repeat(10)
        start = ctx.get(dut.o)
        await ctx.tick().repeat(10_000)
        assert abs(ctx.get(dut.o) - start - 64_000) <= 1

    run(test)


def test_set_offset_and_rate_in_any_cycle():
    """Against a model that adds fractions; also across the border between the two halves.

    A rate is added between the cycles 2 and 3 after the one in which it stands at the port.
    """
    rng = random.Random(6)
    nominal = increment_per_cycle(161_132_812.5)

    async def test(ctx, dut):
        time = 0                            # in 2**-32 ns, of the cycle LATENCY later
        due = []
        for cycle in range(4000):
            sets = rng.random() < 0.02
            offsets = rng.random() < 0.05
            new = rng.choice((0xFFFF, (1 << 48) - 3, ALL, rng.getrandbits(64)))
            offset = rng.choice((-1, 1, -70_000, rng.getrandbits(64) - (1 << 63)))
            increment = rng.choice((nominal, nominal + 1, nominal - 1, rng.getrandbits(40)))
            ctx.set(dut.i_increment, increment)
            ctx.set(dut.i_set.valid, sets)
            ctx.set(dut.i_set.payload, new if sets else rng.getrandbits(64))
            ctx.set(dut.i_offset.valid, offsets)
            ctx.set(dut.i_offset.payload, offset & ALL)
            if sets:
                time = new << FRACTION_BITS
            else:
                time += increment + (offset << FRACTION_BITS if offsets else 0)
            time %= 1 << 64 + FRACTION_BITS
            due.append(time >> FRACTION_BITS)
            await ctx.tick()
            if cycle + 1 >= LATENCY:
                assert ctx.get(dut.o) == due[cycle + 1 - LATENCY]

    run(test)


@pytest.mark.parametrize("extra", [-1, 0, 1])
def test_one_unit_of_the_rate_counts_exactly(extra):
    """2**32 cycles of 6 ns and a unit, 2**20 at a time, are a nanosecond more: 0.04 ppb."""
    turns, skipped = 1 << 12, 1 << 20

    async def test(ctx, dut):
        ctx.set(dut.i_set.valid, 1)
        await ctx.tick()
        ctx.set(dut.i_set.valid, 0)
        ctx.set(dut.i_increment, (6 << FRACTION_BITS) + extra)
        ctx.set(dut.i_skip, skipped - 1)
        await ctx.tick().repeat(turns + LATENCY - 1)
        assert ctx.get(dut.o) == turns * skipped * 6 + extra

    run(test)


@pytest.mark.parametrize("hz", [156_250_000, 161_132_812.5, 125_000_000, 322_265_625, 3_906_251])
def test_increment(hz):
    exact = Fraction(10 ** 9) / Fraction(hz)
    unit = Fraction(1, 1 << FRACTION_BITS)
    assert abs(increment_per_cycle(hz) * unit - exact) <= unit / 2


@pytest.mark.parametrize("hz", [0, -1, 3_906_250])
def test_increment_refuses(hz):
    with pytest.raises(ValueError, match=r"^A nanosecond clock must run at more than 3,906,250 "
                                         rf"Hz, not {hz}$"):
        increment_per_cycle(hz)
