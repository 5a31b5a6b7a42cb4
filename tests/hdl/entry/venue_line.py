"""From a session's bytes to the table of open orders: the rooms behind one another."""

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In
from tickwire.hdl.entry.execution_decoder import ExecutionDecoder
from tickwire.hdl.entry.execution_plan import OUCH_PLAN, STARBASE_PLAN
from tickwire.hdl.entry.framer import MessageFramer
from tickwire.hdl.entry.soup_session import SoupSession, SoupState
from tickwire.hdl.entry.starbase_session import StarbaseSession
from tickwire.hdl.risk.open_orders import OpenOrders
from tickwire.hdl.risk.order_changes import OrderChanges
from tickwire.hdl.risk.order_state import OrderSent
from tickwire.hdl.stream.packet import packet_stream
from tickwire.hdl.wire.framing import SOUPBINTCP_FRAMING, STARBASE_FRAMING


class VenueLine(wiring.Component):
    """One venue's rooms.

    Parameters
    ----------
    venue : "ouch" or "starbase"
    """

    def __init__(self, venue):
        self.soup = venue == "ouch"
        self.framer = MessageFramer(SOUPBINTCP_FRAMING if self.soup else STARBASE_FRAMING)
        self.session = SoupSession() if self.soup else StarbaseSession()
        self.decoder = ExecutionDecoder(OUCH_PLAN if self.soup else STARBASE_PLAN)
        self.changes = OrderChanges()
        self.orders = OpenOrders(rows=16, instruments=2)
        super().__init__({"i": In(packet_stream(8)), "i_sent": In(stream.Signature(OrderSent)),
                          "i_query": In(7), "i_version": In(16)})

    def elaborate(self, platform):
        m = Module()
        rooms = {name: getattr(self, name) for name in (
            "framer", "session", "decoder", "changes", "orders")}
        for name, room in rooms.items():
            m.submodules[name] = room
        framer, session, decoder, changes, orders = rooms.values()
        wiring.connect(m, wiring.flipped(self.i), framer.i)
        wiring.connect(m, wiring.flipped(self.i_sent), orders.i_sent)
        wiring.connect(m, changes.o, orders.i_change)
        for room in (session, decoder):
            m.d.comb += [room.i.valid.eq(framer.o.valid), room.i.payload.eq(framer.o.payload)]
        m.d.comb += [
            session.i_lost.eq(framer.o_lost), orders.i_query.eq(self.i_query),
            changes.i.valid.eq(decoder.o.valid), changes.i.payload.eq(decoder.o.payload),
        ]
        if self.soup:
            m.d.comb += [framer.i_hold.eq(session.o_hold), decoder.i_sequence.eq(session.o_next),
                         decoder.i_apply.eq(session.o_state == SoupState.IN)]
        else:
            m.d.comb += [session.i_version.eq(self.i_version),
                         decoder.i_apply.eq(session.o_apply)]
        return m
