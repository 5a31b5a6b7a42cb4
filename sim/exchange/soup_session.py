"""SoupBinTCP, the server's side: login, heartbeats, and a stream that outlives its clients."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod

from tickwire.sim.exchange.connection import Connection, DisconnectError, Session, Timing
from tickwire.sim.models.soupbintcp import (
    LoginAccepted,
    LoginRequest,
    Packet,
    Packets,
    SoupError,
    packet,
)

__all__ = ["SoupStream", "SoupHost", "SoupSession"]

BATCH = 64                              # packets of a replay between two looks at the socket
LONGEST = 2048                          # of a client's packet


class SoupStream:
    """Everything that was ever said to one user, numbered from 1.

    Members
    -------
    session : SoupSession or None
        The connection that is logged in.
    ended : bool
        The session is over; nothing is said any more.
    """

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.session: SoupSession | None = None
        self.ended = False
        self.news = asyncio.Event()

    def say(self, message: bytes) -> None:
        self.messages.append(message)
        self.news.set()


class SoupHost(ABC):
    """The application above: who may come in, and what their messages mean."""

    session_id: str

    @abstractmethod
    def login(self, username: str, password: str) -> SoupStream | None:
        """The user's stream; None if the two do not belong together."""

    @abstractmethod
    def unsequenced(self, username: str, message: bytes) -> None:
        """A client's message. DisconnectError if it is none."""

    @abstractmethod
    def gone(self, username: str) -> None:
        """The user is no longer connected."""


class SoupSession(Session):
    """One connection. A user's new login takes the place of the old one."""

    def __init__(self, connection: Connection, host: SoupHost, timing: Timing) -> None:
        super().__init__(connection)
        self._host, self._timing = host, timing
        self._packets = Packets(LONGEST)
        self._username = ""
        self._stream: SoupStream | None = None
        self._next = 0
        self._logged_in = asyncio.Event()
        self._replaced = False

    def received(self, data: bytes) -> None:
        try:
            for one in self._packets.feed(data):
                self._packet(one)
        except SoupError as error:
            raise DisconnectError(str(error)) from None

    def tick(self) -> None:
        if self._replaced:
            raise DisconnectError("the user has logged in again")
        sent, received = self.connection.silence()
        if received > self._timing.patience:
            raise DisconnectError("silent for too long" if self._stream else "no login")
        if self._stream is not None and sent >= self._timing.heartbeat:
            self.connection.send(packet("H"))

    async def pump(self) -> None:
        """Send the stream, from where the client asked for, as fast as it reads."""
        await self._logged_in.wait()
        stream = self._stream
        assert stream is not None
        while True:
            batch = stream.messages[self._next:self._next + BATCH]
            if batch:
                self._next += len(batch)
                self.connection.send(b"".join(packet("S", one) for one in batch))
                await self.connection.drained(self._timing.patience)
            elif stream.ended:
                raise DisconnectError("end of session")
            else:
                stream.news.clear()
                await stream.news.wait()

    def farewell(self, reason: str) -> None:
        """SoupBinTCP has words for the end of the session only."""
        if self._stream is not None and self._stream.ended:
            rest = self._stream.messages[self._next:]
            self.connection.send(b"".join(packet("S", one) for one in rest) + packet("Z"))

    def gone(self, reason: str) -> None:
        if self._stream is not None and self._stream.session is self:
            self._stream.session = None
            self._host.gone(self._username)

    def _packet(self, one: Packet) -> None:
        if self._stream is None:
            if one.type != "L":
                raise DisconnectError(f"packet {one.type!r} before the login")
            self._login(LoginRequest.decode(one.payload))
        elif one.type == "U":
            self._host.unsequenced(self._username, one.payload)
        elif one.type == "O":
            raise DisconnectError("logout")
        elif one.type not in "R+":
            raise DisconnectError(f"packet {one.type!r} from a client that is logged in")

    def _login(self, request: LoginRequest) -> None:
        stream = self._host.login(request.username, request.password)
        if stream is None:
            self._reject("A", "not authorised")
            return
        after = len(stream.messages) + 1
        if request.session not in ("", self._host.session_id):
            self._reject("S", f"no session {request.session!r}")
        if request.sequence > after:
            self._reject("S", f"sequence {request.sequence} is not there, only up to {after}")
        if stream.session is not None:
            stream.session.replace()
        stream.session, self._stream, self._username = self, stream, request.username
        first = request.sequence or after
        self._next = first - 1
        self.connection.send(LoginAccepted(self._host.session_id, first).encode())
        self._logged_in.set()

    def _reject(self, code: str, why: str) -> None:
        self.connection.send(packet("J", code.encode("ascii")))
        raise DisconnectError(f"login rejected: {why}")

    def replace(self) -> None:
        """Another connection has taken the place; this one ends at its next tick."""
        self._replaced = True
