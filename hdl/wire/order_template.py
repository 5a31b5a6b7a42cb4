"""Order frames with holes: where each field stands, and the rows that the host writes.

A frame is Ethernet II (14 bytes), IPv4 without options (20, RFC 791), TCP without options (20,
RFC 9293) and one Starbase message with its padding. Everything that is the same in every order of
a connection is in the template; the gateway fills the holes while the frame leaves.

The TCP checksum is prepared too: in its place the template carries the one's-complement sum (RFC
1071) of the pseudo header and of all bytes that are constant, holes counted as zero. It is the
sum itself, not its complement, and stands in network byte order like the checksum.
"""

import ipaddress
import re
from dataclasses import dataclass
from typing import NamedTuple

from . import starbase
from .tcp import ACK, PROTOCOL_TCP, PSH, TCP_HEADER

__all__ = ["BEAT_BYTES", "TEMPLATE_BEATS", "Hole", "OrderLayout", "NEW_ORDER", "CANCEL_ORDER",
           "ORDER_LAYOUTS", "Connection", "OrderTerms", "new_order_template",
           "cancel_order_template"]

BEAT_BYTES = 8
TEMPLATE_BEATS = 32         # rows of one template in the gateway's memory

ETHERNET_BYTES = 14
ETHERTYPE_IPV4 = 0x0800
IPV4_BYTES = 20
IPV4_DONT_FRAGMENT = 0x4000
TCP_OFFSET = ETHERNET_BYTES + IPV4_BYTES
PAYLOAD_OFFSET = TCP_OFFSET + TCP_HEADER.size
BODY_OFFSET = PAYLOAD_OFFSET + starbase.HEADER.size


class Hole(NamedTuple):
    """Bytes ``offset`` … ``offset + size - 1`` of the frame, filled with ``value``."""

    value: str
    offset: int
    size: int
    byteorder: str


