"""ElasticCrossing: constant latency, any phase, ± 100 ppm and far beyond, a clock that stops."""

import random

import pytest
from amaranth.hdl import Cat, ClockDomain, Module
from amaranth.sim import Simulator
from tickwire.hdl.stream.crossing import ElasticCrossing
from tickwire.hdl.timing.stamp import CycleCounter, StampCrossing

IDLE, TERMINATE, START, SEQUENCE = (0x07, 1), (0xfd, 1), (0xfb, 1), (0x9c, 1)
PERIOD = 6400           # ps


def frame(rng, octets):
    return [START, *[(0x55, 0)] * 6, (0xd5, 0), *((rng.randrange(256), 0) for _ in range(octets)),
            TERMINATE]


def words(characters):
    characters = characters + [IDLE] * (-len(characters) % 8)
    return [(sum(value << 8 * lane for lane, (value, _) in enumerate(word)),
             sum(control << lane for lane, (_, control) in enumerate(word)))
            for word in (characters[at:at + 8] for at in range(0, len(characters), 8))]


def meaning(received):
    """All characters but idle, in order."""
    return [character for data, control in received
            for character in ((data >> 8 * lane & 0xff, control >> lane & 1) for lane in range(8))
            if character != IDLE]


class Bench:
    """Crossing with stamps between two clocks; ``rx`` is driven by hand, so that it can stop.

    Without a phase the edges of both coincide.
    """

    def __init__(self, *, phase=None, ppm=0, valid=1.0):
        self.rng = random.Random(1)
        self.valid = valid
        self.phase, self.half = phase, PERIOD / 2 / (1 + ppm * 1e-6)
        self.received, self.latency, self.cycles, self.overflows = [], [], [], 0
        self.sent_at = {}       # stamp on the input → core time in ps
        self.dut = ElasticCrossing()
        self.rx = ClockDomain("rx")
        self.sync = ClockDomain("sync")
        m = Module()
        m.domains += [self.rx, self.sync]
        m.submodules.dut = self.dut
        m.submodules.counter = self.counter = CycleCounter()
        m.submodules.stamp = stamp = StampCrossing()
        m.d.comb += [stamp.i_gray.eq(self.counter.o_gray), self.dut.i_stamp.eq(stamp.o)]
        self.stamp = stamp
        self.sim = Simulator(m)
        self.sim.add_clock(PERIOD * 1e-12, phase=PERIOD / 2 * 1e-12)
        if phase is None:
            self.sim.add_clock(PERIOD * 1e-12, phase=PERIOD / 2 * 1e-12, domain="rx")
        self.late = 0.0         # what is left of a time too short to wait for

    async def tick(self, ctx):
        """One cycle of rx: changes of inputs come right after the edge."""
        if self.phase is None:
            await ctx.tick("rx")
            return
        for level in (0, 1):
            self.late += self.half
            whole = int(self.late)
            self.late -= whole
            await ctx.delay(whole * 1e-12)
            ctx.set(self.rx.clk, level)

    async def send(self, ctx, sequence):
        dut = self.dut
        inputs = Cat(dut.i.payload, dut.i.valid)
        for data, control in sequence:
            while self.rng.random() >= self.valid:
                ctx.set(inputs, self.rng.getrandbits(72))
                await self.tick(ctx)
            ctx.set(inputs, 1 << 72 | control << 64 | data)
            await self.tick(ctx)
        ctx.set(inputs, self.rng.getrandbits(72))

    def run(self, script, cycles):
        """``script(bench, ctx)`` drives; the core's side is watched for ``cycles`` cycles."""
        dut = self.dut

        async def drive(ctx):
            if self.phase is not None:
                await ctx.delay(self.phase * 1e-12)
                ctx.set(self.rx.clk, 1)
            await script(self, ctx)

        async def watch(ctx):
            outputs = Cat(dut.o.payload, dut.o_stamp, dut.o.valid, dut.o_count_overflow)
            for cycle in range(cycles):
                seen = ctx.get(outputs)
                if seen >> 88 & 1:
                    self.received.append((seen & (1 << 64) - 1, seen >> 64 & 0xff))
                    count = ctx.get(self.counter.o)
                    self.latency.append(count - (seen >> 72 & 0xffff) & 0xffff)
                    self.cycles.append(cycle)
                self.overflows += seen >> 89
                await ctx.tick()

        self.sim.add_testbench(drive)
        self.sim.add_testbench(watch)
        self.sim.run_until((cycles + 1) * PERIOD * 1e-12)
        return self


def traffic(rng, count, gap=None):
    characters = [IDLE] * 64
    for _ in range(count):
        characters += frame(rng, rng.randrange(60, 130))
        characters += [IDLE] * (rng.randrange(8, 40) if gap is None else gap - 1)
        characters += [IDLE] * (-len(characters) % 4)
    return words(characters)


