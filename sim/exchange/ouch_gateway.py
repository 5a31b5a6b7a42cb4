"""OUCH 5.0 above SoupBinTCP: orders of users who connect to the exchange.

A share is one lot of the instrument. Messages may be sent again: a UserRefNum that is not above
the last one is passed over, as is a cancel of an order that is no longer there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

from tickwire.sim.exchange.connection import DisconnectError
from tickwire.sim.exchange.market import (
    CancelReason,
    Execution,
    Held,
    Listing,
    Market,
    Outcome,
    Terms,
)
from tickwire.sim.exchange.order_book import Side, TimeInForce
from tickwire.sim.exchange.soup_session import SoupHost, SoupStream
from tickwire.sim.models import ouch

__all__ = ["OuchGateway"]

DAY_NS = 86_400 * 10**9
SIDES = {"B": Side.BID, "S": Side.ASK, "T": Side.ASK, "E": Side.ASK}
TIMES = {"0": TimeInForce.GOOD_TILL_CANCEL, "3": TimeInForce.IMMEDIATE_OR_CANCEL}
REASONS = {CancelReason.USER: "U", CancelReason.TIME_IN_FORCE: "I", CancelReason.POST_ONLY: "F",
           CancelReason.SELF_TRADE: "Q", CancelReason.DISCONNECT: "Z",
           CancelReason.END_OF_DAY: "E"}
FIRM = 2                                # the one optional field that is understood

# Reject reasons.
INVALID_DISPLAY, ISO_NOT_ALLOWED, INVALID_SIDE, OTHER = 0x03, 0x08, 0x09, 0x0F
INVALID_QUANTITY, INVALID_CROSS, INVALID_SYMBOL, INVALID_PRICE = 0x13, 0x14, 0x17, 0x1D


class _RejectError(Exception):
    def __init__(self, reason: int) -> None:
        super().__init__(f"reason {reason:#06x}")
        self.reason = reason


@dataclass
class _User:
    """One account. It owns its orders, connected or not."""

    name: str
    gateway: OuchGateway
    stream: SoupStream = field(default_factory=SoupStream)
    last_ref: int = 0
    live: dict[int, Held] = field(default_factory=dict)

    def say(self, message: ouch.Message) -> None:
        self.stream.say(message.encode())

    def on_execution(self, held: Held, execution: Execution) -> None:
        self.say(self.gateway.executed(held, execution))
        if not held.order.remaining:
            del self.live[held.client_id]

    def on_cancel(self, held: Held, lots: int, reason: CancelReason) -> None:
        del self.live[held.client_id]
        self.say(self.gateway.canceled(held.client_id, lots, reason))


class OuchGateway(SoupHost):
    """What OUCH messages do in the market.

    Parameters
    ----------
    passwords : dict
        User name to password.
    cancel_on_disconnect : bool
        A user's resting orders go when the connection does.
    """

    def __init__(self, market: Market, clock: Callable[[], int], passwords: dict[str, str], *,
                 session_id: str = "TICKWIRE01", cancel_on_disconnect: bool = True) -> None:
        self._market, self._clock, self._passwords = market, clock, passwords
        self._cancel_on_disconnect = cancel_on_disconnect
        self._users: dict[str, _User] = {}
        self.session_id = session_id

    def login(self, username: str, password: str) -> SoupStream | None:
        # The specification: neither name nor password minds capitals.
        name = username.upper()
        known = {user.upper(): secret for user, secret in self._passwords.items()}
        if known.get(name, "").upper() != password.upper() or name not in known:
            return None
        if name not in self._users:
            self._users[name] = _User(f"ouch:{name}", self)
            self._users[name].say(ouch.SystemEvent(timestamp=self.timestamp(), event_code="S"))
        self._market.record("logged in", owner=self._users[name].name)
        return self._users[name].stream

    def unsequenced(self, username: str, message: bytes) -> None:
        user = self._users[username.upper()]
        try:
            request = ouch.from_client(message)
        except ouch.OuchError as error:
            raise DisconnectError(str(error)) from None
        if isinstance(request, ouch.EnterOrder):
            self._enter(user, request)
        elif isinstance(request, ouch.ReplaceOrder):
            self._replace(user, request)
        elif isinstance(request, ouch.CancelOrder):
            self._cancel(user, request)

    def gone(self, username: str) -> None:
        user = self._users[username.upper()]
        if self._cancel_on_disconnect:
            self._market.cancel_all(user, CancelReason.DISCONNECT)

    def end_session(self) -> None:
        """The day is over: orders go, everybody is told, and nothing comes after it."""
        for user in self._users.values():
            self._market.cancel_all(user, CancelReason.END_OF_DAY)
            user.say(ouch.SystemEvent(timestamp=self.timestamp(), event_code="E"))
            user.stream.ended = True

    def timestamp(self) -> int:
        """Nanoseconds since midnight."""
        return self._clock() % DAY_NS

    def executed(self, held: Held, execution: Execution) -> ouch.Executed:
        return ouch.Executed(
            timestamp=self.timestamp(), user_ref_num=held.client_id, quantity=execution.lots,
            price=_price4(held.listing, execution.ticks),
            liquidity_flag="A" if execution.maker else "R", match_number=execution.match_id)

    def canceled(self, user_ref_num: int, lots: int, reason: CancelReason) -> ouch.Canceled:
        return ouch.Canceled(timestamp=self.timestamp(), user_ref_num=user_ref_num, quantity=lots,
                             reason=REASONS[reason])

    def _enter(self, user: _User, request: ouch.EnterOrder) -> None:
        if request.user_ref_num <= user.last_ref:
            self._passed_over(user, request.user_ref_num)
            return
        user.last_ref = request.user_ref_num
        try:
            listing, terms = self._terms(request)
        except _RejectError as error:
            self._market.record("rejected", owner=user.name, client_id=request.user_ref_num,
                                reason=str(error))
            user.say(ouch.Rejected(
                timestamp=self.timestamp(), user_ref_num=request.user_ref_num,
                reject_reason=error.reason, cl_ord_id=request.cl_ord_id))
            return

        def tell(outcome: Outcome) -> None:
            user.say(ouch.Accepted(
                timestamp=self.timestamp(), user_ref_num=request.user_ref_num,
                side=request.side, quantity=request.quantity, symbol=request.symbol,
                price=request.price, time_in_force=request.time_in_force,
                display=request.display,
                order_reference_number=outcome.held.order.order_id, capacity=request.capacity,
                inter_market_sweep=request.inter_market_sweep, cross_type=request.cross_type,
                order_state="L", cl_ord_id=request.cl_ord_id, appendages=request.appendages))
            self._went(user, outcome)

        self._market.submit(user, listing, terms, request.user_ref_num, tell=tell)

    def _replace(self, user: _User, request: ouch.ReplaceOrder) -> None:
        held = user.live.get(request.orig_user_ref_num)
        if held is None or request.user_ref_num <= user.last_ref:
            self._passed_over(user, request.user_ref_num)
            return
        old, listing = held.terms, held.listing
        leaves = request.quantity - held.order.filled
        entered = ouch.EnterOrder(
            user_ref_num=request.user_ref_num, side="B" if old.side is Side.BID else "S",
            quantity=leaves, symbol=listing.symbol, price=request.price,
            time_in_force=request.time_in_force, display=request.display,
            inter_market_sweep=request.inter_market_sweep, cl_ord_id=request.cl_ord_id,
            appendages=request.appendages)
        try:
            _, terms = self._terms(entered)
        except _RejectError:
            # The old order goes, no new one comes, and its number may be used again.
            lots = self._take_out(user, held, CancelReason.USER)
            user.say(self.canceled(request.orig_user_ref_num, lots, CancelReason.USER))
            return
        user.last_ref = request.user_ref_num
        self._take_out(user, held, CancelReason.REPLACED)

        def tell(outcome: Outcome) -> None:
            user.say(ouch.Replaced(
                timestamp=self.timestamp(), orig_user_ref_num=request.orig_user_ref_num,
                user_ref_num=request.user_ref_num, side=entered.side, quantity=leaves,
                symbol=listing.symbol, price=request.price, time_in_force=request.time_in_force,
                display=request.display,
                order_reference_number=outcome.held.order.order_id, capacity=entered.capacity,
                inter_market_sweep=request.inter_market_sweep, cross_type=entered.cross_type,
                order_state="L", cl_ord_id=request.cl_ord_id, appendages=request.appendages))
            self._went(user, outcome)

        self._market.submit(user, listing, terms, request.user_ref_num, tell=tell)

    def _cancel(self, user: _User, request: ouch.CancelOrder) -> None:
        held = user.live.get(request.user_ref_num)
        if held is None or request.quantity >= held.order.quantity:
            self._passed_over(user, request.user_ref_num)
            return
        if request.quantity > held.order.filled:
            lots = self._market.reduce(held.order.order_id, request.quantity)
        else:
            lots = self._take_out(user, held, CancelReason.USER)
        user.say(self.canceled(request.user_ref_num, lots, CancelReason.USER))

    def _take_out(self, user: _User, held: Held, reason: CancelReason) -> int:
        del user.live[held.client_id]
        return self._market.cancel(held.order.order_id, reason)

    def _went(self, user: _User, outcome: Outcome) -> None:
        """Executions and the end of an order that has just come."""
        held = outcome.held
        if outcome.resting:
            user.live[held.client_id] = held
        for execution in outcome.executions:
            user.say(self.executed(held, execution))
        if outcome.reason is not None:
            user.say(self.canceled(held.client_id, outcome.canceled, outcome.reason))

    def _passed_over(self, user: _User, user_ref_num: int) -> None:
        self._market.record("passed over", owner=user.name, client_id=user_ref_num)

    def _terms(self, request: ouch.EnterOrder) -> tuple[Listing, Terms]:
        listing = self._market.symbols.get(request.symbol)
        for good, reason in ((listing is not None, INVALID_SYMBOL),
                             (request.side in SIDES, INVALID_SIDE),
                             (request.quantity > 0, INVALID_QUANTITY),
                             (request.display in ("Y", "A", "P"), INVALID_DISPLAY),
                             (request.inter_market_sweep != "Y", ISO_NOT_ALLOWED),
                             (request.cross_type == "N", INVALID_CROSS),
                             (request.time_in_force in TIMES, OTHER),
                             (all(tag == FIRM for tag, _ in request.appendages), OTHER)):
            if not good:
                raise _RejectError(reason)
        assert listing is not None
        ticks = listing.ticks(Decimal(request.price).scaleb(-4))
        if ticks is None:
            raise _RejectError(INVALID_PRICE)
        return listing, Terms(side=SIDES[request.side], ticks=ticks, lots=request.quantity,
                              time_in_force=TIMES[request.time_in_force],
                              post_only=request.display == "P")


def _price4(listing: Listing, ticks: int) -> int:
    return int(listing.price(ticks).scaleb(4))
