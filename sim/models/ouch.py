"""Golden OUCH 5.0: messages to bytes and back; nothing of the gateware's tables is used.

Numbers are unsigned and big-endian, text has spaces on the right. Prices are in units of 1e-4,
timestamps nanoseconds since midnight.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

__all__ = ["OuchError", "Message", "EnterOrder", "ReplaceOrder", "CancelOrder", "SystemEvent",
           "Accepted", "Replaced", "Canceled", "Executed", "BrokenTrade", "Rejected",
           "CancelPending", "CancelReject", "from_client", "from_host"]

# Tag and value of each optional field.
Appendages = tuple[tuple[int, bytes], ...]


class OuchError(ValueError):
    """Bytes are no proper OUCH message; the text says why."""


def _pack_appendages(appendages: Appendages) -> bytes:
    image = b"".join(struct.pack("BB", 1 + len(value), tag) + value for tag, value in appendages)
    return struct.pack(">H", len(image)) + image


def _unpack_appendages(image: bytes, name: str) -> Appendages:
    if len(image) < 2 or len(image) - 2 != int.from_bytes(image[:2], "big"):
        raise OuchError(f"the appendage length of {name} does not fit in {len(image)} bytes")
    found, at = [], 2
    while at < len(image):
        length = image[at]
        if length < 1 or at + 1 + length > len(image):
            raise OuchError(f"an optional field of {name} has the length {length}, with "
                            f"{len(image) - at - 1} bytes left")
        found.append((image[at + 1], image[at + 2:at + 1 + length]))
        at += 1 + length
    return tuple(found)


@dataclass(frozen=True, kw_only=True)
class Message:
    """Base of all messages: ``TYPE`` is the type letter, ``FORMAT`` that of struct, in parts."""

    TYPE: ClassVar[str]
    FORMAT: ClassVar[str]

    def encode(self) -> bytes:
        """The message as bytes, its type first."""
        image = self.TYPE.encode("ascii")
        for field, code in zip(fields(self), self.FORMAT.split(), strict=False):
            value = getattr(self, field.name)
            if code == "a":
                image += _pack_appendages(value)
                continue
            try:
                if code.endswith("s"):
                    size = int(code[:-1])
                    if len(value) > size:
                        raise OuchError(f"{field.name} {value!r} is longer than {size} characters")
                    value = value.ljust(size).encode("ascii")
                image += struct.pack(">" + code, value)
            except (struct.error, UnicodeEncodeError):
                raise OuchError(f"{field.name} {value!r} does not fit its field") from None
        return image

    @classmethod
    def decode(cls, image: bytes) -> Self:
        """Read a message whose type is known to be this one."""
        codes = cls.FORMAT.split()
        layout = struct.Struct(">c" + "".join(code for code in codes if code != "a"))
        rest = image[layout.size:]
        if len(image) < layout.size or (rest and "a" not in codes):
            raise OuchError(f"{cls.__name__} has {len(image)} bytes, not {layout.size}")
        values: list[Any] = []
        for value in layout.unpack_from(image)[1:]:
            if isinstance(value, bytes):
                try:
                    values.append(value.decode("ascii").rstrip(" "))
                except UnicodeDecodeError:
                    raise OuchError(f"a text of {cls.__name__} is not ASCII") from None
            else:
                values.append(value)
        if "a" in codes:
            values.append(_unpack_appendages(rest, cls.__name__))
        return cls(**{field.name: value
                      for field, value in zip(fields(cls), values, strict=True)})


@dataclass(frozen=True, kw_only=True)
class EnterOrder(Message):
    TYPE = "O"
    FORMAT = "I 1s I 8s Q 1s 1s 1s 1s 1s 14s a"
    user_ref_num: int
    side: str
    quantity: int
    symbol: str
    price: int
    time_in_force: str = "0"
    display: str = "Y"
    capacity: str = "P"
    inter_market_sweep: str = "N"
    cross_type: str = "N"
    cl_ord_id: str = ""
    appendages: Appendages = ()


@dataclass(frozen=True, kw_only=True)
class ReplaceOrder(Message):
    """``quantity`` is the new size, fills of the order before included."""

    TYPE = "U"
    FORMAT = "I I I Q 1s 1s 1s 14s a"
    orig_user_ref_num: int
    user_ref_num: int
    quantity: int
    price: int
    time_in_force: str = "0"
    display: str = "Y"
    inter_market_sweep: str = "N"
    cl_ord_id: str = ""
    appendages: Appendages = ()


@dataclass(frozen=True, kw_only=True)
class CancelOrder(Message):
    """``quantity`` is the new size, fills included; 0 cancels all that is left."""

    TYPE = "X"
    FORMAT = "I I"
    user_ref_num: int
    quantity: int = 0


@dataclass(frozen=True, kw_only=True)
class SystemEvent(Message):
    TYPE = "S"
    FORMAT = "Q 1s"
    timestamp: int
    event_code: str


@dataclass(frozen=True, kw_only=True)
class Accepted(Message):
    TYPE = "A"
    FORMAT = "Q I 1s I 8s Q 1s 1s Q 1s 1s 1s 1s 14s a"
    timestamp: int
    user_ref_num: int
    side: str
    quantity: int
    symbol: str
    price: int
    time_in_force: str
    display: str
    order_reference_number: int
    capacity: str
    inter_market_sweep: str
    cross_type: str
    order_state: str
    cl_ord_id: str
    appendages: Appendages = ()


@dataclass(frozen=True, kw_only=True)
class Replaced(Message):
    TYPE = "U"
    FORMAT = "Q I I 1s I 8s Q 1s 1s Q 1s 1s 1s 1s 14s a"
    timestamp: int
    orig_user_ref_num: int
    user_ref_num: int
    side: str
    quantity: int
    symbol: str
    price: int
    time_in_force: str
    display: str
    order_reference_number: int
    capacity: str
    inter_market_sweep: str
    cross_type: str
    order_state: str
    cl_ord_id: str
    appendages: Appendages = ()


@dataclass(frozen=True, kw_only=True)
class Canceled(Message):
    """``quantity`` is what has gone from the order."""

    TYPE = "C"
    FORMAT = "Q I I 1s"
    timestamp: int
    user_ref_num: int
    quantity: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class Executed(Message):
    TYPE = "E"
    FORMAT = "Q I I Q 1s Q a"
    timestamp: int
    user_ref_num: int
    quantity: int
    price: int
    liquidity_flag: str
    match_number: int
    appendages: Appendages = ()


@dataclass(frozen=True, kw_only=True)
class BrokenTrade(Message):
    TYPE = "B"
    FORMAT = "Q I Q 1s 14s"
    timestamp: int
    user_ref_num: int
    match_number: int
    reason: str
    cl_ord_id: str


@dataclass(frozen=True, kw_only=True)
class Rejected(Message):
    TYPE = "J"
    FORMAT = "Q I H 14s"
    timestamp: int
    user_ref_num: int
    reject_reason: int
    cl_ord_id: str


@dataclass(frozen=True, kw_only=True)
class CancelPending(Message):
    TYPE = "P"
    FORMAT = "Q I"
    timestamp: int
    user_ref_num: int


@dataclass(frozen=True, kw_only=True)
class CancelReject(Message):
    TYPE = "I"
    FORMAT = "Q I"
    timestamp: int
    user_ref_num: int


CLIENT_MESSAGES: dict[str, type[Message]] = {
    kind.TYPE: kind for kind in (EnterOrder, ReplaceOrder, CancelOrder)}
HOST_MESSAGES: dict[str, type[Message]] = {
    kind.TYPE: kind for kind in (SystemEvent, Accepted, Replaced, Canceled, Executed, BrokenTrade,
                                 Rejected, CancelPending, CancelReject)}


def _decode(image: bytes, known: dict[str, type[Message]]) -> Message:
    letter = chr(image[0]) if image else ""
    if letter not in known:
        raise OuchError(f"message type {letter!r} is none of {', '.join(known)}")
    return known[letter].decode(image)


def from_client(image: bytes) -> Message:
    """Read what a client sends. OuchError if it is no such message."""
    return _decode(image, CLIENT_MESSAGES)


def from_host(image: bytes) -> Message:
    """Read what the venue sends. OuchError if it is no such message."""
    return _decode(image, HOST_MESSAGES)
