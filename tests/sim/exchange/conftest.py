"""An exchange whose books rest, for the tests of its gateways."""

import pytest
from exchange_bench import exchange


@pytest.fixture
def running():
    with exchange() as one:
        yield one
