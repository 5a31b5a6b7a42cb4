"""Deribit multicast messages and frames as bytes, for generated traffic.

Layouts from Deribit's multicast SBE schema (id 1, version 3); integers are little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tickwire.sim.rewrite import SOURCE_ADDRESS, SOURCE_MAC, internet_checksum, multicast_mac

__all__ = ["Level", "Trade", "book", "trades", "ticker", "snapshots", "snapshot_start",
           "snapshot_end", "price_index", "instrument_v2", "datagram", "datagram_frame"]

NULL_DOUBLE = 0xFFFFFFFFFFFFFFFF        # how the venue writes an absent optional double
GROUP = (239, 111, 111)
INCREMENTAL_PORT, SNAPSHOT_PORT, SOURCE_PORT = 6100, 6101, 40_000


@dataclass(frozen=True)
class Level:
    """One price level, or a change of one."""

    side: int                           # 0 ask, 1 bid
    change: int                         # 0 created, 1 changed, 2 deleted
    price: float
    amount: float


@dataclass(frozen=True)
class Trade:
    direction: int                      # of the taker: 0 buy, 1 sell
    price: float
    amount: float
    timestamp_ms: int
    mark_price: float
    index_price: float
    trade_seq: int
    trade_id: int


def _message(template: int, block: bytes, *, groups: int = 0, var_data: int = 0,
             rest: bytes = b"") -> bytes:
    return struct.pack("<6H", len(block), template, 1, 3, groups, var_data) + block + rest


def _group(length: int, elements: Sequence[bytes]) -> bytes:
    return struct.pack("<4H", length, len(elements), 0, 0) + b"".join(elements)


def book(instrument_id: int, timestamp_ms: int, previous: int, change_id: int,
         levels: Sequence[Level], *, last: bool) -> bytes:
    block = struct.pack("<IQQQB", instrument_id, timestamp_ms, previous, change_id, last)
    elements = [struct.pack("<BBdd", one.side, one.change, one.price,
                            0.0 if one.change == 2 else one.amount) for one in levels]
    return _message(1001, block, groups=1, rest=_group(18, elements))


def trades(instrument_id: int, fills: Sequence[Trade]) -> bytes:
    elements = [
        struct.pack("<BddQddQQBBQQQ", one.direction, one.price, one.amount, one.timestamp_ms,
                    one.mark_price, one.index_price, one.trade_seq, one.trade_id, one.direction,
                    0, NULL_DOUBLE, 0, 0)
        for one in fills]
    return _message(1002, struct.pack("<I", instrument_id), groups=1, rest=_group(83, elements))


def ticker(instrument_id: int, timestamp_ms: int, middle: float, interest: float,
           touch: Sequence[float]) -> bytes:
    """``touch``: bid price, bid amount, ask price, ask amount."""
    block = struct.pack("<IBQ10d5Q", instrument_id, 1, timestamp_ms, interest, middle * 0.985,
                        middle * 1.015, middle, middle, middle, *touch, *[NULL_DOUBLE] * 5)
    return _message(1003, block)


def snapshots(instrument_id: int, timestamp_ms: int, change_id: int, levels: Sequence[Level],
              most: int) -> Iterator[bytes]:
    """Snapshot messages of at most ``most`` levels; isLastInBook in the final one."""
    for at in range(0, max(1, len(levels)), most):
        part = levels[at:at + most]
        final = at + most >= len(levels)
        block = struct.pack("<IQQBB", instrument_id, timestamp_ms, change_id, 1, final)
        elements = [struct.pack("<Bdd", one.side, one.price, one.amount) for one in part]
        yield _message(1004, block, groups=1, rest=_group(17, elements))


def snapshot_start(delay: int) -> bytes:
    return _message(1005, struct.pack("<I", delay))


def snapshot_end() -> bytes:
    return _message(1006, b"")


def price_index(name: str, price: float, timestamp_ms: int) -> bytes:
    return _message(1008, struct.pack("<16sdQ", name.encode("ascii"), price, timestamp_ms))


def instrument_v2(instrument_id: int, *, kind: int, name: str, currency: str, quote: str,
                  tick_size: float, lot: float, strike: float | None, option_type: int) -> bytes:
    text = [one.encode("ascii") for one in (currency, quote, quote, currency, currency)]
    strike_bits = (struct.pack("<Q", NULL_DOUBLE) if strike is None
                   else struct.pack("<d", strike))
    block = struct.pack("<I4BBH8s8s8s8s8sQQ", instrument_id, 1, kind, 2 if kind == 4 else 1,
                        option_type, 0, 1, *text, 1_600_000_000_000, 32_503_708_800_000)
    block += strike_bits + struct.pack("<5d3Q", lot, lot, tick_size, 0.0, 0.0005,
                                       *[NULL_DOUBLE] * 3)
    encoded = name.encode("ascii")
    return _message(1010, block, groups=1, var_data=1,
                    rest=_group(16, []) + bytes([len(encoded)]) + encoded)


def datagram(channel: int, sequence: int, messages: Sequence[bytes]) -> bytes:
    """A UDP payload: frame header and messages."""
    content = b"".join(messages)
    return struct.pack("<HHI", len(content), channel, sequence & 0xFFFFFFFF) + content


def datagram_frame(channel: int, sequence: int, messages: Sequence[bytes]) -> bytes:
    """An Ethernet frame without FCS; snapshot channels are 100 and above, on their own port."""
    payload = datagram(channel, sequence, messages)
    group = bytes((*GROUP, channel % 100))
    port = SNAPSHOT_PORT if channel >= 100 else INCREMENTAL_PORT
    length = 8 + len(payload)
    udp = struct.pack(">HHHH", SOURCE_PORT, port, length, 0)
    pseudo = SOURCE_ADDRESS + group + struct.pack(">HH", 17, length)
    checksum = internet_checksum(pseudo + udp + payload) or 0xFFFF
    ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + length, sequence & 0xFFFF, 0x4000, 32, 17, 0)
    ip += SOURCE_ADDRESS + group
    ip = ip[:10] + struct.pack(">H", internet_checksum(ip)) + ip[12:]
    return (multicast_mac(group) + SOURCE_MAC + b"\x08\x00" + ip
            + udp[:6] + struct.pack(">H", checksum) + payload)
