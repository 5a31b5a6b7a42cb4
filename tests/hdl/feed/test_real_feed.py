# amaranth: UnusedElaboratable=no
"""Real captures through IpReceive and FeedDecoder: events, verdicts, counts, latencies."""

import os
import random
import struct
from collections import Counter
from pathlib import Path

import dpkt
import feed_bench as fb
import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.sim import Simulator
from tickwire.hdl.feed.decoder import FeedDecoder
from tickwire.hdl.ip.receive import IpReceive
from tickwire.hdl.wire.placement import Placement, subscription_key

PROJECT = Path(__file__).parents[3]
DATA = Path(os.environ.get("TICKWIRE_DATA", PROJECT.parent / "shared" / "data")) / "deribit"
CAPTURES = ("sample_capture_v1_6", "combo_legs", "price_index", "rfq")


def internet_checksum(octets):
    octets += bytes(len(octets) % 2)
    total = sum(struct.unpack(f">{len(octets) // 2}H", octets))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def rewritten(frame):
    """A loopback frame as it would have been on a wire: destination MAC, source, checksums."""
    assert frame[12:15] == b"\x08\x00\x45"
    group = frame[30:34]
    link = b"\x01\x00\x5e" + bytes([group[1] & 0x7f]) + group[2:] + b"\x02\0\0\0\0\1\x08\x00"
    network = frame[14:24] + bytes(2) + b"\x0a\x01\x02\x03" + group
    network = network[:10] + struct.pack(">H", internet_checksum(network)) + network[12:]
    datagram = frame[34:40] + bytes(2) + frame[42:]
    pseudo = network[12:] + struct.pack(">HH", 17, len(datagram))
    checksum = internet_checksum(pseudo + datagram) or 0xffff
    octets = link + network + datagram[:6] + struct.pack(">H", checksum) + datagram[8:]
    return octets + bytes(max(0, 60 - len(octets))) + b"\0\1\2\3"


def some_frames(each, most):
    """The first frames with each kind of message, and the ones with most levels."""
    chosen, taken, longest = [], Counter(), []
    for name in CAPTURES:
        path = DATA / f"{name}.pcapng"
        if not path.exists():
            pytest.skip(f"The capture is not there: {path} (TICKWIRE_DATA names the folder)")
        with path.open("rb") as file:
            for _, frame in dpkt.pcapng.Reader(file):
                events, templates = fb.read(frame[42:])
                key = tuple(sorted(set(templates)))
                taken[key] += 1
                if taken[key] <= each:
                    chosen.append(frame)
                elif len(templates) > 0 and len(events) > 25:
                    longest.append((len(events), frame))
    longest.sort(key=lambda pair: pair[0])
    return chosen + [frame for _, frame in longest[-most:]]


class Chain(wiring.Component):
    """IpReceive and FeedDecoder as the data path has them."""

    def __init__(self):
        self.ip, self.feed = IpReceive(rows=64), FeedDecoder()
        super().__init__({})

    def elaborate(self, platform):
        m = Module()
        m.submodules.ip, m.submodules.feed = ip, feed = self.ip, self.feed
        wiring.connect(m, ip.o, feed.i)
        wiring.connect(m, ip.o_end, feed.i_end)
        m.d.comb += [feed.i_stamp.eq(ip.o_stamp), feed.i_channel.eq(ip.o_channel),
                     feed.i_match.eq(ip.o_match)]
        return m


@pytest.mark.parametrize("lane", [0, 4])
def test_real_frames(lane):
    rng = random.Random(lane)
    frames = some_frames(3, 4)
    pairs = sorted({(int.from_bytes(frame[30:34], "big"), int.from_bytes(frame[36:38], "big"))
                    for frame in frames})
    channels = {pair: index for index, pair in enumerate(pairs)}
    assert len(pairs) > 5
    chain = Chain()
    ip, feed = chain.ip, chain.feed
    placement = Placement(64)
    messages = Counter()

    async def bench(ctx):
        for group, port in pairs:
            for slot, key in placement.insert(subscription_key(group, port)):
                pair = key & 0xffffffff, key >> 32
                ctx.set(ip.subscribe.payload, {"index": slot, "row": {
                    "valid": 1, "group": pair[0], "port": pair[1], "channel": channels[pair]}})
                ctx.set(ip.subscribe.valid, 1)
                await ctx.tick()
        ctx.set(ip.subscribe.valid, 0)

        seen, verdicts = [], []
        cycle = 0

        async def step():
            nonlocal cycle
            if ctx.get(feed.o.valid):
                seen.append((cycle, ctx.get(feed.o.payload)))
            if ctx.get(feed.o_verdict.valid):
                verdicts.append((cycle, ctx.get(feed.o_verdict.payload)))
            counted = ctx.get(feed.o_count_message)
            if counted:
                messages[counted.bit_length() - 1] += 1
            await ctx.tick()
            cycle += 1

        for frame in frames:
            payload, octets = frame[42:], rewritten(frame)
            channel = channels[int.from_bytes(frame[30:34], "big"),
                               int.from_bytes(frame[36:38], "big")]
            # The sample is not in sequence.
            ctx.set(feed.reset_sequence.valid, 1)
            ctx.set(feed.reset_sequence.payload, channel)
            await step()
            ctx.set(feed.reset_sequence.valid, 0)
            seen.clear()
            verdicts.clear()
            one = fb.Sent(payload, channel=channel)
            lanes = bytes(lane) + octets
            count = -(-(len(lanes) + 1) // 8)
            place = []                  # cycle and stamp of each byte of the frame
            for number in range(count):
                chunk = lanes[8 * number:8 * number + 8]
                begin = 0 if number else lane
                stamp = rng.getrandbits(16)
                ctx.set(ip.i.valid, 1)
                ctx.set(ip.i.payload, {
                    "data": int.from_bytes(chunk, "little"), "begin": begin, "end": len(chunk),
                    "first": number == 0, "last": number == count - 1})
                ctx.set(ip.i_stamp, stamp)
                place += [(cycle, stamp)] * (len(chunk) - begin)
                await step()
            ctx.set(ip.i.valid, 0)
            await step()
            ctx.set(ip.i_end.valid, 1)
            ctx.set(ip.i_end.payload, {"good": 1, "length": len(octets)})
            end = cycle
            await step()
            ctx.set(ip.i_end.valid, 0)
            for _ in range(3):
                await step()
            one.events = list(seen)
            one.cycles = [cycle + 1 for cycle, _ in place[42:42 + len(payload)]]
            one.stamps = [stamp for _, stamp in place[42:42 + len(payload)]]
            fb.check_events(one)
            (verdict_cycle, verdict), = verdicts
            assert verdict_cycle == end + 2 and verdict.good and not verdict.gap
            assert verdict.channel == channel
        for _ in range(130):
            await step()

    simulator = Simulator(chain)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    expected = Counter(fb.KNOWN.index(template) for frame in frames
                       for template in fb.read(frame[42:])[1])
    assert messages == expected
    assert len(expected) >= 10, "nearly every kind of message is in the sample"
