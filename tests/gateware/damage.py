"""Ways to damage a good frame: cut it, change a length in it, flip its bytes; checksums mended."""

import random
import struct
from collections.abc import Iterator
from typing import NamedTuple

from frame_rules import on_the_wire
from gateway_bench import with_payload
from tickwire.sim.rewrite import internet_checksum

__all__ = ["PAYLOAD", "CUTS", "cut", "mend", "numbered", "Field", "fields", "wrong_values",
           "replaced", "flipped"]

IP, UDP, PAYLOAD = 14, 34, 42       # where they begin in a frame without tag and options
CUTS = ("wire", "frame", "datagram")
MESSAGE_FIELDS = ("blockLength", "templateId", "schemaId", "version", "numGroups",
                  "numVarDataFields")
GROUP_FIELDS = ("group blockLength", "numInGroup", "group numGroups", "group numVarDataFields")


def cut(frame: bytes, how: str) -> Iterator[bytes]:
    """What is left of a frame, cut before each of its bytes, as it follows the preamble.

    Parameters
    ----------
    how : str
        ``"wire"``: broken off as it goes, FCS and all. ``"frame"``: the frame is shorter and has
        an FCS of its own. ``"datagram"``: the payload is shorter, and all around it is right.
    """
    if how == "wire":
        whole = on_the_wire(frame)
        yield from (whole[:length] for length in range(len(whole)))
    elif how == "frame":
        yield from (on_the_wire(frame[:length], pad=False) for length in range(len(frame)))
    else:
        yield from (on_the_wire(with_payload(frame, frame[PAYLOAD:length]))
                    for length in range(PAYLOAD, len(frame)))


def mend(frame: bytes) -> bytes:
    """Right checksums behind whatever lengths the headers tell, as far as they can be followed."""
    data = bytearray(frame)
    header, total = 4 * (data[IP] & 15), int.from_bytes(data[IP + 2:IP + 4], "big")
    if 20 <= header <= len(data) - IP:
        data[IP + 10:IP + 12] = bytes(2)
        data[IP + 10:IP + 12] = internet_checksum(bytes(data[IP:IP + header])).to_bytes(2, "big")
    begin, end = IP + header, min(IP + total, len(data))
    if end - begin >= 8:
        data[begin + 6:begin + 8] = bytes(2)
        pseudo = bytes(data[IP + 12:IP + 20]) + struct.pack(">HH", data[IP + 9], end - begin)
        checksum = internet_checksum(pseudo + bytes(data[begin:end])) or 0xFFFF
        data[begin + 6:begin + 8] = checksum.to_bytes(2, "big")
    return bytes(data)


def numbered(frame: bytes, sequence: int | None) -> bytes:
    """The frame with another sequence number of its datagram; None leaves the one it has."""
    if sequence is None:
        return frame
    payload = bytearray(frame[PAYLOAD:])
    struct.pack_into("<I", payload, 4, sequence)
    return with_payload(frame, bytes(payload))


class Field(NamedTuple):
    """A number in a frame. ``mask`` is its greatest value."""

    name: str
    at: int
    form: str
    value: int
    mask: int


def fields(frame: bytes) -> Iterator[Field]:
    """Every length, count and identifier in a frame's headers."""
    def field(name: str, at: int, form: str = "<H") -> Field:
        value, = struct.unpack_from(form, frame, at)
        return Field(name, at, form, value, (1 << 8 * struct.calcsize(form)) - 1)

    yield Field("header length", IP, "nibble", frame[IP] & 15, 15)
    yield field("total length", IP + 2, ">H")
    yield field("UDP length", UDP + 4, ">H")
    yield Field("both lengths", IP + 2, "pair", int.from_bytes(frame[IP + 2:IP + 4], "big"),
                0xFFFF)
    yield field("frame length", PAYLOAD)
    at = PAYLOAD + 8
    while at < len(frame):
        block, _, _, _, groups, data = struct.unpack_from("<6H", frame, at)
        yield from (field(name, at + 2 * n) for n, name in enumerate(MESSAGE_FIELDS))
        at += 12 + block
        for _ in range(groups):
            size, count = struct.unpack_from("<HH", frame, at)
            yield from (field(name, at + 2 * n) for n, name in enumerate(GROUP_FIELDS))
            at += 8 + size * count
        for _ in range(data):
            yield field("data length", at, "<B")
            at += 1 + frame[at]


def wrong_values(field: Field) -> list[int]:
    """Zero, one, one less, one more, the greatest; other messages' ids, too."""
    values = {0, 1, field.value - 1, field.value + 1, field.mask}
    if field.name == "templateId":
        values |= {1001, 1003, 1004, 1010, 1011}
    return sorted(one for one in values if 0 <= one <= field.mask and one != field.value)


def replaced(frame: bytes, field: Field, value: int) -> bytes:
    """The frame with another number there, and right checksums."""
    data = bytearray(frame)
    if field.form == "nibble":
        data[field.at] = data[field.at] & 0xF0 | value
    elif field.form == "pair":
        struct.pack_into(">H", data, field.at, value)
        struct.pack_into(">H", data, UDP + 4, max(0, value - (UDP - IP)))
    else:
        struct.pack_into(field.form, data, field.at, value)
    return mend(bytes(data))


def flipped(frame: bytes, rng: random.Random) -> bytes:
    """The frame with one to three bytes of it changed; checksums mended in nearly all."""
    data = bytearray(frame)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        first = rng.choice((0, PAYLOAD, PAYLOAD, PAYLOAD))
        at = rng.randrange(first, len(data))
        data[at] = rng.choice((data[at] ^ 1 << rng.randrange(8), rng.randrange(256), 0, 255))
    return mend(bytes(data)) if rng.random() < 0.95 else bytes(data)
