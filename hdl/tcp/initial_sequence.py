"""Initial sequence numbers that nobody outside can guess (RFC 9293, 3.4.1)."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from tickwire.hdl.tcp.siphash import SipHash

__all__ = ["InitialSequence"]

_LENGTH = 12                # bytes: two addresses and two ports


class InitialSequence(wiring.Component):
    """ISN = M + F(local address, local port, remote address, remote port, secret), RFC 6528.

    M counts periods of the clock; F is SipHash-2-4. Addresses and ports go into it as the numbers
    they are, lowest byte first, in the order above.

    Latency: ``i_start`` → ``o_done`` 17 cycles.

    Parameters
    ----------
    period : int
        Cycles in 4 us.

    Members
    -------
    i_start : In, 1 bit
    i_secret : In, 128 bits
    i_address, i_peer : In, 32 bits
    i_port, i_peer_port : In, 16 bits
    o_done : Out, 1 bit
    o : Out, 32 bits
        Goes on with the clock.
    """

    def __init__(self, period):
        self._period = period
        super().__init__({
            "i_start": In(1),
            "i_secret": In(128),
            "i_address": In(32),
            "i_peer": In(32),
            "i_port": In(16),
            "i_peer_port": In(16),
            "o_done": Out(1),
            "o": Out(32),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.hash = sip = SipHash(_LENGTH)
        elapsed, clock = Signal(range(self._period)), Signal(32)
        m.d.sync += elapsed.eq(elapsed + 1)
        with m.If(elapsed == self._period - 1):
            m.d.sync += [elapsed.eq(0), clock.eq(clock + 1)]
        m.d.comb += [
            sip.i_start.eq(self.i_start), sip.i_key.eq(self.i_secret),
            sip.i_message.eq(Cat(self.i_address, self.i_port, self.i_peer, self.i_peer_port)),
            self.o_done.eq(sip.o_done), self.o.eq(clock + sip.o[:32]),
        ]
        return m
