"""A synchroniser for proofs, whose first stage may see a change too late.

It may see each bit that has just changed as it was or as it is: that is what is left of
metastability once it has settled.
"""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In

__all__ = ["Synchroniser"]


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
