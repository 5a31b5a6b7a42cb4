"""FrameStore behind the real receiver: good unclaimed frames for this station, byte by byte."""

import functools

import pytest
from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.sim import Simulator
from frame_bench import Collector
from tickwire.hdl.mac.frame_store import FrameStore
from tickwire.hdl.mac.receive import MacReceive
from tickwire.hdl.mac.summary import FrameSummary
from xgmii_bench import ERROR, START, Wire, seeded, some_frame, with_fcs

OWN = bytes.fromhex("02000a000002")
OTHER = bytes.fromhex("02000a000003")


def addressed(address, frame):
    """The frame with this destination address and a good FCS."""
    return with_fcs(address + frame[6:-4])


def run(wire, *, claimed=lambda number: False, depth=2048, ready=1.0, settings=None, drain=250,
        seed=1, gaps=0.0):
    """Frames out of the store, and its counts; ``claimed`` by the number of the frame's end."""
    m = Module()
    m.submodules.mac = mac = MacReceive()
    m.submodules.store = store = FrameStore(depth)
    wiring.connect(m, mac.o, store.i)
    wiring.connect(m, mac.o_end, store.i_end)
    m.submodules.summary = summary = FrameSummary()
    wiring.connect(m, mac.o, summary.i)
    wiring.connect(m, mac.o_end, summary.i_end)
    claim = Signal()
    m.d.comb += [store.i_claimed.eq(claim),
                 store.i_control.eq(summary.o.payload.control)]
    rng = seeded(seed)
    sink = Collector(store.o, rng, ready)
    names = ("kept", "filtered", "no_room")
    counts, lasts = dict.fromkeys(names, 0), []

    async def bench(ctx):
        ctx.set(store.filter, {"station": int.from_bytes(OWN, "big"), "own": 1,
                               **(settings or {})})
        cycle, ends, before = 0, 0, (False, 0)
        queue = [*wire.words(), *[(0x0707070707070707, 0xff)] * drain]
        while queue:
            pause = rng.random() < gaps
            data, control = (rng.getrandbits(64), rng.getrandbits(8)) if pause else queue.pop(0)
            ctx.set(mac.i.valid, not pause)
            ctx.set(mac.i.payload, {"data": data, "control": control})
            sink.step(ctx, cycle)
            seen = ctx.get(Cat(*(getattr(store, f"o_count_{name}") for name in names)))
            for bit, name in enumerate(names):
                counts[name] += seen >> bit & 1
            if ctx.get(mac.o.valid) and ctx.get(mac.o.payload.last):
                lasts.append(cycle)
            verdict = ctx.get(mac.o_end.valid)
            await ctx.tick()
            cycle += 1
            # A claim comes two cycles after the frame's end; at other times it is about nothing.
            ended, number = before
            ctx.set(claim, claimed(number) if ended else rng.randrange(2))
            before = verdict, ends
            ends += verdict

    sim = Simulator(m)
    sim.add_clock(6.4e-9)
    sim.add_testbench(bench)
    sim.run()
    return sink, counts, lasts


def wire_of(frames, rng, shortest=12):
    wire = Wire().idle(8)
    for frame in frames:
        wire.idle(rng.randrange(shortest, 24)).align(0 if len(wire.characters) % 8 == 0 else
                                                    4 if len(wire.characters) % 8 <= 4 else 0)
        wire.frame(frame)
    return wire.idle(16)


@functools.cache
def every_length():
    """Every length from 64 to 80 bytes from both lanes at the shortest gaps, and longer ones."""
    rng, frames = seeded(2), []
    wire = Wire().idle(8)
    for gap in (5, 12):
        for length in (*range(64, 81), 200):
            for _ in range(2):
                wire.idle(gap - 1)
                wire.align(4 if len(wire.characters) % 8 in (1, 2, 3, 4) else 0)
                frames.append(addressed(OWN, some_frame(rng, length)))
                wire.frame(frames[-1])
    starts = {(start % 8, (end - start) % 8) for start, end, _ in wire.frames}
    assert len(starts) == 16, "both lanes, every end"
    return frames, wire


@pytest.mark.parametrize("ready, gaps", [(1.0, 0.0), (0.95, 0.3)])
def test_every_length_from_both_lanes(ready, gaps):
    frames, wire = every_length()
    sink, counts, _ = run(wire, ready=ready, gaps=gaps)
    assert sink.frames == [one[:-4] for one in frames]
    assert counts == {"kept": len(frames), "filtered": 0, "no_room": 0}


def test_latency():
    """8 cycles from the last beat on, 7 if nothing but the FCS is in it."""
    rng = seeded(3)
    cases = [(lane, length) for lane in (0, 4) for length in range(64, 72)]
    wire = Wire()
    for lane, length in cases:
        wire.idle(200).align(lane).frame(addressed(OWN, some_frame(rng, length)))
    sink, _, lasts = run(wire, drain=40)
    for (lane, length), (offered, _), last in zip(cases, sink.cycles, lasts, strict=True):
        rest = (length + lane) % 8      # bytes of the last beat, from lane 0 on
        only_fcs = rest == 0 if lane else rest <= 4
        assert offered - last == (7 if only_fcs else 8)


