"""One level change goes through the rows of one side, a row a cycle."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from tickwire.hdl.book.memory import row_write
from tickwire.hdl.book.record import Entry
from tickwire.hdl.feed.event import Change, Side
from tickwire.hdl.stream.packet import strobe

__all__ = ["RowPass", "row_change"]


def row_change(levels):
    """A change of one side that has ``count`` levels; ``appends``: the new level is the worst."""
    return data.StructLayout({
        "index": 7, "side": Side, "change": Change, "appends": 1, "entry": Entry,
        "count": range(levels + 1)})


class RowPass(wiring.Component):
    """Inserts, replaces or deletes one level in rows that are dense and sorted.

    Rows are read one after the other. Each is compared when it comes from the memory, and moved
    in the next cycle, when the row behind it is there: an insertion pushes the last entry of each
    row into the next one, a deletion pulls the first entry of the next one. Only rows in use are
    visited. An append is written without reading.

    Latency: ``i`` → ``o_done`` rows + 4 cycles if the memory grants every read; the pass ends
    early where a level has been replaced, or turned out not to fit. An append is
    written in the next cycle, without ``o_done``.

    Parameters
    ----------
    levels, row_levels : int
        As in ``PriceLevelBook``.

    Members
    -------
    i : In, strobe(row_change)
        Not before ``o_done`` of the one before.
    o_read : Out, 1 bit
        Row ``o_row``, please.
    o_row : Out, 8 bits
    i_granted, i_arrives : In, 1 bit
        Of the memory.
    i_rows : In, 2 × row_levels × Entry
    o_write : Out, strobe(row_write)
    o_done : Out, 1 bit
    o_consistent : Out, 1 bit
        With ``o_done``: the level was there (CHANGED, DELETED), or was not (CREATED). Otherwise
        nothing has been written.
    o_fell : Out, 64 bits
        With ``o_done``: key that a CREATED pushed off a full side.
    """

    def __init__(self, *, levels, row_levels):
        self._levels, self._row_levels = levels, row_levels
        super().__init__({
            "i": In(strobe(row_change(levels))),
            "o_read": Out(1),
            "o_row": Out(8),
            "i_granted": In(1),
            "i_arrives": In(1),
            "i_rows": In(data.ArrayLayout(data.ArrayLayout(Entry, row_levels), 2)),
            "o_write": Out(strobe(row_write(row_levels))),
            "o_done": Out(1),
            "o_consistent": Out(1),
            "o_fell": Out(64),
        })

    def elaborate(self, platform):
        m = Module()
        size, lane_bits = self._row_levels, self._row_levels.bit_length() - 1
        last_of_all = self._levels // size - 1

        change = Signal(row_change(self._levels), reset_less=True)
        last = Signal(range(last_of_all + 1))
        running, issuing = Signal(), Signal()
        row, arrival = Signal(8), Signal(8)
        held, moving, consistent = Signal(), Signal(), Signal()

        new = self.i.payload
        creates = change.change == Change.CREATED
        deletes = change.change == Change.DELETED
        appending = Signal()
        m.d.sync += appending.eq(self.i.valid & new.appends)
        with m.If(~running):
            m.d.sync += change.eq(new)
        # A created level may need a row that is not in use yet.
        last_used = Signal.like(last)
        with m.If(new.count == self._levels):
            m.d.comb += last_used.eq(last_of_all)
        with m.Elif((new.change == Change.CREATED) | (new.count == 0)):
            m.d.comb += last_used.eq(new.count >> lane_bits)
        with m.Else():
            m.d.comb += last_used.eq((new.count - 1)[:len(new.count)] >> lane_bits)

        # Row 0 is asked for at once: `row` is 0 while nothing goes on.
        starts_pass = self.i.valid & ~new.appends
        m.d.comb += [
            self.o_read.eq(issuing | starts_pass),
            self.o_row.eq(row),
        ]
        with m.If(starts_pass):
            m.d.sync += [
                running.eq(1),
                issuing.eq(~self.i_granted | (last_used != 0)),
                row.eq(self.i_granted),
                last.eq(last_used),
                arrival.eq(0),
                moving.eq(0),
                consistent.eq(1),
            ]
        with m.Elif(issuing & self.i_granted):
            m.d.sync += [row.eq(row + 1), issuing.eq(row != last)]

        # A row has come, of both sides. Then it is compared, and waits for the next one, if there
        # is one.
        arrived = Signal()
        came = Signal(data.ArrayLayout(Entry, size), reset_less=True)
        m.d.sync += [arrived.eq(self.i_arrives), came.eq(self.i_rows[change.side.as_value()])]
        entries = Signal.like(came, reset_less=True)
        used, smaller, equal = (Signal(size, name=name) for name in ("used", "smaller", "equal"))
        at, is_last, fires = Signal(8), Signal(), Signal()
        full_rows, rest = change.count >> lane_bits, change.count[:lane_bits]
        arrives = arrived & running
        m.d.comb += [
            is_last.eq(at == last),
            fires.eq(held & (arrives | is_last)),
        ]
        with m.If(arrives):
            m.d.sync += [
                entries.eq(came),
                smaller.eq(Cat(one.key < change.entry.key for one in came)),
                equal.eq(Cat(one.key == change.entry.key for one in came)),
                used.eq(Cat((arrival < full_rows) | (arrival == full_rows) & (n < rest)
                            for n in range(size))),
                at.eq(arrival),
                arrival.eq(arrival + 1),
                held.eq(1),
            ]
        with m.Elif(fires):
            m.d.sync += held.eq(0)

        # Then move it.
        before, found_at = used & smaller, used & equal
        found, behind_all = Signal(), Signal()
        starts, wrong, stops = Signal(), Signal(), Signal()
        m.d.comb += [
            found.eq(found_at.any()),
            behind_all.eq(before.all()),
            starts.eq(Mux(creates, ~behind_all & ~found, found)),
            wrong.eq(~moving & Mux(creates, found, ~found & (~behind_all | is_last))),
            stops.eq(wrong | ~creates & ~deletes & found),
        ]
        carry = Signal(Entry, reset_less=True)
        moved = self.o_write.payload.entries
        lanes = Signal(size)
        from_found = Cat(found_at[:n + 1].any() for n in range(size))
        m.d.comb += lanes.eq(Mux(creates, ~before | moving.replicate(size),
                                 Mux(deletes, from_found | moving.replicate(size), found_at)))
        for n in range(size):
            follower = entries[n + 1] if n + 1 < size else came[0]
            leader = entries[n - 1] if n else carry
            takes_new = appending | ~moving & (before[n - 1] if n else 1)
            m.d.comb += moved[n].eq(Mux(deletes, follower, Mux(
                ~creates | takes_new, change.entry, leader)))
        with m.If(fires):
            m.d.sync += [carry.eq(entries[size - 1]), moving.eq(moving | starts)]
        # A full side whose levels are all better loses the new one.
        m.d.comb += self.o_fell.eq(Mux(moving, carry.key, change.entry.key))

        write = self.o_write.payload
        m.d.comb += [
            self.o_write.valid.eq(fires & (moving | starts) & ~wrong),
            write.side.eq(change.side),
            write.index.eq(change.index),
            write.row.eq(at),
            write.lanes.eq(lanes),
        ]
        with m.If(appending):
            m.d.comb += [
                self.o_write.valid.eq(1),
                write.row.eq(full_rows),
                write.lanes.eq(1 << rest),
            ]

        # Reads that are still on their way come before the next pass can run: they are let go by.
        done = Signal()
        m.d.sync += done.eq(fires & (is_last | stops))
        with m.If(fires & (is_last | stops)):
            m.d.sync += [issuing.eq(0), held.eq(0), running.eq(0), row.eq(0), consistent.eq(~wrong)]
        m.d.comb += [
            self.o_done.eq(done),
            self.o_consistent.eq(consistent),
        ]
        return m
