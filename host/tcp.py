"""TCP connections that live in hardware."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address

import numpy as np
from numpy.typing import NDArray
from tickwire.gateware.vocabulary import TcpCall, TcpEvent, TcpRefusal, TcpState
from tickwire.hdl.wire.order_template import Connection
from tickwire.host.errors import BusError, ConnectionEndedError, NetworkError, RegisterError
from tickwire.host.frames import Frames
from tickwire.host.network import Network
from tickwire.host.registers import Registers

__all__ = ["ConnectionStatus", "Tcp", "TcpConnection"]

_PATIENCE = 30.0        # seconds until the ring counts as stuck

#: Ports of ours that nobody has chosen: the dynamic ones (RFC 6335, 6).
_DYNAMIC = range(49_152, 65_536)
_OPEN = (TcpState.ESTABLISHED, TcpState.CLOSE_WAIT)
_RECEIVES = (TcpState.ESTABLISHED, TcpState.FIN_WAIT_1, TcpState.FIN_WAIT_2)
_COMING = (TcpState.LISTEN, TcpState.SYN_SENT, TcpState.SYN_RECEIVED)
_REMEDIES = {
    TcpEvent.REFUSED: "let something listen on that port",
    TcpEvent.TIMED_OUT: "look whether the peer is up and reachable, then connect again",
    TcpEvent.RESET: "ask the peer why, then connect again",
    TcpEvent.PEER_CLOSED: "connect again",
    TcpEvent.CLOSED: "connect again",
    TcpEvent.ABORTED: "connect again",
    TcpEvent.BAD_COMMAND: "use a session that is CLOSED, or abort its connection first",
    TcpEvent.BAD_ADDRESS: "give the address of one station",
}


@dataclass(frozen=True)
class ConnectionStatus:
    """A connection at one moment. Names in brackets are those of RFC 9293, 3.3.1.

    Members
    -------
    state, event : TcpState, TcpEvent
        How it is, and what happened to it last.
    retransmissions : int
        Since it was opened.
    send_next, send_unacknowledged, receive_next : int
        [SND.NXT], [SND.UNA], [RCV.NXT].
    send_window, usable_window, receive_window : int
        Bytes: [SND.WND], what it and congestion control allow, [RCV.WND].
    """

    state: TcpState
    event: TcpEvent
    retransmissions: int
    send_next: int
    send_unacknowledged: int
    send_window: int
    usable_window: int
    receive_next: int
    receive_window: int


class TcpConnection:
    """One session of the hardware's; :meth:`Tcp.connect` and :meth:`Tcp.listen` make them.

    Hardware acknowledges, retransmits and answers by itself, whatever this program does.

    Members
    -------
    session : int
    ends : Connection or None
        Addresses and ports of both ends; None if it was the peer who connected.
    """

    def __init__(self, tcp: Tcp, session: int, ends: Connection | None = None) -> None:
        self._tcp = tcp
        self.session = session
        self.ends = ends

    @property
    def status(self) -> ConnectionStatus:
        """How the connection is now."""
        return self._tcp.status(self.session)

    @property
    def state(self) -> TcpState:
        """Its state (RFC 9293, 3.3.2)."""
        return self._tcp.state(self.session)[0]

    def accept(self, timeout: float = 30.0) -> None:
        """Wait until the connection is established.

        Raises
        ------
        ConnectionEndedError
            If that failed, with what happened.
        NetworkError
            If it has not happened in time.
        """
        end = time.monotonic() + timeout
        while True:
            state, event = self._tcp.state(self.session)
            if state in _OPEN:
                return
            if state not in _COMING:
                raise self._ended(event)
            if time.monotonic() > end:
                raise NetworkError(f"session {self.session} is {state.name} after {timeout} s: "
                                   "does the peer answer? A simulated gateway's seconds are long")

    def send(self, data: bytes, timeout: float = 30.0) -> None:
        """Send bytes, in as many segments as are needed; waits while the window is full.

        Every byte is in the hardware when this returns, which delivers it or says that the
        connection has ended.

        Raises
        ------
        ConnectionEndedError
            If the connection does not take data any more.
        NetworkError
            If the peer's window has not opened in time.
        """
        end = time.monotonic() + timeout
        largest = self._tcp.largest
        for start in range(0, len(data), largest):
            piece = data[start:start + largest]
            while (refusal := self._tcp.offer(self.session, piece)) is not None:
                if refusal is TcpRefusal.TOO_LONG and len(piece) > 536:
                    self.send(piece[:len(piece) // 2], end - time.monotonic())
                    piece = piece[len(piece) // 2:]
                elif refusal is TcpRefusal.NO_SESSION:
                    raise self._ended(self._tcp.state(self.session)[1])
                if time.monotonic() > end:
                    raise NetworkError(f"session {self.session} did not take a message for "
                                       f"{timeout:.0f} s: {refusal.name}")

    def receive(self, most: int = 64) -> list[NDArray[np.uint8]]:
        """What has come, in order, at most ``most`` pieces of it; empty if nothing has.

        The pieces are views into the ring, good until the next call.
        """
        return [piece.data for piece in self._tcp.frames.received(self.session, most)]

    def read(self, length: int, timeout: float = 30.0) -> bytes:
        """Wait for at least one byte; copies up to ``length`` of them.

        ``b""`` once the peer has closed and all was read.

        Raises
        ------
        ConnectionEndedError
            If the connection was reset or has timed out.
        NetworkError
            If nothing has come in time.
        """
        end = time.monotonic() + timeout
        kept = self._tcp.kept[self.session]
        while not kept:
            # First the state: what has come before it is in the ring then, or pending.
            state, event = self._tcp.state(self.session)
            pending = self._tcp.pending(self.session)
            for piece in self.receive():
                kept += piece.data
            if not kept and not pending and state not in _RECEIVES:
                if event in (TcpEvent.RESET, TcpEvent.TIMED_OUT, TcpEvent.REFUSED):
                    raise self._ended(event)
                return b""
            if time.monotonic() > end:
                raise NetworkError(f"nothing has come for session {self.session} in "
                                   f"{timeout:.0f} s")
        found = bytes(kept[:length])
        del kept[:length]
        return found

    def close(self) -> None:
        """Send no more: FIN after what was sent. What the peer sends still comes."""
        self._tcp.call(TcpCall.CLOSE, self.session)

    def abort(self) -> None:
        """End it at once, with RST."""
        self._tcp.call(TcpCall.ABORT, self.session)

    def wait_closed(self, timeout: float = 30.0) -> TcpEvent:
        """Wait until both sides have closed, or TIME-WAIT; tells what happened last."""
        end = time.monotonic() + timeout
        while True:
            state, event = self._tcp.state(self.session)
            if state in (TcpState.CLOSED, TcpState.TIME_WAIT):
                return event
            if time.monotonic() > end:
                raise NetworkError(f"session {self.session} is still {state.name} after "
                                   f"{timeout:.0f} s: abort() ends it at once")

    def _ended(self, event: TcpEvent) -> ConnectionEndedError:
        return ConnectionEndedError(f"session {self.session} has no connection", event,
                                    _REMEDIES.get(event, "connect first"))


class Tcp:
    """The TCP engine of one gateway.

    Parameters
    ----------
    write : callable
        Writes the bytes of a message where the hardware takes them.
    """

    #: Reads before a call or a message counts as stuck.
    PATIENCE = 100_000

    def __init__(self, registers: Registers, network: Network, frames: Frames,
                 write: Callable[[bytes], None]) -> None:
        self._registers, self._network, self._write = registers, network, write
        self.frames = frames
        self.sessions = registers.read("TCP_SESSIONS")
        self.largest = registers.read("TCP_LARGEST")
        #: Bytes that were taken out of the ring and not yet read, by session.
        self.kept = [bytearray() for _ in range(self.sessions)]
        self._secret = False

    def connect(self, address: str | IPv4Address, port: int, *, local_port: int | None = None,
                session: int | None = None, keep_alive: bool = True,
                timeout: float = 30.0) -> TcpConnection:
        """Open a connection and wait until it is established.

        Parameters
        ----------
        local_port : int
            Ours; None: a dynamic one, at random.
        session : int
            The hardware's session to use; None: the first that is free.
        keep_alive : bool
            Probe the peer when the connection is idle for long.
        timeout : float
            Seconds to wait, ARP included.

        Raises
        ------
        ConnectionEndedError
            If the peer refuses.
        NetworkError
            If there is no way to the peer, or no answer in time.
        """
        connection = self.open(address, port, local_port=local_port, session=session,
                               keep_alive=keep_alive, timeout=timeout)
        connection.accept(timeout)
        return connection

    def open(self, address: str | IPv4Address, port: int, *, local_port: int | None = None,
             session: int | None = None, keep_alive: bool = True,
             timeout: float = 30.0) -> TcpConnection:
        """The same, without waiting: :meth:`TcpConnection.accept` does."""
        try:
            peer = IPv4Address(address)
        except AddressValueError:
            raise RegisterError(f"TCP_PEER_ADDRESS takes an IPv4 address, not {str(address)!r}"
                                ) from None
        chosen = self._free(session)
        mac = self._network.resolve(peer, timeout=timeout)
        self._prepare()
        self._registers.write("TCP_PEER_MAC", int(mac.replace(":", ""), 16))
        self._registers.write("TCP_PEER_ADDRESS", int(peer))
        own = self._ports(port, local_port)
        self.call(TcpCall.OPEN, chosen, keep_alive=keep_alive)
        station = self._registers.read("STATION").to_bytes(6).hex(":")
        return TcpConnection(self, chosen, Connection(
            source_mac=station, destination_mac=mac,
            source_ip=str(IPv4Address(self._registers.read("IPV4_ADDRESS"))),
            destination_ip=str(peer), source_port=own, destination_port=port))

    def listen(self, port: int, *, session: int | None = None, keep_alive: bool = True,
               again: bool = False) -> TcpConnection:
        """Wait for a peer to connect; :meth:`TcpConnection.accept` says when one has.

        Parameters
        ----------
        again : bool
            Listen again when the connection is over.
        """
        chosen = self._free(session)
        self._prepare()
        self._ports(0, port)
        self.call(TcpCall.LISTEN, chosen, keep_alive=keep_alive, again=again)
        return TcpConnection(self, chosen)

    def reset_strangers(self, on: bool) -> None:
        """Answer TCP to the hardware's address that belongs to no connection with a reset.

        Switched off, such segments are given to the host, whose kernel may have the address too.
        """
        fields = self._registers.fields("TCP_ENABLE")
        self._registers.write_fields("TCP_ENABLE", **{**fields, "claim_all": on})

    def call(self, kind: TcpCall, session: int, *, keep_alive: bool = False,
             again: bool = False) -> None:
        """Give the hardware a call of RFC 9293, 3.9.1."""
        self._until(lambda: not self._registers.read("TCP_BUSY"), "TCP_BUSY stays 1")
        self._registers.command_fields("TCP_CALL", session=session, kind=kind,
                                       keep_alive=keep_alive, again=again)
        self._until(lambda: not self._registers.read("TCP_BUSY"), "TCP_BUSY stays 1")

    def offer(self, session: int, message: bytes) -> TcpRefusal | None:
        """Let hardware send a message in one segment; None, or why it did not."""
        number = self._registers.read("TCP_MESSAGES") + 1 & 0xFFFF_FFFF
        self._write(message)
        self._registers.command_fields("TCP_MESSAGE", length=len(message), session=session)
        self._until(lambda: self._registers.read("TCP_MESSAGES") == number,
                    "TCP_MESSAGES does not move")
        result = self._registers.fields("TCP_MESSAGE_RESULT")
        return TcpRefusal(result["reason"]) if result["refused"] else None

    def state(self, session: int) -> tuple[TcpState, TcpEvent]:
        """State of a session, and what happened last to it."""
        self._registers.write("TCP_SELECT", session)
        found = self._registers.fields("TCP_STATE")
        return TcpState(found["state"]), TcpEvent(found["event"])

    def pending(self, session: int) -> bool:
        """Whether bytes that a session has received are on their way to the ring."""
        self._registers.write("TCP_SELECT", session)
        return bool(self._registers.fields("TCP_STATE")["pending"])

    def status(self, session: int) -> ConnectionStatus:
        """All that is known of a session."""
        state, event = self.state(session)
        r = self._registers
        return ConnectionStatus(
            state, event, r.fields("TCP_STATE")["retransmissions"], r.read("TCP_SEND_NEXT"),
            r.read("TCP_SEND_UNACKNOWLEDGED"), r.read("TCP_SEND_WINDOW"),
            r.read("TCP_USABLE_WINDOW"), r.read("TCP_RECEIVE_NEXT"),
            r.read("TCP_RECEIVE_WINDOW"))

    def _free(self, session: int | None) -> int:
        if session is None:
            session = next((n for n in range(self.sessions)
                            if self.state(n)[0] is TcpState.CLOSED), None)
            if session is None:
                raise RegisterError(f"TCP_SESSIONS: all {self.sessions} are in use: close or "
                                    "abort one")
        elif not 0 <= session < self.sessions:
            raise RegisterError(f"TCP_CALL.SESSION takes 0 to {self.sessions - 1}, not {session}")
        elif (state := self.state(session)[0]) is not TcpState.CLOSED:
            raise RegisterError(f"TCP_CALL.SESSION {session} is {state.name}: close or abort its "
                                "connection first")
        # What an earlier connection has received is not the next one's.
        end = time.monotonic() + _PATIENCE
        while self.frames.received(session) or self.pending(session):
            if time.monotonic() > end:
                raise BusError(f"TCP_STATE.PENDING of session {session} stays 1: frames of other "
                               "readers fill the ring; poll gw.frames, or the other connections")
        self.kept[session].clear()
        return session

    def _ports(self, peer: int, own: int | None) -> int:
        if own is None:
            own = _DYNAMIC[int.from_bytes(os.urandom(4)) % len(_DYNAMIC)]
        for name, number in (("PEER", peer), ("OWN", own)):
            if not 0 <= number < 1 << 16:
                raise RegisterError(f"TCP_PORTS.{name} is 0 to 65535, not {number}")
        self._registers.write_fields("TCP_PORTS", peer=peer, own=own)
        return own

    def _prepare(self) -> None:
        """A key that nobody knows, once for each card's life (RFC 6528, 3)."""
        r = self._registers
        if not self._secret and not (r.read("TCP_SECRET_LOW") or r.read("TCP_SECRET_HIGH")):
            for name in ("TCP_SECRET_LOW", "TCP_SECRET_HIGH"):
                r.write(name, int.from_bytes(os.urandom(8)))
        self._secret = True

    def _until(self, holds: Callable[[], bool], otherwise: str) -> None:
        for _ in range(self.PATIENCE):
            if holds():
                return
        raise BusError(f"{otherwise}: is the link up, or held by PAUSE frames?")
