"""The bytes before a chosen lane, out of the last beats."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from tickwire.hdl.feed.plan import LANES, WINDOW

__all__ = ["ByteWindow", "field_at", "pick"]


def pick(options, index):
    """One of the ``options``, by a tree of multiplexers: half as deep as decoding the index."""
    options = list(options)
    for bit in index:
        options = [Mux(bit, above, below)
                   for below, above in zip(options[::2], options[1::2], strict=True)]
    return options[0]


def field_at(window, distance, size):
    """Little-endian field of ``size`` bytes whose last byte stands ``distance`` before the stop."""
    end = len(window) - 8 * distance
    return window[end - 8 * size:end]


class ByteWindow(wiring.Component):
    """Picks the last 13 bytes up to and with a lane of the present beat: one 8:1 multiplexer.

    Latency: 0 cycles.

    Members
    -------
    i_valid : In, 1 bit
        There is a beat.
    i_data : In, 64 bits
    lane : In, 3 bits
        Where the window ends.
    o : Out, 104 bits
        Bytes in the order of the wire, the first one lowest; the last one is that of ``lane``.
    """

    i_valid: In(1)
    i_data: In(8 * LANES)
    lane: In(range(LANES))
    o: Out(8 * WINDOW)

    def elaborate(self, platform):
        m = Module()

        past = Signal(16 * LANES, reset_less=True)      # two beats
        with m.If(self.i_valid):
            m.d.sync += past.eq(Cat(past[8 * LANES:], self.i_data))

        octets = Cat(past, self.i_data)
        first = 2 * LANES + 1 - WINDOW      # of the window, if it ends in lane 0
        for place in range(WINDOW):
            m.d.comb += self.o.word_select(place, 8).eq(pick(
                [octets.word_select(first + place + lane, 8) for lane in range(LANES)], self.lane))
        return m
