"""NetworkEdge answers ARP, ICMP echo, UDP echo and closed ports, and gives the host the rest."""

import random

import pytest
from edge_bench import (
    OWN_ADDRESS,
    OWN_MAC,
    PEER_ADDRESS,
    PEER_MAC,
    SETTINGS,
    Edge,
    mac_number,
)
from scapy.layers.inet import ICMP, IP, UDP, IPOption_Router_Alert
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Raw
from scapy.utils import checksum

BROADCAST = "ff:ff:ff:ff:ff:ff"
FROM_PEER = Ether(src=PEER_MAC, dst=OWN_MAC)
FROM_US = Ether(src=OWN_MAC, dst=PEER_MAC)
TO_US = FROM_PEER / IP(src=PEER_ADDRESS, dst=OWN_ADDRESS, id=0x1234, flags="DF", tos=0x10)
OF_US = FROM_US / IP(src=OWN_ADDRESS, dst=PEER_ADDRESS, id=0x1234, flags="DF", tos=0x10, ttl=64)
REQUEST = Ether(src=PEER_MAC, dst=BROADCAST) / ARP(
    op=1, hwsrc=PEER_MAC, psrc=PEER_ADDRESS, pdst=OWN_ADDRESS)
PORT = SETTINGS["udp_echo_port"]


def padded(frame):
    """As it comes out of a MAC: no frame is shorter than 60 bytes."""
    return bytes(frame).ljust(60, b"\xa5")


def ping(payload, **ip):
    frame = TO_US / ICMP(id=0x4321, seq=7) / Raw(payload)
    for name, value in ip.items():
        setattr(frame[IP], name, value)
    return frame


def pong(payload):
    return bytes(OF_US / ICMP(type=0, id=0x4321, seq=7) / Raw(payload))


def exchange(frames, **options):
    """Gives frames one after the other: (sent, to the host, counts) for each."""
    results = []

    async def script(edge):
        for frame in frames:
            edge.give(frame)
            await edge.settle(90)
            results.append((edge.sent, edge.to_host, edge.counted()))

    edge = Edge(**options).run(script)
    return results, edge


@pytest.mark.parametrize("pause, ready", [(0, 1), (0.3, 0.5)])
def test_echo_of_every_tail(pause, ready):
    rng = random.Random(2)
    payloads = [rng.randbytes(size) for size in (*range(10), 17, 18, 19, 56)]
    results, _ = exchange([padded(ping(payload)) for payload in payloads], pause=pause,
                          ready=ready)
    assert results == [([pong(payload)], [], {"echo_reply": 1}) for payload in payloads]


def test_echo_of_the_longest():
    rng = random.Random(3)
    payloads = [rng.randbytes(size) for size in (1471, 1472)]
    results, _ = exchange([ping(payload) for payload in payloads])
    assert results == [([pong(payload)], [], {"echo_reply": 1}) for payload in payloads]


def test_echo_checksums_at_the_edge_of_the_arithmetic():
    """Around the request's checksums for which the reply's is 0, in one's complement."""
    payloads = []
    for wanted in (0x0000, 0xf7fe, 0xf7ff, 0xf800, 0xffff):
        # The payload's word takes up the difference to the wanted checksum.
        have = int.from_bytes(bytes(ping(bytes(2)))[36:38])
        payloads.append(((have - wanted) % 0xffff).to_bytes(2))
    zeros = TO_US / ICMP(id=0, seq=0)
    results, _ = exchange([padded(frame) for frame in (*map(ping, payloads), zeros)])
    for payload, (sent, _, _) in zip(payloads, results[:5], strict=True):
        assert checksum(sent[0][34:]) == 0
        assert sent[0][:36] + sent[0][38:] == pong(payload)[:36] + pong(payload)[38:]
    assert results[5][0] == [bytes(OF_US / ICMP(type=0, id=0, seq=0))]


@pytest.mark.parametrize("pause, ready", [(0, 1), (0.3, 0.5)])
def test_datagrams_come_back(pause, ready):
    rng = random.Random(4)
    frames, expected = [], []
    for size in (*range(9), 18, 19, 200):
        payload = rng.randbytes(size)
        frames.append(padded(TO_US / UDP(sport=40000 + size, dport=PORT) / Raw(payload)))
        expected.append(([bytes(OF_US / UDP(sport=PORT, dport=40000 + size) / Raw(payload))], [],
                         {"udp_echo": 1}))
    without = TO_US / UDP(sport=5, dport=PORT, chksum=0) / Raw(b"no checksum was made")
    frames.append(padded(without))
    expected.append(([bytes(OF_US / UDP(sport=PORT, dport=5, chksum=0) /
                            Raw(b"no checksum was made"))], [], {"udp_echo": 1}))
    results, _ = exchange(frames, pause=pause, ready=ready)
    assert results == expected


