"""Which MAC address belongs to an IPv4 address of the local network."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, enum, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

__all__ = ["ArpCache"]


class _Task(enum.Enum, shape=2):
    LOOK_UP = 0
    LEARN = 1
    AGE = 2


class _State(enum.Enum, shape=2):
    IDLE = 0
    READ = 1        # a row comes out of the memory
    CHECK = 2       # it is compared
    FINISH = 3


class ArpCache(wiring.Component):
    """The translation table of RFC 826, searched row by row.

    What is learned replaces the row of the same address; else it takes a free row, or the oldest
    one. A row is forgotten ``lifetime`` ticks after it was learned last (RFC 1122, 2.3.2.1).
    Ageing goes before learning, learning before looking up.

    The memory is empty when the device is configured; reset does not clear it.

    Latency: ``i_look_up`` → answer, ``i_learn`` → ``o_learned`` 2 × rows + 1 cycles if nothing else
    is being done; each task takes a cycle more.

    Parameters
    ----------
    rows : int
        A power of two, 2 to 64.
    lifetime : int
        Ticks, 1 to 255.

    Members
    -------
    i_tick : In, 1 bit
    i_learn : In, 1 bit
        Learn ``i_learn_address`` and ``i_learn_mac``. All of them must stand until ``o_learned``.
    i_learn_known : In, 1 bit
        With ``i_learn``: only if the address has a row already.
    o_learned : Out, 1 bit
        Done, for one cycle.
    i_look_up : In, 1 bit
        Search for ``i_address``. Both must stand until the answer.
    o_found, o_missing : Out, 1 bit
        The answer, for one cycle.
    o_mac : Out, 48 bits
        With ``o_found``.

    Raises
    ------
    ValueError
        If ``rows`` or ``lifetime`` is not supported.
    """

    def __init__(self, rows=16, lifetime=60):
        if not 2 <= rows <= 64 or rows & (rows - 1):
            raise ValueError(f"ArpCache rows must be a power of two from 2 to 64, not {rows!r}")
        if not 1 <= lifetime <= 255:
            raise ValueError(f"ArpCache lifetime must be 1 to 255 ticks, not {lifetime!r}")
        self._rows = rows
        self._lifetime = lifetime
        super().__init__({
            "i_tick": In(1),
            "i_learn": In(1),
            "i_learn_known": In(1),
            "i_learn_address": In(32),
            "i_learn_mac": In(48),
            "o_learned": Out(1),
            "i_look_up": In(1),
            "i_address": In(32),
            "o_found": Out(1),
            "o_missing": Out(1),
            "o_mac": Out(48),
        })

    def elaborate(self, platform):
        m = Module()
        # Life that is left; 0: the row is free.
        layout = data.StructLayout({"address": 32, "mac": 48, "life": range(self._lifetime + 1)})
        m.submodules.table = table = Memory(shape=layout, depth=self._rows, init=[],
                                            attrs={"ram_style": "distributed"})
        read, write = table.read_port(domain="comb"), table.write_port()

        state, task, due = Signal(_State), Signal(_Task), Signal()
        index = Signal(range(self._rows))
        row = Signal(layout)
        matched = Signal()
        # Where to write what is learned: the row of the same address, or that with the least life.
        place, least = Signal.like(index), Signal(range(self._lifetime + 1))
        learning, ageing = task == _Task.LEARN, task == _Task.AGE
        m.d.comb += [
            read.addr.eq(index),
            write.addr.eq(Mux(ageing, index, place)),
            write.data.address.eq(Mux(ageing, row.address, self.i_learn_address)),
            write.data.mac.eq(Mux(ageing, row.mac, self.i_learn_mac)),
            write.data.life.eq(Mux(ageing, row.life - 1, self._lifetime)),
        ]
        with m.If(self.i_tick):
            m.d.sync += due.eq(1)

        with m.Switch(state):
            with m.Case(_State.IDLE):
                m.d.sync += [index.eq(0), matched.eq(0), least.eq(self._lifetime)]
                with m.If(due):
                    m.d.sync += [task.eq(_Task.AGE), due.eq(self.i_tick)]
                with m.Elif(self.i_learn):
                    m.d.sync += task.eq(_Task.LEARN)
                with m.Else():
                    m.d.sync += task.eq(_Task.LOOK_UP)
                with m.If(due | self.i_learn | self.i_look_up):
                    m.d.sync += state.eq(_State.READ)
            with m.Case(_State.READ):
                m.d.sync += [row.eq(read.data), state.eq(_State.CHECK)]
            with m.Case(_State.CHECK):
                wanted = Mux(learning, self.i_learn_address, self.i_address)
                with m.If((row.life != 0) & (row.address == wanted)):
                    m.d.sync += [matched.eq(1), place.eq(index), self.o_mac.eq(row.mac)]
                with m.Elif(~matched & (row.life <= least)):
                    m.d.sync += [place.eq(index), least.eq(row.life)]
                m.d.comb += write.en.eq(ageing & (row.life != 0))
                m.d.sync += [index.eq(index + 1), state.eq(
                    Mux(index == self._rows - 1, _State.FINISH, _State.READ))]
            with m.Case(_State.FINISH):
                m.d.comb += [
                    write.en.eq(learning & (matched | ~self.i_learn_known)),
                    self.o_learned.eq(learning),
                    self.o_found.eq(~learning & ~ageing & matched),
                    self.o_missing.eq(~learning & ~ageing & ~matched),
                ]
                m.d.sync += state.eq(_State.IDLE)
        return m
