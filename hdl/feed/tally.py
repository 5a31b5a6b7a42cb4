"""Counts messages by name, but only those of good datagrams."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

__all__ = ["MessageTally"]


class MessageTally(wiring.Component):
    """Keeps the kinds of a datagram's messages until its verdict, then says them one a cycle.

    Twice as many as a datagram can hold have room: those of the datagram that is arriving, and
    those of the one before it, which are gone before the next verdict.

    Latency: ``keep`` → first ``o`` 2 cycles.

    Parameters
    ----------
    kinds : int
        Different messages.
    depth : int
        Messages that have room.

    Members
    -------
    i_valid : In, 1 bit
        There is a message ...
    i_kind : In
        ... of this kind.
    keep, drop : In, 1 bit
        The messages since the last verdict count, or do not. Never with ``i_valid``.
    o : Out, kinds bits
        A strobe for each kind.
    """

    def __init__(self, kinds, depth=256):
        if depth < 2 or depth & (depth - 1):
            raise ValueError(f"MessageTally depth must be a power of two, not {depth!r}")
        self._depth = depth
        super().__init__({
            "i_valid": In(1),
            "i_kind": In(range(kinds)),
            "keep": In(1),
            "drop": In(1),
            "o": Out(kinds),
        })

    def elaborate(self, platform):
        m = Module()

        m.submodules.memory = memory = Memory(shape=self.i_kind.shape(), depth=self._depth,
                                              init=[], attrs={"ram_style": "block"})
        writer, reader = memory.write_port(), memory.read_port()
        arrived = Signal(range(self._depth))        # messages so far, modulo the depth
        kept = Signal(range(self._depth))           # of these, whose datagram was good
        said = Signal(range(self._depth))

        present = Signal()
        m.d.comb += [
            writer.addr.eq(arrived),
            writer.data.eq(self.i_kind),
            writer.en.eq(self.i_valid),
            reader.addr.eq(said),
            self.o.eq(Mux(present, 1 << reader.data, 0)),
        ]
        m.d.sync += present.eq(said != kept)
        with m.If(said != kept):
            m.d.sync += said.eq(said + 1)
        with m.If(self.i_valid):
            m.d.sync += arrived.eq(arrived + 1)
        with m.If(self.keep):
            m.d.sync += kept.eq(arrived)
        with m.Elif(self.drop):
            m.d.sync += arrived.eq(kept)
        return m
