"""Sums with carries, folded into 16 bits, against plain arithmetic modulo 0xffff."""

import random

from amaranth.hdl import Module, Signal
from amaranth.sim import Simulator
from tickwire.hdl.tcp.sums import fold, words


def test_a_sum_is_folded_with_every_carry():
    rng = random.Random(1)
    m = Module()
    value, folded, parts = Signal(26), Signal(16), Signal(18)
    m.d.comb += [folded.eq(fold(value)), parts.eq(sum(words(value)))]
    edges = [high << 16 | low for high in (0, 1, 2, 0x3ff)
             for low in (0, 1, 0xfc00, 0xfffd, 0xfffe, 0xffff)]

    async def bench(ctx):
        for number in [*edges, *(rng.getrandbits(26) for _ in range(300))]:
            ctx.set(value, number)
            result = ctx.get(folded)
            assert result % 0xffff == number % 0xffff, hex(number)
            assert (result == 0) == (number == 0), "minus zero stays minus zero"
            assert ctx.get(parts) == (number & 0xffff) + (number >> 16)

    simulator = Simulator(m)
    simulator.add_testbench(bench)
    simulator.run()
