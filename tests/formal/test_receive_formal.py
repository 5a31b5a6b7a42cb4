# amaranth: UnusedElaboratable=no
"""The receiver recovers from anything, and its frames are whole: proved, and proofs can fail."""

import pytest
from receive_properties import FramesComeWhole, ReceiverRecovers
from seeded import with_bug
from tickwire.hdl.mac import receive
from tickwire.sim.formal import prove


@pytest.fixture
def receiving(monkeypatch):
    """Makes a harness, with a receiver whose FCS is free and which may have a bug."""
    def make(properties, *bug):
        module = with_bug(receive, *bug) if bug else receive
        harness = properties(module.MacReceive(), invariants=not bug)
        monkeypatch.setattr(module, "crc_step", harness.free_octets)
        return harness
    return make


def test_it_recovers_from_any_state_within_a_word(receiving, tmp_path):
    result = prove(receiving(ReceiverRecovers), name="recovers", depth=6, build_root=tmp_path)
    assert result.passed, result


def test_frames_are_whole_and_have_one_end(receiving, tmp_path):
    result = prove(receiving(FramesComeWhole), name="whole", depth=4, build_root=tmp_path)
    assert result.passed, result


@pytest.mark.parametrize("right, wrong", (
    # Only TERMINATE ends a frame: it would wait for one through idle and START.
    ("inside.eq(in_frame & ~ended)", "inside.eq(in_frame & ~terminated)"),
    # A START in the middle of a frame is not seen.
    ("after_start.eq(begins)", "after_start.eq(begins & ~in_frame)"),
))
def test_a_receiver_that_stays_stuck_is_found(right, wrong, receiving, tmp_path):
    result = prove(receiving(ReceiverRecovers, right, wrong), name="stuck", depth=8,
                   mode="bmc", build_root=tmp_path)
    assert result.status == "FAIL", result


@pytest.mark.parametrize("right, wrong", (
    ("verdict.good.eq(whole & ~runt & ~oversize & ~fcs_error)",
     "verdict.good.eq(whole & ~oversize & ~fcs_error)"),
    ("beat.first.eq(~inside)", "beat.first.eq(after_start)"),
    ("finished.eq(self.o.valid & beat.last)", "finished.eq(self.o.valid & beat_terminated)"),
    ("is_frame.eq(is_octet & Mux(after_half, 0xf0, 0xff))", "is_frame.eq(is_octet)"),
))
def test_a_receiver_with_a_bug_is_found(right, wrong, receiving, tmp_path):
    result = prove(receiving(FramesComeWhole, right, wrong), name="broken", depth=9,
                   mode="bmc", build_root=tmp_path)
    assert result.status == "FAIL", result
