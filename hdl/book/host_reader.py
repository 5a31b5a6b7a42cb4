"""Reads a level for the host, between two messages of the authority."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from tickwire.hdl.book.memory import RowAddress
from tickwire.hdl.book.record import Entry, HostLevel, HostRequest, book_state, side_key
from tickwire.hdl.stream.packet import strobe

__all__ = ["HostReader"]


class HostReader(wiring.Component):
    """Keeps one request until it has the turn, reads the book's state, then the row.

    Two reads, for only the state tells on which channel a gap would concern the book.

    Latency: turn → ``o`` 7 cycles, and a cycle for each read that the preview takes.

    Parameters
    ----------
    levels, row_levels : int
        As in ``PriceLevelBook``.

    Members
    -------
    i : In, strobe(HostRequest)
        Not before the answer to the one before.
    o : Out, strobe(HostLevel)
    o_waits : Out, 1 bit
        There is a request.
    i_turn : In, 1 bit
        Stays until ``o_done``.
    o_done : Out, 1 bit
    o_read : Out, strobe(RowAddress)
    i_granted, i_arrives, i_rows, i_state, i_newer : In
        Of the memory.
    """

    def __init__(self, *, levels, row_levels):
        self._lane_bits = row_levels.bit_length() - 1
        super().__init__({
            "i": In(strobe(HostRequest)),
            "o": Out(strobe(HostLevel)),
            "o_waits": Out(1),
            "i_turn": In(1),
            "o_done": Out(1),
            "o_read": Out(strobe(RowAddress)),
            "i_granted": In(1),
            "i_arrives": In(1),
            "i_rows": In(data.ArrayLayout(data.ArrayLayout(Entry, row_levels), 2)),
            "i_state": In(book_state(levels)),
            "i_newer": In(1),
        })

    def elaborate(self, platform):
        m = Module()
        request, answer = Signal(HostRequest), Signal(HostLevel, reset_less=True)
        channel = Signal(6)
        with m.If(self.i.valid):
            m.d.sync += [request.eq(self.i.payload), self.o_waits.eq(1)]

        state = self.i_state
        side = request.side.as_value()
        entry = self.i_rows[side][request.level[:self._lane_bits]]
        m.d.comb += [
            self.o_read.payload.index.eq(request.index),
            self.o_read.payload.channel.eq(channel),
            self.o_read.payload.row.eq(request.level >> self._lane_bits),
            self.o.payload.eq(answer),
        ]
        with m.FSM():
            with m.State("IDLE"), m.If(self.i_turn & self.o_waits):
                m.next = "READ_STATE"
            with m.State("READ_STATE"):
                m.d.comb += self.o_read.valid.eq(1)
                with m.If(self.i_granted):
                    m.next = "STATE"
            with m.State("STATE"), m.If(self.i_arrives):
                m.d.sync += channel.eq(state.channel)
                m.next = "READ_ROW"
            with m.State("READ_ROW"):
                m.d.comb += self.o_read.valid.eq(1)
                with m.If(self.i_granted):
                    m.next = "ROW"
            with m.State("ROW"), m.If(self.i_arrives):
                bid, ask = state.sides
                m.d.sync += [
                    answer.valid.eq(request.level < state.sides[side].count),
                    answer.price.eq(side_key(request.side, entry.key)),
                    answer.amount.eq(entry.amount),
                    answer.built.eq(state.built),
                    answer.stale.eq(state.stale),
                    answer.building.eq(state.building),
                    answer.change_id.eq(state.change_id),
                    answer.bid_count.eq(bid.count),
                    answer.ask_count.eq(ask.count),
                    answer.bid_lost.eq(bid.lost),
                    answer.ask_lost.eq(ask.lost),
                ]
                m.next = "SAY"
            with m.State("SAY"):
                m.d.comb += [
                    self.o.valid.eq(1),
                    self.o.payload.stale.eq(answer.built & (answer.stale | ~self.i_newer)),
                    self.o_done.eq(1),
                ]
                m.d.sync += self.o_waits.eq(0)
                m.next = "IDLE"
        return m
