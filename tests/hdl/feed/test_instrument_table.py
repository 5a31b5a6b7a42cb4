# amaranth: UnusedElaboratable=no
"""InstrumentTable: what the host placed is found, three cycles after the event, nothing else."""

import random

import pytest
from amaranth.sim import Simulator
from tickwire.hdl.feed.event import FeedEventKind
from tickwire.hdl.feed.instruments import InstrumentTable
from tickwire.hdl.wire.placement import Placement

ROWS = 64


def test_found_after_three_cycles():
    rng = random.Random(1)
    dut = InstrumentTable(rows=ROWS)
    placement = Placement(ROWS)
    table = {identifier: (rng.randrange(128), rng.randrange(64))
             for identifier in [*range(1, 40), *(rng.getrandbits(32) for _ in range(20))]}
    asked = [rng.choice([*table, *(identifier ^ 1 << rng.randrange(32) for identifier in table)])
             for _ in range(300)]

    async def bench(ctx):
        for identifier in table:
            for slot, key in placement.insert(identifier):
                index, channel = table[key]
                ctx.set(dut.write.payload, {"index": slot, "row": {
                    "valid": 1, "id": key, "index": index, "channel": channel}})
                ctx.set(dut.write.valid, 1)
                await ctx.tick()
        gone = next(iter(table))
        ctx.set(dut.write.payload, {"index": placement.remove(gone), "row": {
            "valid": 0, "id": gone, "index": 5, "channel": 5}})
        del table[gone]
        await ctx.tick()
        ctx.set(dut.write.valid, 0)

        due = {}
        for cycle, identifier in enumerate(asked):
            valid = rng.random() < 0.6
            kind = rng.choice([FeedEventKind.INSTRUMENT] * 3 + [FeedEventKind.HEADER])
            ctx.set(dut.i.valid, valid)
            ctx.set(dut.i.payload, {"kind": kind, "instrument_id": identifier})
            if valid and kind is FeedEventKind.INSTRUMENT:
                due[cycle + 3] = identifier
            assert ctx.get(dut.o.valid) == (cycle in due)
            assert ctx.get(dut.o_early.valid) == (cycle + 1 in due)
            if due.get(cycle + 1) in table:
                early = ctx.get(dut.o_early.payload)
                assert (early.index, early.channel) == table[due[cycle + 1]]
            if cycle in due:
                answer = ctx.get(dut.o.payload)
                assert answer.known == (due[cycle] in table)
                if answer.known:
                    assert (answer.index, answer.channel) == table[due[cycle]]
            await ctx.tick()
        assert len(due) > 100

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


def test_every_bit_of_the_id_is_compared():
    """A row in the place of the id that is asked for, with one bit of the id wrong."""
    dut, identifier = InstrumentTable(rows=ROWS), 0x12345678
    [(slot, _)] = Placement(ROWS).insert(identifier)

    async def bench(ctx):
        ctx.set(dut.i.payload, {"kind": FeedEventKind.INSTRUMENT, "instrument_id": identifier})
        for wrong in (*(1 << bit for bit in range(32)), 0):
            ctx.set(dut.write.payload, {"index": slot, "row": {
                "valid": 1, "id": identifier ^ wrong, "index": 5, "channel": 5}})
            for write, ask in ((1, 0), (0, 1), (0, 0), (0, 0)):
                ctx.set(dut.write.valid, write)
                ctx.set(dut.i.valid, ask)
                await ctx.tick()
            assert ctx.get(dut.o.valid)
            assert ctx.get(dut.o.payload.known) == (not wrong)

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


def test_nonsense_is_rejected():
    with pytest.raises(ValueError, match=r"^A hash table must have 64, 128, 256, 512, 1024 rows "
                                         r"a way, not 0$"):
        InstrumentTable(rows=0)
