"""A card whose wire is a descriptor: the toy sends every frame back, so it must come as it went."""

import random
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
from tickwire.host.simulated import SimulatedBoard
from tickwire.sim.engine_build import build_library
from tickwire.sim.toy_gateway import ToyGateway
from tickwire.sim.wire_words import IDLE_WORD, WordReader, frames_to_words

TOY = "tickwire.sim.toy_gateway:ToyGateway"


@pytest.fixture(scope="module", autouse=True)
def library():
    return build_library(ToyGateway())


@pytest.fixture
def wired():
    """A card and the other end of its wire."""
    name = f"wire-{time.monotonic_ns():x}"
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(60)
    card = subprocess.Popen(
        [sys.executable, "-m", "tickwire.sim.card", name, "--top", TOY, "--wire-fd",
         str(theirs.fileno())], pass_fds=[theirs.fileno()], stdout=subprocess.PIPE, text=True)
    theirs.close()
    try:
        while not (line := card.stdout.readline()).endswith("ready\n"):
            assert line, "the card has ended"
        board = SimulatedBoard.attach(name)
        yield board, ours
        board.close()
    finally:
        card.terminate()
        card.wait(timeout=60)
        card.stdout.close()
        ours.close()


def counted(board):
    return {name: board._get(f"wire_{name}") for name in ("in", "out", "damaged", "lost")}


def until(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_frames_of_every_length_come_back(wired):
    board, ours = wired
    rng = random.Random(1)
    frames = [rng.randbytes(length) for length in (*range(14, 90), 512, 1514, 9000)]
    for frame in frames:
        ours.send(frame)
        assert ours.recv(16384) == frame.ljust(60, b"\0")
    # A frame is counted after it has been given away.
    until(lambda: counted(board) == {"in": len(frames), "out": len(frames), "damaged": 0,
                                     "lost": 0})


def test_what_it_plays_is_a_whole_frame_with_a_gap(wired):
    board, ours = wired
    board.collect_tx()
    for length in (60, 61, 67, 68, 100):
        ours.send(bytes(range(length)))
    for _ in range(5):
        ours.recv(16384)
    # A frame is handed on with its last word, which may not stand in the ring yet.
    reader, frames = WordReader(), []

    def all_seen():
        frames.extend(reader.feed_busy(*board.take_tx()))
        return len(frames) == 5

    until(all_seen)
    assert [len(one.data) for one in frames] == [60, 61, 67, 68, 100]
    assert all(one.intact and one.fcs_good for one in frames)
    assert all(one.gap >= 12 for one in frames[1:])


def test_a_damaged_frame_is_not_handed_on(wired):
    board, ours = wired
    good = bytes(range(100))
    chunk = frames_to_words([good] * 4, tail=20)
    data, control = chunk.data.copy(), chunk.control.copy()
    starts = [int(one) for one in chunk.frames["start_word"]]
    data[starts[0] + 4] ^= np.uint64(1 << 17)                       # a flipped bit
    control[starts[1] + 4] |= 1                                     # a control character
    data[starts[2] + 4], control[starts[2] + 4] = IDLE_WORD, 0xFF   # it is torn
    board.play(data, control)
    assert ours.recv(16384) == good
    until(lambda: counted(board)["out"] == 1)
    assert counted(board)["damaged"] == 3


def test_the_other_end_may_go(wired):
    board, ours = wired
    ours.close()
    chunk = frames_to_words([bytes(60)], tail=20)
    board.play(chunk.data, chunk.control)
    until(lambda: counted(board)["lost"] == 1)
    assert board.read32(0)
