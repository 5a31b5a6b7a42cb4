"""The numbers that gateware and host exchange, by name; no Amaranth.

They repeat enumerations of ``hdl`` (feed/event.py, entry/intent.py, tcp/connection.py) for the
host, which cannot import those; a test compares the two.
"""

import enum

__all__ = ["Side", "Action", "Source", "Reason", "TcpState", "TcpEvent", "TcpCall", "TcpRefusal"]


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


class TcpState(enum.IntEnum):
    """State of a connection (RFC 9293, 3.3.2)."""

    CLOSED = 0
    LISTEN = 1
    SYN_SENT = 2
    SYN_RECEIVED = 3
    ESTABLISHED = 4
    FIN_WAIT_1 = 5
    FIN_WAIT_2 = 6
    CLOSE_WAIT = 7
    CLOSING = 8
    LAST_ACK = 9
    TIME_WAIT = 10


class TcpEvent(enum.IntEnum):
    """What happened last to a connection."""

    NONE = 0
    ESTABLISHED = 1
    PEER_CLOSED = 2
    CLOSED = 3
    RESET = 4
    REFUSED = 5
    TIMED_OUT = 6
    ABORTED = 7
    SLOW = 8
    BAD_COMMAND = 9
    BAD_ADDRESS = 10


class TcpCall(enum.IntEnum):
    """What the host asks of a connection (RFC 9293, 3.9.1)."""

    OPEN = 0
    LISTEN = 1
    CLOSE = 2
    ABORT = 3


class TcpRefusal(enum.IntEnum):
    """Why a message was not sent."""

    NO_SESSION = 0
    TOO_LONG = 1
    NO_WINDOW = 2
    NO_ROOM = 3
