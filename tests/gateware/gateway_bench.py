"""The whole gateway in the native engine: real captures, and a small market of one's own."""

import functools
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from tickwire.gateware.config import GatewayConfig
from tickwire.gateware.gateway import Gateway as GatewareTop
from tickwire.gateware.vocabulary import Reason
from tickwire.host.gateway import Gateway
from tickwire.host.orders import OrderTerms
from tickwire.sim.capture import CapturedPacket
from tickwire.sim.checks import touches_of_tickers
from tickwire.sim.cocotb_replay import simulator
from tickwire.sim.engine import Engine
from tickwire.sim.engine_build import library_of_top
from tickwire.sim.event_records import split, touches
from tickwire.sim.machine import CONNECTION, SIMULATED_TOP, EngineMachine
from tickwire.sim.models.decisions import Rule, decide
from tickwire.sim.models.demo_rules import demo_rules
from tickwire.sim.plan import Capture, Plan, make_plan
from tickwire.sim.rewrite import Rewriter, internet_checksum
from tickwire.sim.traffic_wire import Level, book, datagram_frame, snapshots, ticker
from tickwire.sim.wire_words import WireFrame, WordReader, frames_to_words

RECORDS = 1 << 14
SETTLE = 1500               # cycles after which all is at rest: a level queue, an order, records
DEPTH = 5                   # levels of each side of the small market's books
# For cocotb: the default sizes take three times as long to compile.
SMALL = GatewayConfig(instruments=16, levels=16, level_queue=64, skips=True, pps=True)


@functools.cache
def library() -> Path:
    return library_of_top(SIMULATED_TOP)[0]


@functools.cache
def small_simulator() -> Path:
    """A gateway of SMALL sizes under cocotb, for tickwire.sim.cocotb_runner.simulate."""
    return simulator(GatewareTop(SMALL))


def machine() -> EngineMachine:
    return EngineMachine(Engine(library(), event_records=RECORDS))


def capture_path() -> Path:
    """The main capture of Deribit's feed; tests that need it say why they are skipped."""
    data = Path(os.environ.get("TICKWIRE_DATA",
                               Path(__file__).parents[3] / "shared" / "data"))
    path = data / "deribit" / "sample_capture_v1_6.pcapng"
    if not path.exists():
        pytest.skip(f"no real capture at {path}: set TICKWIRE_DATA to the folder of captures")
    return path


@dataclass(frozen=True)
class Changed(Capture):
    """A capture as ``change`` makes it: a function from packets to packets."""

    change: Callable[[Iterable[CapturedPacket]], Iterable[CapturedPacket]] = iter

    def packets(self) -> Iterator[CapturedPacket]:
        # Mended once more, so that a change stands behind right checksums.
        return Rewriter()(self.change(super().packets()))


@dataclass
class Session:
    """A capture with its plan, the demonstration's rules and the decisions that they make."""

    plan: Plan
    rules: list[Rule]

    @classmethod
    def of(cls, capture: Capture) -> "Session":
        return cls(make_plan(capture), demo_rules(capture.packets))

    @functools.cached_property
    def decisions(self):
        return decide(self.plan.capture.packets(), self.rules)

    def played_with(self, change) -> Plan:
        """The same plan and golden model, but what is played is changed."""
        return replace(self.plan, capture=Changed(self.plan.capture.path, change=change))


@dataclass
class Seen:
    """What came out of the gateway since the last look."""

    frames: list[WireFrame]
    records: dict[str, np.ndarray]

    def reasons(self) -> list[str]:
        """What became of each order, PASSED or why not."""
        return [Reason(int(one)).name for one in self.records["ORDER"]["reason"]]

    def touches(self, *, tradable: bool = True) -> list[tuple[int, int, tuple[float, ...]]]:
        """Instrument, change id and touch of each BOOK record that may be traded on."""
        records = self.records["BOOK"]
        if tradable:
            records = records[(records["flags"] & 1).astype(bool)]
        return list(zip(records["instrument"].tolist(), records["change_id"].tolist(),
                        map(tuple, touches(records).tolist()), strict=True))

    def tickers(self) -> list[tuple[float, ...]]:
        return touches_of_tickers(self.records["TICKER"])


