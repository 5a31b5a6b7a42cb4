# amaranth: UnusedElaboratable=no
"""IgmpHost: what is reported, when, and in which version."""

import random

import pytest
from amaranth.hdl import Cat
from amaranth.sim import Simulator
from tickwire.hdl.ip.igmp import IgmpHost, ReportKind

ROWS = 4
TASK = 2 * ROWS + 2         # cycles
PRESENT = 260               # ticks
GROUPS = [0xe1000001, 0xe1000002, 0xefff0003, 0xe2345678, 0xe9999999]
QUERY, V1_REPORT, V2_REPORT = 0x11, 0x12, 0x16


class Host:
    """Drives an IgmpHost by ticks; reports are taken after a random time."""

    def __init__(self, seed=1, salt=0):
        self.rng = random.Random(seed)
        self.dut = IgmpHost(ROWS, querier_present=PRESENT)
        self.salt = salt
        self.full = 0
        self.ticks = 0
        self.reports = []       # (tick, kind, code, group)

    def run(self, script):
        async def bench(ctx):
            self.ctx = ctx
            ctx.set(self.dut.i_salt, self.salt)
            await script(self)

        simulator = Simulator(self.dut)
        simulator.add_clock(6.4e-9)
        simulator.add_testbench(bench)
        simulator.run()
        return self

    async def cycle(self):
        ctx, dut = self.ctx, self.dut
        takes = self.rng.random() < 0.5 and ctx.get(dut.o_report)
        if takes:
            self.reports.append((self.ticks, ctx.get(dut.o_kind), ctx.get(dut.o_code),
                                 ctx.get(dut.o_group)))
        ctx.set(dut.i_reported, takes)
        self.full += ctx.get(dut.o_count_full)
        await ctx.tick()
        ctx.set(dut.i_reported, 0)

    async def quiet(self):
        """Until nothing is being done."""
        for _ in range(TASK + 2):
            await self.cycle()
        while self.ctx.get(Cat(self.dut.o_report, ~self.dut.o_command_free,
                               ~self.dut.o_message_free)):
            await self.cycle()
        for _ in range(TASK):
            await self.cycle()

    async def tick(self, count=1):
        for _ in range(count):
            self.ctx.set(self.dut.i_tick, 1)
            await self.cycle()
            self.ctx.set(self.dut.i_tick, 0)
            await self.quiet()
            self.ticks += 1

    async def command(self, group, join):
        self.ctx.set(self.dut.i_command.payload, {"group": group, "join": join})
        self.ctx.set(self.dut.i_command.valid, 1)
        await self.cycle()
        self.ctx.set(self.dut.i_command.valid, 0)
        self.ctx.set(self.dut.i_command.payload, {"group": self.rng.getrandbits(32), "join": 1})
        await self.quiet()

    async def hear(self, kind, code, group=0, v3=0):
        self.ctx.set(self.dut.i_message.payload,
                     {"type": kind, "code": code, "group": group, "v3": v3})
        self.ctx.set(self.dut.i_message.valid, 1)
        await self.cycle()
        self.ctx.set(self.dut.i_message.valid, 0)
        self.ctx.set(self.dut.i_message.payload, {"type": QUERY, "code": 1, "group": 0})
        await self.quiet()

    def taken(self):
        """Reports since the last call, without ticks."""
        reports, self.reports = self.reports, []
        return [report[1:] for report in reports]


def v3(kind, *groups):
    return [(ReportKind.V3.value, kind, group) for group in groups]


def values(reports):
    return [(getattr(kind, "value", kind), code, group) for kind, code, group in reports]


def test_join_and_leave_are_reported_twice():
    async def script(host):
        await host.command(GROUPS[0], 1)
        await host.tick(20)
        assert values(host.taken()) == v3(4, GROUPS[0]) * 2
        await host.command(GROUPS[0], 1)        # is a member already
        await host.tick(20)
        assert host.taken() == []
        await host.command(GROUPS[0], 0)
        await host.tick(20)
        assert values(host.taken()) == v3(3, GROUPS[0]) * 2
        await host.command(GROUPS[0], 0)
        await host.tick(20)
        assert host.taken() == []

    Host().run(script)


def test_unsolicited_repeats_are_within_their_interval():
    first = []

    async def script(host):
        await host.command(GROUPS[0], 1)
        await host.tick(12)
        first.append([tick for tick, *_ in host.reports])

    for seed in range(6):
        Host(seed, salt=seed * 7919).run(script)
    gaps = {repeat - start for start, repeat in first}
    assert all(start == 0 for start, _ in first) and max(gaps) <= 10 and len(gaps) > 1


def test_rejoined_before_the_leave_was_said():
    async def script(host):
        await host.command(GROUPS[0], 1)
        await host.tick(12)
        host.taken()
        await host.command(GROUPS[0], 0)
        await host.tick()
        await host.command(GROUPS[0], 1)
        await host.tick(12)
        assert values(host.taken()) == v3(3, GROUPS[0]) + v3(4, GROUPS[0]) * 2

    Host().run(script)


def test_a_full_table_refuses_and_a_row_is_used_again():
    async def script(host):
        for group in GROUPS[:ROWS]:
            await host.command(group, 1)
        assert host.full == 0
        await host.command(GROUPS[4], 1)
        assert host.full == 1
        await host.tick(12)
        assert sorted(values(host.taken())) == sorted(v3(4, *GROUPS[:ROWS]) * 2)
        await host.command(GROUPS[1], 0)
        await host.tick(12)
        await host.command(GROUPS[4], 1)
        await host.tick(12)
        assert host.full == 1
        assert values(host.taken()) == v3(3, GROUPS[1]) * 2 + v3(4, GROUPS[4]) * 2

    Host().run(script)


