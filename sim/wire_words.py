"""Frames to XGMII words at 10G and back, in bulk, with NumPy.

A word is 64 data bits and 8 control bits; lane 0 is the least significant byte and came first on
the wire. At 156.25 MHz a word is 6.4 ns, a byte 0.8 ns (IEEE 802.3-2022, clause 46).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["IDLE", "START", "TERMINATE", "ERROR", "IDLE_WORD", "FRAME_DTYPE", "WordChunk",
           "WordWriter", "WireFrame", "WordReader", "frames_to_words", "words_to_frames"]

IDLE, START, TERMINATE, ERROR = 0x07, 0xFB, 0xFD, 0xFE
IDLE_WORD = 0x0707070707070707
PREAMBLE = bytes((START, 0x55, 0x55, 0x55, 0x55, 0x55, 0x55, 0xD5))
BYTES_PER_NS = 1.25
MIN_GAP = 12                # bytes between FCS and START, TERMINATE included
MIN_FRAME = 60              # without FCS
FCS_BYTES = 4
SETTLE = 2048               # idle words that are kept before a skip, so that all comes to rest
RESUME = 16                 # idle words that are kept after a skip

FRAME_DTYPE = np.dtype([
    ("packet", "<u8"),      # the caller's number of the packet
    ("start_word", "<u8"),  # word with START, counted from the first word of the run
    ("start_lane", "u1"),   # 0 or 4
    ("length", "<u4"),      # bytes without preamble and FCS, padding included
    ("end_word", "<u8"),    # word with TERMINATE
    ("start_cycle", "<u8"),     # as start_word, skipped idle words counted too
])


@dataclass
class WordChunk:
    """Part of a run.

    Members
    -------
    data, control : arrays of uint64 and uint8
        The words.
    first_word : int
        Number of this chunk's first word in the run.
    frames : array of FRAME_DTYPE
        Frames in this chunk. A chunk ends between two frames.
    skips : array of uint64, shape (n, 2)
        (index in this chunk, cycles): before this word the cycle counter jumps by so many idle
        cycles that were left out.
    """

    data: NDArray[np.uint64]
    control: NDArray[np.uint8]
    first_word: int
    frames: NDArray[Any]
    skips: NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.data)

    @staticmethod
    def word_of_byte(frames: NDArray[Any], offset: int | NDArray[Any]) -> NDArray[np.uint64]:
        """Word in which byte ``offset`` of each frame stands; 0 is the first of the address."""
        at = (frames["start_word"].astype(np.uint64) * np.uint64(8)
              + frames["start_lane"].astype(np.uint64)
              + np.asarray(offset).astype(np.uint64) + np.uint64(len(PREAMBLE)))
        return np.asarray(at // np.uint64(8), dtype=np.uint64)


class WordWriter:
    """Makes XGMII words from frames, chunk by chunk.

    Parameters
    ----------
    gap : int
        Bytes between two frames, at least 5. 12 is the standard's; the deficit idle count
        (802.3, 46.3.1.4) keeps the mean while START goes to the nearest lane 0 or 4.
    lane : int or None
        Force START into lane 0 or 4; the gap then grows as far as is needed.
    recorded : bool
        Keep the packets' times: START stands where its nanosecond falls, or later if the
        line is taken. Otherwise frames follow back to back.
    skip : bool
        With ``recorded``: leave out long idle and say so in ``skips``.
    settle : int
        Idle words that stay at the beginning of an idle stretch that is skipped.
    chunk_words : int
        A chunk is given out once it is that long.
    lead, tail : int
        Idle words before the first frame, after the last one.
    raw : bool
        Frames are all that follows the preamble: neither padded nor given an FCS.
    """

    def __init__(self, *, gap: int = MIN_GAP, lane: int | None = None, recorded: bool = False,
                 skip: bool = True, settle: int = SETTLE, chunk_words: int = 65536,
                 lead: int = 16, tail: int = SETTLE, raw: bool = False) -> None:
        if gap < 5:
            raise ValueError(f"WordWriter gap must be at least 5 bytes, not {gap}: XGMII knows "
                             "no shorter one (IEEE 802.3, 46.2.1)")
        if lane not in (None, 0, 4):
            raise ValueError(f"WordWriter lane must be 0, 4 or None, not {lane}")
        self.gap, self.lane, self.recorded, self.skip = gap, lane, recorded, skip
        self.settle, self.chunk_words, self.tail = settle, chunk_words, tail
        self.raw = raw
        self._deficit = 0
        self._skipped = 0           # cycles left out so far
        self._end = lead * 8        # byte position after the last frame's FCS
        self._first = True
        self._origin_ns = 0
        self._base = 0              # word with which the current chunk begins
        self._bytes: list[tuple[int, bytes]] = []
        self._frames: list[tuple[int, ...]] = []
        self._skips: list[tuple[int, int]] = []

    def words(self, packets: Iterable[tuple[int, int, bytes]]) -> Iterator[WordChunk]:
        """All chunks of a run.

        Parameters
        ----------
        packets : iterable of (number, ns, bytes)
            Frames without FCS, in order. Frames under 60 bytes are padded.
        """
        for number, time_ns, frame in packets:
            start = self._place(time_ns)
            if start // 8 - self._base >= self.chunk_words:
                yield from self._flush(start // 8)
            if not self.raw:
                frame = frame.ljust(MIN_FRAME, b"\0")
                frame += zlib.crc32(frame).to_bytes(FCS_BYTES, "little")
            self._bytes.append((start, PREAMBLE + frame))
            self._end = start + 8 + len(frame)
            self._frames.append((number, start // 8, start % 8,
                                 max(0, len(frame) - FCS_BYTES), self._end // 8,
                                 start // 8 + self._skipped))
        yield from self._flush(self._end // 8 + 1 + self.tail)

    def _place(self, time_ns: int) -> int:
        """Byte position of the next START."""
        if self._first:
            self._first = False
            self._origin_ns = time_ns
            self._origin = self._end
            return self._end + (self.lane or 0)
        if self.recorded:
            wish = self._origin + round((time_ns - self._origin_ns) * BYTES_PER_NS)
            wish -= self._skipped * 8
            idle = wish // 8 - (self._end // 8 + 1)
            # Whole words are left out, so that a frame's lane does not depend on skipping.
            if self.skip and idle > 2 * self.settle + RESUME:
                cycles = idle - self.settle - RESUME
                self._skips.append((self._end // 8 + 1 + self.settle, cycles))
                self._skipped += cycles
                wish -= cycles * 8
            if wish >= self._end + self.gap + 8:
                self._deficit = 0
                return self._align(wish)
        return self._follow()

    def _align(self, position: int) -> int:
        step, offset = (4, 0) if self.lane is None else (8, self.lane)
        return position + (offset - position) % step

    def _follow(self) -> int:
        nominal = self._end + self.gap
        if self.lane is not None:
            return self._align(nominal)
        excess = nominal % 4
        if self._deficit + excess <= 3:
            if self.gap - excess >= 5:
                self._deficit += excess
                return nominal - excess
            return nominal + (-excess) % 4
        self._deficit = max(0, self._deficit - (4 - excess))
        return nominal + 4 - excess

    def _flush(self, until: int) -> Iterator[WordChunk]:
        """Give out the words before word ``until``: TERMINATE is never in one with START."""
        count = until - self._base
        if count <= 0:
            return
        data = np.full(count * 8, IDLE, dtype=np.uint8)
        control = np.ones(count * 8, dtype=np.uint8)
        for start, content in self._bytes:
            at = start - self._base * 8
            end = at + len(content)
            data[at:end] = np.frombuffer(content, dtype=np.uint8)
            control[at + 1:end] = 0
            data[end] = TERMINATE
        skips = np.array([(at - self._base, cycles) for at, cycles in self._skips],
                         dtype=np.uint64).reshape(-1, 2)
        yield WordChunk(
            data=data.view("<u8"),
            control=np.packbits(control, bitorder="little"),
            first_word=self._base,
            frames=np.array(self._frames, dtype=FRAME_DTYPE),
            skips=skips)
        self._base = until
        self._bytes, self._frames, self._skips = [], [], []


def frames_to_words(frames: Iterable[bytes], **options: Any) -> WordChunk:
    """All words of a few frames at once; options as for :class:`WordWriter`."""
    writer = WordWriter(chunk_words=1 << 40, **options)
    return next(writer.words((number, 0, frame) for number, frame in enumerate(frames)))


@dataclass(frozen=True, slots=True)
class WireFrame:
    """One frame as it was seen on a wire.

    Members
    -------
    start_cycle, end_cycle : int
        Cycle of the word with START, and of the word with TERMINATE (or what ended it).
    lane : int
        Lane of START.
    data : bytes
        Without preamble and FCS.
    fcs_good : bool
        The FCS agrees.
    intact : bool
        Preamble whole, no error character, ended by TERMINATE.
    gap : int or None
        Bytes since the last frame's FCS; None for the first frame.
    """

    start_cycle: int
    end_cycle: int
    lane: int
    data: bytes
    fcs_good: bool
    intact: bool
    gap: int | None


@dataclass
class WordReader:
    """Finds the frames in XGMII words that come in pieces of any size."""

    _open: bytearray | None = None
    _start: tuple[int, int] = (0, 0)
    _intact: bool = True
    _end: int | None = None
    _next: int = 0              # cycle after the last word that was not idle
    _frames: list[WireFrame] = field(default_factory=list)

    def feed(self, data: NDArray[np.uint64], control: NDArray[np.uint8],
             first_cycle: int) -> list[WireFrame]:
        """Frames that end within these words. Word ``i`` stood there in ``first_cycle + i``."""
        busy = np.flatnonzero((control != 0xFF) | (data != np.uint64(IDLE_WORD)))
        frames = self.feed_busy(first_cycle + busy, data[busy], control[busy])
        if self._open is not None and self._next < first_cycle + len(data):
            self._close(self._next * 8, False)
        return frames

    def feed_busy(self, cycles: NDArray[Any], data: NDArray[np.uint64],
                  control: NDArray[np.uint8]) -> list[WireFrame]:
        """The same for words of which the idle ones were left out; ``cycles`` rise."""
        self._frames = []
        steps = np.flatnonzero(np.diff(cycles.astype(np.int64)) != 1) + 1
        for run in np.split(np.arange(len(cycles)), steps) if len(cycles) else []:
            begin, end = int(run[0]), int(run[-1]) + 1
            first = int(cycles[begin])
            if self._open is not None and first != self._next:
                self._close(self._next * 8, False)      # idle came in the middle
            self._run(data[begin:end], control[begin:end], first * 8)
            self._next = first + end - begin
        return self._frames

    def _run(self, data: NDArray[np.uint64], control: NDArray[np.uint8], base: int) -> None:
        octets = np.ascontiguousarray(data).astype("<u8", copy=False).view(np.uint8)
        flags = np.unpackbits(np.ascontiguousarray(control), bitorder="little")
        last = 0
        for at in np.flatnonzero(flags):
            if self._open is not None:
                self._open += octets[last:at].tobytes()
            last = int(at) + 1
            octet = int(octets[at])
            if octet == START:
                if self._open is not None:
                    self._close(base + int(at), False)
                self._open, self._intact = bytearray(), at % 8 in (0, 4)
                self._start = divmod(base + int(at), 8)
            elif self._open is not None:
                if octet == TERMINATE:
                    self._close(base + int(at), True)
                elif octet == ERROR:
                    self._intact = False
                    self._open.append(octet)
                else:
                    self._close(base + int(at), False)
        if self._open is not None:
            self._open += octets[last:].tobytes()

    def _close(self, position: int, terminated: bool) -> None:
        assert self._open is not None
        content, self._open = bytes(self._open), None
        start = self._start[0] * 8 + self._start[1]
        body = content[7:]
        good = len(body) >= 4 and zlib.crc32(body[:-4]) == int.from_bytes(body[-4:], "little")
        self._frames.append(WireFrame(
            start_cycle=self._start[0], end_cycle=position // 8, lane=self._start[1],
            data=body[:-4], fcs_good=good,
            intact=self._intact and terminated and content[:7] == PREAMBLE[1:],
            gap=None if self._end is None else start - self._end))
        self._end = position


def words_to_frames(data: NDArray[np.uint64], control: NDArray[np.uint8],
                    first_cycle: int = 0) -> list[WireFrame]:
    """Frames of one array of words."""
    return WordReader().feed(data, control, first_cycle)
