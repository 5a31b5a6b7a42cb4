"""All memories of the book that are read by instrument, behind one read port."""

from amaranth.hdl import Cat, Module, Mux, Shape, Signal, unsigned
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out
from tickwire.hdl.book.record import NUMBER, EarlyLookup, Entry, book_state
from tickwire.hdl.feed.event import Side
from tickwire.hdl.stream.packet import strobe

__all__ = ["BookMemory", "RowAddress", "row_write", "state_write", "NumberWrite"]


class RowAddress(data.Struct):
    """What one read names: a book, its row on both sides, and a channel."""

    index: 7
    channel: 6
    row: 8


class NumberWrite(data.Struct):
    """A message number for an instrument or a channel."""

    index: 7
    number: NUMBER


def row_write(row_levels):
    """Entries for some lanes of one row of one side."""
    return data.StructLayout({
        "side": Side, "index": 7, "row": 8, "lanes": row_levels,
        "entries": data.ArrayLayout(Entry, row_levels)})


def state_write(levels):
    """The state of one book."""
    return data.StructLayout({"index": 7, "state": book_state(levels)})


class BookMemory(wiring.Component):
    """Rows of levels, states, and the message numbers that say whether a book can be trusted.

    One read a cycle gives row ``row`` of both sides, and all the rest of that instrument and
    channel. The preview reads when it wants to, the authority when the preview does not.
    A read may follow a write of a row in the next cycle, the other writes in the same one.

    Latency: read → ``o_*`` 2 cycles, from the block memories themselves, → ``o_newer`` 3 cycles;
    ``i_rows`` → memory 2 cycles, the other writes 1 cycle.

    Parameters
    ----------
    instruments, levels, row_levels : int
        As in ``PriceLevelBook``.
    channels : int
        Channels with a number each.

    Members
    -------
    i_preview : In, strobe(EarlyLookup)
        Its rows 0.
    i_authority : In, strobe(RowAddress)
    o_granted : Out, 1 bit
        The authority's read of this cycle is done, not the preview's.
    o_for_preview, o_for_authority : Out, 1 bit
        The outputs hold what the preview or the authority had asked for.
    o_rows : Out, 2 × row_levels × Entry
        Row of the bids, row of the asks.
    o_state : Out, book_state
    o_last : Out, 48 bits
        Number of the instrument's last message.
    o_newer : Out, 1 bit
        A cycle later than the rest: the book's snapshot is newer than what was lost of its
        channel, and than the last damaged frame that named it.
    o_busy : Out, 1 bit
        The preview's read is about the instrument in ``i_state.payload``: its state must not be
        written in this cycle.
    i_rows : In, strobe(row_write)
    i_state : In, strobe(state_write)
    i_last, i_damage, i_gap : In, strobe(NumberWrite)
        Of an instrument, an instrument, a channel.
    i_clear : In, strobe(7 bits)
        Forget everything of this instrument and of the channel of this index; the other writes
        have to be quiet.
    """

    def __init__(self, *, instruments, levels, row_levels, channels):
        self._instruments, self._levels = instruments, levels
        self._row_levels, self._channels = row_levels, channels
        super().__init__({
            "i_preview": In(strobe(EarlyLookup)),
            "i_authority": In(strobe(RowAddress)),
            "o_granted": Out(1),
            "o_for_preview": Out(1),
            "o_for_authority": Out(1),
            "o_rows": Out(data.ArrayLayout(data.ArrayLayout(Entry, row_levels), 2)),
            "o_state": Out(book_state(levels)),
            "o_last": Out(NUMBER),
            "o_newer": Out(1),
            "o_busy": Out(1),
            "i_rows": In(strobe(row_write(row_levels))),
            "i_state": In(strobe(state_write(levels))),
            "i_last": In(strobe(NumberWrite)),
            "i_damage": In(strobe(NumberWrite)),
            "i_gap": In(strobe(NumberWrite)),
            "i_clear": In(strobe(7)),
        })

    def elaborate(self, platform):
        m = Module()
        index_bits = (self._instruments - 1).bit_length()
        channel_bits = (self._channels - 1).bit_length()
        row_bits = (self._levels // self._row_levels - 1).bit_length()

        # The address goes to all memories out of a register: they lie far apart.
        address = Signal(RowAddress, reset_less=True)
        preview = self.i_preview.payload
        m.d.comb += self.o_granted.eq(~self.i_preview.valid)
        with m.If(self.i_preview.valid):
            m.d.sync += [address.index.eq(preview.index), address.channel.eq(preview.channel),
                         address.row.eq(0)]
        with m.Else():
            m.d.sync += address.eq(self.i_authority.payload)
        index = address.index[:index_bits]

        # Nobody uses what is read in the very cycle in which it is written: the preview does not
        # as long as the authority works on that book, except the state, which then has to wait.
        def block(name, shape, depth):
            m.submodules[name] = made = memory.Memory(
                shape=unsigned(Shape.cast(shape).width), depth=depth, init=[],
                attrs={"no_rw_check": 1})
            return made

        def read(made, where, shape):
            port = made.read_port()
            output = Signal(shape)
            m.d.comb += [port.addr.eq(where), output.eq(port.data)]
            return output

        # Rows: a memory for every lane of either side. Their writes are registered, for a
        # new row has come through the whole move network.
        write = Signal(row_write(self._row_levels), reset_less=True)
        m.d.sync += write.eq(self.i_rows.payload)
        row_address = Cat(address.row[:row_bits], index)
        for side in Side:
            lanes = Signal(self._row_levels, name=f"{side.name.lower()}_lanes")
            m.d.sync += lanes.eq(Mux(
                self.i_rows.valid & (self.i_rows.payload.side == side), self.i_rows.payload.lanes,
                0))
            for lane in range(self._row_levels):
                made = block(f"{side.name.lower()}_{lane}", Entry,
                             self._instruments * self._levels // self._row_levels)
                port = made.write_port()
                m.d.comb += [
                    port.addr.eq(Cat(write.row[:row_bits], write.index[:index_bits])),
                    port.data.eq(write.entries[lane]),
                    port.en.eq(lanes[lane]),
                    self.o_rows[side.value][lane].eq(read(made, row_address, Entry)),
                ]

        def table(name, shape, depth, where, stream, field, bits):
            """A memory with one word for an instrument or a channel."""
            made = block(name, shape, depth)
            port = made.write_port()
            clear = self.i_clear.valid
            m.d.comb += [
                port.en.eq(stream.valid | clear),
                port.addr.eq(Mux(clear, self.i_clear.payload, stream.payload.index)[:bits]),
            ]
            with m.If(~clear):
                m.d.comb += port.data.eq(stream.payload[field])
            return read(made, where, shape)

        last = table("last", NUMBER, self._instruments, index, self.i_last, "number", index_bits)
        damage = table("damage", NUMBER, self._instruments, index, self.i_damage, "number",
                       index_bits)
        gap = table("gap", NUMBER, self._channels, address.channel[:channel_bits], self.i_gap,
                    "number", channel_bits)
        state = table("state", book_state(self._levels), self._instruments, index, self.i_state,
                      "state", index_bits)
        m.d.comb += [self.o_last.eq(last), self.o_state.eq(state)]
        m.d.sync += self.o_newer.eq((state.number > gap) & (state.number > damage))

        # Whose the outputs are.
        of_preview, of_authority = Signal(), Signal()
        m.d.sync += [
            of_preview.eq(self.i_preview.valid),
            of_authority.eq(self.i_authority.valid & ~self.i_preview.valid),
            self.o_for_preview.eq(of_preview),
            self.o_for_authority.eq(of_authority),
        ]
        m.d.comb += self.o_busy.eq(
            of_preview & (self.i_state.payload.index == address.index))
        return m
