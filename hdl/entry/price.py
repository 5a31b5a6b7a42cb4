"""From a double on the wire to an order's price in units of 1e-9, exactly or not at all."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from tickwire.hdl.stream.packet import strobe

__all__ = ["Conversion", "PriceConverter"]

FRACTION_BITS = 52
MANTISSA_BITS = FRACTION_BITS + 1

# 1e9 = FACTOR × 2**9, and FACTOR = 2**21 - DIFFERENCE where DIFFERENCE has 18 bits.
FACTOR = 5 ** 9
DIFFERENCE = (1 << 21) - FACTOR
PRODUCT_BITS = (((1 << MANTISSA_BITS) - 1) * FACTOR).bit_length()   # 74

# A double is mantissa × 2**(exponent - 1075), so its price is mantissa × FACTOR / 2**shift with
# shift = SHIFT_BASE - exponent.
SHIFT_BASE = 1075 - 9
MIN_SHIFT = 10                  # below it, the price needs more than 64 bits
MAX_SHIFT = PRODUCT_BITS        # above it, the price is less than a half

# Half of the distance to the next double is FACTOR / 2 units of 2**-shift.
TOLERANCE = FACTOR // 2
LOW_BITS = TOLERANCE.bit_length()                                   # 20


class Conversion(data.Struct):
    """A converted price. Unless ``exact`` it must not be sent."""

    price: signed(64)   # units of 1e-9, to the nearest; half a unit goes up
    exact: 1            # the double stands for this price and no other
    overflow: 1         # needs more than 64 bits, or is no number: `price` is undefined


class PriceConverter(wiring.Component):
    """Converts the ordered key (:func:`tickwire.hdl.feed.event.price_key`) of an IEEE 754 double.

    The mantissa is multiplied by 5**9 and shifted; nothing is lost before the shift, so
    the product's bits below it say how far the double is from a multiple of 1e-9. ``exact`` holds
    if the double is the one nearest to ``price`` × 1e-9, which is what a venue sends that
    converts a decimal price to a double: with p the product and n the price,
    abs(p - n × 2**shift) is at most half of the distance between two doubles, 5**9 / 2. From
    2**23 on that distance lets several prices share a double; there the double must be the
    multiple itself. (A power of two has a nearer lower neighbour. It needs no rule of its own: its
    product's low bits are zero, so it is a multiple, or far away from any.)

    Latency: 6 cycles, one conversion a cycle.

    Members
    -------
    i : strobe of 64 bits
        Ordered key.
    o : strobe of :class:`Conversion`
    """

    i: In(strobe(64))
    o: Out(strobe(Conversion))

    def elaborate(self, platform):
        m = Module()

        def later(name, value, cycles=1):
            for _ in range(cycles):
                register = Signal(value.shape(), name=name, reset_less=True)
                m.d.sync += register.eq(value)
                value = register
            return value

        valid = self.i.valid
        for _ in range(6):
            stage = Signal(name="valid")
            m.d.sync += stage.eq(valid)
            valid = stage
        m.d.comb += self.o.valid.eq(valid)

        # 1: undo the key
        negative = Signal()
        magnitude = Signal(63)
        m.d.comb += [
            negative.eq(~self.i.payload[63]),
            magnitude.eq(self.i.payload[:63] ^ negative.replicate(63)),
        ]
        subnormal = magnitude[FRACTION_BITS:] == 0
        mantissa1 = later("mantissa1", Cat(magnitude[:FRACTION_BITS], ~subnormal))
        exponent1 = later("exponent1", magnitude[FRACTION_BITS:])
        negative1 = later("negative1", negative)

        # 2: multiply, in blocks that fit an 18 × 18 multiplier; see what the exponent allows
        low2, middle2, high2 = (
            later(f"product{at}", mantissa1[at:at + 18] * Const(DIFFERENCE, 18))
            for at in range(0, MANTISSA_BITS, 18))
        mantissa2 = later("mantissa2", mantissa1)
        negative2 = later("negative2", negative1)
        zero2 = later("zero2", mantissa1 == 0)
        tiny2 = later("tiny2", exponent1 < SHIFT_BASE - MAX_SHIFT)
        huge2 = later("huge2", exponent1 > SHIFT_BASE - MIN_SHIFT)
        # 0 … 64 where it matters: neither tiny nor huge
        beyond2 = later("beyond2", (SHIFT_BASE - MIN_SHIFT - exponent1)[:7])
        half_index = (SHIFT_BASE - 1 - exponent1)[:7]
        half2 = later("half2", Cat(half_index == at for at in range(MAX_SHIFT)))

        # 3: the two terms of ± mantissa × (2**21 - DIFFERENCE) + half a unit
        width = PRODUCT_BITS + 2
        sign = negative2.replicate(width)
        shifted = Signal(width)
        m.d.comb += shifted.eq((mantissa2 << 21) ^ sign)
        # bit 0 of a half is never set: it carries the two's complement's 1
        term3 = later("term3", (shifted + (half2 | negative2))[:width])
        difference3 = later("difference3",
                            Cat(low2[:18], (Cat(low2[18:36], high2) + middle2)[:54]))
        negative3 = later("negative3", negative2)
        half3 = later("half3", half2)
        beyond3 = later("beyond3", beyond2)

        # 4: their sum
        inverted = Signal(width)
        m.d.comb += inverted.eq(difference3 ^ (~negative3).replicate(width))
        scaled4 = later("scaled4", (term3 + inverted + ~negative3)[:width])
        # ones below the binary point
        fraction4 = later("fraction4", Cat(at < beyond3 + MIN_SHIFT for at in range(MAX_SHIFT)))
        half4 = later("half4", half3)
        beyond4 = later("beyond4", beyond3)

        # 5: coarse shift; is the fraction, without the half that was added, all zeros or all ones?
        coarse5 = Signal(signed(width - MIN_SHIFT), reset_less=True)
        with m.Switch(beyond4[3:]):
            for step in range(9):
                with m.Case(step):
                    m.d.sync += coarse5.eq(scaled4[MIN_SHIFT + 8 * step:].as_signed())
        fine5 = later("fine5", beyond4[:3])
        remainder = Signal(MAX_SHIFT)
        m.d.comb += remainder.eq(scaled4[:MAX_SHIFT] ^ half4)
        high, high_mask = remainder[LOW_BITS:], fraction4[LOW_BITS:]
        groups = range(0, len(high), 9)
        zeros5 = later("zeros5", Cat(
            ~(high[at:at + 9] & high_mask[at:at + 9]).any() for at in groups))
        ones5 = later("ones5", Cat(
            (high[at:at + 9] | ~high_mask[at:at + 9]).all() for at in groups))
        above5 = later("above5", scaled4[:LOW_BITS] <= TOLERANCE)
        below5 = later("below5", scaled4[:LOW_BITS] >= (1 << LOW_BITS) - TOLERANCE)
        whole5 = later("whole5", (remainder & fraction4)[:LOW_BITS] == 0)
        # up to 2**23 a double stands for one price only
        single5 = later("single5", beyond4 >= LOW_BITS + 1 - MIN_SHIFT)
        zero5 = later("zero5", zero2, 3)
        tiny5 = later("tiny5", tiny2, 3)
        huge5 = later("huge5", huge2, 3)

        # 6: fine shift
        fine = Signal(signed(width - MIN_SHIFT))
        with m.Switch(fine5):
            for step in range(8):
                with m.Case(step):
                    m.d.comb += fine.eq(coarse5 >> step)
        overflow = huge5 | (~tiny5 & (fine[63:] != fine[63].replicate(len(fine) - 63)))
        near = (zeros5.all() & above5) | (ones5.all() & below5)
        o = self.o.payload
        price6 = Signal(64, reset_less=True)
        exact6 = Signal(reset_less=True)
        overflow6 = Signal(reset_less=True)
        m.d.sync += [
            price6.eq(fine[:64]),
            overflow6.eq(overflow),
            exact6.eq(Mux(tiny5, zero5, Mux(single5, near, zeros5.all() & whole5)) & ~overflow),
        ]
        with m.If(tiny5 | huge5):
            m.d.sync += price6.eq(0)
        m.d.comb += [
            o.price.eq(price6),
            o.exact.eq(exact6),
            o.overflow.eq(overflow6),
        ]
        return m
