"""A transmitter of whose FCS nothing is said."""

from amaranth.lib import wiring
from amaranth.lib.wiring import In
from tickwire.hdl.mac import transmit

__all__ = ["FreeOctets"]

FREE = 2048         # bits, more than the transmitter computes in a cycle


class FreeOctets(wiring.Component):
    """A harness with a transmitter in it, and an input for all that this computes of the FCS."""

    def __init__(self, members):
        super().__init__({**members, "octets": In(FREE)})
        self.used = 0

    def free_octets(self, state, data, octets=0, rows=range(32), keep=None):
        """Like ``crc_step``, and like ``state_before_zeros``, but any value may come out."""
        self.used += len(rows)
        return self.octets[self.used - len(rows):self.used]

    def with_free_fcs(self, monkeypatch):
        """Itself, once the transmitter takes the free octets for those it would compute."""
        for name in ("crc_step", "state_before_zeros"):
            monkeypatch.setattr(transmit, name, self.free_octets)
        return self
