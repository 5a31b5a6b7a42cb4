"""Applies level changes to the two sides of the one book that the authority works on."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from tickwire.hdl.book.memory import RowAddress, row_write
from tickwire.hdl.book.record import Entry, LevelRecord, book_side
from tickwire.hdl.book.row_pass import RowPass
from tickwire.hdl.feed.event import Change
from tickwire.hdl.stream.packet import strobe

__all__ = ["SideLevels"]


class SideLevels(wiring.Component):
    """Keeps count and horizon of both sides, and decides what a level needs: nothing, to be
    written at the end, or a pass.

    A full side keeps its best levels. The best key that it lost is its horizon: what is not
    better is ignored from then on. A level created at a price that is there, changed or deleted
    at one that is not, or created or changed to amount zero contradicts the book, and is not
    applied. (Strictly: nothing of the sort occurs in Deribit's sample capture.)

    Latency, for a side of n rows: n + 6 cycles for a change, 2 for a snapshot's level in order or
    one behind the horizon.

    Parameters
    ----------
    levels, row_levels : int
        As in ``PriceLevelBook``.

    Members
    -------
    i : In, stream(LevelRecord)
        Ready means that nothing is under way.
    snapshot : In, 1 bit
        These are levels of a snapshot: they are created, best first in general.
    index : In, 7 bits
    i_sides : In, strobe(2 × book_side)
        Begin with these; only while nothing is under way.
    o_sides : Out, 2 × book_side
    o_read : Out, strobe(RowAddress)
    i_granted, i_arrives, i_rows : In
        Of the memory.
    o_rows : Out, strobe(row_write)
    o_applied, o_beyond, o_wrong : Out, 1 bit
        What became of a level: applied by a pass; ignored or lost behind the horizon (with
        ``o_applied``: another was lost for it); contradicts the book.
    """

    def __init__(self, *, levels, row_levels):
        self._levels, self._row_levels = levels, row_levels
        sides = data.ArrayLayout(book_side(levels), 2)
        super().__init__({
            "i": In(stream.Signature(LevelRecord)),
            "snapshot": In(1),
            "index": In(7),
            "i_sides": In(strobe(sides)),
            "o_sides": Out(sides),
            "o_read": Out(strobe(RowAddress)),
            "i_granted": In(1),
            "i_arrives": In(1),
            "i_rows": In(data.ArrayLayout(data.ArrayLayout(Entry, row_levels), 2)),
            "o_rows": Out(strobe(row_write(row_levels))),
            "o_applied": Out(1),
            "o_beyond": Out(1),
            "o_wrong": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.row_pass = row_pass = RowPass(
            levels=self._levels, row_levels=self._row_levels)
        m.d.comb += [
            row_pass.i_granted.eq(self.i_granted),
            row_pass.i_arrives.eq(self.i_arrives),
            row_pass.i_rows.eq(self.i_rows),
            self.o_rows.valid.eq(row_pass.o_write.valid),
            self.o_rows.payload.eq(row_pass.o_write.payload),
            self.o_read.valid.eq(row_pass.o_read),
            self.o_read.payload.index.eq(self.index),
            self.o_read.payload.row.eq(row_pass.o_row),
        ]

        level = Signal(LevelRecord, reset_less=True)
        side = self.o_sides[level.side.as_value()]
        full = side.count == self._levels
        creates = self.snapshot | (level.change == Change.CREATED)
        deletes = ~self.snapshot & (level.change == Change.DELETED)
        request = row_pass.i.payload
        m.d.comb += [
            request.index.eq(self.index),
            request.side.eq(level.side),
            request.change.eq(Mux(self.snapshot, Change.CREATED, level.change)),
            request.entry.eq(level.entry),
            request.count.eq(side.count),
        ]
        with m.If(self.i_sides.valid):
            m.d.sync += self.o_sides.eq(self.i_sides.payload)

        past_edge, at_edge, no_amount = Signal(), Signal(), Signal()
        with m.FSM():
            with m.State("TAKE"):
                entry = self.i.payload.entry
                edge = self.o_sides[self.i.payload.side.as_value()].edge
                m.d.comb += self.i.ready.eq(1)
                m.d.sync += [
                    level.eq(self.i.payload),
                    past_edge.eq(entry.key > edge),
                    at_edge.eq(entry.key == edge),
                    no_amount.eq(~entry.amount[:63].any()),
                ]
                with m.If(self.i.valid):
                    m.next = "DECIDE"
            with m.State("DECIDE"):
                m.next = "TAKE"
                with m.If(no_amount & ~deletes):
                    m.d.comb += self.o_wrong.eq(1)
                with m.Elif(side.lost & (past_edge | at_edge)):
                    m.d.comb += self.o_beyond.eq(1)
                with m.Elif(self.snapshot & (past_edge | (side.count == 0))):
                    m.d.sync += side.edge.eq(level.entry.key)
                    with m.If(full):
                        m.d.comb += self.o_beyond.eq(1)
                        m.d.sync += side.lost.eq(1)
                    with m.Else():
                        m.d.comb += [row_pass.i.valid.eq(1), request.appends.eq(1)]
                        m.d.sync += side.count.eq(side.count + 1)
                with m.Else():
                    m.d.comb += row_pass.i.valid.eq(1)
                    m.next = "PASS"
            with m.State("PASS"), m.If(row_pass.o_done):
                m.next = "TAKE"
                m.d.comb += [
                    self.o_wrong.eq(~row_pass.o_consistent),
                    self.o_applied.eq(row_pass.o_consistent),
                ]
                with m.If(row_pass.o_consistent & creates & full):
                    m.d.comb += self.o_beyond.eq(1)
                    m.d.sync += [side.lost.eq(1), side.edge.eq(row_pass.o_fell)]
                with m.Elif(row_pass.o_consistent & creates):
                    m.d.sync += side.count.eq(side.count + 1)
                with m.Elif(row_pass.o_consistent & deletes):
                    m.d.sync += side.count.eq(side.count - 1)
        return m
