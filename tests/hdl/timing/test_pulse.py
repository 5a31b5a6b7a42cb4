"""PulseStamp: the time of an edge to the cycle, at every phase of the pin."""

import random

import pytest
from amaranth.sim import Simulator
from tickwire.hdl.timing.pulse import STAGES, PulseStamp

LATENCY = 3                 # cycles from the one at whose end the pin is taken
PERIOD_PS = 6_400


def test_a_stamp_is_that_of_two_cycles_after_the_edge():
    """Levels of random length: each rising edge is stamped once, in a known cycle."""
    dut = PulseStamp()
    rng = random.Random(4)
    levels = []
    while len(levels) < 2000:
        levels += [0] * rng.randrange(1, 9) + [1] * rng.randrange(1, 9)
    time, count, due = 0, 0, []
    for cycle, (before, level) in enumerate(zip([0, *levels], levels, strict=False)):
        if level and not before:
            time, count = stamp_of(cycle + STAGES), count + 1
        due.append((time, count))

    async def bench(ctx):
        for cycle, level in enumerate(levels):
            ctx.set(dut.i, level)
            ctx.set(dut.i_time, stamp_of(cycle))
            seen = ctx.get(dut.o_time), ctx.get(dut.o_count)
            assert seen == (due[cycle - LATENCY] if cycle >= LATENCY else (0, 0))
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    assert count > 200


def stamp_of(cycle):
    """A time that tells its cycle and has high bits as well."""
    return cycle << 40 | cycle


@pytest.mark.parametrize("phase", [1, 3199, 3201, 6399])
def test_a_pin_of_any_phase_is_right_to_the_cycle(phase):
    """The pin rises between two clock edges; its cycle ends with the second of them."""
    dut = PulseStamp()
    seen = []

    async def pin(ctx):
        # The clock's first rising edge is half a period after the start.
        await ctx.delay((PERIOD_PS // 2 + 100 * PERIOD_PS + phase) * 1e-12)
        ctx.set(dut.i, 1)

    async def counter(ctx):
        for cycle in range(110):
            ctx.set(dut.i_time, cycle)
            await ctx.tick()
            seen.append(ctx.get(dut.o_time))

    simulator = Simulator(dut)
    simulator.add_clock(PERIOD_PS * 1e-12)
    simulator.add_testbench(counter)
    simulator.add_testbench(pin)
    simulator.run()
    # Cycle 101 begins with edge 100 and is the pin's.
    assert seen[-1] == 101 + STAGES
    assert seen.index(101 + STAGES) + 1 == 101 + LATENCY
