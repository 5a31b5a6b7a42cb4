"""Capture files: pcap and pcapng read as a stream, pcap written with nanoseconds.

The loops over records are ours, because dpkt's readers stop silently at a truncated record, keep
time as a float and know one interface; the layouts of headers and options are dpkt's.

Sources: draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import BinaryIO

import dpkt

__all__ = ["CaptureError", "CapturedPacket", "read_capture", "count_packets", "write_pcap"]

ETHERNET = 1
LINK_NAMES = {0: "BSD loopback", 101: "raw IP", 105: "IEEE 802.11", 113: "Linux cooked v1",
              276: "Linux cooked v2"}
MAX_RECORD = 1 << 24        # a longer record means that the length field is damaged
PCAP_MAGICS = {
    b"\xd4\xc3\xb2\xa1": ("<", 1_000), b"\xa1\xb2\xc3\xd4": (">", 1_000),
    b"\x4d\x3c\xb2\xa1": ("<", 1), b"\xa1\xb2\x3c\x4d": (">", 1),
}
SECTION_HEADER, INTERFACE, PACKET, SIMPLE_PACKET, ENHANCED_PACKET = 0x0A0D0D0A, 1, 2, 3, 6
ETHERNET_HEADER = 14
REMEDY_CUT = "copy the file again, or repair it with: editcap IN OUT"


class CaptureError(Exception):
    """A capture cannot be read. The text is one line: file, place, fault and remedy."""


@dataclass(frozen=True, slots=True)
class CapturedPacket:
    """One packet of a capture.

    Members
    -------
    number : int
        Position in the file, the first is 1 (as Wireshark counts).
    time_ns : int
        Nanoseconds since 1970, exact to the file's resolution.
    data : bytes
        From the destination address on, without FCS.
    length : int
        Bytes on the wire; more than ``len(data)`` if the capture was cut by a snap length.
    """

    number: int
    time_ns: int
    data: bytes
    length: int


class _File:
    """Reads exact amounts and knows where it is, so that an error can say where it happened."""

    def __init__(self, path: Path, handle: BinaryIO) -> None:
        self.path = path
        self.handle = handle
        self.offset = 0
        self.number = 0

    def error(self, fault: str, remedy: str, *, offset: int | None = None) -> CaptureError:
        at = self.offset if offset is None else offset
        place = f"packet {self.number}, offset {at}" if self.number else f"offset {at}"
        return CaptureError(f"{self.path}: {place}: {fault}; {remedy}")

    def take(self, count: int, *, may_end: bool = False) -> bytes:
        buffer = self.handle.read(count)
        if len(buffer) < count and not (may_end and not buffer):
            raise self.error(f"the file ends after {len(buffer)} of {count} bytes", REMEDY_CUT)
        self.offset += len(buffer)
        return buffer

    def check_link(self, linktype: int) -> None:
        if linktype != ETHERNET:
            name = LINK_NAMES.get(linktype, "unknown")
            raise self.error(f"link type {linktype} ({name}) is not Ethernet",
                             "capture on an Ethernet interface")

    def packet(self, time_ns: int, data: bytes, length: int, offset: int) -> CapturedPacket:
        if len(data) < ETHERNET_HEADER:
            raise self.error(f"{len(data)} bytes are less than an Ethernet header",
                             "capture with a snap length of 1518 or more", offset=offset)
        return CapturedPacket(self.number, time_ns, data, length)


def read_capture(path: str | Path) -> Iterator[CapturedPacket]:
    """Read pcap or pcapng packet by packet; memory does not grow with the file.

    Raises
    ------
    CaptureError
        If the file is missing, empty, truncated, damaged, not a capture or not Ethernet.
    """
    path = Path(path)
    try:
        handle = path.open("rb")
    except FileNotFoundError:
        raise CaptureError(f"{path}: no such file; give the path of a pcap or pcapng file, or "
                           "make one with: tickwire traffic") from None
    except OSError as error:
        raise CaptureError(f"{path}: cannot be opened: {error.strerror}; give the path of a pcap "
                           "or pcapng file") from None
    with handle:
        file = _File(path, handle)
        magic = handle.read(4)
        handle.seek(0)
        if not magic:
            raise file.error("the file is empty", "capture again")
        if magic in PCAP_MAGICS:
            packets = _pcap(file, *PCAP_MAGICS[magic])
        elif magic == b"\x0a\x0d\x0d\x0a":
            packets = _pcapng(file)
        else:
            raise file.error(f"begins with {magic.hex(' ')}, which is neither pcap nor pcapng",
                             "give a capture file, unpacked")
        number = 0
        for packet in packets:
            number = packet.number
            yield packet
        if not number:
            raise file.error("the capture has no packets", "capture again")


def count_packets(path: str | Path) -> int:
    """Number of packets in a capture, for progress bars. Raises like :func:`read_capture`."""
    return sum(1 for _ in read_capture(path))


def _pcap(file: _File, order: str, unit_ns: int) -> Iterator[CapturedPacket]:
    layout = dpkt.pcap.LEFileHdr if order == "<" else dpkt.pcap.FileHdr
    header = layout(file.take(24))
    file.check_link(header.linktype & 0xFFFF)       # the upper half says whether an FCS is there
    record = struct.Struct(order + "4I")
    while buffer := file.take(16, may_end=True):
        file.number += 1
        offset = file.offset - 16
        seconds, fraction, captured, length = record.unpack(buffer)
        if captured > MAX_RECORD:
            raise file.error(f"a record length of {captured} bytes cannot be", REMEDY_CUT,
                             offset=offset)
        yield file.packet(seconds * 1_000_000_000 + fraction * unit_ns, file.take(captured),
                          length, offset)


@dataclass
class _Interface:
    linktype: int
    units: int = 1_000_000      # of the time stamp, in a second
    offset_s: int = 0
    snaplen: int = 0


def _interface(file: _File, order: str, block: bytes) -> _Interface:
    layout = (dpkt.pcapng.InterfaceDescriptionBlockLE if order == "<"
              else dpkt.pcapng.InterfaceDescriptionBlock)
    try:
        header = layout(block)
    except (dpkt.Error, struct.error, ValueError):
        raise file.error("an interface description is damaged", REMEDY_CUT) from None
    interface = _Interface(linktype=header.linktype, snaplen=header.snaplen)
    for option in header.opts:
        if option.code == dpkt.pcapng.PCAPNG_OPT_IF_TSRESOL:
            exponent = option.data[0] & 0x7F
            interface.units = (2 if option.data[0] & 0x80 else 10) ** exponent
        elif option.code == dpkt.pcapng.PCAPNG_OPT_IF_TSOFFSET:
            interface.offset_s = struct.unpack(order + "q", option.data)[0]
    return interface


def _pcapng(file: _File) -> Iterator[CapturedPacket]:
    order = "<"
    interfaces: list[_Interface] = []
    while start := file.take(8, may_end=True):
        offset = file.offset - 8
        if start[:4] == b"\x0a\x0d\x0d\x0a":
            magic = file.take(4)
            if magic not in (b"\x4d\x3c\x2b\x1a", b"\x1a\x2b\x3c\x4d"):
                raise file.error("a section header has no byte order magic", REMEDY_CUT,
                                 offset=offset)
            order = "<" if magic[0] == 0x4D else ">"
            start += magic
            interfaces = []
        kind, length = struct.unpack_from(order + "II", start)
        if length < 12 or length % 4 or length > MAX_RECORD:
            raise file.error(f"a block length of {length} bytes cannot be", REMEDY_CUT,
                             offset=offset)
        if kind in (PACKET, SIMPLE_PACKET, ENHANCED_PACKET):
            file.number += 1
        block = start + file.take(length - len(start))
        if block[-4:] != block[4:8]:
            raise file.error("a block's two lengths differ", REMEDY_CUT, offset=offset)
        if kind == INTERFACE:
            interfaces.append(_interface(file, order, block))
        elif kind in (PACKET, SIMPLE_PACKET, ENHANCED_PACKET):
            yield _pcapng_packet(file, order, kind, block, interfaces, offset)


def _pcapng_packet(file: _File, order: str, kind: int, block: bytes,
                   interfaces: list[_Interface], offset: int) -> CapturedPacket:
    begin = 12 if kind == SIMPLE_PACKET else 28
    if len(block) < begin + 4:
        raise file.error(f"a packet block of {len(block)} bytes is too short", REMEDY_CUT,
                         offset=offset)
    high = low = index = 0
    if kind == SIMPLE_PACKET:
        length, = struct.unpack_from(order + "I", block, 8)
        captured = min(length, len(block) - 16)
    elif kind == ENHANCED_PACKET:
        index, high, low, captured, length = struct.unpack_from(order + "5I", block, 8)
    else:
        index, _, high, low, captured, length = struct.unpack_from(order + "2H4I", block, 8)
    if index >= len(interfaces):
        raise file.error(f"interface {index} was not described", REMEDY_CUT, offset=offset)
    interface = interfaces[index]
    file.check_link(interface.linktype)
    if kind == SIMPLE_PACKET and interface.snaplen:
        captured = min(captured, interface.snaplen)
    if captured > len(block) - begin - 4:
        raise file.error(f"{captured} captured bytes do not fit in a block of {len(block)}",
                         REMEDY_CUT, offset=offset)
    time_ns = (interface.offset_s * 1_000_000_000
               + (high << 32 | low) * 1_000_000_000 // interface.units)
    return file.packet(time_ns, block[begin:begin + captured], length, offset)


def write_pcap(path: str | Path, packets: Iterable[tuple[int, bytes]]) -> int:
    """Write Ethernet frames (without FCS) as pcap with nanosecond time stamps.

    Parameters
    ----------
    path : path
        The file is made or replaced.
    packets : iterable of (int, bytes)
        Nanoseconds since 1970 (or since the start of a run) and frame.

    Returns
    -------
    int
        Number of packets written.
    """
    count = 0
    with Path(path).open("wb") as handle:
        writer = dpkt.pcap.Writer(handle, snaplen=65535, nano=True)
        for time_ns, data in packets:
            # Decimal, because a float of seconds since 1970 has no nanoseconds.
            writer.writepkt_time(data, Decimal(time_ns).scaleb(-9))
            count += 1
    return count
