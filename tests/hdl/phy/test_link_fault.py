# amaranth: UnusedElaboratable=no
"""LinkFault: the state diagram of 46.3.4, column by column, and a clock that stands still."""

import random

import pytest
from amaranth.hdl import Cat, ClockDomain, Module
from amaranth.sim import Simulator
from tickwire.hdl.phy.link_fault import LinkFault

PERIOD = 6.4e-9
IDLE = (0x07070707, 0xf)
LOCAL, REMOTE = (0x0100009c, 1), (0x0200009c, 1)
# Nearly ordered sets of a fault: reserved types, a signal ordered set, other characters
NEARLY = [(0x0300009c, 1), (0x0000009c, 1), (0x0001009c, 1), (0x0100019c, 1), (0x0101009c, 1),
          (0x0100005c, 1), (0x0100009c, 0), (0x0100009c, 3), (0x0200009c, 9), (0x0109009c, 1)]
LATENCY = 5             # 2 cycles of rx, 3 of sync


class Diagram:
    """The states of Figure 46-11, a column at a time."""

    def __init__(self):
        self.state, self.fault = "INIT", None
        self.columns = self.sets = 0
        self.last = None

    def column(self, column):
        kind = {LOCAL: "local", REMOTE: "remote"}.get(column)
        if kind is None:
            self.columns += 1
            if self.columns > 127:
                self.state, self.fault, self.sets = "INIT", None, 0
            return
        if self.state == "INIT" or kind != self.last:
            self.state, self.sets = "COUNT", 0
        self.sets, self.columns, self.last = self.sets + 1, 0, kind
        if self.sets >= 4:
            self.state, self.fault = "FAULT", kind


class Bench:
    """Plays words into LinkFault; ``faults[n]`` is what it said LATENCY cycles after word n."""

    def __init__(self, columns, valid=1.0):
        self.faults, self.counts, self.expected = [], {"local": 0, "remote": 0}, []
        diagram, rng = Diagram(), random.Random(1)
        self.words = []
        for low, high in zip(columns[::2], columns[1::2], strict=True):
            while rng.random() >= valid:
                self.words.append((rng.choice([LOCAL, REMOTE]), LOCAL, 0))
                self.expected.append(diagram.fault)
            self.words.append((low, high, 1))
            diagram.column(low)
            diagram.column(high)
            self.expected.append(diagram.fault)
        self.run()

    def run(self):
        m = Module()
        rx = ClockDomain("rx")
        m.domains += rx
        m.submodules.dut = dut = LinkFault()
        inputs = Cat(dut.i.payload, dut.i.valid)
        outputs = Cat(dut.o_up, dut.o_local_fault, dut.o_remote_fault, dut.o_count_local_fault,
                      dut.o_count_remote_fault)

        async def bench(ctx):
            before = None
            for cycle in range(len(self.words) + LATENCY):
                if cycle < len(self.words):
                    (low, low_kind), (high, high_kind), valid = self.words[cycle]
                    ctx.set(inputs, low | high << 32 | low_kind << 64 | high_kind << 68
                            | valid << 72)
                else:
                    ctx.set(inputs, 0)
                seen = ctx.get(outputs)
                fault = {0b001: None, 0b010: "local", 0b100: "remote"}[seen & 7]
                counts = {0b00: None, 0b01: "local", 0b10: "remote"}[seen >> 3]
                assert counts == (fault if fault != before else None)
                if counts:
                    self.counts[counts] += 1
                before = fault
                self.faults.append(fault)
                await ctx.tick()
        sim = Simulator(m)
        sim.add_clock(PERIOD)
        sim.add_clock(PERIOD, domain="rx")
        sim.add_testbench(bench)
        sim.run()
        self.faults = self.faults[LATENCY:]


def check(columns, valid=1.0):
    bench = Bench(columns + [IDLE] * (len(columns) % 2), valid)
    assert bench.faults == bench.expected
    return bench


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("kind", [LOCAL, REMOTE])
def test_four_within_128_columns_and_none_for_128(kind, first):
    """The third is not enough; 127 columns between two are near enough, 128 are not."""
    name = "local" if kind is LOCAL else "remote"
    for apart, found in ((0, True), (1, True), (2, True), (126, True), (127, True), (128, False),
                         (129, False)):
        columns = [IDLE] * (4 + first)
        for _ in range(3):
            columns += [kind] + [IDLE] * apart
        bench = check(columns + [kind] + [IDLE] * 140)
        assert (name in bench.faults) is found
        if found:
            at = len(columns) // 2
            assert bench.faults[at - 1:at + 1] == [None, name], "the fourth decides"
            over = (len(columns) + 128) // 2
            assert bench.faults[over - 1:over + 1] == [name, None], "the 128th column decides"
        assert sum(bench.counts.values()) == found


def test_the_type_changes_with_four_of_the_other():
    columns = [LOCAL] * 6 + [REMOTE] * 3 + [LOCAL] + [REMOTE] * 4 + [LOCAL] * 4 + [IDLE] * 140
    bench = check(columns)
    changes = [after for before, after in zip([None, *bench.faults], bench.faults, strict=False)
               if before != after]
    assert changes == ["local", "remote", "local", None]
    assert bench.counts == {"local": 2, "remote": 1}


@pytest.mark.parametrize("wrong", NEARLY)
def test_what_is_nearly_an_ordered_set_is_none(wrong):
    assert set(check([IDLE, wrong] * 40).faults) == {None}


@pytest.mark.parametrize("valid", [1.0, 0.7])
def test_random_columns_follow_the_diagram(valid):
    rng, columns = random.Random(2), []
    while len(columns) < 12_000:
        kinds = rng.choices([LOCAL, REMOTE, IDLE, rng.choice(NEARLY)], k=rng.randrange(1, 5))
        columns += [rng.choice(kinds) for _ in range(rng.randrange(1, 30))]
        columns += [IDLE] * rng.choice([0, 0, 1, 2, 3, 120, 125, 126, 127, 128, 129, 130])
    bench = check(columns, valid)
    assert min(bench.counts.values()) > 20 and None in bench.faults[2000:]


def test_a_receive_clock_that_stands_still_is_a_local_fault():
    m = Module()
    rx = ClockDomain("rx")
    m.domains += rx
    m.submodules.dut = dut = LinkFault(silence=40)
    states = []

    async def bench(ctx):
        async def cycles(count, running):
            for _ in range(count):
                ctx.set(rx.clk, running)
                states.append((ctx.get(dut.o_up), ctx.get(dut.o_local_fault)))
                await ctx.delay(PERIOD / 2)
                ctx.set(rx.clk, 0)
                await ctx.delay(PERIOD / 2)
        await cycles(200, 1)
        assert set(states) == {(1, 0)}
        await cycles(39, 0)
        assert set(states) == {(1, 0)}
        await cycles(20, 0)
        assert states[-1] == (0, 1)
        await cycles(20, 1)
        assert states[-1] == (1, 0)

    sim = Simulator(m)
    sim.add_clock(PERIOD)
    sim.add_testbench(bench)
    sim.run_until(300 * PERIOD)


def test_too_short_a_silence_is_refused():
    with pytest.raises(ValueError, match="LinkFault silence must be more than 16 cycles, or a "
                                         "running clock may look as if it stood, not 16"):
        LinkFault(silence=16)
