"""The venue's books at any packet of a capture, and the snapshots that tell them to a receiver."""

import struct
from collections.abc import Iterator, Sequence

from damage import numbered
from gateway_bench import with_payload
from robust_bench import Line
from tickwire.sim.models.deribit import parse_datagram, udp_payload
from tickwire.sim.models.deribit_books import ASK, BID, Books
from tickwire.sim.traffic_wire import Level, snapshots

__all__ = ["SnapshotRound"]

PART = 60                   # levels in one message
MOST = 1400                 # bytes of payload


class SnapshotRound:
    """Follows an undamaged capture, and can say all of it anew.

    Parameters
    ----------
    packets : sequence of bytes
        The capture's frames.
    """

    def __init__(self, packets: Sequence[bytes]) -> None:
        self.books, self._at = Books(), 0
        self._packets = packets
        self._home: dict[int, bytes] = {}       # instrument → a frame with its snapshot

    def follow(self, place: int) -> None:
        """Let the books be as they are before the packet at ``place``, be it ahead or behind."""
        if place < self._at:
            self.books, self._at = Books(), 0
        for packet in self._packets[self._at:place]:
            datagram = parse_datagram(udp_payload(packet)[3])
            self.books.datagram(0, datagram)
            for message in datagram.messages:
                if message.template == 1004:
                    self._home.setdefault(message.fields["instrumentId"], packet)
        self._at = place

    def frames(self, line: Line) -> Iterator[bytes]:
        """A gap on every channel with increments, and then all snapshots, twice.

        Once is not enough: a snapshot in parts whose last one was damaged takes one more to end.
        """
        for frame in self._first_of_each_channel():
            expected = line.expected(frame)
            if expected is not None:
                payload = struct.pack("<HHI", 0, 0, expected + 1 & 0xFFFFFFFF)
                yield with_payload(frame, payload)
        for _ in range(2):
            for frame, content in self._snapshots():
                # The frame header's length, and any channel and sequence number.
                payload = struct.pack("<HHI", len(content), 0, 0) + content
                yield numbered(with_payload(frame, payload), line.expected(frame) or 0)

    def _first_of_each_channel(self) -> Iterator[bytes]:
        seen = set()
        for packet in self._packets[:self._at]:
            address, port, _, payload = udp_payload(packet)
            if (address, port) not in seen and parse_datagram(payload).channel < 100:
                seen.add((address, port))
                yield packet

    def _snapshots(self) -> Iterator[tuple[bytes, bytes]]:
        """A frame of the right channel, and messages to put into it."""
        waiting: dict[bytes, bytes] = {}
        for instrument, book in sorted(self.books.books.items()):
            levels = [Level(side, 0, price, amount) for side in (ASK, BID)
                      for price, amount in book.levels(side)]
            home = self._home[instrument]
            for message in snapshots(instrument, 1, book.change_id, levels, PART):
                before = waiting.get(home, b"")
                if len(before) + len(message) > MOST:
                    yield home, before
                    before = b""
                waiting[home] = before + message
        yield from waiting.items()

    def levels(self, instrument: int) -> tuple[list, list]:
        """Asks and bids, as the gateway's books are read back."""
        book = self.books.books[instrument]
        return book.levels(ASK), book.levels(BID)
