"""The gateway answers for its own address on the wire; what it does not answer is the host's."""

import random
import subprocess

import numpy as np
import pytest
from gateway_bench import SETTLE, Feed
from port_bench import (
    EVERYBODY,
    OTHER,
    OTHER_IP,
    OWN,
    OWN_IP,
    Port,
    frame,
    is_at,
    octets,
    padded,
    ping,
    pong,
    who_has,
)
from scapy.layers.igmp import IGMPv3_MQ, IGMPv3_MR, IGMPv3_MR_Group
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_Router_Alert
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Raw
from scapy.utils import wrpcap
from tickwire.host.errors import NetworkError, RegisterError
from tickwire.sim.wire_words import frames_to_words

TICK = 2000             # cycles in 100 ms of the tests with IGMP
GROUP, GROUP_MAC = "239.129.2.3", "01:00:5e:01:02:03"
LOCAL_FAULT = 0x0100009C_0100009C


class Citizen(Port):
    """A port whose hardware has an address; the gratuitous ARP request has left."""

    def __init__(self, **options):
        super().__init__(**options)
        self.gateway.network.set_address(f"{OWN_IP}/24")
        self.engine.idle(SETTLE)
        self.announced = self.sent()
        self.moved()

    def sent(self):
        """Frames that have left since the last look; all of them whole."""
        frames = self.look().frames
        assert all(one.intact and one.fcs_good for one in frames)
        return [one.data for one in frames]

    def exchange(self, *frames):
        """Plays frames; gives those that left, and those that the host got."""
        self.play_only(*frames)
        return self.sent(), self.received()

    def play_only(self, *frames):
        chunk = frames_to_words(frames, tail=SETTLE + 20 * len(frames))
        self.engine.run(chunk.data, chunk.control)


