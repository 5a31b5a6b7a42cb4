"""Two clocks in proofs: a synchroniser whose first stage may see a change too late, and edges.

The first stage may see each bit that has just changed as it was or as it is: that is what is left
of metastability once it has settled.
"""

from amaranth.hdl import Assume, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In

__all__ = ["EDGES", "Synchroniser", "edges_at"]

EDGES = 40          # bits of a count of clock edges that does not come to its end


def edges_at(m, count):
    """Edges of ``sync`` up to now, and up to each of the last ``count`` edges of ``rx``."""
    edges = Signal(EDGES, reset_less=True)
    ago = [Signal(EDGES, name=f"edges_{n}_ago", reset_less=True) for n in range(count)]
    m.d.sync += edges.eq(edges + 1)
    m.d.rx += [later.eq(before) for before, later in zip((edges, *ago), ago, strict=False)]
    m.d.comb += Assume(~edges.all())
    return edges, ago


class Synchroniser(wiring.Component):
    """Like ``FFSynchronizer`` between ``rx`` and ``sync``, but it may miss bits once.

    Members
    -------
    missed : In, as many bits as are synchronised
        At the first edge after one of the source's: these are seen as they were before that.
    """

    def __init__(self, i, o, *, o_domain="sync", stages=2):
        self.i, self.o, self.domain = i, o, o_domain
        self.stages = [Signal(len(i), name=f"stage_{n}", reset_less=True) for n in range(stages)]
        self.before = Signal(len(i), reset_less=True)       # the input before its last edge
        self.moved, self.seen = Signal(3, reset_less=True), Signal(3, reset_less=True)
        super().__init__({"missed": In(len(i))})

    def elaborate(self, platform):
        m = Module()
        source = "rx" if self.domain == "sync" else "sync"
        m.d[source] += [self.before.eq(self.i), self.moved.eq(self.moved + 1)]
        missed = Mux(self.moved == self.seen, 0, self.missed)
        m.d[self.domain] += [
            self.seen.eq(self.moved),
            self.stages[0].eq((self.before & missed) | (self.i & ~missed)),
            *(later.eq(now) for now, later in zip(self.stages, self.stages[1:], strict=False)),
        ]
        m.d.comb += self.o.eq(self.stages[-1])
        return m
