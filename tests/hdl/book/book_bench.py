"""Plays frames of messages into a PriceLevelBook and hears what it says."""

import random
from collections import Counter
from dataclasses import dataclass, field

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import data
from amaranth.sim import Simulator
from book_golden import BOOK, SNAPSHOT, TICKER
from tickwire.hdl.book.counts import AUTHORITY_COUNTS, WRITER_COUNTS
from tickwire.hdl.book.event import BookEvent
from tickwire.hdl.book.price_level import PriceLevelBook
from tickwire.hdl.book.record import HostLevel
from tickwire.hdl.feed.event import FeedEvent, FeedEventKind

INSTRUMENT, HEADER, PRICE, LEVEL, END, BID_FIELD, ASK_FIELD, TICKER_FIELD = (
    kind.value for kind in FeedEventKind)
COUNTS = (*AUTHORITY_COUNTS, *WRITER_COUNTS)
_LAYOUT = {name: (field.offset, field.width)
           for name, field in FeedEvent.as_shape()}


def pack(**fields):
    value = 0
    for name, content in fields.items():
        offset, width = _LAYOUT[name]
        assert 0 <= content < 1 << width, (name, content)
        value |= content << offset
    return value


@dataclass
class Heard:
    """What came out, each with its cycle."""

    o: list = field(default_factory=list)           # (cycle, event)
    book: list = field(default_factory=list)        # (cycle, event, previewed, snapshot)
    disarmed: list = field(default_factory=list)
    counts: Counter = field(default_factory=Counter)
    host: list = field(default_factory=list)        # (cycle, answer)
    tradable: dict = field(default_factory=dict)    # o_tradable, by its INSTRUMENT's cycle
    max_depth: int = 0


class Script:
    """Stimuli by cycle. Distances between events are the least that 8-byte beats allow, or more.

    Parameters
    ----------
    channels : dict
        Incremental channel of each dense index.
    slack : int
        Random cycles, up to so many, are added to every distance.
    """

    def __init__(self, channels, rng=None, slack=0, row_cycles=12, snapshot_cycles=12):
        self.channels, self.slack = channels, slack
        # That a level takes, at most, in an increment and in a snapshot.
        self.level_cycles = {BOOK: row_cycles, SNAPSHOT: snapshot_cycles, TICKER: 0}
        self.rng = rng or random.Random(0)
        self.events, self.lookups, self.verdicts, self.hosts = {}, {}, {}, {}
        self.cycle = 20                 # the memories are clear
        self.last_events = []           # cycle of every message's last event
        self.starts = []                # cycle of every message's INSTRUMENT
        self.busy_until = 0             # when the authority has done all, at the latest

    def wait(self, cycles):
        """Pause; what is more than needed to settle is cut off, for it only costs time."""
        self.cycle += min(cycles, max(self.busy_until - self.cycle, 0) + 40)

    def settle(self):
        """Wait until everything has been applied."""
        self.cycle = max(self.cycle, self.busy_until)

    def host(self, index, side, level):
        self.hosts[self.cycle] = index | side << 7 | level << 8

    def frame(self, frame, verdict_after=3, pause=8):
        for message in frame.messages:
            self._message(message, frame)
        self.cycle += verdict_after
        self.verdicts[self.cycle] = (int(frame.good) | int(frame.gap and frame.good) << 1
                                     | frame.channel << 2 | self._stamp() << 8)
        self.busy_until = max(self.busy_until, self.cycle) + 20 + sum(
            20 + self.level_cycles[message.kind] * len(message.levels)
            for message in frame.messages)
        self.cycle += pause

    def _stamp(self):
        return self.rng.getrandbits(16)

    def _event(self, after, **fields):
        self.cycle += after + self.rng.randint(0, self.slack)
        stamp = self._stamp()
        self.events[self.cycle] = pack(stamp=stamp, **fields)
        return stamp

    def _message(self, message, frame):
        shared = {"message": message.kind, "channel": frame.channel, "suspect": int(frame.gap),
                  "timestamp": message.timestamp, "instrument_id": self.rng.getrandbits(32),
                  "sequence": self.rng.getrandbits(64)}
        message.stamp = self._event(3, kind=INSTRUMENT, **shared)
        self.starts.append(self.cycle)
        start = self.cycle
        known = message.instrument >= 0
        self.lookups[start + 3] = (
            int(known) | message.instrument << 1 | self.channels[message.instrument] << 8
            if known else self.rng.getrandbits(13) << 1)
        if message.kind == TICKER:
            shared |= {name: self.rng.getrandbits(64) for name in (
                "price", "amount", "bid_price", "bid_amount")}
            for kind in (BID_FIELD, ASK_FIELD, TICKER_FIELD):
                self._event(4, kind=kind, **shared)
            return
        shared |= {"previous_change_id": message.previous, "change_id": message.change_id,
                   "final": message.final, "complete": message.complete}
        self._event(2 if message.kind == BOOK else 1, kind=HEADER, **shared)
        if not message.levels and not message.cut:
            message.stamp = self._event(1, kind=END, **shared)
        for number, (side, change, price, amount) in enumerate(message.levels):
            level = {"side": side, "change": change, "price": price}
            least = 1 if number else 2
            least = max(least, start + (4 if message.kind == BOOK else 3) - self.cycle)
            self._event(least, kind=PRICE, **shared, **level)
            message.stamp = self._event(
                1, kind=LEVEL, amount=amount, **shared, **level,
                last=int(number == len(message.levels) - 1 and not message.cut))
        self.last_events.append(self.cycle)


