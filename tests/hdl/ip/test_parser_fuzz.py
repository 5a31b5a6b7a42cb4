"""Mutated frames, each judged by scapy: MAC and IP receiver at line rate in the native engine."""

import random
import zlib
from collections import Counter
from ipaddress import IPv4Address

import pytest
from parser_line import IP_COUNTS, MAC_COUNTS, SLOTS, Parser
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_NOP, IPOption_RR
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Dot1AD, Dot1Q, Ether
from scapy.utils import checksum

GROUPS = [("239.111.111.1", 6100), ("239.111.111.2", 6101), ("224.0.31.7", 14310)]
SUBSCRIPTIONS = {(int(IPv4Address(group)), port): number + 3
                 for number, (group, port) in enumerate(GROUPS)}
LINK = 14
LONGEST = 1518
GOOD_NOW = ("good", "accepted")


def mac_of(group):
    low = int(IPv4Address(group)) & 0x7fffff
    return "01:00:5e:" + ":".join(f"{low >> shift & 255:02x}" for shift in (16, 8, 0))


def base_frames(rng):
    """Frames of every kind that a feed's port sees, without FCS."""
    frames = []
    for group, port in [*GROUPS, ("239.111.111.9", 6100)]:
        for size in (1, 2, 7, 17, 18, 19, 100, 300):
            link = Ether(src="02:00:00:00:00:01", dst=mac_of(group))
            if rng.random() < 0.3:
                link /= Dot1Q(vlan=77, prio=3)
            network = IP(src="10.1.2.3", dst=group, ttl=5)
            if rng.random() < 0.2:
                network.options = [rng.choice([IPOption_NOP(), IPOption_RR(routers=["1.2.3.4"])])]
            transport = UDP(sport=40000, dport=port)
            if rng.random() < 0.2:
                transport.chksum = 0
            frames.append(bytes(link / network / transport / rng.randbytes(size)))
    own = Ether(src="02:00:00:00:00:01", dst=mac_of(GROUPS[0][0]))
    there = {"src": "10.1.2.3", "dst": GROUPS[0][0]}
    return frames + [bytes(frame) for frame in (
        own / IP(**there) / UDP(dport=6100), own / IP(**there) / TCP() / b"segment",
        own / IP(**there, flags="MF") / UDP(dport=6100) / b"piece",
        own / IP(**there, frag=5) / b"another piece", own / IP(**there, flags="DF") / ICMP(),
        own / IPv6() / UDP(dport=6100) / b"six", own / ARP(),
        own / Dot1Q() / Dot1Q() / IP(**there) / UDP(dport=6100) / b"two tags",
        own / Dot1AD() / IP(**there) / UDP(dport=6100) / b"service tag",
        Ether(dst="02:00:00:00:00:02") / IP(**there) / UDP(dport=6100) / b"unicast")]


def mended(frame, rng):
    """With checksums that are right for what stands there, so that the next check is reached."""
    link = LINK + 4 * (frame[12:14] == b"\x81\x00")
    head = (frame[link] & 15) * 4 if len(frame) > link else 0
    total = int.from_bytes(frame[link + 2:link + 4], "big")
    if head >= 20 and len(frame) >= link + head and rng.random() < 0.9:
        frame[link + 10:link + 12] = bytes(2)
        frame[link + 10:link + 12] = checksum(bytes(frame[link:link + head])).to_bytes(2, "big")
    begin, end = link + head, link + total
    if (len(frame) >= link + 20 and begin + 8 <= end <= len(frame) and frame[link + 9] == 17
            and rng.random() < 0.6):
        frame[begin + 6:begin + 8] = bytes(2)
        pseudo = bytes(frame[link + 12:link + 20]) + b"\0\x11" + (end - begin).to_bytes(2, "big")
        found = checksum(pseudo + bytes(frame[begin:end])) or 0xffff
        frame[begin + 6:begin + 8] = found.to_bytes(2, "big")


def mutated(frame, rng):
    """A frame with its FCS, which is mostly good; up to three things are wrong with the rest."""
    frame = bytearray(frame)
    for _ in range(rng.choice((0, 1, 1, 1, 2, 3))):
        what = rng.randrange(6)
        if what == 0:
            del frame[rng.randrange(1, len(frame) + 1):]
        elif what == 1:
            frame += rng.randbytes(rng.choice((1, 3, 4, 8, 50, 1500)))
        elif what == 2:
            for _ in range(rng.randrange(1, 9)):
                frame[rng.randrange(len(frame))] ^= 1 << rng.randrange(8)
        elif what == 3:
            # Bytes of the headers, where most is decided
            frame[rng.randrange(min(len(frame), 46))] = rng.choice((0, 1, 255, rng.randrange(256)))
        elif len(frame) > 44:
            # Total length and UDP length, the tagged frame's places too
            at = rng.choice((16, 20, 38, 42))
            now = int.from_bytes(frame[at:at + 2], "big")
            frame[at:at + 2] = rng.choice(
                (0, 8, 20, 28, 0xffff, now - 1 & 0xffff, now + 1 & 0xffff)).to_bytes(2, "big")
    mended(frame, rng)
    if rng.random() < 0.95:
        frame += bytes(max(0, 60 - len(frame)))
    check = zlib.crc32(frame)
    if rng.random() < 0.02:
        check ^= 1 << rng.randrange(32)
    return bytes(frame) + check.to_bytes(4, "little")


