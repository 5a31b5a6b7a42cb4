"""Frames as MacReceive gives them, driven into IpReceive cycle by cycle."""

import random
import struct
from dataclasses import dataclass, field

from amaranth.hdl import Cat
from amaranth.sim import Simulator
from tickwire.hdl.ip.receive import IpReceive
from tickwire.hdl.wire.placement import Placement, subscription_key

COUNTS = ("not_ip", "bad_ip_header", "ip_checksum", "fragment", "not_udp", "destination",
          "udp_length", "udp_checksum", "no_subscription", "accepted")
ROWS = 64


@dataclass
class Frame:
    """A frame with its FCS, and how it is sent."""

    octets: bytes
    lane: int = 0
    good: bool = True
    gap: int = 3            # cycles from the last beat to the next frame's first
    bubbles: float = 0.0    # probability of a pause before each beat


@dataclass
class Datagram:
    """What came out for one frame; ``ends`` has an entry for every ``o_end``."""

    payload: bytearray = field(default_factory=bytearray)
    first_lane: int | None = None
    match: tuple = None     # (o_match, o_channel) two cycles after the first beat
    ends: list = field(default_factory=list)
    counts: list = field(default_factory=list)


def fcs(octets=b""):
    """Any four bytes: the receiver under test leaves the FCS to the MAC."""
    return b"\xf1\xf2\xf3\xf4"


def schedule(frames, rng):
    """Beats and frame ends by cycle: ``{cycle: (data, begin, end, first, last, frame)}``, and
    ``{cycle: (good, length, frame)}``."""
    beats, ends, cycle = {}, {}, 1
    for index, frame in enumerate(frames):
        lanes = bytes(frame.lane) + frame.octets
        count = -(-(len(lanes) + 1) // 8)   # TERMINATE is in the word of the last beat
        for number in range(count):
            while rng.random() < frame.bubbles:
                cycle += 1
            chunk = lanes[8 * number:8 * number + 8]
            beats[cycle] = (int.from_bytes(chunk, "little"), 0 if number else frame.lane,
                            len(chunk), number == 0, number == count - 1, index)
            cycle += 1
        ends[cycle + 1] = (frame.good, len(frame.octets), index)
        cycle += frame.gap - 1
    return beats, ends


def receive(frames, subscriptions, seed=1):
    """Runs the frames and returns a :class:`Datagram` for each. Latencies are checked on the way.

    ``subscriptions``: ``{(group, port): channel}`` with the group as a number.
    """
    rng = random.Random(seed)
    dut = IpReceive(rows=ROWS)
    beats, ends = schedule(frames, rng)
    datagrams = [Datagram() for _ in frames]
    placement = Placement(ROWS)
    outputs = Cat(dut.o.valid, dut.o_end.valid, *(getattr(dut, f"o_count_{name}")
                                                  for name in COUNTS))
    stamp = {}

    async def bench(ctx):
        for group, port in subscriptions:
            for slot, key in placement.insert(subscription_key(group, port)):
                row = {"group": key & 0xffffffff, "port": key >> 32}
                ctx.set(dut.subscribe.payload, {"index": slot, "row": {
                    "valid": 1, **row, "channel": subscriptions[row["group"], row["port"]]}})
                ctx.set(dut.subscribe.valid, 1)
                await ctx.tick()
        ctx.set(dut.subscribe.valid, 0)

        due = {}                    # cycle at which match must stand -> datagram
        expected_end = [None, None]  # frames that may be counted in this cycle and the next
        before = None, None, None   # beat, its data and its frame, a cycle ago
        open_index = None
        for cycle in range(max(ends) + 6):
            beat, end = beats.get(cycle), ends.get(cycle)
            ctx.set(dut.i.valid, beat is not None)
            data, begin, stop, first, last, index = beat or (
                rng.getrandbits(64), rng.getrandbits(3), rng.randrange(9), rng.getrandbits(1),
                rng.getrandbits(1), None)
            ctx.set(dut.i.payload, {"data": data, "begin": begin, "end": stop, "first": first,
                                    "last": last})
            stamp[cycle] = rng.getrandbits(16)
            ctx.set(dut.i_stamp, stamp[cycle])
            good, length, end_index = end or (rng.getrandbits(1), rng.getrandbits(14), None)
            ctx.set(dut.i_end.valid, end is not None)
            ctx.set(dut.i_end.payload, {"good": good, "length": length})
            ctx.set(dut.i_end_stamp, stamp[cycle])

            seen = ctx.get(outputs)
            if seen & 1:
                beat_before, data_before, index_before = before
                assert beat_before is not None, "a payload beat without a frame beat"
                assert ctx.get(dut.o_stamp) == stamp[cycle - 1]
                out = ctx.get(dut.o.payload)
                assert out.data == data_before, "the beat's own data, a cycle later"
                datagram = datagrams[index_before]
                if out.first:
                    assert datagram.first_lane is None and open_index is None
                    datagram.first_lane = out.begin
                    open_index = index_before
                    due[cycle + 2] = datagram
                assert open_index == index_before
                assert out.begin == (datagram.first_lane if out.first else 0)
                assert out.begin < out.end or not out.first
                assert out.end == 8 or out.last
                datagram.payload += data_before.to_bytes(8, "little")[out.begin:out.end]
                if out.last:
                    open_index = None
            if cycle in due:
                due[cycle].match = ctx.get(dut.o_match), ctx.get(dut.o_channel)
            if seen >> 2:
                assert expected_end[0] is not None, "a count without the end of a frame"
            if seen >> 1 & 1:
                assert expected_end[1] is not None, "a verdict without the end of a frame"
                verdict = ctx.get(dut.o_end.payload)
                assert verdict.stamp == stamp[cycle - 1]
                datagrams[expected_end[1]].ends.append(
                    (verdict.good, verdict.match, verdict.channel))
            datagrams[expected_end[0] if expected_end[0] is not None else 0].counts += [
                name for place, name in enumerate(COUNTS) if seen >> 2 + place & 1]
            expected_end = [expected_end[1], end_index]
            before = beat, data, index
            await ctx.tick()
        assert open_index is None, "a payload without its last beat"

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return datagrams


def internet_checksum(octets):
    """RFC 1071, for frames that the tests change by hand."""
    total = sum(struct.unpack(f">{(len(octets) + 1) // 2}H", octets + bytes(len(octets) % 2)))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff
