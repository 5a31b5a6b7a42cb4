"""Frames as MacReceive gives them, driven into TcpReceive; what comes out, and when."""

import random
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address

from amaranth.hdl import Cat
from amaranth.sim import Simulator
from frame_bench import Collector
from ip_bench import schedule
from scapy.layers.inet import IP, TCP, IPOption
from scapy.layers.l2 import Dot1Q, Ether
from tickwire.hdl.tcp.receive import TcpReceive

OWN_MAC, OWN_ADDRESS, OWN_PORT = "02:00:00:0a:0b:0c", "192.168.7.5", 4433
PEER_MAC, PEER_ADDRESS, PEER_PORT = "02:11:22:33:44:55", "192.168.9.77", 51000
COUNTS = ("header", "checksum", "no_room", "accepted", "unmatched", "options")
FLAGS = "FSRPA"
FCS = b"\xf1\xf2\xf3\xf4"       # any four bytes: it is left to the MAC


def number(address):
    return int(IPv4Address(address))


def mac_number(text):
    return int(text.replace(":", ""), 16)


SETTINGS = {"mac": mac_number(OWN_MAC), "address": number(OWN_ADDRESS)}
CONNECTION = {"valid": 1, "address": number(PEER_ADDRESS), "port": PEER_PORT,
              "local_port": OWN_PORT}
LISTENER = {"valid": 1, "listening": 1, "local_port": OWN_PORT}
ROWS = {3: CONNECTION}


def packet(payload=b"", *, vlan=False, ip_options=b"", options=(), mac=OWN_MAC, dst=OWN_ADDRESS,
           src=PEER_ADDRESS, peer_mac=PEER_MAC, sport=PEER_PORT, dport=OWN_PORT, flags="PA",
           seq=0x81020304, ack=0xf1f2f3f4, window=0x9abc, **ip):
    link = Ether(src=peer_mac, dst=mac)
    if vlan:
        link /= Dot1Q(vlan=77, prio=3)
    return link / IP(src=src, dst=dst, options=[IPOption(ip_options)] if ip_options else [],
                     **ip) / TCP(sport=sport, dport=dport, seq=seq, ack=ack, flags=flags,
                                 window=window, options=list(options)) / payload


def padded(octets):
    """With padding, which must not matter, and a FCS."""
    return bytes(octets) + b"\xa5" * max(0, 60 - len(octets)) + FCS


def build(payload=b"", **kinds):
    return padded(bytes(packet(payload, **kinds)))


@dataclass
class Result:
    counts: list = field(default_factory=list)      # of each frame, a list of names
    claimed: list = field(default_factory=list)
    segments: list = field(default_factory=list)    # dicts
    payloads: list = field(default_factory=list)
    at: list = field(default_factory=list)          # latency of each segment from its frame's end
    payload_at: list = field(default_factory=list)


def receive(frames, rows=ROWS, *, claim_all=False, ready=1.0, payload_ready=1.0, depth=16,
            payload_depth=1024, seed=1, settings=SETTINGS, drain=300):
    """Runs frames through TcpReceive; counts and claims must come in the one right cycle."""
    rng = random.Random(seed)
    dut = TcpReceive(sessions=8, depth=depth, payload_depth=payload_depth)
    # Behind a word with TERMINATE there is one with START in lane 0, or it is the same one.
    frames = [replace(frame, gap=max(frame.gap, 1 if after.lane else 2))
              for frame, after in zip(frames, [*frames[1:], frames[0]], strict=True)]
    beats, ends = schedule(frames, rng)
    result = Result([[] for _ in frames], [False] * len(frames))
    strobes = Cat(*(getattr(dut, f"o_count_{name}") for name in COUNTS), dut.o_claimed)
    sink = Collector(dut.o_payload, rng, payload_ready)

    async def bench(ctx):
        ctx.set(dut.i_settings, settings)
        ctx.set(dut.i_claim_all, claim_all)
        for index, row in rows.items():
            ctx.set(dut.i_bind.payload, {"index": index, "row": row})
            ctx.set(dut.i_bind.valid, 1)
            await ctx.tick()
        ctx.set(dut.i_bind.valid, 0)
        waiting = None
        finish = max(ends)
        for cycle in range(finish + 8 + drain):
            if cycle > finish + 8:
                sink.ready = 1.0
            beat, end = beats.get(cycle), ends.get(cycle)
            data, begin, stop, first, last, _ = beat or (
                rng.getrandbits(64), rng.getrandbits(3), rng.randrange(9), rng.getrandbits(1),
                rng.getrandbits(1), None)
            ctx.set(dut.i.valid, beat is not None)
            ctx.set(dut.i.payload, {"data": data, "begin": begin, "end": stop, "first": first,
                                    "last": last})
            good, length, _ = end or (rng.getrandbits(1), rng.getrandbits(14), None)
            ctx.set(dut.i_end.valid, end is not None)
            ctx.set(dut.i_end.payload, {"good": good, "length": length})

            seen = ctx.get(strobes)
            names = [name for place, name in enumerate(COUNTS) if seen >> place & 1]
            if names:
                result.counts[ends[cycle - 4][2]] += names
            if seen >> len(COUNTS):
                result.claimed[ends[cycle - 2][2]] = True
            taken = cycle > finish + 8 or rng.random() < ready
            ctx.set(dut.o.ready, taken)
            if ctx.get(dut.o.valid):
                value = as_dict(ctx.get(dut.o.payload))
                if waiting is None:
                    result.at.append(cycle)
                assert waiting in (None, value), "a segment that waits has changed"
                waiting = value
                if taken:
                    result.segments.append(value)
                    waiting = None
            else:
                assert waiting is None, "a segment was taken back"
            sink.step(ctx, cycle)
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    result.payloads = sink.frames
    result.payload_at = [offered for offered, _ in sink.cycles]
    result.ends = {index: cycle for cycle, (_, _, index) in ends.items()}
    return result


def as_dict(segment):
    control = "".join(
        letter for letter, name in zip(FLAGS, ("fin", "syn", "rst", "psh", "ack"), strict=True)
        if segment.control[name])
    return {"session": segment.session, "matched": segment.matched, "flags": control,
            "seq": segment.sequence, "ack": segment.acknowledgement, "window": segment.window,
            "mss": segment.mss, "length": segment.length, "mac": segment.end.mac,
            "address": segment.end.address, "port": segment.end.port,
            "local_port": segment.end.local_port}


def expected(session=3, *, matched=1, mss=536, frame=None, length=0):
    """The segment of a packet that scapy dissects."""
    ip, tcp = frame[IP], frame[TCP]
    return {"session": session if matched else 0, "matched": matched,
            "flags": "".join(letter for letter in FLAGS if letter in str(tcp.flags)),
            "seq": tcp.seq, "ack": tcp.ack, "window": tcp.window, "mss": mss, "length": length,
            "mac": mac_number(frame.src), "address": number(ip.src), "port": tcp.sport,
            "local_port": tcp.dport}
