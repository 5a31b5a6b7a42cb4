# amaranth: UnusedElaboratable=no
"""Counters: nothing is lost, reads are exact, latency is what the docstring says."""

import random

import pytest
from amaranth.sim import Simulator
from tickwire.hdl.csr.counters import CounterFile


def simulate(count, cycles, density, reads, seed=1, steps=None):
    """``steps`` maps counters to bits; such a counter adds 8 a cycle, some of it later at once."""
    steps = steps or {}
    dut = CounterFile(count, steps)
    owed = dict.fromkeys(steps, 0)
    rng = random.Random(seed)
    totals = [0] * count
    checked = []

    async def bench(ctx):
        history = [list(totals)]
        waiting = 0
        since = dut.READ_PERIOD
        index = 0
        for cycle in range(cycles):
            if ctx.get(dut.o_done):
                assert waiting == 7
                value = ctx.get(dut.o_value)
                assert history[-6][index] <= value <= history[-1][index]
                checked.append(value)
                waiting = 0
            strobes = place = 0
            for k in range(count):
                step = int(rng.random() < density)
                if k in steps:
                    owed[k] += 8
                    step = min(owed[k], (1 << steps[k]) - 1) if rng.random() < density ** 4 else 0
                    owed[k] = min(owed[k] - step, (1 << steps[k]) - 1)
                totals[k] += step
                strobes |= step << place
                place += steps.get(k, 1)
            history = history[-8:] + [list(totals)]
            ctx.set(dut.i_strobes, strobes)
            read = reads and since >= dut.READ_PERIOD and not waiting and cycle % 3 == 0
            ctx.set(dut.i_read, read)
            if read:
                index, since = rng.randrange(count), 0
                ctx.set(dut.i_index, index)
            else:
                ctx.set(dut.i_index, rng.randrange(count))
            await ctx.tick()
            since += 1
            waiting += bool(waiting or read)
        ctx.set(dut.i_strobes, 0)
        for k in range(count):
            for _ in range(dut.READ_PERIOD):
                ctx.set(dut.i_read, 0)
                await ctx.tick()
            ctx.set(dut.i_index, k)
            ctx.set(dut.i_read, 1)
            await ctx.tick()
            ctx.set(dut.i_read, 0)
            for _ in range(6):
                assert not ctx.get(dut.o_done)
                await ctx.tick()
            assert ctx.get(dut.o_done)
            assert ctx.get(dut.o_value) == totals[k]

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    return checked


@pytest.mark.parametrize("count", [1, 5, 8, 13])
def test_totals_are_exact_with_random_strobes_and_reads(count):
    assert len(simulate(count, 600, 0.5, True)) > 20


@pytest.mark.parametrize("count", [1, 8, 40])
def test_nothing_is_lost_at_full_rate_while_the_host_reads_as_fast_as_it_can(count):
    assert simulate(count, 500, 1.0, True)


def test_nothing_is_lost_at_full_rate_without_reads():
    simulate(20, 800, 1.0, False)


@pytest.mark.parametrize("density", [0.3, 1.0])
def test_bytes_are_summed_up_exactly(density):
    """4 bits as they come, 14 bits summed up for up to 2,000 cycles; among others of one."""
    assert simulate(12, 3000, density, True, steps={0: 4, 5: 14, 11: 7})


def test_pending_bits_hold_the_longest_round():
    for count in (1, 8, 40, 100, 128, 300):
        depth = max(count, 8)
        progress = CounterFile.READ_PERIOD - 7
        longest = (-(-depth // progress) + 1) * CounterFile.READ_PERIOD
        assert longest < 1 << CounterFile.pending_width(count)
        for step in (4, 14):
            most = 8 * longest + (1 << step) - 1
            assert most < 1 << CounterFile.pending_width(count, step)


def test_rejects_no_counters():
    with pytest.raises(ValueError, match="^CounterFile count must be at least 1, not 0$"):
        CounterFile(0)
