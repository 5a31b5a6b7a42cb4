"""The places of a datagram at which a decoder stops, numbered."""

from typing import NamedTuple

from tickwire.hdl.feed.plan import MessagePlan, Stop

__all__ = ["FRAME", "MESSAGE", "GROUP", "GROUP_DATA", "ENTRY", "ENTRY_DATA", "DATA", "FieldStop",
           "field_stops"]

FRAME = 0           # end of the datagram's header
MESSAGE = 1         # end of a message header
GROUP = 2           # end of a group header
GROUP_DATA = 3      # the byte behind a group header, if that may be the length of data
ENTRY = 4           # end of an entry of a group that is skipped
ENTRY_DATA = 5      # the byte behind it
DATA = 6            # the length of variable-length data
_FIRST_FIELD = 7


class FieldStop(NamedTuple):
    """A stop at fields that become events. ``number`` counts on from the ones above."""

    number: int
    plan: MessagePlan
    stop: Stop
    layout: object      # of the block in which it stands
    in_entry: bool
    first: bool         # of its block
    last: bool
    end: int            # bytes from the block's first one


def field_stops(feed_plan):
    """All field stops of a plan, each block's in its order."""
    stops = []
    for plan in feed_plan.messages:
        message = feed_plan.schema[plan.name]
        blocks = [(plan.root, message.layout, False)]
        if plan.group is not None:
            blocks.append((plan.entry, message.groups[0].layout, True))
        for block, layout, in_entry in blocks:
            for index, stop in enumerate(block):
                stops.append(FieldStop(
                    _FIRST_FIELD + len(stops), plan, stop, layout, in_entry, index == 0,
                    index == len(block) - 1, stop.end(layout)))
    return stops
