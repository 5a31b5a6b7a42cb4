# amaranth: UnusedElaboratable=no
"""The MAC keeps the rules of the wire whatever comes in: proved, and the proofs can fail."""

import pytest
from tickwire.hdl.mac import transmit
from tickwire.hdl.mac.gap import InterPacketGap
from tickwire.sim.formal import prove
from transmit_properties import FramesLeaveWhole


@pytest.fixture
def leaving(monkeypatch):
    """Makes the harness, with a transmitter whose FCS is free."""
    def make(**options):
        return FramesLeaveWhole(**options).with_free_fcs(monkeypatch)
    return make


def test_no_gap_is_too_short_and_no_frame_breaks_off_without_a_reason(leaving, tmp_path):
    result = prove(leaving(), name="transmit", depth=2, build_root=tmp_path)
    assert result.passed, result


def test_a_gap_that_is_too_short_on_average_is_found(leaving, tmp_path, monkeypatch):
    class Generous(InterPacketGap):
        def __init__(self, gap):
            super().__init__(gap - 4)

    monkeypatch.setattr(transmit, "InterPacketGap", Generous)
    result = prove(leaving(invariants=False), name="gap", depth=26, mode="bmc",
                   build_root=tmp_path)
    assert result.status == "FAIL", result


def test_a_frame_that_breaks_off_out_of_nowhere_is_found(leaving, tmp_path):
    result = prove(leaving(hears_aborts=False, invariants=False), name="nowhere", depth=6,
                   mode="bmc", build_root=tmp_path)
    assert result.status == "FAIL", result
