# amaranth: UnusedElaboratable=no
"""No order leaves that is not permitted: proved by induction, and the proofs can fail."""

import pytest
from arming_properties import ArmingIsDeliberate, BudgetIsKept
from risk_properties import OrdersArePermitted, OrdersWaitForTheirFrame
from tickwire.hdl.entry.intent import Reason
from tickwire.hdl.risk import gate
from tickwire.sim.formal import prove


@pytest.mark.parametrize("policy", ("after_fcs", "cut_through"))
def test_no_order_goes_before_its_policy_allows_it(policy, tmp_path):
    result = prove(OrdersWaitForTheirFrame(cut_through=policy == "cut_through"),
                   name=policy, depth=4, build_root=tmp_path)
    assert result.passed, result


def test_an_order_has_passed_all_its_checks_and_every_intent_has_one_outcome(tmp_path):
    result = prove(OrdersArePermitted(), name="gate", depth=7, build_root=tmp_path)
    assert result.passed, result


def test_arming_takes_two_steps_and_nothing_undoes_a_kill_by_itself(tmp_path):
    result = prove(ArmingIsDeliberate(), name="arming", depth=3, build_root=tmp_path)
    assert result.passed, result


def test_a_budget_gives_no_more_than_it_has(tmp_path):
    result = prove(BudgetIsKept(), name="budget", depth=3, build_root=tmp_path)
    assert result.passed, result


@pytest.mark.parametrize("policy", ("after_fcs", "cut_through"))
def test_a_launch_gate_that_believes_every_frame_is_found(policy, tmp_path):
    credulous = OrdersWaitForTheirFrame(cut_through=policy == "cut_through", credulous=True)
    result = prove(credulous, name="credulous", depth=4, mode="bmc", build_root=tmp_path)
    assert result.status == "FAIL", result


@pytest.mark.parametrize("deaf", ({"killed": 0}, {"armed": 1}))
def test_a_gate_that_does_not_hear_a_control_is_found(deaf, tmp_path):
    result = prove(OrdersArePermitted(deaf=deaf), name="deaf", depth=6, mode="bmc",
                   build_root=tmp_path)
    assert result.status == "FAIL", result


@pytest.mark.parametrize("missing", (Reason.PRICE_BAND,))
def test_a_gate_that_forgets_a_check_is_found(missing, tmp_path, monkeypatch):
    every = gate.failures
    monkeypatch.setattr(gate, "failures", lambda *args, **state: tuple(
        (reason, fails) for reason, fails in every(*args, **state) if reason is not missing))
    result = prove(OrdersArePermitted(), name="forgetful", depth=8, mode="bmc",
                   build_root=tmp_path)
    assert result.status == "FAIL", result


@pytest.mark.parametrize("deaf", ({"i_lifetime": 2**32 - 1}, {"i_kill": 0}, {"i_period": 0}))
def test_an_arming_that_ignores_an_input_is_found(deaf, tmp_path):
    result = prove(ArmingIsDeliberate(deaf=deaf), name="arming", depth=6, mode="bmc",
                   build_root=tmp_path)
    assert result.status == "FAIL", result
