"""Datagrams of the Deribit feed: made, read and driven without the gateware's own tables."""

import math
import random
import struct
from dataclasses import dataclass, field

from amaranth.hdl import Cat
from amaranth.sim import Simulator
from tickwire.hdl.feed.decoder import FeedDecoder
from tickwire.hdl.feed.event import Change, FeedEventKind, MessageKind, Side

KNOWN = (1000, 1001, 1002, 1003, 1004, 1005, 1006, 1007, 1008, 1009, 1010)
BLOCKS = {1000: 140, 1001: 29, 1002: 4, 1003: 133, 1004: 22, 1005: 4, 1006: 0, 1007: 4, 1008: 32,
          1009: 22, 1010: 139}
ENTRIES = {1001: 18, 1002: 83, 1004: 17, 1007: 8, 1010: 16}
DATA = {1000, 1010}

K, M = FeedEventKind, MessageKind


def key(price):
    """The order of doubles as integers, written down once more."""
    bits, = struct.unpack("<Q", struct.pack("<d", price + 0.0))
    return bits ^ (1 << 63) if bits < 1 << 63 else ~bits & (1 << 64) - 1


def bits_of(double):
    return struct.unpack("<Q", struct.pack("<d", double))[0]


# Making.

def header(template, block, groups=0, data=0, schema=1, version=3):
    return struct.pack("<6H", block, template, schema, version, groups, data)


def group(entries, block=None, nested=(0, 0)):
    entries = list(entries)
    block = len(entries[0]) if block is None else block
    return struct.pack("<4H", block, len(entries), *nested) + b"".join(entries)


def message(template, root, groups=(), data=()):
    return (header(template, len(root), len(groups), len(data)) + root + b"".join(groups)
            + b"".join(bytes([len(datum)]) + datum for datum in data))


def book(instrument, levels, *, time=1, previous=2, change=3, last=1, more=b"", entry_more=b"",
         groups=(), data=()):
    root = struct.pack("<IQQQB", instrument, time, previous, change, last) + more
    entries = [struct.pack("<BBdd", *level) + entry_more for level in levels]
    return message(1001, root, (group(entries, 18 + len(entry_more)), *groups), data)


def snapshot(instrument, levels, *, time=1, change=3, complete=1, last=1, more=b"",
             entry_more=b"", groups=(), data=()):
    root = struct.pack("<IQQBB", instrument, time, change, complete, last) + more
    entries = [struct.pack("<Bdd", *level) + entry_more for level in levels]
    return message(1004, root, (group(entries, 17 + len(entry_more)), *groups), data)


def ticker(instrument, bid, ask, *, time=1, more=b"", groups=(), data=()):
    root = struct.pack("<IBQ6d4d5d", instrument, 1, time, *range(6), *bid, *ask, *range(5)) + more
    return message(1003, root, groups, data)


def datagram(messages, sequence=1, channel=1):
    body = b"".join(messages)
    return struct.pack("<HHI", len(body), channel, sequence) + body


# Reading.

@dataclass
class Expected:
    """An event and the number of payload bytes after which it is known."""

    end: int
    kind: FeedEventKind
    fields: dict


def read(payload):
    """Events of a well-formed datagram, and its messages' template ids."""
    events, templates = [], []
    place = 8
    while place < len(payload):
        block, template, _, _, groups, data = struct.unpack_from("<6H", payload, place)
        templates.append(template)
        root = place + 12
        place = root + block
        fields = {}

        def say(end, kind, events=events, fields=fields, **more):
            fields.update(more)
            events.append(Expected(end, kind, dict(fields)))

        if template == 1001:
            instrument, time, previous, change, last = struct.unpack_from("<IQQQB", payload, root)
            say(root + 12, K.INSTRUMENT, message=M.BOOK, instrument_id=instrument, timestamp=time)
            say(root + 29, K.HEADER, previous_change_id=previous, change_id=change, final=last,
                complete=0)
        elif template == 1004:
            instrument, time, change, complete, last = struct.unpack_from("<IQQBB", payload, root)
            say(root + 12, K.INSTRUMENT, message=M.SNAPSHOT, instrument_id=instrument,
                timestamp=time)
            say(root + 22, K.HEADER, change_id=change, final=last, complete=complete)
        elif template == 1003:
            instrument, _, time = struct.unpack_from("<IBQ", payload, root)
            bid, bid_amount, ask, ask_amount = struct.unpack_from("<4d", payload, root + 61)
            say(root + 13, K.INSTRUMENT, message=M.TICKER, instrument_id=instrument,
                timestamp=time)
            if math.isfinite(bid):
                say(root + 69, K.BID, price=key(bid))
            if math.isfinite(ask):
                say(root + 85, K.ASK, price=key(ask))
            if math.isfinite(bid) and math.isfinite(ask):
                say(root + 93, K.TICKER, bid_price=key(bid), bid_amount=bits_of(bid_amount),
                    amount=bits_of(ask_amount))

        for number in range(groups):
            size, count = struct.unpack_from("<HH", payload, place)
            place += 8
            for index in range(count):
                at = place + index * size
                if number or template not in (1001, 1004):
                    continue
                if template == 1001:
                    side, change, price, amount = struct.unpack_from("<BBdd", payload, at)
                else:
                    (side, price, amount), change = struct.unpack_from("<Bdd", payload, at), 0
                end = at + (18 if template == 1001 else 17)
                say(end - 8, K.PRICE, side=Side.BID if side else Side.ASK, change=Change(change),
                    price=key(price))
                say(end, K.LEVEL, amount=bits_of(amount), last=int(index == count - 1))
            if not count and not number and template in (1001, 1004):
                say(place, K.END)
            place += size * count
        for _ in range(data):
            place += 1 + payload[place]
    assert place == len(payload), "the test's own datagram is malformed"
    return events, templates


