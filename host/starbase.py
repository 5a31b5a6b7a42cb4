"""Starbase messages, for programs that read what the venue said or compose what they send.

Prices are whole numbers of 1e-9, quantities mantissa and exponent. Field names are those of the
tables in tickwire.hdl.wire.starbase.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tickwire.hdl.wire import starbase
from tickwire.host.fields import Value, WireError, pack, unpack

__all__ = ["StarbaseMessage", "compose", "frames", "read"]

ZERO = b"\0"

_LAYOUTS: dict[int, Any] = {number: layout for table in (
    starbase.SESSION_TYPES, starbase.REQUEST_TYPES, starbase.RESPONSE_TYPES)
    for layout, number in table.items()}
_NUMBERS = {layout.name: number for number, layout in _LAYOUTS.items()}


@dataclass(frozen=True)
class StarbaseMessage:
    """One message.

    Members
    -------
    name : str
        As in the schema, such as ``NewOrderResponse``.
    header, fields : dict
        By name.
    groups : dict
        Group's name to its entries, each a dict.
    text : str
        Of the messages that end with one.
    """

    name: str
    fields: dict[str, Value]
    header: dict[str, Value] = field(default_factory=dict)
    groups: dict[str, list[dict[str, Value]]] = field(default_factory=dict)
    text: str = ""

    def __getitem__(self, name: str) -> Value:
        return self.fields[name]


def compose(message: StarbaseMessage) -> bytes:
    """A message as bytes with header and padding. WireError if something does not fit.

    The header's ``version`` is SCHEMA_VERSION if it is not given; length and type are filled in.
    """
    if message.name not in _NUMBERS:
        raise WireError(f"Starbase has no message {message.name!r}")
    number = _NUMBERS[message.name]
    layout = _LAYOUTS[number]
    header = {"version": starbase.SCHEMA_VERSION, **message.header}
    values = dict(message.fields)
    if layout in starbase.WITH_TEXT:
        values["text.length"] = len(message.text)
    body = _pack(layout, values, starbase.root_size(layout, header["version"]))
    for group in starbase.GROUPS.get(layout, ()):
        entries = [_pack(group, entry) for entry in message.groups.get(group.name, [])]
        body += starbase.GROUP_HEADER.pack(blockLength=group.size, numInGroup=len(entries))
        body += b"".join(entries)
    body += message.text.encode("ascii")
    length = starbase.HEADER.size + len(body)
    header |= {"protocolId": starbase.PROTOCOL_ID, "messageLength": length,
               "messageTypeId": number}
    image = _pack(starbase.HEADER, header) + body
    return image + bytes(starbase.padded(length) - length)


def frames(stream: bytearray) -> Iterator[bytes]:
    """The whole messages at the head of a stream, which are taken out of it; without padding.

    WireError where no header stands.
    """
    size = starbase.HEADER.size
    while len(stream) >= size:
        header = _unpack(starbase.HEADER, bytes(stream[:size]))
        length = int(header["messageLength"])
        if header["protocolId"] != starbase.PROTOCOL_ID or length < size:
            raise WireError(f"no Starbase header begins with {stream[:4].hex(' ')}")
        if len(stream) < starbase.padded(length):
            return
        image = bytes(stream[:length])
        del stream[:starbase.padded(length)]
        yield image


def read(image: bytes) -> StarbaseMessage:
    """Read a message without padding. WireError if it is none."""
    header = _unpack(starbase.HEADER, image)
    layout = _LAYOUTS.get(int(header["messageTypeId"]))
    if layout is None:
        raise WireError(f"message type {header['messageTypeId']} is unknown")
    root = starbase.root_size(layout, int(header["version"]))
    rest = image[starbase.HEADER.size:]
    values, rest = _unpack(layout, rest, root), rest[root:]
    groups: dict[str, list[dict[str, Value]]] = {}
    for group in starbase.GROUPS.get(layout, ()):
        size = _unpack(starbase.GROUP_HEADER, rest)
        block, count = int(size["blockLength"]), int(size["numInGroup"])
        rest = rest[starbase.GROUP_HEADER.size:]
        if block * count > len(rest):
            raise WireError(f"group {group.name} of {layout.name} does not fit")
        groups[group.name] = [_unpack(group, rest[block * one:block * (one + 1)])
                              for one in range(count)]
        rest = rest[block * count:]
    if values.pop("text.length", 0) != len(rest):
        raise WireError(f"{layout.name} has {len(image)} bytes, which its lengths do not say")
    return StarbaseMessage(layout.name, values, header, groups, rest.decode("ascii", "replace"))


def _pack(layout: Any, values: dict[str, Any], size: int | None = None) -> bytes:
    return pack(layout, values, text=starbase.TEXT_FIELDS, fill=ZERO, size=size)


def _unpack(layout: Any, image: bytes, size: int | None = None) -> dict[str, Value]:
    return unpack(layout, image, text=starbase.TEXT_FIELDS, fill=ZERO, size=size,
                  unsigned=starbase.UNSIGNED)
