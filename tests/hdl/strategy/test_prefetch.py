# amaranth: UnusedElaboratable=no
"""Rows fetched ahead: 2 cycles, never half a row, an old one for 2 cycles at most."""

import random

import pytest
from amaranth.lib import data
from amaranth.sim import Simulator
from tickwire.hdl.strategy.prefetch import RowPrefetch

ROW = data.StructLayout({"low": 7, "high": 9})


@pytest.mark.parametrize("seed", range(3))
def test_random_fetches_and_writes(seed):
    """``low`` and ``high`` of a row are equal; each register shows what the memory held when it was
    read last, and an old row stands for 2 cycles at most."""
    rng = random.Random(seed)
    dut = RowPrefetch(ROW, 4)
    written = [[0] * 4]         # by cycle: what the memory holds
    lanes = {"fast": (None, 0), "slow": (None, 0)}      # index, cycle of the fetch
    waiting = None              # index, value, cycle of a write that is not done
    shown, delays = [], []

    async def testbench(ctx):
        nonlocal waiting
        spoiled = -9
        for now in range(2400):
            state = list(written[-1])
            write = waiting is None and rng.random() < 0.3
            ctx.set(dut.i_write.valid, write)
            index, value = rng.randrange(4), rng.getrandbits(7)
            ctx.set(dut.i_write.payload, {"index": index, "row": {"low": value, "high": value}})
            fetch, slow = rng.random() < 0.2, rng.random() < 0.3
            wanted = {"fast": rng.randrange(4), "slow": rng.randrange(4)}
            ctx.set(dut.i_fetch.valid, fetch)
            ctx.set(dut.i_fetch.payload, wanted["fast"])
            ctx.set(dut.i_slow.valid, slow)
            ctx.set(dut.i_slow.payload, wanted["slow"])
            *_, ready, row, slow_ready, slow_row, taken, done, done_index = await ctx.tick().sample(
                dut.o_ready, dut.o_row, dut.o_slow_ready, dut.o_slow_row, dut.i_slow.ready,
                dut.o_written.valid, dut.o_written.payload)
            at, since = lanes["fast"]
            if at is not None:
                assert ready == (now >= since + 2)
            if at is not None and ready:
                assert found_in(row, [step[at] for step in written[max(since, now - 2):now + 1]])
                if now > spoiled + 2:
                    assert row.low == written[now][at]
                shown.append("fast")
            at, since = lanes["slow"]
            if slow_ready:
                assert now >= since + 2
                assert row_is(slow_row, written[since][at])
                shown.append("slow")
            if done:
                assert waiting is not None and done_index == waiting[0]
                state[waiting[0]] = waiting[1]
                delays.append(now - waiting[2])
                spoiled = now
                if lanes["slow"][0] == done_index:
                    lanes["slow"] = None, now
                waiting = None
            written.append(state)       # written[now + 1] is the state after cycle now
            if write:
                waiting = index, value, now
            if fetch:
                lanes["fast"] = wanted["fast"], now
            if slow and taken:
                assert not fetch
                lanes["slow"] = wanted["slow"], now

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(testbench)
    simulator.run()
    assert shown.count("fast") > 300
    assert shown.count("slow") > 300
    assert min(delays) == 1 and sorted(delays)[len(delays) // 2] == 1


def row_is(row, value):
    return row.low == row.high == value


def found_in(row, values):
    return row.low == row.high and row.low in values


def test_a_depth_that_cannot_be_built():
    with pytest.raises(ValueError, match="RowPrefetch depth must be a power of two and at least 2, "
                                         "not 3"):
        RowPrefetch(ROW, 3)
