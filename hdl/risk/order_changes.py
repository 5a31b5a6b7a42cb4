"""Executions wait for the table of orders, each of them once."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from tickwire.hdl.entry.execution import Execution, ExecutionKind
from tickwire.hdl.risk.order_state import OrderChange
from tickwire.hdl.stream.packet import strobe

__all__ = ["OrderChanges"]


class OrderChanges(wiring.Component):
    """A queue of what executions change, without those that came before.

    Sequence number and part of an execution, taken as one number, always grow; one that does not
    is a repetition, of a venue that sends again what we asked for, and is left out.

    Executions cannot wait. If one finds the queue full it is lost, and with it the table's truth:
    ``o_lost`` stands until ``i_restart``, and nothing should be sent meanwhile.

    Latency: ``i`` → ``o`` 3 cycles if nothing waits; then one a cycle. ``i`` → ``o_count_repeated``
    and ``o_lost`` 1 cycle.

    Parameters
    ----------
    depth : int
        Executions that wait, a power of two, at least 4.

    Members
    -------
    i : In, strobe(Execution)
    i_restart : In, 1 bit
        The venue counts anew: the next execution is not a repetition.
    o : Out, stream(OrderChange)
    o_lost : Out, 1 bit
    o_count_lost, o_count_repeated : Out, 1 bit

    Raises
    ------
    ValueError
        If ``depth`` is not a power of two of at least 4.
    """

    def __init__(self, depth=32):
        if depth < 4 or depth & (depth - 1):
            raise ValueError("OrderChanges depth must be a power of two of at least 4, "
                             f"not {depth!r}")
        self._depth = depth
        super().__init__({
            "i": In(strobe(Execution)),
            "i_restart": In(1),
            "o": Out(stream.Signature(OrderChange)),
            "o_lost": Out(1), "o_count_lost": Out(1), "o_count_repeated": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = Memory(shape=OrderChange, depth=self._depth, init=[],
                                              attrs={"no_rw_check": 1})
        write, read = memory.write_port(), memory.read_port()
        execution = self.i.payload

        number = Cat(execution.part, execution.sequence)
        newest, any_before = Signal(len(number)), Signal()
        repeated = any_before & (number <= newest)
        # A place more than addresses, so that full and empty differ.
        end, begin = Signal(range(2 * self._depth)), Signal(range(2 * self._depth))
        full = (end - begin)[:len(end)] == self._depth
        takes = self.i.valid & ~repeated & ~full
        m.d.comb += [
            write.en.eq(takes),
            write.addr.eq(end),
            [write.data[name].eq(execution[name]) for name, _ in data.Layout.cast(OrderChange)
             if name != "client_id"],
            write.data.client_id.eq(Mux(execution.kind == ExecutionKind.REPLACED,
                                        execution.previous_id, execution.client_id)),
        ]
        m.d.sync += [
            end.eq(end + takes),
            self.o_count_repeated.eq(self.i.valid & repeated),
            self.o_count_lost.eq(self.i.valid & ~repeated & full),
        ]
        with m.If(self.i.valid & ~repeated):
            m.d.sync += [newest.eq(number), any_before.eq(1), self.o_lost.eq(self.o_lost | full)]
        with m.If(self.i_restart):
            m.d.sync += [any_before.eq(0), self.o_lost.eq(0)]

        # The memory's own register is the first stage of the way out, `o` the second. What is
        # read has been written a cycle before at least.
        fetched, move, fetch = Signal(), Signal(), Signal()
        m.d.comb += [
            move.eq(fetched & (~self.o.valid | self.o.ready)),
            fetch.eq((begin != end) & (~fetched | move)),
            read.addr.eq(begin),
            read.en.eq(fetch),
        ]
        m.d.sync += [begin.eq(begin + fetch), fetched.eq(fetch | fetched & ~move)]
        with m.If(move):
            m.d.sync += [self.o.valid.eq(1), self.o.payload.eq(read.data)]
        with m.Elif(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        return m
