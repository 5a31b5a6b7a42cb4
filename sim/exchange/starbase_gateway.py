"""Starbase orders of users who connect to the exchange."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

from tickwire.sim.exchange.market import (
    CancelReason,
    Execution,
    Held,
    Listing,
    Market,
    Outcome,
    Terms,
)
from tickwire.sim.exchange.order_book import SelfTrade, Side, TimeInForce
from tickwire.sim.exchange.starbase_session import RejectReason, StarbaseHost, StarbaseUser
from tickwire.sim.models import starbase_messages as sb
from tickwire.sim.models.starbase_wire import Message, StarbaseMessageError

__all__ = ["StarbaseGateway"]

NULL = -(1 << 63)
SIDES = {1: Side.BID, -1: Side.ASK}
IOC, FOK = -2, -1

# Order flags.
CANCEL_ON_DISCONNECT, POST_ONLY, POST_ONLY_REJECT = 1, 2, 4
UNDERSTOOD = CANCEL_ON_DISCONNECT | POST_ONLY | POST_ONLY_REJECT

# OrderRejectReason, CancelOrderRejectReason, OrderStatus, FillFlags.
INVALID_INSTRUMENT, INVALID_FIELD, DUPLICATE, INVALID_QUANTITY, INVALID_PRICE = 1, 2, 4, 5, 6
REJECT_POST_ONLY, ORDER_NOT_FOUND, ICEBERG_NOT_ALLOWED = 8, 12, 20
UNKNOWN_ORDER = 1
ACTIVE, FILLED, CANCELED = 1, 2, 3
FULLY_FILLED = 2
REASONS = {None: 0, CancelReason.SELF_TRADE: 1, CancelReason.TIME_IN_FORCE: 2,
           CancelReason.DISCONNECT: 7, CancelReason.USER: 12, CancelReason.POST_ONLY: 16}


class _RejectError(Exception):
    def __init__(self, reason: int, text: str) -> None:
        super().__init__(text)
        self.reason = reason


@dataclass
class _User(StarbaseUser):
    """One account. It owns its orders, connected or not."""

    gateway: StarbaseGateway = field(kw_only=True)
    live: dict[int, Held] = field(default_factory=dict)
    pulled: set[int] = field(default_factory=set)   # go when the connection does
    pull_all: bool = False

    def on_execution(self, held: Held, execution: Execution) -> None:
        done = not held.order.remaining
        self.say(sb.OrderFilled(
            timestamp=self.clock(), exec_id=self.gateway.exec_id(), fills=(sb.RestingFill(
                client_order_id=held.client_id, order_id=held.order.order_id,
                instrument_id=held.listing.instrument.instrument_id,
                match_id=execution.match_id, price=_price9(held.listing, execution.ticks),
                quantity=held.listing.quantity(execution.lots),
                total_filled=held.listing.quantity(held.order.filled),
                side=1 if held.order.side is Side.BID else -1,
                flags=FULLY_FILLED if done else 0),)))
        if done:
            self.forget(held)

    def on_cancel(self, held: Held, lots: int, reason: CancelReason) -> None:
        self.forget(held)
        self.say(sb.OrdersCanceled(
            timestamp=self.clock(), exec_id=self.gateway.exec_id(), orders=(sb.CanceledOrder(
                client_order_id=held.client_id, order_id=held.order.order_id,
                instrument_id=held.listing.instrument.instrument_id,
                total_filled=held.listing.quantity(held.order.filled),
                cancel_reason=REASONS[reason]),)))

    def forget(self, held: Held) -> None:
        del self.live[held.client_id]
        self.pulled.discard(held.client_id)


class StarbaseGateway(StarbaseHost):
    """What Starbase messages do in the market.

    Parameters
    ----------
    passwords : dict
        Client id to secret.
    """

    def __init__(self, market: Market, clock: Callable[[], int],
                 passwords: dict[str, str]) -> None:
        self._market, self._clock, self._passwords = market, clock, passwords
        self._users: dict[str, _User] = {}
        self._exec_id = 0

    def logon(self, client_id: str, secret: str) -> StarbaseUser | None:
        if client_id not in self._passwords or self._passwords[client_id] != secret:
            return None
        if client_id not in self._users:
            self._users[client_id] = _User(f"starbase:{client_id}", self._clock, gateway=self)
        return self._users[client_id]

    def logged_on(self, user: StarbaseUser, *, cancel_on_disconnect: bool) -> None:
        assert isinstance(user, _User)
        user.pull_all = cancel_on_disconnect
        self._market.record("logged in", owner=user.name)

    def request(self, user: StarbaseUser, message: Message) -> None:
        assert isinstance(user, _User)
        if isinstance(message, sb.NewOrder):
            self._new(user, message)
        elif isinstance(message, sb.Amend):
            self._amend(user, message)
        elif isinstance(message, sb.Cancel | sb.CancelById):
            self._cancel(user, message)

    def gone(self, user: StarbaseUser) -> None:
        assert isinstance(user, _User)
        self._market.cancel_all(user, CancelReason.DISCONNECT, lambda held: (
            user.pull_all or held.client_id in user.pulled))

    def exec_id(self) -> int:
        self._exec_id += 1
        return self._exec_id

    def _new(self, user: _User, request: sb.NewOrder) -> None:
        received = self._clock()
        try:
            if request.client_order_id == NULL:
                raise StarbaseMessageError("clientOrderId is absent", RejectReason.VALUE)
            if request.side not in SIDES:
                raise StarbaseMessageError(f"side {request.side} is not 1 or -1",
                                           RejectReason.VALUE)
            if request.time_in_force < IOC or request.self_trading_mode not in (0, 1):
                raise _RejectError(INVALID_FIELD, "timeInForce or selfTradingMode")
            if request.client_order_id in user.live:
                raise _RejectError(DUPLICATE, "an order of that id is live")
            listing = self._listing(request.instrument_id)
            terms = self._terms(user, request, listing)
        except _RejectError as error:
            self._refuse(user, sb.NewOrderReject, request, request.client_order_id, error)
            return

        def tell(outcome: Outcome) -> None:
            held = outcome.held
            if outcome.resting:
                user.live[held.client_id] = held
                if request.flags & CANCEL_ON_DISCONNECT:
                    user.pulled.add(held.client_id)
            user.say(sb.NewOrderResponse(
                timestamp=self._clock(), exec_id=self.exec_id(),
                client_order_id=held.client_id, correlation_id=request.correlation_id,
                order_id=held.order.order_id, instrument_id=request.instrument_id,
                price=request.price, quantity=listing.quantity(held.order.quantity),
                total_filled=listing.quantity(held.order.filled),
                visible_quantity=_visible(outcome), receive_time=received, side=request.side,
                status=_status(outcome), cancel_reason=REASONS[outcome.reason],
                fills=_fills(outcome)))

        self._market.submit(user, listing, terms, request.client_order_id, tell=tell)

    def _amend(self, user: _User, request: sb.Amend) -> None:
        received = self._clock()
        try:
            held = self._held(user, request.client_order_id, request.instrument_id)
            listing, order = held.listing, held.order
            ticks, lots = self._numbers(request, listing)
            if request.flags & ~(POST_ONLY | POST_ONLY_REJECT):
                raise _RejectError(INVALID_FIELD, f"flags {request.flags:#x}")
            post_only = bool(request.flags & (POST_ONLY | POST_ONLY_REJECT))
            if lots <= order.filled:
                raise _RejectError(INVALID_QUANTITY, "not above what is filled")
            if (request.flags & POST_ONLY_REJECT
                    and listing.book.crosses(order.side, ticks)):
                raise _RejectError(REJECT_POST_ONLY, "would trade at once")
        except _RejectError as error:
            self._refuse(user, sb.AmendReject, request, request.client_order_id, error)
            return

        def tell(outcome: Outcome) -> None:
            one = outcome.held
            if outcome.resting:
                user.live[one.client_id] = one
            else:
                user.forget(held)
            user.say(sb.AmendResponse(
                timestamp=self._clock(), exec_id=self.exec_id(),
                client_order_id=one.client_id, correlation_id=request.correlation_id,
                order_id=one.order.order_id, instrument_id=request.instrument_id,
                price=request.price, quantity=listing.quantity(one.order.quantity),
                total_filled=listing.quantity(one.order.filled),
                visible_quantity=_visible(outcome), receive_time=received,
                status=_status(outcome), cancel_reason=REASONS[outcome.reason],
                fills=_fills(outcome)))

        if ticks == order.price and order.filled < lots < order.quantity:
            self._market.reduce(order.order_id, lots)
            tell(Outcome(held, [], True))
            return
        self._market.cancel(order.order_id, CancelReason.REPLACED)
        terms = Terms(side=order.side, ticks=ticks, lots=lots, post_only=post_only,
                      self_match=held.terms.self_match, self_trade=held.terms.self_trade)
        self._market.submit(user, listing, terms, held.client_id, tell=tell,
                            order_id=order.order_id, filled=order.filled)

    def _cancel(self, user: _User, request: sb.Cancel | sb.CancelById) -> None:
        received = self._clock()
        client_id = order_id = NULL
        if isinstance(request, sb.CancelById):
            order_id = request.order_id
            held = next((one for one in user.live.values() if one.order.order_id == order_id),
                        None)
        else:
            client_id = request.client_order_id
            held = user.live.get(client_id)
        if held is None or held.listing.instrument.instrument_id != request.instrument_id:
            self._refuse(user, sb.CancelReject, request, client_id,
                         _RejectError(UNKNOWN_ORDER, "no such order is live"), order_id=order_id)
            return
        user.forget(held)
        self._market.cancel(held.order.order_id, CancelReason.USER)
        user.say(sb.CancelResponse(
            timestamp=self._clock(), exec_id=self.exec_id(), client_order_id=held.client_id,
            correlation_id=request.correlation_id, order_id=held.order.order_id,
            instrument_id=request.instrument_id, receive_time=received,
            quantity=held.listing.quantity(held.order.quantity),
            total_filled=held.listing.quantity(held.order.filled)))

    def _listing(self, instrument_id: int) -> Listing:
        try:
            return self._market.listings[instrument_id]
        except KeyError:
            raise _RejectError(INVALID_INSTRUMENT, f"no instrument {instrument_id}") from None

    def _held(self, user: _User, client_order_id: int, instrument_id: int) -> Held:
        held = user.live.get(client_order_id)
        if held is None or held.listing.instrument.instrument_id != instrument_id:
            raise _RejectError(ORDER_NOT_FOUND, "no such order is live")
        return held

    @staticmethod
    def _numbers(request: sb.NewOrder | sb.Amend, listing: Listing) -> tuple[int, int]:
        ticks = listing.ticks(Decimal(request.price).scaleb(-9))
        if ticks is None:
            raise _RejectError(INVALID_PRICE, f"no multiple of {listing.price(1)} above 0")
        lots = None if request.quantity is None else listing.lots(request.quantity)
        if lots is None:
            raise _RejectError(INVALID_QUANTITY, f"no multiple of {listing.quantity(1)} above 0")
        if request.show_quantity not in (None, request.quantity):
            raise _RejectError(ICEBERG_NOT_ALLOWED, "showQty")
        return ticks, lots

    def _terms(self, user: _User, request: sb.NewOrder, listing: Listing) -> Terms:
        ticks, lots = self._numbers(request, listing)
        side = SIDES[request.side]
        if request.flags & ~UNDERSTOOD:
            raise _RejectError(INVALID_FIELD, f"flags {request.flags:#x}")
        if request.flags & POST_ONLY_REJECT and listing.book.crosses(side, ticks):
            raise _RejectError(REJECT_POST_ONLY, "would trade at once")
        times = {IOC: TimeInForce.IMMEDIATE_OR_CANCEL, FOK: TimeInForce.FILL_OR_KILL}
        match = request.self_match_id
        return Terms(
            side=side, ticks=ticks, lots=lots, time_in_force=times.get(
                request.time_in_force, TimeInForce.GOOD_TILL_CANCEL),
            post_only=bool(request.flags & (POST_ONLY | POST_ONLY_REJECT)),
            self_match=None if match in (0, NULL) else (user.name, match),
            self_trade=(SelfTrade.CANCEL_TAKER, SelfTrade.CANCEL_MAKER)[request.self_trading_mode])

    def _refuse(self, user: _User, kind: type[sb.NewOrderReject],
                request: sb.NewOrder | sb.Amend | sb.Cancel | sb.CancelById, client_id: int,
                error: _RejectError, *, order_id: int = NULL) -> None:
        self._market.record("rejected", owner=user.name, client_id=client_id, reason=str(error))
        user.say(kind(timestamp=self._clock(), exec_id=self.exec_id(), client_order_id=client_id,
                      correlation_id=request.correlation_id, order_id=order_id,
                      instrument_id=request.instrument_id, reason=error.reason,
                      details=str(error)))


def _price9(listing: Listing, ticks: int) -> int:
    return int(listing.price(ticks).scaleb(9))


def _visible(outcome: Outcome) -> Decimal:
    lots = outcome.held.order.remaining if outcome.resting else 0
    return outcome.held.listing.quantity(lots)


def _status(outcome: Outcome) -> int:
    return ACTIVE if outcome.resting else FILLED if outcome.reason is None else CANCELED


def _fills(outcome: Outcome) -> tuple[sb.Fill, ...]:
    listing = outcome.held.listing
    return tuple(sb.Fill(match_id=one.match_id, price=_price9(listing, one.ticks),
                         quantity=listing.quantity(one.lots)) for one in outcome.executions)
