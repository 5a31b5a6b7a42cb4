"""Prices and amounts: exact numbers outside, doubles and ordered keys inside the gateway.

A feed that speaks IEEE 754 doubles means by each of them the decimal that Python prints for it.
The key of a double is an unsigned number in the same order, so hardware compares in one step.
"""

from __future__ import annotations

import math
import struct
from decimal import Decimal, InvalidOperation

from tickwire.host.errors import PriceError

__all__ = ["Exact", "to_double", "to_key", "from_key", "to_bits", "from_bits"]

#: What may stand for a price or an amount.
Exact = int | float | str | Decimal

_SIGN = 1 << 63
_ALL = (1 << 64) - 1


def to_double(price: Exact) -> float:
    """The double that stands for a price. Negative zero becomes zero.

    Raises
    ------
    PriceError
        If no double is printed like this price, or if it is not finite.
    """
    try:
        exact = Decimal(repr(price)) if isinstance(price, float) else Decimal(price)
    except (InvalidOperation, TypeError, ValueError):
        raise PriceError(f"A price must be a number, not {price!r}") from None
    if not exact.is_finite():
        raise PriceError(f"A price must be finite, not {price!r}")
    double = float(exact)
    if math.isinf(double) or Decimal(repr(double)) != exact:
        raise PriceError(f"The price {price!r} has no exact double; the nearest one is {double!r}")
    return double if double else 0.0


def to_bits(price: Exact) -> int:
    """The 64 bits of the double that stands for a number."""
    bits: int = struct.unpack("<Q", struct.pack("<d", to_double(price)))[0]
    return bits


def from_bits(bits: int) -> Decimal:
    """The number that a double's 64 bits mean."""
    double: float = struct.unpack("<d", struct.pack("<Q", bits))[0]
    return Decimal(repr(double))


def to_key(price: Exact) -> int:
    """The ordered key of a price: sign bit inverted, all bits of a negative number inverted."""
    bits = to_bits(price)
    return bits ^ (_ALL if bits & _SIGN else _SIGN)


def from_key(key: int) -> Decimal:
    """The price of an ordered key."""
    return from_bits(key ^ (_SIGN if key & _SIGN else _ALL))
