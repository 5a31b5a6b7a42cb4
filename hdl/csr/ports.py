"""The ports of a register bank, named after the entries of its register table."""

from amaranth.lib import stream, wiring
from amaranth.lib.data import StructLayout
from amaranth.lib.wiring import In, Out
from tickwire.hdl.csr.register_table import (
    Access,
    Command,
    Counter,
    Register,
    Table,
    Window,
)
from tickwire.hdl.csr.table import table_write

__all__ = ["WindowWrite", "shape_of", "depth_of", "members", "INTERNAL"]

#: What the bank itself counts: this entry has no port.
INTERNAL = "BUS_UNMAPPED"


class WindowWrite(wiring.Signature):
    """Writes into a memory of 32-bit words: for a memory's write port, seen from the writer."""

    def __init__(self, words):
        self.words = words
        super().__init__({"write": Out(1), "address": Out(range(words)), "data": Out(32)})


def shape_of(entry):
    """Shape of a register's, a command's or a row's value: a struct if it has fields."""
    if entry.fields:
        return StructLayout({part.name.lower(): part.width for part in entry.fields})
    return entry.width


def depth_of(table, config):
    """Rows of a table in a gateway of this :class:`GatewayConfig`."""
    return getattr(config, table.depth) if isinstance(table.depth, str) else table.depth


def members(registers, config):
    """The members of the bank's signature, the bus left out."""
    result = {}
    for entry in registers.entries():
        name = entry.name.lower()
        match entry:
            case Register(access=Access.READ_WRITE):
                shape = shape_of(entry)
                reset = entry.reset
                if entry.fields:
                    reset, low = {}, 0
                    for part in entry.fields:
                        reset[part.name.lower()] = entry.reset >> low & (1 << part.width) - 1
                        low += part.width
                result[f"o_{name}"] = Out(shape, init=reset)
                if entry.written:
                    result[f"o_{name}_written"] = Out(1)
            case Register(access=Access.READ_ONLY):
                result[f"i_{name}"] = In(shape_of(entry))
            case Counter() if entry.name != INTERNAL:
                result[f"i_count_{name}"] = In(entry.step)
            case Command(width=1, fields=()):
                result[f"o_{name}"] = Out(1)
            case Command():
                result[f"o_{name}"] = Out(stream.Signature(shape_of(entry), always_ready=True))
            case Table():
                result[f"o_{name}"] = Out(table_write(shape_of(entry), depth_of(entry, config)))
            case Window():
                result[f"o_{name}"] = Out(WindowWrite(entry.words))
    return result
