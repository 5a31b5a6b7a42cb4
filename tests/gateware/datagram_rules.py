"""What a feed decoder may take: structure, limits and values of a datagram, in plain Python.

Two kinds of rules stand apart here. *Structure*: every length fits in what encloses it, and all add
up; that follows from the encoding. *Limits*: what the gateway's decoder states that it cannot
follow although it is well-formed, see ``hdl/feed/lengths.py``.
"""

import struct
from dataclasses import dataclass, field

__all__ = ["BOOK", "TICKER", "SNAPSHOT", "Message", "Reading", "read", "price_key"]

BOOK, TICKER, SNAPSHOT = 1001, 1003, 1004
FRAME_HEADER = struct.Struct("<HHI")
MESSAGE_HEADER = struct.Struct("<6H")
GROUP_HEADER = struct.Struct("<4H")
# Of what is read: fields of the root block up to the last one, and of an entry.
ROOTS = {BOOK: struct.Struct("<IQQQB"), SNAPSHOT: struct.Struct("<IQQBB"),
         TICKER: struct.Struct("<IBQ48xQQQQ")}
ENTRIES = {BOOK: struct.Struct("<BBQQ"), SNAPSHOT: struct.Struct("<BQQ")}
IDENTITY = {BOOK: 12, SNAPSHOT: 12, TICKER: 13}     # bytes up to instrument and time
SCHEMA = 1
LONGEST_BLOCK, MOST_PARTS, MOST_ENTRIES = 2047, 15, 255
SHORTEST_ENTRY, STEP = 8, 8


class StructureError(ValueError):
    """Lengths do not fit."""


class LimitError(ValueError):
    """Well-formed, but more than the decoder follows."""


class ContentError(ValueError):
    """A field has a value that means nothing."""


@dataclass
class Message:
    """A message as far as it was read; fields are the raw numbers of the wire.

    Members
    -------
    root : tuple or None
        Fields of a message that is read, in the order of the wire.
    named : bool
        Instrument and time have come.
    levels : list of tuple
        Entries of the first group, if it is read.
    whole : bool
        All of it has come.
    """

    template: int
    named: bool = False
    instrument: int = 0
    root: tuple[int, ...] | None = None
    levels: list[tuple[int, ...]] = field(default_factory=list)
    whole: bool = False


@dataclass
class Reading:
    """What is in a datagram, and the first reason why it is not taken, if there is one."""

    messages: list[Message] = field(default_factory=list)
    sequence: int | None = None
    error: ValueError | None = None


def price_key(bits: int) -> int:
    """The order of doubles as integers; numbers nearer to zero than 2.3e-308 lose their sign."""
    if bits >> 63 and bits >> 52 & 0x7FF:
        return ~bits & (1 << 64) - 1
    return bits | 1 << 63


def finite(bits: int) -> bool:
    return bits >> 52 & 0x7FF != 0x7FF


def read(payload: bytes) -> Reading:
    """Read a payload to its end, or to the first thing that is wrong."""
    reading = Reading()
    try:
        _need(payload, 0, FRAME_HEADER.size)
        length, _, reading.sequence = FRAME_HEADER.unpack_from(payload)
        at = FRAME_HEADER.size
        while at < len(payload):
            at = _message(payload, at, reading)
        if length != len(payload) - FRAME_HEADER.size:
            raise StructureError(f"frame length {length} of {len(payload) - 8} bytes")
    except ValueError as error:
        reading.error = error
    return reading


def _need(payload: bytes, at: int, size: int) -> None:
    if at + size > len(payload):
        raise StructureError(f"{size} bytes at byte {at} of {len(payload)}")


def _message(payload: bytes, at: int, reading: Reading) -> int:
    """One message; the place behind it."""
    _need(payload, at, MESSAGE_HEADER.size)
    block, template, schema, _, groups, data = MESSAGE_HEADER.unpack_from(payload, at)
    at += MESSAGE_HEADER.size
    message = Message(template)
    reading.messages.append(message)
    layout = ROOTS.get(template)
    known = layout.size if layout else 0
    if schema != SCHEMA:
        raise LimitError(f"schema {schema}")
    if block > LONGEST_BLOCK or groups > MOST_PARTS or data > MOST_PARTS:
        raise LimitError(f"block of {block} bytes, {groups} groups, {data} data fields")
    if block < known:
        raise StructureError(f"block of {block} bytes, the fields of {template} have {known}")
    if template in ENTRIES and not groups:
        raise LimitError(f"message {template} without its group")
    if data and not groups and block < known + STEP - 1:
        raise LimitError(f"data {block - known} bytes behind the last field")
    _root(payload, at, message)
    _need(payload, at, block)
    at += block
    for number in range(groups):
        last = number == groups - 1
        at = _group(payload, at, message, levels=number == 0 and template in ENTRIES,
                    data_follows=bool(data) and last)
    for number in range(data):
        _need(payload, at, 1)
        if payload[at] < STEP - 1 and number < data - 1:
            raise LimitError(f"data of {payload[at]} bytes before other data")
        _need(payload, at, 1 + payload[at])
        at += 1 + payload[at]
    message.whole = True
    return at


def _root(payload: bytes, at: int, message: Message) -> None:
    """What can be said of the root block before its end is known to have come."""
    layout = ROOTS.get(message.template)
    if layout is None:
        return
    message.named = at + IDENTITY[message.template] <= len(payload)
    if message.named:
        message.instrument, = struct.unpack_from("<I", payload, at)
    if at + layout.size > len(payload):
        return
    message.root = layout.unpack_from(payload, at)
    flags = {BOOK: message.root[4:], SNAPSHOT: message.root[3:], TICKER: ()}[message.template]
    if any(flag > 1 for flag in flags):
        raise ContentError(f"flags {flags}")


def _group(payload: bytes, at: int, message: Message, *, levels: bool, data_follows: bool) -> int:
    _need(payload, at, GROUP_HEADER.size)
    size, count, nested, data = GROUP_HEADER.unpack_from(payload, at)
    at += GROUP_HEADER.size
    known = ENTRIES[message.template].size if levels else 0
    if count > MOST_ENTRIES:
        raise LimitError(f"{count} entries")
    if count and (nested or data or not SHORTEST_ENTRY <= size <= LONGEST_BLOCK):
        raise LimitError(f"entries of {size} bytes with {nested} groups and {data} data fields")
    if count and size < known:
        raise LimitError(f"entries of {size} bytes, the fields have {known}")
    if levels and data_follows and (not count or size < known + STEP - 1):
        raise LimitError("data right behind levels")
    for _ in range(count):
        if levels and at + known <= len(payload):
            _level(payload, at, message)
        _need(payload, at, size)
        at += size
    return at


def _level(payload: bytes, at: int, message: Message) -> None:
    level = ENTRIES[message.template].unpack_from(payload, at)
    if message.template == SNAPSHOT:
        level = (level[0], 0, *level[1:])
    side, change, price, _ = level
    if side > 1 or change > 2 or not finite(price):
        raise ContentError(f"side {side}, change {change}, price {price:#x}")
    message.levels.append(level)
