# amaranth: UnusedElaboratable=no
"""Received words cross in order and none is lost, for any clocks: proved; the proof can fail."""

import pytest
from crossing_properties import WordsCross
from seeded import with_bug
from tickwire.hdl.stream import crossing
from tickwire.sim.formal import prove


@pytest.fixture
def crossed(monkeypatch):
    """Makes the harness, with synchronisers that may see a changing bit late."""
    def make(module=crossing, **options):
        harness = WordsCross(module.ElasticCrossing(), **options)
        monkeypatch.setattr(module, "FFSynchronizer", harness.synchroniser)
        return harness
    return make


def test_words_cross_in_order_and_none_is_lost(crossed, tmp_path):
    result = prove(crossed(), name="crossing", depth=3, multiclock=True, build_root=tmp_path)
    assert result.passed, result


def test_pointers_without_gray_code_are_found(crossed, tmp_path, monkeypatch):
    for name in ("gray_encode", "gray_decode"):
        monkeypatch.setattr(crossing, name, lambda value: value)
    result = prove(crossed(invariants=False), name="binary", depth=16, mode="bmc",
                   multiclock=True, build_root=tmp_path)
    assert result.status == "FAIL", result


@pytest.mark.parametrize("right, wrong", (
    # The idle word that ends a frame which broke off is left out too.
    ("redundant = empty & ~may_be_open", "redundant = empty"),
    # START is put beside whatever was last, though it may have been read.
    ("(waiting >= _STEADY + 2)", "1"),
    # The reader looks a cycle too soon.
    ("read.addr.eq(upcoming)", "read.addr.eq(consumed)"),
))
def test_a_crossing_with_a_bug_is_found(right, wrong, crossed, tmp_path):
    broken = with_bug(crossing, right, wrong)
    result = prove(crossed(broken, invariants=False), name="crossing-bug", depth=18, mode="bmc",
                   multiclock=True, build_root=tmp_path)
    assert result.status == "FAIL", result
