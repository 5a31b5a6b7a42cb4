"""What a feed decoder says: fields of market data messages, as they arrive."""

from amaranth.hdl import Cat, Value
from amaranth.lib import data, enum

__all__ = ["Side", "Change", "MessageKind", "FeedEventKind", "FeedEvent", "FrameVerdict",
           "is_kind", "price_key"]


class Side(enum.Enum, shape=1):
    """Side of a book."""

    BID = 0
    ASK = 1


class Change(enum.Enum, shape=2):
    """What happened to a price level."""

    CREATED = 0
    CHANGED = 1
    DELETED = 2


class MessageKind(enum.Enum, shape=2):
    """The messages that a book or a strategy reads."""

    BOOK = 0        # increment
    SNAPSHOT = 1
    TICKER = 2


class FeedEventKind(enum.Enum, shape=8):
    """Which fields of :class:`FeedEvent` have just become valid.

    One bit each, as many far places look for one of them: :func:`is_kind`.
    """

    INSTRUMENT = 1  # message, instrument_id, timestamp, channel, sequence, suspect
    HEADER = 2      # previous_change_id, change_id, final, complete (not in a ticker)
    PRICE = 4       # side, change, price of a level; its amount comes at least one cycle later
    LEVEL = 8       # amount, last; side, change and price still stand
    END = 16        # the message ends without a level (its group is empty)
    BID = 32        # ticker: best bid in `price`
    ASK = 64        # ticker: best ask in `price`
    TICKER = 128    # ticker whole: bid_price, bid_amount, price, amount (of the ask)


def is_kind(kind, *kinds):
    """Whether an event's ``kind`` is one of these: their bits."""
    bits = Value.cast(kind)
    return Cat(bits[one.value.bit_length() - 1] for one in kinds).any()


class FeedEvent(data.Struct):
    """Fields of the message that is arriving. At most one event a cycle.

    Every field keeps its value from the event that brings it to the end of its message, so a
    reader need not store what came before. All of it is hearsay until the frame's
    :class:`FrameVerdict`: the FCS has not been seen.
    """

    kind: FeedEventKind
    message: MessageKind
    channel: 6              # dense index of the subscription's channel
    suspect: 1              # this frame's sequence number shows a gap: decide nothing on it
    sequence: 64            # the datagram's
    instrument_id: 32       # the venue's
    timestamp: 64           # the venue's unit (Deribit: ms)
    previous_change_id: 64
    change_id: 64
    final: 1                # last message of the logical update
    complete: 1             # snapshot: this is the whole book
    side: Side
    change: Change
    price: 64               # ordered key, see price_key
    amount: 64              # the venue's bits (Deribit: IEEE 754 double)
    last: 1                 # last level of the message
    bid_price: 64           # ticker only; ordered key
    bid_amount: 64
    stamp: 16               # cycle in which the event's last byte stood on the XGMII input


class FrameVerdict(data.Struct):
    """Follows the events of every frame that had UDP payload for a subscribed group.

    Comes exactly once per such frame, at the same cycle as its last event or later, before the
    first event of the next frame. If not ``good`` all events of the frame are void.
    """

    good: 1
    gap: 1                  # good, and datagrams of this channel are missing before it
    channel: 6
    stamp: 16               # cycle in which the TERMINATE character stood on the XGMII input


def price_key(double):
    """64-bit IEEE 754 pattern to an unsigned key in the same order (no NaN).

    The sign bit is inverted; a negative number's other bits too. Negative zero is the caller's
    to avoid: it orders just below zero.
    """
    sign = double[63]
    return Cat(double[:63] ^ sign.replicate(63), ~sign)
