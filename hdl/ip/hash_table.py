"""A table of keys and values in block memory, filled by the host, that answers in two cycles."""

from functools import reduce
from operator import or_, xor

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.data import StructLayout
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from tickwire.hdl.csr.table import table_write
from tickwire.hdl.wire.placement import masks, polynomials

__all__ = ["HashTable", "table_row"]


def table_row(key, value):
    """Layout of a row: ``valid``, the members of ``key``, those of ``value``."""
    return StructLayout({"valid": 1, **key, **value})


class HashTable(wiring.Component):
    """Hash table of two ways (see ``hdl/wire/placement.py``, by which the host fills it).

    Latency: ``i_key`` → ``o_found``, ``o_value`` 2 cycles, one key a cycle. The last step is to
    join comparisons of pairs of bits, which are in registers. A row that is written is seen by
    keys that come in the cycle after it.

    The memory is empty when the device is configured; reset does not clear it.

    Parameters
    ----------
    key : dict
        Names and widths of the row's members that are the key, first one lowest.
    value : dict
        Names and widths of the other members.
    rows : int
        Rows of each way.

    Attributes
    ----------
    depth : int
        Rows that the host can write: twice ``rows``.

    Members
    -------
    write : In, table_write({valid, *key, *value}, depth)
    i_key : In
        Bits of the key.
    o_found : Out, 1 bit
        The key that was on ``i_key`` two cycles ago is in the table.
    o_value : Out, StructLayout(value)
        Its value; undefined unless ``o_found``.

    Raises
    ------
    ValueError
        If ``rows`` is not a size for which placement is defined.
    """

    def __init__(self, *, key, value, rows):
        self._polynomials = polynomials(rows)
        self._rows = rows
        self._key = dict(key)
        self._value = dict(value)
        self._row = table_row(key, value)
        self._key_bits = sum(self._key.values())
        self.depth = 2 * rows
        super().__init__({
            "write": In(table_write(self._row, self.depth)),
            "i_key": In(self._key_bits),
            "o_found": Out(1),
            "o_value": Out(StructLayout(self._value)),
        })

    def elaborate(self, platform):
        m = Module()

        # What comes out of block memory comes late in its cycle: pairs of bits are compared then,
        # a LUT each, and joined in the next.
        key = Signal(self._key_bits, reset_less=True)
        m.d.sync += key.eq(self.i_key)

        write = self.write.payload
        hits, values = [], []
        for way, polynomial in enumerate(self._polynomials):
            memory = Memory(shape=self._row, depth=self._rows, init=[],
                            attrs={"ram_style": "block"})
            m.submodules[f"way_{way}"] = memory
            writer, reader = memory.write_port(), memory.read_port()
            m.d.comb += [
                writer.en.eq(self.write.valid & (write.index[-1] == way)),
                writer.addr.eq(write.index),
                writer.data.eq(write.row),
                reader.addr.eq(Cat(
                    reduce(xor, [self.i_key[bit] for bit in range(self._key_bits)
                                 if mask >> bit & 1])
                    for mask in masks(self._key_bits, polynomial))),
            ]
            differs = Cat(reader.data[name] for name in self._key) ^ key
            pairs = Signal((self._key_bits + 1) // 2, name=f"pairs_{way}", reset_less=True)
            valid = Signal(name=f"valid_{way}", reset_less=True)
            value = Signal(StructLayout(self._value), name=f"value_{way}", reset_less=True)
            m.d.sync += [
                pairs.eq(Cat(~differs[n:n + 2].any() for n in range(0, self._key_bits, 2))),
                valid.eq(reader.data.valid),
                *(value[name].eq(reader.data[name]) for name in self._value),
            ]

            hit = Signal(name=f"hit_{way}")
            m.d.comb += hit.eq(valid & pairs.all())
            hits.append(hit)
            values.append(value.as_value())

        m.d.comb += [
            self.o_found.eq(reduce(or_, hits)),
            self.o_value.eq(Mux(hits[1], values[1], values[0])),
        ]
        return m
