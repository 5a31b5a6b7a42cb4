# amaranth: UnusedElaboratable=no
"""The bank: every kind of entry, its latency, and what happens where nothing is mapped."""

import random

import pytest
from amaranth.sim import Simulator
from tickwire.gateware.config import GatewayConfig
from tickwire.gateware.register_map import RegisterMap
from tickwire.gateware.registers import MAGIC, REGISTERS
from tickwire.hdl.csr.bank import RegisterBank
from tickwire.hdl.csr.register_table import (
    Access,
    Command,
    Counter,
    Field,
    Page,
    Register,
    Staging,
    Table,
    Window,
)

CONFIG = GatewayConfig(instruments=16)

TOY = RegisterMap((
    Page(name="FIRST", offset=0x0000, meaning="Values.", entries=(
        Register(name="NUMBER", access=Access.CONSTANT, value=0x1122_3344_5566_7788, width=64,
                 meaning="A constant."),
        Register(name="SIZE", access=Access.CONSTANT, value="instruments", meaning="A size."),
        Register(name="HASH", access=Access.CONSTANT, value="register_hash", width=64,
                 meaning="The hash."),
        Register(name="NARROW", meaning="A value.", reset=5),
        Register(name="TOLD", meaning="A value.", written=True),
        Register(name="BOTH", meaning="A wide value.", width=40, written=True),
        Register(name="WIDE", meaning="A wide value.", width=50, reset=1 << 40),
        Register(name="PARTS", meaning="Fields.", reset=0b1_010, fields=(
            Field(name="A", width=3, meaning="Three bits."),
            Field(name="B", width=1, meaning="One bit."),
        )),
        Register(name="SEEN", access=Access.READ_ONLY, meaning="A status."),
        Register(name="LONG", access=Access.READ_ONLY, width=64, meaning="A wide status."),
        Register(name="WITH_LONG", access=Access.READ_ONLY, width=48, latched_by="LONG",
                 meaning="Another one of the same cycle."),
        Command(name="GO", meaning="A strobe."),
        Command(name="TAKE", width=20, meaning="A strobe with a number."),
    )),
    Page(name="COUNTED", offset=0x1000, meaning="Counters.", entries=tuple(
        Counter(name=name, meaning="A count.") for name in ("ALPHA", "BETA", "BUS_UNMAPPED"))),
    Page(name="TABLES", offset=0x2000, meaning="Tables.", entries=(
        Staging(name="ROW", words=2, meaning="A row."),
        Table(name="PAIRS", depth="instruments", meaning="Pairs.", fields=(
            Field(name="LOW", width=30, meaning="Low part."),
            Field(name="HIGH", width=34, meaning="High part."))),
        Table(name="ODD", depth=5, meaning="Narrow rows.", fields=(
            Field(name="ONLY", width=7, meaning="Only part."),)),
        Window(name="MEMORY", words=16, meaning="Words."),
    )),
))


