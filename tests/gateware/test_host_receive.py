"""HostReceive: slots in order, drops counted, and frames behind it never wait for the host."""

import random

from amaranth.sim import Simulator
from tickwire.gateware.host_receive import HostReceive
from tickwire.gateware.records import FRAME_HEADER_BYTES

SLOT = 128


def beats_of(octets):
    last = (len(octets) - 1) // 8
    return [{"data": int.from_bytes(octets[8 * n:8 * n + 8], "little"), "begin": 0,
             "end": len(octets[8 * n:8 * n + 8]), "first": n == 0, "last": n == last}
            for n in range(last + 1)]


class Ring:
    """Puts words where the engine puts them; (cycle, sequence, frame) of each slot."""

    def __init__(self):
        self.slots, self.words = [], None

    def take(self, word, first, last):
        if first:
            self.words = [word]
        elif last:
            cycle, *data = self.words
            sequence, length = word & 0xFFFF_FFFF, word >> 32 & 0xFFFF
            assert word >> 48 == 0
            octets = b"".join(one.to_bytes(8, "little") for one in data)
            assert 0 <= len(octets) - length < 8
            self.slots.append((cycle, sequence, octets[:length]))
            self.words = None
        else:
            self.words.append(word)
            assert FRAME_HEADER_BYTES + 8 * (len(self.words) - 1) <= SLOT


def run(frames, *, ring=1 << 20, offer=1.0, host=lambda ring: len(ring.slots)):
    """``host`` says how many slots have been given back."""
    dut, out, rng = HostReceive(SLOT), Ring(), random.Random(1)
    counts = dict.fromkeys(("passed", "no_room", "too_long"), 0)
    waits, firsts = 0, []

    async def bench(ctx):
        nonlocal waits
        cycle = 1000
        ctx.set(dut.ring, ring)

        async def tick():
            nonlocal cycle
            ctx.set(dut.cycle, cycle)
            ctx.set(dut.consumed, host(out))
            for name in counts:
                counts[name] += ctx.get(getattr(dut, f"o_count_{name}"))
            if ctx.get(dut.o.valid):
                word = ctx.get(dut.o.payload)
                if word["first"]:
                    firsts.append(cycle)
                out.take(word["word"], word["first"], word["last"])
            await ctx.tick()
            cycle += 1

        for _ in range(4):
            await tick()
        for octets in frames:
            for beat in beats_of(octets):
                ctx.set(dut.i.valid, 0)
                while rng.random() > offer:
                    ctx.set(dut.i.payload.data, rng.getrandbits(64))
                    await tick()
                ctx.set(dut.i.valid, 1)
                ctx.set(dut.i.payload, beat)
                while not ctx.get(dut.i.ready):
                    waits += 1
                    await tick()
                await tick()
        ctx.set(dut.i.valid, 0)
        for _ in range(4):
            await tick()
        assert ctx.get(dut.o_produced) == len(out.slots)

    sim = Simulator(dut)
    sim.add_clock(6.4e-9)
    sim.add_testbench(bench)
    sim.run()
    assert sum(counts.values()) == len(frames)
    return out, counts, waits, firsts


def some_frames(count, longest=SLOT - FRAME_HEADER_BYTES):
    rng = random.Random(2)
    return [rng.randbytes(rng.randrange(14, longest + 1)) for _ in range(count)]


def test_frames_come_whole_in_order_with_their_numbers():
    for offer in (1.0, 0.5):
        frames = [*some_frames(80), bytes(SLOT - FRAME_HEADER_BYTES)]
        out, counts, _, firsts = run(frames, offer=offer)
        assert [octets for *_, octets in out.slots] == frames
        assert [number for _, number, _ in out.slots] == list(range(81))
        assert counts["passed"] == 81
        # Latency: what is stamped in one cycle stands on the output in the next.
        assert [cycle + 1 for cycle, *_ in out.slots] == firsts


def test_two_cycles_a_frame_beside_its_beats():
    _, _, waits, firsts = run([bytes(60)] * 20)
    assert waits == 20 * 2 - 1          # the last one's end is not waited for
    assert all(after - before == 10 for before, after in zip(firsts, firsts[1:], strict=False))


def test_what_finds_no_slot_is_dropped_whole_and_counted():
    frames = some_frames(40)
    out, counts, *_ = run(frames, ring=7, host=lambda ring: 0)
    assert [octets for *_, octets in out.slots] == frames[:7]
    assert counts == {"passed": 7, "no_room": 33, "too_long": 0}
    # No ring at all.
    assert run(frames, ring=0)[1]["no_room"] == 40
    # Slots that come back are used again, though three are always in use.
    _, counts, *_ = run([bytes(64)] * 40, ring=5, host=lambda ring: max(0, len(ring.slots) - 3))
    assert counts["passed"] == 40


def test_a_frame_longer_than_a_slot_leaves_none_in_use():
    rng = random.Random(3)
    long = [rng.randbytes(length) for length in (113, 120, 121, 400)]
    frames = [one for two in zip(some_frames(4), long, strict=True) for one in two]
    # One more slot than is filled: what a long frame gives up is free two cycles later.
    out, counts, *_ = run(frames, ring=5, host=lambda ring: 0)
    assert [octets for *_, octets in out.slots] == frames[::2]
    assert counts == {"passed": 4, "no_room": 0, "too_long": 4}
