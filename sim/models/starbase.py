"""Golden reader of order frames: Ethernet, IPv4, TCP, Starbase; plain Python, every checksum.

Stands apart from the gateware's tables on purpose. Starbase is little-endian (schema 2101).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["OrderFrame", "StarbaseError", "parse_order", "check_session"]

HEADER = struct.Struct("<BBHHHqqq")
NEW_ORDER = struct.Struct("<qqqqqbqbqbbHb")
CANCEL = struct.Struct("<qqq")
PROTOCOL, NEW, CANCEL_REQUEST = 0xDB, 100, 120


class StarbaseError(ValueError):
    """A frame is no proper order; the text says why."""


@dataclass(frozen=True)
class OrderFrame:
    """One order as it stands on the wire. Prices in 1e-9, quantity as a mantissa.

    ``side`` is 1 for a buy, -1 for a sell; of a cancel side, price and quantity are 0.
    """

    message: int
    tcp_sequence: int
    tcp_length: int
    venue_sequence: int
    client_id: int
    instrument: int
    price: int
    quantity: int
    side: int


def _sum(data: bytes) -> int:
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def parse_order(frame: bytes) -> OrderFrame:
    """Read an order frame (without FCS).

    Raises
    ------
    StarbaseError
        If a checksum is wrong, a length does not fit or the message is no order.
    """
    if len(frame) < 54 or frame[12:14] != b"\x08\x00" or frame[14] != 0x45 or frame[23] != 6:
        raise StarbaseError("no TCP over IPv4 without options")
    if _sum(frame[14:34]) != 0xFFFF:
        raise StarbaseError("wrong IPv4 header checksum")
    total, = struct.unpack_from(">H", frame, 16)
    if total < 40 or 14 + total > len(frame):
        raise StarbaseError(f"IPv4 total length {total} does not fit in {len(frame)} bytes")
    segment = frame[34:14 + total]
    if _sum(frame[26:34] + struct.pack(">HH", 6, len(segment)) + segment) != 0xFFFF:
        raise StarbaseError("wrong TCP checksum")
    sequence, = struct.unpack_from(">I", segment, 4)
    payload = segment[4 * (segment[12] >> 4):]
    if len(payload) < HEADER.size or payload[0] != PROTOCOL:
        raise StarbaseError("no Starbase header")
    _, _, length, message, _, venue_sequence, _, _ = HEADER.unpack_from(payload)
    if length > len(payload) or len(payload) % 8 or len(payload) - length >= 8:
        raise StarbaseError(f"messageLength {length} does not fit in {len(payload)} bytes")
    if message == NEW and length == HEADER.size + NEW_ORDER.size:
        client, _, instrument, price, quantity, _, _, _, _, side, _, _, _ = (
            NEW_ORDER.unpack_from(payload, HEADER.size))
    elif message == CANCEL_REQUEST and length == HEADER.size + CANCEL.size:
        client, _, instrument = CANCEL.unpack_from(payload, HEADER.size)
        price = quantity = side = 0
    else:
        raise StarbaseError(f"message {message} of {length} bytes is no order")
    return OrderFrame(message, sequence, len(payload), venue_sequence, client, instrument, price,
                      quantity, side)


def check_session(orders: Iterable[OrderFrame]) -> list[str]:
    """Faults of a sequence of orders of one session: TCP and venue numbers without a gap."""
    faults = []
    before: OrderFrame | None = None
    for number, order in enumerate(orders, 1):
        if before is not None:
            expected = (before.tcp_sequence + before.tcp_length) & 0xFFFFFFFF
            if order.tcp_sequence != expected:
                faults.append(f"order {number}: TCP sequence {order.tcp_sequence}, expected "
                              f"{expected}")
            if order.venue_sequence != before.venue_sequence + 1:
                faults.append(f"order {number}: venue sequence {order.venue_sequence}, expected "
                              f"{before.venue_sequence + 1}")
        before = order
    return faults
