"""A budget of orders that fills with time."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from tickwire.hdl.stream.packet import strobe

__all__ = ["RateLimit", "TokenBucket"]


class RateLimit(data.Struct):
    """How many orders may be sent.

    ``period`` 0 brings no tokens: ``burst`` orders, and no more until the limit is set again.
    """

    period: 32      # cycles after which a token comes
    burst: 16       # tokens that the bucket holds


class TokenBucket(wiring.Component):
    """Token bucket. Empty at reset; setting a limit fills the bucket.

    A full bucket restarts the period, so a token never comes sooner than a period after the one
    that was taken first.

    Latency: ``i_limit``, ``i_take``, the period's end → ``o_ok`` 1 cycle.

    Members
    -------
    i_limit : In(strobe(RateLimit))
        Sets both numbers at once.
    i_take : In(1)
        Takes a token, if there is one: a limit may have been set since there was.
    o_ok : Out(1)
        There is a token.
    o_more : Out(1)
        There are at least two.
    o_tokens : Out(16)
        Tokens in the bucket.
    """

    i_limit: In(strobe(RateLimit))
    i_take: In(1)
    o_ok: Out(1)
    o_more: Out(1)
    o_tokens: Out(16)

    def __init__(self):
        super().__init__()
        self.limit = Signal(RateLimit)
        self.elapsed = Signal(32)       # cycles of the period, this one included

    def elaborate(self, platform):
        m = Module()
        limit, elapsed = self.limit, self.elapsed
        comes = Signal()
        full = Signal()
        m.d.comb += [
            self.o_ok.eq(self.o_tokens != 0),
            self.o_more.eq(self.o_tokens[1:] != 0),
            full.eq(self.o_tokens == limit.burst),
            comes.eq((elapsed == limit.period) & (limit.period != 0) & ~full),
        ]
        with m.If(self.i_limit.valid):
            m.d.sync += [
                limit.eq(self.i_limit.payload),
                self.o_tokens.eq(self.i_limit.payload.burst),
                elapsed.eq(1),
            ]
        with m.Else():
            m.d.sync += [
                self.o_tokens.eq(self.o_tokens + comes - (self.i_take & self.o_ok)),
                elapsed.eq(Mux(full | comes, 1, elapsed + 1)),
            ]
        return m
