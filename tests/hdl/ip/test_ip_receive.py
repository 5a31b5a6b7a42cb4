# amaranth: UnusedElaboratable=no
"""IpReceive: frames built by scapy and broken by hand; payload, verdict, counts and latencies."""

import random
import struct
from ipaddress import IPv4Address

import pytest
from ip_bench import Frame, fcs, internet_checksum, receive
from scapy.layers.inet import IP, UDP, IPOption_NOP
from scapy.layers.l2 import ARP, Dot1Q, Ether
from tickwire.hdl.ip.checksum import ChecksumTest
from tickwire.hdl.ip.receive import IpReceive

GROUP, PORT, CHANNEL = "239.111.111.1", 6100, 5
NUMBER = int(IPv4Address(GROUP))
SUBSCRIPTIONS = {(NUMBER, PORT): CHANNEL}
MAC = "01:00:5e:6f:6f:01"
LINK = 14                       # bytes before the IPv4 header without a VLAN tag


def headers(*, options=0, vlan=False, group=GROUP, port=PORT, mac=MAC):
    link = Ether(src="02:00:00:00:00:01", dst=mac)
    if vlan:
        link /= Dot1Q(vlan=77, prio=3)
    network = IP(src="10.1.2.3", dst=group, options=[IPOption_NOP()] * 4 * options)
    return link / network / UDP(sport=40000, dport=port)


def build(payload, **kinds):
    """Octets of a good frame, padded, with FCS."""
    octets = bytes(headers(**kinds) / payload)
    return octets + bytes(max(0, 60 - len(octets))) + fcs()


def patched(octets, offset, value, *, mend=True):
    """Changes bytes of an untagged frame; mends the checksum of its IPv4 header."""
    changed = bytearray(octets)
    changed[offset:offset + len(value)] = value
    if mend:
        length = (changed[LINK] & 15) * 4
        changed[24:26] = bytes(2)
        changed[24:26] = struct.pack(">H", internet_checksum(changed[LINK:LINK + length]))
    return bytes(changed)


def expect_good(datagram, payload, first_lane=None):
    assert bytes(datagram.payload) == payload
    assert datagram.counts == ["accepted"]
    if payload:
        assert datagram.match == (1, CHANNEL)
        assert datagram.ends == [(1, 1, CHANNEL)]
    else:
        assert datagram.ends == []
    if first_lane is not None:
        assert datagram.first_lane == first_lane


@pytest.mark.parametrize("lane", [0, 4])
@pytest.mark.parametrize("vlan", [False, True])
def test_every_length_in_both_lanes(lane, vlan):
    rng = random.Random(2)
    payloads = [rng.randbytes(size) for size in range(75)]
    frames = [Frame(build(payload, vlan=vlan), lane, gap=1 + index % 4)
              for index, payload in enumerate(payloads)]
    for datagram, payload in zip(receive(frames, SUBSCRIPTIONS), payloads, strict=True):
        expect_good(datagram, payload, (42 + 4 * vlan + lane) % 8 if payload else None)


@pytest.mark.parametrize("lane", [0, 4])
def test_options_of_every_length_are_skipped(lane):
    rng = random.Random(3)
    cases = [(options, vlan, rng.randbytes(size)) for options in range(11)
             for vlan in (False, True) for size in (1, 2, 9, 40)]
    frames = [Frame(build(payload, options=options, vlan=vlan), lane, gap=1)
              for options, vlan, payload in cases]
    for datagram, (options, vlan, payload) in zip(receive(frames, SUBSCRIPTIONS), cases,
                                                  strict=True):
        expect_good(datagram, payload, (42 + 4 * vlan + 4 * options + lane) % 8)


def test_random_pauses_and_long_frames():
    rng = random.Random(4)
    payloads = [rng.randbytes(rng.choice([1472, 1471, rng.randrange(1, 300)])) for _ in range(24)]
    frames = [Frame(build(payload), rng.choice([0, 4]), bubbles=rng.choice([0, 0.1, 0.6]),
                    gap=rng.randrange(1, 5)) for payload in payloads]
    for datagram, payload in zip(receive(frames, SUBSCRIPTIONS), payloads, strict=True):
        expect_good(datagram, payload)


