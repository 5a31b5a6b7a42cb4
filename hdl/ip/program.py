"""The frames that the network edge makes, word by word, as tables for the composer's ROM."""

from dataclasses import dataclass, replace

from amaranth.lib import enum
from tickwire.hdl.wire import arp, icmp, igmp
from tickwire.hdl.wire.arp import ARP_PACKET, ETHERTYPE_ARP
from tickwire.hdl.wire.ethernet import ETHERNET_HEADER, ETHERTYPE_IPV4, multicast_mac
from tickwire.hdl.wire.icmp import ICMP_HEADER, PROTOCOL_ICMP
from tickwire.hdl.wire.igmp import GROUP_RECORD, IGMP_MESSAGE, PROTOCOL_IGMP, REPORT_HEADER
from tickwire.hdl.wire.ipv4 import DONT_FRAGMENT, IPV4_HEADER, PROTOCOL_UDP
from tickwire.hdl.wire.udp import UDP_HEADER

__all__ = ["Source", "Program", "Step", "PROGRAMS", "HEADER_BYTES"]

_TIME_TO_LIVE = 64          # RFC 1700
_BROADCAST = 0xFFFFFFFFFFFF

#: What stands before the rest of a frame that has one: Ethernet, IPv4, ICMP or UDP.
HEADER_BYTES = ETHERNET_HEADER.size + IPV4_HEADER.size + UDP_HEADER.size


class Source(enum.IntEnum, shape=5):
    """Where a 16-bit word comes from. Several of a kind are in the order of the wire."""

    CONSTANT = 0            # the step's operand
    FRAME = 1               # word `operand` of the frame in the buffer
    OWN_MAC_0 = 2
    OWN_MAC_1 = 3
    OWN_MAC_2 = 4
    OWN_ADDRESS_0 = 5
    OWN_ADDRESS_1 = 6
    MAC_0 = 7               # of the job
    MAC_1 = 8
    MAC_2 = 9
    ADDRESS_0 = 10          # of the job
    ADDRESS_1 = 11
    SOURCE_PORT = 12
    DESTINATION_PORT = 13
    LENGTH = 14             # bytes of the frame, plus the operand
    HEADER_CHECKSUM = 15
    CHECKSUM = 16
    UDP_CHECKSUM = 17       # never 0 (RFC 768)
    PAYLOAD_0 = 18          # the payload's sum, lower part first
    PAYLOAD_1 = 19
    SUM = 20                # what CHECKSUM is the complement of


class Program(enum.IntEnum, shape=4):
    """Frames that can be made."""

    COPY = 0                # the buffer's contents as they are
    ARP_REQUEST = 1         # for the job's address
    ARP_REPLY = 2           # to the request in the buffer
    ECHO_REPLY = 3
    PORT_UNREACHABLE = 4
    UDP_ECHO = 5
    UDP = 6                 # payload in the buffer, behind where the header would be
    V3_REPORT = 7           # job's address: the group; source port: record type in the upper byte
    REPORT = 8              # version 1 or 2; source port: the type in the upper byte
    LEAVE = 9


@dataclass(frozen=True)
class Step:
    """One word: where it comes from and what becomes of it."""

    source: Source = Source.CONSTANT
    operand: int = 0
    in_header_sum: bool = False     # adds to the IPv4 header's checksum
    in_sum: bool = False            # adds to the other one
    emit: bool = True


def _frame(*words):
    return [Step(Source.FRAME, word) for word in words]


_OWN_MAC = [Step(Source.OWN_MAC_0), Step(Source.OWN_MAC_1), Step(Source.OWN_MAC_2)]
_OWN_ADDRESS = [Step(Source.OWN_ADDRESS_0), Step(Source.OWN_ADDRESS_1)]
_MAC = [Step(Source.MAC_0), Step(Source.MAC_1), Step(Source.MAC_2)]
_ADDRESS = [Step(Source.ADDRESS_0), Step(Source.ADDRESS_1)]
_SENDER_MAC = _frame(3, 4, 5)           # Ethernet source address of the frame in the buffer
_SENDER_ADDRESS = _frame(13, 14)        # IPv4 source address


def _length(headers):
    """Length of what follows ``headers`` bytes."""
    return [Step(Source.LENGTH, -headers & 0xFFFF)]


def _words(layout, *, summed=False, **values):
    """Steps of a header. Values are numbers, or steps for the words from that field on."""
    image = layout.pack(**{name: value for name, value in values.items()
                           if isinstance(value, int)})
    steps = [Step(operand=int.from_bytes(image[at:at + 2]))
             for at in range(0, layout.size, 2)]
    for name, value in values.items():
        if not isinstance(value, int):
            at = layout[name].offset // 2
            steps[at:at + len(value)] = value
    checksums = (Source.HEADER_CHECKSUM, Source.CHECKSUM, Source.UDP_CHECKSUM, Source.SUM)
    return [replace(step, in_sum=summed and step.source not in checksums) for step in steps]


def _hidden(*steps):
    """Steps that are only summed: pseudo headers and what changes in a checksum."""
    return [replace(step, in_sum=True, emit=False) for step in steps]


def _ethernet(destination, ether_type):
    return _words(ETHERNET_HEADER, destinationAddress=destination, sourceAddress=_OWN_MAC,
                  etherType=ether_type)


def _arp(destination, operation, **target):
    return _ethernet(destination, ETHERTYPE_ARP) + _words(
        ARP_PACKET, hardwareType=arp.HARDWARE_ETHERNET, protocolType=ETHERTYPE_IPV4,
        hardwareAddressLength=6, protocolAddressLength=4, operation=operation,
        senderHardwareAddress=_OWN_MAC, senderProtocolAddress=_OWN_ADDRESS, **target)


