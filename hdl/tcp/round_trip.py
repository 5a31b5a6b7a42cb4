"""How long an acknowledgement takes, and how long it is waited for (RFC 6298)."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["RTO_BITS", "RoundTrip", "RoundTripEstimate"]

RTO_BITS = 18               # 4 min 22 s of milliseconds
_SAMPLE_BITS = 17


class RoundTripEstimate(data.Struct):
    """A session's estimate."""

    measured: 1
    srtt: _SAMPLE_BITS + 3      # in eighths of a tick
    rttvar: _SAMPLE_BITS + 3    # in quarters of a tick
    rto: RTO_BITS               # ticks [RTO]


class RoundTrip(wiring.Component):
    """Takes a measured round trip into an estimate, with alpha = 1/8, beta = 1/4 and K = 4.

    Latency: ``o`` belongs to the inputs of 3 cycles before.

    Parameters
    ----------
    least, most : int
        Bounds of RTO in ticks (RFC 6298, 2.4 and 2.5).

    Members
    -------
    i : In, RoundTripEstimate
    i_sample : In, 17 bits
        Ticks [R]; a longer one has to be cut.
    o : Out, RoundTripEstimate

    Raises
    ------
    ValueError
        If the bounds are not 1 <= ``least`` <= ``most`` < 2^18.
    """

    def __init__(self, least, most):
        if not 1 <= least <= most < 1 << RTO_BITS:
            raise ValueError("RoundTrip needs 1 <= least <= most < 2^18 ticks, not least "
                             f"{least!r} and most {most!r}")
        self._least, self._most = least, most
        super().__init__({
            "i": In(RoundTripEstimate),
            "i_sample": In(_SAMPLE_BITS),
            "o": Out(RoundTripEstimate),
        })

    def elaborate(self, platform):
        m = Module()
        # 1: how far the sample is from the mean, in eighths
        away, sample, before = Signal(21), Signal(_SAMPLE_BITS), Signal(RoundTripEstimate)
        longer = Signal()
        eighths = self.i_sample << 3
        m.d.sync += [
            longer.eq(eighths >= self.i.srtt),
            away.eq(Mux(eighths >= self.i.srtt, eighths - self.i.srtt, self.i.srtt - eighths)),
            sample.eq(self.i_sample), before.eq(self.i),
        ]
        # 2: both means
        srtt, rttvar = Signal(20), Signal(20)
        step = away >> 3
        with m.If(~before.measured):        # RFC 6298, 2.2
            m.d.sync += [srtt.eq(sample << 3), rttvar.eq(sample << 1)]
        with m.Else():                      # RFC 6298, 2.3
            m.d.sync += [srtt.eq(Mux(longer, before.srtt + step, before.srtt - step)),
                         rttvar.eq(before.rttvar - (before.rttvar >> 2) + step)]
        # 3: the timeout; a tick is the granularity G
        rto = Signal(RTO_BITS + 4)
        m.d.comb += rto.eq(((srtt + 7) >> 3) + Mux(rttvar == 0, 1, rttvar))
        m.d.sync += [
            self.o.measured.eq(1), self.o.srtt.eq(srtt), self.o.rttvar.eq(rttvar),
            self.o.rto.eq(Mux(rto < self._least, self._least,
                              Mux(rto > self._most, self._most, rto))),
        ]
        return m
