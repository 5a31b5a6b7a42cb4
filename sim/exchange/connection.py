"""One client's TCP connection, and the server that gives each of them a session."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress

from tickwire.sim.exchange.record import Record

__all__ = ["DisconnectError", "Connection", "Session", "Timing", "Server"]

CHUNK = 1 << 16
PATIENCE_AT_END = 1.0       # seconds for what still has to go out
TURNS_TO_ACCEPT = 5         # of the event loop, from a connection to its session


class DisconnectError(Exception):
    """Ends a connection; the text is the reason that the record gets."""


class Timing:
    """How long is waited, in seconds.

    Parameters
    ----------
    heartbeat : float
        After so long without sending, a heartbeat is sent.
    patience : float
        A client that is silent, that has not logged in or that reads nothing for so long is cut
        off.
    """

    def __init__(self, heartbeat: float = 1.0, patience: float = 15.0) -> None:
        if not 0 < heartbeat < patience:
            raise ValueError(f"Timing heartbeat must be above 0 and below patience, not "
                             f"{heartbeat} of {patience}: give seconds")
        self.heartbeat, self.patience = heartbeat, patience


class Connection:
    """Bytes to a client, and when something last went either way.

    Parameters
    ----------
    most_waiting : int
        A client for which more bytes wait than this does not read and is cut off.
    """

    def __init__(self, writer: asyncio.StreamWriter, most_waiting: int = 1 << 22) -> None:
        self._writer, self._most_waiting = writer, most_waiting
        self._now = asyncio.get_running_loop().time
        self.opened = self.sent = self.received = self._now()
        self.ended = self.overrun = False
        # A client that is gone already has no name any more.
        host, port = (writer.get_extra_info("peername") or ("unknown", 0))[:2]
        self.peer = f"{host}:{port}"

    def send(self, data: bytes) -> None:
        if self.ended:
            return
        self._writer.write(data)
        self.sent = self._now()
        if self._writer.transport.get_write_buffer_size() > self._most_waiting:
            self.ended = self.overrun = True
            self._writer.transport.abort()

    async def drained(self, patience: float) -> None:
        """Wait until the kernel has taken most of what was sent.

        Raises
        ------
        DisconnectError
            If it takes too long.
        """
        try:
            await asyncio.wait_for(self._writer.drain(), patience)
        except TimeoutError:
            raise DisconnectError("does not read") from None

    def silence(self) -> tuple[float, float]:
        """Seconds since something was sent, and since something came."""
        now = self._now()
        return now - self.sent, now - self.received

    def close(self) -> None:
        """What was sent still goes out."""
        if not self.ended:
            self.ended = True
            self._writer.close()

    async def closed(self) -> None:
        """Wait until it is gone; a client that does not take the rest is cut off."""
        gone = asyncio.ensure_future(self._writer.wait_closed())
        with suppress(ConnectionError):
            try:
                await asyncio.wait_for(asyncio.shield(gone), PATIENCE_AT_END)
            except (TimeoutError, asyncio.CancelledError):
                self._writer.transport.abort()
                await gone


class Session(ABC):
    """What a protocol does on one connection. All methods may raise DisconnectError."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    @abstractmethod
    def received(self, data: bytes) -> None:
        """Bytes have come."""

    @abstractmethod
    def tick(self) -> None:
        """Called a few times in each heartbeat interval."""

    @abstractmethod
    def farewell(self, reason: str) -> None:
        """Say why the connection ends, if the protocol can."""

    @abstractmethod
    def gone(self, reason: str) -> None:
        """The connection has ended."""

    @abstractmethod
    async def pump(self) -> None:
        """Runs beside the connection and never ends: sends what waits until a client reads."""


class Server:
    """Listens, and runs a session on each connection.

    Parameters
    ----------
    name : str
        Of the protocol, for the record.
    session : callable
        Makes the session of a connection.
    """

    def __init__(self, name: str, session: Callable[[Connection], Session], timing: Timing,
                 record: Record) -> None:
        self.name, self._session, self._timing, self._record = name, session, timing, record
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, host: str, port: int) -> int:
        """Listen; gives back the port. OSError if that is not possible."""
        self._server = await asyncio.start_server(self._accept, host, port)
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def stop(self) -> None:
        """Stop listening and end all connections."""
        if self._server is not None:
            self._server.close()
        # What was accepted in this moment has a task some turns of the loop later.
        for _ in range(TURNS_TO_ACCEPT):
            await asyncio.sleep(0)
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        connection = Connection(writer)
        session = self._session(connection)
        self._record("connected", gateway=self.name, peer=connection.peer)
        reason, polite = "the exchange stops", True
        tasks = [asyncio.create_task(one) for one in (
            self._read(reader, session), self._ticks(session), session.pump())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            error = next((task.exception() for task in done), None)
            reason = str(error or "closed by the client")
            polite = isinstance(error, DisconnectError)
            if not isinstance(error, DisconnectError | ConnectionError | None):
                raise error
        except asyncio.CancelledError:
            # By stop(): asyncio's own streams do not want to hear of it.
            pass
        finally:
            for task in tasks:
                task.cancel()
            if polite:
                session.farewell(reason)
            session.gone(reason)
            self._record("disconnected", gateway=self.name, peer=connection.peer, reason=reason)
            connection.close()
            # All is said; stop() may still interrupt what is only waited for.
            try:
                await asyncio.gather(*tasks, return_exceptions=True)
            finally:
                await connection.closed()

    async def _read(self, reader: asyncio.StreamReader, session: Session) -> None:
        connection = session.connection
        while data := await reader.read(CHUNK):
            connection.received = asyncio.get_running_loop().time()
            session.received(data)
        if connection.overrun:
            raise DisconnectError("does not read")

    async def _ticks(self, session: Session) -> None:
        while True:
            await asyncio.sleep(self._timing.heartbeat / 4)
            session.tick()
