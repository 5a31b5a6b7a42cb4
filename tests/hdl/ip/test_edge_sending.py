"""NetworkEdge sends by itself: datagrams, ARP requests, membership reports; and finds no room."""

import random
import subprocess

import pytest
from edge_bench import (
    GATEWAY_ADDRESS,
    GATEWAY_MAC,
    OWN_ADDRESS,
    OWN_MAC,
    PEER_ADDRESS,
    PEER_MAC,
    Edge,
    address_number,
)
from scapy.layers.igmp import IGMPv2_LG, IGMPv2_MR, IGMPv3_MQ, IGMPv3_MR, IGMPv3_MR_Group
from scapy.layers.inet import ICMP, IP, UDP, IPOption_Router_Alert
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Raw
from scapy.utils import checksum, wrpcap

BROADCAST = "ff:ff:ff:ff:ff:ff"
ASKS_PEER = bytes(Ether(src=OWN_MAC, dst=BROADCAST) / ARP(
    op=1, hwsrc=OWN_MAC, psrc=OWN_ADDRESS, pdst=PEER_ADDRESS))
GROUP = "239.129.2.3"


def answer(mac=PEER_MAC, address=PEER_ADDRESS):
    return bytes(Ether(src=mac, dst=OWN_MAC) / ARP(
        op=2, hwsrc=mac, psrc=address, hwdst=OWN_MAC, pdst=OWN_ADDRESS)).ljust(60, b"\0")


def datagram(payload, address=PEER_ADDRESS, mac=PEER_MAC):
    return bytes(Ether(src=OWN_MAC, dst=mac) / IP(src=OWN_ADDRESS, dst=address, id=0, flags="DF")
                 / UDP(sport=4000, dport=5000) / Raw(payload))


def check_with_tshark(tmp_path, frames):
    """Sentences of tshark's about wrong checksums, and other complaints."""
    path = tmp_path / "sent.pcap"
    wrpcap(str(path), [Ether(frame) for frame in frames])
    fields = ["ip.checksum.status", "udp.checksum.status", "icmp.checksum.status",
              "igmp.checksum.status"]
    command = ["tshark", "-r", str(path), "-T", "fields", "-e", "_ws.expert.message"]
    for protocol in ("ip", "udp"):
        command += ["-o", f"{protocol}.check_checksum:TRUE"]
    for field in fields:
        command += ["-e", field]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [line.split("\t") for line in printed.splitlines()]


@pytest.mark.parametrize("pause, ready", [(0, 1), (0.3, 0.5)])
def test_datagrams_of_every_tail_after_one_request(pause, ready):
    rng = random.Random(6)
    payloads = [rng.randbytes(size) for size in (*range(10), 40)]

    async def script(edge):
        for payload in payloads:
            edge.send(payload, PEER_ADDRESS, 4000, 5000)
        await edge.settle()
        assert edge.sent == [ASKS_PEER]
        edge.give(answer())
        await edge.settle()
        assert edge.sent == [datagram(payload) for payload in payloads]
        assert edge.to_host == [answer()]
        assert edge.counted() == {"udp_sent": len(payloads), "host": 1}

    Edge(pause=pause, ready=ready).run(script)


def test_the_longest_datagram_and_longer_ones():
    rng = random.Random(7)
    payloads = [rng.randbytes(size) for size in (1472, 1473, 1479, 100)]

    async def script(edge):
        for payload in payloads:
            edge.send(payload, "224.0.0.251", 4000, 5000)
        await edge.settle()
        assert edge.sent == [datagram(payload, "224.0.0.251", "01:00:5e:00:00:fb")
                             for payload in payloads if len(payload) <= 1472]
        assert edge.counted() == {"udp_sent": 2, "udp_too_long": 2}

    Edge().run(script)


def test_checksum_that_would_be_nought():
    """RFC 768: it is sent as all ones, since 0 would say that there is none."""
    plain = datagram(b"\0\0", GROUP, "01:00:5e:01:02:03")
    payload = plain[40:42]      # its complement is the sum of everything else
    expected = datagram(payload, GROUP, "01:00:5e:01:02:03")
    assert expected[40:42] == b"\xff\xff"

    async def script(edge):
        edge.send(payload, GROUP, 4000, 5000)
        await edge.settle()
        assert edge.sent == [expected]

    Edge().run(script)


