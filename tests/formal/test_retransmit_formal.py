# amaranth: UnusedElaboratable=no
"""What is sent again is what was sent: checked for every input of some cycles; checks can fail."""

import pytest
from retransmit_properties import RecordsComeBackAsTheyWere, small_ring
from seeded import with_bug
from tickwire.hdl.tcp import retransmit
from tickwire.sim.formal import prove

DEPTH = 12      # cycles: the ring has been filled, released, and wraps


def test_records_come_back_as_they_were(tmp_path):
    result = prove(RecordsComeBackAsTheyWere(), name="retransmit", depth=DEPTH, mode="bmc",
                   build_root=tmp_path)
    assert result.passed, result


@pytest.mark.parametrize("right, wrong", (
    # The last word of a record that does not fit is written over the oldest one.
    ("fits.eq(written + 1 < free)", "fits.eq(written < free)"),
    # A record is released while it is being read.
    ("held = self.i_hold | self.i_open.valid", "held = self.i_open.valid"),
    # What is acknowledged but for its last byte is released.
    ("ahead.eq(asked.data - record.sequence - record.length)",
     "ahead.eq(asked.data - record.sequence - record.length + 1)"),
    # A frame that was broken off leaves its words in front of the next one's.
    ("writer.eq(self.i_begin.payload), written.eq(0)", "writer.eq(self.i_begin.payload)"),
    # What leaves while its session is cleared is kept.
    ("m.d.sync += void.eq(1)", "m.d.sync += void.eq(0)"),
))
def test_a_buffer_with_a_bug_is_found(right, wrong, tmp_path):
    broken = small_ring(with_bug(retransmit, right, wrong))
    result = prove(RecordsComeBackAsTheyWere(broken), name="retransmit-bug", depth=DEPTH,
                   mode="bmc", build_root=tmp_path)
    assert result.status == "FAIL", result