class Bench:
    """A gateway with channel 1 of the generated feed, instruments 7 and 8 on it, armed.

    Parameters
    ----------
    policy : str
        Launch policy.
    trigger : str
        What the strategy of instrument 7 looks at: it buys at 99 or below, each time.
    """

    def __init__(self, *, policy: str = "after_fcs", trigger: str = "book") -> None:
        self.engine = Engine(library(), event_records=1024)
        self.gateway = gw = Gateway(self.engine)
        self._taken = 0
        self._reader = WordReader()     # a frame may be on its way when somebody looks
        self._before: Counter[str] = Counter()
        gw.policy = policy
        gw.publish(book=True, ticker=True)
        gw.subscribe("239.111.111.1", 6100, 0)
        gw.subscribe("239.111.111.1", 6101, 1)
        self.seven, self.eight = (
            gw.add_instrument(str(one), id=one, channel=0, order_id=one + 1000)
            for one in (7, 8))
        gw.templates.load(CONNECTION, OrderTerms())
        gw.session.load(sequence=1_000, peer_window=1 << 30, acknowledgement=1, window=0xFFFF,
                        venue_sequence=1)
        gw.risk.rate(orders_per_second=1_000_000, burst=1000)
        for one in (self.seven, self.eight):
            gw.risk.set(one, maximum_quantity=100, lowest_price=0, highest_price=1000)
        gw.strategy.threshold(self.seven, buy_at=99, quantity=1, trigger=trigger)
        gw.arm()
        self.moved()

    def play(self, *frames: bytes, change: Callable[[np.ndarray, np.ndarray], None] | None = None
             ) -> Seen:
        """Frames back to back, then all comes to rest.

        Parameters
        ----------
        change : callable
            Gets the words and their control bits and may change them in place.
        """
        chunk = frames_to_words(frames, tail=SETTLE)
        if change is not None:
            change(chunk.data, chunk.control)
        self.engine.run(chunk.data, chunk.control)
        return self.look()

    def look(self) -> Seen:
        """What has come since the last look; all of it is then acknowledged."""
        busy = self.engine.take_tx()
        frames = self._reader.feed_busy(busy.cycle, busy.data, busy.control)
        produced, rows = self.engine.events, self.engine.ring.reshape(-1, 64)
        assert produced - self._taken <= len(rows)
        found = rows[np.arange(self._taken, produced) % len(rows)].reshape(-1)
        if produced != self._taken:
            self.gateway.registers.write("EVENTS_CONSUMED", produced)
        self._taken = produced
        return Seen(frames, split(found))

    def moved(self) -> dict[str, int]:
        """Counters that have changed since this was last called, and by how much.

        The statistics of RFC 2819 and RFC 2863 move with every frame and are left out.
        """
        now = Counter({name: value for name, value in self.gateway.stats().items()
                       if not name.startswith(("ETHER_STATS_", "IF_"))})
        found = {name: now[name] - self._before[name] for name in now
                 if now[name] != self._before[name]}
        self._before = now
        return found

    def levels(self, instrument=None) -> tuple[list[tuple[float, float]], ...] | None:
        """Bids and asks as they are read back, None if the book is stale."""
        found = self.gateway.books[instrument or self.seven]
        if not found.tradable:
            return None
        return tuple([(float(one.price), float(one.amount)) for one in side]
                     for side in (found.bids, found.asks))


class Feed:
    """The small market: datagrams as frames, sequence numbers and change ids in order."""

    def __init__(self) -> None:
        self.sequence = {1: 1, 101: 1}
        self.change = {7: 100, 8: 100}
        self.time = 1_000

    def frame(self, *messages: bytes, channel: int = 1) -> bytes:
        self.sequence[channel] += 1
        return datagram_frame(channel, self.sequence[channel] - 1, messages)

    def snapshot(self, instrument: int) -> bytes:
        """Bids 100 … 96, asks 101 … 105, of amount 10."""
        levels = [Level(1, 0, 100.0 - at, 10.0) for at in range(DEPTH)]
        levels += [Level(0, 0, 101.0 + at, 10.0) for at in range(DEPTH)]
        message, = snapshots(instrument, self.time, self.change[instrument], levels, 40)
        return self.frame(message, channel=101)

    def update(self, instrument: int, *levels: Level) -> bytes:
        """One message Book, whole."""
        self.time += 1
        before = self.change[instrument]
        self.change[instrument] += 1
        return book(instrument, self.time, before, before + 1, levels, last=True)

    def tick(self, instrument: int, ask: float) -> bytes:
        self.time += 1
        return ticker(instrument, self.time, 100.0, 5.0, (98.0, 1.0, ask, 2.0))


def resum(frame: bytes, *, lengths: bool = True) -> bytes:
    """A frame of IPv4 and UDP with right checksums, and lengths that fit the frame's.

    Parameters
    ----------
    lengths : bool
        Mend the lengths of IP and UDP; otherwise they stay, and the UDP checksum too.
    """
    data = bytearray(frame)
    if lengths:
        data[16:18] = (len(data) - 14).to_bytes(2, "big")
        data[38:40] = (len(data) - 34).to_bytes(2, "big")
        data[40:42] = bytes(2)
        pseudo = bytes(data[26:34]) + bytes((0, 17)) + bytes(data[38:40])
        data[40:42] = (internet_checksum(pseudo + bytes(data[34:])) or 0xFFFF).to_bytes(2, "big")
    data[24:26] = bytes(2)
    data[24:26] = internet_checksum(bytes(data[14:34])).to_bytes(2, "big")
    return bytes(data)


def with_payload(frame: bytes, payload: bytes) -> bytes:
    """The frame with another UDP payload; all lengths and checksums are right."""
    return resum(frame[:42] + payload)
