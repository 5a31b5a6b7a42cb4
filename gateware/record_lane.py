"""A queue of one kind of record, which takes a record whole and gives it out word by word."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from tickwire.gateware.records import RECORD_BYTES
from tickwire.hdl.stream.packet import strobe

__all__ = ["RecordLane", "WORDS"]

WORDS = RECORD_BYTES // 8


class RecordLane(wiring.Component):
    """Keeps records in block memory, a 64-bit word a row.

    Writing a record takes 8 cycles. One that comes sooner behind another is lost and counted, as is
    one that finds the memory full.

    Latency: ``i`` → ``o_whole`` 10 cycles; ``i_take`` gives the next word in the next cycle.

    Parameters
    ----------
    depth : int
        Places for records, of which two stay empty; a power of two, at least 4.
    holds : bool
        Records wait for ``i_settle``, which says whether all that came since the last one are good.

    Members
    -------
    i : In(strobe(512))
    o_ready : Out(1)
        A record that comes in this cycle is not lost.
    i_settle : In(strobe(1))
        Only with ``holds``: the records so far are good, or void.
    o_whole : Out(1)
        A whole record can be taken. Not right after one was taken.
    o_word : Out(64)
        Its words, one after the other.
    i_take : In(1)
        Go on to the next word. Once begun, all of them are taken.
    o_nearly_full : Out(1)
        Less than half is free.
    o_count_lost : Out(1)
    """

    def __init__(self, *, depth, holds=False):
        if depth < 4 or depth & (depth - 1):
            raise ValueError(f"RecordLane depth must be a power of two and at least 4, "
                             f"not {depth!r}")
        self.depth = depth
        self.holds = holds
        super().__init__({
            "i": In(strobe(8 * RECORD_BYTES)),
            "o_ready": Out(1),
            "i_settle": In(strobe(1)),
            "o_whole": Out(1),
            "o_word": Out(64),
            "i_take": In(1),
            "o_nearly_full": Out(1),
            "o_count_lost": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = Memory(shape=64, depth=self.depth * WORDS, init=[])
        write, read = memory.write_port(), memory.read_port()

        # Records are numbered with one bit more than the memory has places, to tell full from
        # empty: taken in (`tail`), settled (`good`), given out (`head`).
        number = range(2 * self.depth)
        tail, good, head = Signal(number), Signal(number), Signal(number)
        at = Signal(range(WORDS))

        # In: a register takes whatever stands at the input until a record has come, so that only
        # registers enable it. Then its words go to the memory, through a register of their own.
        record = Signal(data.ArrayLayout(64, WORDS), reset_less=True)
        open_, busy, full = Signal(init=1), Signal(), Signal()
        last, level = at == WORDS - 1, (tail - head)[:len(head)]
        m.d.comb += self.o_ready.eq(open_ & ~full)
        with m.If(open_):
            m.d.sync += record.eq(self.i.payload)
        with m.If(self.i.valid & self.o_ready):
            m.d.sync += [busy.eq(1), open_.eq(0), at.eq(0)]
        with m.Elif(busy):
            m.d.sync += [at.eq(at + 1), open_.eq(at >= WORDS - 2), busy.eq(~last)]
        m.d.sync += [
            write.en.eq(busy),
            write.addr.eq(Cat(at, tail[:-1])),
            write.data.eq(record[at]),
            # A cycle late: of two records that come one behind the other, the second is not seen.
            full.eq(level >= self.depth - 2),
            self.o_count_lost.eq(self.i.valid & ~self.o_ready),
            self.o_nearly_full.eq(level >= self.depth // 2),
        ]
        ends = busy & last

        if self.holds:
            # A verdict concerns the record that is being written, too: it is kept until then.
            settle, verdict = Signal(), Signal()
            with m.If(self.i_settle.valid):
                m.d.sync += [settle.eq(1), verdict.eq(self.i_settle.payload)]
            with m.If(ends):
                m.d.sync += tail.eq(tail + 1)
            with m.If(settle & ~busy):
                with m.If(verdict):
                    m.d.sync += good.eq(tail)
                with m.Else():
                    m.d.sync += tail.eq(good)
                m.d.sync += settle.eq(self.i_settle.valid)
        else:
            with m.If(ends):
                m.d.sync += [tail.eq(tail + 1), good.eq(tail + 1)]

        # Out: the memory shows the word after the one that is taken.
        word = Signal(range(WORDS))
        shown = Signal()
        m.d.comb += [
            read.en.eq(1),
            read.addr.eq(Cat((word + self.i_take)[:len(word)], head[:-1])),
            self.o_word.eq(read.data),
            self.o_whole.eq(shown & (head != good)),
        ]
        m.d.sync += shown.eq(head != good)
        with m.If(self.i_take):
            m.d.sync += word.eq(word + 1)
            with m.If(word == WORDS - 1):
                m.d.sync += [head.eq(head + 1), shown.eq(0)]
        return m
