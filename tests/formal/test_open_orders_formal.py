# amaranth: UnusedElaboratable=no
"""What is reserved for an order is released once: proved by induction, and the proof can fail."""

import pytest
from open_orders_properties import (
    INSTRUMENTS,
    ROWS,
    ReservationsAreReleasedOnce,
    WorstCaseIsOfTheTable,
)
from seeded import with_bug
from tickwire.hdl.risk import open_orders
from tickwire.sim.formal import prove


def test_what_is_reserved_is_released_once(tmp_path):
    result = prove(ReservationsAreReleasedOnce(), name="orders", depth=7, build_root=tmp_path)
    assert result.passed, result


def test_the_worst_cases_are_those_of_the_table(tmp_path):
    result = prove(WorstCaseIsOfTheTable(), name="worst", depth=8, build_root=tmp_path)
    assert result.passed, result


BUGS = {
    "a fill takes what is not there": ("rest.eq(Mux(exceeds, 0, after_fill))]",
                                       "rest.eq(after_fill)]"),
    "the id is not compared": ("(row.client_id == client_id) & ", ""),
    "a done order is released again": ("with m.Elif(~opened):", "with m.Elif(0):"),
    "an open row is written over": ("            with m.If(opened):\n"
                                    "                m.d.comb += counts(Anomaly.COLLISION)",
                                    "            with m.If(0):\n"
                                    "                m.d.comb += counts(Anomaly.COLLISION)"),
    "a rejected order stays reserved": ("m.d.comb += rest.eq(0)\n                leaves_rest()",
                                        "m.d.comb += new.state.eq(OrderState.DONE)"),
    "the count forgets": ("self.o_open + reserves - releases", "self.o_open + reserves"),
}


@pytest.mark.parametrize("bug", BUGS)
def test_a_table_with_a_bug_is_not_proved(bug, tmp_path):
    """A counterexample from reset on has 13 cycles and more; the induction is there at once."""
    broken = with_bug(open_orders, *BUGS[bug]).OpenOrders(rows=ROWS, instruments=INSTRUMENTS)
    result = prove(ReservationsAreReleasedOnce(broken), name="broken", depth=7,
                   build_root=tmp_path)
    assert result.status == "UNKNOWN", result