def judge(frame):
    """Counts, payload and channel by the standards, read with scapy's dissection."""
    body, check = frame[:-4], frame[-4:]
    tags, kind = 0, body[12:14]
    while tags < 2 and kind in (b"\x81\x00", b"\x88\xa8"):
        tags += 1
        kind = body[12 + 4 * tags:14 + 4 * tags]
    if len(frame) < 64:
        return ("runt",), None, None
    if len(frame) > LONGEST + 4 * tags:
        return ("oversize",), None, None
    if zlib.crc32(body).to_bytes(4, "little") != check:
        return ("fcs",), None, None

    def no(name):
        return ("good", name), None, None

    link = Ether(body)
    if not isinstance(link, Ether):
        return no("not_ip")
    tagged = link.type == 0x8100
    inner = Dot1Q(body[LINK:]) if tagged else link
    if inner.type != 0x0800:
        return no("not_ip")
    octets = body[LINK + 4 * tagged:]
    head = IP(octets[:20])
    size = (head.ihl or 0) * 4
    if head.version != 4 or size < 20 or not size <= head.len <= len(octets):
        return no("bad_ip_header")
    if checksum(octets[:size]):
        return no("ip_checksum")
    if head.frag or head.flags.MF:
        return no("fragment")
    if head.proto != 17:
        return no("not_udp")
    group = int(IPv4Address(head.dst))
    if group >> 28 != 0xe or link.dst != mac_of(head.dst):
        return no("destination")
    segment = octets[size:head.len]
    if len(segment) < 8 or UDP(segment).len != len(segment):
        return no("udp_length")
    pseudo = octets[12:20] + b"\0\x11" + len(segment).to_bytes(2, "big")
    if UDP(segment).chksum and checksum(pseudo + segment):
        return no("udp_checksum")
    channel = SUBSCRIPTIONS.get((group, UDP(segment).dport))
    return GOOD_NOW if channel else ("good", "no_subscription"), segment[8:], channel


@pytest.fixture(scope="module")
def parser():
    made = Parser(SUBSCRIPTIONS)
    yield made
    made.close()


@pytest.mark.timeout(7200)
def test_mutated_frames(parser, soak):
    """10,000,000 in `make soak`. What is accepted is compared, and 1 % of what is not."""
    rng = random.Random(7)
    bases = base_frames(rng)
    seen, compared = Counter(), Counter()
    for _ in range(2500 if soak else 50):
        frames = [mutated(rng.choice(bases), rng) for _ in range(SLOTS - 96)]
        options = {"gap": rng.choice((5, 8, 12, 16))}
        found = parser.parse(frames, **options)
        assert len(found) == len(frames), "the receiver hangs, or says too much"
        for frame, parsed in zip(frames, found, strict=True):
            seen[parsed.counts] += 1
            if parsed.counts != GOOD_NOW and rng.random() > 0.01:
                continue
            counts, payload, channel = judge(frame)
            assert parsed.counts == counts, frame.hex()
            compared[counts] += 1
            if payload:
                assert parsed.payload == payload, frame.hex()
                assert parsed.channel == channel, frame.hex()
    # Every verdict came up, and was compared.
    expected = {(name,) for name in MAC_COUNTS if name not in ("good", "symbol")}
    expected |= {("good", name) for name in IP_COUNTS}
    assert set(seen) == expected and set(compared) == expected
    assert compared[GOOD_NOW] > 0.05 * sum(seen.values())


@pytest.mark.parametrize("gap", [5, 12])
def test_smallest_frames_at_line_rate(parser, soak, gap):
    """64 bytes, back to back, 1,000,000 in `make soak`: every one is taken."""
    rng = random.Random(gap)
    group, port = GROUPS[0]
    head = bytes(Ether(src="02:00:00:00:00:01", dst=mac_of(group)) / IP(src="10.1.2.3", dst=group)
                 / UDP(sport=1, dport=port, chksum=0) / bytes(18))[:42]
    total = 0
    for _ in range(250 if soak else 5):
        bodies = [head + rng.randbytes(18) for _ in range(SLOTS - 96)]
        before = parser.cycles
        found = parser.parse([body + zlib.crc32(body).to_bytes(4, "little") for body in bodies],
                             gap=gap)
        assert len(found) == len(bodies)
        assert all(one.counts == GOOD_NOW and one.payload == body[42:]
                   for one, body in zip(found, bodies, strict=True))
        # Line rate: 72 bytes and the gap, on average, for a frame.
        least = len(bodies) * (72 + gap) / 8
        assert least <= parser.cycles - before <= least * (1 if gap == 12 else 1.1) + 40
        total += len(bodies)
    assert total >= 20_000


def test_no_frame_with_flipped_bits_is_accepted(parser):
    """100,000 frames, up to three bits each: so many a CRC of 32 bits sees in every such frame."""
    rng = random.Random(8)
    bases = [frame + bytes(max(0, 60 - len(frame))) for frame in base_frames(rng)]
    bases = [frame + zlib.crc32(frame).to_bytes(4, "little") for frame in bases]
    total = 0
    while total < 100_000:
        frames = []
        for _ in range(SLOTS - 96):
            frame = rng.choice(bases)
            number = int.from_bytes(frame, "little")
            for bit in rng.sample(range(8 * len(frame)), rng.randrange(1, 4)):
                number ^= 1 << bit
            frames.append(number.to_bytes(len(frame), "little"))
        found = parser.parse(frames)
        assert len(found) == len(frames)
        assert {one.counts for one in found} == {("fcs",)}
        total += len(frames)
