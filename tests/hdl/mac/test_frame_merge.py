"""FrameMerge: whole frames, in turn, none lost, and one of two latencies."""

import random

import pytest
from amaranth.sim import Simulator
from tickwire.hdl.mac.frame_merge import FrameMerge


def beats(source, number, rng):
    """A frame whose bytes tell where it comes from."""
    count = rng.randrange(1, 6)
    return [{"data": source << 32 | number << 8 | n, "begin": 0, "end": 8, "first": n == 0,
             "last": n == count - 1} for n in range(count)]


def run(frames, *, ready=1.0, offers=(1.0, 1.0), cycles=3000):
    """Beats that came out, with cycle; and for each source the cycles of its first offers."""
    dut, rng = FrameMerge(), random.Random(3)
    queues = [[beat for frame in one for beat in frame] for one in frames]
    out, offered = [], ([], [])
    sources = (dut.i_first, dut.i_second)

    async def bench(ctx):
        valid = [False, False]
        for cycle in range(cycles):
            for n, source in enumerate(sources):
                valid[n] = valid[n] or bool(queues[n]) and rng.random() < offers[n]
                ctx.set(source.valid, valid[n])
                ctx.set(source.payload.data, rng.getrandbits(64))
                ctx.set(source.payload.last, rng.getrandbits(1))
                if valid[n]:
                    ctx.set(source.payload, queues[n][0])
                    if queues[n][0]["first"] and (not offered[n] or offered[n][-1][1]
                                                  != queues[n][0]["data"]):
                        offered[n].append((cycle, queues[n][0]["data"]))
            takes = rng.random() < ready
            ctx.set(dut.o.ready, takes)
            if takes and ctx.get(dut.o.valid):
                out.append((cycle, ctx.get(dut.o.payload.data), ctx.get(dut.o.payload.last)))
            for n, source in enumerate(sources):
                if valid[n] and ctx.get(source.ready):
                    queues[n].pop(0)
                    valid[n] = False
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    assert queues == [[], []]
    return out, offered


@pytest.mark.parametrize("ready, offers", [(1, (1, 1)), (0.5, (1, 1)), (1, (0.2, 0.3)),
                                           (0.7, (1, 0.1)), (0.7, (0.1, 1))])
def test_frames_stay_whole_and_each_source_in_order(ready, offers):
    rng = random.Random(1)
    frames = [[beats(source, number, rng) for number in range(60)] for source in (0, 1)]
    out, _ = run(frames, ready=ready, offers=offers)
    whole = []
    for _, data, last in out:
        if not whole or whole[-1][-1][1]:
            whole.append([])
        whole[-1].append((data, last))
    for source in (0, 1):
        assert [[data for data, _ in frame] for frame in whole if frame[0][0] >> 32 == source] \
            == [[beat["data"] for beat in frame] for frame in frames[source]]
    if offers == (1, 1):
        assert [frame[0][0] >> 32 for frame in whole] == [0, 1] * 60, "in turn"


@pytest.mark.parametrize("source, latency", [(0, 0), (1, 1)])
def test_latency(source, latency):
    rng = random.Random(2)
    frames = [[], []]
    frames[source] = [beats(source, number, rng) for number in range(20)]
    out, offered = run(frames, offers=(0.1, 0.1))
    came = {data: cycle for cycle, data, _ in out}
    assert [came[data] - cycle for cycle, data in offered[source]] == [latency] * 20
