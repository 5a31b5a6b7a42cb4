# amaranth: UnusedElaboratable=no
"""DatagramDoor: the head comes off, whatever the pauses on either side."""

import random
from ipaddress import IPv4Address

import pytest
from amaranth.sim import Simulator
from tickwire.hdl.ip.datagram_door import DatagramDoor

TO = {"address": int(IPv4Address("192.168.77.9")), "source_port": 0x1234,
      "destination_port": 0xABCD}
HEAD = IPv4Address("192.168.77.9").packed + b"\x12\x34\xab\xcd"


def through(datagrams, *, offers=1.0, takes=1.0):
    """Payloads and destinations as they come out, and (head, first beat) cycles."""
    dut, rng = DatagramDoor(), random.Random(1)
    beats = []
    for octets in datagrams:
        chunks = [octets[at:at + 8] for at in range(0, len(octets), 8)]
        beats += [(int.from_bytes(chunk.ljust(8, b"\xa5"), "little"), len(chunk), at == 0,
                   at == len(chunks) - 1) for at, chunk in enumerate(chunks)]
    found, places, heads = [], [], []

    async def bench(ctx):
        offered = False
        for cycle in range(20 + 20 * len(beats)):
            offered = bool(beats) and (offered or rng.random() < offers)
            data, end, first, last = beats[0] if offered else (
                rng.getrandbits(64), rng.randrange(9), rng.getrandbits(1), rng.getrandbits(1))
            ctx.set(dut.i.payload, {"data": data, "begin": 0, "end": end, "first": first,
                                    "last": last})
            ctx.set(dut.i.valid, offered)
            ctx.set(dut.o.ready, rng.random() < takes)
            if ctx.get(dut.o.valid) and ctx.get(dut.o.payload.first):
                places.append(cycle)
            if ctx.get(dut.o.valid) and ctx.get(dut.o.ready):
                beat, to = ctx.get(dut.o.payload), ctx.get(dut.o_to)
                if beat.first:
                    found.append([b"", to, False])
                found[-1][0] += beat.data.to_bytes(8, "little")[:beat.end]
                assert not found[-1][2] and to == found[-1][1] and beat.begin == 0
                found[-1][2] = bool(beat.last)
            if offered and ctx.get(dut.i.ready):
                if first:
                    heads.append(cycle)
                beats.pop(0)
                offered = False
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(6.4e-9)
    simulator.add_testbench(bench)
    simulator.run()
    assert not beats and all(last for _, _, last in found)
    return [(payload, {name: getattr(to, name) for name in TO}) for payload, to, _ in found], (
        heads, places)


@pytest.mark.parametrize("offers, takes", [(1.0, 1.0), (0.5, 1.0), (1.0, 0.4), (0.6, 0.6)])
def test_payloads_come_out_with_their_destination(offers, takes):
    rng = random.Random(2)
    payloads = [rng.randbytes(size) for size in (0, 1, 7, 8, 9, 0, 0, 16, 100)]
    found, _ = through([HEAD + payload for payload in payloads], offers=offers, takes=takes)
    assert found == [(payload, TO) for payload in payloads]


def test_a_head_that_is_cut_off_is_thrown_away():
    found, _ = through([HEAD[:5], HEAD + b"good", HEAD[:1], HEAD])
    assert [payload for payload, _ in found] == [b"good", b""]


def test_latency():
    _, (heads, places) = through([HEAD + b"12345678abc", HEAD])
    assert [place - head for head, place in zip(heads, places, strict=True)] == [1, 1]
