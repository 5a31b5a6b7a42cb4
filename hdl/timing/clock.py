"""Time of day in nanoseconds, for the fields of an order that want it."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from tickwire.hdl.stream.packet import strobe
from tickwire.hdl.timing.rate import FRACTION_BITS, INCREMENT_BITS

__all__ = ["NanosecondClock"]

LOW_BITS = 16       # of the nanoseconds, counted together with the fraction


class NanosecondClock(wiring.Component):
    """Counts nanoseconds; the length of a cycle, the start and corrections are the host's.

    Until the host sets it, it counts from reset. The count has 32 bits below the nanosecond, so
    6.4 ns are added with an error below 2e-11 of the time that passes. The addition is done in
    two halves, one a cycle later, so that its carry is short; no reader sees one half new and
    the other old.

    The rate is chosen in steps of 2**-32 ns a cycle: 0.0364 ppb at 6.4 ns. A step of it never
    moves the time itself, so a host that slews with it alone keeps the time monotonic.

    Latency: ``i_set`` and ``i_offset`` show in ``o`` 3 cycles after their strobe; the value of
    ``i_increment`` in cycle c is added between the cycles c + 2 and c + 3. What is set is the
    time of the cycle in which it shows first. With both in one cycle ``i_offset`` is lost.

    Members
    -------
    i_increment : 40 bits
        Length of a cycle in units of 2**-32 ns, see
        :func:`tickwire.hdl.timing.rate.increment_per_cycle`.
    i_skip : 64 bits
        Cycles to count beside this one: a simulation leaves out idle time so. 0 on a board.
    i_set : strobe of 64 bits
        New time in ns (Starbase: since the Unix epoch).
    i_offset : strobe of 64 bits
        Signed ns to add once; the cycle's own length is added too.
    o : 64 bits
        Time in ns, modulo 2**64.
    """

    i_increment: In(INCREMENT_BITS)
    i_skip: In(64)
    i_set: In(strobe(64))
    i_offset: In(strobe(64))
    o: Out(64)

    def elaborate(self, platform):
        m = Module()

        # What to add, and to what: the count so far or zero.
        addend = Signal(FRACTION_BITS + 64)
        restart = Signal()
        increment = Signal(len(addend))
        correction = Signal(len(addend))
        m.d.comb += [
            increment.eq(self.i_increment * (1 + self.i_skip)),
            correction[FRACTION_BITS:].eq(Mux(self.i_offset.valid, self.i_offset.payload, 0)),
        ]
        m.d.sync += [
            addend.eq(increment + correction),
            restart.eq(self.i_set.valid),
        ]
        with m.If(self.i_set.valid):
            m.d.sync += addend.eq(Cat(Const(0, FRACTION_BITS), self.i_set.payload))

        split = FRACTION_BITS + LOW_BITS
        low = Signal(split)
        carry = Signal()
        m.d.sync += Cat(low, carry).eq(Mux(restart, 0, low) + addend[:split])

        high = Signal(64 - LOW_BITS)
        high_addend = Signal(len(high))
        high_restart = Signal()
        low_with_high = Signal(LOW_BITS)
        m.d.sync += [
            high_addend.eq(addend[split:]),
            high_restart.eq(restart),
            high.eq(Mux(high_restart, 0, high) + high_addend + carry),
            low_with_high.eq(low[FRACTION_BITS:]),
        ]
        m.d.comb += self.o.eq(Cat(low_with_high, high))
        return m
