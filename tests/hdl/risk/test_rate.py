# amaranth: UnusedElaboratable=no
"""The token bucket, cycle by cycle against the oracle's."""

import random

import pytest
from amaranth.sim import Simulator
from risk_bench import Bucket
from tickwire.hdl.risk.rate import TokenBucket


@pytest.mark.parametrize("seed", range(3))
def test_random_lives_equal_the_oracle(seed):
    rng = random.Random(seed)
    dut, oracle = TokenBucket(), Bucket()
    spent = []

    async def testbench(ctx):
        for cycle in range(1500):
            tokens = ctx.get(dut.o_tokens)
            assert tokens == oracle.tokens
            assert ctx.get(dut.o_ok) == (tokens > 0)
            assert ctx.get(dut.o_more) == (tokens > 1)
            limit = None
            if rng.random() < 0.02 or cycle == 10:
                limit = {"burst": rng.choice((0, 1, 2, 5, 2**16 - 1)),
                         "period": rng.choice((0, 1, 2, 7, 2**32 - 1))}
                ctx.set(dut.i_limit.payload, limit)
            take = rng.random() < 0.4       # of an empty bucket nothing is taken
            spent.append(take and tokens > 0)
            ctx.set(dut.i_limit.valid, limit is not None)
            ctx.set(dut.i_take, take)
            await ctx.tick()
            oracle.tick(limit, take and tokens > 0)

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(testbench)
    simulator.run()
    assert not any(spent[:10])      # empty at reset
    assert any(spent)
