"""Deribit Starbase order entry: the session's messages, orders and what the venue says of them.

Source: Deribit's SBE schema 2101, version 16 ("Deribit SBE Order Gateway API"). Field names are
the schema's, with the parts of a composite joined by a dot. The schema moves: its version stands
in each message's header and is the host's to choose, so a layout that changes needs a new table
here, not a new room.
"""

from .fixed import FixedLayout

__all__ = ["PROTOCOL_ID", "SCHEMA_VERSION", "ALIGNMENT", "NULL_INT64", "NULL_INT8", "BUY", "SELL",
           "HEADER", "MESSAGE_TYPES", "NEW_ORDER_REQUEST", "CANCEL_ORDER_REQUEST", "padded",
           "OLDEST_VERSION", "IS_RESEND", "GROUP_HEADER", "SESSION_TYPES", "REQUEST_TYPES",
           "RESPONSE_TYPES", "WITH_TEXT", "GROUPS", "TEXT_FIELDS", "SIGNED_ALL_BUT",
           "LOGON", "LOGON_CONF", "LOGOUT", "LOGGED_OUT", "HEARTBEAT", "TEST_REQUEST",
           "RESEND_REQUEST", "GAP_FILL", "REJECT", "AMEND_ORDER_REQUEST",
           "CANCEL_ORDER_BY_ID_REQUEST", "NEW_ORDER_RESPONSE", "NEW_ORDER_REJECT",
           "AMEND_ORDER_RESPONSE", "AMEND_ORDER_REJECT", "CANCEL_ORDER_RESPONSE",
           "CANCEL_ORDER_REJECT", "ORDER_FILLED", "ORDERS_CANCELED", "root_size"]

PROTOCOL_ID = 0xDB
SCHEMA_VERSION = 16
ALIGNMENT = 8               # every message is padded with zeros to a multiple of this

NULL_INT64 = -(1 << 63)     # SBE: "absent" in an optional field
NULL_INT8 = -(1 << 7)

BUY, SELL = 1, -1

HEADER = FixedLayout("MessageHeader", [
    ("protocolId", 1),
    ("flags", 1),                   # bit 0: isResend
    ("messageLength", 2),           # with this header, without padding
    ("messageTypeId", 2),
    ("version", 2),
    ("sequenceNumber", 8),
    ("lastProcessedSeqNo", 8),
    ("sendTimeNs", 8),              # since the Unix epoch
], byteorder="little")

NEW_ORDER_REQUEST = FixedLayout("NewOrderRequest", [
    ("clientOrderId", 8),
    ("correlationId", 8),
    ("instrumentId", 8),
    ("price", 8),                   # units of 1e-9
    ("quantity.mantissa", 8),
    ("quantity.exponent", 1),
    ("showQty.mantissa", 8),
    ("showQty.exponent", 1),
    ("selfMatchPreventionId", 8),
    ("side", 1),
    ("timeInForce", 1),             # -2 IOC, -1 FOK, 0 GTC, > 0 days
    ("flags", 2),
    ("selfTradingMode", 1),         # 0 cancel taker, 1 cancel maker
], byteorder="little")

CANCEL_ORDER_REQUEST = FixedLayout("CancelOrderRequest", [
    ("clientOrderId", 8),
    ("correlationId", 8),
    ("instrumentId", 8),
], byteorder="little")

MESSAGE_TYPES = {
    NEW_ORDER_REQUEST: 100,
    CANCEL_ORDER_REQUEST: 120,
}

# What the gateway does not write itself: the session, and what the venue answers. A message is
# its root block, then its groups, then its text, if it has them.

OLDEST_VERSION = 11         # whose messages the tables below can tell
IS_RESEND = 1               # bit in the header's flags

#: Before each group: how long an entry is and how many there are.
GROUP_HEADER = FixedLayout("GroupSizeEncoding", [
    ("blockLength", 2),
    ("numInGroup", 2),
], byteorder="little")

#: Numbers are signed, these excepted.
SIGNED_ALL_BUT = frozenset(("flags", "schemaVersion", "blockLength", "numInGroup"))
#: Fields that are text, filled with zeros.
TEXT_FIELDS = frozenset(("clientId", "secret"))


def _message(name, *fields):
    return FixedLayout(name, fields, byteorder="little")


def _decimal(name):
    return (f"{name}.mantissa", 8), (f"{name}.exponent", 1)


LOGON = _message(
    "Logon", ("clientId", 16), ("secret", 48), ("resetSeqNum", 1),
    ("schemaVersion", 2),           # since version 12
    ("cancelOnDisconnect", 1))      # since version 13
LOGON_CONF = _message(
    "LogonConf", ("heartbeatIntervalSeconds", 4),
    ("schemaVersion", 2))           # since version 12
LOGOUT = _message("Logout", ("text.length", 1))
LOGGED_OUT = _message("LoggedOut", ("text.length", 1))
HEARTBEAT = _message("Heartbeat", ("correlationId", 8))
TEST_REQUEST = _message("TestRequest", ("correlationId", 8))
RESEND_REQUEST = _message(
    "ResendRequest", ("fromSequenceNumber", 8), ("toSequenceNumber", 8))
