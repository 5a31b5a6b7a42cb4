"""Frames to XGMII words and back: lanes, gaps, chunks, recorded time, broken frames."""

import random
import zlib

import numpy as np
import pytest
from tickwire.sim.wire_words import (
    ERROR,
    IDLE_WORD,
    WordChunk,
    WordReader,
    WordWriter,
    frames_to_words,
    words_to_frames,
)


def frames(count, seed=1, sizes=(60, 61, 62, 63, 64, 65, 66, 67, 512, 1514)):
    rng = random.Random(seed)
    return [rng.randbytes(rng.choice(sizes)) for _ in range(count)]


def octets(chunk):
    return chunk.data.view(np.uint8), np.unpackbits(chunk.control, bitorder="little")


def test_one_frame_byte_by_byte():
    frame = bytes(range(60))
    chunk = frames_to_words([frame], lead=2, tail=1)
    data, control = octets(chunk)
    fcs = zlib.crc32(frame).to_bytes(4, "little")
    expected = (bytes([7] * 16) + bytes.fromhex("fb555555555555d5") + frame + fcs + b"\xfd"
                + bytes([7] * 15))
    assert data.tobytes() == expected
    assert [at for at, flag in enumerate(control) if not flag] == list(range(17, 16 + 8 + 64))


@pytest.mark.parametrize("options", [{}, {"lane": 0}, {"lane": 4}, {"gap": 5}, {"gap": 8}])
def test_words_give_the_frames_back(options):
    given = frames(300) + [b"short"]
    chunks = list(WordWriter(chunk_words=100, **options).words(
        (number, 0, frame) for number, frame in enumerate(given)))
    assert len(chunks) > 20
    reader, found = WordReader(), []
    for chunk in chunks:
        found += reader.feed(chunk.data, chunk.control, chunk.first_word)
    assert [frame.data for frame in found] == [frame.ljust(60, b"\0") for frame in given]
    assert all(frame.fcs_good and frame.intact for frame in found)
    index = np.concatenate([chunk.frames for chunk in chunks])
    assert index["packet"].tolist() == list(range(301))
    assert [f.start_cycle for f in found] == index["start_word"].tolist()
    assert [f.lane for f in found] == index["start_lane"].tolist()
    assert [f.end_cycle for f in found] == index["end_word"].tolist()
    # One chunk or many: the same words.
    whole = frames_to_words(given, **options)
    assert np.array_equal(np.concatenate([c.data for c in chunks]), whole.data)
    assert np.array_equal(np.concatenate([c.control for c in chunks]), whole.control)


def test_gap_keeps_its_mean_with_deficit_idle_count():
    chunk = frames_to_words(frames(2000))
    found = words_to_frames(chunk.data, chunk.control)
    gaps = [frame.gap for frame in found[1:]]
    assert min(gaps) == 9 and max(gaps) == 15
    assert np.mean(gaps) == pytest.approx(12, abs=0.01)
    assert {frame.lane for frame in found} == {0, 4}
    deficit = 0
    for gap in gaps:                                # 802.3, 46.3.1.4: never more than 3 owed
        deficit = max(0, deficit + 12 - gap)
        assert deficit <= 3


@pytest.mark.parametrize("lane", [0, 4])
def test_forced_lane(lane):
    chunk = frames_to_words(frames(200), lane=lane)
    found = words_to_frames(chunk.data, chunk.control)
    assert {frame.lane for frame in found} == {lane}
    assert min(frame.gap for frame in found[1:]) >= 12


def test_every_byte_is_found_in_its_word():
    given = frames(50)
    chunk = frames_to_words(given)
    data, _ = octets(chunk)
    for row, frame in zip(chunk.frames, given, strict=True):
        for offset in (0, 1, 30, len(frame) - 1):
            word = int(WordChunk.word_of_byte(row, offset))
            assert frame[offset] in data[word * 8:word * 8 + 8]


def test_recorded_time_and_skipped_idle():
    given = [(n, n * 100_000 + 1000, frame) for n, frame in enumerate(frames(10))]
    plain, = WordWriter(recorded=True, skip=False, chunk_words=1 << 40).words(given)
    skipping = list(WordWriter(recorded=True, settle=100, chunk_words=50).words(given))
    # 100 µs are 15,625 words.
    starts = plain.frames["start_word"].astype(int)
    assert np.abs(np.diff(starts) - 15_625).max() <= 1
    index = np.concatenate([chunk.frames for chunk in skipping])
    assert index["start_cycle"].tolist() == starts.tolist()
    assert index["start_lane"].tolist() == plain.frames["start_lane"].tolist()
    assert index["start_word"][-1] < 5000
    # Putting the idle back gives the plain run.
    words, control = [], []
    for chunk in skipping:
        at = 0
        for index_in_chunk, cycles in chunk.skips.astype(int):
            assert 0 <= index_in_chunk < len(chunk)
            words += [chunk.data[at:index_in_chunk],
                      np.full(cycles, IDLE_WORD, dtype=np.uint64)]
            control += [chunk.control[at:index_in_chunk], np.full(cycles, 0xFF, dtype=np.uint8)]
            at = index_in_chunk
        words.append(chunk.data[at:])
        control.append(chunk.control[at:])
    assert np.array_equal(np.concatenate(words), plain.data)
    assert np.array_equal(np.concatenate(control), plain.control)


def test_recorded_packets_that_come_too_fast_follow_each_other():
    given = [(n, n, frame) for n, frame in enumerate(frames(20))]
    chunk, = WordWriter(recorded=True).words(given)
    found = words_to_frames(chunk.data, chunk.control)
    assert [frame.data for frame in found] == [frame for _, _, frame in given]
    assert min(frame.gap for frame in found[1:]) >= 9


def test_broken_frames_are_seen():
    chunk = frames_to_words(frames(4, sizes=(60,)), lane=0)
    data, control = chunk.data.copy(), chunk.control.copy()
    starts = chunk.frames["start_word"]
    data[starts[0] + 3] ^= np.uint64(1)             # a flipped bit
    data[starts[1] + 3] = np.uint64(ERROR)          # an error character
    control[starts[1] + 3] = 1
    data[starts[2] + 3] = np.uint64(IDLE_WORD)      # idle in the middle
    control[starts[2] + 3] = 0xFF
    found = words_to_frames(data, control)
    assert [(f.fcs_good, f.intact) for f in found] == [
        (False, True), (False, False), (False, False), (True, True)]


def test_idle_words_may_be_left_out():
    given = frames(100)
    chunk = frames_to_words(given, recorded=False)
    busy = np.flatnonzero(chunk.data != np.uint64(IDLE_WORD))
    reader, found = WordReader(), []
    for part in np.array_split(busy, 37):
        found += reader.feed_busy(part, chunk.data[part], chunk.control[part])
    assert [frame.data for frame in found] == given
    assert [frame.start_cycle for frame in found] == chunk.frames["start_word"].tolist()
    # A frame that stops in its middle is broken.
    cut = busy[(busy < chunk.frames["start_word"][50] + 3) | (busy > chunk.frames["end_word"][50])]
    found = WordReader().feed_busy(cut, chunk.data[cut], chunk.control[cut])
    assert [frame.intact for frame in found] == [number != 50 for number in range(100)]


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match="WordWriter gap must be at least 5 bytes, not 4"):
        WordWriter(gap=4)
    with pytest.raises(ValueError, match="WordWriter lane must be 0, 4 or None, not 3"):
        WordWriter(lane=3)
