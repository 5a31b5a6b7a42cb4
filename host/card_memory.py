"""The memory that a simulated card shares with hosts: where everything in it stands.

All fields of the header are 64-bit words, aligned, so one load or store moves one of them. The
card's C++ side gets the same offsets as a header made from this module.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["MAGIC", "FIELDS", "HEADER_BYTES", "MODE_FREE", "MODE_PAUSED", "WRITE", "BURST",
           "BURST_WORDS", "FAILED",
           "Layout", "c_header"]

MAGIC = 0x3330_6472_6163_7774       # "twcard03"
HEADER_BYTES = 4096

MODE_FREE = 0       # words are played as they come; idle time follows the wall clock
MODE_PAUSED = 1     # time goes on only by bus accesses, and up to `run_target`

WRITE = 1 << 32     # in `address`: the access is a write
BURST = 1 << 33     # … a write of several words, `write_data` of them, which stand in the region
FAILED = 1 << 32    # in `response_data`: the bus did not answer

BURST_WORDS = 512   # at most

#: Name and who writes it: what the word means.
FIELDS = {
    "magic": "card: MAGIC, once everything else is set up",
    "pid": "card: its process",
    "owner": "card: the process without which it ends, or 0",
    "mode": "host: MODE_FREE or MODE_PAUSED",
    "core_hz": "card: cycles in a second",
    "event_records": "card: records in the event ring",
    "wire_words": "card: words in each wire ring",
    "frame_slots": "card: slots in the frame ring",
    "frame_slot": "card: bytes of one",
    "address": "host: byte offset of the bus access, with WRITE",
    "write_data": "host: what to write, or how many words",
    "request": "host: number of the access; a change asks for it",
    "response": "card: number of the last access that is over",
    "response_data": "card: what was read, with FAILED",
    "accesses": "card: bus accesses made",
    "cycles": "card: cycles run",
    "run_target": "host: paused: run up to so many cycles",
    "rx_produced": "host: words put into the receive ring",
    "rx_consumed": "card: words played from it",
    "tx_collect": "host: 1: keep transmitted words, stop when their ring is full",
    "tx_produced": "card: words put into the transmit ring",
    "tx_consumed": "host: words taken from it",
    "events_produced": "card: event records written",
    "frames_produced": "card: slots filled",
    "kill_pin": "host: level of the kill pin",
    "wire_in": "card: frames from the TAP device, or the other card, to its receiver",
    "wire_out": "card: frames from its transmitter to there",
    "wire_damaged": "card: frames that left its transmitter broken",
    "wire_lost": "card: frames that could not be handed on there",
    "stop": "host: 1: end the card",
    "ended": "card: 1: it has ended in good order",
}


@dataclass(frozen=True)
class Layout:
    """Regions behind the header: event ring, frame ring, the rings of words, the words of a burst.

    A word to play has 64 bits of data and in ``rx_control`` 16 bits: the XGMII control bits, or
    SKIP with the number of idle cycles to skip as data. A transmitted word has its cycle too;
    idle words are not kept.

    Parameters
    ----------
    event_records, wire_words, frame_slots : int
        Sizes of the rings, powers of two.
    frame_slot : int
        Bytes of a slot of the frame ring, a power of two.
    """

    event_records: int = 1 << 16
    wire_words: int = 1 << 16
    frame_slots: int = 256
    frame_slot: int = 2048

    SKIP = 0x100    # in rx_control: `data` idle cycles pass at once

    def __post_init__(self) -> None:
        for name in ("event_records", "wire_words", "frame_slots", "frame_slot"):
            value = getattr(self, name)
            if value < 64 or value & (value - 1):
                raise ValueError(f"Layout.{name} must be a power of two and at least 64, "
                                 f"not {value}")

    def regions(self) -> dict[str, tuple[int, str, int]]:
        """Name → (byte offset, NumPy type, number of elements)."""
        n = self.wire_words
        result, offset = {}, HEADER_BYTES
        for name, kind, count in (("events", "u1", 64 * self.event_records),
                                  ("frames", "u1", self.frame_slots * self.frame_slot),
                                  ("rx_data", "<u8", n), ("rx_control", "<u2", n),
                                  ("tx_cycle", "<u8", n), ("tx_data", "<u8", n),
                                  ("tx_control", "u1", n), ("burst", "<u4", BURST_WORDS)):
            result[name] = (offset, kind, count)
            offset += -(-count * np.dtype(kind).itemsize // 4096) * 4096
        return result

    @property
    def size(self) -> int:
        """Bytes of the whole memory."""
        offset, kind, count = list(self.regions().values())[-1]
        return offset + -(-count * np.dtype(kind).itemsize // 4096) * 4096

    def view(self, memory: memoryview, name: str) -> NDArray[np.generic]:
        """One region as an array on the memory itself."""
        offset, kind, count = self.regions()[name]
        return np.frombuffer(memory, dtype=kind, count=count, offset=offset)


def c_header() -> str:
    """The same offsets for the C++ side: places of 64-bit words, and the constants."""
    lines = ["#pragma once", "#include <cstdint>", "namespace card {",
             "enum Field : unsigned {"]
    lines += [f"  {name} = {place}," for place, name in enumerate(FIELDS)]
    lines += ["};"]
    for name, value in (("kHeaderBytes", HEADER_BYTES), ("kModePaused", MODE_PAUSED),
                        ("kWrite", WRITE), ("kBurst", BURST), ("kFailed", FAILED),
                        ("kSkip", Layout.SKIP)):
        lines.append(f"constexpr uint64_t {name} = {value:#x};")
    lines += ["}", ""]
    return "\n".join(lines)
