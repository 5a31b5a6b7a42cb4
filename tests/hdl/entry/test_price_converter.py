"""Doubles to units of 1e-9, against fractions."""

import math
import os
import random
import struct
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import dpkt
import pytest
from amaranth.sim import Simulator
from hypothesis import given, settings
from hypothesis import strategies as st
from order_bench import double_bits, key_of
from tickwire.hdl.entry.price import PriceConverter

DATA = Path(os.environ.get("TICKWIRE_DATA",
                           Path(__file__).parents[3].parent / "shared" / "data"))
CAPTURE = DATA / "deribit" / "sample_capture_v1_6.pcapng"

LATENCY = 6
UNIT = 10 ** 9
INT64 = range(-(1 << 63), 1 << 63)


def convert(values, *, gaps=None):
    """(price, exact, overflow) of each double; asserts the latency of each."""
    dut = PriceConverter()
    results = []
    gaps = gaps or random.Random(0)

    async def testbench(ctx):
        pending = []
        cycle = 0
        waiting = list(reversed(values))
        while waiting or pending:
            sends = bool(waiting) and gaps.random() < 0.9
            ctx.set(dut.i.valid, sends)
            if sends:
                ctx.set(dut.i.payload, key_of(waiting.pop()))
                pending.append(cycle)
            else:
                ctx.set(dut.i.payload, gaps.getrandbits(64))
            _, _, valid, o = await ctx.tick().sample(dut.o.valid, dut.o.payload)
            assert bool(valid) == (cycle - LATENCY in pending)
            if valid:
                pending.remove(cycle - LATENCY)
                results.append((o.price, bool(o.exact), bool(o.overflow)))
            cycle += 1

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(testbench)
    simulator.run()
    return results


def expected(value):
    """The same from the definition. The price is None where it is not defined."""
    if not math.isfinite(value):
        return None, False, True
    units = Fraction(value) * UNIT
    price = math.floor(units + Fraction(1, 2))
    if price not in INT64:
        return None, False, True
    nearest = price / UNIT == value         # dividing integers rounds to the nearest double
    return price, nearest if abs(value) < 2 ** 23 else price == units, False


def check(values):
    for value, (price, exact, overflow) in zip(values, convert(values), strict=True):
        want = expected(value)
        assert (exact, overflow) == want[1:], value.hex()
        assert price == want[0] or want[0] is None, value.hex()


def test_prices_that_venues_use():
    """Every one is a decimal with at most nine places, so it must be exact, and that number."""
    rng = random.Random(1)
    texts = [str(Decimal(rng.randrange(-10 ** 6, 10 ** 6)) * Decimal("0.0005"))
             for _ in range(1000)]
    texts += [str(Decimal(rng.randrange(10 ** rng.randrange(1, 16))) / 10 ** rng.randrange(1, 10))
              for _ in range(1000)]
    texts = [text for text in texts if abs(Decimal(text)) < 2 ** 23]
    assert len(texts) > 1500
    texts += ["0", "0.0005", "0.0001", "-0.0005", "25000.5", "68754.25", "0.000000001", "-0.0125",
              "8388607.999999999", "9223372036", "-9223372036", "4611686018.25"]
    for text, result in zip(texts, convert([float(text) for text in texts]), strict=True):
        assert result == (int(Decimal(text) * UNIT), True, False), text


def test_neighbours_of_exact_prices_are_not_exact():
    rng = random.Random(2)
    values = []
    for _ in range(500):
        price = rng.choice((1, -1)) * rng.randrange(1, 10 ** rng.randrange(1, 15)) / UNIT
        values += [math.nextafter(price, math.inf), price, math.nextafter(price, -math.inf)]
    results = convert(values)
    assert [exact for _, exact, _ in results] == [False, True, False] * 500
    check(values)


