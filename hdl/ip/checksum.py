"""The Internet checksum over chosen bytes of a stream of beats."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["ChecksumTest"]

_BEAT = 8


class ChecksumTest(wiring.Component):
    """Says whether the one's-complement sum of 16-bit words is zero (RFC 1071).

    Words are taken at even lanes. The sum does not depend on the order of the two bytes as long
    as it is the same everywhere, so words are added as they stand in the beat. The sum is kept
    with its carries, and they are folded in only in the comparison: lower and upper half add up to
    0xffff exactly if each bit is set in one of them.

    Latency: beat → ``o_zero``, ``o_sum`` 2 cycles; ``o_zero`` is combinational behind registers.

    Parameters
    ----------
    words : int
        Most words that are ever added, which decides the width of the sum.

    Members
    -------
    i_valid : In, 1 bit
        There is a beat.
    i_restart : In, 1 bit
        The sum begins with this beat.
    i_data : In, 64 bits
    i_mask : In, 8 bits
        Lanes that count; the others are read as zero.
    i_base : In, 16 bits
        What the sum begins with, bytes in the order of the beat. Read one cycle after a beat with
        ``i_restart``.
    o_zero : Out, 1 bit
        The sum is (minus) zero: data and their checksum agree.
    o_sum : Out, 32 bits
        The sum, carries not folded in.

    Raises
    ------
    ValueError
        If ``words`` is not between 1 and 32,768, up to where the comparison is exact.
    """

    def __init__(self, words):
        if not 1 <= words <= 1 << 15:
            raise ValueError(f"ChecksumTest words must be between 1 and 32768, not {words!r}")
        self._bits = 16 + (words + 1).bit_length()
        super().__init__({
            "i_valid": In(1),
            "i_restart": In(1),
            "i_data": In(8 * _BEAT),
            "i_mask": In(_BEAT),
            "i_base": In(16),
            "o_zero": Out(1),
            "o_sum": Out(32),
        })

    def elaborate(self, platform):
        m = Module()

        masked = Cat(self.i_data.word_select(lane, 8) & self.i_mask[lane].replicate(8)
                     for lane in range(_BEAT))
        words = [masked.word_select(index, 16) for index in range(_BEAT // 2)]

        # Stage 1: pairs.
        present = Signal()
        restart = Signal(reset_less=True)
        pairs = [Signal(17, name=f"pair_{index}", reset_less=True) for index in range(2)]
        m.d.sync += [
            present.eq(self.i_valid),
            restart.eq(self.i_restart),
            pairs[0].eq(words[0] + words[1]),
            pairs[1].eq(words[2] + words[3]),
        ]

        # Stage 2: the running sum.
        total = Signal(self._bits, reset_less=True)
        with m.If(present):
            m.d.sync += total.eq(Mux(restart, self.i_base, total) + pairs[0] + pairs[1])

        low, high = total[:16], total[16:]
        m.d.comb += [self.o_zero.eq((low ^ high) == 0xffff), self.o_sum.eq(total)]
        return m