def test_arp_requests_are_answered():
    reply = bytes(FROM_US / ARP(op=2, hwsrc=OWN_MAC, psrc=OWN_ADDRESS, hwdst=PEER_MAC,
                                pdst=PEER_ADDRESS))
    probe = Ether(src=PEER_MAC, dst=BROADCAST) / ARP(op=1, hwsrc=PEER_MAC, psrc="0.0.0.0",
                                                     pdst=OWN_ADDRESS)
    probe_reply = bytes(FROM_US / ARP(op=2, hwsrc=OWN_MAC, psrc=OWN_ADDRESS, hwdst=PEER_MAC,
                                      pdst="0.0.0.0"))
    results, _ = exchange([padded(REQUEST), padded(probe)], pause=0.2, ready=0.7)
    assert results == [([reply], [], {"arp_reply": 1}), ([probe_reply], [], {"arp_reply": 1})]


def test_arp_for_others_is_the_hosts():
    frames = [
        Ether(src=PEER_MAC, dst=BROADCAST) / ARP(hwsrc=PEER_MAC, psrc=PEER_ADDRESS,
                                                 pdst="192.168.7.6"),
        FROM_PEER / ARP(op=2, hwsrc=PEER_MAC, psrc=PEER_ADDRESS, hwdst=OWN_MAC, pdst=OWN_ADDRESS),
        Ether(src=PEER_MAC, dst=BROADCAST) / ARP(hwsrc=PEER_MAC, psrc=PEER_ADDRESS,
                                                 pdst=OWN_ADDRESS, hwlen=7),
    ]
    results, _ = exchange([padded(frame) for frame in frames])
    assert results == [([], [padded(frame)], {"host": 1}) for frame in frames]


def test_somebody_with_our_address_is_counted():
    thief = Ether(src=PEER_MAC, dst=BROADCAST) / ARP(op=1, hwsrc=PEER_MAC, psrc=OWN_ADDRESS,
                                                     pdst=OWN_ADDRESS)
    own = Ether(src=OWN_MAC, dst=BROADCAST) / ARP(op=2, hwsrc=OWN_MAC, psrc=OWN_ADDRESS,
                                                  pdst=PEER_ADDRESS)
    results, _ = exchange([padded(thief), padded(own)])
    assert [counts for _, _, counts in results] == [{"arp_reply": 1, "arp_conflict": 1},
                                                   {"host": 1}]


def test_who_has_no_address_has_no_conflict():
    """Address 0 and ARP off, as after reset: a probe's sender is 0.0.0.0, too."""
    probe = Ether(src=PEER_MAC, dst=BROADCAST) / ARP(op=1, hwsrc=PEER_MAC, psrc="0.0.0.0",
                                                     pdst=PEER_ADDRESS)
    results, _ = exchange([padded(probe)], settings={"address": 0, "arp": 0})
    assert results == [([], [padded(probe)], {"host": 1})]


def damaged(frame, at, value):
    octets = bytearray(padded(frame))
    octets[at] ^= value
    return bytes(octets)


UDP_TO_US = TO_US / UDP(sport=1, dport=PORT) / Raw(b"datagram")
REFUSED = {
    "version 5": (ping(b"x" * 20, version=5), {"ip_header": 1}),
    "header of 16 bytes": (ping(b"x" * 20, ihl=4), {"ip_header": 1}),
    "longer than the frame": (ping(b"x" * 20, len=500), {"ip_header": 1}),
    "one byte longer than the frame": (ping(b"x" * 20, len=49), {"ip_header": 1}),
    "total length below the header": (ping(b"x" * 20, len=19), {"ip_header": 1}),
    "header checksum": (damaged(ping(b"x" * 20), 24, 1), {"ip_checksum": 1}),
    "source address damaged": (damaged(ping(b"x" * 20), 29, 0x80), {"ip_checksum": 1}),
    "time to live 0": (ping(b"x" * 20, ttl=0), {"ip_time_to_live": 1}),
    "first fragment": (ping(b"x" * 20, flags="MF"), {"ip_fragment": 1}),
    "last fragment": (ping(b"x" * 20, flags="", frag=5), {"ip_fragment": 1}),
    "options": (ping(b"x" * 20, options=[IPOption_Router_Alert()]), {}),
    "ICMP payload": (damaged(ping(b"x" * 20), 50, 4), {"checksum": 1}),
    "UDP payload": (damaged(UDP_TO_US, 44, 4), {"checksum": 1}),
    "UDP port": (damaged(UDP_TO_US, 35, 4), {"checksum": 1}),
    "UDP length": (TO_US / UDP(sport=1, dport=PORT, len=15) / Raw(b"datagram"), {}),
    "UDP length and no checksum": (
        TO_US / UDP(sport=1, dport=PORT, len=15, chksum=0) / Raw(b"datagram"), {}),
    "another address": (ping(b"x" * 20, dst="192.168.7.6"), {}),
    "another upper half": (ping(b"x" * 20, dst="192.169.7.5"), {}),
    "broadcast address": (ping(b"x" * 20, dst="192.168.7.255"), {}),
    "from a group": (ping(b"x" * 20, src="224.0.0.9"), {}),
    "from nobody": (ping(b"x" * 20, src="0.0.0.9"), {}),
    "from loopback": (ping(b"x" * 20, src="127.0.0.9"), {}),
    "echo reply": (TO_US / ICMP(type=0) / Raw(b"x" * 20), {}),
    "echo code 1": (TO_US / ICMP(type=8, code=1) / Raw(b"x" * 20), {}),
    "another port": (TO_US / UDP(sport=1, dport=PORT + 256) / Raw(b"datagram"), {}),
    "TCP": (TO_US / Raw(b"x" * 20), {}),
    "VLAN": (FROM_PEER / Dot1Q(vlan=5) / TO_US[IP] / ICMP() / Raw(b"x" * 20), {}),
    "IPv6": (FROM_PEER / Raw(b"x" * 46), {}),
    "broadcast frame": (Ether(src=PEER_MAC, dst=BROADCAST) / ping(b"x" * 20)[IP], {}),
    "frame from a group": (Ether(src="03:00:00:00:00:01", dst=OWN_MAC) / ping(b"x" * 20)[IP], {}),
}