@pytest.mark.parametrize("code, v3_query, limit", [
    (1, 1, 1), (10, 1, 10), (100, 1, 100), (127, 1, 127), (0x80, 1, 128), (0x8f, 1, 248),
    (0x94, 1, 320), (0, 1, 1)])
def test_queries_are_answered_within_the_response_time(code, v3_query, limit):
    delays = []

    async def script(host):
        for group in GROUPS[:ROWS]:
            await host.command(group, 1)
        await host.tick(12)
        host.taken()
        start = host.ticks
        await host.hear(QUERY, code, v3=v3_query)
        await host.tick(limit)
        delays.extend(tick - start for tick, *_ in host.reports)
        assert sorted(values(host.taken())) == sorted(v3(2, *GROUPS[:ROWS]))
        await host.tick(2)
        assert host.taken() == []

    Host().run(script)
    assert max(delays) < limit
    assert limit < 100 or max(delays) > limit / 8 and len(set(delays)) > 2


def test_a_query_for_one_group_is_answered_by_its_member_only():
    async def script(host):
        for group in GROUPS[:2]:
            await host.command(group, 1)
        await host.tick(12)
        host.taken()
        await host.hear(QUERY, 4, GROUPS[1], v3=1)
        await host.hear(QUERY, 4, GROUPS[3], v3=1)
        await host.tick(6)
        assert values(host.taken()) == v3(2, GROUPS[1])
        # A sooner one shortens the delay, a later one does not lengthen it.
        await host.hear(QUERY, 127, v3=1)
        await host.hear(QUERY, 1, GROUPS[0], v3=1)
        await host.hear(QUERY, 127, v3=1)
        await host.tick(1)
        assert values(host.taken()) == v3(2, GROUPS[0])

    Host().run(script)


def test_version_2_while_its_querier_is_there():
    report, leave = ReportKind.REPORT.value, ReportKind.LEAVE.value

    async def script(host):
        await host.command(GROUPS[0], 1)
        await host.hear(QUERY, 10)
        # The pending version 3 report is void; there is an answer to the query.
        await host.tick(10)
        assert values(host.taken()) == [(report, V2_REPORT, GROUPS[0])]
        await host.command(GROUPS[1], 1)
        await host.tick(70)
        assert values(host.taken()) == [(report, V2_REPORT, GROUPS[1])] * 2
        # Another member's report silences ours, for that group.
        await host.hear(QUERY, 100)
        await host.hear(V2_REPORT, 0, GROUPS[0])
        await host.tick(100)
        assert values(host.taken()) == [(report, V2_REPORT, GROUPS[1])]
        await host.command(GROUPS[1], 0)
        await host.tick(12)
        assert values(host.taken()) == [(leave, V2_REPORT, GROUPS[1])]
        # Some time after the last such query it is version 3 again.
        await host.tick(PRESENT - 112)
        await host.hear(QUERY, 1, v3=1)
        await host.tick(2)
        assert values(host.taken()) == v3(2, GROUPS[0])

    Host().run(script)


def test_version_3_is_silenced_by_nobody():
    """RFC 3376, 5: no report of another member's stops one of version 3."""
    async def script(host):
        await host.command(GROUPS[0], 1)
        await host.tick(20)
        host.taken()
        await host.hear(QUERY, 100, v3=1)
        await host.hear(V2_REPORT, 0, GROUPS[0])
        await host.tick(100)
        assert values(host.taken()) == v3(2, GROUPS[0])

    Host().run(script)


def test_version_1_says_nothing_on_leaving():
    async def script(host):
        await host.hear(QUERY, 0)
        await host.command(GROUPS[0], 1)
        await host.tick(70)
        assert values(host.taken()) == [(ReportKind.REPORT.value, V1_REPORT, GROUPS[0])] * 2
        await host.hear(QUERY, 10)      # a version 2 querier changes nothing
        await host.tick(10)
        assert values(host.taken()) == [(ReportKind.REPORT.value, V1_REPORT, GROUPS[0])]
        await host.command(GROUPS[0], 0)
        await host.tick(5)
        assert host.taken() == []

    Host().run(script)


def test_latency():
    dut = IgmpHost(ROWS)

    async def bench(ctx):
        async def until(signal, value):
            for cycles in range(1, 100):
                await ctx.tick()
                if ctx.get(signal) == value:
                    return cycles
            raise AssertionError("it does not come")

        async def command(group, join):
            ctx.set(dut.i_command.payload, {"group": group, "join": join})
            ctx.set(dut.i_command.valid, 1)
            await ctx.tick()
            ctx.set(dut.i_command.valid, 0)
            assert not ctx.get(dut.o_command_free)
            return await until(dut.o_command_free, 1)

        assert await command(5, 1) == TASK + 1
        assert await command(5, 1) == TASK
        ctx.set(dut.i_message.valid, 1)
        await ctx.tick()
        ctx.set(dut.i_message.valid, 0)
        assert await until(dut.o_message_free, 1) == TASK
        ctx.set(dut.i_tick, 1)
        await ctx.tick()
        ctx.set(dut.i_tick, 0)
        row = ROWS - 1          # the last free row is the first one to be used
        assert await until(dut.o_report, 1) == 3 + 2 * row

    simulator = Simulator(dut)
    simulator.add_clock(6.4e-9)
    simulator.add_testbench(bench)
    simulator.run()


def test_refusals():
    with pytest.raises(ValueError, match="IgmpHost rows must be a power of two from 2 to 64, "
                                         "not 3"):
        IgmpHost(rows=3)