def test_bad_claimed_and_foreign_frames_never_come_out():
    rng, frames, kept, claims = seeded(4), [], [], set()
    foreign = 0
    for number in range(100):
        frame = some_frame(rng, rng.choice([64, 65, 71, 90]))
        kind = rng.choice(["good", "good", "fcs", "runt", "claimed", "other"])
        if number % 50 == 7:
            kind = "oversize"
        address = OTHER if kind == "other" else OWN
        frame = addressed(address, frame)
        if kind == "oversize":
            frame = addressed(OWN, some_frame(rng, 1519))
        elif kind == "fcs":
            at = rng.randrange(6, len(frame))
            frame = bytes((*frame[:at], frame[at] ^ 1 << rng.randrange(8), *frame[at + 1:]))
        elif kind == "runt":
            frame = addressed(OWN, some_frame(rng, 30))[:rng.randrange(1, 26)]
        elif kind == "claimed":
            claims.add(number)
        elif kind == "good":
            kept.append(frame[:-4])
        foreign += kind == "other"
        frames.append(frame)
    wire = wire_of(frames, rng, shortest=5)
    sink, counts, _ = run(wire, claimed=claims.__contains__, ready=0.95)
    assert sink.frames == kept and len(kept) > 15
    assert counts == {"kept": len(kept), "filtered": foreign, "no_room": 0}


def test_promiscuous_takes_foreign_frames_too():
    rng = seeded(5)
    frames = [addressed(rng.choice([OWN, OTHER]), some_frame(rng, 70)) for _ in range(20)]
    sink, counts, _ = run(wire_of(frames, rng), settings={"promiscuous": 1})
    assert sink.frames == [one[:-4] for one in frames] and counts["filtered"] == 0


def test_mac_control_frames_are_neither_kept_nor_counted():
    """PAUSE to the reserved group and to the station, and other opcodes, even if promiscuous."""
    rng, frames, kept = seeded(9), [], []
    for number in range(60):
        frame = addressed(rng.choice([OWN, bytes.fromhex("0180c2000001")]),
                          some_frame(rng, rng.choice([64, 65, 90])))
        if rng.random() < 0.5:
            frame = with_fcs(frame[:12] + b"\x88\x08" + bytes((0, number % 3)) + frame[16:-4])
        else:
            kept.append(frame[:-4])
        frames.append(frame)
    sink, counts, _ = run(wire_of(frames, rng, shortest=5), settings={"promiscuous": 1})
    assert sink.frames == kept and 10 < len(kept) < 50
    assert counts == {"kept": len(kept), "filtered": 0, "no_room": 0}


def test_what_finds_no_room_is_counted_and_the_next_one_comes_whole():
    """Line rate against a reader who takes two beats in five."""
    rng = seeded(6)
    frames = [addressed(OWN, some_frame(rng, rng.randrange(64, 260))) for _ in range(60)]
    sink, counts, _ = run(wire_of(frames, rng), depth=64, ready=0.4, drain=300)
    assert counts["kept"] + counts["no_room"] == 60 and 10 < counts["no_room"] < 50
    assert len(sink.frames) == counts["kept"]
    remaining = iter(one[:-4] for one in frames)
    assert all(one in remaining for one in sink.frames), "those that came are whole, in order"


def test_smallest_frames_at_line_rate_are_all_kept():
    rng = seeded(7)
    frames = [addressed(OWN, some_frame(rng, 64)) for _ in range(100)]
    wire = Wire().idle(8)
    for frame in frames:
        wire.frame(frame).idle(11)
    sink, counts, _ = run(wire, depth=64)
    assert sink.frames == [one[:-4] for one in frames]
    assert counts == {"kept": 100, "filtered": 0, "no_room": 0}


def test_garbage_does_not_spoil_the_good_frames_between_it():
    """Random control characters, also START in mid-frame, before each good frame."""
    rng, wire, frames = seeded(8), Wire().idle(8), []
    for _ in range(60):
        begin = len(wire.characters)
        torn = some_frame(rng, rng.randrange(16, 100))
        wire.frame(torn)
        for _ in range(rng.randrange(1, 4)):
            at = rng.randrange(begin, len(wire.characters))
            wire.characters[at] = (rng.choice([ERROR, START, 0x07, 0xfd]), 1)
        wire.idle(rng.randrange(4, 20)).align(rng.choice([0, 4]))
        frames.append(addressed(OWN, some_frame(rng, rng.randrange(64, 130))))
        wire.frame(frames[-1])
        wire.idle(11).align(0)
    sink, counts, _ = run(wire)
    assert sink.frames == [one[:-4] for one in frames]
    assert counts == {"kept": 60, "filtered": 0, "no_room": 0}
