"""The order frames' constant bytes, in on-chip memory, read a beat ahead of the wire."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from tickwire.hdl.csr.table import table_write
from tickwire.hdl.entry.intent import Action
from tickwire.hdl.wire.order_template import BEAT_BYTES, ORDER_LAYOUTS, TEMPLATE_BEATS

__all__ = ["OrderTemplates"]


class OrderTemplates(wiring.Component):
    """Holds one template for each action and steps through the rows of one of them.

    What is needed before the memory has answered is kept in registers as the host writes it: the
    first row, and the checksum's constant part (see :mod:`tickwire.hdl.wire.order_template`).
    The host may write only while no order can be sent.

    ``i_select`` puts the first row into ``o_row`` in the next cycle. The row after it must be
    asked for with ``i_start`` once the action is certain: at the earliest in that next cycle. From
    the cycle after ``i_start`` each ``i_advance`` brings the following row into ``o_row`` in the
    next cycle.

    Latency: ``i_select``, ``i_advance`` → ``o_row`` 1 cycle; ``i_write`` → ``o_constant`` 1 cycle.

    Members
    -------
    i_write : table_write of 64-bit rows
        Row ``action`` × 32 + beat; the byte that leaves first is the least significant.
    i_select, i_selected : 1 bit, :class:`Action`
        Load the first row of this action's template.
    i_start, i_action : 1 bit, :class:`Action`
        Begin to read the rows after the first.
    i_advance : 1 bit
        ``o_row`` was taken.
    o_row : 64 bits
    o_constant : 16 bits
        Constant part of the checksum of the action of the last ``i_start``; lane order.
    """

    i_write: In(table_write(64, len(ORDER_LAYOUTS) * TEMPLATE_BEATS))
    i_select: In(1)
    i_selected: In(Action)
    i_start: In(1)
    i_action: In(Action)
    i_advance: In(1)
    o_row: Out(64)
    o_constant: Out(16)

    def elaborate(self, platform):
        m = Module()
        write = self.i_write
        beat_bits = (TEMPLATE_BEATS - 1).bit_length()

        m.submodules.memory = memory = Memory(
            shape=64, depth=len(ORDER_LAYOUTS) * TEMPLATE_BEATS, init=[])
        write_port = memory.write_port()
        read_port = memory.read_port()
        m.d.comb += [
            write_port.addr.eq(write.payload.index),
            write_port.data.eq(write.payload.row),
            write_port.en.eq(write.valid),
        ]

        checksum_beat, checksum_lane = divmod(ORDER_LAYOUTS[0].checksum_offset, BEAT_BYTES)
        checksum_bits = slice(8 * checksum_lane, 8 * checksum_lane + 16)
        heads = Array(Signal(64, name=f"head{at}") for at in range(len(ORDER_LAYOUTS)))
        constants = Array(Signal(16, name=f"constant{at}") for at in range(len(ORDER_LAYOUTS)))
        with m.If(write.valid):
            for at, (head, constant) in enumerate(zip(heads, constants, strict=True)):
                with m.If(write.payload.index == at * TEMPLATE_BEATS):
                    m.d.sync += head.eq(write.payload.row)
                with m.If(write.payload.index == at * TEMPLATE_BEATS + checksum_beat):
                    m.d.sync += constant.eq(write.payload.row[checksum_bits])

        action = Signal(Action)
        ahead = Signal(beat_bits)               # the row after the one that the memory shows
        first_read = Cat(Const(1, beat_bits), self.i_action)
        m.d.comb += [
            read_port.en.eq(self.i_start | self.i_advance),
            read_port.addr.eq(Mux(self.i_start, first_read, Cat(ahead, action))),
        ]
        with m.If(self.i_start):
            m.d.sync += [action.eq(self.i_action), ahead.eq(2)]
        with m.Elif(self.i_advance):
            m.d.sync += ahead.eq(ahead + 1)

        with m.If(self.i_advance):
            m.d.sync += self.o_row.eq(read_port.data)
        with m.Elif(self.i_select):
            m.d.sync += self.o_row.eq(heads[self.i_selected.as_value()])
        m.d.comb += self.o_constant.eq(constants[action.as_value()])
        return m
