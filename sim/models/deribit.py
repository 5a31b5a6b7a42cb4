"""Golden reader of Deribit's multicast feed (SBE schema 1, version 3), plain Python.

It stands apart from the gateware on purpose: every layout below is written down from the schema
once more, and nothing of tickwire.hdl is imported, so that a mistake there cannot agree with
itself here. All integers are little-endian.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

__all__ = ["DeribitError", "Datagram", "Message", "udp_payload", "parse_datagram", "NAMES"]

FRAME_HEADER = struct.Struct("<HHI")            # length, channel, sequence
MESSAGE_HEADER = struct.Struct("<6H")           # blockLength, templateId, schemaId, version,
GROUP_HEADER = struct.Struct("<4H")             # … numGroups, numVarDataFields

NAMES = {1000: "instrument", 1001: "book", 1002: "trades", 1003: "ticker", 1004: "snapshot",
         1005: "snapshotStart", 1006: "snapshotEnd", 1007: "comboLegs", 1008: "priceIndex",
         1009: "rfq", 1010: "instrumentV2"}

BLOCKS: dict[int, tuple[struct.Struct, tuple[str, ...]]] = {
    1000: (struct.Struct("<I5BBH8s8s8s8s8sQQ9d"), (
        "instrumentId", "instrumentState", "kind", "instrumentType", "optionType", "rfq",
        "settlementPeriod", "settlementPeriodCount", "baseCurrency", "quoteCurrency",
        "counterCurrency", "settlementCurrency", "sizeCurrency", "creationTimestampMs",
        "expirationTimestampMs", "strikePrice", "contractSize", "minTradeAmount", "tickSize",
        "makerCommission", "takerCommission", "blockTradeCommission",
        "maxLiquidationCommission", "maxLeverage")),
    1001: (struct.Struct("<IQQQB"), (
        "instrumentId", "timestampMs", "prevChangeId", "changeId", "isLast")),
    1002: (struct.Struct("<I"), ("instrumentId",)),
    1003: (struct.Struct("<IBQ15d"), (
        "instrumentId", "instrumentState", "timestampMs", "openInterest", "minSellPrice",
        "maxBuyPrice", "lastPrice", "indexPrice", "markPrice", "bestBidPrice", "bestBidAmount",
        "bestAskPrice", "bestAskAmount", "currentFunding", "funding8h",
        "estimatedDeliveryPrice", "deliveryPrice", "settlementPrice")),
    1004: (struct.Struct("<IQQBB"), (
        "instrumentId", "timestampMs", "changeId", "isBookComplete", "isLastInBook")),
    1005: (struct.Struct("<I"), ("snapshotDelay",)),
    1006: (struct.Struct("<"), ()),
    1007: (struct.Struct("<I"), ("instrumentId",)),
    1008: (struct.Struct("<16sdQ"), ("indexName", "price", "timestampMs")),
    1009: (struct.Struct("<IBBdQ"), ("instrumentId", "state", "side", "amount", "timestampMs")),
    1010: (struct.Struct("<I4BBH8s8s8s8s8sQQ9d"), (
        "instrumentId", "instrumentState", "kind", "instrumentType", "optionType",
        "settlementPeriod", "settlementPeriodCount", "baseCurrency", "quoteCurrency",
        "counterCurrency", "settlementCurrency", "sizeCurrency", "creationTimestampMs",
        "expirationTimestampMs", "strikePrice", "contractSize", "minTradeAmount", "tickSize",
        "makerCommission", "takerCommission", "blockTradeCommission",
        "maxLiquidationCommission", "maxLeverage")),
}
GROUPS: dict[int, struct.Struct] = {
    1001: struct.Struct("<BBdd"),               # side, change, price, amount
    1002: struct.Struct("<BddQddQQBBdQQ"),
    1004: struct.Struct("<Bdd"),                # side, price, amount
    1007: struct.Struct("<Ii"),
    1010: struct.Struct("<dd"),
}
TICKER_BID_PRICE, TICKER_BID_AMOUNT = 61, 69    # bytes from the block's begin
TICKER_ASK_PRICE, TICKER_ASK_AMOUNT = 77, 85


class DeribitError(ValueError):
    """A datagram does not follow the schema; the text says where."""


@dataclass(slots=True)
class Message:
    """One SBE message.

    Members
    -------
    template : int
        templateId.
    fields : dict
        Block fields by the schema's names.
    groups : list of tuples
        Elements of the first group, in the schema's order of fields.
    text : list of bytes
        Var data fields.
    begin, end : int
        Bytes of the message (header included) in the UDP payload: begin … end - 1.
    """

    template: int
    fields: dict[str, Any]
    groups: list[tuple[Any, ...]] = field(default_factory=list)
    text: list[bytes] = field(default_factory=list)
    begin: int = 0
    end: int = 0

    @property
    def name(self) -> str:
        return NAMES.get(self.template, f"template {self.template}")

    @property
    def block(self) -> int:
        """First byte of the block in the UDP payload."""
        return self.begin + MESSAGE_HEADER.size


@dataclass(slots=True)
class Datagram:
    """One UDP payload. ``channel`` and ``sequence`` are the frame header's."""

    channel: int
    sequence: int
    messages: list[Message]

    def counts(self) -> Counter[str]:
        return Counter(message.name for message in self.messages)


