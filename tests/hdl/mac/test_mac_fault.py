"""MacTransmit at a link fault: no frame begins, none stays whole, none waits for better times."""

import pytest
from amaranth.hdl import Cat, Module
from amaranth.sim import Simulator
from tickwire.hdl.mac.transmit import MacTransmit
from xgmii_bench import find_frames, gaps, seeded, with_fcs

IDLE = (0x0707070707070707, 0xff)
REMOTE_FAULT = (0x0200009c0200009c, 0x11)
COUNTS = ("frames", "aborted", "underrun", "fault")


def run(frames, faults, cycles):
    """Offers (cycle, octets) in turn; ``faults`` are (first, last + 1, answered) cycles.

    Returns words, strobes as (cycle, name), and per frame the cycle in which it was offered.
    """
    dut = MacTransmit()
    words, strobes, offers = [], [], []
    outputs = Cat(dut.o, dut.i.ready, dut.o_start, dut.o_done.valid, dut.o_done.payload,
                  *(getattr(dut, f"o_count_{name}") for name in COUNTS))

    async def bench(ctx):
        waiting, beats = list(frames), []
        for cycle in range(cycles):
            if not beats and waiting and waiting[0][0] <= cycle:
                octets = waiting.pop(0)[1]
                beats = [octets[at:at + 8] for at in range(0, len(octets), 8)]
                count = len(beats)
                offers.append(cycle)
            ctx.set(dut.i.valid, bool(beats))
            if beats:
                ctx.set(dut.i.payload, {
                    "data": int.from_bytes(beats[0], "little"), "begin": 0, "end": len(beats[0]),
                    "first": len(beats) == count, "last": len(beats) == 1})
            fault = next((answered for first, end, answered in faults if first <= cycle < end),
                         None)
            ctx.set(dut.i_fault, fault is not None)
            ctx.set(dut.i_remote_fault, fault is True)
            seen = ctx.get(outputs)
            words.append((seen & (1 << 64) - 1, seen >> 64 & 0xff))
            if seen >> 73 & 1:
                strobes.append((cycle, "start"))
            names = [name for at, name in enumerate(COUNTS) if seen >> 76 + at & 1]
            assert len(names) == (seen >> 74 & 1)
            assert (seen >> 75 & 1) == (bool(names) and names != ["frames"])
            strobes.extend((cycle, name) for name in names)
            if beats and seen >> 72 & 1:
                beats.pop(0)
            await ctx.tick()

    m = Module()
    m.submodules.dut = dut
    m.d.comb += dut.i_goes_on.eq(dut.i.valid)
    sim = Simulator(m)
    sim.add_clock(6.4e-9)
    sim.add_testbench(bench)
    sim.run()
    return words, strobes, offers


def is_start(word):
    data, control = word
    return any(control >> lane & 1 and data >> 8 * lane & 0xff == 0xfb for lane in (0, 4))


@pytest.mark.parametrize("answered", [False, True])
def test_between_frames_the_answer_stands_and_nothing_begins(answered):
    rng = seeded(1)
    frames = [(0, rng.randbytes(64)), (40, rng.randbytes(64)), (45, rng.randbytes(100)),
              (90, rng.randbytes(70))]
    words, strobes, offers = run(frames, [(30, 80, answered)], 130)
    # i_fault → answer 2 cycles; when it falls, as well.
    assert set(words[32:82]) == {REMOTE_FAULT if answered else IDLE}
    assert words[31] == IDLE == words[82]
    clean = [IDLE if word == REMOTE_FAULT else word for word in words]
    sent = find_frames(clean)
    assert [frame.octets for frame in sent] == [with_fcs(frames[n][1]) for n in (0, 3)]
    # What was offered meanwhile was begun and ended as far as its source can tell.
    assert [(at - offers[0], name) for at, name in strobes[:2]] == [(1, "start"), (10, "frames")]
    for offer, (at, name), (ended, how) in zip(offers[1:3], strobes[2:6:2], strobes[3:6:2],
                                               strict=True):
        assert (at, name, ended, how) == (offer + 1, "start", offer + 2, "fault")
    assert strobes[6:] == [(91, "start"), (101, "frames")]


def test_a_frame_in_progress_is_broken_off_wherever_it_is():
    """Episodes of 70 cycles: a frame alone (lane 0), or behind one of 60 bytes (lane 4)."""
    rng, frames, faults, episodes = seeded(2), [], [], []
    for length in (60, 67, 68):
        for second in (False, True):
            for late in range(14):
                at = 70 * len(episodes) + 5
                frames += [(at, rng.randbytes(60))] * second + [(at, rng.randbytes(length))]
                begins = at + 1 + 10 * second
                # START, the octets with FCS, TERMINATE
                ends = begins + (12 * second % 8 + 8 + length + 4) // 8
                rises = begins - 2 + late
                faults.append((rises, rises + 20, True))
                episodes.append((at, begins, ends, rises))
    words, strobes, _ = run(frames, faults, 70 * len(episodes) + 10)
    for at, begins, ends, rises in episodes:
        here = [(when, name) for when, name in strobes if at <= when < at + 60]
        sent = find_frames([IDLE if word == REMOTE_FAULT else word for word in words[at:at + 65]])
        assert here[-2] == (begins, "start")
        # i_fault acts on the second word after it.
        if rises + 2 > ends:
            assert here[-1] == (ends, "frames") and all(frame.good for frame in sent)
        elif rises + 1 < begins:
            assert here[-1] == (begins + 1, "fault")
            assert len(sent) == len(here) // 2 - 1 and all(frame.good for frame in sent)
        else:
            assert here[-1] == (rises + 2, "fault")
            assert words[rises + 2] == (0x070707fdfefefefe, 0xff)
            assert len(sent) == len(here) // 2 and not sent[-1].good
            assert set(words[rises + 3:rises + 22]) == {REMOTE_FAULT}
        assert not any(map(is_start, words[rises + 2:rises + 22]))


def test_after_the_fault_a_whole_gap_passes():
    """Whenever it comes and goes under full load; frames are whole or never good."""
    rng = seeded(3)
    frames = [(0, rng.randbytes(60 + n % 9)) for n in range(360)]
    faults, at = [], 40
    while at < 4000:
        length = rng.choice((1, 2, 3, 7))
        faults.append((at, at + length, at % 2))
        at += length + rng.randrange(15, 40)
    words, strobes, _ = run(frames, faults, 4300)
    sent = find_frames([IDLE if word == REMOTE_FAULT else word for word in words])
    deficit = 0
    for found in gaps(sent):
        deficit = max(0, deficit + 12 - found)
        assert found >= 9 and deficit <= 3
    names = [name for _, name in strobes]
    wanted = iter(zip(frames, [name for name in names if name != "start"], strict=True))
    for frame in sent:
        if frame.good:
            assert frame.octets == with_fcs(next(octets for (_, octets), name in wanted
                                                 if name == "frames"))
    assert not [name for _, name in wanted if name == "frames"]
    assert names.count("start") == len(frames)
    assert names.count("fault") > 50 and names.count("frames") > 180
