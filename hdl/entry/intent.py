"""What a strategy or the host wants, what the risk gate says of it, what became of it."""

from amaranth.lib import data, enum
from tickwire.hdl.feed.event import Side

__all__ = ["Action", "Source", "Reason", "OrderIntent", "Order", "OrderOutcome"]


class Action(enum.Enum, shape=1):
    NEW = 0
    CANCEL = 1


class Source(enum.Enum, shape=1):
    STRATEGY = 0
    HOST = 1


class Reason(enum.Enum, shape=5):
    """Why an order was refused; the lowest number wins. PASSED means it was sent."""

    PASSED = 0
    NOT_ARMED = 1
    KILLED = 2
    HOST_TIMEOUT = 3
    LOG_FULL = 4
    NO_SESSION = 5
    RESTRICTED = 6          # instrument not enabled
    STALE_BOOK = 7
    MALFORMED = 8           # zero quantity, unknown instrument
    SIZE = 9
    PRICE_BAND = 10
    RATE = 11
    NO_WINDOW = 12
    TX_BUSY = 13
    BAD_FRAME = 14          # decided on a frame whose FCS or checksum then proved wrong
    INEXACT_PRICE = 15      # the price is no multiple of the order's unit: frame broken off
    ABORTED = 16            # broken off while leaving


class OrderIntent(data.Struct):
    """An order that somebody wants to send."""

    action: Action
    source: Source
    instrument: 7           # dense index
    side: Side              # BID buys, ASK sells
    price: 64               # ordered key of a double
    quantity: 32            # mantissa; the exponent stands in the template
    client_id: 64           # CANCEL: client id of the order to cancel; NEW: ignored
    trigger: 16             # stamp of the deciding field, or of the host's doorbell
    timestamp: 64           # the venue's time of what triggered it


class Order(data.Struct):
    """An intent that has passed every check, in the cycle in which its frame begins."""

    intent: OrderIntent
    decided: 16             # cycle of the decision
    released: 16            # cycle of the frame's verdict (after_fcs), else of the decision


class OrderOutcome(data.Struct):
    """Audit record: one for every intent, sent or refused."""

    reason: Reason
    intent: OrderIntent
    client_id: 64           # given to a NEW that was sent
    decided: 16
    released: 16
    preamble: 16            # cycle in which the START character stood on the XGMII output
