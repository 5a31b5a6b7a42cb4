"""PriceLevelBook on Deribit's sample capture: the touch equals what the venue's tickers say."""

import os
import struct
from collections import Counter
from itertools import islice
from pathlib import Path

import dpkt
import pytest
from book_bench import Script, play
from book_golden import ASK, BID, BOOK, CREATED, SNAPSHOT, Frame, Message

PROJECT = Path(__file__).resolve().parents[3]
DATA = Path(os.environ.get("TICKWIRE_DATA", PROJECT.parent / "shared" / "data")) / "deribit"
CAPTURE = DATA / "sample_capture_v1_6.pcapng"

FRAME_HEADER = struct.Struct("<HHI")            # length, channel, sequence
MESSAGE_HEADER = struct.Struct("<6H")           # block length, template, …, groups, data fields
GROUP_HEADER = struct.Struct("<4H")             # block length, entries, …
OVERHEAD = 66       # bytes on the wire beside the payload: Ethernet, IPv4, UDP, preamble and gap
PART = 2650         # datagrams, unless it is the soak: up to a snapshot of two messages
BOOK_ID, TICKER_ID, SNAPSHOT_ID = 1001, 1003, 1004


def key(double):
    """Unsigned integers in the order of the doubles."""
    bits = struct.unpack("<Q", double)[0]
    return bits ^ (2**64 - 1 if bits >> 63 else 1 << 63)


def bits(double):
    return struct.unpack("<Q", double)[0]


def entries(payload, at):
    """Entries of a message's groups, and where the message ends."""
    block, _, _, _, groups, data = MESSAGE_HEADER.unpack_from(payload, at)
    at += MESSAGE_HEADER.size + block
    found = []
    for _ in range(groups):
        size, count, _, _ = GROUP_HEADER.unpack_from(payload, at)
        at += GROUP_HEADER.size
        found += [payload[at + size * n:at + size * (n + 1)] for n in range(count)]
        at += size * count
    for _ in range(data):
        at += 1 + payload[at]
    return found, at


def datagrams(most):
    with CAPTURE.open("rb") as file:
        for _, octets in islice(dpkt.pcapng.Reader(file), most):
            yield bytes(dpkt.ethernet.Ethernet(octets).data.data.data)


def side_of(code):
    return BID if code else ASK


def messages(payload):
    """(venue's id, Message) and, for a ticker, (venue's id, its touch)."""
    at = FRAME_HEADER.size
    while at < len(payload):
        template = MESSAGE_HEADER.unpack_from(payload, at)[1]
        body = payload[at + MESSAGE_HEADER.size:]
        found, at = entries(payload, at)
        instrument = int.from_bytes(body[:4], "little")
        if template == BOOK_ID:
            time, previous, change_id, last = struct.unpack_from("<QQQB", body, 4)
            levels = [(side_of(one[0]), one[1], key(one[2:10]), bits(one[10:18]))
                      for one in found]
            yield instrument, Message(BOOK, 0, levels, previous, change_id, last,
                                      timestamp=time)
        elif template == SNAPSHOT_ID:
            time, change_id, whole, last = struct.unpack_from("<QQBB", body, 4)
            levels = [(side_of(one[0]), CREATED, key(one[1:9]), bits(one[9:17]))
                      for one in found]
            yield instrument, Message(SNAPSHOT, 0, levels, 0, change_id, last, whole, time)
        elif template == TICKER_ID:
            yield instrument, ticker_touch(body)


def ticker_touch(body):
    """Best bid and ask of a ticker; an amount of zero means that there is none."""
    bid_price, bid_amount, ask_price, ask_amount = (body[at:at + 8] for at in (61, 69, 77, 85))
    sides = (key(bid_price), bits(bid_amount)), (key(ask_price), bits(ask_amount))
    return tuple(side if side[1] else None for side in sides)


@pytest.fixture(scope="module")
def played(soak):
    """Frames of the capture that concern books, back to back at line rate, and what came out."""
    if not CAPTURE.exists():
        pytest.skip(f"The capture is not there: {CAPTURE} (TICKWIRE_DATA names the folder)")
    indices, channels, numbers = {}, {}, {}
    frames = []
    for payload in datagrams(None if soak else PART):
        _, channel, _ = FRAME_HEADER.unpack_from(payload)
        number = numbers.setdefault(channel, len(numbers))
        found = [(indices.setdefault(instrument, len(indices)), message)
                 for instrument, message in messages(payload)]
        for index, message in found:
            channels.setdefault(index, 0)
            if isinstance(message, Message):
                message.instrument = index
                if message.kind == BOOK:
                    channels[index] = number
        frames.append((number, found, len(payload)))
    script = Script(channels)
    script.cycle = 140              # the memories are clear
    for number, found, length in frames:
        mine = [message for _, message in found if isinstance(message, Message)]
        if mine:
            start = script.cycle
            script.frame(Frame(number, mine))
            script.cycle = max(script.cycle, start + (length + OVERHEAD) // 8)
    heard = play(script, until=script.cycle + 1000, instruments=128, levels=64, row_levels=4,
                 queue=512, channels=64)
    return frames, heard


def test_touch_equals_every_ticker_of_an_instrument_with_a_book(played, soak):
    frames, heard = played
    events = iter(heard.book)
    touch, equal, before = {}, 0, 0
    for _, found, _ in frames:
        for index, message in found:
            if isinstance(message, Message) and (
                    message.kind == BOOK or message.final and index not in touch):
                _, event, _, _ = next(events)
                assert (event[0], event[2], event[3]) == (index, True, message.change_id)
                touch[index] = event[1]
        # A ticker stands before the book message of its frame and tells of the book after it.
        for index, said in found:
            if not isinstance(said, Message):
                before += index not in touch
                if index in touch:
                    assert touch[index] == said
                    equal += 1
    assert next(events, None) is None
    assert (equal, before) == (3441, 770) if soak else (equal > 1000 and before > 500)


def test_strategy_hears_every_event_once(played):
    _, heard = played
    assert sorted(event[3:] for _, event in heard.o) == sorted(
        event[3:] for _, event, _, _ in heard.book)
    assert {event for _, event in heard.o} == {event for _, event, _, _ in heard.book}


def test_everything_is_counted(played, soak):
    frames, heard = played
    late = heard.counts.pop("late")
    counted = dict(heard.counts)
    if soak:
        assert counted == {"snapshots_built": 84, "snapshots_ignored": 110,
                           "updates": 1064, "level_changes": 1224}
    sent = Counter()
    built = set()
    for _, found, _ in frames:
        for index, message in found:
            if isinstance(message, Message) and message.kind == BOOK:
                sent["updates"] += 1
                sent["level_changes"] += len(message.levels)
            elif isinstance(message, Message) and message.final:
                sent["snapshots_ignored" if index in built else "snapshots_built"] += 1
                built.add(index)
    assert counted == sent
    assert late == sum(not previewed and not snapshot
                       for *_, previewed, snapshot in heard.book) < 20
    assert heard.max_depth == (33 if soak else 17)
