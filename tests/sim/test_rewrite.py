"""Loopback captures are mended, and nothing else is touched."""

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Dot1Q, Ether
from tickwire.sim.capture import CapturedPacket, read_capture
from tickwire.sim.rewrite import Rewriter, internet_checksum, multicast_mac


def loopback(payload: bytes = b"hello", *, group: str = "239.239.111.3", tag: bool = False):
    frame = Ether(dst="00:00:00:00:00:00", src="00:00:00:00:00:00")
    if tag:
        frame = frame / Dot1Q(vlan=7)
    return bytes(frame / IP(src="127.0.0.1", dst=group) / UDP(sport=1, dport=6100, chksum=0x1234)
                 / payload)


def rewrite(data: bytes, **options):
    rewriter = Rewriter(**options)
    packet, = rewriter([CapturedPacket(1, 0, data, len(data))])
    return packet.data, rewriter.counts


def test_internet_checksum_of_the_rfc_example():
    assert internet_checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0xFFFF ^ 0xDDF2


def test_group_address_maps_as_rfc_1112_says():
    assert multicast_mac(bytes((239, 239, 111, 3))).hex(":") == "01:00:5e:6f:6f:03"


@pytest.mark.parametrize("tag", [False, True])
@pytest.mark.parametrize("payload", [b"hello", b"four"])
def test_scapy_finds_nothing_to_correct(payload, tag):
    data, counts = rewrite(loopback(payload, tag=tag))
    frame = Ether(data)
    assert (frame.dst, frame[IP].src) == ("01:00:5e:6f:6f:03", "10.0.0.1")
    given = frame[IP].chksum, frame[UDP].chksum
    del frame[IP].chksum, frame[UDP].chksum
    again = Ether(bytes(frame))
    assert (again[IP].chksum, again[UDP].chksum) == given
    assert bytes(again[UDP].payload) == payload
    assert counts.as_dict() == {"packets": 1, "destination_mac": 1, "source_mac": 1,
                                "source_address": 1, "ip_checksum": 1, "udp_checksum": 1}


def test_a_correct_packet_is_left_alone():
    data, _ = rewrite(loopback())
    again, counts = rewrite(data)
    assert again == data
    assert counts.packets == 0


def test_raw_changes_nothing():
    data, counts = rewrite(loopback(), raw=True)
    assert data == loopback()
    assert counts.packets == 0


def test_other_packets_are_left_alone():
    unicast = loopback(group="192.0.2.1")
    for data in (unicast, loopback()[:30], loopback()[:41], bytes(60), unicast[:12] + b"\x08\x06",
                 bytes(Ether() / IP(dst="239.0.0.1", flags="MF") / UDP() / b"x")):
        assert rewrite(data)[0] == data


def test_no_checksum_stays_no_checksum():
    data = bytearray(loopback())
    data[40:42] = bytes(2)
    assert rewrite(bytes(data))[0][40:42] == bytes(2)


def test_the_real_capture_needs_all_of_it(real_capture):
    rewriter = Rewriter()
    for _ in rewriter(read_capture(real_capture)):
        pass
    counts = rewriter.counts
    assert (counts.packets, counts.destination_mac, counts.source_address,
            counts.udp_checksum) == (5066, 5066, 5066, 5066)