def test_next_hop():
    async def script(edge):
        for address, mac in (("192.168.7.255", BROADCAST), ("255.255.255.255", BROADCAST),
                             (GROUP, "01:00:5e:01:02:03")):
            edge.send(b"to all", address, 4000, 5000)
            await edge.settle()
            assert edge.sent == [datagram(b"to all", address, mac)]
        edge.send(b"far", "10.9.8.7", 4000, 5000)
        await edge.settle()
        assert [Ether(frame)[ARP].pdst for frame in edge.sent] == [GATEWAY_ADDRESS]
        edge.give(answer(GATEWAY_MAC, GATEWAY_ADDRESS))
        await edge.settle()
        assert edge.sent == [datagram(b"far", "10.9.8.7", GATEWAY_MAC)]
        edge.ctx.set(edge.dut.i_settings.gateway, 0)
        edge.send(b"far", "10.9.8.7", 4000, 5000)
        edge.counted()
        await edge.settle()
        assert edge.sent == [] and edge.counted() == {"udp_unresolved": 1}

    Edge().run(script)


def test_nobody_answers_and_frames_are_served_meanwhile():
    """Three requests a second apart; the datagram is dropped and the one behind it has its turn."""
    period = 60
    pings = Ether(src=PEER_MAC, dst=OWN_MAC) / IP(src=PEER_ADDRESS, dst=OWN_ADDRESS) / ICMP()

    async def script(edge):
        edge.send(b"into the dark", PEER_ADDRESS, 4000, 5000)
        edge.send(b"to a group", GROUP, 4000, 5000)
        for _ in range(3):
            edge.give(bytes(pings).ljust(60, b"\0"))
            await edge.tick(10 * period)
        await edge.tick(10 * period)
        assert edge.counted() == {"echo_reply": 3, "udp_unresolved": 1, "udp_sent": 1}
        types = [Ether(frame).sprintf("%ARP.pdst%%IP.dst%") for frame in edge.sent]
        assert sorted(types) == sorted(
            [PEER_ADDRESS + "??"] * 3 + ["??" + PEER_ADDRESS] * 3 + ["??" + GROUP])
        requests = [index for index, kind in enumerate(types) if kind == PEER_ADDRESS + "??"]
        starts = [edge.out.starts[index] for index in requests]
        assert 10 * period <= starts[2] - starts[1] + 60 and starts[1] > starts[0]

    Edge(period=period).run(script)


def test_announcement():
    expected = bytes(Ether(src=OWN_MAC, dst=BROADCAST) / ARP(
        op=1, hwsrc=OWN_MAC, psrc=OWN_ADDRESS, pdst=OWN_ADDRESS))

    async def script(edge):
        edge.send(b"x", PEER_ADDRESS, 4000, 5000)
        edge.ctx.set(edge.dut.i_announce, 1)
        await edge.tick()
        edge.ctx.set(edge.dut.i_announce, 0)
        await edge.settle()
        assert edge.sent == [expected, ASKS_PEER]

    Edge().run(script)


def report_v3(group, kind):
    return bytes(Ether(src=OWN_MAC, dst="01:00:5e:00:00:16") / IP(
        src=OWN_ADDRESS, dst="224.0.0.22", tos=0xc0, ttl=1, id=0, flags="DF", proto=2,
        options=[IPOption_Router_Alert()]) / IGMPv3_MR(
            records=[IGMPv3_MR_Group(rtype=kind, maddr=group)]))


def message_v2(message, to, mac):
    return bytes(Ether(src=OWN_MAC, dst=mac) / IP(
        src=OWN_ADDRESS, dst=to, tos=0xc0, ttl=1, id=0, flags="DF", proto=2,
        options=[IPOption_Router_Alert()]) / message)


def query(group="0.0.0.0", code=1, *, v3=True, option=True):
    message = bytearray(bytes([0x11, code, 0, 0]) + address_number(group).to_bytes(4))
    if v3:
        message += bytes(IGMPv3_MQ(qrv=2, qqic=125))[8:]
    message[2:4] = checksum(message).to_bytes(2)
    return bytes(Ether(src=GATEWAY_MAC, dst="01:00:5e:00:00:01") / IP(
        src=GATEWAY_ADDRESS, dst="224.0.0.1", ttl=1, proto=2, tos=0xc0,
        options=[IPOption_Router_Alert()] if option else []) / Raw(bytes(message))).ljust(60, b"\0")


async def command(edge, group, join):
    edge.ctx.set(edge.dut.i_group.payload, {"group": address_number(group), "join": join})
    edge.ctx.set(edge.dut.i_group.valid, 1)
    await edge.tick()
    edge.ctx.set(edge.dut.i_group.valid, 0)


