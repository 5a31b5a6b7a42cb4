# amaranth: UnusedElaboratable=no
"""OrderChanges: every execution once, in its order, and none lost without a word."""

import random

import pytest
from amaranth.sim import Simulator
from tickwire.hdl.entry.execution import ExecutionKind
from tickwire.hdl.risk.order_changes import OrderChanges

COPIED = ("final", "stated", "quantity", "exponent", "leaves")


def run(plan, *, takes, depth=8, cycles=400):
    """Changes that came and in which cycles; strobes in which cycles; cycles with ``o_lost``.

    ``plan``: execution or "restart" by cycle.
    """
    dut, rng = OrderChanges(depth), random.Random(5)
    came, repeated, lost, standing = [], [], [], []

    async def bench(ctx):
        for cycle in range(cycles):
            what = plan.get(cycle)
            ctx.set(dut.i_restart, what == "restart")
            ctx.set(dut.i.valid, isinstance(what, dict))
            ctx.set(dut.i.payload.as_value(), rng.getrandbits(600))
            if isinstance(what, dict):
                ctx.set(dut.i.payload, what)
            ctx.set(dut.o.ready, ready := takes(cycle))
            if ctx.get(dut.o.valid) and ready:
                came.append((cycle, ctx.get(dut.o.payload)))
            repeated.extend([cycle] * ctx.get(dut.o_count_repeated))
            lost.extend([cycle] * ctx.get(dut.o_count_lost))
            standing.extend([cycle] * ctx.get(dut.o_lost))
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(6.4e-9)
    simulator.add_testbench(bench)
    simulator.run()
    return came, repeated, lost, standing


def execution(rng, sequence, part=0, **values):
    return {"kind": rng.choice(list(ExecutionKind)), "part": part,
            "sequence": sequence, "client_id": rng.getrandbits(64),
            "previous_id": rng.getrandbits(64), "final": rng.getrandbits(1),
            "stated": rng.getrandbits(1), "quantity": rng.getrandbits(64),
            "exponent": rng.getrandbits(8), "leaves": rng.getrandbits(64)} | values


@pytest.mark.parametrize("ready", (1.0, 0.6))
def test_random(ready):
    rng = random.Random(ready)
    plan, expected, newest = {}, [], (-1, 0)
    for cycle in range(3, 300, 3):
        number = (rng.choice((newest[0], newest[0] + 1, newest[0] + 1, rng.randrange(200),
                              (1 << 32) + cycle)[:4]), rng.choice((0, 1, 2, 65535)))
        number = (max(number[0], 0), number[1])
        plan[cycle] = one = execution(rng, *number)
        if number > newest:
            newest = number
            expected.append(one)
    came, repeated, lost, standing = run(plan, takes=lambda cycle: rng.random() < ready)
    assert len(came) == len(expected) and len(repeated) == len(plan) - len(expected)
    assert not lost and not standing
    for (_, change), one in zip(came, expected, strict=True):
        assert all(change[name] == one[name] for name in COPIED) and change.kind == one["kind"]
        assert change.client_id == one["previous_id" if one["kind"] == ExecutionKind.REPLACED
                                       else "client_id"]


def test_latency_and_numbers_beyond_32_bits():
    rng = random.Random(1)
    plan = {10: execution(rng, 1 << 32), 11: execution(rng, 5), 12: execution(rng, 1 << 32, 1),
            13: execution(rng, (1 << 64) - 1), 14: execution(rng, (1 << 64) - 1)}
    came, repeated, lost, _ = run(plan, takes=lambda cycle: True, cycles=30)
    assert [cycle for cycle, _ in came] == [13, 15, 16]
    assert repeated == [12, 15] and not lost


def test_a_full_queue_says_so_until_the_restart():
    rng = random.Random(1)
    plan = {cycle: execution(rng, cycle) for cycle in range(12)}
    plan |= {30: "restart", 31: execution(rng, 3)}
    came, repeated, lost, standing = run(plan, takes=lambda cycle: cycle > 20, cycles=60)
    # Eight wait in the memory, one in its register and one at the way out.
    assert len(came) == 11 and lost == [11, 12] and standing == list(range(11, 31))
    assert not repeated and came[-1][1].quantity == plan[31]["quantity"]


@pytest.mark.parametrize("depth", (2, 12))
def test_depth(depth):
    with pytest.raises(ValueError, match="^OrderChanges depth must be a power of two of at least "
                                         f"4, not {depth}$"):
        OrderChanges(depth)
