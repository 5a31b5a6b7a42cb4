"""Ethernet II header and VLAN tag (IEEE 802.3-2022, 3.1.1; IEEE 802.1Q-2022, 9.6)."""

from .fixed import FixedLayout

__all__ = ["ETHERNET_HEADER", "VLAN_TAG", "FCS_BYTES", "ETHERTYPE_IPV4", "ETHERTYPE_VLAN",
           "MULTICAST_PREFIX", "multicast_mac"]

FCS_BYTES = 4
ETHERTYPE_IPV4 = 0x0800
ETHERTYPE_VLAN = 0x8100         # customer tag; stands where the EtherType would

ETHERNET_HEADER = FixedLayout("Ethernet II header", [
    ("destinationAddress", 6),
    ("sourceAddress", 6),
    ("etherType", 2),
], byteorder="big")

VLAN_TAG = FixedLayout("VLAN tag", [
    ("tagProtocol", 2),
    ("tagControl", 2),
], byteorder="big")

MULTICAST_PREFIX = 0x01005E     # RFC 1112, 6.4: and one zero bit, then 23 bits of the group


def multicast_mac(group):
    """MAC address, as a number, to which frames for an IPv4 multicast ``group`` are sent."""
    return MULTICAST_PREFIX << 24 | group & 0x7FFFFF