def complaints(tmp_path, frames):
    """What tshark says against frames, checksums of IP, ICMP and UDP included."""
    path = tmp_path / "sent.pcap"
    wrpcap(str(path), [Ether(one) for one in frames])
    command = ["tshark", "-r", str(path), "-T", "fields", "-o", "ip.check_checksum:TRUE", "-o",
               "udp.check_checksum:TRUE", "-e", "_ws.expert.message"]
    for protocol in ("ip", "icmp", "igmp", "udp"):
        command += ["-e", f"{protocol}.checksum.status"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    lines = [line.split("\t") for line in printed.splitlines()]
    assert len(lines) == len(frames)
    return [line for line in lines if "0" in line[1:] or "alformed" in line[0]
            or "hecksum" in line[0]]


def test_an_address_is_announced_and_its_owner_found_by_arp(tmp_path):
    port = Citizen()
    announcement = padded(Ether(src=OWN, dst=EVERYBODY) / ARP(op=1, hwsrc=OWN, psrc=OWN_IP,
                                                              pdst=OWN_IP))
    assert port.announced == [announcement]
    sent, received = port.exchange(who_has())
    assert sent == [is_at()] and received == []
    moved = port.moved()
    assert moved == {"RX_GOOD": 1, "IP_NOT_IP": 1, "STORE_KEPT": 1, "EDGE_ARP_REPLY": 1,
                     "REPLY_KEPT": 1, "TX_FRAMES": 1}
    assert complaints(tmp_path, [*port.announced, *sent]) == []
    # Nobody else's address is answered, and the host sees who asks.
    other = who_has("192.168.77.3")
    assert port.exchange(other) == ([], [other])
    port.gateway.network.set_address(f"{OWN_IP}/24")
    assert port.exchange() == ([announcement], [])
    port.gateway.network.set_address(None)
    assert port.exchange(who_has(), ping(b"x")) == ([], [who_has(), ping(b"x")])


def test_hardware_answers_pings_of_every_size(tmp_path):
    port, rng = Citizen(), random.Random(1)
    payloads = [rng.randbytes(size) for size in (*range(12), 17, 18, 19, 56, 700, 1471, 1472)]
    sent = []
    for payload in payloads:
        out, received = port.exchange(ping(payload))
        assert out == [padded(pong(payload))] and received == []
        sent += out
    assert complaints(tmp_path, sent) == []
    moved = port.moved()
    assert moved["EDGE_ECHO_REPLY"] == moved["REPLY_KEPT"] == len(payloads)
    assert "EDGE_HOST" not in moved and "HOST_RECEIVE_PASSED" not in moved


def test_datagrams_come_back_and_closed_ports_are_told(tmp_path):
    port = Citizen()

    def datagram(destination, **change):
        return padded(Ether(src=OTHER, dst=OWN) / IP(src=OTHER_IP, dst=OWN_IP, id=9, flags="DF")
                      / UDP(sport=4000, dport=destination, **change) / Raw(b"a datagram"))

    assert port.exchange(datagram(7)) == ([], [datagram(7)])
    port.gateway.network.respond(udp_echo_port=7)
    sent, received = port.exchange(datagram(7), datagram(8))
    assert sent == [padded(Ether(src=OWN, dst=OTHER)
                           / IP(src=OWN_IP, dst=OTHER_IP, id=9, flags="DF")
                           / UDP(sport=7, dport=4000) / Raw(b"a datagram"))]
    assert received == [datagram(8)]
    port.gateway.network.respond(udp_echo_port=7, unreachable=True)
    told, received = port.exchange(datagram(8))
    assert received == [] and Ether(told[0])[ICMP].type == 3 and Ether(told[0])[ICMP].code == 3
    assert complaints(tmp_path, sent + told) == []


def test_all_other_frames_still_reach_the_host_and_market_data_does_not():
    port, feed, rng = Citizen(), Feed(), random.Random(2)
    to_us = Ether(src=OTHER, dst=OWN) / IP(src=OTHER_IP, dst=OWN_IP, id=5)
    others = [padded(one) for one in (
        to_us / TCP(sport=1, dport=22), to_us / UDP(sport=1, dport=53) / Raw(b"x" * 40),
        to_us / ICMP(type=0) / Raw(b"x"),
        Ether(src=OTHER, dst=OWN) / ARP(op=2, hwsrc=OTHER, psrc=OTHER_IP, hwdst=OWN, pdst=OWN_IP),
        Ether(src=OTHER, dst=EVERYBODY) / IP(src="0.0.0.0", dst="255.255.255.255")
        / UDP(sport=68, dport=67) / Raw(bytes(240)))]
    others += [who_has("192.168.77.3"), ping(b"to another", dst="192.168.77.3"),
               frame(rng, length=60), frame(rng)]
    mixed = [feed.snapshot(7), who_has(), *others[:4], ping(b"abc"), *others[4:], ping(b"def"),
             feed.frame(feed.tick(7, 105.0))]
    sent, received = port.exchange(*mixed)
    assert received == others
    assert sent == [is_at(), padded(pong(b"abc")), padded(pong(b"def"))]
    moved = port.moved()
    assert moved["IP_ACCEPTED"] == 2 and moved["EDGE_HOST"] == len(others)
    assert moved["STORE_KEPT"] == moved["EDGE_HOST"] + 3


def test_hardware_hears_what_it_answers_whatever_the_host_wants():
    port = Citizen()
    port.gateway.network.receive(own=False, broadcast=False)
    sent, _ = port.exchange(who_has(), ping(b"x"))
    assert sent == [is_at(), padded(pong(b"x"))]
    port.gateway.network.respond(arp=False, echo=False, igmp=False)
    assert port.exchange(who_has(), ping(b"x")) == ([], [])
    assert port.moved()["STORE_FILTERED"] == 2


def test_frames_of_kilobytes_are_answered_kept_or_counted():
    """Up to 9,216 bytes if the host wants so; an answer is sent if its queue of 4 KiB holds it."""
    port, rng = Citizen(), random.Random(4)
    port.gateway.registers.write("MAX_FRAME_LENGTH", 9216)
    payload, fits, last = rng.randbytes(3000), rng.randbytes(4038), rng.randbytes(4054)
    port.play_only(ping(payload), frame(rng, length=9000))
    port.engine.idle(4 * SETTLE)
    port.play_only(ping(fits))
    port.engine.idle(2 * SETTLE)
    port.play_only(ping(last))
    port.engine.idle(2 * SETTLE)
    assert port.sent() == [pong(payload), pong(fits)] and port.received() == []
    moved = port.moved()
    assert moved["HOST_RECEIVE_TOO_LONG"] == moved["EDGE_HOST"] == moved["REPLY_DROPPED"] == 1
    stats = port.gateway.stats()
    assert stats["IF_OUT_DISCARDS"] == stats["IF_IN_DISCARDS"] == 1
    assert port.exchange(ping(b"x"))[0] == [padded(pong(b"x"))]


def query(group="0.0.0.0"):
    to = "224.0.0.1" if group == "0.0.0.0" else group
    mac = "01:00:5e:00:00:01" if group == "0.0.0.0" else GROUP_MAC
    packet = (Ether(src=OTHER, dst=mac)
              / IP(src=OTHER_IP, dst=to, ttl=1, tos=0xC0, options=[IPOption_Router_Alert()])
              / IGMPv3_MQ(mrcode=1, gaddr=group))
    return padded(packet)


def reports(frames):
    """Record types of IGMPv3 reports; each is for the one group."""
    found = []
    for one in map(Ether, frames):
        assert one.dst == "01:00:5e:00:00:16" and one[IP].src == OWN_IP
        record, = one[IGMPv3_MR].records
        assert isinstance(record, IGMPv3_MR_Group) and record.maddr == GROUP
        found.append(record.rtype)
    return found


def test_groups_are_joined_answered_for_and_left(tmp_path):
    port = Citizen()
    net = port.gateway.network
    port.gateway.registers.write("TICK_PERIOD", TICK)
    net.join(GROUP)
    port.engine.idle(12 * TICK)
    sent = joined = port.sent()
    assert reports(joined) == [4, 4]            # CHANGE_TO_EXCLUDE_MODE, repeated
    for question in (query(), query(GROUP)):
        port.play_only(question)
        port.engine.idle(4 * TICK)
        answer = port.sent()
        assert reports(answer) == [2] and port.received() == [question]     # MODE_IS_EXCLUDE
        sent += answer
    net.leave(GROUP)
    port.engine.idle(12 * TICK)
    left = port.sent()
    assert reports(left) == [3, 3]              # CHANGE_TO_INCLUDE_MODE
    assert complaints(tmp_path, sent + left) == []
    port.play_only(query(), query(GROUP))
    port.engine.idle(4 * TICK)
    assert port.sent() == [] and port.received() == [query()]
    moved = port.moved()
    assert (moved["EDGE_IGMP_MESSAGE"], moved["EDGE_IGMP_REPORT"]) == (3, 6)


def test_too_many_groups_and_a_hurried_command():
    port = Citizen()
    net, registers = port.gateway.network, port.gateway.registers
    registers.write("TICK_PERIOD", TICK)
    for number in range(16):
        net.join(f"239.1.1.{number}")
    with pytest.raises(RegisterError, match="GROUP_JOIN had no room for 239.1.1.16: leave another "
                                            "group first"):
        net.join("239.1.1.16")
    net.leave("239.1.1.3")
    port.engine.idle(20 * TICK)                 # what was left is forgotten once it was reported
    net.join("239.1.1.16")
    assert port.gateway.stats()["EDGE_IGMP_FULL"] == 1
    for group in (0xEF010105, 0xEF010106):
        registers.command("GROUP_LEAVE", group)
    assert port.gateway.stats()["EDGE_GROUP_LOST"] == 1


def test_the_host_asks_for_the_next_hop():
    port = Citizen()
    network = port.gateway.network
    port.exchange(who_has())                # the peer's address is in the cache now
    assert network.resolve(OTHER_IP) == OTHER
    assert network.resolve("239.1.2.3") == "01:00:5e:01:02:03"
    with pytest.raises(NetworkError, match=r"nobody has answered for 8\.8\.8\.8: .*gateway \(None"):
        network.resolve("8.8.8.8")
    with pytest.raises(NetworkError, match=r"RESOLVE of 192\.168\.77\.5 has not ended"):
        network.resolve("192.168.77.5", timeout=0)
    port.gateway.registers.write("TICK_PERIOD", TICK)
    port.engine.idle(5 * 10 * TICK)
    asked = [Ether(one)[ARP].pdst for one in port.sent()]
    assert asked == ["192.168.77.5"] * 3
    with pytest.raises(NetworkError, match="nobody"):
        network.resolve("192.168.77.6")
    network.set_address(None)
    with pytest.raises(RegisterError, match="RESOLVE needs an IPv4 address"):
        network.resolve(OTHER_IP)


def test_the_link_is_a_bit_of_the_status():
    port = Citizen()
    assert port.gateway.network.link_up
    faulty = np.full(400, LOCAL_FAULT, np.uint64), np.full(400, 0x11, np.uint8)
    port.engine.run(*faulty)
    status = port.gateway.registers.fields("STATUS")
    # The bus's cycles are idle ones of the wire: 64 of them, and the fault would be over.
    assert status["link_up"] == 0
    port.engine.idle(200)
    assert port.gateway.network.link_up and port.gateway.stats()["LINK_LOCAL_FAULT"] == 1
    assert port.exchange(who_has())[0][-1] == is_at()


def kinds():
    """A sound frame of each kind that hardware reads."""
    us = Ether(src=OTHER, dst=OWN) / IP(src=OTHER_IP, dst=OWN_IP, id=1, flags="DF")
    return {"arp": bytes(Ether(who_has()[:42])), "echo": bytes(us / ICMP(id=1) / Raw(b"p" * 26)),
            "udp": bytes(us / UDP(sport=9, dport=7) / Raw(b"u" * 26)),
            "closed": bytes(us / UDP(sport=9, dport=8) / Raw(b"c" * 26)),
            "igmp": query()}


@pytest.mark.parametrize("kind", kinds())
def test_frames_cut_at_every_byte_and_damaged_in_every_byte_hang_nothing(kind):
    """FCS made good again. A ping is answered after every 20; no frame is lost without a count."""
    port, rng = Citizen(), random.Random(3)
    port.gateway.network.respond(udp_echo_port=7, unreachable=True)
    port.gateway.network.join(GROUP)
    port.engine.idle(SETTLE)
    port.sent()
    port.moved()
    whole = kinds()[kind]
    hostile = [whole[:cut] for cut in range(14, len(whole))]
    for at in range(12, len(whole)):
        for change in (1 << rng.randrange(8), 0xFF):
            hostile.append(whole[:at] + bytes((whole[at] ^ change,)) + whole[at + 1:])
    for begin in range(0, len(hostile), 20):
        part = hostile[begin:begin + 20]
        sent, _ = port.exchange(*part, ping(b"still there?"))
        assert sent[-1] == padded(pong(b"still there?"))
        for one in map(Ether, sent):
            assert one.src == OWN, "whatever was answered was answered as ourselves"
    moved = port.moved()
    answered = sum(moved.get(f"EDGE_{name}", 0) for name in (
        "ARP_REPLY", "ECHO_REPLY", "UDP_ECHO", "UNREACHABLE", "UNREACHABLE_LIMITED"))
    assert moved["STORE_KEPT"] + moved.get("STORE_FILTERED", 0) == moved["RX_GOOD"]
    assert moved["STORE_KEPT"] == answered + moved["EDGE_HOST"]
    assert not {"STORE_NO_ROOM", "EDGE_NO_ROOM", "EDGE_HOST_NO_ROOM", "REPLY_DROPPED"} & set(moved)
    if kind in ("echo", "udp", "closed"):
        assert moved["EDGE_IP_CHECKSUM"] > 20 and moved["EDGE_CHECKSUM"] > 20
        assert moved["EDGE_IP_HEADER"] > 10


def test_broken_frames_on_the_wire_are_never_answered():
    """Cut without a new FCS, a ping at every byte, runts included: nothing of them is stored."""
    port = Citizen()
    whole = ping(b"q" * 30)
    raw = frames_to_words([whole[:cut] for cut in range(1, len(whole))], raw=True, tail=SETTLE)
    port.engine.run(raw.data, raw.control)
    assert port.sent() == [] and port.received() == []
    moved = port.moved()
    assert "STORE_KEPT" not in moved and "RX_GOOD" not in moved
    assert port.exchange(ping(b"q"))[0] == [padded(pong(b"q"))]
    assert octets(OWN) == whole[:6]


def test_the_host_sends_datagrams_whose_headers_hardware_makes(tmp_path):
    port = Citizen()
    gateway = port.gateway
    payloads = [b"", b"x", b"a datagram", bytes(range(256)) * 5, bytes(1472)]
    gateway.send_datagram(payloads[0], OTHER_IP, 9000, source_port=9001)
    port.engine.idle(SETTLE)
    asked = padded(Ether(src=OWN, dst=EVERYBODY) / ARP(op=1, hwsrc=OWN, psrc=OWN_IP,
                                                       pdst=OTHER_IP))
    assert port.sent() == [asked]
    answer = padded(Ether(src=OTHER, dst=OWN) / ARP(op=2, hwsrc=OTHER, psrc=OTHER_IP, hwdst=OWN,
                                                    pdst=OWN_IP))
    port.play_only(answer)
    sent = port.sent()
    for payload in payloads[1:]:
        gateway.send_datagram(payload, OTHER_IP, 9000, source_port=9001)
        port.engine.idle(SETTLE)
        sent += port.sent()
    for one, payload in zip(sent, payloads, strict=True):
        packet = Ether(one)
        assert (packet.src, packet.dst, packet[IP].src, packet[IP].dst) == (
            OWN, OTHER, OWN_IP, OTHER_IP)
        assert (packet[UDP].sport, packet[UDP].dport) == (9001, 9000)
        assert bytes(packet[UDP].payload)[:packet[UDP].len - 8] == payload
    assert complaints(tmp_path, sent) == []
    assert port.moved()["EDGE_UDP_SENT"] == len(payloads)
    # A frame as it is goes its own way.
    gateway.send_frame(padded(ping(b"raw")))
    port.engine.idle(SETTLE)
    assert port.sent() == [padded(ping(b"raw"))]
    for wrong, sentence in (
            (lambda: gateway.send_datagram(bytes(1473), OTHER_IP, 1, source_port=1),
             "DATAGRAM_SEND takes up to 1472 bytes, not 1473"),
            (lambda: gateway.send_datagram(b"", "nowhere", 1, source_port=1),
             "DATAGRAM_SEND takes an IPv4 address, not 'nowhere'"),
            (lambda: gateway.send_datagram(b"", OTHER_IP, 65536, source_port=1),
             "A datagram's port is 0 to 65535, not 65536")):
        with pytest.raises(RegisterError, match=sentence):
            wrong()
    gateway.network.set_address(None)
    with pytest.raises(RegisterError, match="IPV4_ADDRESS is 0: call gw.network.set_address"):
        gateway.send_datagram(b"", OTHER_IP, 1, source_port=1)
