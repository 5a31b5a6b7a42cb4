# amaranth: UnusedElaboratable=no
"""The stamp in the clock domain rx is right, or off by one: proved, and the proof can fail."""

import pytest
from seeded import with_bug
from stamp_properties import StampIsRight
from tickwire.hdl.timing import stamp
from tickwire.sim.formal import prove


@pytest.fixture
def stamped(monkeypatch):
    """Makes the harness, with a synchroniser that may see a changing bit late."""
    def make(module=stamp, **options):
        harness = StampIsRight(module.StampCrossing(), **options)
        monkeypatch.setattr(module, "FFSynchronizer", harness.synchroniser)
        return harness
    return make


def test_the_stamp_is_off_by_one_at_most(stamped, tmp_path):
    result = prove(stamped(), name="stamp", depth=3, multiclock=True, build_root=tmp_path)
    assert result.passed, result


@pytest.mark.parametrize("right, wrong", (
    ("_DELAY = _STAGES + 2", "_DELAY = _STAGES"),
    ("binary.eq(gray_decode(synchronised))", "binary.eq(synchronised)"),
))
def test_a_stamp_with_a_bug_is_found(right, wrong, stamped, tmp_path):
    broken = stamped(with_bug(stamp, right, wrong), invariants=False)
    result = prove(broken, name="stamp-bug", depth=16, mode="bmc", multiclock=True,
                   build_root=tmp_path)
    assert result.status == "FAIL", result
