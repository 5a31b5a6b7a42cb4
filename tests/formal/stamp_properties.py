"""What the count of the core's cycles is worth in the clock domain of received words."""

from amaranth.hdl import Assert, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In
from synchroniser import EDGES, Synchroniser, edges_at
from tickwire.hdl.timing.stamp import STAMP_BITS, StampCrossing, gray_decode, gray_encode

STAGES = 4          # registers from the Gray code to the stamp


class StampIsRight(wiring.Component):
    """The stamp is off by one at most while the core's clock has 3 or 4 edges in 4 of ``rx``.

    That is what two clocks of nearly one rate have, whatever their phase. It holds again 4 edges
    after ``rx`` was reset or had stopped.

    Parameters
    ----------
    crossing : StampCrossing
        Its module's ``FFSynchronizer`` is :meth:`synchroniser`.
    invariants : bool
        State them too; a bounded check does without.
    """

    def __init__(self, crossing=None, *, invariants=True):
        self.crossing = crossing or StampCrossing()
        self.invariants = invariants
        super().__init__({"missed": In(STAMP_BITS)})

    def synchroniser(self, *args, **options):
        """In the place of ``FFSynchronizer``."""
        self.crossed = Synchroniser(*args, **options)
        return self.crossed

    def elaborate(self, platform):
        m = Module()
        crossing = self.crossing
        m.submodules.crossing = crossing.elaborate(platform)    # now, for its synchroniser
        crossed = self.crossed
        edges, ago = edges_at(m, STAGES)
        gray = Signal(STAMP_BITS, reset_less=True)
        running = Signal(range(STAGES + 1))     # edges of rx since its reset, up to 4
        m.d.sync += gray.eq(gray_encode((edges + 1)[:STAMP_BITS]))
        m.d.rx += running.eq(running + (running != STAGES))
        m.d.comb += [crossing.i_gray.eq(gray), crossed.missed.eq(self.missed)]

        in_four = (edges - ago[-1])[:EDGES]
        wrong = (crossing.o - edges)[:STAMP_BITS]
        with m.If((running == STAGES) & ((in_four == 3) | (in_four == 4))):
            m.d.comb += Assert((wrong == 0) | (wrong == 1) | (wrong == 2**STAMP_BITS - 1))
        if not self.invariants:
            return m

        # Invariants: each register is behind by the edges since it was loaded, or by one more.
        places = [*map(gray_decode, crossed.stages), crossing.binary, crossing.o - STAGES]
        for number, (place, then) in enumerate(zip(places, ago, strict=True)):
            more = (then - place)[:STAMP_BITS]
            m.d.comb += Assert((more <= 1) | (running <= number))
        step = (edges - gray_decode(crossed.before))[:STAMP_BITS]
        m.d.comb += [Assert(gray == gray_encode(edges[:STAMP_BITS])), Assert(step <= 1)]
        return m
