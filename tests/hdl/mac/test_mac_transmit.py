# amaranth: UnusedElaboratable=no
"""MacTransmit: every length in both lanes, exact latency, gaps as the standard has them."""

from itertools import pairwise

import pytest
from amaranth.hdl import Cat, Module
from amaranth.sim import Simulator
from tickwire.hdl.mac.transmit import MacTransmit
from xgmii_bench import find_frames, gaps, seeded, with_fcs

COUNTS = ("frames", "aborted", "underrun")


class Job:
    """A frame to send: when it is offered, what goes wrong on the way, what was seen."""

    def __init__(self, octets, *, at=0, dry=None, abort=None):
        self.octets = bytes(octets)
        self.at = at            # not offered before this cycle
        self.dry = dry          # beat before which the source has none for a cycle
        self.abort = abort      # cycles after START stands on the output
        self.offered = None
        self.accepted = []      # cycle of each beat
        self.start = None
        self.done = None
        self.aborted = None

    def beats(self):
        last = (len(self.octets) - 1) // 8
        return [(self.octets[8 * at:8 * at + 8], at == 0, at == last) for at in range(last + 1)]

    def wire(self):
        return with_fcs(self.octets + bytes(max(0, 60 - len(self.octets))))


def transmit(jobs, *, gap=12, extra=8):
    """Send all jobs one after the other; returns the words on the output and the counts."""
    dut = MacTransmit(gap)
    rng = seeded(1)
    words, counts = [], dict.fromkeys(COUNTS, 0)
    outputs = Cat(dut.o, dut.i.ready, dut.o_start, dut.o_done.valid, dut.o_done.payload,
                  *(getattr(dut, f"o_count_{name}") for name in COUNTS))
    payload = dut.i.payload
    inputs = Cat(payload.data, payload.begin, payload.end, payload.first, payload.last,
                 dut.i.valid, dut.i_abort)

    async def bench(ctx):
        waiting, sent = list(jobs), []
        beats, held, cycle, rest = [], 0, 0, 0
        while rest < extra:
            assert cycle < 10_000, "the transmitter hangs"
            if not beats and waiting and waiting[0].at <= cycle:
                job = waiting.pop(0)
                beats = job.beats()
                job.offered = cycle
                sent.append(job)
            dry = beats and job.dry == len(job.accepted) and not held
            valid = bool(beats) and not dry
            held = held or bool(dry)
            vector = rng.getrandbits(64 + 3 + 4 + 2)
            if valid:
                octets, first, last = beats[0]
                filler = rng.randbytes(8 - len(octets))
                vector = (int.from_bytes(octets + filler, "little") | len(octets) << 67
                          | first << 71 | last << 72)
            running = [job for job in sent if job.start is not None and job.done is None]
            abort = any(job.abort == cycle - job.start for job in running)
            ctx.set(inputs, vector | valid << 73 | abort << 74)
            seen = ctx.get(outputs)
            words.append((seen & (1 << 64) - 1, seen >> 64 & 0xff))
            ready, start, done, aborted = (seen >> at & 1 for at in (72, 73, 74, 75))
            events = [name for at, name in enumerate(COUNTS) if seen >> 76 + at & 1]
            assert len(events) == done
            for name in events:
                counts[name] += 1
            if start:
                next(job for job in sent if job.start is None).start = cycle
                running = [job for job in sent if job.start == cycle]
                if any(job.abort == 0 for job in running):
                    ctx.set(inputs, vector | valid << 73 | 1 << 74)
            if done:
                ended = next(job for job in sent if job.done is None)
                ended.done, ended.aborted = cycle, aborted
                assert aborted == (events != ["frames"])
            if valid and ready:
                job.accepted.append(cycle)
                beats.pop(0)
                held = 0
            rest += not (waiting or beats or any(job.done is None for job in sent))
            await ctx.tick()
            cycle += 1

    m = Module()
    m.submodules.dut = dut
    m.d.comb += dut.i_goes_on.eq(dut.i.valid)
    sim = Simulator(m)
    sim.add_clock(6.4e-9)
    sim.add_testbench(bench)
    sim.run()
    return words, counts


