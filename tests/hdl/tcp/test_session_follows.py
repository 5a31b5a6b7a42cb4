# amaranth: UnusedElaboratable=no
"""TransmitSession beside a TCP engine: the same SND.NXT in every cycle that counts."""

import random

import pytest
from amaranth.sim import Simulator
from tickwire.hdl.tcp.session import TransmitSession

MASK = (1 << 32) - 1
LARGEST = 100


@pytest.mark.parametrize("seed", range(4))
def test_it_keeps_step_with_the_engine(seed):
    """The engine is a register: a commit, or what it sends itself, shows a cycle later."""
    rng = random.Random(seed)
    dut = TransmitSession(LARGEST)
    seen = {"sent": 0, "opened": 0, "windows": set()}

    async def bench(ctx):
        engine = {"open": 0, "sequence": rng.getrandbits(32), "unacknowledged": 0,
                  "peer_window": 0, "largest": 1460, "acknowledgement": 0, "window": 0}
        engine["unacknowledged"] = engine["sequence"]
        before, open_for = dict(engine), 0
        venue, client = 7, 1000
        ctx.set(dut.i_follow, 1)
        ctx.set(dut.i_room, 1)
        for cycle in range(3000):
            load = cycle == 3 or rng.random() < 0.01
            if load:
                venue, client = rng.getrandbits(60), rng.getrandbits(60)
            ctx.set(dut.i_load.valid, load)
            ctx.set(dut.i_load.payload, {"open": 1, "sequence": rng.getrandbits(32),
                                         "venue_sequence": venue, "client_id": client})
            ctx.set(dut.i_tcp, engine)
            state = ctx.get(dut.o)
            if engine["open"] and open_for > 1 and cycle > 5:
                assert state["open"] and state["sequence"] == engine["sequence"]
                assert state["unacknowledged"] == before["unacknowledged"]
                assert state["acknowledgement"] == before["acknowledgement"]
            elif not open_for and not before["open"]:
                assert not state["open"]
            seen["windows"].add(ctx.get(dut.o_window_ok))
            # One frame at a time: an order's, or one of the engine's own.
            commit = bool(state["open"]) and engine["open"] and not load and rng.random() < 0.1
            # Nothing can leave in the first cycles of a connection.
            left = not commit and open_for > 2 and rng.random() < 0.1
            again = left and rng.random() < 0.3
            length = rng.randrange(1, 1461)
            ctx.set(dut.i_commit.valid, commit)
            ctx.set(dut.i_commit.payload, {"sequence": engine["sequence"], "length": length,
                                           "new": commit})
            ctx.set(dut.i_left.valid, left)
            ctx.set(dut.i_left.payload, {"length": length, "sequence": (
                engine["sequence"] - again * 100 & MASK if left else rng.getrandbits(32))})
            await ctx.tick()
            before = dict(engine)
            if commit or left and not again:
                engine["sequence"] = engine["sequence"] + length & MASK
                seen["sent"] += 1
            if commit:
                venue, client = venue + 1, client + 1
            if commit or load:
                assert ctx.get(dut.o)["venue_sequence"] == venue
                assert ctx.get(dut.o)["client_id"] == client
            engine["acknowledgement"] = rng.getrandbits(32)
            if rng.random() < 0.3:
                engine["unacknowledged"] = engine["sequence"]
                engine["peer_window"] = rng.choice([0, 99, 100, 5000])
            if rng.random() < 0.02:
                engine["open"] ^= 1
                seen["opened"] += engine["open"]
                if not engine["open"]:
                    engine["sequence"] = rng.getrandbits(32)
            open_for = open_for + 1 if engine["open"] else 0

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    assert seen["sent"] > 100 and seen["opened"] > 10 and seen["windows"] == {0, 1}


def test_no_order_without_room_to_keep_it():
    dut = TransmitSession(LARGEST)

    async def bench(ctx):
        ctx.set(dut.i_follow, 1)
        ctx.set(dut.i_tcp, {"open": 1, "peer_window": 5000})
        await ctx.tick().repeat(5)
        assert not ctx.get(dut.o_window_ok)
        ctx.set(dut.i_room, 1)
        await ctx.delay(0)
        assert ctx.get(dut.o_window_ok)
        # The connection is open, but the venue has not let us in yet.
        assert not ctx.get(dut.o.open)
        ctx.set(dut.i_load.valid, 1)
        ctx.set(dut.i_load.payload, {"open": 1, "venue_sequence": 5})
        await ctx.tick()
        assert ctx.get(dut.o.open) and ctx.get(dut.o.venue_sequence) == 5

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
