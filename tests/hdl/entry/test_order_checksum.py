"""The order's checksum over many random holes, against another library's checksum."""

import random

from amaranth.sim import Simulator
from dpkt.dpkt import in_cksum
from tickwire.hdl.entry.checksum import OrderChecksum
from tickwire.hdl.feed.event import Side

FRAMES = 10_000


def covered(holes, instrument, price):
    """Bytes of the holes at their places in a segment: little-endian but for TCP's own."""
    octets = (holes["sequence"].to_bytes(4, "big") + holes["acknowledgement"].to_bytes(4, "big")
              + holes["window"].to_bytes(2, "big"))
    for name in ("venue_sequence", "last_processed", "send_time", "client_id", "client_id"):
        octets += holes[name].to_bytes(8, "little")
    octets += instrument.to_bytes(8, "little")
    if holes["new"]:
        octets += price.to_bytes(8, "little", signed=True)
        octets += holes["quantity"].to_bytes(8, "little")
        octets += b"\x01\x00" if holes["side"] == Side.BID else b"\xff\x00"
    return octets


def test_random_holes():
    dut = OrderChecksum()
    rng = random.Random(1)
    widths = {"sequence": 32, "acknowledgement": 32, "window": 16, "venue_sequence": 64,
              "last_processed": 64, "send_time": 64, "client_id": 64, "quantity": 32}

    def number(bits):
        return rng.choice((0, 1, (1 << bits) - 1, rng.getrandbits(bits), rng.getrandbits(bits),
                           rng.getrandbits(bits)))

    async def testbench(ctx):
        for _ in range(FRAMES):
            new = rng.getrandbits(1)
            holes = {name: number(bits) for name, bits in widths.items()}
            holes |= {"new": new, "side": rng.choice(list(Side))}
            instrument = number(64)
            price = number(64) - (1 << 63) if new else 0
            constant = number(16)
            ctx.set(dut.i_holes, holes)
            await ctx.tick()
            ctx.set(dut.i_instrument, instrument)
            ctx.set(dut.i_constant, constant)
            await ctx.tick().repeat(2)
            # t + 3, the earliest cycle for the price
            ctx.set(dut.i_price, price)
            ctx.set(dut.i_price_valid, 1)
            await ctx.tick()
            ctx.set(dut.i_price_valid, 0)
            ctx.set(dut.i_price, rng.getrandbits(63))
            await ctx.tick()
            octets = covered(holes, instrument, price) + constant.to_bytes(2, "little")
            assert ctx.get(dut.o).to_bytes(2, "little") == in_cksum(octets).to_bytes(2, "big")

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(testbench)
    simulator.run()
