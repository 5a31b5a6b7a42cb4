"""Orders of the host's, and what all orders need: templates and the session they run in."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from decimal import Decimal

from tickwire.gateware.vocabulary import Action, Reason, Side
from tickwire.hdl.wire.order_template import (
    ORDER_LAYOUTS,
    TEMPLATE_BEATS,
    Connection,
    OrderTerms,
    cancel_order_template,
    new_order_template,
)
from tickwire.host.errors import BusError, OrderRefusedError, RegisterError
from tickwire.host.price import Exact, to_key
from tickwire.host.registers import Registers
from tickwire.host.tables import Instrument

__all__ = ["Order", "Sent", "Orders", "Templates", "Session", "Connection", "OrderTerms",
           "REMEDIES"]

#: What a host can do about a refusal.
REMEDIES = {
    Reason.NOT_ARMED: "arm the gateway with gw.arm()",
    Reason.KILLED: "release the kill switch with gw.release_kill(), then arm",
    Reason.HOST_TIMEOUT: "arm again, and call gw.touch() within the dead-man period",
    Reason.LOG_FULL: "take event records with gw.events.poll()",
    Reason.NO_SESSION: "connect and call gw.trade_over(connection), or load an open session with "
                       "gw.session.load(open=1, ...)",
    Reason.RESTRICTED: "enable the instrument with gw.risk.set(instrument, ...)",
    Reason.STALE_BOOK: "wait for a snapshot that mends the instrument's book",
    Reason.MALFORMED: "the quantity must not be 0 and the instrument must be known",
    Reason.SIZE: "change the quantity, or the limits with gw.risk.set(instrument, ...)",
    Reason.PRICE_BAND: "change the price, or the band with gw.risk.set(instrument, ...)",
    Reason.RATE: "send fewer orders, or set the budget with gw.risk.rate(...)",
    Reason.NO_WINDOW: "wait for the venue's acknowledgements, or hand them over with "
                      "gw.session.acknowledge(...) if the connection is not the hardware's",
    Reason.TX_BUSY: "send again: another frame was leaving, or a PAUSE frame holds orders back "
                    "(gw.network.obey_pause(orders=False) lets them leave)",
    Reason.BAD_FRAME: "none: the market data was damaged",
    Reason.INEXACT_PRICE: "give a price that is a multiple of 1e-9",
    Reason.ABORTED: "none: the frame was broken off while leaving",
}


@dataclass(frozen=True, kw_only=True)
class Order:
    """A new order. ``side`` BID buys, ASK sells."""

    instrument: Instrument
    side: Side
    price: Exact
    quantity: int | Decimal


@dataclass(frozen=True)
class Sent:
    """An order or a cancel that has left.

    Members
    -------
    client_id : int
        The order's id; of a cancel, the id of the order to cancel.
    venue_sequence : int
        The venue's number of the message.
    """

    client_id: int
    venue_sequence: int


class Templates:
    """Order frames that the gateway fills and sends."""

    def __init__(self, registers: Registers) -> None:
        self._registers = registers
        self.quantity_exponent = 0

    def load(self, connection: Connection, terms: OrderTerms | None = None) -> None:
        """Write the templates of all actions. Only while the gateway is disarmed."""
        terms = terms or OrderTerms()
        if self._registers.fields("STATUS")["armed"]:
            raise RegisterError("TEMPLATE may not be written while the gateway is armed: call "
                                "gw.disarm() first")
        rows = {Action.NEW: new_order_template(connection, terms),
                Action.CANCEL: cancel_order_template(connection)}
        assert len(rows) == len(ORDER_LAYOUTS)
        for action, template in rows.items():
            for beat, row in enumerate(template):
                self._registers.write_row("TEMPLATE", action * TEMPLATE_BEATS + beat, bytes=row)
        self.quantity_exponent = terms.quantity_exponent

    def mantissa(self, quantity: int | Decimal) -> int:
        """A quantity as a multiple of 10 ** quantity_exponent.

        Raises
        ------
        RegisterError
            If it is no such multiple, or does not fit 32 bits.
        """
        scaled = Decimal(quantity).scaleb(-self.quantity_exponent)
        if scaled != scaled.to_integral_value() or not 0 <= scaled < 1 << 32:
            raise RegisterError("ORDER_QUANTITY takes whole multiples of "
                                f"1e{self.quantity_exponent}, up to {(1 << 32) - 1} of them, not "
                                f"{quantity}: set quantity_exponent in OrderTerms")
        return int(scaled)


class Session:
    """The order session: TCP and venue sequence numbers, as RFC 9293 and the venue name them."""

    _STATE = ("sequence", "unacknowledged", "peer_window", "acknowledgement", "venue_sequence",
              "last_processed", "client_id")

    def __init__(self, registers: Registers) -> None:
        self._registers = registers

    def load(self, *, open: int = 1, sequence: int, unacknowledged: int | None = None,
             peer_window: int, acknowledgement: int, window: int, venue_sequence: int,
             last_processed: int = 0, client_id: int = 1) -> None:
        """Load all of the session at once."""
        self._registers.write_row(
            "SESSION", 0, open=open, sequence=sequence,
            unacknowledged=sequence if unacknowledged is None else unacknowledged,
            peer_window=peer_window, acknowledgement=acknowledgement, window=window,
            venue_sequence=venue_sequence, last_processed=last_processed, client_id=client_id)

    def follow(self, session: int | None, *, venue_sequence: int = 1, last_processed: int = 0,
               client_id: int = 1) -> None:
        """Let orders leave through a session of the TCP engine's, which keeps them until they are
        acknowledged; None: through a connection that :meth:`load` describes.

        Parameters
        ----------
        venue_sequence, last_processed, client_id : int
            Numbers of the next message, of the venue's last one, and of the next new order.
        """
        if self._registers.fields("STATUS")["armed"]:
            raise RegisterError("TCP_ORDERS may not be written while the gateway is armed: call "
                                "gw.disarm() first")
        self.close()
        self._registers.write_fields("TCP_ORDERS", enable=session is not None,
                                     session=session or 0)
        if session is not None:
            self._registers.write_row(
                "SESSION", 0, open=1, venue_sequence=venue_sequence,
                last_processed=last_processed, client_id=client_id)

    def acknowledge(self, *, unacknowledged: int, peer_window: int, acknowledgement: int,
                    last_processed: int) -> None:
        """Hand over what the venue's segments say."""
        self._registers.write_row(
            "ACKNOWLEDGE", 0, unacknowledged=unacknowledged, peer_window=peer_window,
            acknowledgement=acknowledgement, last_processed=last_processed)

    def close(self) -> None:
        """No order leaves any more."""
        self._registers.write_row("SESSION", 0)

    def state(self) -> dict[str, int]:
        """The session's numbers as they are now."""
        numbers = {name: self._registers.read(f"SESSION_{name.upper()}") for name in self._STATE}
        return {"open": self._registers.fields("STATUS")["session"], **numbers}