def _ipv4(mac, address, protocol, *, option=0, **values):
    """Ethernet and IPv4; ``option`` are four bytes or none. Not fragmented, so the identification
    means nothing (RFC 6864, 4.1)."""
    words = IPV4_HEADER.size // 4 + bool(option)
    header = _words(IPV4_HEADER, **{
        "versionAndHeaderLength": 0x40 | words, "flagsAndFragmentOffset": DONT_FRAGMENT,
        "timeToLive": _TIME_TO_LIVE, "protocol": protocol,
        "headerChecksum": [Step(Source.HEADER_CHECKSUM)], "sourceAddress": _OWN_ADDRESS,
        "destinationAddress": address, **values})
    if option:
        header += [Step(operand=option >> 16), Step(operand=option & 0xFFFF)]
    return _ethernet(mac, ETHERTYPE_IPV4) + [
        replace(step, in_header_sum=step.source != Source.HEADER_CHECKSUM) for step in header]


def _igmp(destination, message_bytes, message):
    """``destination`` None: the group itself."""
    mac, address = (_MAC, _ADDRESS) if destination is None else (
        multicast_mac(destination), destination)
    return _ipv4(mac, address, PROTOCOL_IGMP, option=igmp.ROUTER_ALERT, timeToLive=1,
                 typeOfService=igmp.INTERNETWORK_CONTROL,
                 totalLength=IPV4_HEADER.size + 4 + message_bytes) + message


def _udp(**values):
    return _words(UDP_HEADER, **values)


_ICMP_ERROR = IPV4_HEADER.size + icmp.QUOTED_BYTES
_QUOTED = range(ETHERNET_HEADER.size // 2, (ETHERNET_HEADER.size + _ICMP_ERROR) // 2)

PROGRAMS = {
    Program.ARP_REQUEST: _arp(_BROADCAST, arp.REQUEST, targetProtocolAddress=_ADDRESS),
    Program.ARP_REPLY: _arp(_frame(11, 12, 13), arp.REPLY,
                            targetHardwareAddress=_frame(11, 12, 13, 14, 15)),
    Program.ECHO_REPLY:
        _ipv4(_SENDER_MAC, _SENDER_ADDRESS, PROTOCOL_ICMP,
              versionAndHeaderLength=_frame(7), totalLength=_frame(8), identification=_frame(9),
              flagsAndFragmentOffset=_frame(10)) +
        # Only the type has changed, to 0, so the checksum grows by what it was. This is RFC 1624,
        # but for a message of zeros, which that has wrong: its checksum is not 0.
        _hidden(*_frame(18), Step(operand=icmp.ECHO_REQUEST << 8)) +
        _words(ICMP_HEADER, type=icmp.ECHO_REPLY, checksum=[Step(Source.SUM)],
               identifier=_frame(19, 20)),
    Program.PORT_UNREACHABLE:
        _ipv4(_SENDER_MAC, _SENDER_ADDRESS, PROTOCOL_ICMP,
              typeOfService=igmp.INTERNETWORK_CONTROL,      # RFC 1812, 4.3.2.5
              totalLength=IPV4_HEADER.size + ICMP_HEADER.size + _ICMP_ERROR) +
        _words(ICMP_HEADER, type=icmp.DESTINATION_UNREACHABLE, code=icmp.PORT_UNREACHABLE,
               checksum=[Step(Source.CHECKSUM)], summed=True) +
        [replace(step, in_sum=True) for step in _frame(*_QUOTED)],
    Program.UDP_ECHO:
        _ipv4(_SENDER_MAC, _SENDER_ADDRESS, PROTOCOL_UDP,
              versionAndHeaderLength=_frame(7), totalLength=_frame(8), identification=_frame(9),
              flagsAndFragmentOffset=_frame(10)) +
        # Addresses and ports change places, which their sum does not see.
        _udp(sourcePort=_frame(18, 17, 19, 20)),
    Program.UDP:
        _ipv4(_MAC, _ADDRESS, PROTOCOL_UDP, totalLength=_length(ETHERNET_HEADER.size)) +
        _hidden(*_OWN_ADDRESS, *_ADDRESS, Step(operand=PROTOCOL_UDP),
                *_length(HEADER_BYTES - UDP_HEADER.size), Step(Source.PAYLOAD_0),
                Step(Source.PAYLOAD_1)) +
        _udp(sourcePort=[Step(Source.SOURCE_PORT), Step(Source.DESTINATION_PORT)],
             length=_length(HEADER_BYTES - UDP_HEADER.size),
             checksum=[Step(Source.UDP_CHECKSUM)], summed=True),
    Program.V3_REPORT: _igmp(
        igmp.V3_ROUTERS, REPORT_HEADER.size + GROUP_RECORD.size,
        _words(REPORT_HEADER, type=igmp.V3_REPORT, checksum=[Step(Source.CHECKSUM)],
               numberOfGroupRecords=1, summed=True) +
        _words(GROUP_RECORD, recordType=[Step(Source.SOURCE_PORT)], multicastAddress=_ADDRESS,
               summed=True)),
    Program.REPORT: _igmp(
        None, IGMP_MESSAGE.size,
        _words(IGMP_MESSAGE, type=[Step(Source.SOURCE_PORT)], checksum=[Step(Source.CHECKSUM)],
               groupAddress=_ADDRESS, summed=True)),
    Program.LEAVE: _igmp(
        igmp.ALL_ROUTERS, IGMP_MESSAGE.size,
        _words(IGMP_MESSAGE, type=igmp.V2_LEAVE, checksum=[Step(Source.CHECKSUM)],
               groupAddress=_ADDRESS, summed=True)),
}
