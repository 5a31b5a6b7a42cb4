# amaranth: UnusedElaboratable=no
"""A pause breaks no frame: proved, and the proof can fail."""

import pytest
from pause_properties import PauseBreaksNoFrame
from seeded import with_bug
from tickwire.hdl.mac import pause
from tickwire.sim.formal import prove


def test_a_pause_holds_back_whole_frames_alone(tmp_path):
    result = prove(PauseBreaksNoFrame(), name="pause", depth=2, build_root=tmp_path)
    assert result.passed, result


@pytest.mark.parametrize("right, wrong", (
    ("shut.eq(self.i_pause & ~after)", "shut.eq(self.i_pause)"),
    ("shut.eq(self.i_pause & ~after)", "shut.eq(self.i_pause & ~inside)"),
    ("self.i.ready.eq(self.o.ready & ~shut)", "self.i.ready.eq(self.o.ready)"),
))
def test_a_gate_with_a_bug_is_found(right, wrong, tmp_path):
    broken = PauseBreaksNoFrame(with_bug(pause, right, wrong).PauseGate())
    result = prove(broken, name="pause-bug", depth=6, mode="bmc", build_root=tmp_path)
    assert result.status == "FAIL", result
