"""PacketRegister: beats in order, a cycle late, and ready before anybody asks."""

import random

from amaranth.sim import Simulator
from tickwire.hdl.stream.register import PacketRegister


def run(beats, *, offer=1.0, takes=lambda valid: True, seed=1):
    """Beats that came out, and how many cycles after it was accepted each was offered."""
    dut, rng = PacketRegister(8), random.Random(seed)
    came, accepted, lateness = [], [], []

    async def bench(ctx):
        left, driving = list(beats), False
        for cycle in range(40 * len(beats)):
            driving = driving or bool(left) and rng.random() < offer
            ctx.set(dut.i.valid, driving)
            ctx.set(dut.i.payload, {"data": left[0] if driving else rng.getrandbits(64),
                                    "end": 8})
            valid = ctx.get(dut.o.valid)
            if valid and len(lateness) == len(came):
                lateness.append(cycle - accepted[len(came)])
            ctx.set(dut.o.ready, ready := takes(valid))
            if valid and ready:
                came.append(ctx.get(dut.o.payload.data))
            if not valid:
                assert ctx.get(dut.i.ready), "ready does not wait for what stands behind"
            if driving and ctx.get(dut.i.ready):
                accepted.append(cycle)
                left.pop(0)
                driving = False
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(6.4e-9)
    simulator.add_testbench(bench)
    simulator.run()
    return came, accepted, lateness


BEATS = [random.Random(number).getrandbits(64) for number in range(60)]


def test_a_beat_a_cycle_one_cycle_late():
    came, accepted, lateness = run(BEATS)
    assert came == BEATS and set(lateness) == {1}
    assert accepted == list(range(60))


def test_nothing_is_lost_or_doubled():
    rng = random.Random(3)
    for offer in (1.0, 0.5):
        came, _, lateness = run(BEATS, offer=offer, takes=lambda valid: rng.random() < 0.4)
        assert came == BEATS and set(lateness) == {1}


def test_a_room_that_is_ready_only_for_what_it_sees():
    came, *_ = run(BEATS, takes=bool)
    assert came == BEATS