def udp_payload(frame: bytes) -> tuple[str, int, int, bytes] | None:
    """Destination address, port, offset of the payload in the frame, and the payload.

    None if the frame is not IPv4 UDP (one VLAN tag is stepped over).
    """
    ip = 18 if frame[12:14] == b"\x81\x00" else 14
    if frame[ip - 2:ip] != b"\x08\x00" or len(frame) < ip + 28 or frame[ip + 9] != 17:
        return None
    udp = ip + 4 * (frame[ip] & 15)
    port, length = struct.unpack_from(">HH", frame, udp + 2)
    if length < 8 or udp + length > len(frame):
        return None
    address = ".".join(str(octet) for octet in frame[ip + 16:ip + 20])
    return address, port, udp + 8, frame[udp + 8:udp + length]


def parse_datagram(payload: bytes) -> Datagram:
    """Read a datagram whole.

    Raises
    ------
    DeribitError
        If a length does not fit in what encloses it.
    """
    if len(payload) < FRAME_HEADER.size:
        raise DeribitError(f"{len(payload)} bytes are no frame header")
    length, channel, sequence = FRAME_HEADER.unpack_from(payload)
    if length != len(payload) - FRAME_HEADER.size:
        raise DeribitError(f"frame length {length}, but {len(payload) - FRAME_HEADER.size} bytes")
    return Datagram(channel, sequence, list(_messages(payload)))


def _messages(payload: bytes) -> Iterator[Message]:
    at = FRAME_HEADER.size
    while at < len(payload):
        begin = at
        if at + MESSAGE_HEADER.size > len(payload):
            raise DeribitError(f"message header cut at byte {at}")
        block_length, template, _, _, num_groups, num_var = MESSAGE_HEADER.unpack_from(payload, at)
        at += MESSAGE_HEADER.size
        if at + block_length > len(payload):
            raise DeribitError(f"block of {block_length} bytes at byte {at} does not fit")
        fields: dict[str, Any] = {}
        if template in BLOCKS:
            layout, names = BLOCKS[template]
            if block_length < layout.size:
                raise DeribitError(f"block of {NAMES[template]} has {block_length} bytes at byte "
                                   f"{at}, the schema has {layout.size}")
            fields = dict(zip(names, layout.unpack_from(payload, at), strict=True))
        message = Message(template, fields, begin=begin)
        at += block_length
        at = _groups(payload, at, num_groups, message)
        for _ in range(num_var):
            if at >= len(payload) or at + 1 + payload[at] > len(payload):
                raise DeribitError(f"var data cut at byte {at}")
            message.text.append(payload[at + 1:at + 1 + payload[at]])
            at += 1 + payload[at]
        message.end = at
        yield message


def _groups(payload: bytes, at: int, count: int, message: Message) -> int:
    for number in range(count):
        if at + GROUP_HEADER.size > len(payload):
            raise DeribitError(f"group header cut at byte {at}")
        length, elements, nested, var = GROUP_HEADER.unpack_from(payload, at)
        if nested or var:
            raise DeribitError(f"nested group or var data at byte {at}: not in this schema")
        at += GROUP_HEADER.size
        if at + length * elements > len(payload):
            raise DeribitError(f"group of {elements} × {length} bytes at byte {at} does not fit")
        layout = GROUPS.get(message.template) if number == 0 else None
        if layout is not None and length >= layout.size:
            message.groups = [layout.unpack_from(payload, at + index * length)
                              for index in range(elements)]
        at += length * elements
    return at
