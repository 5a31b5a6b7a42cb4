"""When each instrument may fire again, with hearsay kept apart until its frame's verdict."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from tickwire.hdl.feed.event import FrameVerdict
from tickwire.hdl.stream.packet import strobe

__all__ = ["Fired", "FiredMemory"]


class Fired(data.Struct):
    """What is remembered of an instrument's last intent."""

    fired: 1
    earliest: 65    # time of the venue's, before which there is no other


class FiredMemory(wiring.Component):
    """Remembers the last intent of every instrument.

    What a frame brought stands in a list of at most ``pending`` entries. The verdict moves it
    to the memory, an entry a cycle, or drops it: so nothing needs to be undone.

    Latency: ``i_fetch``, ``i_slow`` → ``o``, ``o_slow`` 2 cycles; ``i_fire`` and ``i_clear`` →
    either of them 1 cycle, if it shows their instrument.

    Parameters
    ----------
    instruments, pending : int
        Powers of two, at least 2.

    Members
    -------
    i_fetch, i_slow : In(strobe(range(instruments)))
        Show this instrument at ``o`` or ``o_slow``. Not both in one cycle.
    i_fire : In(strobe)
        The instrument ``index`` fires and is to wait until ``earliest``. ``settled`` says that no
        verdict can change that.
    i_clear : In(strobe(range(instruments)))
        Forget the instrument's intents. Wins over ``i_fire``.
    i_verdict : In(strobe(FrameVerdict))
        Makes what was not settled settled, or void; that of the same cycle, too.
    o, o_slow : Out(Fired)
        Show the instruments fetched last; after a bad verdict only from the next fetch on.
    o_room : Out(1)
        The list can take an intent in the next cycle.

    Raises
    ------
    ValueError
        If a size is not a power of two or less than 2.
    """

    def __init__(self, instruments, pending=8):
        for name, value in (("instruments", instruments), ("pending", pending)):
            if value < 2 or value & (value - 1):
                raise ValueError(f"FiredMemory {name} must be a power of two and at least 2, "
                                 f"not {value!r}")
        self.instruments = instruments
        self.pending = pending
        index = range(instruments)
        super().__init__({
            "i_fetch": In(strobe(index)),
            "i_slow": In(strobe(index)),
            "i_fire": In(strobe(data.StructLayout({"index": index, "earliest": 65,
                                                   "settled": 1}))),
            "i_clear": In(strobe(index)),
            "i_verdict": In(strobe(FrameVerdict)),
            "o": Out(Fired),
            "o_slow": Out(Fired),
            "o_room": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        index = range(self.instruments)
        slots = range(self.pending)

        # What is written while it is read is taken from the list, or from what was cleared.
        m.submodules.memory = memory = Memory(shape=Fired, depth=self.instruments, init=[],
                                              attrs={"no_rw_check": 1})
        m.submodules.earliest = earliest = Memory(shape=65, depth=self.pending, init=[])
        read, write = memory.read_port(), memory.write_port()
        entry_write = earliest.write_port()
        entry_read = earliest.read_port(domain="comb")
        head_read = earliest.read_port(domain="comb")

        fire = self.i_fire.payload
        good = self.i_verdict.valid & self.i_verdict.payload.good
        bad = self.i_verdict.valid & ~self.i_verdict.payload.good

        # The list is a ring; an entry leaves at its head once it is settled, a void one as well.
        head, tail = Signal(slots), Signal(slots)
        level = Signal(range(self.pending + 1))
        entries = [Signal(index, reset_less=True, name=f"entry_{n}") for n in slots]
        alive = Signal(self.pending)        # neither void nor cleared nor replaced
        settled = Signal(self.pending)
        hidden = Signal(self.pending)       # hearsay on the same instrument is newer
        entry = Signal(index)
        at_head = Signal(self.pending)
        leaves = Signal()
        m.d.comb += [
            self.o_room.eq((level + self.i_fire.valid) < self.pending),
            at_head.eq(Cat(head == n for n in slots)),
            leaves.eq((level != 0) & (settled & at_head).any() & ~self.i_clear.valid),
            head_read.addr.eq(head),
        ]
        for n in slots:
            with m.If(at_head[n]):
                m.d.comb += entry.eq(entries[n])
        m.d.sync += level.eq(level + self.i_fire.valid - leaves)

        m.d.comb += [
            write.en.eq(self.i_clear.valid | (leaves & (alive & at_head).any())),
            write.addr.eq(Mux(self.i_clear.valid, self.i_clear.payload, entry)),
            write.data.fired.eq(~self.i_clear.valid),
            write.data.earliest.eq(head_read.data),
            entry_write.en.eq(self.i_fire.valid),
            entry_write.addr.eq(tail),
            entry_write.data.eq(fire.earliest),
        ]
        for n in slots:
            same = entries[n] == fire.index
            with m.If(good):
                m.d.sync += alive[n].eq(alive[n] & ~hidden[n])
            with m.If(bad):
                m.d.sync += alive[n].eq(alive[n] & settled[n])
            with m.If(self.i_verdict.valid):
                m.d.sync += [settled[n].eq(1), hidden[n].eq(0)]
            with m.If(self.i_fire.valid & same):
                with m.If(fire.settled | good | (~self.i_verdict.valid & ~settled[n])):
                    m.d.sync += alive[n].eq(0)
                with m.Elif(~self.i_verdict.valid):
                    m.d.sync += hidden[n].eq(1)
            with m.If(self.i_clear.valid & (entries[n] == self.i_clear.payload)):
                m.d.sync += alive[n].eq(0)
            with m.If(leaves & at_head[n]):
                m.d.sync += alive[n].eq(0)
            with m.If(self.i_fire.valid & (tail == n)):
                cleared = self.i_clear.valid & (self.i_clear.payload == fire.index)
                m.d.sync += [
                    entries[n].eq(fire.index),
                    alive[n].eq(~cleared & ~(bad & ~fire.settled)),
                    settled[n].eq(fire.settled | self.i_verdict.valid),
                    hidden[n].eq(0),
                ]
        with m.If(leaves):
            m.d.sync += head.eq(head + 1)
        with m.If(self.i_fire.valid):
            m.d.sync += tail.eq(tail + 1)

        # One look-up at a time: memory and list in parallel. What came in its two cycles is
        # remembered for a cycle and put on top.
        wanted = Signal(index)
        match = Signal(self.pending)
        slot = Signal(slots)
        m.d.comb += [
            wanted.eq(Mux(self.i_fetch.valid, self.i_fetch.payload, self.i_slow.payload)),
            read.addr.eq(wanted),
            entry_read.addr.eq(slot),
        ]
        for n in slots:
            m.d.sync += match[n].eq(alive[n] & ~hidden[n] & (entries[n] == wanted))
            with m.If(match[n]):
                m.d.comb += slot.eq(n)

        fire_before, clear_before = Signal(), Signal()
        fire_index, clear_index = Signal(index, reset_less=True), Signal(index, reset_less=True)
        fire_earliest = Signal(65, reset_less=True)
        m.d.sync += [
            fire_before.eq(self.i_fire.valid), fire_index.eq(fire.index),
            fire_earliest.eq(fire.earliest),
            clear_before.eq(self.i_clear.valid), clear_index.eq(self.i_clear.payload),
        ]
        for fetch, fetched, shown in ((self.i_fetch.valid, self.i_fetch.payload, self.o),
                                      (self.i_slow.valid, self.i_slow.payload, self.o_slow)):
            loading = Signal()
            current = Signal(index, reset_less=True)
            m.d.sync += loading.eq(fetch)
            with m.If(fetch):
                m.d.sync += current.eq(fetched)
            with m.If(loading):
                with m.If(match.any()):
                    m.d.sync += [shown.fired.eq(1), shown.earliest.eq(entry_read.data)]
                with m.Else():
                    m.d.sync += shown.eq(read.data)
                with m.If(fire_before & (fire_index == current)):
                    m.d.sync += [shown.fired.eq(1), shown.earliest.eq(fire_earliest)]
                with m.If(clear_before & (clear_index == current)):
                    m.d.sync += shown.fired.eq(0)
            with m.If(self.i_fire.valid & (fire.index == current)):
                m.d.sync += [shown.fired.eq(1), shown.earliest.eq(fire.earliest)]
            with m.If(self.i_clear.valid & (self.i_clear.payload == current)):
                m.d.sync += shown.fired.eq(0)
        return m
