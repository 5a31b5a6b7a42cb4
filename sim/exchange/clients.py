"""Plain clients of both gateways over kernel sockets: hardware sessions compare with them."""

from __future__ import annotations

import socket
import time
from collections import deque
from collections.abc import Callable

from tickwire.sim.models import ouch
from tickwire.sim.models import starbase_messages as sb
from tickwire.sim.models.soupbintcp import LoginAccepted, LoginRequest, Packet, Packets, packet
from tickwire.sim.models.starbase_wire import NEWEST, Frames, Header, Message, decode, encode

__all__ = ["ClosedError", "OuchClient", "StarbaseClient"]

CHUNK = 1 << 16


class ClosedError(ConnectionError):
    """The server has ended the connection."""


class _Client:
    def __init__(self, address: tuple[str, int], timeout: float) -> None:
        self.socket = socket.create_connection(address, timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def read(self) -> bytes:
        """Bytes that have come. ClosedError at the end, TimeoutError if none come."""
        try:
            data = self.socket.recv(CHUNK)
        except ConnectionResetError:
            data = b""
        if not data:
            raise ClosedError("the server has closed the connection")
        return data

    def close(self) -> None:
        self.socket.close()

    def reset(self) -> None:
        """End with a RST, as a process that dies does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()


class OuchClient(_Client):
    """A SoupBinTCP session with OUCH messages in it.

    Members
    -------
    sequence : int
        Of the sequenced message that comes next.
    heartbeats : int
        The server's.
    """

    def __init__(self, address: tuple[str, int], timeout: float = 10.0) -> None:
        super().__init__(address, timeout)
        self.sequence = 0
        self.heartbeats = 0
        self._packets = Packets()
        self._waiting: deque[Packet] = deque()

    def packet(self) -> Packet:
        """The next packet, whatever it is."""
        while not self._waiting:
            self._waiting += self._packets.feed(self.read())
        return self._waiting.popleft()

    def login(self, username: str, password: str, session: str = "",
              sequence: int = 1) -> Packet:
        """Log in; gives back the server's answer, accepted or rejected."""
        self.socket.sendall(LoginRequest(username, password, session, sequence).encode())
        answer = self.packet()
        if answer.type == "A":
            self.sequence = LoginAccepted.decode(answer.payload).sequence
        return answer

    def send(self, message: ouch.Message) -> None:
        self.socket.sendall(packet("U", message.encode()))

    def heartbeat(self) -> None:
        self.socket.sendall(packet("R"))

    def logout(self) -> None:
        self.socket.sendall(packet("O"))

    def message(self) -> ouch.Message:
        """The next sequenced message; heartbeats are counted. ClosedError at the session's end."""
        while (one := self.packet()).type != "S":
            if one.type == "Z":
                raise ClosedError("end of session")
            self.heartbeats += one.type == "H"
        self.sequence += 1
        return ouch.from_host(one.payload)


class StarbaseClient(_Client):
    """A Starbase session.

    Members
    -------
    sequence, expected : int
        Number of our next message, and of the server's.
    """

    def __init__(self, address: tuple[str, int], timeout: float = 10.0, *, version: int = NEWEST,
                 clock: Callable[[], int] = time.time_ns) -> None:
        super().__init__(address, timeout)
        self.version, self._clock = version, clock
        self.sequence = self.expected = 1
        self._frames = Frames()
        self._waiting: deque[tuple[Header, bytes]] = deque()

    def send(self, message: Message) -> None:
        self.socket.sendall(encode(
            message, sequence=self.sequence, version=self.version,
            last_processed=self.expected - 1, send_time=self._clock()))
        self.sequence += 1

    def frame(self) -> tuple[Header, Message]:
        """The next message with its header, whatever it is."""
        while not self._waiting:
            self._waiting += self._frames.feed(self.read())
        header, body = self._waiting.popleft()
        return header, decode(header, body)

    def message(self) -> Message:
        """The next message that is no heartbeat; test requests are answered."""
        while True:
            header, message = self.frame()
            if not header.flags:
                self.expected = header.sequence + 1
            if isinstance(message, sb.TestRequest):
                self.send(sb.Heartbeat(correlation_id=message.correlation_id))
            elif not isinstance(message, sb.Heartbeat):
                return message

    def logon(self, client_id: str, secret: str, *, reset: bool = True,
              cancel_on_disconnect: bool = False) -> Message:
        """Log on; gives back the server's answer, a LogonConf or a LoggedOut."""
        self.send(sb.Logon(client_id=client_id, secret=secret, reset_sequence=reset,
                           schema_version=self.version,
                           cancel_on_disconnect=cancel_on_disconnect))
        return self.message()
