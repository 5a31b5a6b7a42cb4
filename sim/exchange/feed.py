"""What happens in the books as Deribit's multicast feed: SBE messages in UDP datagrams.

An update is trades, ticker and book message, in this order, in one datagram if it fits. Snapshots
come one instrument after the other, on channels and a port of their own.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence

from tickwire.sim import traffic_wire as wire
from tickwire.sim.exchange.market import Execution, Listing
from tickwire.sim.exchange.order_book import Side
from tickwire.sim.traffic_market import Move

__all__ = ["Feed", "UdpFeedSocket", "CURRENCIES"]

CURRENCIES = ("BTC", "ETH", "SOL")
SNAPSHOT_CHANNELS = 100
DATAGRAM = 1400                         # payload that a venue keeps below the Ethernet limit
BOOK_LEVELS = 60                        # of one Book or Snapshot message; more go into the next
TRADES = 14                             # of one Trades message
FIRST_CHANGE = 10_000_000

# Sends a UDP payload; the flag says that it belongs to the snapshots.
Send = Callable[[bytes, bool], None]


class Feed:
    """Turns updates into datagrams.

    Members
    -------
    datagrams : int
        So many were handed to ``send``.
    """

    def __init__(self, send: Send, clock: Callable[[], int]) -> None:
        self._send, self._clock = send, clock
        self._sequences: dict[int, int] = {}
        self._changes: dict[int, int] = {}
        self._trades: dict[int, int] = {}
        self._next_change = FIRST_CHANGE
        self.datagrams = 0

    def on_update(self, listing: Listing, moves: list[Move],
                  trades: list[tuple[Side, Execution]]) -> None:
        """Publish one logical update of a book."""
        one = listing.instrument
        previous = self._changes.get(one.instrument_id, 0)
        self._next_change += 1
        change = self._changes[one.instrument_id] = self._next_change
        messages = []
        for at in range(0, len(trades), TRADES):
            messages.append(wire.trades(one.instrument_id, [
                self._trade(listing, side, execution)
                for side, execution in trades[at:at + TRADES]]))
        levels = [wire.Level(side, kind, one.price(ticks), one.amount(lots))
                  for side, kind, ticks, lots in moves]
        parts = [wire.book(one.instrument_id, self._ms, previous, change,
                           levels[at:at + BOOK_LEVELS], last=at + BOOK_LEVELS >= len(levels))
                 for at in range(0, len(levels), BOOK_LEVELS)]
        # The ticker stands in the datagram in which the book becomes what it says.
        messages += [*parts[:-1], self._ticker(listing), parts[-1]]
        self._datagrams(_channel(listing), messages, together=2)

    def snapshot(self, listing: Listing) -> None:
        """Publish an instrument and all levels of its book."""
        one = listing.instrument
        levels = [wire.Level(side, 0, one.price(ticks), one.amount(lots))
                  for side in (Side.ASK, Side.BID) for ticks, lots in listing.book.levels(side)]
        definition = wire.instrument_v2(
            one.instrument_id, kind=one.kind, name=one.name, currency=one.currency,
            quote=one.quote, tick_size=one.price(1), lot=one.amount(1),
            strike=float(one.name.split("-")[2]) if one.kind == 1 else None,
            option_type=0 if one.kind != 1 else 1 if one.name.endswith("C") else 2)
        parts = list(wire.snapshots(one.instrument_id, self._ms,
                                    self._changes.get(one.instrument_id, 0), levels, BOOK_LEVELS))
        self._datagrams(SNAPSHOT_CHANNELS + _channel(listing), [
            wire.snapshot_start(0), definition, *parts, self._ticker(listing),
            wire.snapshot_end()])

    @property
    def _ms(self) -> int:
        return self._clock() // 1_000_000

    def _trade(self, listing: Listing, side: Side, execution: Execution) -> wire.Trade:
        one = listing.instrument
        number = self._trades[one.instrument_id] = self._trades.get(one.instrument_id, 0) + 1
        middle = one.price(one.middle)
        return wire.Trade(
            direction=0 if side is Side.BID else 1, price=one.price(execution.ticks),
            amount=one.amount(execution.lots), timestamp_ms=self._ms, mark_price=middle,
            index_price=middle, trade_seq=number, trade_id=execution.match_id)

    def _ticker(self, listing: Listing) -> bytes:
        one, book = listing.instrument, listing.book
        touch = []
        for side in (Side.BID, Side.ASK):
            best = book.best(side)
            touch += [0.0, 0.0] if best is None else [
                one.price(best), one.amount(book.total(side, best))]
        return wire.ticker(one.instrument_id, self._ms,
                           one.price(listing.last_ticks or one.middle), one.amount(4_000), touch)

    def _datagrams(self, channel: int, messages: Sequence[bytes], together: int = 1) -> None:
        """Fill datagrams; the last ``together`` messages are not parted."""
        units = [[one] for one in messages[:-together]] + [list(messages[-together:])]
        current: list[bytes] = []
        for unit in units:
            if current and sum(map(len, [*current, *unit])) > DATAGRAM:
                self._datagram(channel, current)
                current = []
            current += unit
        self._datagram(channel, current)

    def _datagram(self, channel: int, messages: Sequence[bytes]) -> None:
        sequence = self._sequences[channel] = self._sequences.get(channel, 0) + 1
        self.datagrams += 1
        self._send(wire.datagram(channel, sequence, messages), channel >= SNAPSHOT_CHANNELS)


def _channel(listing: Listing) -> int:
    return 1 + CURRENCIES.index(listing.instrument.currency) + 10 * (listing.instrument.kind == 1)


class UdpFeedSocket:
    """Sends the feed: increments to a port of a multicast group (or a host), snapshots to the next.

    OSError if there is no such interface.

    Members
    -------
    refused : int
        Datagrams that the kernel did not take.
    """

    def __init__(self, address: str, port: int, *, interface: str = "127.0.0.1",
                 ttl: int = 1) -> None:
        self._address, self._port = address, port
        self.refused = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        if ipaddress.IPv4Address(address).is_multicast:
            try:
                self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF,
                                        socket.inet_aton(interface))
            except OSError:
                self._socket.close()
                raise
            self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, ttl)

    def __call__(self, payload: bytes, snapshot: bool) -> None:
        try:
            self._socket.sendto(payload, (self._address, self._port + snapshot))
        except OSError:
            self.refused += 1

    def close(self) -> None:
        self._socket.close()
