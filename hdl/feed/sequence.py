"""Which datagram of each channel is expected next."""

from amaranth.hdl import Array, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from tickwire.hdl.stream.packet import strobe

__all__ = ["SequenceTable"]

_BITS = 32
_REPEATED = 10      # bits: how far behind a number may be that has been seen


class SequenceTable(wiring.Component):
    """Expected sequence number of each channel.

    Numbers are compared modulo 2³². Up to 1,024 behind the expected one was there before: another
    line is late by so much. Any other number is a gap, one from long ago as well: the venue has
    begun to count anew. To pass over all that follows would freeze the channel's books while they
    look healthy. The first datagram of a channel, after reset or ``reset``, is taken as it is.

    Latency: ``channel`` → answers 2 cycles, ``sequence`` → answers 2 cycles.

    Parameters
    ----------
    channels : int

    Members
    -------
    channel : In
        Dense index.
    sequence : In, 32 bits
        Of the present datagram, which is on ``channel``.
    accept : In, 1 bit
        The datagram counts: the next one of the channel follows it.
    reset : In, strobe(channel)
        Forget what was expected on a channel. Wins over ``accept``.
    o_repeated : Out, 1 bit
        The number has been seen.
    o_gap : Out, 1 bit
        Numbers are missing before it, or it belongs to another count.

    Raises
    ------
    ValueError
        If ``channels`` is not a power of two between 2 and 64.
    """

    def __init__(self, channels=64):
        if not 2 <= channels <= 64 or channels & (channels - 1):
            raise ValueError("SequenceTable channels must be a power of two between 2 and 64, "
                             f"not {channels!r}")
        self._channels = channels
        super().__init__({
            "channel": In(range(channels)),
            "sequence": In(_BITS),
            "accept": In(1),
            "reset": In(strobe(range(channels))),
            "o_repeated": Out(1),
            "o_gap": Out(1),
        })

    def elaborate(self, platform):
        m = Module()

        m.submodules.expected = memory = Memory(shape=_BITS, depth=self._channels, init=[],
                                                attrs={"ram_style": "distributed"})
        writer, reader = memory.write_port(), memory.read_port(domain="comb")
        known = Array(Signal(name=f"known_{index}") for index in range(self._channels))
        is_known = Signal()
        expected = Signal(_BITS, reset_less=True)
        # Compared in two parts, and with the upper one's successor, so that no carry goes through
        # all bits: the number is there earlier than what is expected of its channel.
        following = Signal(_BITS - _REPEATED, reset_less=True)
        low, high = self.sequence[:_REPEATED], self.sequence[_REPEATED:]
        expected_low, expected_high = expected[:_REPEATED], expected[_REPEATED:]
        same, next_one, behind = Signal(), Signal(), Signal()
        m.d.sync += [expected.eq(reader.data), is_known.eq(known[self.channel])]
        m.d.comb += [
            reader.addr.eq(self.channel),
            writer.addr.eq(self.channel),
            writer.data.eq(self.sequence + 1),
            writer.en.eq(self.accept),
            same.eq(expected_high == high),
            next_one.eq(expected_high == following),
            behind.eq(Mux(expected_low > low, same, next_one)),
        ]
        m.d.sync += [
            following.eq(high + 1),
            self.o_repeated.eq(is_known & behind),
            self.o_gap.eq(is_known & ~behind & ~(same & (expected_low == low))),
        ]
        with m.If(self.accept):
            m.d.sync += known[self.channel].eq(1)
        with m.If(self.reset.valid):
            m.d.sync += known[self.reset.payload].eq(0)
        return m
