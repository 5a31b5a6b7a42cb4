"""Deribit Starbase order entry: the messages that the gateway writes itself.

Source: Deribit's SBE schema 2101, version 16 ("Deribit SBE Order Gateway API"). Field names are
the schema's, with the parts of a composite joined by a dot. The schema moves: its version stands
in each message's header and is the host's to choose, so a layout that changes needs a new table
here, not a new room.
"""

from .fixed import FixedLayout

__all__ = ["PROTOCOL_ID", "SCHEMA_VERSION", "ALIGNMENT", "NULL_INT64", "NULL_INT8", "BUY", "SELL",
           "HEADER", "MESSAGE_TYPES", "NEW_ORDER_REQUEST", "CANCEL_ORDER_REQUEST", "padded"]

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


def padded(length):
    """Bytes that a message of ``length`` bytes occupies in the TCP stream."""
    return -(-length // ALIGNMENT) * ALIGNMENT
