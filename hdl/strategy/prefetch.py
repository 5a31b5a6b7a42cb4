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
    becomes known which one will be needed. Rows come from the memory alone, whole: when the row in
    the first register has been written, it is fetched again, and until then the old one stands;
    the second one is no longer ready then, and its owner asks again.

    Latency: ``i_fetch`` → ``o_row`` 2 cycles; ``i_slow`` taken → ``o_slow_row`` 2 cycles;
    ``i_write`` → ``o_written`` 1 cycle, one more for each fetch meanwhile;
    ``o_written`` → ``o_row`` 3 cycles.

    Parameters
    ----------
    row : shape-castable
        One row.
    depth : int
        Rows; a power of two, at least 2.

    Members
    -------
    i_write : In(table_write(row, depth))
        The host writes a row; the next one not before ``o_written``.
    i_fetch : In(strobe(range(depth)))
        Fetch this row now. Cannot be refused.
    i_slow : In(stream.Signature(range(depth)))
        Fetch this row when ``i_fetch`` leaves the memory free.
    o_row, o_index, o_ready : Out(row), Out(range(depth)), Out(1)
        The row last fetched by ``i_fetch``, and which it is; ``o_row`` holds it if ``o_ready``.
        ``o_index`` names it from the cycle after ``i_fetch``.
    o_slow_row, o_slow_index, o_slow_ready
        The same for ``i_slow``.
    o_written : Out(strobe(range(depth)))
        This row is written to the memory.
    o_writing : Out(1)
        A row waits to be written, or is written in this cycle.

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
            "o_written": Out(strobe(index)),
            "o_writing": Out(1),
        })
        self.row = row
        self.depth = depth
        # Nothing is written in the cycle of a read: it waits in a register.
        self.memory = Memory(shape=row, depth=depth, init=[], attrs={"no_rw_check": 1})
        self.pending = Signal(self.i_write.payload.shape(), reset_less=True)
        self.waits = Signal()

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = self.memory
        write = self.memory.write_port()
        read = self.memory.read_port()

        pending, waits = self.pending, self.waits
        again = Signal()        # the row in the first register is an old one
        fast, slow = self.i_fetch.valid, self.i_slow.valid & self.i_slow.ready
        reads = self.i_fetch.valid | self.i_slow.valid | again
        m.d.comb += [
            self.i_slow.ready.eq(~fast & ~again),
            self.o_written.valid.eq(waits & ~reads),
            self.o_written.payload.eq(pending.index),
            self.o_writing.eq(waits),
            write.en.eq(self.o_written.valid),
            write.addr.eq(pending.index),
            write.data.eq(pending.row),
            read.addr.eq(Mux(fast, self.i_fetch.payload,
                             Mux(again, self.o_index, self.i_slow.payload))),
        ]
        with m.If(~waits):
            m.d.sync += pending.eq(self.i_write.payload)
        m.d.sync += waits.eq(Mux(waits, reads, self.i_write.valid))
        written = self.o_written.valid
        m.d.sync += again.eq(written & (self.o_index == pending.index))

        loading, slow_loading = Signal(), Signal()
        m.d.sync += [loading.eq(fast | again), slow_loading.eq(slow)]
        with m.If(loading):
            m.d.sync += [self.o_row.eq(read.data), self.o_ready.eq(1)]
        with m.If(fast):
            m.d.sync += [self.o_index.eq(self.i_fetch.payload), self.o_ready.eq(0)]
        with m.If(slow_loading):
            m.d.sync += [self.o_slow_row.eq(read.data), self.o_slow_ready.eq(1)]
        with m.If(written & (self.o_slow_index == pending.index)):
            m.d.sync += self.o_slow_ready.eq(0)
        with m.If(slow):
            m.d.sync += [self.o_slow_index.eq(self.i_slow.payload), self.o_slow_ready.eq(0)]
        return m
