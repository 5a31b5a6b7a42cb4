"""Who may send the next frame: orders, then answers of the hardware's, then what the host sends."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from tickwire.hdl.phy.xgmii import LANES
from tickwire.hdl.stream.packet import Packet, packet_stream

__all__ = ["TransmitArbiter"]


class TransmitArbiter(wiring.Component):
    """Joins three packet streams in front of a :class:`~tickwire.hdl.mac.transmit.MacTransmit`.

    Until the MAC has begun a frame, which ``i_start`` says in the cycle after, one of a higher
    rank overtakes a frame that waits; from then on the choice stands until the frame's last beat
    is accepted. Other than streams usually promise, the payload on ``o`` is the frame's only from
    the cycle with ``i_start`` on, when its first beat is accepted; before, only ``valid`` and
    ``first`` can be relied on. So only the MAC may stand behind ``o``.

    Latency: 0 cycles in both directions.

    Members
    -------
    i_order, i_reply, i_host : In, packet_stream(8)
        In the order of their ranks at a frame's boundary, the highest first.
    o : Out, packet_stream(8)
    o_goes_on : Out, 1 bit
        ``o.valid``, of a frame that has begun.
    i_order_goes_on : In, 1 bit
        ``i_order.valid``, but it may come a cycle later: all that a frame needs which has begun.
    i_start : In, 1 bit
        The MAC's ``o_start``.
    o_order_active, o_reply_active, o_host_active : Out, 1 bit
        Whose frame is on the wire, or was last: right from the cycle with the MAC's ``o_start`` up
        to the one with its ``o_done``, and on until the next ``o_start``. Never two of them.
    """

    def __init__(self):
        super().__init__({
            "i_order": In(packet_stream(LANES)),
            "i_reply": In(packet_stream(LANES)),
            "i_host": In(packet_stream(LANES)),
            "o": Out(packet_stream(LANES)),
            "o_goes_on": Out(1),
            "i_order_goes_on": In(1),
            "i_start": In(1),
            "o_order_active": Out(1),
            "o_reply_active": Out(1),
            "o_host_active": Out(1),
        })
        # State, here so that the proofs may name it
        self.begun = Signal()       # a frame's beats are being accepted
        # Whose frame was offered in the cycle before: an order; if not, a reply rather than a host
        # frame. Both are found at the same time, so the third input does not make an order's way
        # longer.
        self.offered_order, self.offered_reply = Signal(), Signal()

    def elaborate(self, platform):
        m = Module()
        order, reply, host = self.i_order, self.i_reply, self.i_host
        begun, offered_order, offered_reply = self.begun, self.offered_order, self.offered_reply
        locked = self.i_start | begun
        # Before a frame is begun the MAC looks at `valid` and `first` only, so the rest is chosen
        # by a register, and an order that comes has a short way.
        chosen = Packet(LANES)(Mux(offered_order, order.payload,
                                   Mux(offered_reply, reply.payload, host.payload)))
        chosen_valid = Mux(offered_order, self.i_order_goes_on,
                           Mux(offered_reply, reply.valid, host.valid))
        m.d.comb += [
            self.o.valid.eq(Mux(locked, chosen_valid, order.valid | reply.valid | host.valid)),
            self.o.payload.eq(chosen),
            self.o_goes_on.eq(chosen_valid),
            self.o.payload.first.eq(chosen.first | ~locked),
            order.ready.eq(locked & offered_order & self.o.ready),
            reply.ready.eq(locked & ~offered_order & offered_reply & self.o.ready),
            host.ready.eq(locked & ~offered_order & ~offered_reply & self.o.ready),
        ]
        ends = chosen_valid & self.o.ready & self.o.payload.last
        m.d.sync += [
            offered_order.eq(Mux(locked, offered_order, order.valid)),
            offered_reply.eq(Mux(locked, offered_reply, reply.valid)),
            begun.eq(locked & ~ends),
        ]

        offered = (offered_order, ~offered_order & offered_reply, ~offered_order & ~offered_reply)
        active = (self.o_order_active, self.o_reply_active, self.o_host_active)
        for was_offered, is_active in zip(offered, active, strict=True):
            began = Signal()
            with m.If(self.i_start):
                m.d.sync += began.eq(was_offered)
            m.d.comb += is_active.eq(Mux(self.i_start, was_offered, began))
        return m
