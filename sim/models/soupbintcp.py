"""Golden SoupBinTCP 3.00: packets to bytes and back; nothing of the gateware's tables is used."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["SoupError", "Packet", "Packets", "LoginRequest", "LoginAccepted", "packet"]

LOGIN_REQUEST = struct.Struct("6s10s10s20s")
LOGIN_ACCEPTED = struct.Struct("10s20s")


class SoupError(ValueError):
    """Bytes are no proper SoupBinTCP; the text says why."""


@dataclass(frozen=True)
class Packet:
    """``type`` is one letter."""

    type: str
    payload: bytes = b""


def packet(kind: str, payload: bytes = b"") -> bytes:
    """A packet as bytes: big-endian length of type and payload, type, payload."""
    return struct.pack(">Hc", 1 + len(payload), kind.encode("ascii")) + payload


class Packets:
    """Cuts a TCP stream into packets, wherever the segments end.

    Parameters
    ----------
    longest : int
        A packet whose length says more is no packet.
    """

    def __init__(self, longest: int = 0xFFFF) -> None:
        self._longest = longest
        self._waiting = bytearray()

    def feed(self, data: bytes) -> Iterator[Packet]:
        """The packets that are whole now.

        Raises
        ------
        SoupError
            At a length that no packet has; the stream cannot be read any further.
        """
        self._waiting += data
        while len(self._waiting) >= 2:
            length = int.from_bytes(self._waiting[:2], "big")
            if not 1 <= length <= self._longest:
                raise SoupError(f"packet length {length} is not 1 to {self._longest}")
            if len(self._waiting) < 2 + length:
                return
            body = bytes(self._waiting[2:2 + length])
            del self._waiting[:2 + length]
            if not body[0] < 128:
                raise SoupError(f"packet type {body[0]:#x} is not ASCII")
            yield Packet(chr(body[0]), body[1:])


def _text(field: bytes, name: str) -> str:
    try:
        return field.decode("ascii").strip(" \0")
    except UnicodeDecodeError:
        raise SoupError(f"{name} is not ASCII") from None


def _number(field: bytes, name: str) -> int:
    digits = _text(field, name)
    if not digits.isdigit():
        raise SoupError(f"{name} {digits!r} is no number")
    return int(digits)


def _fill(text: str, size: int, name: str, *, left: bool) -> bytes:
    if len(text) > size:
        raise SoupError(f"{name} {text!r} is longer than {size} characters")
    try:
        return (text.rjust(size) if left else text.ljust(size)).encode("ascii")
    except UnicodeEncodeError:
        raise SoupError(f"{name} is not ASCII") from None


@dataclass(frozen=True)
class LoginRequest:
    """``session`` may be empty: the current one. ``sequence`` 0: only what comes from now on."""

    username: str
    password: str
    session: str
    sequence: int

    def encode(self) -> bytes:
        return packet("L", LOGIN_REQUEST.pack(
            _fill(self.username, 6, "username", left=False),
            _fill(self.password, 10, "password", left=False),
            _fill(self.session, 10, "session", left=True),
            _fill(str(self.sequence), 20, "sequence", left=True)))

    @classmethod
    def decode(cls, payload: bytes) -> LoginRequest:
        if len(payload) != LOGIN_REQUEST.size:
            raise SoupError(f"login request has {len(payload)} bytes, not {LOGIN_REQUEST.size}")
        username, password, session, sequence = LOGIN_REQUEST.unpack(payload)
        return cls(_text(username, "username"), _text(password, "password"),
                   _text(session, "session"), _number(sequence, "sequence"))


@dataclass(frozen=True)
class LoginAccepted:
    """``sequence`` is that of the sequenced message that comes next."""

    session: str
    sequence: int

    def encode(self) -> bytes:
        return packet("A", LOGIN_ACCEPTED.pack(
            _fill(self.session, 10, "session", left=True),
            _fill(str(self.sequence), 20, "sequence", left=True)))

    @classmethod
    def decode(cls, payload: bytes) -> LoginAccepted:
        if len(payload) != LOGIN_ACCEPTED.size:
            raise SoupError(f"login accepted has {len(payload)} bytes, not {LOGIN_ACCEPTED.size}")
        session, sequence = LOGIN_ACCEPTED.unpack(payload)
        return cls(_text(session, "session"), _number(sequence, "sequence"))
