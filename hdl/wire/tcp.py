"""The TCP header (RFC 9293, 3.1)."""

from .fixed import FixedLayout

__all__ = ["TCP_HEADER", "PROTOCOL_TCP", "ACK", "PSH"]

PROTOCOL_TCP = 6        # IPv4 protocol number

PSH = 0x08              # control bits
ACK = 0x10

TCP_HEADER = FixedLayout("TCP header", [
    ("sourcePort", 2),
    ("destinationPort", 2),
    ("sequenceNumber", 4),
    ("acknowledgmentNumber", 4),
    ("dataOffset", 1),              # in the upper four bits, in units of 4 bytes
    ("controlBits", 1),
    ("window", 2),
    ("checksum", 2),
    ("urgentPointer", 2),
], byteorder="big")
