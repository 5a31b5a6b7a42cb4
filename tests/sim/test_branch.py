"""Forked looks ahead: results come home, the parent stays as it was, failures are told."""

import os

import pytest
from tickwire.sim.branch import BranchError, Branches, branch


def test_the_parent_does_not_see_what_the_branch_does():
    state = [1]

    def action():
        state.append(2)
        return list(state)

    assert branch(action).result() == [1, 2]
    assert state == [1]


def test_many_branches_keep_their_keys():
    branches = Branches(2)
    state = {"cycle": 0}
    for cycle in range(20):
        state["cycle"] = cycle
        branches.start(cycle, lambda: state["cycle"] ** 2)
    assert branches.results() == {cycle: cycle ** 2 for cycle in range(20)}


def test_a_large_result_does_not_block():
    assert len(branch(lambda: bytes(10_000_000)).result()) == 10_000_000


def test_failures_are_told():
    def fail():
        raise ValueError("level 3 did not answer")

    with pytest.raises(BranchError, match="ValueError: level 3 did not answer"):
        branch(fail).result()
    with pytest.raises(BranchError, match="ended with status .* and said nothing"):
        branch(lambda: os._exit(3)).result()
