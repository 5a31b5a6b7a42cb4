# amaranth: UnusedElaboratable=no
"""FrameQueue: whole frames in order, drops counted, a frame that turns out bad leaves no trace."""

import pytest
from amaranth.hdl import Cat
from amaranth.sim import Simulator
from frame_bench import Collector, beats_of
from tickwire.hdl.mac.frame_queue import FrameQueue
from xgmii_bench import seeded


def run(frames, *, depth=64, waits=False, offer=1.0, ready=1.0, abort=lambda number, beat: False,
        drain=400, seed=1):
    """What came out, and the counts; ``abort`` says with which beats ``i_abort`` is up."""
    dut, rng = FrameQueue(depth, waits=waits), seeded(seed)
    sink = Collector(dut.o, rng, ready)
    counts, stalls, last_taken = [], 0, []

    async def bench(ctx):
        nonlocal stalls
        cycle = 0

        async def tick():
            nonlocal cycle
            sink.step(ctx, cycle)
            seen = ctx.get(Cat(dut.o_count_kept, dut.o_count_dropped))
            if seen:
                counts.append({1: "kept", 2: "dropped"}[seen])
            await ctx.tick()
            cycle += 1

        for number, octets in enumerate(frames):
            for place, beat in enumerate(beats_of(octets)):
                while rng.random() > offer:
                    ctx.set(dut.i.valid, 0)
                    ctx.set(dut.i.payload.data, rng.getrandbits(64))
                    ctx.set(dut.i.payload.last, rng.randrange(2))
                    ctx.set(dut.i_abort, 0)
                    await tick()
                ctx.set(dut.i.valid, 1)
                ctx.set(dut.i.payload, beat)
                ctx.set(dut.i_abort, abort(number, place))
                while not ctx.get(dut.i.ready):
                    stalls += 1
                    await tick()
                if beat["last"]:
                    last_taken.append(cycle)
                await tick()
        ctx.set(dut.i.valid, 0)
        ctx.set(dut.i_abort, 0)
        sink.ready = 1.0
        for _ in range(drain):
            await tick()
        assert ctx.get(dut.o_empty)

    sim = Simulator(dut)
    sim.add_clock(6.4e-9)
    sim.add_testbench(bench)
    sim.run()
    return sink, counts, stalls, last_taken


def some_frames(rng, count, longest=200):
    return [rng.randbytes(rng.randrange(1, longest)) for _ in range(count)]


@pytest.mark.parametrize("offer, ready", [(1.0, 1.0), (0.4, 1.0), (1.0, 0.9), (0.6, 0.6)])
def test_frames_come_out_whole_and_in_order(offer, ready):
    frames = some_frames(seeded(2), 60)
    sink, counts, stalls, _ = run(frames, depth=1024, offer=offer, ready=ready, drain=1500)
    assert sink.frames == frames and counts == ["kept"] * 60 and stalls == 0


def test_latency_and_no_pause_between_frames():
    frames = some_frames(seeded(3), 5)
    sink, _, _, last_taken = run(frames[:1])
    assert sink.cycles[0][0] == last_taken[0] + 3
    # What waits in the queue leaves without a pause, from one frame to the next too.
    sink, *_ = run(frames, depth=1024, ready=lambda cycle: cycle > 150)
    for before, after in zip(sink.cycles, sink.cycles[1:], strict=False):
        assert after[0] == before[1] + 1


def test_what_finds_no_room_is_dropped_whole_and_counted():
    rng = seeded(4)
    frames = some_frames(rng, 300)
    sink, counts, stalls, _ = run(frames, depth=64, ready=0.5, seed=5)
    assert stalls == 0 and len(counts) == 300
    assert 20 < counts.count("dropped") < 280
    assert sink.frames == [one for one, what in zip(frames, counts, strict=True) if what == "kept"]


def test_the_longest_frame_fits_and_a_longer_one_does_not():
    rng = seeded(6)
    fits, does_not = rng.randbytes(8 * 62), rng.randbytes(8 * 65)
    sink, counts, *_ = run([fits, does_not, fits[:9], does_not, fits], depth=64, drain=800)
    assert counts[:4] == ["kept", "dropped", "kept", "dropped"]
    assert sink.frames[:2] == [fits, fits[:9]]


def test_one_that_waits_loses_nothing():
    frames = some_frames(seeded(7), 200)
    sink, counts, stalls, _ = run(frames, depth=64, waits=True, ready=0.4, offer=0.9)
    assert sink.frames == frames and counts == ["kept"] * 200 and stalls > 100


@pytest.mark.parametrize("place", ["first", "middle", "last"])
def test_an_aborted_frame_leaves_no_trace(place):
    rng = seeded(8)
    frames = [rng.randbytes(rng.randrange(40, 200)) for _ in range(100)]
    bad = {number for number in range(100) if rng.random() < 0.4}

    def abort(number, beat):
        last = (len(frames[number]) - 1) // 8
        return number in bad and beat == {"first": 0, "middle": last // 2, "last": last}[place]

    sink, counts, *_ = run(frames, depth=2048, ready=0.8, abort=abort, drain=3000)
    assert sink.frames == [one for number, one in enumerate(frames) if number not in bad]
    assert counts == ["kept"] * (100 - len(bad))


def test_an_aborted_frame_gives_its_room_back_at_once():
    rng = seeded(9)
    long, short = rng.randbytes(400), rng.randbytes(300)
    sink, counts, *_ = run([long, short] * 8, depth=128, abort=lambda number, beat: (
        number % 2 == 0 and beat == 49))
    assert sink.frames == [short] * 8 and counts == ["kept"] * 8


@pytest.mark.parametrize("depth", [4, 48])
def test_other_depths_are_refused(depth):
    with pytest.raises(ValueError, match="FrameQueue depth must be a power of two and at least 8 "
                                         f"beats, not {depth}"):
        FrameQueue(depth)
