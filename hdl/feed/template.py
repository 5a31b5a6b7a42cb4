"""Recognises a message by its template id, before it is known where its header stands."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from tickwire.hdl.feed.plan import LANES
from tickwire.hdl.feed.window import pick

__all__ = ["TemplateMatch"]


class TemplateMatch(wiring.Component):
    """Compares every pair of neighbouring bytes with all template ids, and then picks a pair.

    The id stands before the end of its header, in a beat that came earlier. So the comparison
    runs ahead, and in the cycle of the header's last byte only one multiplexer is left.

    Latency: 0 cycles from ``lane``.

    Parameters
    ----------
    plan : FeedPlan
        Its template ids have one or two bytes.

    Members
    -------
    i_valid : In, 1 bit
        There is a beat.
    i_data : In, 64 bits
    lane : In, 3 bits
        Of the message header's last byte, in the present beat.
    o_message : Out
        Index of the message in the schema; one more than the last if the id is unknown.
    o_planned : Out
        One-hot: index in the plan's messages; the bit behind them if the message is not planned.
    """

    def __init__(self, plan):
        self._plan = plan
        self._layout = plan.schema.message_header
        super().__init__({
            "i_valid": In(1),
            "i_data": In(8 * LANES),
            "lane": In(range(LANES)),
            "o_message": Out(range(len(plan.schema.messages) + 1)),
            "o_planned": Out(len(plan.messages) + 1),
        })

    def elaborate(self, platform):
        m = Module()

        schema = self._plan.schema
        field = self._layout["templateId"]
        index_bits, planned_bits = len(self.o_message), len(self.o_planned)
        code_bits = index_bits + planned_bits

        before = Signal(8, reset_less=True)     # last byte of the beat before
        octets = Cat(before, self.i_data)
        codes = []
        for lane in range(LANES):
            template_id = octets[8 * lane + 8 * (2 - field.size):8 * lane + 16]
            index = Signal(index_bits, name=f"index_{lane}")
            m.d.comb += index.eq(len(schema.messages))
            for number, message in enumerate(schema.messages):
                with m.If(template_id == message.template_id):
                    m.d.comb += index.eq(number)
            planned = Cat(template_id == schema[plan.name].template_id
                          for plan in self._plan.messages)
            codes += [index, planned, ~planned.any()]
        now = Cat(codes)
        past = Signal(2 * len(now), reset_less=True)
        with m.If(self.i_valid):
            m.d.sync += [past.eq(Cat(past[len(now):], now)), before.eq(self.i_data[-8:])]

        distance = self._layout.size - field.offset - field.size
        m.d.comb += Cat(self.o_message, self.o_planned).eq(pick(
            [Cat(past, now).word_select(2 * LANES + lane - distance, code_bits)
             for lane in range(LANES)], self.lane))
        return m
