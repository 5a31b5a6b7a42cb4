# amaranth: UnusedElaboratable=no
"""SipHash-2-4 against the vectors of its authors."""

import pytest
from amaranth.sim import Simulator
from tickwire.hdl.tcp.siphash import SipHash

# SipHash: a fast short-input PRF, appendix A, and vectors.h of the reference implementation:
# key 00 01 … 0f, message 00 01 …, results as bytes
VECTORS = ["310e0edd47db6f72", "fd67dc93c539f874", "5a4fa9d909806c0d", "2d7efbd796666785",
           "b7877127e09427cf", "8da699cd64557618", "cee3fe586e46c9cb", "37d1018bf50002ab",
           "6224939a79f5f593", "b0e4a90bdf82009e", "f3b9dd94c5bb5d7a", "a7ad6b22462fb3f4",
           "fbe50e86bc8f1e75", "903d84c02756ea14", "eef27a8e90ca23f7", "e545be4961ca29a1"]
PAPER = 0xa129ca6149be45e5      # of 15 bytes, as in the paper


@pytest.mark.parametrize("length", range(16))
def test_vectors_and_latency(length):
    dut = SipHash(length)
    key = int.from_bytes(bytes(range(16)), "little")
    message = int.from_bytes(bytes(range(length)), "little")

    async def bench(ctx):
        for _ in range(2):
            ctx.set(dut.i_key, key)
            if length:
                ctx.set(dut.i_message, message)
            ctx.set(dut.i_start, 1)
            await ctx.tick()
            ctx.set(dut.i_start, 0)
            ctx.set(dut.i_key, ~key)
            if length:
                ctx.set(dut.i_message, ~message)
            cycles = 1
            while not ctx.get(dut.o_done):
                await ctx.tick()
                cycles += 1
            assert cycles == 4 * (length // 8 + 1 + 2) + 1
            await ctx.tick()
            assert ctx.get(dut.o).to_bytes(8, "little").hex() == VECTORS[length]

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()


def test_the_papers_value_is_the_last_vector():
    assert int.from_bytes(bytes.fromhex(VECTORS[15]), "little") == PAPER


def test_refusal():
    with pytest.raises(ValueError, match="^SipHash length must be from 0 to 255 bytes, not 256$"):
        SipHash(256)
