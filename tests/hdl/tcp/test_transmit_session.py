# amaranth: UnusedElaboratable=no
"""One TCP session's transmit state: load, commit, acknowledge, and the venue's window."""

import random

import pytest
from amaranth.sim import Simulator
from tickwire.hdl.tcp.session import TransmitSession

MASK = (1 << 32) - 1
LARGEST = 96
noise = random.Random(7)
NAMES = ("open", "sequence", "unacknowledged", "peer_window", "acknowledgement", "window",
         "venue_sequence", "last_processed", "client_id")


def state(**values):
    return dict.fromkeys(NAMES, 0) | {"open": 1, "peer_window": 1000} | values


def run(test):
    dut = TransmitSession(LARGEST)

    async def testbench(ctx):
        await test(ctx, dut)

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(testbench)
    simulator.run()


async def step(ctx, dut, *, load=None, acknowledge=None, commit=None):
    for door, value in ((dut.i_load, load), (dut.i_acknowledge, acknowledge),
                        (dut.i_commit, commit)):
        ctx.set(door.valid, value is not None)
        if value is not None:
            ctx.set(door.payload, value)
        else:
            ctx.set(door.payload.as_value(), noise.getrandbits(32))
    await ctx.tick()


def read(ctx, dut):
    value = ctx.get(dut.o)
    return {name: int(value[name]) for name in NAMES}


def test_reset_is_closed():
    async def test(ctx, dut):
        for _ in range(5):
            assert read(ctx, dut) == dict.fromkeys(NAMES, 0)
            assert not ctx.get(dut.o_window_ok)
            await step(ctx, dut)

    run(test)


def test_everything_random_against_a_model():
    rng = random.Random(5)

    async def test(ctx, dut):
        model = dict.fromkeys(NAMES, 0)
        history = [(False, model)] * 4      # (loaded, state) of each cycle, newest last
        for _ in range(3000):
            load = acknowledge = commit = None
            if rng.random() < 0.05:
                near = rng.choice((0, MASK - 100, rng.getrandbits(32)))
                load = state(sequence=near, unacknowledged=near,
                             peer_window=rng.randrange(400), client_id=rng.getrandbits(64),
                             venue_sequence=rng.choice((MASK, rng.getrandbits(64))),
                             window=rng.getrandbits(16), acknowledgement=rng.getrandbits(32))
            if rng.random() < 0.1:
                acknowledge = {"unacknowledged": model["sequence"] - rng.randrange(200) & MASK,
                               "peer_window": rng.randrange(600),
                               "acknowledgement": rng.getrandbits(32),
                               "last_processed": rng.getrandbits(64)}
            if rng.random() < 0.2:
                wrong = rng.random() < 0.2
                commit = {"sequence": model["sequence"] ^ (wrong << rng.randrange(32)),
                          "length": rng.choice((96, 56)), "new": rng.getrandbits(1)}
            following = dict(model)
            if commit and commit["sequence"] == model["sequence"]:
                following["sequence"] = model["sequence"] + commit["length"] & MASK
                following["venue_sequence"] = model["venue_sequence"] + 1 & (1 << 64) - 1
                following["client_id"] = model["client_id"] + commit["new"] & (1 << 64) - 1
            following |= acknowledge or {}
            following = load or following
            await step(ctx, dut, load=load, acknowledge=acknowledge, commit=commit)
            model = following
            history.append((load is not None, model))
            assert read(ctx, dut) == model

            # what the window's answer in this cycle must be: sequence of the cycle before,
            # acknowledgement and window of the one before that, never across a load
            sequence = history[-2][1]["sequence"]
            seen = history[-3][1]
            room = (seen["unacknowledged"] + seen["peer_window"] - sequence + (1 << 31)
                    & MASK) - (1 << 31)
            across = history[-1][0] or history[-2][0]
            assert bool(ctx.get(dut.o_window_ok)) == (room >= LARGEST and not across)

    run(test)


@pytest.mark.parametrize("sequence", [0, 1000, MASK - 50, MASK - 95, 1 << 31])
def test_window_to_the_byte(sequence):
    async def test(ctx, dut):
        for window, right in ((LARGEST - 1, False), (LARGEST, True), (0, False), (1 << 29, True)):
            await step(ctx, dut, load=state(sequence=sequence, unacknowledged=sequence,
                                            peer_window=window))
            await step(ctx, dut)
            await step(ctx, dut)
            assert bool(ctx.get(dut.o_window_ok)) == right
        commit = {"sequence": sequence, "length": 96, "new": 1}
        await step(ctx, dut, load=state(sequence=sequence, unacknowledged=sequence,
                                        peer_window=2 * LARGEST - 1))
        await step(ctx, dut)
        await step(ctx, dut)
        assert ctx.get(dut.o_window_ok)
        await step(ctx, dut, commit=commit)
        await step(ctx, dut)
        assert not ctx.get(dut.o_window_ok)
        # a closed window with bytes in flight
        await step(ctx, dut, acknowledge={"unacknowledged": sequence, "peer_window": 0,
                                          "acknowledgement": 0, "last_processed": 0})
        await step(ctx, dut)
        await step(ctx, dut)
        assert not ctx.get(dut.o_window_ok)

    run(test)


@pytest.mark.parametrize("largest", [0, 1461])
def test_largest_segment(largest):
    with pytest.raises(ValueError, match=r"^TransmitSession largest must be from 1 to 1460 bytes, "
                                         rf"which a frame holds, not {largest}$"):
        TransmitSession(largest)
