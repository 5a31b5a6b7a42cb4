"""The numbers that gateware and host exchange, by name; no Amaranth.

They repeat the enumerations of ``hdl/feed/event.py`` and ``hdl/entry/intent.py`` for the host,
which cannot import those; a test compares the two.
"""

import enum

__all__ = ["Side", "Action", "Source", "Reason"]


class Side(enum.IntEnum):
    """Side of a book; an order on side BID buys."""

    BID = 0
    ASK = 1


class Action(enum.IntEnum):
    """What an order asks for."""

    NEW = 0
    CANCEL = 1


class Source(enum.IntEnum):
    """Who wanted the order."""

    STRATEGY = 0
    HOST = 1


class Reason(enum.IntEnum):
    """Why an order was refused. PASSED: it was sent."""

    PASSED = 0
    NOT_ARMED = 1
    KILLED = 2
    HOST_TIMEOUT = 3
    LOG_FULL = 4
    NO_SESSION = 5
    RESTRICTED = 6
    STALE_BOOK = 7
    MALFORMED = 8
    SIZE = 9
    PRICE_BAND = 10
    RATE = 11
    NO_WINDOW = 12
    TX_BUSY = 13
    BAD_FRAME = 14
    INEXACT_PRICE = 15
    ABORTED = 16
