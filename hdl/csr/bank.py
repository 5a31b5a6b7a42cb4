"""The register bank: generated from the register table, it answers the host's accesses."""

from amaranth.hdl import Array, C, Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In
from tickwire.hdl.csr.bus import CsrBus
from tickwire.hdl.csr.counters import CounterFile
from tickwire.hdl.csr.ports import INTERNAL, depth_of, members
from tickwire.hdl.csr.register_table import (
    PAGE_BYTES,
    Access,
    Command,
    Counter,
    Register,
    Staging,
    Table,
    Window,
)

__all__ = ["RegisterBank"]

_GROUP = 16     # words that one multiplexer of the first stage chooses from


class RegisterBank(wiring.Component):
    """All registers, counters, tables and commands of one register table.

    Latency: a value, a command or a row is at its port 2 cycles after the write strobe. An access
    is acknowledged 4 cycles after its strobe, a read of a counter's low half 10. What a
    read-only register says is sampled one cycle after the strobe, both halves at once, and in
    the same cycle what the registers say that are latched by it.

    An address at which nothing answers to the kind of access reads as 0 or takes no write, and
    counts in BUS_UNMAPPED; so does the number of a row that a table does not have.

    Parameters
    ----------
    registers : RegisterMap
        The table.
    config : GatewayConfig
        Gives the constants and the depths that are named after its fields.

    Ports
    -----
    bus : CsrBus, in
    o_* : out
        The value of a read/write register (and, if the table asks for it, ``o_*_written``: a strobe
        in the first cycle of what was written); the strobe of a command (with its ``payload`` if
        it is wider than a bit), of a table (:func:`table_write`), of a window (`WindowWrite`).
    i_* : in
        The value of a read-only register.
    i_count_* : 1 bit, in, or as many as the counter's step has
        Strobe: counts one; or what is added in this cycle.
    """

    def __init__(self, registers, config):
        self.registers = registers
        self.config = config
        super().__init__({"bus": In(CsrBus()), **members(registers, config)})

    def elaborate(self, platform):
        m = Module()
        self._words = {word.offset // 4: word for word in self.registers.words()
                       if not isinstance(word.entry, Window)}
        # The access, registered. What follows happens in the cycle after the bus strobe.
        self._address = Signal(14)
        self._data = Signal(32)
        self._read = Signal()
        self._write = Signal()
        m.d.sync += [
            self._address.eq(self.bus.address),
            self._data.eq(self.bus.write_data),
            self._read.eq(self.bus.read),
            self._write.eq(self.bus.write),
        ]
        self._group = {g: Signal(name=f"group_{g:03x}")
                       for g in sorted({address // _GROUP for address in self._words})}
        m.d.comb += [hit.eq(self._address[4:] == g) for g, hit in self._group.items()]
        self._taken = Signal()      # something takes what is written
        self._unmapped = Signal()
        self._elaborate_writes(m)
        self._elaborate_reads(m)
        return m

    def _selected(self, address):
        return self._group[address // _GROUP] & (self._address[:4] == address % _GROUP)

    def _port(self, entry, kind="o"):
        return getattr(self, f"{kind}_{entry.name.lower()}")

    def _elaborate_writes(self, m):
        """Registers, commands, staging words, tables and windows."""
        taken = []
        for page in self.registers.pages:
            low_half = Signal(32, name=f"{page.name.lower()}_low_half", reset_less=True)
            row = Signal(32 * sum(e.words for e in page.entries if isinstance(e, Staging)),
                         name=f"{page.name.lower()}_row", reset_less=True)
            staged = 0
            for entry in page.entries:
                first = self.registers.offset(entry.name) // 4
                if isinstance(entry, Window):
                    taken.append(self._write_window(m, entry, first))
                    continue
                written = [self._selected(first + k) & self._write for k in range(entry.words)]
                match entry:
                    case Register(access=Access.READ_WRITE):
                        value = self._data
                        if entry.words == 2:
                            value = Cat(low_half, self._data)
                            with m.If(written[0]):
                                m.d.sync += low_half.eq(self._data)
                        with m.If(written[-1]):
                            m.d.sync += Value.cast(self._port(entry)).eq(value)
                        if entry.written:
                            m.d.sync += getattr(
                                self, f"o_{entry.name.lower()}_written").eq(written[-1])
                    case Command(width=1, fields=()):
                        m.d.sync += self._port(entry).eq(written[0] & self._data[0])
                    case Command():
                        port = self._port(entry)
                        m.d.sync += port.valid.eq(written[0])
                        m.d.sync += Value.cast(port.payload).eq(self._data)
                    case Staging():
                        for strobe in written:
                            with m.If(strobe):
                                m.d.sync += row.word_select(staged, 32).eq(self._data)
                            staged += 1
                    case Table():
                        port = self._port(entry)
                        written = [written[0] & (self._data < depth_of(entry, self.config))]
                        m.d.sync += port.valid.eq(written[0])
                        m.d.sync += port.payload.index.eq(self._data)
                        m.d.comb += Value.cast(port.payload.row).eq(row)
                    case _:
                        continue
                taken += written
        m.d.comb += self._taken.eq(Cat(taken).any())

    def _write_window(self, m, entry, first):
        """Returns whether the write goes into this window."""
        port = self._port(entry)
        bits = (entry.words - 1).bit_length()
        written = (self._address[bits:] == first >> bits) & self._write
        m.d.sync += [
            port.write.eq(written),
            port.address.eq(self._address),
            port.data.eq(self._data),
        ]
        return written

    def _elaborate_reads(self, m):
        """Two stages of multiplexers, even and odd words apart; then the kept high half."""
        counters = list(self.registers.entries(Counter))
        pages = {page.offset // PAGE_BYTES: page for page in self.registers.pages}
        page_bits = (PAGE_BYTES // 4 - 1).bit_length()

        latched = self._elaborate_latched(m)

        # 1: within each group. Flags of the word go along: it answers reads, it is the low half
        # of a wide value, it is the high half of one, it is the low half of a counter.
        sources, flags = {}, {}
        for address, word in self._words.items():
            sources[address], flags[address] = self._read_source(word, latched)
        group_flags, evens, odds = [], [], []
        for g, hit in self._group.items():
            places = range(g * _GROUP, (g + 1) * _GROUP)
            hit_now = Signal(name=f"hit_{g:03x}")
            m.d.sync += hit_now.eq(hit)
            group_flags.append(Array(flags.get(a, 0) for a in places)[self._address[:4]]
                               & hit.replicate(4))
            for half, words in ((evens, places[0::2]), (odds, places[1::2])):
                if any(a in sources and sources[a] is not None for a in words):
                    chosen = Signal(32, name=f"{'even' if half is evens else 'odd'}_{g:03x}",
                                    reset_less=True)
                    choice = [sources.get(a) for a in words]
                    m.d.sync += chosen.eq(Array(C(0, 32) if c is None else c
                                                for c in choice)[self._address[1:4]])
                    half.append(chosen & hit_now.replicate(32))
        flag = _any_of(group_flags, 4)
        answers, low, high, counter = (Signal(name=n) for n in
                                       ("answers", "low", "high", "counter"))
        m.d.comb += Cat(answers, low, high, counter).eq(flag)

        # 2: between the groups. 3: even, odd, or the high half that was kept.
        steps = Signal(2)       # the access, 2 and 3 cycles after the bus strobe
        wide_low, wide_high, odd_word = Signal(2), Signal(2), Signal(2)
        page_now = Signal(2 * len(self._address[page_bits:]))
        even_result, odd_result = Signal(32), Signal(32)
        result = Signal(32)
        m.d.sync += [
            steps.eq(Cat((self._read & ~counter) | self._write, steps)),
            wide_low.eq(Cat(low & self._read, wide_low)),
            wide_high.eq(Cat(high & self._read, wide_high)),
            odd_word.eq(Cat(self._address[0], odd_word)),
            page_now.eq(Cat(self._address[page_bits:], page_now)),
            even_result.eq(_any_of(evens, 32)),
            odd_result.eq(_any_of(odds, 32)),
        ]
        m.d.comb += result.eq(Mux(odd_word[1], odd_result, even_result))
        m.d.comb += self._unmapped.eq((self._read & ~answers) | (self._write & ~self._taken))

        page = page_now[len(page_now) // 2:]
        counted = self._elaborate_counters(m, counters, counter)
        kept_results = []
        for number, declared in pages.items():
            kept = Signal(32, name=f"{declared.name.lower()}_high_half", reset_less=True)
            has_counters = any(isinstance(e, Counter) for e in declared.entries)
            if has_counters:
                with m.If(counted.o_done):
                    m.d.sync += kept.eq(counted.o_value[32:])
            else:
                with m.If(wide_low[1] & (page == number)):
                    m.d.sync += kept.eq(odd_result)
            kept_results.append(kept & (page == number).replicate(32))
        done = counted.o_done if counters else C(0)
        m.d.sync += self.bus.acknowledge.eq(steps[1] | done)
        m.d.sync += self.bus.read_data.eq(Mux(wide_high[1], _any_of(kept_results, 32), result))
        if counters:
            with m.If(done):
                m.d.sync += self.bus.read_data.eq(counted.o_value[:32])

    def _elaborate_latched(self, m):
        """What each latched register reads as: its port when the other one was sampled."""
        latched = {}
        for entry in self.registers.entries(Register):
            if entry.latched_by:
                port = Value.cast(self._port(entry, "i"))
                kept = Signal(len(port), name=f"{entry.name.lower()}_kept")
                with m.If(self._selected(self.registers.offset(entry.latched_by) // 4)
                          & self._read):
                    m.d.sync += kept.eq(port)
                latched[entry.name] = kept
        return latched

    def _read_source(self, word, latched):
        """The 32 bits that a word reads as (or nothing), and its flags."""
        entry = word.entry
        match entry:
            case Register(access=Access.CONSTANT):
                value = entry.value
                if value == "register_hash":
                    value = self.registers.hash
                elif isinstance(value, str):
                    value = getattr(self.config, value)
                value = C(value, entry.width)
            case Register(access=Access.READ_ONLY):
                value = latched.get(entry.name, Value.cast(self._port(entry, "i")))
            case Register():
                value = Value.cast(self._port(entry))
            case Counter():
                return None, 0b1001 if word.index == 0 else 0b0101
            case _:
                return None, 0b0000
        wide = entry.words == 2
        return (value[32 * word.index:32 * word.index + 32],
                0b0001 | (wide and word.index == 0) << 1 | (wide and word.index == 1) << 2)

    def _elaborate_counters(self, m, counters, selected):
        """The counter file, its strobes and the read of a low half."""
        if not counters:
            return None
        m.submodules.counters = file = CounterFile(
            len(counters), {k: entry.step for k, entry in enumerate(counters)})
        m.d.comb += file.i_strobes.eq(Cat(
            self._unmapped if entry.name == INTERNAL else self._port(entry, "i_count")
            for entry in counters))
        # The page begins with its first counter, and each has two words.
        m.d.sync += [
            file.i_read.eq(self._read & selected),
            file.i_index.eq(self._address[1:]),
        ]
        return file


def _any_of(values, width):
    """Values of which at most one is not 0."""
    result = C(0, width)
    for value in values:
        result = result | value
    return result
