"""A gateway as a Python program sees it: configure, arm, watch, trade."""

from __future__ import annotations

import re
import struct
from ipaddress import AddressValueError, IPv4Address
from types import TracebackType
from typing import Self

from tickwire.host.board import Board, PcieBoard
from tickwire.host.books import Books
from tickwire.host.clock import Clock
from tickwire.host.errors import ArmingError, BoardError, RegisterError
from tickwire.host.events import Events
from tickwire.host.frames import Frames
from tickwire.host.limits import Risk, Strategies
from tickwire.host.network import Network
from tickwire.host.orders import Order, Orders, OrderTerms, Sent, Session, Templates
from tickwire.host.registers import Registers, identify
from tickwire.host.tables import Instrument, Instruments, Subscriptions
from tickwire.host.tcp import Tcp, TcpConnection

__all__ = ["Gateway"]

_PCI = re.compile(r"[0-9a-fA-F]{4}:[0-9a-fA-F]{2}:[0-9a-fA-F]{2}\.[0-7]")
POLICIES = ("after_fcs", "cut_through")
_LONGEST_PAYLOAD = 1472         # bytes in a datagram that is not fragmented


class Gateway:
    """One gateway on one board.

    Parameters
    ----------
    board : Board
        How the gateway is reached; :meth:`open` finds it by a name.

    Attributes
    ----------
    config : GatewayConfig
        Sizes that the board was built with.
    registers : Registers
        Every register by its name.
    instruments, subscriptions, strategy, risk, templates, session, books, events, frames, network,
    clock, tcp
        Parts of the gateway, each documented where it is defined.

    Raises
    ------
    BoardError
        If there is no gateway on the board, or one with another register table.
    """

    def __init__(self, board: Board) -> None:
        self.board = board
        self.config = identify(board)
        self.registers = Registers(board, self.config)
        self.subscriptions = Subscriptions(self.registers, self.config, empty=board.fresh)
        self.instruments = Instruments(self.registers, self.config, empty=board.fresh)
        self.templates = Templates(self.registers)
        self.strategy = Strategies(self.registers, self.templates)
        self.risk = Risk(self.registers, self.config, self.templates)
        self.session = Session(self.registers)
        self.books = Books(self.registers, self.instruments)
        self.events = Events(board.ring, self.registers)
        self.frames = Frames(board.frame_ring, self.registers, self.config.frame_slot)
        self.network = Network(self.registers)
        self.clock = Clock(self.registers, self.config)
        self.tcp = Tcp(self.registers, self.network, self.frames, self._write_frame)
        self._orders = Orders(self.registers, self.templates)

    @classmethod
    def open(cls, name: str) -> Self:
        """Open a board by its name.

        ``"sim:"`` starts a simulated card of one's own, which ends with this program;
        ``"sim:NAME"`` attaches to one that runs under a name; ``"0000:03:00.0"`` is a PCIe card.

        Raises
        ------
        BoardError
            If there is no such board, or it cannot be driven by this host.
        """
        board: Board
        if name.startswith("sim:"):
            from tickwire.host.simulated import SimulatedBoard

            board = SimulatedBoard.attach(name[4:]) if name[4:] else SimulatedBoard.start()
        elif _PCI.fullmatch(name):
            board = PcieBoard(name)
        else:
            raise BoardError(f"A board is named 'sim:', 'sim:NAME' or by a PCI address such as "
                             f"'0000:03:00.0', not {name!r}")
        try:
            return cls(board)
        except BaseException:
            board.close()
            raise

    def subscribe(self, group: str, port: int, channel: int) -> None:
        """Listen to a multicast group; its datagrams belong to this dense channel index."""
        self.subscriptions.add(group, port, channel)

    def add_instrument(self, name: str, *, id: int, channel: int, order_id: int | None = None,
                       index: int | None = None) -> Instrument:
        """Let the gateway know an instrument: see :meth:`Instruments.add`."""
        return self.instruments.add(name, id=id, channel=channel, order_id=order_id, index=index)

    @property
    def policy(self) -> str:
        """When the strategy's orders leave: ``"after_fcs"`` or ``"cut_through"``."""
        return POLICIES[self.registers.fields("CONTROL")["cut_through"]]

    @policy.setter
    def policy(self, value: str) -> None:
        if value not in POLICIES:
            raise RegisterError(f"CONTROL.CUT_THROUGH takes {' or '.join(map(repr, POLICIES))}, "
                                f"not {value!r}")
        self._control(cut_through=POLICIES.index(value))

    def publish(self, *, book: bool, ticker: bool) -> None:
        """Choose what comes as event records besides the orders."""
        self._control(publish_book=book, publish_ticker=ticker)

    def _control(self, **change: int) -> None:
        self.registers.write_fields("CONTROL", **{**self.registers.fields("CONTROL"), **change})

    def arm(self, *, dead_man: float | None = None) -> None:
        """Let orders leave, in two steps with a nonce.

        Parameters
        ----------
        dead_man : float
            Seconds within which :meth:`touch` must be called again and again; None for ever.

        Raises
        ------
        ArmingError
            If it did not arm, with what is in the way.
        """
        period = 0 if dead_man is None else round(dead_man * self.config.core_hz)
        if dead_man is not None and not 0 < period < 1 << 32:
            raise RegisterError(f"DEAD_MAN_PERIOD takes up to {(1 << 32) / self.config.core_hz} "
                                f"seconds, not {dead_man}")
        self.registers.write("DEAD_MAN_PERIOD", period)
        self.registers.command("ARM", self._nonce())
        status = self.status()
        if not status["armed"]:
            cause = ("the kill switch is pulled: gw.release_kill() releases it, unless its pin "
                     "is still active" if status["killed"] else
                     "the nonce was not taken: it had expired, or another program asked for one; "
                     "try again")
            raise ArmingError(f"STATUS.ARMED is 0 after ARM: {cause}.")

    def _nonce(self) -> int:
        self.registers.command("ARM_REQUEST")
        return self.registers.read("ARM_NONCE")

    def disarm(self) -> None:
        """Let no new order leave from the next cycle on."""
        self.registers.command("DISARM")

    def touch(self) -> None:
        """Tell the dead-man timer that this program lives."""
        self.registers.command("DEAD_MAN_TOUCH")

    def kill(self) -> None:
        """Pull the kill switch: it latches until :meth:`release_kill`."""
        self.registers.command("KILL")

    def release_kill(self) -> None:
        """Disarm and release the kill switch. ArmingError if it stays pulled."""
        self.disarm()
        self.registers.command("KILL_RELEASE", self._nonce())
        if self.status()["killed"]:
            raise ArmingError("STATUS.KILLED is 1 after KILL_RELEASE: its pin is still active, or "
                              "another program asked for a nonce; try again.")

    def trade_over(self, connection: TcpConnection, terms: OrderTerms | None = None, *,
                   venue_sequence: int = 1, last_processed: int = 0, client_id: int = 1) -> None:
        """Let orders leave through a connection of the hardware's. Only while disarmed.

        Parameters
        ----------
        connection : TcpConnection
            One that :meth:`Tcp.connect` has opened.
        terms : OrderTerms
            What all new orders have in common.
        venue_sequence, last_processed, client_id : int
            See :meth:`Session.follow`.
        """
        if connection.ends is None:
            raise RegisterError(f"session {connection.session} was opened by its peer: orders need "
                                "a connection of gw.tcp.connect(...)")
        self.templates.load(connection.ends, terms)
        self.session.follow(connection.session, venue_sequence=venue_sequence,
                            last_processed=last_processed, client_id=client_id)

    def send(self, order: Order) -> Sent:
        """Send an order through the risk gate. OrderRefusedError if it is refused."""
        return self._orders.send(order)

    def cancel(self, instrument: Instrument, client_id: int) -> Sent:
        """Cancel an order through the risk gate. OrderRefusedError if that is refused."""
        return self._orders.cancel(instrument, client_id)

    def send_frame(self, frame: bytes, *, repeat: int = 0) -> None:
        """Put a frame into the queue of those to send as they are; padding and FCS are added.

        Parameters
        ----------
        frame : bytes
            From the destination address on, without FCS: 14 to 1514 bytes.
        repeat : int
            Times to send it; 0 is once, too. :meth:`stop_frames` ends it early.
        """
        if not 14 <= len(frame) <= 1514:
            raise RegisterError(f"FRAME_SEND.LENGTH takes 14 to 1514 bytes, not {len(frame)}")
        self._write_frame(frame)
        self.registers.command_fields("FRAME_SEND", length=len(frame), repeat=repeat)

    def send_datagram(self, payload: bytes, to: str | IPv4Address, port: int, *,
                      source_port: int) -> None:
        """Send a UDP datagram from the hardware's own address, which makes all headers.

        It waits in the hardware until ARP has found the way; if there is none, it is dropped and
        counted in EDGE_UDP_UNRESOLVED.

        Parameters
        ----------
        payload : bytes
            Up to 1,472.
        to, port : str or IPv4Address, and int
            The destination.
        source_port : int
        """
        for name, number in (("port", port), ("source_port", source_port)):
            if not 0 <= number < 1 << 16:
                raise RegisterError(f"A datagram's {name} is 0 to 65535, not {number}")
        if len(payload) > _LONGEST_PAYLOAD:
            raise RegisterError(f"DATAGRAM_SEND takes up to {_LONGEST_PAYLOAD} bytes, not "
                                f"{len(payload)}: send more datagrams")
        try:
            address = IPv4Address(to)
        except AddressValueError:
            raise RegisterError(f"DATAGRAM_SEND takes an IPv4 address, not {str(to)!r}") from None
        if not self.registers.read("IPV4_ADDRESS"):
            raise RegisterError("DATAGRAM_SEND needs an address to send from, and IPV4_ADDRESS is "
                                "0: call gw.network.set_address first")
        head = struct.pack(">4sHH", address.packed, source_port, port)
        self._write_frame(head + payload)
        self.registers.command_fields("DATAGRAM_SEND", length=len(head) + len(payload))

    def _write_frame(self, content: bytes) -> None:
        if not self.frame_room:
            raise RegisterError("FRAME may not be written while STATUS.FRAME_BUSY is 1: the "
                                "queue is full or the last frame is repeated; try again, or end "
                                "the repetition with gw.stop_frames()")
        self.registers.write_window("FRAME", content)

    @property
    def frame_room(self) -> bool:
        """Whether the queue takes a frame now."""
        return not self.registers.fields("STATUS")["frame_busy"]

    def stop_frames(self) -> None:
        """End the repetition of a frame; what is in the queue still leaves."""
        self.registers.command("FRAME_STOP")

    def status(self) -> dict[str, bool]:
        """What may keep orders from leaving, and what is busy."""
        return {name: bool(value) for name, value in self.registers.fields("STATUS").items()}

    def stats(self) -> dict[str, int]:
        """Everything that the gateway counts, by name."""
        return self.registers.counters()

    @property
    def cycles(self) -> int:
        """Cycles of the core clock since reset."""
        return self.registers.read("CYCLES")

    def close(self) -> None:
        """Let the board go. A simulated card of one's own ends."""
        self.board.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()
