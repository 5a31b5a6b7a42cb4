"""A board that is a clock on a crystal of its own, read over a bus that takes its time."""

import random

from fake_board import FakeBoard
from tickwire.gateware.registers import REGISTERS

START = 1_700_000_000_000_000_000       # the host's time at the beginning
_ROW = REGISTERS.offset("ROW")


class OscillatorBoard(FakeBoard):
    """The clock's registers on simulated time; the host's time passes by accesses and sleeps.

    Parameters
    ----------
    ppb : int
        By how much the crystal is fast. It may be changed at any time.
    seed : int
        Of the accesses' delays.
    way_ns : tuple of int
        Shortest and longest time of one way of an access.
    interrupted : float
        Part of the accesses that take up to a millisecond more on one way.

    Members
    -------
    seen : list of int
        What the clock said at each access.
    """

    def __init__(self, ppb=0, *, seed=1, way_ns=(300, 700), interrupted=0.05):
        super().__init__()
        self.ppb, self.way_ns, self.interrupted = ppb, way_ns, interrupted
        self._random = random.Random(seed)
        self._host = START << 32                # all times in 2**-32 ns
        self._lived = 0                         # by the crystal
        self._cycle = 0
        self._clock = 0
        self.seen = []
        self.poke("CLOCK_INCREMENT", REGISTERS["CLOCK_INCREMENT"].reset)

    def now(self):
        return self._host >> 32

    def sleep(self, seconds):
        self._pass(round(seconds * 1e9))

    @property
    def true_offset_ns(self):
        return (self._clock - self._host) / (1 << 32)

    def read32(self, offset):
        self._way()
        self._sample(offset)
        value = super().read32(offset)
        self._way()
        return value

    def write32(self, offset, value):
        self._way()
        super().write32(offset, value)
        row = self.memory.get(_ROW, 0) | self.memory.get(_ROW + 4, 0) << 32
        if offset == REGISTERS.offset("CLOCK_SET"):
            self._clock = row << 32
        elif offset == REGISTERS.offset("CLOCK_OFFSET"):
            self._clock += (row - (row >> 63 << 64)) << 32

    def _way(self):
        low, high = self.way_ns
        late = self._random.random() < self.interrupted
        self._pass(self._random.randint(low, high) + late * self._random.randint(1, 1_000_000))

    def _pass(self, nanoseconds):
        self._host += nanoseconds << 32
        self._lived += nanoseconds * (10**9 + self.ppb)
        cycle = self._lived * self._cycles_in_second() // 10**18
        increment = self._read("CLOCK_INCREMENT")
        self._clock += (cycle - self._cycle) * increment
        self._cycle = cycle
        self.seen.append(self._clock >> 32)

    def _sample(self, offset):
        """What the card does when the access has reached it."""
        if offset == REGISTERS.offset("NANOSECONDS"):
            self.poke("NANOSECONDS", self._clock >> 32)
            self.poke("NANOSECONDS_CYCLE", self._cycle)

    def _cycles_in_second(self):
        return self._read("CORE_HZ")

    def _read(self, name):
        offset = REGISTERS.offset(name)
        return self.memory[offset] | (self.memory[offset + 4] << 32
                                      if REGISTERS[name].words == 2 else 0)
