"""Prices: exact or refused, and keys in the order of the prices."""

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tickwire.hdl.strategy.model import price_key
from tickwire.host.errors import PriceError
from tickwire.host.price import from_bits, from_key, to_bits, to_double, to_key

finite = st.floats(allow_nan=False, allow_infinity=False)


@given(finite)
def test_every_double_comes_back(double):
    assert float(from_key(to_key(double))) == double
    assert float(from_bits(to_bits(double))) == double
    assert to_double(from_key(to_key(double))) == double


@given(finite, finite)
def test_keys_are_in_the_order_of_prices(a, b):
    assert (to_key(a) < to_key(b)) == (a < b)
    assert (to_key(a) == to_key(b)) == (a == b)


@given(finite.filter(bool))
def test_keys_are_those_of_the_strategy_model(double):
    assert to_key(double) == price_key(double)


@pytest.mark.parametrize("price", [0, "0.1", Decimal("0.0005"), 35000.5, 1 << 40, "-12.5", "1e3"])
def test_decimals_that_a_double_is_printed_as(price):
    assert from_key(to_key(price)) == Decimal(str(price))


def test_negative_zero_is_zero():
    assert to_key(-0.0) == to_key(0) == 1 << 63
    assert math.copysign(1, to_double("-0")) == 1


@pytest.mark.parametrize("price, sentence", [
    ("0.10000000000000000001",
     "The price '0.10000000000000000001' has no exact double; the nearest one is 0.1"),
    ((1 << 53) + 1, "The price 9007199254740993 has no exact double; the nearest one is "
                    "9007199254740992.0"),
    ("1e400", "The price '1e400' has no exact double; the nearest one is inf"),
    (float("nan"), "A price must be finite, not nan"),
    (Decimal("Infinity"), "A price must be finite, not Decimal('Infinity')"),
    ("ten", "A price must be a number, not 'ten'"),
    (None, "A price must be a number, not None"),
])
def test_prices_that_are_refused(price, sentence):
    with pytest.raises(PriceError) as error:
        to_key(price)
    assert str(error.value) == sentence