def test_aligned_clocks_take_exactly_three_cycles():
    sequence = [(number | 1 << 60, 0) for number in range(300)]

    async def script(bench, ctx):
        await bench.send(ctx, [words([IDLE] * 8)[0]] * 10)
        for number, word in enumerate(sequence):
            # The stamp that goes in is the core's own count of this very cycle.
            assert ctx.get(bench.stamp.o) == ctx.get(bench.counter.o)
            await bench.send(ctx, [word] if number % 3 else [word, word])

    bench = Bench().run(script, 450)
    assert [data & 0xffff for data, _ in bench.received] == [
        number for number in range(300) for _ in range(1 if number % 3 else 2)]
    assert set(bench.latency) == {3}
    assert bench.cycles == list(range(bench.cycles[0], bench.cycles[0] + 400)), "no gaps"


@pytest.mark.parametrize("ppm", [-100, 0, 100])
@pytest.mark.parametrize("valid", [1.0, 0.8])
def test_any_phase(ppm, valid):
    rng = random.Random(ppm)
    for phase in rng.sample(range(PERIOD), 4):
        sequence = traffic(rng, 8)
        bench = Bench(phase=phase, ppm=ppm, valid=valid)
        bench.run(lambda bench, ctx, words=sequence: bench.send(ctx, words), 300)
        assert meaning(bench.received) == meaning(sequence)
        assert set(bench.latency) <= {2, 3} and bench.overflows == 0


@pytest.mark.parametrize("ppm", [-3000, 3000])
@pytest.mark.parametrize("gap", [9, 12, None])
def test_drift_thirty_times_as_large_as_allowed(ppm, gap):
    rng = random.Random(7)
    sequence = traffic(rng, 100, gap)
    bench = Bench(phase=1234, ppm=ppm)
    bench.run(lambda bench, ctx: bench.send(ctx, sequence), len(sequence) + 100)
    assert meaning(bench.received) == meaning(sequence)
    assert max(bench.latency) <= 6 and min(bench.latency) >= 1 and bench.overflows == 0


def test_line_rate_without_a_whole_idle_word():
    """START follows in the word after TERMINATE for ever: columns are joined, nothing is lost."""
    rng = random.Random(8)
    characters = [IDLE] * 12
    for _ in range(300):
        characters += frame(rng, 68) + [IDLE] * 11
    sequence = words(characters)
    assert words([IDLE] * 8)[0] not in sequence[1:-1]
    bench = Bench(phase=3210, ppm=6000)
    bench.run(lambda bench, ctx: bench.send(ctx, sequence), len(sequence) + 100)
    assert meaning(bench.received) == meaning(sequence)
    assert len(bench.received) < len(sequence) - 12, "some words were joined"
    assert max(bench.latency) <= 6 and bench.overflows == 0


def test_what_says_nothing_is_not_stored():
    idle, fault = words([IDLE] * 8)[0], words([SEQUENCE, (0, 0), (0, 0), (1, 0)] * 2)[0]
    octets, end = (0x1122334455667788, 0), words([(1, 0), TERMINATE])[0]
    begin = words([START, *[(0x55, 0)] * 6, (0xd5, 0)])[0]
    sequence = [begin, octets, idle, idle, idle, fault, idle, begin, octets, end, idle, idle,
                begin, idle, idle, begin, octets, fault, idle, fault]
    kept = [begin, octets, idle, begin, octets, end, begin, idle, begin, octets, fault]
    bench = Bench()
    # After reset a frame may be open, as far as the writer knows.
    bench.run(lambda bench, ctx: bench.send(ctx, [end, idle, *sequence]), 60)
    assert bench.received == [end, *kept]


def test_overflow_is_counted_and_passes():
    """Octets without an end from a clock a tenth too fast: nothing can be left out."""
    rng = random.Random(9)
    good = traffic(rng, 6)

    async def script(bench, ctx):
        await bench.send(ctx, [(rng.getrandbits(64), 0) for _ in range(400)])
        assert bench.overflows == 0 or ctx.get(bench.counter.o) > 50
        await bench.send(ctx, good)

    bench = Bench(phase=99, ppm=100_000).run(script, 700)
    assert 10 <= bench.overflows <= 40
    expected = meaning(good)
    assert meaning(bench.received)[-len(expected):] == expected


def test_stopped_clock_leaves_the_core_alone():
    rng = random.Random(10)
    first, second = traffic(rng, 5), traffic(rng, 5)

    async def script(bench, ctx):
        await bench.send(ctx, first)
        await bench.tick(ctx)
        await ctx.delay(200.37 * PERIOD * 1e-12)
        await bench.send(ctx, second)

    bench = Bench(phase=777).run(script, 600)
    assert meaning(bench.received) == meaning(first) + meaning(second)
    pause = max(after - before for before, after in zip(bench.cycles, bench.cycles[1:],
                                                        strict=False))
    assert pause >= 195, "silence while the clock stands"
    assert set(bench.latency) <= {2, 3}


@pytest.mark.parametrize("domain", ["rx", "sync"])
def test_reset_of_one_side(domain):
    rng = random.Random(11)
    first, second, third = traffic(rng, 5), traffic(rng, 3), traffic(rng, 5)

    async def script(bench, ctx):
        reset = getattr(bench, domain).rst
        await bench.send(ctx, first)
        ctx.set(reset, 1)
        await bench.send(ctx, second)
        ctx.set(reset, 0)
        await bench.send(ctx, third)

    bench = Bench(phase=4321).run(script, 400)
    expected = meaning(first) + meaning(second) + meaning(third)
    assert meaning(bench.received) == expected
