"""Golden framing and coding of Starbase order entry: blocks, groups and texts to bytes and back.

Deribit's schema 2101; little-endian. Nothing of the gateware's tables is used.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any, ClassVar, Self

__all__ = ["StarbaseMessageError", "Header", "Frames", "Block", "Message", "NEWEST", "RESEND",
           "encode", "decode"]

HEADER = struct.Struct("<BBHHHqqq")
PROTOCOL_ID = 0xDB
NULL = -(1 << 63)
RESEND = 1
NEWEST = 16


class StarbaseMessageError(ValueError):
    """Bytes are no proper message. ``reason``: RejectReason of the schema, 0 if none fits."""

    def __init__(self, text: str, reason: int = 0) -> None:
        super().__init__(text)
        self.reason = reason


@dataclass(frozen=True)
class Header:
    flags: int
    length: int
    type: int
    version: int
    sequence: int
    last_processed: int
    send_time: int


class Frames:
    """Cuts a TCP stream into messages, each padded with zeros to a multiple of 8."""

    def __init__(self, longest: int = 4096) -> None:
        self._longest = longest
        self._waiting = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[Header, bytes]]:
        """Header and body of the messages that are whole now, padding included.

        Raises
        ------
        StarbaseMessageError
            Where no header stands; the stream cannot be read any further.
        """
        self._waiting += data
        while len(self._waiting) >= HEADER.size:
            protocol, *rest = HEADER.unpack_from(self._waiting)
            header = Header(*rest)
            if protocol != PROTOCOL_ID:
                raise StarbaseMessageError(f"protocol id {protocol:#x} is not {PROTOCOL_ID:#x}", 1)
            if not HEADER.size <= header.length <= self._longest:
                raise StarbaseMessageError(f"message length {header.length} is not {HEADER.size} "
                                           f"to {self._longest}", 3)
            padded = -(-header.length // 8) * 8
            if len(self._waiting) < padded:
                return
            body = bytes(self._waiting[HEADER.size:header.length])
            del self._waiting[:padded]
            yield header, body


def _pack(code: str, value: Any) -> bytes:
    if code == "d":                                     # Decimal72
        if value is None:
            return struct.pack("<qb", NULL, -128)
        sign, digits, exponent = value.as_tuple()
        return struct.pack("<qb", int(value.scaleb(-exponent)), exponent)
    if code == "t":                                     # AsciiString
        text: bytes = value.encode("ascii", "replace")[:255]
        return struct.pack("B", len(text)) + text
    if code.endswith("s"):
        size = int(code[:-1])
        if len(value) > size:
            raise ValueError(f"{value!r} is longer than {size} characters")
        value = value.encode("ascii")
    image: bytes = struct.pack("<" + code, value)
    return image


def _size(code: str) -> int:
    return 9 if code == "d" else 1 if code == "t" else struct.calcsize("<" + code)


def _unpack(code: str, image: bytes, at: int) -> tuple[Any, int]:
    """Value and where the next one begins."""
    end = at + _size(code)
    if code == "t":
        end += image[at]
        if end > len(image):
            raise StarbaseMessageError("a text is longer than its message", 3)
        return image[at + 1:end].decode("ascii", "replace"), end
    if code == "d":
        mantissa, exponent = struct.unpack_from("<qb", image, at)
        return None if mantissa == NULL else Decimal(mantissa).scaleb(exponent), end
    value, = struct.unpack_from("<" + code, image, at)
    if isinstance(value, bytes):
        return value.rstrip(b"\0 ").decode("ascii", "replace"), end
    return value, end


@dataclass(frozen=True, kw_only=True)
class Block:
    """Fields in a row. ``FORMAT``: struct's codes, d for Decimal72, t for AsciiString, each
    perhaps with ``@`` and the first version that has it."""

    FORMAT: ClassVar[str]

    @classmethod
    def codes(cls, version: int) -> list[str]:
        parts = [part.partition("@") for part in cls.FORMAT.split()]
        return [code for code, _, since in parts if int(since or 0) <= version]

    def encode(self, version: int) -> bytes:
        """Bytes of the block. ValueError if a value does not fit."""
        image = b""
        for field, code in zip(fields(self), self.codes(version), strict=False):
            try:
                image += _pack(code, getattr(self, field.name))
            except (struct.error, UnicodeEncodeError, ValueError) as error:
                raise ValueError(f"{field.name} of {type(self).__name__}: {error}") from None
        return image

    @classmethod
    def decode(cls, image: bytes, at: int, version: int) -> tuple[Self, int]:
        codes = cls.codes(version)
        if at + sum(map(_size, codes)) > len(image):
            raise StarbaseMessageError(
                f"{cls.__name__} has {len(image) - at} bytes, too few for version {version}", 3)
        values = {}
        for field, code in zip(fields(cls), codes, strict=False):
            values[field.name], at = _unpack(code, image, at)
        return cls(**values), at


@dataclass(frozen=True, kw_only=True)
class Message(Block):
    """``TYPE``: messageTypeId. ``GROUPS``: classes of the groups, which are the last fields."""

    TYPE: ClassVar[int]
    GROUPS: ClassVar[tuple[type[Block], ...]] = ()
    KNOWN: ClassVar[dict[int, type[Message]]] = {}

    def __init_subclass__(cls) -> None:
        if "TYPE" in vars(cls):
            Message.KNOWN[cls.TYPE] = cls


def encode(message: Message, *, sequence: int, version: int = NEWEST, last_processed: int = 0,
           send_time: int = 0, flags: int = 0) -> bytes:
    """A message with header and padding. ValueError if a value does not fit its field."""
    body = message.encode(version)
    names = [field.name for field in fields(message)]
    for kind, name in zip(message.GROUPS, names[len(names) - len(message.GROUPS):], strict=True):
        entries = [entry.encode(version) for entry in getattr(message, name)]
        block = sum(map(_size, kind.codes(version)))
        body += struct.pack("<HH", block, len(entries)) + b"".join(entries)
    length = HEADER.size + len(body)
    header = HEADER.pack(PROTOCOL_ID, flags, length, message.TYPE, version, sequence,
                         last_processed, send_time)
    return header + body + bytes(-length % 8)


def decode(header: Header, body: bytes) -> Message:
    """Read a message.

    Raises
    ------
    StarbaseMessageError
        If the type is unknown or the lengths do not fit.
    """
    kind = Message.KNOWN.get(header.type)
    if kind is None:
        raise StarbaseMessageError(f"message type {header.type} is unknown", 2)
    message, at = kind.decode(body, 0, header.version)
    groups: dict[str, tuple[Block, ...]] = {}
    names = [field.name for field in fields(kind)]
    for group, name in zip(kind.GROUPS, names[len(names) - len(kind.GROUPS):], strict=True):
        if at + 4 > len(body):
            raise StarbaseMessageError(f"{kind.__name__} ends before its group {name}", 3)
        block, count = struct.unpack_from("<HH", body, at)
        at += 4
        if at + block * count > len(body) or block < sum(map(_size, group.codes(header.version))):
            raise StarbaseMessageError(f"group {name} of {count} × {block} bytes does not fit", 3)
        groups[name] = tuple(group.decode(body, at + number * block, header.version)[0]
                             for number in range(count))
        at += block * count
    if at != len(body):
        raise StarbaseMessageError(f"{kind.__name__} has {len(body)} bytes, not {at}", 3)
    if groups:
        values = {name: getattr(message, name) for name in names} | groups
        return kind(**values)
    return message
