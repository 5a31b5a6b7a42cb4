# amaranth: UnusedElaboratable=no
"""Queued frames are whole, in order, and dropped only for want of room: proved; proofs can fail."""

import pytest
from frame_queue_properties import DEPTH, FramesAreKeptWhole
from seeded import with_bug
from tickwire.hdl.mac import frame_queue
from tickwire.sim.formal import prove


@pytest.mark.parametrize("waits", (False, True))
def test_frames_are_whole_in_order_and_all_there(waits, tmp_path):
    result = prove(FramesAreKeptWhole(waits=waits), name="queue", depth=3, build_root=tmp_path)
    assert result.passed, result


@pytest.mark.parametrize("waits, right, wrong", (
    # An abort in the middle of a frame is forgotten by its end.
    (False, "spoilt.eq(spoilt | self.i_abort & (opened | taken))", "spoilt.eq(0)"),
    # What was taken of a frame that is not kept stays, in front of the next one.
    (False, "m.d.sync += following.eq(whole)", "m.d.sync += following.eq(following + 1)"),
    # Frames are dropped long before the queue is full.
    (False, ">= self._depth - _SLACK)", ">= 2)"),
    # A frame is offered before its end is there.
    (False, "there = reading != whole", "there = reading != following"),
    # What waits is overwritten by the beat behind it.
    (True, "moves.eq(~self.o.valid | self.o.ready)", "moves.eq(1)"),
    # The source is not made to wait: a beat is lost in the middle of a frame.
    (True, "self.i.ready.eq(~full if self._waits else 1)", "self.i.ready.eq(1)"),
))
def test_a_queue_with_a_bug_is_found(waits, right, wrong, tmp_path):
    broken = with_bug(frame_queue, right, wrong).FrameQueue(DEPTH, waits=waits)
    result = prove(FramesAreKeptWhole(broken, waits=waits, invariants=False), name="queue-bug",
                   depth=9, mode="bmc", build_root=tmp_path)
    assert result.status == "FAIL", result
