"""What is known of each order that was sent, and what changes it."""

from amaranth.hdl import Cat, Value
from amaranth.lib import data, enum
from tickwire.hdl.entry.execution import ExecutionKind
from tickwire.hdl.entry.intent import Action
from tickwire.hdl.feed.event import Side

__all__ = ["OrderState", "OpenOrder", "OrderSent", "OrderChange", "Anomaly", "QUANTITY_BITS",
           "is_open"]

QUANTITY_BITS = 32      # of an order, as in OrderIntent


class OrderState(enum.Enum, shape=3):
    FREE = 0            # the row was never used
    DONE = 1            # filled, cancelled or rejected; the row keeps what it was
    SENT = 2
    ACKNOWLEDGED = 3
    PARTIAL = 4         # some of it was filled or cancelled
    CANCEL_SENT = 5
    UNKNOWN = 6         # the session broke, or the venue said what cannot be counted


def is_open(state):
    """An order in this state may still be filled."""
    bits = Value.cast(state)
    return bits[1:].any()


class OpenOrder(data.Struct):
    """A row of the table of orders."""

    state: OrderState
    client_id: 64
    instrument: 7       # dense index
    side: Side
    exponent: 8         # of the quantities, a power of ten, signed
    quantity: QUANTITY_BITS     # as it was sent
    open: QUANTITY_BITS         # what may still be filled; 0 in FREE and DONE
    price: 64


class OrderSent(data.Struct):
    """An order or a cancel has left whole. A cancel has its order's client id and nothing else."""

    action: Action
    client_id: 64
    instrument: 7
    side: Side
    exponent: 8
    quantity: QUANTITY_BITS
    price: 64


class OrderChange(data.Struct):
    """Of an :class:`tickwire.hdl.entry.execution.Execution`, what changes the table.

    ``client_id`` is that of the order in the table: the previous one, if it was replaced.
    """

    kind: ExecutionKind
    final: 1
    stated: 1
    client_id: 64
    quantity: 64
    exponent: 8
    leaves: 64


class Anomaly(enum.Enum, shape=4):
    """What should not be, and is counted. A change that is one of these changes nothing else
    than is said here."""

    COLLISION = 0       # an order was sent whose row holds one that is open: it is not in the table
    STRAY = 1           # there is no such order
    REPEATED = 2        # a change that has been made before
    LATE = 3            # a fill of an order that is done: it counts for the position
    EXCESS = 4          # a fill of more than was open: it counts for the position, whole
    EXPONENT = 5        # quantities in another unit: the order's state is UNKNOWN
    REPLACED = 6        # by whom? We do not: the order's state is UNKNOWN
    BROKEN = 7          # the position still has the fill


def one_hot(anomalies):
    """A bit for each :class:`Anomaly`, from a dict."""
    return Cat(anomalies.get(anomaly, 0) for anomaly in Anomaly)
