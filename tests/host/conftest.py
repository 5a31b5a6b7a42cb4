"""Boards for the host's tests: one made of a dictionary, one that is a compiled toy."""

import pytest
from fake_board import FakeBoard


@pytest.fixture
def fake_board():
    return FakeBoard()


@pytest.fixture(scope="session")
def toy_library():
    from tickwire.sim.engine_build import build_library
    from tickwire.sim.toy_gateway import ToyGateway

    return build_library(ToyGateway())
