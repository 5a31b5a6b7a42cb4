"""What the rooms of the book tell each other and keep in memory."""

from amaranth.hdl import Cat, Const, Mux, unsigned
from amaranth.lib import data
from tickwire.hdl.book.event import TopOfBook
from tickwire.hdl.feed.event import Change, MessageKind, Side

__all__ = ["NUMBER", "InstrumentLookup", "EarlyLookup", "Entry", "MessageHeader", "HeaderRecord",
           "LevelRecord", "EndRecord", "Record", "book_side", "book_state", "HostRequest",
           "HostLevel", "side_key", "touch_of", "signature"]

NUMBER = unsigned(48)
"""Number of a message for the book since reset, from 1. It does not wrap in practice: 2^48
messages at one in ten cycles of 156.25 MHz take 208 days of line rate."""


class InstrumentLookup(data.Struct):
    """The instrument table's answer to an INSTRUMENT event."""

    known: 1
    index: 7                # dense index
    channel: 6              # dense index of the channel with the instrument's increments


class EarlyLookup(data.Struct):
    """The same a cycle earlier, if the instrument is known."""

    index: 7
    channel: 6


class Entry(data.Struct):
    """A price level."""

    key: 64                 # ordered key; inverted for bids, so that smaller is better
    amount: 64              # the venue's bits


class MessageHeader(data.Struct):
    """Fields of a message that stand in front of its levels, kept from their events on."""

    message: MessageKind
    channel: 6              # of the frame
    suspect: 1
    timestamp: 64
    previous_change_id: 64
    change_id: 64
    final: 1
    complete: 1


class HeaderRecord(data.Struct):
    """First record of a message in the queue."""

    snapshot: 1
    final: 1
    complete: 1
    adrift: 1               # snapshot: parts before this one may be missing
    index: 7
    frame_channel: 6        # of the frame that brought the message
    channel: 6              # of the instrument's increments
    previous_change_id: 64
    change_id: 64


class LevelRecord(data.Struct):
    """A level change, between a message's header and its end."""

    end: 1                  # 0
    side: Side
    change: Change          # means nothing in a snapshot
    entry: Entry


class EndRecord(data.Struct):
    """Last record of a message in the queue."""

    end: 1                  # 1
    broken: 1               # the message was not whole
    previewed: 1            # the preview gave an event for it
    stamp: 16
    signature: 32           # of the touch in that event
    timestamp: 64


Record = data.UnionLayout({"header": HeaderRecord, "level": LevelRecord, "end": EndRecord})


def book_side(levels):
    """Layout of one side's part of :func:`book_state`."""
    return data.StructLayout({"count": range(levels + 1), "lost": 1, "edge": 64})


def book_state(levels):
    """Layout of what is kept of one book beside its levels.

    Members
    -------
    built, stale : 1 bit
        The levels are those of a whole book; but must not be used.
    building, skipping : 1 bit
        A snapshot is arriving; a part of it has been passed over, so the others are.
    open : 1 bit
        The last message did not end its logical update.
    channel : 6 bits
        Of the instrument's increments.
    number : 48 bits
        Number of the message with the first part of the book's snapshot.
    change_id : 64 bits
        Of the last message applied.
    sides : array of 2
        ``count`` of levels; ``lost``: a level fell off, the best such key is ``edge`` (the
        horizon). While a snapshot is arriving and nothing fell off, ``edge`` is the worst key.
    """
    return data.StructLayout({
        "built": 1, "stale": 1, "building": 1, "skipping": 1, "open": 1, "channel": 6,
        "number": NUMBER, "change_id": 64, "sides": data.ArrayLayout(book_side(levels), 2)})


class HostRequest(data.Struct):
    """Which level the host wants to read; level 0 is the best."""

    index: 7
    side: Side
    level: 8


class HostLevel(data.Struct):
    """A level, and the state of its book between the same two messages."""

    valid: 1                # there is such a level
    price: 64               # ordered key as in FeedEvent
    amount: 64
    built: 1
    stale: 1                # a built book that must not be used
    building: 1
    change_id: 64
    bid_count: 8
    ask_count: 8
    bid_lost: 1             # levels beyond a horizon are missing
    ask_lost: 1


def side_key(side, price):
    """Ordered key of a price to or from the key of an :class:`Entry`."""
    return Mux(side == Side.BID, ~price, price)


def touch_of(bid, ask, bid_valid, ask_valid):
    """:class:`TopOfBook` of the best entries; what is not valid is zero."""
    def only(valid, value):
        return Mux(valid, value, 0)

    return data.View(TopOfBook, Cat(
        only(bid_valid, ~bid.key), only(bid_valid, bid.amount),
        only(ask_valid, ask.key), only(ask_valid, ask.amount), bid_valid, ask_valid))


def signature(touch):
    """32 bits that differ, but for one chance in 2^32, if two touches differ."""
    value = touch.as_value()
    parts = [value[start:start + 32] for start in range(0, 256, 32)]
    folded = Const(0, 32)
    for turn, part in enumerate(parts):
        folded = folded ^ part.rotate_left(3 * turn)
    return folded ^ value[256:]
