"""Position of each instrument, and what it may become."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from tickwire.hdl.feed.event import Side
from tickwire.hdl.risk.order_state import QUANTITY_BITS
from tickwire.hdl.stream.packet import strobe

__all__ = ["RESERVED_BITS", "Exposure", "ExposureUpdate", "ExposureTable", "WorstCase"]

RESERVED_BITS = 48


class Exposure(data.Struct):
    """Of one instrument."""

    filled: signed(64)              # bought less sold
    buying: RESERVED_BITS           # may still be bought by orders that are open
    selling: RESERVED_BITS


class ExposureUpdate(data.Struct):
    instrument: 7
    side: Side
    set: 1                          # `filled` is the position, and no change of it
    filled: signed(64)
    reserved: signed(QUANTITY_BITS + 1)


class WorstCase(data.Struct):
    instrument: 7
    long: signed(64)                # position if all that is open to buy is filled
    short: signed(64)               # and to sell


class ExposureTable(wiring.Component):
    """Adds up fills and reservations, instrument by instrument, and tells the worst cases.

    The sums are exact as long as they are below 2**63, which is not looked after here.

    Latency: ``i`` → memory 3 cycles. ``i_query`` → ``o`` 3 cycles; if ``i`` came 2 cycles ago, one
    more. ``i`` → ``o`` 6 cycles.

    Parameters
    ----------
    instruments : int
        Dense indices, a power of two.

    Members
    -------
    i : In, strobe(ExposureUpdate)
        The next one not before 3 cycles.
    i_wipe : In, strobe(range(instruments))
        This row shall be 0. Not when updates come.
    i_query : In, 7 bits
        An instrument: asked for all the time.
    o : Out, WorstCase
        From registers. Of the instrument that it names.
    """

    def __init__(self, instruments):
        if not 2 <= instruments <= 128 or instruments & (instruments - 1):
            raise ValueError("ExposureTable instruments must be a power of two from 2 to 128, "
                             f"not {instruments!r}")
        self.instruments = instruments
        super().__init__({
            "i": In(strobe(ExposureUpdate)),
            "i_wipe": In(strobe(range(instruments))),
            "i_query": In(7),
            "o": Out(WorstCase),
        })
        self.memory = Memory(shape=Exposure, depth=instruments, init=[],
                             attrs={"no_rw_check": 1})
        self.read = self.memory.read_port()
        self.update = Signal(ExposureUpdate)
        self.reads, self.writes = Signal(), Signal()
        self.row = Signal(Exposure, reset_less=True)

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = self.memory
        read, ask = self.read, self.memory.read_port()
        write = self.memory.write_port()

        update, row, new = self.update, self.row, Signal(Exposure)
        wipe = self.i_wipe.valid
        m.d.comb += [
            read.addr.eq(self.i.payload.instrument),
            write.addr.eq(Mux(wipe, self.i_wipe.payload, update.instrument)),
            write.en.eq(self.writes | wipe),
            write.data.eq(Mux(wipe, 0, new.as_value())),
            new.eq(row),
            new.filled.eq(Mux(update.set, 0, row.filled) + update.filled),
        ]
        for side, reserved in ((Side.BID, "buying"), (Side.ASK, "selling")):
            with m.If(update.side == side):
                m.d.comb += new[reserved].eq(row[reserved] + update.reserved)
        m.d.sync += [self.reads.eq(self.i.valid), self.writes.eq(self.reads)]
        with m.If(self.i.valid):
            m.d.sync += update.eq(self.i.payload)
        with m.If(self.reads):
            m.d.sync += row.eq(read.data)

        # What was read while the row may have been written is nothing: it is asked for again.
        asked, sound = Signal(7), Signal()
        found, whose = Signal(Exposure, reset_less=True), Signal(7)
        m.d.comb += ask.addr.eq(self.i_query)
        m.d.sync += [asked.eq(self.i_query), sound.eq(~write.en)]
        with m.If(sound):
            m.d.sync += [found.eq(ask.data), whose.eq(asked)]
        m.d.sync += [
            self.o.instrument.eq(whose),
            self.o.long.eq(found.filled + found.buying),
            self.o.short.eq(found.filled - found.selling),
        ]
        return m
