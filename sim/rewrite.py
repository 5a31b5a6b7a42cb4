"""Mends captures that were taken on a loopback interface, so that a strict receiver takes them.

Such a capture has zero MAC addresses, the source address 127.0.0.1 and UDP checksums that the
sender's network card would have filled in. Nothing of the UDP payload is touched.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace

from tickwire.sim.capture import CapturedPacket

__all__ = ["RewriteCounts", "Rewriter", "multicast_mac", "internet_checksum",
           "flip_bits"]

SOURCE_MAC = bytes.fromhex("02000a000001")      # locally administered
SOURCE_ADDRESS = bytes((10, 0, 0, 1))
IPV4, VLAN, UDP = 0x0800, 0x8100, 17


def internet_checksum(data: bytes) -> int:
    """One's-complement sum of 16-bit big-endian words, inverted (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def multicast_mac(group: bytes) -> bytes:
    """Destination MAC address of an IPv4 group: 01:00:5e and its low 23 bits (RFC 1112, 6.4)."""
    return bytes((0x01, 0x00, 0x5E, group[1] & 0x7F, group[2], group[3]))


@dataclass
class RewriteCounts:
    """How many packets were changed, in all and field by field."""

    packets: int = 0
    destination_mac: int = 0
    source_mac: int = 0
    source_address: int = 0
    ip_checksum: int = 0
    udp_checksum: int = 0

    def as_dict(self) -> dict[str, int]:
        return asdict(self)


class Rewriter:
    """Rewrites what is wrong in multicast UDP packets, leaves every other packet alone.

    Parameters
    ----------
    raw : bool
        Change nothing at all; the counts stay 0.

    Members
    -------
    counts : RewriteCounts
        What was changed so far.
    """

    def __init__(self, *, raw: bool = False) -> None:
        self.raw = raw
        self.counts = RewriteCounts()

    def __call__(self, packets: Iterable[CapturedPacket]) -> Iterator[CapturedPacket]:
        for packet in packets:
            yield packet if self.raw else self.rewrite(packet)

    def rewrite(self, packet: CapturedPacket) -> CapturedPacket:
        """The packet as it would have been on a wire."""
        data = bytearray(packet.data)
        ip = 18 if data[12:14] == VLAN.to_bytes(2, "big") else 14
        header = 4 * (data[ip] & 15) if len(data) > ip else 0
        udp = ip + header
        if (data[ip - 2:ip] != IPV4.to_bytes(2, "big") or len(data) < udp + 8 or header < 20
                or data[ip] >> 4 != 4 or data[ip + 9] != UDP or data[ip + 16] >> 4 != 14
                or int.from_bytes(data[ip + 6:ip + 8], "big") & 0x3FFF):
            return packet                           # no IPv4 multicast UDP, or a fragment
        length = int.from_bytes(data[udp + 4:udp + 6], "big")
        if length < 8 or udp + length > len(data):
            return packet                           # damaged: the receiver has to see that
        counts = self.counts
        if data[0:6] != (mac := multicast_mac(bytes(data[ip + 16:ip + 20]))):
            data[0:6] = mac
            counts.destination_mac += 1
        if not any(data[6:12]):
            data[6:12] = SOURCE_MAC
            counts.source_mac += 1
        if data[ip + 12] == 127:
            data[ip + 12:ip + 16] = SOURCE_ADDRESS
            counts.source_address += 1
        self._checksum(data, ip + 10, bytes(data[ip:ip + 10]) + bytes(2)
                       + bytes(data[ip + 12:udp]), "ip_checksum")
        if data[udp + 6:udp + 8] != b"\0\0":        # zero means that the sender made none
            pseudo = bytes(data[ip + 12:ip + 20]) + struct.pack(">HH", UDP, length)
            self._checksum(data, udp + 6, pseudo + bytes(data[udp:udp + 6]) + bytes(2)
                           + bytes(data[udp + 8:udp + length]), "udp_checksum")
        if data == packet.data:
            return packet
        counts.packets += 1
        return replace(packet, data=bytes(data))

    def _checksum(self, data: bytearray, at: int, covered: bytes, name: str) -> None:
        value = internet_checksum(covered)
        if name == "udp_checksum" and value == 0:
            value = 0xFFFF                          # RFC 768: zero is kept for "none"
        if int.from_bytes(data[at:at + 2], "big") != value:
            data[at:at + 2] = value.to_bytes(2, "big")
            setattr(self.counts, name, getattr(self.counts, name) + 1)


def flip_bits(packets: Iterable[CapturedPacket], number: int, offset: int,
              mask: int) -> Iterator[CapturedPacket]:
    """The same packets, but in packet ``number`` the byte at ``offset`` is XORed with ``mask``.

    Put before a :class:`Rewriter` it stands for wrong data behind right checksums.
    """
    for packet in packets:
        if packet.number == number:
            data = bytearray(packet.data)
            data[offset] ^= mask
            yield replace(packet, data=bytes(data))
        else:
            yield packet
