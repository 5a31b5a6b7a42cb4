# amaranth: UnusedElaboratable=no
"""CycleCounter and StampCrossing: the same count on both sides."""

import pytest
from amaranth.hdl import ClockDomain, Module
from amaranth.sim import Simulator
from tickwire.hdl.timing.stamp import CycleCounter, StampCrossing, gray_decode, gray_encode


def run(rx_period, rx_phase, cycles=400, start=0):
    """Differences between the crossing's count and the core's, once per cycle of rx."""
    m = Module()
    m.domains += [ClockDomain("sync"), ClockDomain("rx")]
    m.submodules.counter = counter = CycleCounter(width=20)
    m.submodules.crossing = crossing = StampCrossing()
    m.d.comb += crossing.i_gray.eq(counter.o_gray)
    differences = []

    async def bench(ctx):
        ctx.set(counter.o, start)
        for cycle in range(cycles):
            await ctx.tick("rx")
            if cycle > 8:
                difference = ctx.get(crossing.o) - ctx.get(counter.o) & 0xffff
                differences.append(difference - (difference >> 15 << 16))

    sim = Simulator(m)
    sim.add_clock(6400e-12, phase=3200e-12, domain="sync")
    sim.add_clock(rx_period * 1e-12, phase=rx_phase * 1e-12, domain="rx")
    sim.add_testbench(bench)
    sim.run_until(cycles * rx_period * 1e-12)
    return differences


def test_aligned_clocks_agree_exactly():
    differences = run(6400, 3200, start=65_400)        # wraps on the way
    assert len(differences) > 300 and set(differences) == {0}


@pytest.mark.parametrize("phase", [3201, 4000, 5500, 6399, 100, 3100])
def test_other_phases_are_off_by_one_at_most(phase):
    assert set(run(6400, phase)) <= {-1, 0, 1}


@pytest.mark.parametrize("period", [6399, 6401])
def test_drifting_clocks_are_off_by_one_at_most(period):
    differences = run(period, 3200, cycles=900)
    assert set(differences) <= {-1, 0, 1}


def test_neighbours_differ_in_one_bit():
    m = Module()
    m.submodules.counter = counter = CycleCounter()
    codes, counts = [], []

    async def bench(ctx):
        ctx.set(counter.o, 0)
        for _ in range(300):
            codes.append(ctx.get(counter.o_gray))
            counts.append(ctx.get(counter.o))
            await ctx.tick()

    sim = Simulator(m)
    sim.add_clock(1e-9)
    sim.add_testbench(bench)
    sim.run()
    assert counts == list(range(300)) and codes == [count ^ count >> 1 for count in counts]


def test_gray_code_is_its_own_inverse():
    from amaranth.hdl import Signal
    value = Signal(8)
    m = Module()
    decoded = Signal(8)
    m.d.comb += decoded.eq(gray_decode(gray_encode(value)))

    async def bench(ctx):
        for number in range(256):
            ctx.set(value, number)
            assert ctx.get(decoded) == number

    sim = Simulator(m)
    sim.add_testbench(bench)
    sim.run()


def test_narrow_counter_is_refused():
    with pytest.raises(ValueError, match="CycleCounter width must be at least 16 bits, the width "
                                         "of a stamp, not 8"):
        CycleCounter(8)
