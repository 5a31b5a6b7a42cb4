# amaranth: UnusedElaboratable=no
"""The store takes the right frames byte by byte and stalls nobody: proved; the proof can fail."""

import pytest
from frame_store_properties import StoreTakesGoodFrames, any_hash
from seeded import with_bug
from tickwire.hdl.mac import address_filter, frame_store
from tickwire.sim.formal import prove


@pytest.fixture(autouse=True)
def plain_hash(monkeypatch):
    monkeypatch.setattr(address_filter, "crc_step", any_hash)


def test_good_frames_alone_are_stored_byte_by_byte_and_nothing_in_front_waits(tmp_path):
    result = prove(StoreTakesGoodFrames(), name="store", depth=6, build_root=tmp_path)
    assert result.passed, result


def test_a_filter_with_a_bug_is_found(tmp_path, monkeypatch):
    # The last two bytes of an address that begins in lane 4 are not looked at.
    broken = with_bug(address_filter, "address[32:].eq(beat.data)", "address[32:].eq(address[32:])")
    monkeypatch.setattr(broken, "crc_step", any_hash)
    monkeypatch.setattr(frame_store, "AddressFilter", broken.AddressFilter)
    result = prove(StoreTakesGoodFrames(invariants=False), name="filter-bug", depth=11, mode="bmc",
                   build_root=tmp_path)
    assert result.status == "FAIL", result


@pytest.mark.parametrize("right, wrong", (
    # Claimed frames are kept too.
    ("wanted = good & ~self.i_claimed", "wanted = good"),
    # What frames from lane 4 end with is cut off in the wrong place.
    ("Mux(shifted, beat.end.any(), beat.end > FCS_BYTES)", "beat.end > FCS_BYTES"),
    # The upper half of the frame before is put in front.
    ("shifted = Mux(beat.first, beat.begin == 4, upper)", "shifted = (beat.begin == 4) | upper"),
    # The receiver is made to wait while the queue is full.
    ("FrameQueue(depth)", "FrameQueue(depth, waits=True)"),
))
def test_a_store_with_a_bug_is_found(right, wrong, tmp_path):
    broken = StoreTakesGoodFrames(with_bug(frame_store, right, wrong).FrameStore(8),
                                  invariants=False)
    result = prove(broken, name="store-bug", depth=13, mode="bmc", build_root=tmp_path)
    assert result.status == "FAIL", result
