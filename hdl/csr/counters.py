"""Many 64-bit counters in one block memory, each fed by a one-cycle strobe or a small sum."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["CounterFile"]


class CounterFile(wiring.Component):
    """Counts strobes without ever losing one, and reads a counter exactly.

    Each strobe first goes into a few bits beside the memory. A visitor goes round the counters,
    one a cycle, and adds those bits to the 64-bit total in the memory: so a counter costs ten
    flip-flops instead of 64. A read makes the visitor come at once, so its result holds
    everything that was counted up to two cycles before ``o_done``.

    Why nothing is lost: a read stops the round for 7 cycles, and the next one may begin 10
    cycles after it at the earliest, so each counter is visited again within 10 / 3 of ``count``
    cycles and one read; the bits beside the memory count to four times ``count`` or more.

    A counter of bytes adds a number in a cycle. Its steps must be those of a wire with 8 bytes a
    cycle, as they come or summed up for a frame: in any n cycles no more than 8 n and one
    largest step.

    Latency: ``i_read`` → ``o_done`` 7 cycles.

    Totals survive a reset of the core; they start at 0 when the device is configured.

    Parameters
    ----------
    count : int
        Number of counters, at least 1.
    steps : mapping of int to int
        Bits of what a counter adds in a cycle; of the others it is 1.

    Ports
    -----
    i_strobes : count bits, or more with ``steps``; in
        What each counter adds in this cycle, the first one in the lowest bits.
    i_read : 1 bit, in
        Strobe: read the counter ``i_index``. Not again within ``READ_PERIOD`` cycles.
    o_done : 1 bit, out
        Strobe, 7 cycles after ``i_read``: ``o_value`` is its total.
    o_value : 64 bits, out
    """

    #: Cycles from one read to the earliest next one.
    READ_PERIOD = 10

    @staticmethod
    def pending_width(count, step=1):
        """Bits beside the memory for a counter, of ``count``, with steps of ``step`` bits."""
        cycles = 4 * max(count, 8)
        return (cycles if step == 1 else 8 * cycles + (1 << step) - 1).bit_length()

    def __init__(self, count, steps=None):
        if count < 1:
            raise ValueError(f"CounterFile count must be at least 1, not {count!r}")
        self.count = count
        self.steps = [(steps or {}).get(k, 1) for k in range(count)]
        super().__init__({
            "i_strobes": In(sum(self.steps)),
            "i_read": In(1),
            "i_index": In(range(count)),
            "o_done": Out(1),
            "o_value": Out(64),
        })

    def elaborate(self, platform):
        m = Module()
        # Eight counters at least: the visitor must not come back before its write has landed.
        depth = max(self.count, 8)
        m.submodules.totals = totals = memory.Memory(shape=64, depth=depth, init=[])
        total_read = totals.read_port()
        total_write = totals.write_port()

        # A read in its cycles 0 to 2 lets earlier visits land, in cycle 3 it is the visitor, and
        # in 4 to 6 its own visit lands.
        reading = Signal(6)
        index = Signal(range(depth))
        m.d.sync += reading.eq(Cat(self.i_read, reading))
        with m.If(self.i_read):
            m.d.sync += index.eq(self.i_index)
        away = self.i_read | reading.any()

        turn = Signal(range(depth))
        visit = Signal()
        visited = Signal(range(depth))
        m.d.comb += [
            visit.eq(~away | reading[2]),
            visited.eq(Mux(reading[2], index, turn)),
            total_read.addr.eq(visited),
            total_read.en.eq(1),
        ]
        with m.If(~away):
            m.d.sync += turn.eq(Mux(turn == depth - 1, 0, turn + 1))

        # visit -> memory -> total, and the bits beside it -> chosen; then the sum; then the write
        valid = Signal(3)
        address = [Signal(range(depth), name=f"address_{k}") for k in range(3)]

        # Strobes are registered: they come from all over the device.
        strobes = [Signal(bits, name=f"strobe_{k}") for k, bits in enumerate(self.steps)]
        m.d.sync += Cat(strobes).eq(self.i_strobes)
        pending = [Signal(self.pending_width(self.count, bits), name=f"pending_{k}")
                   for k, bits in enumerate(self.steps)]
        for k, waiting in enumerate(pending):
            with m.If(valid[0] & (address[0] == k)):
                m.d.sync += waiting.eq(strobes[k])
            with m.Else():
                m.d.sync += waiting.eq(waiting + strobes[k])

        none = [Const(0, 1)] * (depth - self.count)
        chosen = Signal(max(len(waiting) for waiting in pending))
        total = Signal(64)
        value = Signal(64)
        m.d.sync += [
            valid.eq(Cat(visit, valid)),
            Cat(*address).eq(Cat(visited, *address)),
            chosen.eq(Array(pending + none)[address[0]]),
            total.eq(total_read.data),
            value.eq(total + chosen),
            self.o_done.eq(reading[5]),
        ]
        m.d.comb += [
            total_write.en.eq(valid[2]),
            total_write.addr.eq(address[2]),
            total_write.data.eq(value),
        ]
        with m.If(reading[5]):
            m.d.sync += self.o_value.eq(value)
        return m
