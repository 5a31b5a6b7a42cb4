"""Seeded, realistic Deribit multicast traffic for users without a capture, and for stress.

Every instrument lives its own small market: a price walks on its tick size, levels are created,
changed and deleted around it, trades eat the touch, Tickers repeat the touch before the Book
message of the same packet, snapshots come again and again, some in several messages or
datagrams. The same seed gives the same bytes.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

from tickwire.sim import traffic_wire as wire
from tickwire.sim.capture import write_pcap
from tickwire.sim.traffic_market import ASK, BID, Instrument, Move, make_instruments

__all__ = ["DeribitTraffic", "write_traffic"]

START_NS = 1_700_000_000_000_000_000
MEAN_GAP_NS = 16_129_000                # 62 packets a second
SNAPSHOT_LEVELS = 60                    # of one Snapshot message; more go into the next one
FIRST_INTERVAL = 6                      # packets between the first snapshots
DATAGRAM = 1400                         # payload that a venue keeps below the Ethernet limit


class DeribitTraffic:
    """A stream of frames of Deribit's multicast feed.

    Parameters
    ----------
    seed : int
        Same seed, same bytes.
    instruments : int
        1 … 128.
    snapshot_interval : int
        Every so many packets a snapshot of the next instruments begins.

    Raises
    ------
    ValueError
        If the number of instruments is not supported.
    """

    def __init__(self, seed: int, *, instruments: int = 40, snapshot_interval: int = 60) -> None:
        if not 1 <= instruments <= 128:
            raise ValueError(f"DeribitTraffic instruments must be 1 to 128, not {instruments}")
        self.rng = random.Random(seed)
        self.instruments = make_instruments(self.rng, instruments)
        self.time_ns = START_NS
        self.snapshot_interval = snapshot_interval
        self._sequences: dict[int, int] = {}
        self._next_change = 10_000_000
        self._trade_id = 200_000_000
        self._snapshot_at = 0
        self._next_snapshot = 0
        self._index_turn = 0
        for instrument in self.instruments:
            if instrument.fill(self.rng):
                instrument.change_id = self._change()

    @property
    def time_ms(self) -> int:
        return self.time_ns // 1_000_000

    def frames(self, packets: int) -> Iterator[tuple[int, bytes]]:
        """So many frames with their times: (ns since 1970, frame without FCS)."""
        count = 0
        pending: list[tuple[int, list[bytes]]] = []
        while count < packets:
            if not pending:
                pending = self._packets(count)
            channel, messages = pending.pop(0)
            yield self.time_ns, self._frame(channel, messages)
            count += 1
            self.time_ns += max(2_000, int(self.rng.expovariate(1 / MEAN_GAP_NS)))

    def _packets(self, count: int) -> list[tuple[int, list[bytes]]]:
        """What happens next: one or more datagrams, each a channel and its messages."""
        # At first often, so that even a short capture has most books; then as seldom as asked.
        if count >= self._next_snapshot:
            first = self._snapshot_at < len(self.instruments)
            self._next_snapshot = count + (FIRST_INTERVAL if first else self.snapshot_interval)
            return self._snapshots()
        choice = self.rng.random()
        if choice < 0.08:
            return [self._price_index()]
        instrument = self.rng.choices(self.instruments,
                                      [one.weight for one in self.instruments])[0]
        if choice < 0.35:
            return [(self._channel(instrument), [self._ticker(instrument)])]
        if choice < 0.42:
            return self._split_update(instrument)
        messages = []
        moves, trades = instrument.move(self.rng)
        if trades:
            messages.append(wire.trades(instrument.instrument_id,
                                        [self._trade(instrument, *trade) for trade in trades]))
        messages.append(self._ticker(instrument))
        messages.append(self._book(instrument, moves))
        return [(self._channel(instrument), messages)]

    def _channel(self, instrument: Instrument) -> int:
        return 1 + ("BTC", "ETH", "SOL").index(instrument.currency) + 10 * (instrument.kind == 1)

    def _frame(self, channel: int, messages: list[bytes]) -> bytes:
        sequence = self._sequences.get(channel, self.rng.randrange(1000, 100_000))
        self._sequences[channel] = sequence + 1
        return wire.datagram_frame(channel, sequence, messages)

    def _change(self) -> int:
        self._next_change += self.rng.randint(1, 30)
        return self._next_change

    def _trade(self, instrument: Instrument, side: int, change: int, ticks: int,
               lots: int) -> wire.Trade:
        instrument.trade_seq += 1
        self._trade_id += 1
        return wire.Trade(
            direction=0 if side == ASK else 1, price=instrument.price(ticks),
            amount=instrument.amount(lots), timestamp_ms=self.time_ms,
            mark_price=instrument.price(instrument.middle),
            index_price=instrument.price(instrument.middle), trade_seq=instrument.trade_seq,
            trade_id=self._trade_id)

    def _book(self, instrument: Instrument, moves: list[Move], *, previous: int | None = None,
              last: bool = True) -> bytes:
        if previous is None:
            previous = instrument.change_id
            instrument.change_id = self._change()
        return wire.book(instrument.instrument_id, self.time_ms, previous,
                           instrument.change_id, self._levels(instrument, moves), last=last)

    def _levels(self, instrument: Instrument, moves: list[Move]) -> list[wire.Level]:
        return [wire.Level(side, change, instrument.price(ticks), instrument.amount(lots))
                for side, change, ticks, lots in moves]

    def _split_update(self, instrument: Instrument) -> list[tuple[int, list[bytes]]]:
        """One logical update in several Book messages, isLast only in the final one."""
        moves, _ = instrument.move(self.rng)
        if len(moves) < 2:
            return [(self._channel(instrument),
                     [self._ticker(instrument), self._book(instrument, moves)])]
        cut = self.rng.randint(1, len(moves) - 1)
        previous = instrument.change_id
        ticker = self._ticker(instrument)
        instrument.change_id = self._change()
        parts = [self._book(instrument, moves[:cut], previous=previous, last=False),
                 self._book(instrument, moves[cut:], previous=previous)]
        channel = self._channel(instrument)
        if self.rng.random() < 0.5:
            return [(channel, [ticker, *parts])]
        # In two datagrams: the Ticker stands where the update is whole.
        return [(channel, parts[:1]), (channel, [ticker, *parts[1:]])]

    def _ticker(self, instrument: Instrument) -> bytes:
        touch = []
        for side in (BID, ASK):
            best = instrument.best(side)
            lots = 0 if best is None else instrument.sides[side][best]
            touch += [0.0 if best is None else instrument.price(best), instrument.amount(lots)]
        middle = instrument.price(instrument.middle)
        return wire.ticker(instrument.instrument_id, self.time_ms, middle,
                             instrument.amount(4_000), touch)

    def _price_index(self) -> tuple[int, list[bytes]]:
        self._index_turn += 1
        one = self.instruments[self._index_turn % min(3, len(self.instruments))]
        name = f"{one.currency.lower()}_usd"
        price = one.price(one.middle) + round(self.rng.uniform(-1, 1), 2)
        return 0, [wire.price_index(name, round(price, 4), self.time_ms)]

    def _snapshots(self) -> list[tuple[int, list[bytes]]]:
        """Instrument and all levels of the next instruments, on the snapshot channel."""
        found: list[tuple[int, list[bytes]]] = []
        chosen = [self.instruments[(self._snapshot_at + n) % len(self.instruments)]
                  for n in range(min(3, len(self.instruments)))]
        self._snapshot_at += len(chosen)
        for instrument in chosen:
            channel = 100 + self._channel(instrument)
            whole = [(side, 0, ticks, lots) for side in (ASK, BID)
                     for ticks, lots in instrument.ranked(side)]
            messages = [wire.snapshot_start(0), self._instrument(instrument),
                        *wire.snapshots(instrument.instrument_id, self.time_ms,
                                          instrument.change_id, self._levels(instrument, whole),
                                          SNAPSHOT_LEVELS),
                        self._ticker(instrument), wire.snapshot_end()]
            current: list[bytes] = []
            for message in messages:
                if current and sum(map(len, current)) + len(message) > DATAGRAM:
                    found.append((channel, current))
                    current = []
                current.append(message)
            found.append((channel, current))
        return found

    def _instrument(self, one: Instrument) -> bytes:
        return wire.instrument_v2(
            one.instrument_id, kind=one.kind, name=one.name, currency=one.currency,
            quote=one.quote, tick_size=one.price(1), lot=one.amount(1),
            strike=float(one.name.split("-")[2]) if one.kind == 1 else None,
            option_type=0 if one.kind != 1 else 1 if one.name.endswith("C") else 2)


def write_traffic(path: str | Path, seed: int, packets: int, *, instruments: int = 40,
                  progress: Callable[[int], None] = lambda done: None) -> int:
    """Write a pcap of generated traffic; gives back the number of packets.

    Parameters
    ----------
    progress : callable
        Called now and then with the number of packets written.
    """
    def told() -> Iterator[tuple[int, bytes]]:
        for number, frame in enumerate(DeribitTraffic(seed, instruments=instruments)
                                       .frames(packets)):
            if number % 256 == 0:
                progress(number)
            yield frame

    return write_pcap(path, told())
