"""Which fields of a feed's messages become which fields of an event, and when: no logic."""

from dataclasses import dataclass

from tickwire.hdl.feed.event import FeedEventKind, MessageKind
from tickwire.hdl.wire.deribit import ASK, BID, DERIBIT
from tickwire.hdl.wire.sbe import Schema

__all__ = ["LANES", "WINDOW", "Stop", "MessagePlan", "FeedPlan", "DERIBIT_PLAN"]

LANES = 8       # bytes in a beat
WINDOW = 13     # bytes before a stop that can be read at it


@dataclass(frozen=True)
class Stop:
    """A place in a block at which something is complete.

    Parameters
    ----------
    event : FeedEventKind or None
        What is said there.
    fields : dict
        Field of the block to name of the event's field, or names, that it becomes. They must stand
        within the last ``WINDOW`` bytes before the end of the last one, which is the stop.
    """

    event: FeedEventKind | None
    fields: dict

    def end(self, layout):
        """Bytes from the block's first one to the stop."""
        return max(layout[name].offset + layout[name].size for name in self.fields)

    def places(self, layout):
        """``(event field, bytes between the wire field's last one and the stop, bytes)``."""
        for name, targets in self.fields.items():
            field = layout[name]
            for target in (targets,) if isinstance(targets, str) else targets:
                yield target, self.end(layout) - field.offset - field.size, field.size


@dataclass(frozen=True)
class MessagePlan:
    """How one message is read.

    Parameters
    ----------
    name : str
        Of the message in the schema.
    kind : MessageKind
    root : tuple of Stop
        In the root block, two or more.
    group : str or None
        The group whose entries are levels: the message's first one.
    entry : tuple of Stop
        In each entry of that group, two or more.
    """

    name: str
    kind: MessageKind
    root: tuple
    group: str | None = None
    entry: tuple = ()


@dataclass(frozen=True)
class FeedPlan:
    """All that makes a decoder for one venue.

    Parameters
    ----------
    schema : Schema
    messages : tuple of MessagePlan
        The messages that give events. All others are skipped by their lengths.
    ask, bid : int
        The venue's numbers for the two sides.

    Raises
    ------
    ValueError
        If stops are less than a beat apart, so that two could fall in one beat; if a field stands
        too far from its stop; if a header does not fit the window, or template ids have more than
        two bytes; if a block has less than two stops (the first gives the time in which its length
        is looked at); or if the group is not the message's first.
    """

    schema: Schema
    messages: tuple
    ask: int
    bid: int

    def __post_init__(self):
        for name in ("frame_header", "message_header", "group_header"):
            size = getattr(self.schema, name).size
            if not LANES <= size < WINDOW:
                raise ValueError(f"The {name} of {self.schema.name} must have {LANES} to "
                                 f"{WINDOW - 1} bytes, not {size}")
        if self.schema.message_header["templateId"].size > 2:
            raise ValueError(f"Template ids of {self.schema.name} must have 1 or 2 bytes, not "
                             f"{self.schema.message_header['templateId'].size}")
        for plan in self.messages:
            message = self.schema[plan.name]
            self._check_block(plan.name, message.layout, plan.root)
            if plan.group is not None:
                if not message.groups or message.groups[0].name != plan.group:
                    raise ValueError(f"The first group of {plan.name} is not {plan.group}")
                self._check_block(plan.group, message.groups[0].layout, plan.entry)

    @staticmethod
    def _check_block(name, layout, stops):
        if len(stops) < 2:
            raise ValueError(f"{name} must have two stops or more, not {len(stops)}")
        before = 0
        for stop in stops:
            end = stop.end(layout)
            if end - before < LANES:
                raise ValueError(f"The stops of {name} at {before} and {end} bytes are less than "
                                 f"{LANES} bytes apart: both may fall in one beat")
            before = end
            for target, distance, size in stop.places(layout):
                if distance + size > WINDOW:
                    raise ValueError(f"{target} of {name} begins {distance + size} bytes before "
                                     f"its stop, more than the window of {WINDOW}")


DERIBIT_PLAN = FeedPlan(DERIBIT, (
    MessagePlan("book", MessageKind.BOOK, (
        Stop(FeedEventKind.INSTRUMENT, {"instrumentId": "instrument_id",
                                        "timestampMs": "timestamp"}),
        Stop(None, {"prevChangeId": "previous_change_id"}),
        Stop(FeedEventKind.HEADER, {"changeId": "change_id", "isLast": "final"}),
    ), "changesList", (
        Stop(FeedEventKind.PRICE, {"side": "side", "change": "change", "price": "price"}),
        Stop(FeedEventKind.LEVEL, {"amount": "amount"}),
    )),
    MessagePlan("snapshot", MessageKind.SNAPSHOT, (
        Stop(FeedEventKind.INSTRUMENT, {"instrumentId": "instrument_id",
                                        "timestampMs": "timestamp"}),
        Stop(FeedEventKind.HEADER, {"changeId": "change_id", "isBookComplete": "complete",
                                    "isLastInBook": "final"}),
    ), "levelsList", (
        Stop(FeedEventKind.PRICE, {"side": "side", "price": "price"}),
        Stop(FeedEventKind.LEVEL, {"amount": "amount"}),
    )),
    MessagePlan("ticker", MessageKind.TICKER, (
        Stop(FeedEventKind.INSTRUMENT, {"instrumentId": "instrument_id",
                                        "timestampMs": "timestamp"}),
        Stop(FeedEventKind.BID, {"bestBidPrice": ("price", "bid_price")}),
        Stop(None, {"bestBidAmount": "bid_amount"}),
        Stop(FeedEventKind.ASK, {"bestAskPrice": "price"}),
        Stop(FeedEventKind.TICKER, {"bestAskAmount": "amount"}),
    )),
), ask=ASK, bid=BID)