# Driving.

@dataclass
class Sent:
    """A datagram, how it is sent, and what came back."""

    payload: bytes
    begin: int = 2
    good: bool = True
    match: bool = True
    channel: int = 3
    bubbles: float = 0.0
    reset: int | None = None                        # channel to forget before it
    events: list = field(default_factory=list)      # (cycle - cycle of the byte, kind, payload)
    verdicts: list = field(default_factory=list)
    counts: list = field(default_factory=list)
    cycles: list = field(default_factory=list)      # of each payload byte
    stamps: list = field(default_factory=list)


COUNTS = ("good", "malformed", "duplicate", "gap")


def run(sent, seed=1, dut=None):
    """Sends datagrams one after the other; returns how often each message was counted."""
    rng = random.Random(seed)
    dut = dut or FeedDecoder()
    messages = [0] * len(dut.o_count_message)
    strobes = Cat(dut.o.valid, dut.o_verdict.valid,
                  *(getattr(dut, f"o_count_{name}") for name in COUNTS), dut.o_count_message)
    late = []       # what came in cycles in which nothing may come

    async def bench(ctx):
        cycle = 0
        # Datagrams that ended one cycle and two cycles before
        ended, ended_stamp, counting = None, None, None

        async def step(one, beat=None, known=False, end=None):
            """One cycle: drives, observes."""
            nonlocal cycle, ended, ended_stamp, counting
            data, begin, stop, first, last = beat or (
                rng.getrandbits(64), rng.getrandbits(3), rng.randrange(9), rng.getrandbits(1),
                rng.getrandbits(1))
            stamp = rng.getrandbits(16)
            ctx.set(dut.i.valid, beat is not None)
            ctx.set(dut.i.payload, {"data": data, "begin": begin, "end": stop, "first": first,
                                    "last": last})
            ctx.set(dut.i_stamp, stamp)
            ctx.set(dut.i_match, one.match if known else rng.getrandbits(1))
            ctx.set(dut.i_channel, one.channel if known else rng.getrandbits(6))
            ctx.set(dut.i_end.valid, end is not None)
            ctx.set(dut.i_end.payload, {"good": one.good if end else rng.getrandbits(1),
                                        "match": one.match, "channel": one.channel,
                                        "stamp": stamp})
            seen = ctx.get(strobes)
            if seen & 1:
                one.events.append((cycle, ctx.get(dut.o.payload)))
            if seen >> 1 & 1:
                verdict = ctx.get(dut.o_verdict.payload)
                assert ended is not None and verdict.stamp == ended_stamp
                assert verdict.channel == ended.channel
                ended.verdicts.append((verdict.good, verdict.gap))
            for place, name in enumerate(COUNTS):
                if seen >> 2 + place & 1:
                    counting.counts.append(name)
            counting = ended
            ended, ended_stamp = (one, stamp) if end is not None else (None, None)
            counted = seen >> 2 + len(COUNTS)
            if counted:
                assert counted & counted - 1 == 0, "one message a cycle"
                messages[counted.bit_length() - 1] += 1
            if beat is not None:
                one.cycles += [cycle] * (stop - begin)
                one.stamps += [stamp] * (stop - begin)
            await ctx.tick()
            cycle += 1

        for one in sent:
            if one.reset is not None:
                ctx.set(dut.reset_sequence.valid, 1)
                ctx.set(dut.reset_sequence.payload, one.reset)
                await step(one)
                ctx.set(dut.reset_sequence.valid, 0)
            lanes = bytes(one.begin) + one.payload
            count = max(1, -(-len(lanes) // 8))
            beats = []
            for number in range(count):
                chunk = lanes[8 * number:8 * number + 8]
                raw = int.from_bytes(chunk, "little") | rng.getrandbits(64) << 8 * len(chunk)
                begin = 0 if number else one.begin
                raw ^= rng.getrandbits(64) & (1 << 8 * begin) - 1
                beats.append((raw & (1 << 64) - 1, begin, len(chunk), number == 0,
                              number == count - 1))
            # Channel and match are known two cycles after the first beat, and in any case two
            # cycles before byte 31 comes.
            start, sure = cycle, (one.begin + 31) // 8 - 2
            for number, beat in enumerate(beats):
                while rng.random() < one.bubbles:
                    await step(one, known=number and (cycle >= start + 2 or number > sure))
                await step(one, beat, known=cycle >= start + 2 or number >= sure)
            for _ in range(1 + rng.choice([0, 0, 1, 3])):
                await step(one, known=cycle >= start + 2)
            await step(one, known=True, end=True)
            await step(one, known=True)
            for _ in range(rng.choice([0, 1, 5])):
                await step(one)
        idle = Sent(b"", match=False)
        for _ in range(140):
            await step(idle)
        late.extend(idle.events)

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert not late
    return messages


def check_events(one, sequence=None, suspect=0):
    """The events are those of the payload, each one cycle after its last byte, fields standing."""
    expected, _ = read(one.payload)
    sequence = struct.unpack_from("<I", one.payload, 4)[0] if sequence is None else sequence
    assert [event.kind for _, event in one.events] == [item.kind for item in expected]
    for (cycle, event), item in zip(one.events, expected, strict=True):
        assert cycle == one.cycles[item.end - 1] + 1, f"latency of {item.kind}"
        assert event.stamp == one.stamps[item.end - 1]
        assert (event.channel, event.sequence, event.suspect) == (one.channel, sequence, suspect)
        for name, value in item.fields.items():
            if name != "last" or item.kind is K.LEVEL:
                assert getattr(event, name) == value, f"{name} at {item.kind}"