def _fields(layout, value):
    """Fields of a packed struct, nested ones as dictionaries."""
    found = {}
    for name, part in layout:
        piece = value >> part.offset & (1 << part.width) - 1
        nested = getattr(part.shape, "as_shape", lambda: None)()
        found[name] = _fields(nested, piece) if isinstance(nested, data.StructLayout) else piece
    return found


_EVENT, _ANSWER = BookEvent.as_shape(), HostLevel.as_shape()


def as_event(value):
    """A BookEvent as (instrument, touch, tradable, change_id, (timestamp, stamp))."""
    event = _fields(_EVENT, value)
    touch = event["touch"]
    sides = tuple((touch[f"{side}_price"], touch[f"{side}_amount"])
                  if touch[f"{side}_valid"] else None for side in ("bid", "ask"))
    return (event["instrument"], sides, bool(event["tradable"]), event["change_id"],
            (event["timestamp"], event["stamp"]))


def play(script, *, cut_through=False, tail=100, until=None, **sizes):
    """Run a script until it has settled and ``tail`` cycles more, or ``until`` a cycle."""
    sizes = {"instruments": 4, "levels": 8, "row_levels": 2, "queue": 64, "channels": 8} | sizes
    book = PriceLevelBook(**sizes)
    m = Module()
    m.submodules.book = book
    outputs = [
        *(getattr(book, f"o_count_{name}") for name in COUNTS),
        book.o.valid, book.o_book.valid, book.o_disarm.valid, book.o_host.valid,
    ]
    strobes = len(outputs)
    outputs += [book.o_book_previewed, book.o_book_late, book.o_book_snapshot,
                book.o_disarm.payload, book.o.payload, book.o_book.payload, book.o_host.payload]
    widths = [Value.cast(output).shape().width for output in outputs]
    probe = Signal(sum(widths))
    m.d.comb += probe.eq(Cat(outputs))

    heard = Heard()
    rng = random.Random(1)
    watch = {start + 6 for start in script.starts}

    def hear(cycle, value):
        parts = []
        for width in widths:
            parts.append(value & (1 << width) - 1)
            value >>= width
        heard.counts.update({name: 1 for name, part in zip(COUNTS, parts, strict=False) if part})
        said, told, disarms, answers = parts[len(COUNTS):strobes]
        previewed, late, snapshot, disarmed, event, book_event, answer = parts[strobes:]
        if said:
            heard.o.append((cycle, as_event(event)))
        if told:
            heard.book.append((cycle, as_event(book_event), bool(previewed), bool(snapshot)))
        if told and late:
            heard.o.append((cycle, as_event(book_event)))
        if disarms:
            heard.disarmed.append(disarmed)
        if answers:
            heard.host.append((cycle, _fields(_ANSWER, answer)))

    inputs = [(book.i, script.events), (book.i_instrument, script.lookups),
              (book.i_early, {cycle - 1: value >> 1 for cycle, value in script.lookups.items()}),
              (book.i_verdict, script.verdicts), (book.i_host, script.hosts)]

    async def bench(ctx):
        ctx.set(book.cut_through, int(cut_through))
        dirty = [False] * len(inputs)
        ports = [(port.valid, Value.cast(port.payload), len(Value.cast(port.payload)), stimuli)
                 for port, stimuli in inputs]
        for cycle in range(until or max(script.cycle, script.busy_until) + tail):
            for number, (valid, payload, width, stimuli) in enumerate(ports):
                if cycle in stimuli:
                    ctx.set(valid, 1)
                    ctx.set(payload, stimuli[cycle])
                    dirty[number] = True
                elif dirty[number]:
                    ctx.set(valid, 0)
                    ctx.set(payload, rng.getrandbits(width))
                    dirty[number] = False
            if cycle in watch:
                heard.tradable[cycle - 6] = ctx.get(book.o_tradable)
            *_, value = await ctx.tick().sample(probe)
            if value & (1 << strobes) - 1:
                hear(cycle, value)
        heard.max_depth = ctx.get(book.o_max_depth)

    simulator = Simulator(m)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    return heard