class OrderLayout:
    """Where the parts of one kind of order frame stand; offsets count from the frame's first byte.

    Parameters
    ----------
    message : FixedLayout
        The Starbase message's body.
    values : dict
        Field of the body to name of the value that fills it.

    Attributes
    ----------
    message_length, payload_length, frame_length : int
        Bytes of the message, of the message with padding, of the frame without FCS.
    beats, last_lanes : int
        Beats of the frame; bytes in its last beat.
    checksum_offset : int
        First byte of the TCP checksum.
    holes : tuple of Hole
        All other holes, in the order of the wire.
    """

    def __init__(self, message, values):
        self.message = message
        self.message_length = starbase.HEADER.size + message.size
        self.payload_length = starbase.padded(self.message_length)
        self.frame_length = PAYLOAD_OFFSET + self.payload_length
        self.beats = -(-self.frame_length // BEAT_BYTES)
        self.last_lanes = self.frame_length - (self.beats - 1) * BEAT_BYTES
        if self.beats > TEMPLATE_BEATS:
            raise ValueError(f"A frame of {message.name} has {self.beats} beats, and a template "
                             f"holds {TEMPLATE_BEATS}")
        self.checksum_offset = TCP_OFFSET + TCP_HEADER["checksum"].offset

        def holes(layout, base, values):
            for field in layout:
                if field.name in values:
                    yield Hole(values[field.name], base + field.offset, field.size,
                               layout.byteorder)

        self.holes = (
            *holes(TCP_HEADER, TCP_OFFSET, {
                "sequenceNumber": "sequence",
                "acknowledgmentNumber": "acknowledgement",
                "window": "window"}),
            *holes(starbase.HEADER, PAYLOAD_OFFSET, {
                "sequenceNumber": "venue_sequence",
                "lastProcessedSeqNo": "last_processed",
                "sendTimeNs": "send_time"}),
            *holes(message, BODY_OFFSET, values))
        for hole in self.holes:
            if hole.offset % 2:
                raise ValueError(f"Hole {hole.value} of {message.name} begins at the odd byte "
                                 f"{hole.offset}: it would straddle the checksum's words")


NEW_ORDER = OrderLayout(starbase.NEW_ORDER_REQUEST, {
    "clientOrderId": "client_id",
    "correlationId": "client_id",
    "instrumentId": "instrument",
    "price": "price",
    "quantity.mantissa": "quantity",
    "side": "side"})

CANCEL_ORDER = OrderLayout(starbase.CANCEL_ORDER_REQUEST, {
    "clientOrderId": "client_id",
    "correlationId": "client_id",
    "instrumentId": "instrument"})

ORDER_LAYOUTS = (NEW_ORDER, CANCEL_ORDER)   # indexed by the order's action; also template number


def _mac(name, text):
    if not re.fullmatch(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}", text):
        raise ValueError(f"{name} must be six pairs of hexadecimal digits with colons between "
                         f"them, not {text!r}")
    return bytes.fromhex(text.replace(":", ""))


def _ipv4(name, text):
    try:
        return ipaddress.IPv4Address(text).packed
    except ValueError:
        raise ValueError(f"{name} must be an IPv4 address such as 192.0.2.1, "
                         f"not {text!r}") from None


def _check_range(name, value, low, high):
    if not low <= value <= high:
        raise ValueError(f"{name} must be from {low} to {high}, not {value!r}")


@dataclass(frozen=True, kw_only=True)
class Connection:
    """What does not change while a TCP connection to the venue lives.

    Raises
    ------
    ValueError
        If an address is not written properly or a number out of range, with what is allowed.
    """

    source_mac: str
    destination_mac: str                    # of the next hop
    source_ip: str
    destination_ip: str
    source_port: int
    destination_port: int
    schema_version: int = starbase.SCHEMA_VERSION
    time_to_live: int = 64
    type_of_service: int = 0

    def __post_init__(self):
        _mac("source_mac", self.source_mac)
        if _mac("destination_mac", self.destination_mac)[0] & 1:
            raise ValueError("destination_mac must be the address of one station, not the group "
                             f"address {self.destination_mac}")
        _ipv4("source_ip", self.source_ip)
        _ipv4("destination_ip", self.destination_ip)
        _check_range("source_port", self.source_port, 1, 65535)
        _check_range("destination_port", self.destination_port, 1, 65535)
        _check_range("schema_version", self.schema_version, 0, 65535)
        _check_range("time_to_live", self.time_to_live, 1, 255)
        _check_range("type_of_service", self.type_of_service, 0, 255)


@dataclass(frozen=True, kw_only=True)
class OrderTerms:
    """Fields of a NewOrderRequest that are the same in every order.

    Quantities are mantissa × 10 ** exponent; ``quantity_exponent`` belongs to the mantissa that
    comes with each order. ``show_quantity`` None shows all of it.

    Raises
    ------
    ValueError
        If a field is out of its range, with what is allowed.
    """

    quantity_exponent: int = 0
    show_quantity: int | None = None
    self_match_prevention_id: int = 0
    time_in_force: int = -2                 # immediate or cancel
    flags: int = 0
    self_trading_mode: int = 0

    def __post_init__(self):
        _check_range("quantity_exponent", self.quantity_exponent, -127, 127)
        if self.show_quantity is not None:
            _check_range("show_quantity", self.show_quantity, 1, (1 << 63) - 1)
        _check_range("self_match_prevention_id", self.self_match_prevention_id,
                     -(1 << 63), (1 << 63) - 1)
        _check_range("time_in_force", self.time_in_force, -2, 127)
        _check_range("flags", self.flags, 0, 65535)
        _check_range("self_trading_mode", self.self_trading_mode, 0, 1)


def new_order_template(connection, terms):
    """Rows of a NewOrderRequest's template: see :func:`cancel_order_template`."""
    shows_all = terms.show_quantity is None
    return _template(NEW_ORDER, connection, {
        "quantity.exponent": terms.quantity_exponent,
        "showQty.mantissa": starbase.NULL_INT64 if shows_all else terms.show_quantity,
        "showQty.exponent": starbase.NULL_INT8 if shows_all else terms.quantity_exponent,
        "selfMatchPreventionId": terms.self_match_prevention_id,
        "timeInForce": terms.time_in_force,
        "flags": terms.flags,
        "selfTradingMode": terms.self_trading_mode})


def cancel_order_template(connection):
    """Rows of a CancelOrderRequest's template.

    Returns
    -------
    list of int
        One 64-bit number a beat; the byte that leaves first is the least significant. Rows
        beyond the frame's last beat need not be written.
    """
    return _template(CANCEL_ORDER, connection, {})


def _sum(image):
    """One's-complement sum of ``image`` in 16-bit words (RFC 1071)."""
    total = sum(int.from_bytes(image[at:at + 2].ljust(2, b"\0"), "big")
                for at in range(0, len(image), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def _template(layout, connection, constants):
    source, destination = (_ipv4("", connection.source_ip), _ipv4("", connection.destination_ip))
    ethernet = (_mac("", connection.destination_mac) + _mac("", connection.source_mac)
                + ETHERTYPE_IPV4.to_bytes(2, "big"))
    total_length = layout.frame_length - ETHERNET_BYTES
    # Identification is 0: RFC 6864, 4.1 allows any value in a datagram that is not fragmented.
    ipv4 = bytearray((0x45, connection.type_of_service, *total_length.to_bytes(2, "big"), 0, 0,
                      *IPV4_DONT_FRAGMENT.to_bytes(2, "big"), connection.time_to_live,
                      PROTOCOL_TCP, 0, 0)) + source + destination
    ipv4[10:12] = (0xFFFF - _sum(ipv4)).to_bytes(2, "big")
    tcp = TCP_HEADER.pack(
        sourcePort=connection.source_port, destinationPort=connection.destination_port,
        dataOffset=TCP_HEADER.size // 4 << 4, controlBits=PSH | ACK)
    header = starbase.HEADER.pack(
        protocolId=starbase.PROTOCOL_ID, messageLength=layout.message_length,
        messageTypeId=starbase.MESSAGE_TYPES[layout.message], version=connection.schema_version)
    segment = tcp + header + layout.message.pack(**constants)
    segment += bytes(TCP_HEADER.size + layout.payload_length - len(segment))
    pseudo_header = (source + destination + PROTOCOL_TCP.to_bytes(2, "big")
                     + len(segment).to_bytes(2, "big"))
    frame = bytearray(ethernet + ipv4 + segment)
    at = layout.checksum_offset
    frame[at:at + 2] = _sum(pseudo_header + segment).to_bytes(2, "big")
    return [int.from_bytes(frame[at:at + BEAT_BYTES], "little")
            for at in range(0, len(frame), BEAT_BYTES)]
