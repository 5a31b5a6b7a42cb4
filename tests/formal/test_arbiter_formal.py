# amaranth: UnusedElaboratable=no
"""Frames of three sources are not mixed and ranks are kept: proved, and the proofs can fail."""

import pytest
from arbiter_properties import FramesAreNotMixed
from seeded import with_bug
from tickwire.hdl.mac import arbiter
from tickwire.sim.formal import prove


@pytest.fixture
def joining(monkeypatch):
    """Makes the harness, with a transmitter whose FCS is free."""
    def make(*dut, **options):
        return FramesAreNotMixed(*dut, **options).with_free_fcs(monkeypatch)
    return make


def test_frames_are_whole_in_order_and_ranked(joining, tmp_path):
    result = prove(joining(), name="arbiter", depth=3, build_root=tmp_path)
    assert result.passed, result


BUGS = {
    "an order overtakes a frame that has begun": (
        "offered_order.eq(Mux(locked, offered_order, order.valid))",
        "offered_order.eq(order.valid)"),
    "the choice is open again after the first beat": (
        "begun.eq(locked & ~ends)", "begun.eq(self.i_start & ~ends)"),
    "a reply is thrown away while a host frame leaves": (
        "reply.ready.eq(locked & ~offered_order & offered_reply & self.o.ready)",
        "reply.ready.eq(locked & ~offered_order & self.o.ready)"),
    "the host goes before replies": (
        "offered_reply.eq(Mux(locked, offered_reply, reply.valid))",
        "offered_reply.eq(Mux(locked, offered_reply, reply.valid & ~host.valid))"),
    "two flags at once": (
        "began.eq(was_offered)", "began.eq(began | was_offered)"),
}


@pytest.mark.parametrize("bug", BUGS)
def test_an_arbiter_with_a_bug_is_found(bug, joining, tmp_path):
    broken = with_bug(arbiter, *BUGS[bug]).TransmitArbiter()
    result = prove(joining(broken, invariants=False), name="arbiter-bug", depth=9, mode="bmc",
                   build_root=tmp_path)
    assert result.status == "FAIL", result