GAP_FILL = _message("GapFill", ("newSequenceNumber", 8))
REJECT = _message("Reject", ("refSequenceNumber", 8), ("reason", 1), ("text.length", 1))

AMEND_ORDER_REQUEST = _message(
    "AmendOrderRequest", ("clientOrderId", 8), ("correlationId", 8), ("instrumentId", 8),
    ("price", 8), *_decimal("quantity"), *_decimal("showQty"), ("flags", 2))
CANCEL_ORDER_BY_ID_REQUEST = _message(
    "CancelOrderByIdRequest", ("orderId", 8), ("correlationId", 8), ("instrumentId", 8))

_RESPONSE = (("timestamp", 8), ("execId", 8), ("clientOrderId", 8), ("correlationId", 8),
             ("orderId", 8), ("instrumentId", 8))
_STATE = (*_RESPONSE, ("price", 8), *_decimal("quantity"), *_decimal("totalFilled"),
          *_decimal("visibleQty"), ("receiveTime", 8))
_REFUSAL = (*_RESPONSE, ("reason", 1), ("text.length", 1))

NEW_ORDER_RESPONSE = _message(
    "NewOrderResponse", *_STATE, ("side", 1), ("status", 1), ("cancelReason", 1))
NEW_ORDER_REJECT = _message("NewOrderReject", *_REFUSAL)
AMEND_ORDER_RESPONSE = _message(
    "AmendOrderResponse", *_STATE, ("status", 1), ("cancelReason", 1))
AMEND_ORDER_REJECT = _message("AmendOrderReject", *_REFUSAL)
CANCEL_ORDER_RESPONSE = _message(
    "CancelOrderResponse", *_RESPONSE, ("receiveTime", 8),
    *_decimal("quantity"), *_decimal("totalFilled"))        # both since version 16
CANCEL_ORDER_REJECT = _message("CancelOrderReject", *_REFUSAL)
ORDER_FILLED = _message("OrderFilled", ("timestamp", 8), ("execId", 8))
ORDERS_CANCELED = _message(
    "OrdersCanceled", ("timestamp", 8), ("execId", 8), ("flags", 1))

_FILLS = _message("fills", ("matchId", 8), ("fillPrice", 8), *_decimal("fillQty"))
_LEGS = _message("legs", ("matchId", 8), ("instrumentId", 8), ("fillPrice", 8),
                 *_decimal("fillQty"), ("legSide", 1))

#: Groups of the messages that have some, in the order of the wire.
GROUPS = {
    NEW_ORDER_RESPONSE: (_FILLS, _LEGS),
    AMEND_ORDER_RESPONSE: (_FILLS, _LEGS),
    ORDER_FILLED: (_message(
        "fills", ("clientOrderId", 8), ("orderId", 8), ("instrumentId", 8), ("matchId", 8),
        ("price", 8), *_decimal("fillQty"), *_decimal("totalFilled"), ("side", 1),
        ("flags", 1)), _LEGS),
    ORDERS_CANCELED: (_message(
        "orders", ("clientOrderId", 8), ("orderId", 8), ("instrumentId", 8),
        *_decimal("totalFilled"), ("cancelReason", 1), ("flags", 1)),),
}

SESSION_TYPES = {
    LOGON: 1, LOGON_CONF: 2, LOGOUT: 4, LOGGED_OUT: 5, HEARTBEAT: 10, TEST_REQUEST: 11,
    RESEND_REQUEST: 20, GAP_FILL: 21, REJECT: 30,
}
REQUEST_TYPES = {
    **MESSAGE_TYPES, AMEND_ORDER_REQUEST: 110, CANCEL_ORDER_BY_ID_REQUEST: 125,
}
RESPONSE_TYPES = {
    NEW_ORDER_RESPONSE: 200, NEW_ORDER_REJECT: 202, AMEND_ORDER_RESPONSE: 210,
    AMEND_ORDER_REJECT: 212, CANCEL_ORDER_RESPONSE: 220, CANCEL_ORDER_REJECT: 222,
    ORDER_FILLED: 300, ORDERS_CANCELED: 310,
}

#: Messages whose last field is the length of a text that follows it.
WITH_TEXT = frozenset((LOGOUT, LOGGED_OUT, REJECT, NEW_ORDER_REJECT, AMEND_ORDER_REJECT,
                       CANCEL_ORDER_REJECT))

# First version that has a field; those that are not here were there in OLDEST_VERSION.
_SINCE = {
    (LOGON, "schemaVersion"): 12,
    (LOGON, "cancelOnDisconnect"): 13,
    (LOGON_CONF, "schemaVersion"): 12,
    (CANCEL_ORDER_RESPONSE, "quantity.mantissa"): 16,
}


def root_size(message, version):
    """Bytes of a message's root block in a schema version; newer fields stand at its end.

    Raises
    ------
    ValueError
        For a version before OLDEST_VERSION.
    """
    if version < OLDEST_VERSION:
        raise ValueError(f"Starbase schema version must be at least {OLDEST_VERSION}, not "
                         f"{version!r}")
    newer = [message[field].offset for (one, field), since in _SINCE.items()
             if one is message and since > version]
    return min(newer, default=message.size)


def padded(length):
    """Bytes that a message of ``length`` bytes occupies in the TCP stream."""
    return -(-length // ALIGNMENT) * ALIGNMENT
