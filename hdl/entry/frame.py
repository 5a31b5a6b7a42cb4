"""The beats of an order frame: rows of its template with the holes filled."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from tickwire.hdl.csr.table import table_write
from tickwire.hdl.entry.checksum import OrderHoles
from tickwire.hdl.entry.intent import Action
from tickwire.hdl.entry.template import OrderTemplates
from tickwire.hdl.feed.event import Side
from tickwire.hdl.stream.packet import Packet
from tickwire.hdl.wire.order_template import BEAT_BYTES, ORDER_LAYOUTS, TEMPLATE_BEATS
from tickwire.hdl.wire.starbase import BUY, SELL

__all__ = ["OrderFrame"]


def _hole_bytes():
    """Byte of the frame to (value, index of the value's byte), the same for every action."""
    sources = {}
    for layout in ORDER_LAYOUTS:
        for hole in layout.holes:
            for index in range(hole.size):
                part = hole.size - 1 - index if hole.byteorder == "big" else index
                source = sources.setdefault(hole.offset + index, (hole.value, part))
                if source != (hole.value, part):
                    raise ValueError(f"Byte {hole.offset + index} of an order frame cannot be "
                                     f"filled with {hole.value} and with {source[0]}")
    return sources


class OrderFrame(wiring.Component):
    """Shows one beat at a time. The beat's bytes are chosen while the beat before it stands.

    The action's first beat stands from the cycle after ``i_select``, ``i_start`` says that it is
    in use. From the next cycle on ``i_taken`` brings the following beat in the cycle after it, and
    ``i_finished`` goes back to a first beat.

    Latency: ``i_select``, ``i_taken`` → ``o`` 1 cycle; ``i_checksum`` → ``o`` 0 cycles.

    Only the checksum has no register of its own here: it may come in the very cycle in which
    its beat stands.

    Members
    -------
    i_write : table_write of 64-bit rows
        See :class:`~tickwire.hdl.entry.template.OrderTemplates`.
    i_select, i_selected : 1 bit, :class:`~tickwire.hdl.entry.intent.Action`
    i_start, i_action : 1 bit, :class:`~tickwire.hdl.entry.intent.Action`
    i_taken, i_finished : 1 bit
    i_holes : :class:`~tickwire.hdl.entry.checksum.OrderHoles`
    i_instrument, i_price : 64 bits
    i_checksum : 16 bits
        In lane order.
    o : Packet(8)
    o_constant : 16 bits
        Constant part of the checksum, from the cycle after ``i_start``; lane order.
    """

    i_write: In(table_write(64, len(ORDER_LAYOUTS) * TEMPLATE_BEATS))
    i_select: In(1)
    i_selected: In(Action)
    i_start: In(1)
    i_action: In(Action)
    i_taken: In(1)
    i_finished: In(1)
    i_holes: In(OrderHoles)
    i_instrument: In(64)
    i_price: In(64)
    i_checksum: In(16)
    o: Out(Packet(BEAT_BYTES))
    o_constant: Out(16)

    def elaborate(self, platform):
        m = Module()
        m.submodules.templates = templates = OrderTemplates()
        wiring.connect(m, wiring.flipped(self.i_write), templates.i_write)
        m.d.comb += [
            templates.i_select.eq(self.i_select),
            templates.i_selected.eq(self.i_selected),
            templates.i_start.eq(self.i_start),
            templates.i_action.eq(self.i_action),
            templates.i_advance.eq(self.i_taken),
            self.o_constant.eq(templates.o_constant),
        ]

        holes = self.i_holes
        values = {
            "sequence": holes.sequence,
            "acknowledgement": holes.acknowledgement,
            "window": holes.window,
            "venue_sequence": holes.venue_sequence,
            "last_processed": holes.last_processed,
            "send_time": holes.send_time,
            "client_id": holes.client_id,
            "instrument": self.i_instrument,
            "price": self.i_price,
            "quantity": Cat(holes.quantity, Const(0, 32)),
            "side": Mux(holes.side == Side.BID, Const(BUY & 0xFF, 8), Const(SELL & 0xFF, 8)),
        }

        following = Signal(range(TEMPLATE_BEATS + 1), init=1)   # the beat after the one in `o`
        filled = Signal(BEAT_BYTES)                             # lanes that are holes
        filling = Signal(8 * BEAT_BYTES, reset_less=True)
        checksum_here = Signal()
        first = Signal(init=1)
        last = Signal()
        sources = _hole_bytes()
        checksum_beat, checksum_lane = divmod(ORDER_LAYOUTS[0].checksum_offset, BEAT_BYTES)
        is_last = [following == layout.beats - 1 for layout in ORDER_LAYOUTS]
        with m.If(self.i_taken):
            m.d.sync += [
                following.eq(following + 1),
                first.eq(0),
                last.eq(Mux(holes.new, *is_last)),
                checksum_here.eq(following == checksum_beat),
                filled.eq(0),
            ]
            with m.Switch(following):
                for beat in range(1, max(layout.beats for layout in ORDER_LAYOUTS)):
                    with m.Case(beat):
                        for lane in range(BEAT_BYTES):
                            if source := sources.get(beat * BEAT_BYTES + lane):
                                value, part = source
                                m.d.sync += [
                                    filled[lane].eq(1),
                                    filling.word_select(lane, 8).eq(
                                        values[value].word_select(part, 8)),
                                ]
        with m.If(self.i_finished):
            m.d.sync += [following.eq(1), first.eq(1), last.eq(0), checksum_here.eq(0),
                         filled.eq(0)]

        lengths = [layout.last_lanes for layout in ORDER_LAYOUTS]
        m.d.comb += [
            self.o.first.eq(first),
            self.o.last.eq(last),
            self.o.end.eq(Mux(last, Mux(holes.new, *lengths), BEAT_BYTES)),
        ]
        for lane in range(BEAT_BYTES):
            octet = Mux(filled[lane], filling.word_select(lane, 8),
                        templates.o_row.word_select(lane, 8))
            part = lane - checksum_lane
            if 0 <= part < 2:
                octet = Mux(checksum_here, self.i_checksum.word_select(part, 8), octet)
            m.d.comb += self.o.data.word_select(lane, 8).eq(octet)
        return m
