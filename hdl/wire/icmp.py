"""ICMP: echo and destination unreachable (RFC 792)."""

from .fixed import FixedLayout

__all__ = ["ICMP_HEADER", "PROTOCOL_ICMP", "ECHO_REPLY", "DESTINATION_UNREACHABLE", "ECHO_REQUEST",
           "PORT_UNREACHABLE", "QUOTED_BYTES"]

PROTOCOL_ICMP = 1       # IPv4 protocol number

ECHO_REPLY = 0          # type
DESTINATION_UNREACHABLE = 3
ECHO_REQUEST = 8

PORT_UNREACHABLE = 3    # code of DESTINATION_UNREACHABLE
QUOTED_BYTES = 8        # of the datagram, behind its IPv4 header, in an error message

ICMP_HEADER = FixedLayout("ICMP header", [
    ("type", 1),
    ("code", 1),
    ("checksum", 2),
    ("identifier", 2),          # unused in DESTINATION_UNREACHABLE
    ("sequenceNumber", 2),
], byteorder="big")
