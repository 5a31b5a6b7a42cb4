"""Drives a decoder of executions with whole messages, and reads what it says."""

import random

from amaranth.lib import data
from amaranth.sim import Simulator
from stream_bench import beat, garbage
from tickwire.hdl.entry.execution import Execution
from tickwire.hdl.entry.execution_decoder import ExecutionDecoder

MEMBERS = [name for name, _ in data.Layout.cast(Execution)]


def said(kind, **values):
    """An execution as a dict; what is not named is 0."""
    return dict.fromkeys(MEMBERS, 0) | {"kind": kind} | values


def read(ctx, payload):
    value = ctx.get(payload)
    return {name: value[name].name if name == "kind" else int(value[name]) for name in MEMBERS}


def run(plan, messages, *, offer=1.0, applies=lambda number: True, sequence=lambda number: number,
        seed=1, rest=6):
    """Executions with cycles, counts of (other, malformed) with cycles, cycles of each beat."""
    dut, rng = ExecutionDecoder(plan), random.Random(seed)
    executions, others, malformed, beats = [], [], [], []

    async def bench(ctx):
        cycle = 0

        async def step(valid, payload, number):
            nonlocal cycle
            ctx.set(dut.i.valid, valid)
            ctx.set(dut.i.payload, payload)
            ctx.set(dut.i_apply, applies(number) if valid else rng.getrandbits(1))
            ctx.set(dut.i_sequence, sequence(number) if valid else rng.getrandbits(64))
            if ctx.get(dut.o.valid):
                executions.append((cycle, read(ctx, dut.o.payload)))
            others.extend([cycle] * ctx.get(dut.o_count_other))
            malformed.extend([cycle] * ctx.get(dut.o_count_malformed))
            await ctx.tick()
            cycle += 1

        for number, message in enumerate(messages):
            cycles = []
            for at in range(0, len(message), 8):
                while rng.random() >= offer:
                    await step(0, garbage(rng), number)
                cycles.append(cycle)
                await step(1, beat(message[at:at + 8], at == 0, at + 8 >= len(message), rng),
                           number)
            beats.append(cycles)
        for _ in range(rest):
            await step(0, garbage(rng), len(messages))

    simulator = Simulator(dut)
    simulator.add_clock(6.4e-9)
    simulator.add_testbench(bench)
    simulator.run()
    return executions, others, malformed, beats
