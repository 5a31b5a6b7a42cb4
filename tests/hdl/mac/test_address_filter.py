"""AddressFilter: own, broadcast, multicast by hash, promiscuous; zlib is the judge of the hash."""

import zlib

from amaranth.sim import Simulator
from tickwire.hdl.mac.address_filter import AddressFilter
from xgmii_bench import seeded

STATION = bytes.fromhex("02000a0000c4")
BROADCAST = b"\xff" * 6


def hash_of(address):
    return (zlib.crc32(address) ^ 0xFFFF_FFFF) >> 26


def passes(cases):
    """For (address, begin lane, settings) what ``o_pass`` says 3 cycles after the address."""
    dut, found, rng = AddressFilter(), [], seeded(1)

    def put(ctx, octets, begin, first):
        ctx.set(dut.i.valid, 1)
        ctx.set(dut.i.payload, {"data": int.from_bytes(octets, "little"), "begin": begin,
                                "end": 8, "first": first, "last": 0})

    async def bench(ctx):
        for address, begin, settings in cases:
            ctx.set(dut.settings, {"station": int.from_bytes(STATION, "big"), **settings})
            octets = rng.randbytes(begin) + address + rng.randbytes(10 - begin)
            put(ctx, octets[:8], begin, 1)
            await ctx.tick()
            if begin:
                put(ctx, octets[8:], 0, 0)
                await ctx.tick()
            for delay in range(5):
                # Payload without valid, and beats that come later, say nothing.
                put(ctx, rng.randbytes(8), rng.randrange(8), 0)
                ctx.set(dut.i.valid, rng.randrange(2))
                if delay == 2:
                    found.append(ctx.get(dut.o_pass))
                elif delay > 2:
                    assert ctx.get(dut.o_pass) == found[-1]
                await ctx.tick()

    sim = Simulator(dut)
    sim.add_clock(6.4e-9)
    sim.add_testbench(bench)
    sim.run()
    return found


def test_each_switch_lets_its_frames_pass_and_no_others():
    group = bytes.fromhex("01005e6f0101")
    kinds = {"own": STATION, "broadcast": BROADCAST}
    others = [bytes((*STATION[:at], STATION[at] ^ 1 << bit, *STATION[at + 1:]))
              for at in range(6) for bit in (1, 7)]
    cases, expected = [], []
    for begin in (0, 4):
        for switch in (None, "own", "broadcast", "promiscuous"):
            for address in (STATION, BROADCAST, group, *others):
                cases.append((address, begin, {switch: 1} if switch else {}))
                expected.append(switch == "promiscuous" or kinds.get(switch) == address)
    assert passes(cases) == expected


def test_groups_pass_by_their_hash():
    rng = seeded(2)
    groups = [b"\x01\x00\x5e" + rng.randbytes(3) for _ in range(150)]
    joined = sum({1 << hash_of(one) for one in groups[:8]})
    cases = [(one, 4 * (number % 2), {"groups": joined}) for number, one in enumerate(groups)]
    # The same addresses without the group bit are not looked up.
    cases += [(b"\0" + one[1:], 0, {"groups": (1 << 64) - 1}) for one in groups[:8]]
    cases += [(BROADCAST, 0, {"groups": (1 << 64) - 1})]
    expected = [joined >> hash_of(one) & 1 for one in groups] + [0] * 9
    assert passes(cases) == expected
    assert 0 < sum(expected[8:150]) < 40 and all(expected[:8])