def check(jobs, words, counts, *, gap=12):
    """Whole frames only: octets, FCS, strobes, protocol and the rule of the gap."""
    frames = find_frames(words)
    assert [frame.octets for frame in frames] == [job.wire() for job in jobs]
    assert counts == {"frames": len(jobs), "aborted": 0, "underrun": 0}
    for job, frame in zip(jobs, frames, strict=True):
        assert (job.start, job.done) == (frame.start // 8, frame.end // 8)
        assert not job.aborted
        assert job.accepted == [job.start + at for at in range(len(job.accepted))]
    deficit = 0
    for found in gaps(frames):
        deficit = max(0, deficit + gap - found)
        assert deficit <= 3 and found >= gap - 3
    return frames


@pytest.mark.parametrize("lane", [0, 4])
def test_every_length_from_both_lanes(lane):
    rng, jobs = seeded(2), []
    for length in [*range(14, 140), 512, 1514]:
        # A 60-byte frame from lane 0 has TERMINATE in lane 0, so the next one may begin in lane 4
        # of the following word, exactly 12 characters later.
        at = jobs[-1].at + len(jobs[-1].octets) // 8 + 24 if jobs else 3
        if lane:
            jobs.append(Job(rng.randbytes(60), at=at))
        jobs.append(Job(rng.randbytes(length), at=at))
    words, counts = transmit(jobs[:])
    frames = check(jobs, words, counts)
    assert all(frame.start % 8 == lane for frame in frames[1 if lane else 0::2 if lane else 1])


def test_latency():
    """First beat offered → START word 1, its bytes 2; abort excluded, see below."""
    rng, jobs = seeded(3), []
    for number in range(40):
        jobs.append(Job(rng.randbytes(60 + number), at=40 * number + 5))
    words, counts = transmit(jobs)
    frames = check(jobs, words, counts)
    for job, frame in zip(jobs, frames, strict=True):
        assert job.start == job.offered + 1 == job.accepted[0]
        assert frame.start % 8 == 0, "lane 0 after a pause"
        assert words[job.offered + 2] == (int.from_bytes(job.octets[:8], "little"), 0)
        length = len(job.wire())
        assert job.done == job.start + 1 + length // 8


@pytest.mark.parametrize("gap", [12, 16, 40])
def test_full_load(gap):
    rng = seeded(4)
    jobs = [Job(rng.randbytes(rng.randrange(46, 90))) for _ in range(150)]
    jobs += [Job(rng.randbytes(60 + number // 8)) for number in range(120)]
    words, counts = transmit(jobs, gap=gap)
    frames = check(jobs, words, counts, gap=gap)
    found = gaps(frames)
    assert {frame.start % 8 for frame in frames} == {0, 4}
    assert min(found) == gap - 3 and max(found) <= gap + 3
    assert abs(sum(found) / len(found) - gap) < 0.1


def test_average_gap_is_twelve_for_each_length():
    """Each tail by itself: the deficit must not creep."""
    rng, jobs, count = seeded(5), [], 25
    for length in range(60, 68):
        at = jobs[-1].at + 12 * count + 20 if jobs else 0
        jobs += [Job(rng.randbytes(length), at=at) for _ in range(count)]
    words, counts = transmit(jobs)
    frames = check(jobs, words, counts)
    for first in range(0, len(frames), count):
        found = gaps(frames[first:first + count])
        assert 12 - 3 / len(found) <= sum(found) / len(found) <= 12


def test_start_after_any_pause():
    """A frame that comes while the gap is nearly over: never early, never late."""
    rng, jobs, at = seeded(5), [], 5
    for pause in range(6):
        for length in range(60, 68):
            jobs.append(Job(rng.randbytes(length), at=at))
            # offered `pause` cycles after the last beat of the one before was taken
            at += 1 + (length + 7) // 8 + 1
            jobs.append(Job(rng.randbytes(60), at=at + pause))
            at += 20
    words, counts = transmit(jobs)
    frames = check(jobs, words, counts)
    for job, (before, after) in zip(jobs[1::2], list(pairwise(frames))[::2], strict=True):
        gap = after.start - before.end
        assert job.start == job.offered + 1 or gap <= 12 + (before.end % 4 == 0 or 3)
    assert sum(job.start == job.offered + 1 for job in jobs[1::2]) >= 24


@pytest.mark.parametrize("lane", [0, 4])
@pytest.mark.parametrize("what", ["abort", "dry"])
def test_broken_off_anywhere(what, lane):
    """Error characters, then TERMINATE, then the gap; the next frame is whole.

    70 bytes are 9 beats: a source that is late with beat 0 has not begun, and there is no beat 9.
    """
    rng = seeded(6)
    jobs, at = [], 5
    for place in range(10):
        if lane:
            jobs.append(Job(rng.randbytes(60), at=at))
        jobs.append(Job(rng.randbytes(70), at=at, **{what: place}))
        jobs.append(Job(rng.randbytes(64), at=at))
        at += 60
    words, counts = transmit(jobs)
    frames = find_frames(words)
    assert len(frames) == len(jobs)
    broken = [job for job in jobs if job.abort is not None or job.dry in range(1, 9)]
    for job, frame in zip(jobs, frames, strict=True):
        assert (job.start, job.done) == (frame.start // 8, frame.end // 8)
        if job in broken:
            assert job.aborted and not frame.good and frame.errors >= 4
            assert words[job.done] == (0x070707fdfefefefe, 0xff)
            if what == "abort":
                assert job.done == job.start + job.abort + 1, "error word 1 cycle after i_abort"
            else:
                assert job.done == job.start + job.dry + 1
        else:
            assert not job.aborted and frame.octets == job.wire()
    assert counts["frames"] == len(jobs) - len(broken)
    assert counts["aborted" if what == "abort" else "underrun"] == len(broken)
    assert len(broken) == (10 if what == "abort" else 8)
    assert all(found >= 9 for found in gaps(frames))


def test_abort_after_the_last_beat():
    """As long as TERMINATE has not left, the frame can still be spoiled; when idle it is deaf."""
    rng, jobs = seeded(7), []
    for length, last in ((60, 8), (65, 9), (68, 9)):
        for abort in range(last - 1, last + 5):
            jobs.append(Job(rng.randbytes(length), at=25 * len(jobs) + 4, abort=abort))
    words, counts = transmit(jobs)
    for job, frame in zip(jobs, find_frames(words), strict=True):
        ends = 1 + (len(job.octets) + 4) // 8       # TERMINATE of the whole frame, after START
        assert job.aborted == (job.abort < ends)
        assert frame.good == (job.abort >= ends)
    assert counts["frames"] + counts["aborted"] == len(jobs) and counts["underrun"] == 0
    assert {job.aborted for job in jobs} == {0, 1}


def test_a_silent_source_comes_again_with_first():
    """After an abort the source may fall silent instead of giving the rest."""
    rng = seeded(8)
    whole = rng.randbytes(64)
    dut = MacTransmit()
    words = []

    async def bench(ctx):
        async def tick():
            words.append((ctx.get(dut.o.data), ctx.get(dut.o.control)))
            await ctx.tick()

        async def send(octets, beats):
            for at in range(beats):
                ctx.set(dut.i.payload, {
                    "data": int.from_bytes(octets[8 * at:8 * at + 8], "little"), "begin": 0,
                    "end": 8, "first": at == 0, "last": at == 7})
                ctx.set(dut.i.valid, 1)
                while not ctx.get(dut.i.ready):
                    await tick()
                await tick()
            ctx.set(dut.i.valid, 0)

        await send(whole, 3)
        ctx.set(dut.i_abort, 1)
        await tick()
        ctx.set(dut.i_abort, 0)
        await send(whole, 8)
        for _ in range(8):
            await tick()

    m = Module()
    m.submodules.dut = dut
    m.d.comb += dut.i_goes_on.eq(dut.i.valid)
    sim = Simulator(m)
    sim.add_clock(6.4e-9)
    sim.add_testbench(bench)
    sim.run()
    frames = find_frames(words)
    assert [frame.good for frame in frames] == [False, True]
    assert frames[1].octets == with_fcs(whole)


@pytest.mark.parametrize("gap", [8, 13, 68])
def test_other_gaps_are_refused(gap):
    with pytest.raises(ValueError, match="MacTransmit gap must be a multiple of 4 from 12 to 64 "
                                         f"characters, not {gap}"):
        MacTransmit(gap)
