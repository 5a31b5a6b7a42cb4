# amaranth: UnusedElaboratable=no
"""FeedPlan: the stops of the Deribit plan, a second venue through the same door, and refusals."""

import struct
from dataclasses import replace

import feed_bench as fb
import pytest
from tickwire.hdl.feed.decoder import FeedDecoder
from tickwire.hdl.feed.event import FeedEventKind, MessageKind
from tickwire.hdl.feed.plan import DERIBIT_PLAN, FeedPlan, MessagePlan, Stop
from tickwire.hdl.feed.sequence import SequenceTable
from tickwire.hdl.feed.stops import field_stops
from tickwire.hdl.feed.tally import MessageTally
from tickwire.hdl.wire.deribit import DERIBIT
from tickwire.hdl.wire.fixed import FixedLayout
from tickwire.hdl.wire.sbe import Group, Message, Schema


def test_deribit_stops():
    ends = {}
    for stop in field_stops(DERIBIT_PLAN):
        ends.setdefault((stop.plan.name, stop.in_entry), []).append(stop.end)
    assert ends == {("book", False): [12, 20, 29], ("book", True): [10, 18],
                    ("snapshot", False): [12, 22], ("snapshot", True): [9, 17],
                    ("ticker", False): [13, 69, 77, 85, 93]}


def test_another_venue():
    """Other headers, other fields, other numbers for the sides."""
    frame_header = FixedLayout("frame", [("sequence", 4), ("flags", 4), ("length", 2)],
                               byteorder="little")
    message_header = FixedLayout("message", [
        ("schemaId", 2), ("templateId", 1), ("filler", 1), ("numGroups", 2),
        ("numVarDataFields", 1), ("blockLength", 2)], byteorder="little")
    group_header = FixedLayout("group", [
        ("numInGroup", 2), ("blockLength", 2), ("numGroups", 2), ("numVarDataFields", 3)],
        byteorder="little")
    schema = Schema("other venue", 77, frame_header, message_header, group_header, (
        Message("heartbeat", 1),
        Message("depth", 9, [("timestamp", "u64"), ("id", "u32"), ("change", "u64")],
                [Group("rows", [("amount", "f64"), ("price", "f64"), ("side", "u8")])])))
    plan = FeedPlan(schema, (MessagePlan("depth", MessageKind.SNAPSHOT, (
        Stop(FeedEventKind.INSTRUMENT, {"timestamp": "timestamp", "id": "instrument_id"}),
        Stop(FeedEventKind.HEADER, {"change": "change_id"}),
    ), "rows", (
        Stop(None, {"amount": "amount"}),
        Stop(FeedEventKind.LEVEL, {"price": "price", "side": "side"}),
    )),), ask=2, bid=1)

    def message(template, root, entries=None):
        head = struct.pack("<HBBHBH", 77, template, 0, entries is not None, 0, len(root))
        rows = b"" if entries is None else struct.pack(
            "<HHHHB", len(entries), 17, 0, 0, 0) + b"".join(entries)
        return head + root + rows

    rows = [struct.pack("<ddB", 2.5, 10.0, 2), struct.pack("<ddB", 1.5, 9.0, 1)]
    body = message(1, b"") + message(9, struct.pack("<QIQ", 5, 6, 7), rows) + message(1, b"")
    payload = struct.pack("<IIH", 1, 0, len(body)) + body
    sent = [fb.Sent(payload, begin=begin, reset=3) for begin in range(8)]
    counted = fb.run(sent, dut=FeedDecoder(plan))
    assert counted == [16, 8, 0]
    root = 10 + 9 + 9
    ends = [root + 12, root + 20, root + 20 + 9 + 17, root + 20 + 9 + 34]
    for one in sent:
        assert one.verdicts == [(1, 0)]
        assert [event.kind for _, event in one.events] == [
            FeedEventKind.INSTRUMENT, FeedEventKind.HEADER, *[FeedEventKind.LEVEL] * 2]
        assert [cycle for cycle, _ in one.events] == [one.cycles[end - 1] + 1 for end in ends]
        last = one.events[-1][1]
        assert (last.timestamp, last.instrument_id, last.change_id) == (5, 6, 7)
        assert (last.price, last.amount, last.last) == (fb.key(9.0), fb.bits_of(1.5), 1)
        assert [event.side.value for _, event in one.events[2:]] == [1, 0]


def plan_with(**changes):
    return replace(DERIBIT_PLAN, messages=(replace(DERIBIT_PLAN.messages[0], **changes),))


def test_nonsense_is_rejected():
    root = DERIBIT_PLAN.messages[0].root
    with pytest.raises(ValueError, match=r"^book must have two stops or more, not 1$"):
        plan_with(root=root[:1])
    with pytest.raises(ValueError, match=r"^The stops of book at 28 and 29 bytes are less than 8 "
                                         r"bytes apart: both may fall in one beat$"):
        plan_with(root=(Stop(None, {"changeId": "change_id"}), Stop(None, {"isLast": "final"})))
    with pytest.raises(ValueError, match=r"^instrument_id of book begins 29 bytes before its "
                                         r"stop, more than the window of 13$"):
        plan_with(root=(root[0], Stop(None, {"instrumentId": "instrument_id",
                                             "isLast": "final"})))
    with pytest.raises(ValueError, match=r"^The first group of book is not levelsList$"):
        plan_with(group="levelsList")
    long_header = FixedLayout("long", [("length", 16)], byteorder="little")
    with pytest.raises(ValueError, match=r"^The frame_header of Deribit multicast must have 8 to "
                                         r"12 bytes, not 16$"):
        replace(DERIBIT_PLAN, schema=replace(DERIBIT, frame_header=long_header))
    wide = FixedLayout("wide", [("templateId", 4), ("blockLength", 4)], byteorder="little")
    with pytest.raises(ValueError, match=r"^Template ids of Deribit multicast must have 1 or 2 "
                                         r"bytes, not 4$"):
        replace(DERIBIT_PLAN, schema=replace(DERIBIT, message_header=wide))
    with pytest.raises(ValueError, match=r"^SequenceTable channels must be a power of two between "
                                         r"2 and 64, not 128$"):
        SequenceTable(128)
    with pytest.raises(ValueError, match=r"^MessageTally depth must be a power of two, not 100$"):
        MessageTally(4, depth=100)