class Orders:
    """Posts orders, one at a time, and says what became of each."""

    #: Reads of the result before the gateway counts as stuck: an order takes a few frames' time.
    PATIENCE = 100_000

    def __init__(self, registers: Registers, templates: Templates) -> None:
        self._registers, self._templates = registers, templates
        # Another host's last number is not repeated, so that its result is not taken for ours.
        self._numbers = itertools.count(registers.read("ORDER_RESULT_POST") + 1)

    def send(self, order: Order) -> Sent:
        """Send a new order. OrderRefusedError if the risk gate refuses it."""
        r = self._registers
        r.write_fields("ORDER", action=Action.NEW, side=order.side,
                       instrument=order.instrument.index)
        r.write("ORDER_QUANTITY", self._templates.mantissa(order.quantity))
        r.write("ORDER_PRICE", to_key(order.price))
        return self._post(f"{order.side.name} {order.quantity} {order.instrument.name} at "
                          f"{order.price}")

    def cancel(self, instrument: Instrument, client_id: int) -> Sent:
        """Cancel an order. OrderRefusedError if the risk gate refuses it."""
        r = self._registers
        r.write_fields("ORDER", action=Action.CANCEL, instrument=instrument.index)
        r.write("ORDER_CLIENT_ID", client_id)
        sent = self._post(f"cancel of {client_id} in {instrument.name}")
        return Sent(client_id, sent.venue_sequence)

    def _post(self, what: str) -> Sent:
        r = self._registers
        number = next(self._numbers) & 0xFFFF_FFFF
        r.command("ORDER_POST", number)
        for _ in range(self.PATIENCE):
            result = r.fields("ORDER_RESULT")
            if result["done"] and r.read("ORDER_RESULT_POST") == number:
                break
        else:
            raise BusError(f"ORDER_RESULT did not say what became of the order posted as {number} "
                           f"({what}); ORDER_RESULT_POST is {r.read('ORDER_RESULT_POST')}. Does "
                           "another program post orders?")
        reason = Reason(result["reason"])
        if reason is not Reason.PASSED:
            raise OrderRefusedError(what, reason, REMEDIES[reason])
        return Sent(r.read("ORDER_RESULT_CLIENT_ID"), r.read("ORDER_RESULT_SEQUENCE"))
