"""Records wait until their frame's verdict, and then for the authority."""

from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out
from tickwire.hdl.book.record import Record
from tickwire.hdl.stream.packet import strobe

__all__ = ["RecordQueue"]


class RecordQueue(wiring.Component):
    """A first-in first-out queue whose newest part can be taken back.

    What is pushed becomes readable at the next ``commit``; ``rewind`` removes all that was pushed
    since the last one. Neither may come in the same cycle as a push.

    Latency: commit → readable 3 cycles; then a record a cycle.

    Parameters
    ----------
    depth : int
        Records, a power of two of at least 8.

    Members
    -------
    i : In, strobe(Record)
        Must not be valid while ``full``.
    commit, rewind : In, 1 bit
    full : Out, 1 bit
    o : Out, stream(Record)

    Raises
    ------
    ValueError
        If ``depth`` is not supported.
    """

    def __init__(self, depth):
        if depth < 8 or depth & (depth - 1):
            raise ValueError(f"RecordQueue depth must be a power of two of at least 8, "
                             f"not {depth!r}")
        self._depth = depth
        super().__init__({
            "i": In(strobe(Record)),
            "commit": In(1),
            "rewind": In(1),
            "full": Out(1),
            "o": Out(stream.Signature(Record)),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.records = records = memory.Memory(
            shape=unsigned(Record.size), depth=self._depth, init=[], attrs={"no_rw_check": 1})

        # A bit more than an address needs, so that full and empty differ.
        end, committed, begin = (Signal(range(2 * self._depth), name=name)
                                 for name in ("end", "committed", "begin"))
        write = records.write_port()
        m.d.comb += [
            write.addr.eq(end[:-1]),
            write.data.eq(self.i.payload.as_value()),
            write.en.eq(self.i.valid),
        ]
        with m.If(self.i.valid):
            m.d.sync += end.eq(end + 1)
        with m.If(self.commit):
            m.d.sync += committed.eq(end)
        with m.If(self.rewind):
            m.d.sync += end.eq(committed)
        # Registered, so it knows of a push a cycle late: one place is kept free for that.
        m.d.sync += self.full.eq((end - begin)[:len(end)] >= self._depth - 2)

        # The block RAM's register is the first stage of the way out, `o` the second.
        fetched, move, fetch = Signal(), Signal(), Signal()
        m.d.comb += [
            move.eq(fetched & (~self.o.valid | self.o.ready)),
            fetch.eq((begin != committed) & (~fetched | move)),
        ]
        read = records.read_port()
        m.d.comb += [read.addr.eq(begin[:-1]), read.en.eq(fetch)]
        with m.If(fetch):
            m.d.sync += [begin.eq(begin + 1), fetched.eq(1)]
        with m.Elif(move):
            m.d.sync += fetched.eq(0)
        with m.If(move):
            m.d.sync += [self.o.payload.as_value().eq(read.data), self.o.valid.eq(1)]
        with m.Elif(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        return m
