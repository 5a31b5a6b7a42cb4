"""HostReceive: what sessions have received is named, waits for a slot, and is told."""

import random

from amaranth.sim import Simulator
from test_host_receive import SLOT, beats_of
from tickwire.gateware.host_receive import HostReceive


def run(frames, data, *, slots=1 << 20, give_back=0.0, taken=1.0, offers=0.7,
        cycles=6000):
    """Frames and (session, octets) offered at random times, side by side."""
    dut, rng = HostReceive(SLOT), random.Random(4)
    streams = [(dut.i, [beat for one in frames for beat in beats_of(one)]),
               (dut.i_data, [{**beat, "session": session} for session, one in data
                             for beat in beats_of(one)])]
    seen, consumed, lost = [], [], 0

    async def bench(ctx):
        nonlocal lost
        valid, words, back = [False, False], [], 0
        ctx.set(dut.ring, slots)
        await ctx.tick().repeat(4)
        for _ in range(cycles):
            back += len(seen) > back and rng.random() < give_back
            ctx.set(dut.consumed, back)
            for n, (port, beats) in enumerate(streams):
                valid[n] = valid[n] or bool(beats) and rng.random() < offers
                ctx.set(port.valid, valid[n])
                ctx.set(port.payload.data, rng.getrandbits(64))
                ctx.set(port.payload.last, rng.getrandbits(1))
                if valid[n]:
                    ctx.set(port.payload, {name: beats[0][name] for name in (
                        "data", "begin", "end", "first", "last")})
            ctx.set(dut.i_data_session, streams[1][1][0]["session"] if valid[1]
                    else rng.getrandbits(6))
            ready = rng.random() < taken
            ctx.set(dut.o_consumed.ready, ready)
            if ready and ctx.get(dut.o_consumed.valid):
                told = ctx.get(dut.o_consumed.payload)
                consumed.append((told["session"], told["length"]))
            lost += ctx.get(dut.o_count_no_room)
            if ctx.get(dut.o.valid):
                word = ctx.get(dut.o.payload)
                words = [] if word["first"] else words
                words.append(word["word"])
                if word["last"]:
                    end = words.pop()
                    octets = b"".join(one.to_bytes(8, "little") for one in words[1:])
                    seen.append((end >> 48 & 0xFF, octets[:end >> 32 & 0xFFFF]))
                    assert end >> 56 == 0 and end & 0xFFFF_FFFF == len(seen) - 1
            for n, (port, beats) in enumerate(streams):
                if valid[n] and ctx.get(port.ready):
                    beats.pop(0)
                    valid[n] = False
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    return seen, consumed, lost, [len(beats) for _, beats in streams]


def some(count, seed):
    rng = random.Random(seed)
    return [rng.randbytes(rng.randrange(1, 100)) for _ in range(count)]


def test_each_source_is_whole_in_order_and_named():
    frames = [one.ljust(14) for one in some(60, 1)]
    data = [(n * 7 % 64, one) for n, one in enumerate(some(60, 2))]
    for taken in (1.0, 0.1):
        seen, consumed, lost, left = run(frames, data, taken=taken)
        assert [octets for source, octets in seen if source == 0] == frames and not lost
        assert [(source - 1, octets) for source, octets in seen if source] == data
        assert consumed == [(session, len(octets)) for session, octets in data]
        assert left == [0, 0]


def test_data_waits_for_a_slot_and_frames_do_not():
    frames = [one.ljust(14) for one in some(40, 3)]
    data = [(5, one) for one in some(20, 4)]
    seen, consumed, lost, left = run(frames, data, slots=3)
    assert len(seen) == 3 and left[0] == 0 and left[1] > 0, "no slot ever comes back"
    assert lost == len(frames) - sum(source == 0 for source, _ in seen)
    seen, consumed, lost, left = run(frames, data, slots=3, give_back=0.05)
    assert [octets for source, octets in seen if source == 6] == [octets for _, octets in data]
    assert len(consumed) == 20 and left == [0, 0] and lost > 0


def test_they_take_turns():
    seen, *_ = run([bytes(64)] * 30, [(1, bytes(64))] * 30, offers=1.0)
    assert [source for source, _ in seen] == [2, 0] * 30
