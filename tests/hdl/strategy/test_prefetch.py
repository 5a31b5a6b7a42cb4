# amaranth: UnusedElaboratable=no
"""Rows fetched ahead: 2 cycles, never half a row, never an old one."""

import random

import pytest
from amaranth.lib import data
from amaranth.sim import Simulator
from tickwire.hdl.strategy.prefetch import RowPrefetch

ROW = data.StructLayout({"low": 7, "high": 9})


@pytest.mark.parametrize("seed", range(3))
def test_random_fetches_and_writes(seed):
    """``low`` and ``high`` of a row are equal; what is shown is what was written 2 cycles ago."""
    rng = random.Random(seed)
    dut = RowPrefetch(ROW, 4)
    written = [[0] * 4]         # by cycle
    lanes = {"fast": (None, 0), "slow": (None, 0)}      # index, cycle of the fetch
    shown = []

    async def testbench(ctx):
        for now in range(1200):
            state = list(written[-1])
            write = rng.random() < 0.3
            ctx.set(dut.i_write.valid, write)
            index, value = rng.randrange(4), rng.getrandbits(7)
            ctx.set(dut.i_write.payload, {"index": index, "row": {"low": value, "high": value}})
            if write:
                state[index] = value
            written.append(state)       # written[now + 1] is the state after cycle now
            fetch, slow = rng.random() < 0.2, rng.random() < 0.3
            wanted = {"fast": rng.randrange(4), "slow": rng.randrange(4)}
            ctx.set(dut.i_fetch.valid, fetch)
            ctx.set(dut.i_fetch.payload, wanted["fast"])
            ctx.set(dut.i_slow.valid, slow)
            ctx.set(dut.i_slow.payload, wanted["slow"])
            *_, ready, row, slow_ready, slow_row, taken = await ctx.tick().sample(
                dut.o_ready, dut.o_row, dut.o_slow_ready, dut.o_slow_row, dut.i_slow.ready)
            for lane, valid, found in (("fast", ready, row), ("slow", slow_ready, slow_row)):
                at, since = lanes[lane]
                assert valid == (at is not None and now >= since + 2)
                if valid:
                    assert found.low == found.high == written[now - 1][at]
                    shown.append(lane)
            assert taken == (not fetch)
            if fetch:
                lanes["fast"] = wanted["fast"], now
            if slow and taken:
                lanes["slow"] = wanted["slow"], now

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(testbench)
    simulator.run()
    assert shown.count("fast") > 300
    assert shown.count("slow") > 300


def test_a_depth_that_cannot_be_built():
    with pytest.raises(ValueError, match="RowPrefetch depth must be a power of two and at least 2, "
                                         "not 3"):
        RowPrefetch(ROW, 3)
