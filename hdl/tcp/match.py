"""Which session a segment belongs to."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from tickwire.hdl.csr.table import table_write
from tickwire.hdl.tcp.segment import SESSION_BITS, Binding

__all__ = ["BindingTable"]


class BindingTable(wiring.Component):
    """Compares a segment's addresses with all rows at once.

    A row of a connection goes before one that listens on the port (RFC 9293, 3.10.7.2); of several,
    the lowest is taken.

    Latency: address and ports → ``o_matched``, ``o_session`` 2 cycles; a row that is written counts
    from the next cycle on.

    Parameters
    ----------
    sessions : int
        Rows, 1 to 64.

    Members
    -------
    i_write : In, table_write(Binding, sessions)
    i_address, i_port, i_local_port : In, 32 bits, 16 bits, 16 bits
        The segment's source, and the port that it is for.
    o_matched, o_session : Out, 1 bit and 6 bits

    Raises
    ------
    ValueError
        If ``sessions`` is not from 1 to 64.
    """

    def __init__(self, sessions):
        if not 1 <= sessions <= 1 << SESSION_BITS:
            raise ValueError(f"BindingTable sessions must be from 1 to {1 << SESSION_BITS}, as a "
                             f"session's index has {SESSION_BITS} bits, not {sessions!r}")
        self._sessions = sessions
        super().__init__({
            "i_write": In(table_write(Binding, sessions)),
            "i_address": In(32),
            "i_port": In(16),
            "i_local_port": In(16),
            "o_matched": Out(1),
            "o_session": Out(SESSION_BITS),
        })

    def elaborate(self, platform):
        m = Module()
        connected, listens = Signal(self._sessions), Signal(self._sessions)
        for index in range(self._sessions):
            row = Signal(Binding, name=f"row_{index}")
            with m.If(self.i_write.valid & (self.i_write.payload.index == index)):
                m.d.sync += row.eq(self.i_write.payload.row)
            here = row.valid & (row.local_port == self.i_local_port)
            m.d.sync += [
                connected[index].eq(here & ~row.listening & (row.address == self.i_address)
                                    & (row.port == self.i_port)),
                listens[index].eq(here & row.listening),
            ]
        candidates = Mux(connected.any(), connected, listens)
        m.d.sync += self.o_matched.eq(Cat(connected, listens).any())
        for index in reversed(range(self._sessions)):
            with m.If(candidates[index]):
                m.d.sync += self.o_session.eq(index)
        return m
