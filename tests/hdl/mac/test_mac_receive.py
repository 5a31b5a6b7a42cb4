# amaranth: UnusedElaboratable=no
"""MacReceive: every length, lane and gap; what is broken is found, counted and ends once."""

from itertools import pairwise

import pytest
from amaranth.hdl import Cat
from amaranth.sim import Simulator
from tickwire.hdl.mac.crc import state_before_zeros
from tickwire.hdl.mac.receive import MacReceive
from xgmii_bench import (
    ERROR,
    IDLE,
    PREAMBLE,
    SEQUENCE,
    START,
    TERMINATE,
    Wire,
    seeded,
    some_frame,
    with_fcs,
)

FLAGS = ("good", "fcs_error", "symbol_error", "runt", "oversize", "length")
COUNTS = ("good", "symbol", "runt", "oversize", "fcs", "preamble")


class Received:
    def __init__(self, begin):
        self.octets = bytearray()
        self.begin = begin          # lane of the first byte
        self.stamps = []
        self.closed = False         # had its last beat
        self.verdict = None
        self.end_stamp = None


def receive(words, *, pauses=None, max_length=1518):
    """Run words through the receiver; returns frames, counts and the cycle of each word.

    Latency, order and the one-to-one rule are checked on the way.
    """
    dut = MacReceive()
    frames, counts, cycles = [], dict.fromkeys(COUNTS, 0), []
    rng = seeded(5)
    cycle = 0

    strobes = Cat(dut.o.valid, dut.o_end.valid, *(getattr(dut, f"o_count_{name}")
                                                  for name in COUNTS))

    inputs = Cat(dut.i_stamp, dut.i.payload, dut.i.valid)

    def observe(ctx, cycle):
        seen = ctx.get(strobes)
        if not seen:
            return
        if seen & 1:
            beat = ctx.get(dut.o.payload)
            assert ctx.get(dut.o_stamp) == cycle - 1, "a beat comes 1 cycle after its word"
            if beat["first"]:
                assert not frames or frames[-1].closed, "first before last"
                frames.append(Received(beat["begin"]))
            else:
                assert beat["begin"] == 0
                assert frames and not frames[-1].closed, "a beat outside of frames"
            assert beat["begin"] <= beat["end"] <= 8
            assert beat["last"] or beat["end"] == 8
            octets = beat["data"].to_bytes(8, "little")[beat["begin"]:beat["end"]]
            frames[-1].octets += octets
            frames[-1].stamps.append(cycle - 1)
            frames[-1].closed = bool(beat["last"])
        if seen & 2:
            waiting = [frame for frame in frames if frame.verdict is None]
            assert waiting, "a verdict without a frame"
            frame = waiting[0]
            end = ctx.get(dut.o_end.payload)
            frame.verdict = {name: end[name] for name in FLAGS}
            frame.end_stamp = ctx.get(dut.o_end_stamp)
            assert frame.end_stamp == cycle - 3, "the verdict comes 3 cycles after TERMINATE"
            assert frame.closed and frame.stamps[-1] == frame.end_stamp
        events = {name for at, name in enumerate(COUNTS) if seen >> at + 2 & 1}
        for name in events:
            counts[name] += 1
        assert len(events - {"preamble"}) == seen >> 1 & 1

    async def bench(ctx):
        nonlocal cycle
        ctx.set(dut.max_length, max_length)
        queue = list(words)
        idle = 0
        while queue or idle < 6:
            paused = pauses is not None and rng.random() < pauses
            if queue and not paused:
                (data, control), valid = queue.pop(0), 1
                cycles.append(cycle)
            else:
                idle += not queue
                data, control, valid = rng.getrandbits(64), rng.getrandbits(8), 0
            # One assignment: each costs the simulator a step.
            ctx.set(inputs, valid << 88 | control << 80 | data << 16 | cycle & 0xffff)
            await ctx.tick()
            cycle += 1
            observe(ctx, cycle)

    sim = Simulator(dut)
    sim.add_clock(6.4e-9)
    sim.add_testbench(bench)
    sim.run()
    for frame in frames:
        assert frame.closed and frame.verdict is not None, "every frame ends"
    return frames, counts, cycles


