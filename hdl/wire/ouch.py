"""OUCH 5.0: Nasdaq's order entry, one message in each SoupBinTCP data packet.

Source: Nasdaq's OUCH 5.0 specification; offsets of the messages for which there is a real frame
are settled by it (tests/sim/models/test_ouch_model.py). All numbers are unsigned and big-endian,
text is ASCII with spaces on the right. Prices are in units of 1e-4, timestamps nanoseconds since
midnight. A message that can carry optional fields ends with their length in bytes and the fields
themselves, each a length byte (of tag and value), a tag and a value.
"""

from .fixed import FixedLayout

__all__ = ["ENTER_ORDER", "REPLACE_ORDER", "CANCEL_ORDER", "SYSTEM_EVENT", "ACCEPTED", "REPLACED",
           "CANCELED", "EXECUTED", "REJECTED", "BROKEN_TRADE", "CANCEL_PENDING", "CANCEL_REJECT",
           "FROM_CLIENT", "FROM_HOST", "TEXT_FIELDS", "FIRM", "with_appendages"]

#: Fields that are text; all others are numbers.
TEXT_FIELDS = frozenset((
    "type", "side", "symbol", "timeInForce", "display", "capacity", "interMarketSweep",
    "crossType", "clOrdId", "eventCode", "orderState", "reason", "liquidityFlag"))

FIRM = 2                            # tag of the optional field with the firm, four letters

_TERMS = [
    ("side", 1),                    # B buy, S sell, T sell short, E sell short exempt
    ("quantity", 4),
    ("symbol", 8),
    ("price", 8),
    ("timeInForce", 1),             # 0 day, 3 immediate or cancel
    ("display", 1),                 # Y visible, P post only
]
_ECHO = [
    *_TERMS,
    ("orderReferenceNumber", 8),
    ("capacity", 1),
    ("interMarketSweep", 1),
    ("crossType", 1),
    ("orderState", 1),              # L live, D dead
    ("clOrdId", 14),
    ("appendageLength", 2),
]


def _message(name, *fields):
    return FixedLayout(name, [("type", 1), *fields], byteorder="big")


ENTER_ORDER = _message(
    "Enter Order", ("userRefNum", 4), *_TERMS, ("capacity", 1), ("interMarketSweep", 1),
    ("crossType", 1), ("clOrdId", 14), ("appendageLength", 2))
REPLACE_ORDER = _message(
    "Replace Order", ("origUserRefNum", 4), ("userRefNum", 4), ("quantity", 4), ("price", 8),
    ("timeInForce", 1), ("display", 1), ("interMarketSweep", 1), ("clOrdId", 14),
    ("appendageLength", 2))
CANCEL_ORDER = _message(
    "Cancel Order", ("userRefNum", 4), ("quantity", 4))     # quantity: what shall remain

_OUT = ("timestamp", 8)
SYSTEM_EVENT = _message("System Event", _OUT, ("eventCode", 1))     # S start, E end of day
ACCEPTED = _message("Order Accepted", _OUT, ("userRefNum", 4), *_ECHO)
REPLACED = _message("Order Replaced", _OUT, ("origUserRefNum", 4), ("userRefNum", 4), *_ECHO)
CANCELED = _message(
    "Order Canceled", _OUT, ("userRefNum", 4), ("quantity", 4), ("reason", 1))
EXECUTED = _message(
    "Order Executed", _OUT, ("userRefNum", 4), ("quantity", 4), ("price", 8),
    ("liquidityFlag", 1), ("matchNumber", 8), ("appendageLength", 2))
BROKEN_TRADE = _message(
    "Broken Trade", _OUT, ("userRefNum", 4), ("matchNumber", 8), ("reason", 1), ("clOrdId", 14))
REJECTED = _message(
    "Order Rejected", _OUT, ("userRefNum", 4), ("rejectReason", 2), ("clOrdId", 14))
CANCEL_PENDING = _message("Cancel Pending", _OUT, ("userRefNum", 4))
CANCEL_REJECT = _message("Cancel Reject", _OUT, ("userRefNum", 4))

#: Type byte to message, by direction: O, U and X mean other things on the way back.
FROM_CLIENT = {b"O": ENTER_ORDER, b"U": REPLACE_ORDER, b"X": CANCEL_ORDER}
FROM_HOST = {b"S": SYSTEM_EVENT, b"A": ACCEPTED, b"U": REPLACED, b"C": CANCELED, b"E": EXECUTED,
             b"B": BROKEN_TRADE, b"J": REJECTED, b"P": CANCEL_PENDING, b"I": CANCEL_REJECT}


def with_appendages(layout):
    """Whether optional fields may follow a message."""
    return any(field.name == "appendageLength" for field in layout)
