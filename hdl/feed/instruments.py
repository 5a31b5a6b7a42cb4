"""The venue's instrument ids become dense indices."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.data import StructLayout
from amaranth.lib.wiring import In, Out
from tickwire.hdl.csr.table import table_write
from tickwire.hdl.feed.event import FeedEvent, FeedEventKind, is_kind
from tickwire.hdl.ip.hash_table import HashTable, table_row
from tickwire.hdl.stream.packet import strobe
from tickwire.hdl.wire.placement import polynomials

__all__ = ["InstrumentTable"]

_KEY = {"id": 32}
_VALUE = {"index": 7, "channel": 6}


class InstrumentTable(wiring.Component):
    """Looks up the instrument of each message.

    Latency: INSTRUMENT on ``i`` → ``o`` 3 cycles, exactly, from registers; → ``o_early`` 2 cycles.

    Parameters
    ----------
    rows : int
        Rows of each of the two ways.

    Attributes
    ----------
    depth : int
        Rows of ``write``: twice ``rows``. ``hdl/wire/placement.py`` says which row an id goes to.

    Members
    -------
    i : In, strobe(FeedEvent)
        Only INSTRUMENT events are looked at.
    write : In, table_write({valid, id 32, index 7, channel 6}, depth)
    o : Out, strobe({known 1, index 7, channel 6})
        The answer, once for every INSTRUMENT event. Index and channel (on which the instrument's
        books come) are undefined unless ``known``.
    o_early : Out, strobe({index 7, channel 6})
        One cycle before ``o``, its index and channel, for those who fetch something at once.
        Combinational.

    Raises
    ------
    ValueError
        If ``rows`` is not a size for which placement is defined.
    """

    def __init__(self, rows=512):
        polynomials(rows)
        self._rows = rows
        self.depth = 2 * rows
        super().__init__({
            "i": In(strobe(FeedEvent)),
            "write": In(table_write(table_row(_KEY, _VALUE), self.depth)),
            "o": Out(strobe(StructLayout({"known": 1, **_VALUE}))),
            "o_early": Out(strobe(StructLayout(_VALUE))),
        })

    def elaborate(self, platform):
        m = Module()

        m.submodules.table = table = HashTable(key=_KEY, value=_VALUE, rows=self._rows)
        wiring.connect(m, wiring.flipped(self.write), table.write)
        m.d.comb += table.i_key.eq(self.i.payload.instrument_id)

        asked = Signal(2)
        m.d.sync += asked.eq(Cat(
            self.i.valid & is_kind(self.i.payload.kind, FeedEventKind.INSTRUMENT), asked[0]))
        m.d.comb += [
            self.o_early.valid.eq(asked[1]),
            self.o_early.payload.eq(table.o_value),
        ]
        m.d.sync += [
            self.o.valid.eq(asked[1]),
            self.o.payload.known.eq(table.o_found),
            self.o.payload.index.eq(table.o_value.index),
            self.o.payload.channel.eq(table.o_value.channel),
        ]
        return m
