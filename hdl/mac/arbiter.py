"""Who may send the next frame: orders go before what the host sends."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from tickwire.hdl.phy.xgmii import LANES
from tickwire.hdl.stream.packet import Packet, packet_stream

__all__ = ["TransmitArbiter"]


class TransmitArbiter(wiring.Component):
    """Joins two packet streams in front of a :class:`~tickwire.hdl.mac.transmit.MacTransmit`.

    Until the MAC has begun a frame, which ``i_start`` says in the cycle after, an order overtakes
    a host frame that waits; from then on the choice stands until the frame's last beat is
    accepted. Other than streams usually promise, the payload on ``o`` is the frame's only from the
    cycle with ``i_start`` on, when its first beat is accepted; before, only ``valid`` and ``first``
    can be relied on. So only the MAC may stand behind ``o``.

    Latency: 0 cycles in both directions.

    Members
    -------
    i_order, i_host : In, packet_stream(8)
        ``i_order`` wins at a frame's boundary.
    o : Out, packet_stream(8)
    i_start : In, 1 bit
        The MAC's ``o_start``.
    o_order_active, o_host_active : Out, 1 bit
        Whose frame is on the wire, or was last: right from the cycle with the MAC's ``o_start`` up
        to the one with its ``o_done``, and on until the next ``o_start``. Never both.
    """

    def __init__(self):
        super().__init__({
            "i_order": In(packet_stream(LANES)),
            "i_host": In(packet_stream(LANES)),
            "o": Out(packet_stream(LANES)),
            "i_start": In(1),
            "o_order_active": Out(1),
            "o_host_active": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        begun = Signal()            # a frame's beats are being accepted
        offered_order = Signal()    # whose frame was offered in the cycle before
        locked = self.i_start | begun
        # Before a frame is begun the MAC looks at `valid` and `first` only, so the rest is chosen
        # by a register, and an order that comes has a short way.
        chosen = Packet(LANES)(Mux(offered_order, self.i_order.payload, self.i_host.payload))
        chosen_valid = Mux(offered_order, self.i_order.valid, self.i_host.valid)
        m.d.comb += [
            self.o.valid.eq(Mux(locked, chosen_valid, self.i_order.valid | self.i_host.valid)),
            self.o.payload.eq(chosen),
            self.o.payload.first.eq(chosen.first | ~locked),
            self.i_order.ready.eq(locked & offered_order & self.o.ready),
            self.i_host.ready.eq(locked & ~offered_order & self.o.ready),
        ]
        ends = chosen_valid & self.o.ready & self.o.payload.last
        m.d.sync += [
            offered_order.eq(Mux(locked, offered_order, self.i_order.valid)),
            begun.eq(locked & ~ends),
        ]

        order_began, host_began = Signal(), Signal()
        with m.If(self.i_start):
            m.d.sync += [order_began.eq(offered_order), host_began.eq(~offered_order)]
        m.d.comb += [
            self.o_order_active.eq(Mux(self.i_start, offered_order, order_began)),
            self.o_host_active.eq(Mux(self.i_start, ~offered_order, host_began)),
        ]
        return m