def check(script, heard, expected, golden=None):
    """Every expected event on ``o_book``, in order; on ``o`` each tradable one exactly once."""
    told = [event for _, event, _, _ in heard.book]
    assert [(*event[:4], snapshot) for _, event, _, snapshot in heard.book] == [
        (*event[:4], event[5]) for event in expected]
    for event, wanted in zip(told, expected, strict=True):
        assert wanted[4] in (None, event[4])
    said = Counter(event for _, event in heard.o)
    for event in said:
        if event[2]:
            assert said[event] == 1
    assert {event for event in said if event[2]} >= {event for event in told if event[2]}
    # What cannot be traded on is always passed on.
    assert [event for _, event in heard.o if not event[2]] == [
        event for event in told if not event[2]]
    assert heard.counts["preview_mismatch"] == 0
    if golden:
        counted = {name: number for name, number in heard.counts.items()
                   if name not in ("late", "preview_mismatch", "queue_overflow")}
        assert counted == {name: number for name, number in golden.counts.items() if number}
        assert heard.disarmed == golden.disarmed
        assert heard.max_depth == golden.depth


def read_all(script, indices, levels, spacing=20):
    """Ask for every level of these books; answers come in this order."""
    script.settle()
    wanted = [(index, side, level) for index in indices for side in (0, 1)
              for level in range(levels)]
    for request in wanted:
        script.host(*request)
        script.wait(spacing)
    return wanted


def image_level(image, side, level):
    """What the golden image of a book says of one level, as the host reads it."""
    built, stale, building, change_id, sides, lost = image
    entry = sides[side][level] if level < len(sides[side]) else None
    return (entry, built, stale, building, change_id, tuple(map(len, sides)), lost)


def host_level(answer):
    return ((answer["price"], answer["amount"]) if answer["valid"] else None,
            bool(answer["built"]), bool(answer["stale"]), bool(answer["building"]),
            answer["change_id"], (answer["bid_count"], answer["ask_count"]),
            (bool(answer["bid_lost"]), bool(answer["ask_lost"])))
