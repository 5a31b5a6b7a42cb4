"""The host's way to the table of orders: a row, or all orders that are open."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from tickwire.hdl.risk.order_state import OpenOrder, is_open
from tickwire.hdl.stream.packet import strobe

__all__ = ["OrderReader"]


class OrderReader(wiring.Component):
    """Reads the table beside those who write it, and never in the cycle of a write.

    A list has every order that was open when its row was read: one that was open all the while is
    in it, one that was sent or done meanwhile may be.

    Latency: ``i_read`` taken → ``o_read`` 2 cycles. ``i_list`` → ``o_listed`` of row 0 3 cycles,
    then 2 cycles a row and one more for each that is listed; one more for every write.

    Parameters
    ----------
    memory : Memory of OpenOrder
        Belongs to whoever writes it.
    rows : int

    Members
    -------
    i_writing : In, 1 bit
        A row is written in this cycle.
    i_read : In, stream(range(rows))
        Taken when no row is written and no list is being made.
    o_read : Out, strobe(OpenOrder)
    i_list : In, 1 bit
        Strobe: list the open orders from row 0 on, also if a list is being made already.
    o_listed : Out, stream(OpenOrder)
    o_listing : Out, 1 bit
        Rows are left to be looked at.
    """

    def __init__(self, memory, rows):
        self._read = memory.read_port()
        self._rows = rows
        super().__init__({
            "i_writing": In(1),
            "i_read": In(stream.Signature(range(rows))),
            "o_read": Out(strobe(OpenOrder)),
            "i_list": In(1),
            "o_listed": Out(stream.Signature(OpenOrder)),
            "o_listing": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        read, at, again = self._read, Signal(range(self._rows)), Signal()
        reading, looks = Signal(), Signal()
        idle = ~self.o_listing
        m.d.comb += [
            read.addr.eq(Mux(idle, self.i_read.payload, at)),
            self.i_read.ready.eq(idle & ~self.i_writing),
        ]
        m.d.sync += [
            reading.eq(self.i_read.valid & self.i_read.ready),
            self.o_read.valid.eq(reading),
            self.o_read.payload.eq(read.data),
            looks.eq(0),
        ]
        with m.If(self.o_listed.valid):
            m.d.sync += self.o_listed.valid.eq(~self.o_listed.ready)
        with m.Elif(looks):
            m.d.sync += [
                self.o_listed.valid.eq(is_open(read.data.state)),
                self.o_listed.payload.eq(read.data),
                at.eq(at + 1),
                self.o_listing.eq(again | (at != self._rows - 1)),
            ]
            with m.If(again):
                m.d.sync += [at.eq(0), again.eq(0)]
        with m.Elif(self.o_listing):
            m.d.sync += looks.eq(~self.i_writing)
        with m.If(self.i_list):
            with m.If(idle):
                m.d.sync += [self.o_listing.eq(1), at.eq(0), again.eq(0)]
            with m.Else():
                m.d.sync += again.eq(1)
        return m
