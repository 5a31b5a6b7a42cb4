"""The UDP header (RFC 768)."""

from .fixed import FixedLayout

__all__ = ["UDP_HEADER"]

UDP_HEADER = FixedLayout("UDP header", [
    ("sourcePort", 2),
    ("destinationPort", 2),
    ("length", 2),              # header and payload, bytes
    ("checksum", 2),            # 0: the sender made none
], byteorder="big")