class Host:
    """Bus accesses as a testbench, with the number of cycles that each took."""

    def __init__(self, ctx, dut):
        self.ctx, self.bus, self.cycles = ctx, dut.bus, 0

    async def _access(self, kind, offset, data=0):
        rng = random.Random(offset)
        ctx, bus = self.ctx, self.bus
        ctx.set(bus.address, offset // 4)
        ctx.set(bus.write_data, data)
        ctx.set(kind, 1)
        await ctx.tick()
        ctx.set(kind, 0)
        ctx.set(bus.address, rng.getrandbits(14))
        ctx.set(bus.write_data, rng.getrandbits(32))
        self.cycles = 1
        while not ctx.get(bus.acknowledge):
            await ctx.tick()
            self.cycles += 1
            assert self.cycles < 20
        value = ctx.get(bus.read_data)
        await ctx.tick()
        return value

    async def read(self, offset):
        return await self._access(self.bus.read, offset)

    async def write(self, offset, data):
        await self._access(self.bus.write, offset, data)

    async def read_wide(self, offset):
        return await self.read(offset) | await self.read(offset + 4) << 32


def run(dut, bench, watcher=None):
    async def testbench(ctx):
        await bench(ctx, Host(ctx, dut))

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    if watcher is not None:
        simulator.add_testbench(watcher, background=True)
    simulator.add_testbench(testbench)
    simulator.run()


def test_constants_values_and_latency():
    dut = RegisterBank(TOY, CONFIG)
    at = TOY.offset

    async def bench(ctx, host):
        assert await host.read_wide(at("NUMBER")) == 0x1122_3344_5566_7788
        assert host.cycles == 4
        assert await host.read(at("SIZE")) == 16
        assert await host.read_wide(at("HASH")) == TOY.hash
        assert await host.read(at("NARROW")) == 5
        await host.write(at("NARROW"), 0xDEADBEEF)
        assert host.cycles == 4
        assert ctx.get(dut.o_narrow) == 0xDEADBEEF
        assert await host.read(at("NARROW")) == 0xDEADBEEF
        await host.write(at("NUMBER"), 1)
        assert await host.read(at("NUMBER")) == 0x5566_7788
        assert (ctx.get(dut.o_parts.a), ctx.get(dut.o_parts.b)) == (2, 1)
        await host.write(at("PARTS"), 0xFFFF_FFF5)
        assert (ctx.get(dut.o_parts.a), ctx.get(dut.o_parts.b)) == (5, 0)
        assert await host.read(at("PARTS")) == 5
        ctx.set(dut.i_seen, 77)
        assert await host.read(at("SEEN")) == 77

    run(dut, bench)


def test_wide_values_change_and_read_as_one():
    dut = RegisterBank(TOY, CONFIG)
    at = TOY.offset

    async def bench(ctx, host):
        assert await host.read_wide(at("WIDE")) == 1 << 40
        await host.write(at("WIDE"), 0x89AB_CDEF)
        assert ctx.get(dut.o_wide) == 1 << 40
        await host.write(at("WIDE") + 4, 0xFFF1_2345)
        assert ctx.get(dut.o_wide) == 0x1_2345_89AB_CDEF
        assert await host.read_wide(at("WIDE")) == 0x1_2345_89AB_CDEF
        ctx.set(dut.i_long, 0x0000_0001_FFFF_FFFF)
        low = await host.read(at("LONG"))
        ctx.set(dut.i_long, 0x0000_0002_0000_0000)
        # Reads on another page, and of narrow registers on this one, keep the high half.
        await host.read_wide(at("ALPHA"))
        await host.read(at("NARROW"))
        assert low | await host.read(at("LONG") + 4) << 32 == 0x1_FFFF_FFFF
        assert await host.read_wide(at("LONG")) == 0x2_0000_0000

    run(dut, bench)


def test_a_latched_register_is_of_the_cycle_in_which_the_other_was_sampled():
    """Both ports change in every cycle: the sample is that of one cycle after the strobe."""
    dut = RegisterBank(TOY, CONFIG)
    at = TOY.offset
    now = 0

    async def watcher(ctx):
        nonlocal now
        while True:
            now += 1
            ctx.set(dut.i_long, now << 40 | now)
            ctx.set(dut.i_with_long, 5 * now << 20 | now)
            await ctx.tick()

    async def bench(ctx, host):
        for _ in range(20):
            strobe = now
            low = await host.read(at("LONG"))
            # The high half only later, and other reads in between.
            await host.read(at("SEEN"))
            value = low | await host.read(at("LONG") + 4) << 32
            sampled = value >> 40
            assert value == sampled << 40 | sampled and sampled - strobe == 1
            for _ in range(2):
                assert await host.read_wide(at("WITH_LONG")) == 5 * sampled << 20 | sampled
            await host.write(at("LONG"), 1)

    run(dut, bench, watcher)


def test_value_stands_two_cycles_after_the_strobe():
    dut = RegisterBank(TOY, CONFIG)

    async def bench(ctx, host):
        ctx.set(dut.bus.address, TOY.offset("NARROW") // 4)
        ctx.set(dut.bus.write_data, 9)
        ctx.set(dut.bus.write, 1)
        await ctx.tick()
        ctx.set(dut.bus.write, 0)
        assert ctx.get(dut.o_narrow) == 5
        await ctx.tick()
        assert ctx.get(dut.o_narrow) == 9

    run(dut, bench)


def watch(dut, log):
    """Write down every strobe of the toy's commands, tables and windows."""
    async def watcher(ctx):
        while True:
            await ctx.tick()
            if ctx.get(dut.o_go):
                log.append("go")
            if ctx.get(dut.o_take.valid):
                log.append(("take", ctx.get(dut.o_take.payload)))
            for port in (dut.o_pairs, dut.o_odd):
                if ctx.get(port.valid):
                    payload = ctx.get(port.payload)
                    log.append((payload.index, *(payload.row[k] for k in
                                                 port.payload.shape()["row"].shape.members)))
            if ctx.get(dut.o_memory.write):
                log.append(("memory", ctx.get(dut.o_memory.address), ctx.get(dut.o_memory.data)))
    return watcher


def test_strobes_happen_once_and_rows_come_whole():
    dut = RegisterBank(TOY, CONFIG)
    at = TOY.offset
    log = []

    async def bench(ctx, host):
        await host.write(at("GO"), 0xFFFF_FFFE)
        assert log == []
        await host.write(at("GO"), 1)
        await host.write(at("TAKE"), 0xFFF1_2345)
        await host.write(at("ROW"), 0xC000_0001)
        await host.write(at("ROW") + 4, 0x8000_0003)
        await host.write(at("PAIRS"), 15)
        await host.write(at("ODD"), 4)
        await host.write(at("MEMORY") + 4 * 15, 0x1234_5678)
        for name in ("GO", "TAKE", "ROW", "PAIRS", "MEMORY"):
            assert await host.read(at(name)) == 0
        assert log == ["go", ("take", 0x1_2345), (15, 1, 0x8000_0003 << 2 | 3), (4, 1),
                       ("memory", 15, 0x1234_5678)]

    run(dut, bench, watch(dut, log))


def test_counters_count_and_their_reads_take_ten_cycles():
    dut = RegisterBank(TOY, CONFIG)
    at = TOY.offset

    async def bench(ctx, host):
        ctx.set(dut.i_count_beta, 1)
        await ctx.tick().repeat(37)
        ctx.set(dut.i_count_beta, 0)
        assert await host.read(at("BETA")) == 37
        assert host.cycles == 10
        assert await host.read(at("BETA") + 4) == 0
        assert host.cycles == 4
        assert await host.read_wide(at("ALPHA")) == 0

    run(dut, bench)


def test_unmapped_accesses_read_zero_write_nothing_and_are_counted():
    dut = RegisterBank(TOY, CONFIG)
    at = TOY.offset
    log = []

    async def bench(ctx, host):
        wrong = 0
        for offset in (at("TAKE") + 4, 0x0FFC, 0x1000 + 24, 0x3000, 0xFFFC):
            assert await host.read(offset) == 0
            await host.write(offset, 0xFFFF_FFFF)
            wrong += 2
        for name, row in (("PAIRS", 16), ("PAIRS", 1 << 31), ("ODD", 5), ("SEEN", 1),
                          ("NUMBER", 1), ("ALPHA", 1)):
            await host.write(at(name), row)
            wrong += 1
        await host.read(at("GO"))
        wrong += 1
        assert await host.read_wide(at("BUS_UNMAPPED")) == wrong
        assert log == []

    run(dut, bench, watch(dut, log))


def test_each_write_is_told_with_the_first_cycle_of_its_value():
    """Of a wide register with the half that puts both in force."""
    dut = RegisterBank(TOY, CONFIG)
    log = []

    async def watcher(ctx):
        while True:
            for name in ("told", "both"):
                if ctx.get(getattr(dut, f"o_{name}_written")):
                    log.append((name, ctx.get(getattr(dut, f"o_{name}"))))
            await ctx.tick()

    async def bench(ctx, host):
        for value in (7, 7, 8):
            await host.write(TOY.offset("TOLD"), value)
        await host.read(TOY.offset("TOLD"))
        await host.write(TOY.offset("NARROW"), 1)
        await host.write(TOY.offset("BOTH"), 5)
        await host.write(TOY.offset("BOTH") + 4, 1)

    run(dut, bench, watcher)
    assert log == [("told", 7), ("told", 7), ("told", 8), ("both", 1 << 32 | 5)]


def test_whole_table_answers_everywhere():
    """Every readable word of the real table reads what its port says; none is unmapped."""
    dut = RegisterBank(REGISTERS, GatewayConfig())
    rng = random.Random(3)

    async def bench(ctx, host):
        expected = {"MAGIC": MAGIC, "REGISTER_HASH": REGISTERS.hash, "INSTRUMENTS": 128,
                    "CORE_HZ": 156_250_000}
        for entry in REGISTERS.entries(Register):
            if entry.access is Access.READ_ONLY:
                expected[entry.name] = value = rng.getrandbits(entry.width)
                ctx.set(getattr(dut, f"i_{entry.name.lower()}").as_value()
                        if entry.fields else getattr(dut, f"i_{entry.name.lower()}"), value)
            elif entry.access is Access.READ_WRITE:
                expected[entry.name] = value = rng.getrandbits(entry.width)
                for k in range(entry.words):
                    await host.write(REGISTERS.offset(entry.name) + 4 * k,
                                     value >> 32 * k & 0xFFFF_FFFF)
        for name, value in expected.items():
            entry = REGISTERS[name]
            got = await host.read(REGISTERS.offset(name))
            if entry.words == 2:
                got |= await host.read(REGISTERS.offset(name) + 4) << 32
            assert got == value, name
        for name in ("RX_GOOD", "ORDERS_SENT", "BUS_UNMAPPED"):
            assert await host.read_wide(REGISTERS.offset(name)) == 0

    run(dut, bench)


def test_table_write_to_every_table_of_the_real_map():
    dut = RegisterBank(REGISTERS, GatewayConfig())

    async def bench(ctx, host):
        for table in REGISTERS.entries(Table):
            port = getattr(dut, f"o_{table.name.lower()}")
            ctx.set(dut.bus.address, REGISTERS.offset(table.name) // 4)
            ctx.set(dut.bus.write_data, 0)
            ctx.set(dut.bus.write, 1)
            await ctx.tick()
            ctx.set(dut.bus.write, 0)
            await ctx.tick()
            assert ctx.get(port.valid) == 1
            await ctx.tick()
            assert ctx.get(port.valid) == 0
            await ctx.tick().repeat(5)

    run(dut, bench)


@pytest.mark.parametrize("reset", [0, 1])
def test_reset_values(reset):
    dut = RegisterBank(RegisterMap((Page(name="P", offset=0, meaning="A page.", entries=(
        Register(name="R", meaning="A value.", width=1, reset=reset),)),)), CONFIG)

    async def bench(ctx, host):
        assert ctx.get(dut.o_r) == reset
        assert await host.read(0) == reset

    run(dut, bench)
