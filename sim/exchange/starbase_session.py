"""Starbase's session, the server's side: logon, numbered messages both ways, resending, logout."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field

from tickwire.sim.exchange.connection import Connection, DisconnectError, Session, Timing
from tickwire.sim.models import starbase_messages as sb
from tickwire.sim.models.starbase_wire import (
    NEWEST,
    RESEND,
    Frames,
    Header,
    Message,
    StarbaseMessageError,
    decode,
    encode,
)

__all__ = ["StarbaseUser", "StarbaseHost", "StarbaseSession", "RejectReason"]

OLDEST = 11                             # schema version that a client may ask for
FLAGS_AT = 1                            # of the header
APPLICATION = 100                       # message types from here on are not of the session


class RejectReason:
    """Of a Reject, as in the schema."""

    SCHEMA, TEMPLATE, LENGTH, VALUE = 1, 2, 3, 4


@dataclass
class StarbaseUser:
    """One account's numbers and everything that was said to it.

    Members
    -------
    sent : list of (bytes, bool)
        Message number 1 and on; the flag says that it is of the application.
    expected : int
        Number of the client's next message.
    """

    name: str
    clock: Callable[[], int]
    version: int = NEWEST
    sent: list[tuple[bytes, bool]] = field(default_factory=list)
    expected: int = 1
    session: StarbaseSession | None = None

    def say(self, message: Message) -> None:
        """Number a message, keep it, and send it if the user is connected."""
        image = encode(message, sequence=len(self.sent) + 1, version=self.version,
                       last_processed=self.expected - 1, send_time=self.clock())
        self.sent.append((image, message.TYPE >= APPLICATION))
        if self.session is not None:
            self.session.connection.send(image)

    def reset(self) -> None:
        self.sent.clear()
        self.expected = 1


class StarbaseHost(ABC):
    """The application above."""

    @abstractmethod
    def logon(self, client_id: str, secret: str) -> StarbaseUser | None:
        """The user; None if the two do not belong together."""

    @abstractmethod
    def logged_on(self, user: StarbaseUser, *, cancel_on_disconnect: bool) -> None:
        """The user is connected."""

    @abstractmethod
    def request(self, user: StarbaseUser, message: Message) -> None:
        """An order, an amendment or a cancel.

        Raises
        ------
        StarbaseMessageError
            If a field has a value that the schema does not know.
        """

    @abstractmethod
    def gone(self, user: StarbaseUser) -> None:
        """The user is no longer connected."""


class StarbaseSession(Session):
    """One connection."""

    def __init__(self, connection: Connection, host: StarbaseHost, timing: Timing) -> None:
        super().__init__(connection)
        self._host, self._timing = host, timing
        self._frames = Frames()
        self._user: StarbaseUser | None = None
        self._tests = 0

    def received(self, data: bytes) -> None:
        self._tests = 0
        try:
            for header, body in self._frames.feed(data):
                self._frame(header, body)
        except StarbaseMessageError as error:
            raise DisconnectError(str(error)) from None

    def tick(self) -> None:
        sent, received = self.connection.silence()
        if received > self._timing.patience:
            raise DisconnectError("silent for too long" if self._user else "no logon")
        if self._user is None:
            return
        if self._user.session is not self:
            raise DisconnectError("the user has logged on again")
        if received > self._timing.patience / 2 and not self._tests:
            self._tests += 1
            self._user.say(sb.TestRequest(correlation_id=self._tests))
        elif sent >= self._timing.heartbeat:
            self._user.say(sb.Heartbeat())

    async def pump(self) -> None:
        # Everything is sent when it happens: what a client does not read fills its connection.
        await asyncio.Event().wait()

    def farewell(self, reason: str) -> None:
        if self._user is None:
            self.connection.send(encode(sb.LoggedOut(reason=reason), sequence=1))
        elif self._user.session is self:
            self._user.say(sb.LoggedOut(reason=reason))

    def gone(self, reason: str) -> None:
        if self._user is not None and self._user.session is self:
            self._user.session = None
            self._host.gone(self._user)

    def _frame(self, header: Header, body: bytes) -> None:
        if self._user is None:
            if header.type != sb.Logon.TYPE:
                raise DisconnectError(f"message type {header.type} before the logon")
            message = decode(header, body)
            assert isinstance(message, sb.Logon)
            self._logon(header, message)
            return
        if header.sequence != self._user.expected:
            raise DisconnectError(f"sequence number {header.sequence}, expected "
                                  f"{self._user.expected}")
        self._user.expected += 1
        try:
            if header.version != self._user.version:
                raise StarbaseMessageError(
                    f"version {header.version}, the logon said {self._user.version}",
                    RejectReason.SCHEMA)
            self._message(self._user, decode(header, body))
        except StarbaseMessageError as error:
            self._user.say(sb.Reject(ref_sequence=header.sequence, reason=error.reason,
                                     details=str(error)))

    def _logon(self, header: Header, logon: sb.Logon) -> None:
        user = self._host.logon(logon.client_id, logon.secret)
        if user is None:
            raise DisconnectError("logon rejected: user and password do not belong together")
        version = logon.schema_version if header.version >= 12 else header.version
        if not OLDEST <= version <= NEWEST or version != header.version:
            raise DisconnectError(f"logon rejected: schema version {version} in a message of "
                                  f"version {header.version}; {OLDEST} to {NEWEST} are spoken")
        expected = 1 if logon.reset_sequence else user.expected
        if header.sequence != expected:
            raise DisconnectError(f"logon rejected: sequence number {header.sequence}, expected "
                                  f"{expected}")
        if logon.reset_sequence:
            user.reset()
        user.expected, user.version, user.session, self._user = expected + 1, version, self, user
        self._host.logged_on(user, cancel_on_disconnect=bool(
            header.version >= 13 and logon.cancel_on_disconnect))
        user.say(sb.LogonConf(heartbeat_interval=max(1, round(self._timing.heartbeat)),
                              schema_version=version))

    def _message(self, user: StarbaseUser, message: Message) -> None:
        if isinstance(message, sb.TestRequest):
            user.say(sb.Heartbeat(correlation_id=message.correlation_id))
        elif isinstance(message, sb.ResendRequest):
            self._resend(user, message)
        elif isinstance(message, sb.Logout):
            raise DisconnectError("logout")
        elif isinstance(message, sb.NewOrder | sb.Amend | sb.Cancel | sb.CancelById):
            self._host.request(user, message)
        elif not isinstance(message, sb.Heartbeat):
            raise StarbaseMessageError(f"a client does not send {type(message).__name__} here",
                                       RejectReason.TEMPLATE)

    def _resend(self, user: StarbaseUser, asked: sb.ResendRequest) -> None:
        if not 1 <= asked.first <= asked.last <= len(user.sent):
            raise StarbaseMessageError(f"messages {asked.first} to {asked.last} are not there, "
                                       f"only 1 to {len(user.sent)}", RejectReason.VALUE)
        gap = 0
        for number in range(asked.first, asked.last + 1):
            image, application = user.sent[number - 1]
            if application:
                self._fill_gap(user, gap, number)
                self.connection.send(image[:FLAGS_AT] + bytes([RESEND]) + image[FLAGS_AT + 1:])
                gap = 0
            else:
                gap = gap or number
        self._fill_gap(user, gap, asked.last + 1)

    def _fill_gap(self, user: StarbaseUser, gap: int, until: int) -> None:
        """In the place of the session's messages from ``gap`` on; 0: there are none."""
        if gap:
            self.connection.send(encode(
                sb.GapFill(new_sequence=until), sequence=gap, version=user.version,
                last_processed=user.expected - 1, send_time=user.clock(), flags=RESEND))
