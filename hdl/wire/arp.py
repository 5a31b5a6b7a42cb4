"""ARP for IPv4 over Ethernet (RFC 826)."""

from .fixed import FixedLayout

__all__ = ["ARP_PACKET", "ETHERTYPE_ARP", "HARDWARE_ETHERNET", "REQUEST", "REPLY"]

ETHERTYPE_ARP = 0x0806
HARDWARE_ETHERNET = 1

REQUEST = 1             # operation
REPLY = 2

ARP_PACKET = FixedLayout("ARP packet", [
    ("hardwareType", 2),
    ("protocolType", 2),                # EtherType of IPv4
    ("hardwareAddressLength", 1),       # 6
    ("protocolAddressLength", 1),       # 4
    ("operation", 2),
    ("senderHardwareAddress", 6),
    ("senderProtocolAddress", 4),
    ("targetHardwareAddress", 6),
    ("targetProtocolAddress", 4),
], byteorder="big")
