"""The gap between two frames, with deficit idle count."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["InterPacketGap"]


class InterPacketGap(wiring.Component):
    """Says when and in which lane the next START may be (IEEE 802.3-2022, 46.3.1.4).

    START belongs into lane 0 or 4, so it can rarely be ``gap`` characters behind TERMINATE
    (itself counted). It comes up to 3 characters early, as long as the sum of what is owed stays at
    3 or below, else late by the rest of its column, which reduces the debt. Any further delay
    clears it.

    Latency: ``i_end``, ``i_hold`` → ``o_ready`` 1 cycle.

    Parameters
    ----------
    gap : int
        Average number of characters, a multiple of 4, at least 12.

    Members
    -------
    i_end : In, 1 bit
        TERMINATE is in the word that is being made.
    i_lane : In, 3 bits
        Its lane.
    i_idle : In, 1 bit
        Neither a frame nor START has part in the word that is being made.
    i_hold : In, 1 bit
        No START from the next word on; once it falls, a whole gap passes first.
    o_ready : Out, 1 bit
        START may be in the word that is being made.
    o_high : Out, 1 bit
        Its lane is 4, not 0.
    """

    def __init__(self, gap=12):
        self._gap = gap
        super().__init__({"i_end": In(1), "i_lane": In(3), "i_idle": In(1), "i_hold": In(1),
                          "o_ready": Out(1), "o_high": Out(1)})
        # Columns of 4 characters that must pass before START, from the word being made on.
        self.wait = Signal(range(gap // 4 + 1))
        self.deficit = Signal(2)

    def elaborate(self, platform):
        m = Module()
        wait, deficit = self.wait, self.deficit
        early = self.i_lane[:2]     # characters that START in the nearest column would be early
        late_start = (early + deficit)[2]
        m.d.comb += [self.o_ready.eq(wait <= 1), self.o_high.eq(wait[0])]
        with m.If(self.i_hold):
            m.d.sync += wait.eq(self._gap // 4)
        with m.Elif(self.i_end):
            m.d.sync += [
                wait.eq(self._gap // 4 - 2 + self.i_lane[2] + late_start),
                deficit.eq(early + deficit),    # when late: less the column, 4
            ]
        with m.Elif(self.i_idle):
            m.d.sync += wait.eq(Mux(wait <= 2, 0, wait - 2))
            with m.If(self.o_ready):
                m.d.sync += deficit.eq(0)
        return m