def check_good(wire, *, pauses=None, max_length=1518):
    frames, counts, cycles = receive(wire.words(), pauses=pauses, max_length=max_length)
    assert [bytes(frame.octets) for frame in frames] == [octets for *_, octets in wire.frames]
    for frame, (start, end, octets) in zip(frames, wire.frames, strict=True):
        assert frame.begin == start % 8
        assert frame.stamps[0] == cycles[start // 8 + 1]
        assert frame.end_stamp == cycles[end // 8]
        assert frame.verdict == {"good": 1, "fcs_error": 0, "symbol_error": 0, "runt": 0,
                                 "oversize": 0, "length": len(octets)}
    assert counts == {**dict.fromkeys(COUNTS, 0), "good": len(wire.frames)}


@pytest.mark.parametrize("lane", [0, 4])
@pytest.mark.parametrize("pauses", [None, 0.3])
def test_every_length_from_both_lanes(lane, pauses):
    rng, wire = seeded(1), Wire().idle(16)
    for length in [*range(64, 131), 512, 1514, 1518]:
        wire.align(lane).frame(some_frame(rng, length)).idle(12)
    check_good(wire, pauses=pauses)


def test_every_gap_from_both_lanes():
    """TERMINATE counts as part of the gap. From 5 on a receiver must (Table 46-1), 1 is ours."""
    rng, wire, wanted = seeded(2), Wire().idle(16), []
    for gap in range(1, 17):
        lanes = set()
        for number in range(16):
            length = 64 + number % 5 * 4 + -gap % 4     # START falls into lane 0 or 4 again
            wire.frame(some_frame(rng, length)).idle(gap - 1)
            lanes.add(wire.frames[-1][0] % 8)
            wanted.append(gap)
        assert lanes == {0, 4}
    assert [after[0] - before[1] for before, after in pairwise(wire.frames)] == wanted[:-1]
    check_good(wire)


def test_terminate_and_start_in_one_word():
    rng = seeded(3)
    wire = Wire().idle(8)
    for tail in range(4):
        for lane in (0, 4):
            wire.align(lane).frame(some_frame(rng, 64 + (tail - lane) % 8)).align(4)
            assert wire.frames[-1][1] // 8 == len(wire.characters) // 8
            wire.frame(some_frame(rng, 68)).idle(8)
    check_good(wire)


def test_vlan_tags_may_make_a_frame_longer():
    rng, wire, too_long = seeded(4), Wire(), Wire()
    tags = [b"", b"\x81\x00\x00\x05", b"\x88\xa8\x00\x06", b"\x88\xa8\x00\x06\x81\x00\x00\x05"]
    for tag in tags:
        for lane in (0, 4):
            for target, length in ((wire, 300), (too_long, 301)):
                body = rng.randbytes(12) + tag + b"\x08\x00"
                body += rng.randbytes(length - 4 - 14)
                target.align(lane).frame(with_fcs(body)).idle(12)
    check_good(wire, max_length=300)
    frames, counts, _ = receive(too_long.words(), max_length=300)
    assert len(frames) == 8 and counts["oversize"] == 8 and counts["good"] == 0
    assert all(frame.verdict["oversize"] and not frame.verdict["good"] for frame in frames)


def test_a_tag_elsewhere_does_not_make_a_frame_longer():
    rng, wire = seeded(4), Wire()
    for lane in (0, 4):
        for at in (8, 10, 11, 14, 15, 16, 20, 24):
            body = bytearray(some_frame(rng, 305)[:-4])
            body[at:at + 2] = b"\x81\x00"
            wire.align(lane).frame(with_fcs(body)).idle(12)
    _, counts, _ = receive(wire.words(), max_length=300)
    assert counts["oversize"] == len(wire.frames) and counts["good"] == 0


def test_oversize_and_saturated_length():
    rng, wire = seeded(6), Wire()
    for length in (1518, 1519, 1522, 16_383, 16_400):
        wire.align(0).frame(some_frame(rng, length)).idle(12)
    frames, counts, _ = receive(wire.words())
    assert [frame.verdict["length"] for frame in frames] == [1518, 1519, 1522, 16_383, 16_383]
    assert [frame.verdict["oversize"] for frame in frames] == [0, 1, 1, 1, 1]
    assert (counts["good"], counts["oversize"]) == (1, 4)


@pytest.mark.parametrize("lane", [0, 4])
def test_runts(lane):
    rng, wire = seeded(7), Wire()
    for length in range(64):
        octets = some_frame(rng, length) if length >= 18 else rng.randbytes(length)
        wire.align(lane).frame(octets).idle(12)
    wire.align(lane).frame(some_frame(rng, 64))
    frames, counts, _ = receive(wire.words())
    assert [bytes(frame.octets) for frame in frames] == [octets for *_, octets in wire.frames]
    assert [frame.verdict["runt"] for frame in frames] == [1] * 64 + [0]
    assert [frame.verdict["length"] for frame in frames] == list(range(65))
    assert all(not frame.verdict["fcs_error"] for frame in frames[18:])
    assert (counts["runt"], counts["good"], counts["fcs"]) == (64, 1, 0)


@pytest.mark.parametrize("lane", [0, 4])
def test_one_wrong_bit_anywhere_is_found(lane):
    rng, wire = seeded(8), Wire()
    for length in range(64, 73):
        for _ in range(12):
            octets = bytearray(some_frame(rng, length))
            bit = rng.randrange(8 * length)
            octets[bit // 8] ^= 1 << bit % 8
            wire.align(lane).frame(octets).idle(9)
        wire.align(lane).frame(some_frame(rng, length)).idle(9)
    frames, counts, _ = receive(wire.words())
    assert len(frames) == len(wire.frames) == 9 * 13
    assert (counts["fcs"], counts["good"]) == (9 * 12, 9)
    assert [frame.verdict["fcs_error"] for frame in frames] == ([1] * 12 + [0]) * 9


def test_every_bit_of_the_comparison_matters():
    """Errors that leave one single bit of the receiver's register wrong."""
    rng, wire = seeded(14), Wire()
    for bit in range(32):
        tail = bit % 8
        octets = some_frame(rng, 64 + tail)
        wrong = state_before_zeros(1 << bit, 4 + 8 - tail)  # through FCS and zero lanes
        fcs = int.from_bytes(octets[-4:], "little") ^ wrong
        wire.align(0).frame(octets[:-4] + fcs.to_bytes(4, "little")).idle(9)
    _, counts, _ = receive(wire.words())
    assert counts == {**dict.fromkeys(COUNTS, 0), "fcs": 32}


@pytest.mark.parametrize("value", [ERROR, IDLE, START, SEQUENCE, 0x00])
@pytest.mark.parametrize("lane", [0, 4])
def test_a_control_character_breaks_a_frame_off(value, lane):
    rng, wire, cut = seeded(9), Wire(), []
    for at in (*range(20), *range(56, 64)):
        wire.align(lane).frame(some_frame(rng, 64))
        place = wire.frames[-1][0] + 8 + at
        wire.characters[place] = (value, 1)
        cut.append((place, wire.frames[-1][2][:at]))
        wire.idle(12).align(lane).frame(some_frame(rng, 65)).idle(12)
    frames, counts, cycles = receive(wire.words())
    assert len(frames) == 56
    for frame, (place, octets) in zip(frames[::2], cut, strict=True):
        assert bytes(frame.octets) == octets
        assert frame.end_stamp == cycles[place // 8]
        assert frame.verdict == {"good": 0, "fcs_error": 0, "symbol_error": 1, "runt": 0,
                                 "oversize": 0, "length": len(octets)}
    assert all(frame.verdict["good"] for frame in frames[1::2])
    assert (counts["symbol"], counts["good"]) == (28, 28)
    # A START among the octets claims to be a frame where it may stand.
    claims = sum(place % 4 == 0 for place, _ in cut) if value == START else 0
    assert counts["preamble"] == claims


def test_a_start_in_a_frame_ends_it_and_begins_the_next():
    rng, wire, lengths = seeded(10), Wire(), []
    for lane in (0, 4):
        for words in range(1, 6):
            for second in (0, 4):
                wire.idle(8).align(lane).raw(PREAMBLE)
                lengths.append(8 * words + (second - lane) % 8)
                wire.raw([(octet, 0) for octet in rng.randbytes(lengths[-1])])
                wire.frame(some_frame(rng, 70)).idle(12)
    frames, counts, _ = receive(wire.words())
    assert [frame.verdict["good"] for frame in frames] == [0, 1] * 20
    assert [frame.verdict["length"] for frame in frames[::2]] == lengths
    assert (counts["symbol"], counts["good"], counts["preamble"]) == (20, 20, 0)


@pytest.mark.parametrize("lane", [0, 4])
def test_a_broken_preamble_is_no_frame(lane):
    rng, wire = seeded(11), Wire()
    for at in range(1, 8):
        for wrong in ((0x54, 0), (0xd4, 0), (ERROR, 1), (IDLE, 1)):
            wire.align(lane).frame(some_frame(rng, 64))
            wire.characters[wire.frames.pop()[0] + at] = wrong
            wire.idle(12)
    wire.align(lane).frame(some_frame(rng, 64)).idle(12)
    frames, counts, _ = receive(wire.words())
    assert [bytes(frame.octets) for frame in frames] == [wire.frames[-1][2]]
    assert counts == {**dict.fromkeys(COUNTS, 0), "good": 1, "preamble": 28}


def test_start_in_another_lane_is_nothing():
    rng, wire = seeded(12), Wire()
    for lane in (1, 2, 3, 5, 6, 7):
        wire.align(lane).raw(PREAMBLE)
        wire.raw([(octet, 0) for octet in some_frame(rng, 64)]).raw([(TERMINATE, 1)]).idle(12)
    wire.align(0).frame(some_frame(rng, 64))
    frames, counts, _ = receive(wire.words())
    assert len(frames) == 1
    assert counts == {**dict.fromkeys(COUNTS, 0), "good": 1}


def test_words_of_noise_leave_no_frame_open_and_spoil_none():
    rng, wire = seeded(13), Wire()
    wanted = []
    for _ in range(100):
        for _ in range(rng.randrange(6)):
            values = rng.choices([START, TERMINATE, ERROR, IDLE, 0x55, 0xd5], k=8)
            wire.raw([(value, rng.randrange(2)) for value in values])
        wire.raw([(IDLE, 1)] * 8)
        wire.align(rng.choice((0, 4))).frame(some_frame(rng, 64)).idle(8).align(0)
        wanted.append(wire.frames[-1][2])
    frames, counts, _ = receive(wire.words(), pauses=0.1)
    assert [bytes(frame.octets) for frame in frames if frame.verdict["good"]] == wanted
    assert counts["good"] == 100


def test_other_widths_are_refused():
    with pytest.raises(ValueError, match="MacReceive lanes must be 8, the width of a 64-bit "
                                         "XGMII word, not 4"):
        MacReceive(lanes=4)
