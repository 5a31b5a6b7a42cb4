"""Rows of a table in block memory, fetched before they are needed."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from tickwire.hdl.csr.table import table_write
from tickwire.hdl.stream.packet import strobe

__all__ = ["RowPrefetch"]


class RowPrefetch(wiring.Component):
    """A table with one block memory and two row registers: one ahead of time, one on demand.

    Block memory is too slow to be read in the cycle of a decision, so the row is fetched when it
    becomes known which one will be needed. A row that is written while it stands in a row register
    is replaced there as a whole: no reader sees half a row, and none keeps an old one.

    Latency: ``i_fetch`` → ``o_row`` 2 cycles; ``i_slow`` taken → ``o_slow_row`` 2 cycles;
    ``i_write`` → either row register 2 cycles.

    Parameters
    ----------
    row : shape-castable
        One row.
    depth : int
        Rows; a power of two, at least 2.

    Members
    -------
    i_write : In(table_write(row, depth))
        The host writes a row.
    i_fetch : In(strobe(range(depth)))
        Fetch this row now. Cannot be refused.
    i_slow : In(stream.Signature(range(depth)))
        Fetch this row when ``i_fetch`` leaves the memory free.
    o_row, o_index, o_ready : Out(row), Out(range(depth)), Out(1)
        The row last fetched by ``i_fetch``, and which it is; ``o_row`` holds it if ``o_ready``.
        ``o_index`` names it from the cycle after ``i_fetch``.
    o_slow_row, o_slow_index, o_slow_ready
        The same for ``i_slow``.

    Raises
    ------
    ValueError
        If ``depth`` is not a power of two or less than 2.
    """

    def __init__(self, row, depth):
        if depth < 2 or depth & (depth - 1):
            raise ValueError(f"RowPrefetch depth must be a power of two and at least 2, "
                             f"not {depth!r}")
        index = range(depth)
        super().__init__({
            "i_write": In(table_write(row, depth)),
            "i_fetch": In(strobe(index)),
            "i_slow": In(stream.Signature(index)),
            "o_row": Out(row), "o_index": Out(index), "o_ready": Out(1),
            "o_slow_row": Out(row), "o_slow_index": Out(index), "o_slow_ready": Out(1),
        })
        self.row = row
        self.depth = depth
        # A row that is written while it is read is taken from the write instead.
        self.memory = Memory(shape=row, depth=depth, init=[], attrs={"no_rw_check": 1})

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = self.memory
        write = self.memory.write_port()
        read = self.memory.read_port()

        written = Signal()
        written_index = Signal(range(self.depth), reset_less=True)
        written_row = Signal(self.row, reset_less=True)
        m.d.comb += [
            write.en.eq(self.i_write.valid),
            write.addr.eq(self.i_write.payload.index),
            write.data.eq(self.i_write.payload.row),
            self.i_slow.ready.eq(~self.i_fetch.valid),
            read.addr.eq(Mux(self.i_fetch.valid, self.i_fetch.payload, self.i_slow.payload)),
        ]
        m.d.sync += [
            written.eq(self.i_write.valid),
            written_index.eq(self.i_write.payload.index),
            written_row.eq(self.i_write.payload.row),
        ]

        def lane(start, wanted, index, row, ready):
            loading = Signal()
            m.d.sync += loading.eq(start)
            with m.If(loading):
                m.d.sync += [row.eq(read.data), ready.eq(1)]
            # Covers the write in the cycle of the read, too: what the memory gave then is nothing.
            with m.If(written & (written_index == index)):
                m.d.sync += row.eq(written_row)
            with m.If(start):
                m.d.sync += [index.eq(wanted), ready.eq(0)]

        lane(self.i_fetch.valid, self.i_fetch.payload, self.o_index, self.o_row, self.o_ready)
        lane(self.i_slow.valid & self.i_slow.ready, self.i_slow.payload,
             self.o_slow_index, self.o_slow_row, self.o_slow_ready)
        return m