def test_what_is_not_for_the_hardware_is_the_hosts_unchanged():
    """Each is followed by a good one, which is served as if nothing had been."""
    octets = [padded(frame) for frame, _ in REFUSED.values()]
    frames = [frame for refused in octets for frame in (refused, padded(ping(b"good")))]
    results, _ = exchange(frames, pause=0.1, ready=0.8)
    for name, frame, result in zip(REFUSED, octets, results[::2], strict=True):
        assert result == ([], [frame], {**REFUSED[name][1], "host": 1}), name
    assert results[1::2] == [([pong(b"good")], [], {"echo_reply": 1})] * len(octets)


@pytest.mark.parametrize("unit, frame", [
    ("arp", REQUEST), ("echo", ping(b"x" * 20)), ("udp_echo", UDP_TO_US)])
def test_what_is_switched_off_is_the_hosts(unit, frame):
    results, _ = exchange([padded(frame)], settings={unit: 0})
    assert results == [([], [padded(frame)], {"host": 1})]


def test_closed_ports_are_answered_up_to_the_limit():
    """Eight at once, then one for each tick; what is not answered is not for the host either."""
    datagram = padded(TO_US / UDP(sport=9, dport=PORT + 1) / Raw(b"is anybody there?"))
    error = bytes(FROM_US / IP(src=OWN_ADDRESS, dst=PEER_ADDRESS, id=0, flags="DF", tos=0xc0)
                  / ICMP(type=3, code=3) / Raw(datagram[14:42]))
    results = []

    async def script(edge):
        for _ in range(10):
            edge.give(datagram)
            await edge.settle(90)
            results.append((edge.sent, edge.to_host, edge.counted()))
        edge.ctx.set(edge.dut.i_tick_period, 100)
        await edge.tick(110)
        edge.ctx.set(edge.dut.i_tick_period, 0)
        for _ in range(2):
            edge.give(datagram)
            await edge.settle(90)
            results.append((edge.sent, edge.to_host, edge.counted()))

    Edge(settings={"unreachable": 1}).run(script)
    answered, limited = ([error], [], {"unreachable": 1}), ([], [], {"unreachable_limited": 1})
    assert results == [answered] * 8 + [limited] * 2 + [answered, limited]


def test_long_frames_are_the_hosts_in_one_piece():
    rng = random.Random(5)
    frames = [bytes(FROM_PEER) + rng.randbytes(size - 14)
              for size in (4095, 4096, 4097, 4104, 9216)]
    results, _ = exchange(frames, ready=0.9)
    assert results == [([], [frame], {"host": 1}) for frame in frames]


def test_latency():
    frames = [ping(b"x" * 30), FROM_PEER / Raw(bytes(60)), ping(b"x" * 300), REQUEST, UDP_TO_US,
              TO_US / UDP(dport=PORT + 1)]
    _, edge = exchange([padded(frame) for frame in frames], settings={"unreachable": 1})
    offered = sorted(edge.out.starts + edge.host.starts)
    assert [start - end for start, end in zip(offered, edge.frames_in.ends, strict=True)
            ] == [38, 7, 38, 36, 36, 50]


def test_settings_may_change():
    other = {**SETTINGS, "mac": mac_number("02:00:00:00:00:99"), "address": 0x0a000001}

    async def script(edge):
        edge.ctx.set(edge.dut.i_settings, other)
        edge.give(padded(ping(b"old")))
        edge.give(padded(Ether(src=PEER_MAC, dst="02:00:00:00:00:99")
                         / IP(src=PEER_ADDRESS, dst="10.0.0.1", id=0) / ICMP() / Raw(b"new")))
        await edge.settle()

    edge = Edge().run(script)
    assert edge.sent == [bytes(Ether(src="02:00:00:00:00:99", dst=PEER_MAC)
                               / IP(src="10.0.0.1", dst=PEER_ADDRESS, id=0) / ICMP(type=0)
                               / Raw(b"new"))]
    assert edge.to_host == [padded(ping(b"old"))]
