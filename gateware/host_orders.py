"""Orders that the host posts through registers, one at a time, and what became of them."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from tickwire.hdl.entry.intent import Action, OrderIntent, OrderOutcome, Reason, Source
from tickwire.hdl.feed.event import Side
from tickwire.hdl.stream.packet import strobe

__all__ = ["HostOrders"]


class HostOrders(wiring.Component):
    """Hands a posted order to the risk gate and keeps its result for the host.

    A post that comes before the last one has its result is dropped and counted; the number that the
    host gave to its post tells it so, as the result never shows that number.

    A new order is handed over once the state of its instrument's book is known, a cancel at once.

    Latency: ``i_post`` → ``o`` 1 cycle, if ``i_known``; outcome → result 1 cycle.

    Members
    -------
    i_post : In(strobe(32))
        Post the order under this number.
    action, side, instrument, quantity, price, client_id : In
        The order; read with ``i_post``.
    now : In(16)
        Cycle counter; the post's is the order's trigger.
    o : Out(stream.Signature(OrderIntent))
    o_watch : Out(1), i_known : In(1)
        Watch the book of the instrument in ``o``; whether it may be traded on is known.
    i_refused, i_outcome : In(strobe(OrderOutcome))
        From the risk gate and the encoder; those of the strategy's orders are passed over.
    i_venue_sequence : In(64)
        The venue's number of the next message.
    o_done, o_reason : Out
        The result belongs to ``o_number``.
    o_number : Out(32)
    o_client_id, o_venue_sequence : Out(64)
        Of an order that was sent.
    o_count_lost : Out(1)
    """

    def __init__(self):
        super().__init__({
            "i_post": In(strobe(32)),
            "action": In(Action),
            "side": In(Side),
            "instrument": In(7),
            "quantity": In(32),
            "price": In(64),
            "client_id": In(64),
            "now": In(16),
            "o": Out(stream.Signature(OrderIntent)),
            "o_watch": Out(1),
            "i_known": In(1),
            "i_refused": In(strobe(OrderOutcome)),
            "i_outcome": In(strobe(OrderOutcome)),
            "i_venue_sequence": In(64),
            "o_done": Out(1),
            "o_reason": Out(Reason),
            "o_number": Out(32),
            "o_client_id": Out(64),
            "o_venue_sequence": Out(64),
            "o_count_lost": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        intent = self.o.payload
        pending, waiting, offered = Signal(), Signal(), Signal()
        venue_sequence = Signal(64)
        m.d.comb += [
            self.o_watch.eq(waiting & (intent.action == Action.NEW)),
            # Once offered it stays so: the gate has begun to look at it.
            self.o.valid.eq(waiting & (self.i_known | offered | (intent.action == Action.CANCEL))),
        ]
        m.d.sync += offered.eq(self.o.valid & ~self.o.ready)

        with m.If(self.o.valid & self.o.ready):
            # The frame begins in the next cycle, with the session's numbers of that cycle.
            m.d.sync += [waiting.eq(0), venue_sequence.eq(self.i_venue_sequence)]
        with m.If(self.i_post.valid & pending):
            m.d.comb += self.o_count_lost.eq(1)
        with m.Elif(self.i_post.valid):
            m.d.sync += [
                pending.eq(1), waiting.eq(1), self.o_done.eq(0),
                self.o_number.eq(self.i_post.payload),
                intent.action.eq(self.action), intent.source.eq(Source.HOST),
                intent.instrument.eq(self.instrument), intent.side.eq(self.side),
                intent.price.eq(self.price), intent.quantity.eq(self.quantity),
                intent.client_id.eq(self.client_id), intent.trigger.eq(self.now),
                intent.timestamp.eq(0),
            ]
        for source in (self.i_refused, self.i_outcome):
            outcome = source.payload
            with m.If(source.valid & (outcome.intent.source == Source.HOST) & pending):
                m.d.sync += [
                    pending.eq(0), self.o_done.eq(1), self.o_reason.eq(outcome.reason),
                    self.o_client_id.eq(outcome.client_id),
                    self.o_venue_sequence.eq(venue_sequence),
                ]
        return m
