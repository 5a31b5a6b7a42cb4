"""OUCH 5.0 in SoupBinTCP packets, for programs that read what the venue said or compose orders.

Prices are whole numbers of 1e-4. Field names are those of the tables in tickwire.hdl.wire.ouch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tickwire.hdl.wire import ouch, soupbintcp
from tickwire.hdl.wire.fixed import FixedLayout
from tickwire.host.fields import Value, WireError, pack, unpack

__all__ = ["OuchMessage", "compose", "read_message", "read_request", "packet", "login", "packets"]

SPACE = b" "


@dataclass(frozen=True)
class OuchMessage:
    """One message.

    Members
    -------
    name : str
        As in the specification, such as ``Order Executed``.
    fields : dict
        By name, numbers as int and texts as str.
    appendages : tuple of (int, bytes)
        Tag and value of the optional fields.
    """

    name: str
    fields: dict[str, Value]
    appendages: tuple[tuple[int, bytes], ...] = ()

    def __getitem__(self, field: str) -> Value:
        return self.fields[field]


def compose(message: OuchMessage) -> bytes:
    """A message as bytes, whichever side sends it. WireError if something does not fit."""
    letter, layout = next(((letter, layout) for table in (ouch.FROM_CLIENT, ouch.FROM_HOST)
                           for letter, layout in table.items() if layout.name == message.name),
                          (b"", None))
    if layout is None:
        raise WireError(f"OUCH has no message {message.name!r}")
    tail = b"".join(bytes([1 + len(value), tag]) + value for tag, value in message.appendages)
    values = {**message.fields, "type": letter.decode()}
    if ouch.with_appendages(layout):
        values["appendageLength"] = len(tail)
    elif tail:
        raise WireError(f"{message.name} has no optional fields")
    return pack(layout, values, text=ouch.TEXT_FIELDS, fill=SPACE) + tail


def read_message(image: bytes) -> OuchMessage:
    """Read what the venue says, such as an execution. WireError if it is no message."""
    return _read(image, ouch.FROM_HOST)


def read_request(image: bytes) -> OuchMessage:
    """Read what a client sends. WireError if it is no message."""
    return _read(image, ouch.FROM_CLIENT)


def packet(kind: bytes, payload: bytes = b"") -> bytes:
    """A SoupBinTCP packet; its types stand in tickwire.hdl.wire.soupbintcp."""
    header = soupbintcp.PACKET_HEADER
    head: bytes = header.pack(length=1 + len(payload), type=kind[0])
    return head + payload


def login(username: str, password: str, session: str = "", sequence: int = 1) -> bytes:
    """A SoupBinTCP login packet."""
    values: dict[str, Value] = {"username": username, "password": password,
                                "session": session.rjust(10),
                                "sequence": str(sequence).rjust(20)}
    return packet(soupbintcp.LOGIN, pack(soupbintcp.LOGIN_REQUEST, values, text=values,
                                         fill=SPACE))


def packets(stream: bytearray) -> Iterator[tuple[bytes, bytes]]:
    """Type and payload of the whole packets at the head of a stream, which are taken out of it."""
    header = soupbintcp.PACKET_HEADER
    while len(stream) >= header.size:
        end = header["type"].offset + int.from_bytes(stream[:header["length"].size], "big")
        if end < header.size:
            raise WireError("a SoupBinTCP packet has the length 0")
        if len(stream) < end:
            return
        image = bytes(stream[:end])
        del stream[:end]
        yield image[header["type"].offset:header.size], image[header.size:]


def _read(image: bytes, table: dict[bytes, FixedLayout]) -> OuchMessage:
    layout = table.get(image[:1])
    if layout is None:
        raise WireError(f"no message begins with {image[:1]!r}")
    values = unpack(layout, image, text=ouch.TEXT_FIELDS, fill=SPACE)
    tail = image[layout.size:]
    del values["type"]
    if values.pop("appendageLength", 0) != len(tail):
        raise WireError(f"{layout.name} has {len(image)} bytes, which its lengths do not say")
    found = []
    while tail:
        length = tail[0]
        if not 1 <= length < len(tail):
            raise WireError(f"an optional field of {layout.name} has the length {length}")
        found.append((tail[1], tail[2:1 + length]))
        tail = tail[1 + length:]
    return OuchMessage(layout.name, values, tuple(found))