def test_edges():
    values = [0.0, -0.0, 5e-324, -5e-324, 2.2250738585072014e-308, 5e-10, 4.999999e-10, 9.3e-10,
              -5e-10, -5.0000001e-10, 2.0 ** -30, 2.0 ** -31, 2.0 ** -10, 2.0 ** -9, -(2.0 ** -9),
              8388608.1, 8388608.5, 10000000.1, 9223372036.854774, 9223372036.854776,
              -9223372036.854774, -9223372036.854776, 9.3e9, 1.9e10, -1e300, math.inf, -math.inf,
              math.nan]
    check(values)
    assert convert([0.0, -0.0]) == [(0, True, False)] * 2
    assert convert([math.nan, math.inf]) == [(0, False, True)] * 2


def test_the_last_double_that_is_exact():
    """Mantissas whose product lies as far from a multiple of 1e-9 as is allowed, and one more."""
    factor, rng, values = 5 ** 9, random.Random(10), []
    allowed = factor // 2
    for shift in range(21, 53):
        for away in (0, allowed, allowed + 1, -allowed, -allowed - 1):
            mantissa = away * pow(factor, -1, 1 << shift) % (1 << shift)
            mantissa |= rng.getrandbits(52) >> shift << shift | 1 << 52
            values.append(math.ldexp(mantissa, -shift - 9))
    exact = [exact for _, exact, _ in convert(values)]
    assert exact == [True, True, False, True, False] * 32
    check(values)


def test_every_exponent():
    rng = random.Random(3)
    values = [struct.unpack("<d", struct.pack("<Q", exponent << 52 | rng.choice(
                  (0, (1 << 52) - 1, rng.getrandbits(52))) | rng.getrandbits(1) << 63))[0]
              for exponent in [*range(0, 2048, 31), *range(985, 1062)] for _ in range(8)]
    check([value for value in values if not math.isnan(value)])


@settings(max_examples=12, deadline=None, derandomize=True)
@given(st.lists(st.one_of(
    st.floats(allow_nan=False),
    st.floats(min_value=-1e10, max_value=1e10),
    st.decimals(min_value=-8_000_000, max_value=8_000_000, places=9).map(float),
    st.integers(min_value=0, max_value=(1 << 64) - 1).map(
        lambda bits: struct.unpack("<d", struct.pack("<Q", bits))[0]),
), min_size=100, max_size=200))
def test_any_double(values):
    check(values)


def capture_prices(path):
    """Every price of a book or snapshot level in Deribit's sample capture, once."""
    prices = set()
    with path.open("rb") as file:
        for _, octets in dpkt.pcapng.Reader(file):
            payload = bytes(dpkt.ethernet.Ethernet(octets).data.data.data)
            at = 8
            while at < len(payload):
                block, template, _, _, groups, texts = struct.unpack_from("<6H", payload, at)
                at += 12 + block
                for _ in range(groups):
                    size, count = struct.unpack_from("<2H", payload, at)
                    at += 8
                    for _ in range(count):
                        if template in (1001, 1004):
                            price_at = at + 2 if template == 1001 else at + 1
                            prices.add(struct.unpack_from("<d", payload, price_at)[0])
                        at += size
                for _ in range(texts):
                    at += 1 + payload[at]
    return sorted(prices)


@pytest.mark.skipif(not CAPTURE.exists(), reason=f"there is no {CAPTURE}")
def test_every_price_of_the_real_capture_is_exact():
    prices = capture_prices(CAPTURE)
    assert len(prices) > 300
    for price, result in zip(prices, convert(prices), strict=True):
        # repr gives the shortest decimal, which is the one that the venue meant
        assert result == (int(Decimal(repr(price)) * UNIT), True, False)


def test_the_key_is_that_of_the_feed():
    """order_bench's key, which all tests here use, orders doubles as numbers."""
    values = [-math.inf, -25000.5, -1.0, -5e-324, 0.0, 5e-324, 0.0005, 1.0, 1e9, math.inf]
    keys = [key_of(value) for value in values]
    assert keys == sorted(keys)
    assert key_of(1.0) == double_bits(1.0) | 1 << 63
