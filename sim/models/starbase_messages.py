"""Golden Starbase order entry: the messages of Deribit's schema 2101 up to version 16.

Prices are in units of 1e-9. What a message's bytes are says starbase_wire.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from tickwire.sim.models.starbase_wire import NEWEST, Block, Message

__all__ = ["Logon", "LogonConf", "Logout", "LoggedOut", "Heartbeat", "TestRequest",
           "ResendRequest", "GapFill", "Reject", "NewOrder", "Amend", "Cancel", "CancelById",
           "NewOrderResponse", "NewOrderReject", "AmendResponse", "AmendReject",
           "CancelResponse", "CancelReject", "Fill", "Leg", "RestingFill", "OrderFilled",
           "CanceledOrder", "OrdersCanceled"]


@dataclass(frozen=True, kw_only=True)
class Logon(Message):
    TYPE, FORMAT = 1, "16s 48s b H@12 b@13"
    client_id: str
    secret: str
    reset_sequence: int = 0
    schema_version: int = NEWEST
    cancel_on_disconnect: int = 0


@dataclass(frozen=True, kw_only=True)
class LogonConf(Message):
    TYPE, FORMAT = 2, "i H@12"
    heartbeat_interval: int
    schema_version: int = NEWEST


@dataclass(frozen=True, kw_only=True)
class Logout(Message):
    TYPE, FORMAT = 4, "t"
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class LoggedOut(Message):
    TYPE, FORMAT = 5, "t"
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Heartbeat(Message):
    TYPE, FORMAT = 10, "q"
    correlation_id: int = 0


@dataclass(frozen=True, kw_only=True)
class TestRequest(Message):
    TYPE, FORMAT = 11, "q"
    correlation_id: int


@dataclass(frozen=True, kw_only=True)
class ResendRequest(Message):
    TYPE, FORMAT = 20, "q q"
    first: int
    last: int


@dataclass(frozen=True, kw_only=True)
class GapFill(Message):
    TYPE, FORMAT = 21, "q"
    new_sequence: int


@dataclass(frozen=True, kw_only=True)
class Reject(Message):
    TYPE, FORMAT = 30, "q b t"
    ref_sequence: int
    reason: int
    details: str = ""


@dataclass(frozen=True, kw_only=True)
class NewOrder(Message):
    TYPE, FORMAT = 100, "q q q q d d q b b H b"
    client_order_id: int
    correlation_id: int = 0
    instrument_id: int
    price: int
    quantity: Decimal | None
    show_quantity: Decimal | None = None
    self_match_id: int = 0
    side: int
    time_in_force: int = 0
    flags: int = 0
    self_trading_mode: int = 0


@dataclass(frozen=True, kw_only=True)
class Amend(Message):
    TYPE, FORMAT = 110, "q q q q d d H"
    client_order_id: int
    correlation_id: int = 0
    instrument_id: int
    price: int
    quantity: Decimal | None
    show_quantity: Decimal | None = None
    flags: int = 0


@dataclass(frozen=True, kw_only=True)
class Cancel(Message):
    TYPE, FORMAT = 120, "q q q"
    client_order_id: int
    correlation_id: int = 0
    instrument_id: int


@dataclass(frozen=True, kw_only=True)
class CancelById(Message):
    TYPE, FORMAT = 125, "q q q"
    order_id: int
    correlation_id: int = 0
    instrument_id: int


@dataclass(frozen=True, kw_only=True)
class Fill(Block):
    FORMAT = "q q d"
    match_id: int
    price: int
    quantity: Decimal


@dataclass(frozen=True, kw_only=True)
class Leg(Block):
    FORMAT = "q q q d b"
    match_id: int
    instrument_id: int
    price: int
    quantity: Decimal
    side: int


@dataclass(frozen=True, kw_only=True)
class _Answer(Message):
    timestamp: int
    exec_id: int
    client_order_id: int
    correlation_id: int
    order_id: int
    instrument_id: int


@dataclass(frozen=True, kw_only=True)
class NewOrderResponse(_Answer):
    TYPE, FORMAT, GROUPS = 200, "q q q q q q q d d d q b b b", (Fill, Leg)
    price: int
    quantity: Decimal
    total_filled: Decimal
    visible_quantity: Decimal
    receive_time: int
    side: int
    status: int
    cancel_reason: int
    fills: tuple[Fill, ...] = ()
    legs: tuple[Leg, ...] = ()


@dataclass(frozen=True, kw_only=True)
class NewOrderReject(_Answer):
    TYPE, FORMAT = 202, "q q q q q q b t"
    reason: int
    details: str = ""


@dataclass(frozen=True, kw_only=True)
class AmendResponse(_Answer):
    TYPE, FORMAT, GROUPS = 210, "q q q q q q q d d d q b b", (Fill, Leg)
    price: int
    quantity: Decimal
    total_filled: Decimal
    visible_quantity: Decimal
    receive_time: int
    status: int
    cancel_reason: int
    fills: tuple[Fill, ...] = ()
    legs: tuple[Leg, ...] = ()


@dataclass(frozen=True, kw_only=True)
class AmendReject(NewOrderReject):
    TYPE = 212


@dataclass(frozen=True, kw_only=True)
class CancelResponse(_Answer):
    TYPE, FORMAT = 220, "q q q q q q q d@16 d@16"
    receive_time: int
    quantity: Decimal | None = None
    total_filled: Decimal | None = None


@dataclass(frozen=True, kw_only=True)
class CancelReject(NewOrderReject):
    TYPE = 222


@dataclass(frozen=True, kw_only=True)
class RestingFill(Block):
    FORMAT = "q q q q q d d b B"
    client_order_id: int
    order_id: int
    instrument_id: int
    match_id: int
    price: int
    quantity: Decimal
    total_filled: Decimal
    side: int
    flags: int = 0


@dataclass(frozen=True, kw_only=True)
class OrderFilled(Message):
    TYPE, FORMAT, GROUPS = 300, "q q", (RestingFill, Leg)
    timestamp: int
    exec_id: int
    fills: tuple[RestingFill, ...] = ()
    legs: tuple[Leg, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CanceledOrder(Block):
    FORMAT = "q q q d b B"
    client_order_id: int
    order_id: int
    instrument_id: int
    total_filled: Decimal
    cancel_reason: int
    flags: int = 0


@dataclass(frozen=True, kw_only=True)
class OrdersCanceled(Message):
    TYPE, FORMAT, GROUPS = 310, "q q B", (CanceledOrder,)
    timestamp: int
    exec_id: int
    flags: int = 1
    orders: tuple[CanceledOrder, ...] = ()
