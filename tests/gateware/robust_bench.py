"""The gateway in the native engine beside the golden one: frames go to both, all is compared."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from datagram_rules import read
from frame_rules import arrival, on_the_wire
from gateway_bench import capture_path, machine
from golden_gateway import GoldenGateway, Outcome
from tickwire.gateware.vocabulary import Reason
from tickwire.sim.event_records import flag, split
from tickwire.sim.models.decisions import Rule
from tickwire.sim.models.deribit import parse_datagram, udp_payload
from tickwire.sim.models.starbase import parse_order
from tickwire.sim.plan import Capture, Instrument, Plan, Subscription, make_plan
from tickwire.sim.replay import PassOptions
from tickwire.sim.traffic_wire import Level, book, datagram_frame, snapshots
from tickwire.sim.wire_words import WordWriter

__all__ = ["Heartbeat", "Line", "Played", "plan_of", "some_of_each"]

REPEATED = 1 << 10              # up to so far behind a sequence number is a repetition
EVERYTHING = 1e15               # a price that every ask is below
PULSE, PULSE_CHANNEL = 4_000_000_000, 77    # heartbeat: neither is in any capture
MODELLED = ("RX_", "CROSSING_", "IP_", "FEED_", "MESSAGES_", "BOOK_", "EVENT_LOST",
            "STRATEGY_NO_ROOM", "STRATEGY_MISMATCH", "TX_UNDERRUN")
NOT_MODELLED = ("BOOK_LATE",)   # says only that the preview left an event to the authority


def some_of_each(packets: Sequence[bytes], each: int, only: Iterable[str] = ()) -> list[int]:
    """Positions of frames such that each type of message (of ``only``) is in ``each`` of them.

    The rarest types choose first; what one type chooses serves the others as well.
    """
    places: dict[str, list[int]] = defaultdict(list)
    for place, packet in enumerate(packets):
        for name in parse_datagram(udp_payload(packet)[3]).counts():
            places[name].append(place)
    chosen: set[int] = set()
    for name, found in sorted(places.items(), key=lambda item: (len(item[1]), item[0])):
        if only and name not in only:
            continue
        left = [place for place in found if place not in chosen]
        wanted = min(each, len(found)) - (len(found) - len(left))
        chosen |= {left[turn * len(left) // wanted] for turn in range(wanted)}
    return sorted(chosen)


def plan_of(name: str = "sample_capture_v1_6") -> Plan:
    """A real capture's plan, and the heartbeat's channel and instrument in it."""
    plan = make_plan(Capture(capture_path().with_name(f"{name}.pcapng")))
    channel = len(plan.subscriptions)
    return replace(
        plan,
        subscriptions=[*plan.subscriptions,
                       Subscription(f"239.111.111.{PULSE_CHANNEL}", 6100, channel)],
        instruments=[*plan.instruments,
                     Instrument(PULSE, len(plan.instruments), channel, "heartbeat")])


class Heartbeat:
    """Good frames of an instrument of its own: each must move its book and bring a decision."""

    def __init__(self) -> None:
        self.sequence = self.change = 0

    def _frame(self, message: bytes) -> bytes:
        self.sequence += 1
        return datagram_frame(PULSE_CHANNEL, self.sequence, [message])

    def first(self) -> bytes:
        levels = [Level(1, 0, 99.0, 1.0), Level(0, 0, 101.0, 1.0)]
        return self._frame(next(snapshots(PULSE, 0, 0, levels, 2)))

    def beat(self) -> bytes:
        self.change += 1
        return self._frame(book(PULSE, 0, self.change - 1, self.change,
                                [Level(0, 1, 101.0, 1.0 + self.change)], last=True))


@dataclass
class Played:
    """Frames that went in, what each had to bring, and what was counted meanwhile."""

    outcomes: list[Outcome] = field(default_factory=list)
    counters: Counter[str] = field(default_factory=Counter)


class Line:
    """One gateway, its golden twin, and a wire to both.

    Parameters
    ----------
    plan : Plan
        What to subscribe to, and instruments.
    policy : str
        Launch policy.
    """

    def __init__(self, plan: Plan, policy: str = "after_fcs") -> None:
        self.plan, self.cut_through = plan, policy == "cut_through"
        self.golden = GoldenGateway(
            {(bytes(map(int, one.group.split("."))), one.port): one.channel
             for one in plan.subscriptions},
            {one.instrument_id: (one.index, one.channel) for one in plan.instruments},
            cut_through=self.cut_through, repeated=REPEATED)
        self.machine = machine()
        self.machine.configure(plan, [
            Rule(instrument_id=one.instrument_id, trigger="book", buy_limit=EVERYTHING)
            for one in plan.instruments], PassOptions(policy=policy))
        self.machine.take_frames()
        self._counted = Counter(self.machine.counters())
        self._disarmed: dict[int, int] = {}     # instrument → frame, counted from the beginning
        self._frames = 0

    def close(self) -> None:
        self.machine.close()

    def expected(self, frame: bytes) -> int | None:
        """The sequence number that comes next where this datagram goes; None: any will do."""
        address, port, _, _ = udp_payload(frame)
        channel = self.golden.subscriptions[bytes(map(int, address.split("."))), port]
        return self.golden.expected.get(channel)

    def jumps(self, frame: bytes) -> bool:
        """Whether this frame's datagram has another number than comes next where it goes."""
        came = arrival(on_the_wire(frame), self.golden.subscriptions)
        return (bool(came.payload) and came.channel in self.golden.expected
                and read(came.payload).sequence != self.golden.expected[came.channel])

    def play(self, frames: Iterable[bytes], *, raw: bool = False, certain: bool = True,
             **options) -> Played:
        """Frames back to back, until all is at rest; whatever comes must be as it must be.

        Parameters
        ----------
        frames : iterable of bytes
            Without FCS; with ``raw`` all that follows the preamble.
        certain : bool
            What bad frames named before they were known to be bad is certain. If not, because a
            lie in a header shows a few bytes late, unknown instruments are not counted, and under
            ``cut_through``, where such a frame makes books stale, no books are compared.
        options
            For :class:`WordWriter`.
        """
        wires, played = [], Played()
        for frame in frames:        # one by one: the next frame may depend on what is expected
            wires.append(frame if raw else on_the_wire(frame))
            played.outcomes.append(self.golden.frame(wires[-1]))
        writer = WordWriter(raw=True, **options)
        records, sent, starts = [], [], []
        for chunk in writer.words((number, 0, wire) for number, wire in enumerate(wires)):
            starts.append(chunk.frames["start_word"] + np.uint64(self.machine.cycles)
                          - np.uint64(chunk.first_word))
            self.machine.run(chunk.data, chunk.control, chunk.skips)
            records.append(self.machine.take_records())
            sent += self.machine.take_frames()
        found = split(np.concatenate(records))
        played.counters = self._count(certain)
        if certain or not self.cut_through:
            self._compare_records(played.outcomes, found)
            self._compare_decisions(played.outcomes, found["ORDER"])
        self._compare_orders(played.outcomes, found["ORDER"], sent, np.concatenate(starts))
        self._frames += len(wires)
        return played

    def _count(self, certain: bool) -> Counter[str]:
        """What was counted since the last time, by the gateway and the golden one alike."""
        now = Counter(self.machine.counters())
        moved = Counter({name: count for name in now
                         if (count := now[name] - self._counted[name])})
        self._counted = now
        unsure = NOT_MODELLED + (() if certain else ("BOOK_",) if self.cut_through
                                 else ("BOOK_UNKNOWN_INSTRUMENT",))
        mine, theirs = ({name: count for name, count in counted.items()
                         if count and name.startswith(MODELLED) and not name.startswith(unsure)}
                        for counted in (moved, self.golden.counters))
        assert mine == theirs, _difference(mine, theirs)
        self.golden.counters.clear()
        return moved

    @staticmethod
    def _compare_records(outcomes: Sequence[Outcome], found: dict[str, np.ndarray]) -> None:
        books, tickers = found["BOOK"], found["TICKER"]
        sides = []
        for side in ("bid", "ask"):
            levels = zip(books[f"{side}_price"].tolist(), books[f"{side}_amount"].tolist(),
                         strict=True)
            sides.append([level if valid else None for level, valid in
                          zip(levels, flag(books, f"{side}_valid").tolist(), strict=True)])
        mine = list(zip(books["instrument"].tolist(), books["change_id"].tolist(),
                        books["timestamp"].tolist(), flag(books, "tradable").tolist(),
                        *sides, strict=True))
        theirs = [row for one in outcomes for row in one.books]
        assert mine == theirs, _first_difference(mine, theirs)
        mine = list(zip(*(tickers[name].tolist() for name in (
            "instrument", "timestamp", "bid_price", "bid_amount", "ask_price", "ask_amount")),
            strict=True))
        theirs = [row for one in outcomes for row in one.tickers]
        assert mine == theirs, _first_difference(mine, theirs)

    def _compare_decisions(self, outcomes: Sequence[Outcome], orders: np.ndarray) -> None:
        """Each touch of a healthy book is decided on; nothing else is, but on hearsay."""
        mine = Counter(_decisions(orders[orders["reason"] != Reason.BAD_FRAME]))
        must = Counter(one for outcome in outcomes for one in outcome.decisions)
        may = Counter(one for outcome in outcomes for one in outcome.hearsay)
        assert must <= mine, f"not decided on: {must - mine}"
        wrong = mine - must - (may if self.cut_through else Counter())
        assert not wrong, f"decided on without a touch: {wrong}"

    def _compare_orders(self, outcomes: Sequence[Outcome], orders: np.ndarray, sent,
                        starts: np.ndarray) -> None:
        """What left is what was recorded, and nothing left for an instrument that is disarmed."""
        passed = orders[orders["reason"] == Reason.PASSED]
        # An order whose price proves to be no multiple of 1e-9 is broken off.
        whole = [frame for frame in sent if frame.intact]
        assert all(frame.fcs_good for frame in whole)
        assert len(sent) - len(whole) == (orders["reason"] == Reason.INEXACT_PRICE).sum()
        assert [parse_order(frame.data).instrument for frame in whole] == [
            self.plan.instruments[index].instrument_id + 1_000_000
            for index in passed["instrument"].tolist()]
        if not self.cut_through:
            return
        for number, outcome in enumerate(outcomes):
            for index in outcome.named:
                self._disarmed.setdefault(index, self._frames + number)
        triggers = (passed["cycle"].astype(np.int64)
                    - (passed["cycle"].astype(np.int64) - passed["stamp"] & 0xFFFF))
        frames = np.searchsorted(starts.astype(np.int64), triggers, side="right") - 1
        for index, number in zip(passed["instrument"].tolist(), frames.tolist(), strict=True):
            assert number + self._frames <= self._disarmed.get(index, 1 << 62)

    def check_books(self, indices: Iterable[int] | None = None) -> int:
        """Read books back, with all their levels; how many of them may be traded on."""
        healthy = 0
        for index in range(len(self.plan.instruments)) if indices is None else indices:
            tradable, _, bids, asks = self.golden.image(index)
            levels = self.machine.levels(index)
            assert (levels is not None) == tradable, self.plan.instruments[index]
            healthy += tradable
            if levels is not None:
                theirs = [[(_double(key ^ 1 << 63 if key >> 63 else ~key & (1 << 64) - 1),
                            _double(amount)) for key, amount in side] for side in (asks, bids)]
                assert str(list(map(list, levels))) == str(theirs)      # NaN is like NaN here
        return healthy


def _difference(mine: dict[str, int], theirs: dict[str, int]) -> str:
    return ", ".join(f"{name} is {mine.get(name, 0)}, not {theirs.get(name, 0)}"
                     for name in sorted(mine.keys() | theirs.keys())
                     if mine.get(name) != theirs.get(name))


def _first_difference(mine: list, theirs: list) -> str:
    place = next((at for at, pair in enumerate(zip(mine, theirs, strict=False))
                  if pair[0] != pair[1]), min(len(mine), len(theirs)))
    return f"record {place} is {mine[place:place + 1]}, not {theirs[place:place + 1]}"


def _double(bits: int) -> float:
    return float(np.uint64(bits).view(np.float64))


def _decisions(orders: np.ndarray) -> Iterable[tuple[int, int, int]]:
    return zip(orders["instrument"].tolist(), orders["timestamp"].tolist(),
               orders["price"].tolist(), strict=True)