def test_groups_by_version_3_then_2(tmp_path):
    """Joined and left; asked, with and without the router alert option, in two versions."""
    period = 80
    everything = []

    async def script(edge):
        def sent():
            everything.extend(frames := edge.sent)
            return frames

        await command(edge, GROUP, 1)
        await edge.tick(10 * period)
        assert sent() == [report_v3(GROUP, 4)] * 2
        for question in (query(), query(option=False), query(GROUP)):
            edge.give(question)
            await edge.tick(3 * period)
            assert sent() == [report_v3(GROUP, 2)]
            assert edge.to_host == [question], "the host may be a member, too"
        edge.give(query("239.1.1.1"))
        await edge.tick(3 * period)
        assert sent() == []
        await command(edge, GROUP, 0)
        await edge.tick(10 * period)
        assert sent() == [report_v3(GROUP, 3)] * 2
        edge.give(query())
        await edge.tick(3 * period)
        assert sent() == []
        assert edge.counted() == {"host": 5, "igmp_message": 5, "igmp_report": 7}

        edge.give(query(v3=False, option=False))
        await edge.tick(2 * period)
        await command(edge, GROUP, 1)
        await edge.tick(2 * period)
        report = message_v2(IGMPv2_MR(gaddr=GROUP, mrcode=0), GROUP, "01:00:5e:01:02:03")
        assert sent() == [report]
        edge.give(query(GROUP, v3=False))
        await edge.tick(3 * period)
        assert sent() == [report]
        await command(edge, GROUP, 0)
        await edge.tick(3 * period)
        assert sent() == [message_v2(IGMPv2_LG(gaddr=GROUP, mrcode=0), "224.0.0.2",
                                     "01:00:5e:00:00:02")]

    Edge(period=period).run(script)
    for message, ip, _, _, igmp in check_with_tshark(tmp_path, everything):
        assert (message, ip, igmp) == ("", "1", "1")


def test_tshark_finds_the_checksums_right(tmp_path):
    rng = random.Random(8)
    frames = []

    async def script(edge):
        for size in (0, 1, 30, 501):
            edge.send(rng.randbytes(size), GROUP, rng.randrange(40_000, 65_000), 5000)
            for layer in (ICMP(id=size), UDP(sport=60_000, dport=7), UDP(sport=60_000, dport=20)):
                edge.give(bytes(Ether(src=PEER_MAC, dst=OWN_MAC) / IP(
                    src=PEER_ADDRESS, dst=OWN_ADDRESS, id=size) / layer /
                    Raw(rng.randbytes(size))).ljust(60, b"\0"))
        await edge.settle()
        frames.extend(edge.sent)

    Edge(settings={"unreachable": 1}, pause=0.1).run(script)
    lines = check_with_tshark(tmp_path, frames)
    assert len(lines) == len(frames) == 16
    for message, ip, udp, icmp, _ in lines:
        assert "checksum" not in message.lower() and "malformed" not in message.lower()
        assert set(ip.split(",")) == {"1"} and "0" not in udp + icmp and "1" in udp + icmp


def test_no_room():
    """A queue that takes nothing costs its frames, not the others."""
    pings = Ether(src=PEER_MAC, dst=OWN_MAC) / IP(src=PEER_ADDRESS, dst=OWN_ADDRESS) / ICMP()
    other = Ether(src=PEER_MAC, dst=OWN_MAC) / Raw(bytes(46))
    long = bytes(other).ljust(5000, b"y")

    async def script(edge):
        edge.out.ready = 0.0
        edge.send(b"x", GROUP, 1, 2)
        edge.give(bytes(pings).ljust(60, b"\0"))
        edge.give(other)
        edge.ctx.set(edge.dut.i_announce, 1)
        await edge.tick()
        edge.ctx.set(edge.dut.i_announce, 0)
        await edge.settle()
        assert edge.sent == [] and edge.to_host == [bytes(other)]
        assert edge.counted() == {"no_room": 3, "host": 1}
        edge.out.ready, edge.host.ready = 1.0, 0.0
        edge.give(other)
        edge.give(long)
        edge.give(bytes(pings).ljust(60, b"\0"))
        await edge.settle()
        edge.host.ready = 1.0
        edge.give(other)
        await edge.settle()
        assert len(edge.sent) == 1 and edge.to_host == [bytes(other)]
        assert edge.counted() == {"host_no_room": 2, "echo_reply": 1, "host": 1}

    Edge().run(script)


def test_latency_of_a_datagram():
    async def script(edge):
        for size in (5, 6, 7, 20):
            edge.send(bytes(size), GROUP, 1, 2)
            await edge.settle(60)

    edge = Edge().run(script)
    assert [start - end for start, end in zip(edge.out.starts, edge.udp_in.ends, strict=True)
            ] == [43, 43, 44, 43]
