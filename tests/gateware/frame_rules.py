"""What a strict receiver makes of a frame, up to the UDP payload. Plain Python, no gateware."""

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from tickwire.sim.rewrite import internet_checksum, multicast_mac

__all__ = ["LONGEST", "SHORTEST", "Subscriptions", "Arrival", "on_the_wire", "arrival"]

SHORTEST, LONGEST = 64, 1518    # bytes of a frame with its FCS, without VLAN tags
TAGS = (b"\x81\x00", b"\x88\xa8")
ETHERNET, TAG, FCS, UDP = 14, 4, 4, 8
FRAGMENT = 0x3FFF               # more fragments, and the offset

Subscriptions = Mapping[tuple[bytes, int], int]     # group and port to the dense channel


@dataclass(frozen=True)
class Arrival:
    """What became of a frame before any feed decoder looked at it.

    Members
    -------
    counters : tuple of str
        What counts it, in the order of the way.
    channel : int or None
        Dense channel, if group and port are subscribed.
    payload : bytes
        Of the datagram, as far as it came: of a frame that is dropped later than here the bytes
        were there already, and what is broken off in the middle ends with its frame, FCS included.
    """

    counters: tuple[str, ...]
    channel: int | None = None
    payload: bytes = b""

    @property
    def accepted(self) -> bool:
        return self.counters[-1] == "IP_ACCEPTED"


def on_the_wire(frame: bytes, *, pad: bool = True) -> bytes:
    """A frame with its FCS, and padded as a sender must."""
    if pad:
        frame = frame.ljust(SHORTEST - FCS, b"\0")
    return frame + zlib.crc32(frame).to_bytes(FCS, "little")


def _at_mac(wire: bytes) -> str:
    tags = 0
    while tags < 2 and wire[12 + TAG * tags:14 + TAG * tags] in TAGS:
        tags += 1
    if len(wire) < SHORTEST:
        return "RX_RUNT"
    if len(wire) > LONGEST + TAG * tags:
        return "RX_OVERSIZE"
    if zlib.crc32(wire[:-FCS]).to_bytes(FCS, "little") != wire[-FCS:]:
        return "RX_FCS"
    return "RX_GOOD"


def arrival(wire: bytes, subscriptions: Subscriptions) -> Arrival:
    """All that RFC 768, 791, 894 and 1112 ask for, in the order in which drops are counted.

    Parameters
    ----------
    wire : bytes
        A frame from its destination address to the end of its FCS, or what is left of it.
    """
    at_mac = _at_mac(wire)
    ip = ETHERNET + (TAG if wire[12:14] == TAGS[0] else 0)
    channel, payload = _hearsay(wire, ip, subscriptions)
    if at_mac != "RX_GOOD":
        return Arrival((at_mac,), channel, payload)
    return Arrival((at_mac, _at_ip(wire[:-FCS], ip, channel)), channel, payload)


def _at_ip(frame: bytes, ip: int, channel: int | None) -> str:
    if frame[ip - 2:ip] != b"\x08\x00":
        return "IP_NOT_IP"
    header = 4 * (frame[ip] & 15)
    total, = struct.unpack_from(">H", frame, ip + 2)
    if frame[ip] >> 4 != 4 or header < 20 or total < header or ip + total > len(frame):
        return "IP_BAD_IP_HEADER"
    if internet_checksum(frame[ip:ip + header]):
        return "IP_IP_CHECKSUM"
    if struct.unpack_from(">H", frame, ip + 6)[0] & FRAGMENT:
        return "IP_FRAGMENT"
    if frame[ip + 9] != 17:
        return "IP_NOT_UDP"
    group = frame[ip + 16:ip + 20]
    if group[0] >> 4 != 14 or frame[:6] != multicast_mac(group):
        return "IP_DESTINATION"
    datagram = frame[ip + header:ip + total]
    if len(datagram) < UDP or struct.unpack_from(">H", datagram, 4)[0] != len(datagram):
        return "IP_UDP_LENGTH"
    pseudo = frame[ip + 12:ip + 20] + struct.pack(">HH", 17, len(datagram))
    if datagram[6:8] != b"\0\0" and internet_checksum(pseudo + datagram):
        return "IP_UDP_CHECKSUM"
    return "IP_NO_SUBSCRIPTION" if channel is None else "IP_ACCEPTED"


def _hearsay(wire: bytes, ip: int, subscriptions: Subscriptions) -> tuple[int | None, bytes]:
    """Channel and payload as they are known before anything has been checked."""
    if len(wire) < ip + 20 or wire[ip - 2:ip] != b"\x08\x00" or wire[ip] >> 4 != 4:
        return None, b""
    header = 4 * (wire[ip] & 15)
    total, = struct.unpack_from(">H", wire, ip + 2)
    udp = ip + header
    if (header < 20 or total < header + UDP or wire[ip + 9] != 17
            or struct.unpack_from(">H", wire, ip + 6)[0] & FRAGMENT or len(wire) <= udp + UDP):
        return None, b""
    port, = struct.unpack_from(">H", wire, udp + 2)
    return (subscriptions.get((wire[ip + 16:ip + 20], port)),
            wire[udp + UDP:min(ip + total, len(wire))])
