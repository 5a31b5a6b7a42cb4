"""The IPv4 header without options (RFC 791, 3.1)."""

from .fixed import FixedLayout

__all__ = ["IPV4_HEADER", "PROTOCOL_UDP", "DONT_FRAGMENT", "FRAGMENT_MASK"]

PROTOCOL_UDP = 17
DONT_FRAGMENT = 0x4000          # in flagsAndFragmentOffset
FRAGMENT_MASK = 0x3FFF          # more fragments, and the offset: zero in a whole packet

IPV4_HEADER = FixedLayout("IPv4 header", [
    ("versionAndHeaderLength", 1),      # version in the upper four bits, length in units of 4 bytes
    ("typeOfService", 1),
    ("totalLength", 2),                 # header and payload, bytes
    ("identification", 2),
    ("flagsAndFragmentOffset", 2),
    ("timeToLive", 1),
    ("protocol", 1),
    ("headerChecksum", 2),
    ("sourceAddress", 4),
    ("destinationAddress", 4),
], byteorder="big")