def test_each_fault_is_counted_in_one_place():
    good = build(b"payload of this datagram")
    ip_length = len(headers() / b"payload of this datagram") - LINK
    cases = [
        ("accepted", good),
        ("not_ip", bytes(Ether(dst=MAC) / ARP()) + bytes(18) + fcs()),
        ("not_ip", patched(good, 12, b"\x86\xdd")),
        ("not_ip", bytes(Ether(dst=MAC) / Dot1Q() / Dot1Q() / IP(dst=GROUP)
                         / UDP(dport=PORT) / b"two tags, of which one is one too many") + fcs()),
        ("bad_ip_header", patched(good, LINK, b"\x55")),
        ("bad_ip_header", patched(good, LINK, b"\x44")),
        ("bad_ip_header", patched(good, LINK, b"\x40")),
        ("bad_ip_header", patched(good, 16, struct.pack(">H", 19))),
        ("bad_ip_header", patched(good, 16, struct.pack(">H", 0))),
        ("bad_ip_header", patched(good, 16, struct.pack(">H", ip_length + 1))),
        ("bad_ip_header", patched(good, 16, struct.pack(">H", 0xffff))),
        ("ip_checksum", patched(good, 24, bytes([good[24] ^ 1]), mend=False)),
        ("ip_checksum", patched(good, 22, bytes([good[22] ^ 0x80]), mend=False)),
        ("fragment", patched(good, 20, b"\x20\x00")),
        ("fragment", patched(good, 20, b"\x00\x01")),
        ("accepted", patched(good, 20, b"\x40\x00")),
        ("not_udp", patched(good, 23, b"\x06")),
        ("destination", patched(good, 0, b"\x01\x00\x5e\xef\x6f\x01")),
        ("destination", patched(good, 0, b"\x01\x00\x5f\x6f\x6f\x01")),
        ("destination", patched(good, 0, b"\x01\x00\x5e\x6f\x6f\x02")),
        ("destination", patched(good, 0, b"\xff\xff\xff\xff\xff\xff")),
        ("destination", build(b"unicast", group="10.111.111.1")),
        ("udp_length", patched(good, 38, struct.pack(">H", ip_length - 19))),
        ("udp_length", patched(good, 38, struct.pack(">H", ip_length - 21))),
        ("udp_length", patched(good, 38, b"\x00\x00")),
        ("udp_length", patched(good, 38, b"\xff\xff")),
        ("udp_length", patched(good, 16, struct.pack(">H", 27))),
        ("udp_length", patched(good, 16, struct.pack(">H", 20))),
        ("udp_checksum", patched(good, 40, bytes([good[40] ^ 0x10]))),
        ("udp_checksum", patched(good, 45, bytes([good[45] ^ 1]))),
        ("udp_checksum", patched(good, 34, bytes([good[34] ^ 1]))),
        ("udp_checksum", patched(good, 29, bytes([good[29] ^ 1]))),
        ("udp_checksum", patched(good, len(good) - 5, bytes([good[-5] ^ 1]))),
        ("accepted", patched(good, 40, b"\x00\x00")),
        ("no_subscription", build(b"other port", port=PORT + 1)),
        ("no_subscription", build(b"other group", group="239.111.111.2",
                                  mac="01:00:5e:6f:6f:02")),
        ("accepted", good),
    ]
    for lane in (0, 4):
        frames = [Frame(octets, lane, gap=1) for _, octets in cases]
        for (name, _), datagram in zip(cases, receive(frames, SUBSCRIPTIONS), strict=True):
            assert datagram.counts == [name]
            assert [end[0] for end in datagram.ends] in (
                [[1]] if name in ("accepted", "no_subscription") else [[], [0]])
            if name == "no_subscription":
                assert datagram.ends[0][1] == 0 and datagram.match[0] == 0


def test_a_damaged_frame_has_a_verdict_but_no_count():
    frames = [Frame(build(b"damaged"), good=False), Frame(build(b"whole"))]
    damaged, whole = receive(frames, SUBSCRIPTIONS)
    assert damaged.ends == [(0, 1, CHANNEL)] and damaged.counts == []
    expect_good(whole, b"whole")


@pytest.mark.parametrize("lane", [0, 4])
def test_cut_anywhere_and_the_next_frame_served(lane):
    whole = build(bytes(range(64)), options=1)
    frames = []
    for length in range(1, len(whole)):
        frames += [Frame(whole[:length], lane, good=length >= 64, gap=1)]
        if length % 3 == 0:
            frames += [Frame(build(b"next one"), lane ^ 4, gap=1)]
    for frame, datagram in zip(frames, receive(frames, SUBSCRIPTIONS), strict=True):
        if frame.octets[60:] == build(b"next one")[60:] and len(frame.octets) == 64:
            expect_good(datagram, b"next one")
            continue
        assert datagram.counts == (["bad_ip_header"] if frame.good else [])
        payload = len(frame.octets) - 46
        assert bytes(datagram.payload) == frame.octets[46:46 + 64]      # FCS too, if it is short
        assert [end[0] for end in datagram.ends] == ([0] if payload > 0 else [])


def test_sixty_four_subscriptions_and_their_neighbours():
    rng = random.Random(6)
    groups = [f"239.{rng.randrange(256)}.{rng.randrange(256)}.{n}" for n in range(16)]
    table = {(int(IPv4Address(group)), port): len(groups) * place + index
             for index, group in enumerate(groups)
             for place, port in enumerate((6100, 6101, 7001, 65535))}
    kinds = []
    for group in groups:
        low = int(IPv4Address(group)) & 0x7fffff
        mac = "01:00:5e:" + low.to_bytes(3, "big").hex(":")
        kinds += [(group, port, mac) for port in (6100, 6101, 7001, 65535, 6102, 0)]
    frames = [Frame(build(b"x", group=group, port=port, mac=mac), 4 * (index % 2), gap=1)
              for index, (group, port, mac) in enumerate(kinds)]
    for (group, port, _), datagram in zip(kinds, receive(frames, table), strict=True):
        channel = table.get((int(IPv4Address(group)), port))
        if channel is None:
            assert datagram.counts == ["no_subscription"] and datagram.ends[0][:2] == (1, 0)
        else:
            assert datagram.counts == ["accepted"]
            assert datagram.ends == [(1, 1, channel)] and datagram.match == (1, channel)


def test_sum_that_wraps_often():
    payload = b"\xff" * 1472
    datagram, = receive([Frame(build(payload))], SUBSCRIPTIONS)
    expect_good(datagram, payload)


def test_nonsense_is_rejected():
    with pytest.raises(ValueError, match=r"^A hash table must have 64, 128, 256, 512, 1024 rows "
                                         r"a way, not 100$"):
        IpReceive(rows=100)
    with pytest.raises(ValueError, match=r"^ChecksumTest words must be between 1 and 32768, "
                                         r"not 0$"):
        ChecksumTest(0)
