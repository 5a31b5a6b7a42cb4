"""The clock of the whole gateway through its registers: exact times, rates, and the discipline."""

from fractions import Fraction
from itertools import islice

import pytest
from gateway_bench import library
from tickwire.gateware.registers import REGISTERS
from tickwire.hdl.timing.rate import FRACTION_BITS, increment_per_cycle
from tickwire.host.clock import Clock
from tickwire.host.errors import BoardError
from tickwire.host.gateway import Gateway
from tickwire.sim.engine import Engine

NOMINAL = increment_per_cycle(156_250_000)
NOON = 1_767_268_800_123_456_789
BUS = 2                 # cycles from the bus strobe of a write to the port of the register or row
CLOCK = 3               # from there to the time that is read
SETTLED = 10            # measurements until the offset is one of a few cycles
SAMPLED = 1             # from the bus strobe of a read to the value


class TimedEngine(Engine):
    """Knows in which cycle of the gateware each access was strobed."""

    skipped = 0
    strobe = 0

    @property
    def age(self):
        return self.cycles + self.skipped

    def skip(self, cycles):
        self.skipped += max(cycles - 1, 0)
        super().skip(cycles)

    def read32(self, offset):
        self.strobe = self.age
        return super().read32(offset)

    def write32(self, offset, value):
        self.strobe = self.age
        super().write32(offset, value)


@pytest.fixture
def gateway():
    with Gateway(TimedEngine(library(), event_records=64)) as gateway:
        yield gateway


def sampled(engine, name):
    """Value of a wide register, and the engine's cycle in which it was sampled."""
    low = engine.read32(REGISTERS.offset(name))
    cycle = engine.strobe + SAMPLED
    return low | engine.read32(REGISTERS.offset(name) + 4) << 32, cycle


def reading(gateway):
    """Time, its cycle by the gateware's own count, and by the engine's."""
    time, cycle = sampled(gateway.board, "NANOSECONDS")
    return time, gateway.registers.read("NANOSECONDS_CYCLE"), cycle


def test_every_nanosecond_between_setting_correcting_and_changing_the_rate(gateway):
    """The exact count of each cycle, from the cycle in which a write reached the bus."""
    engine, clock = gateway.board, gateway.clock
    counted, cycle = sampled(engine, "CYCLES")
    apart = counted - cycle                 # of the two counts of cycles

    clock.set(NOON)
    time, since = NOON << FRACTION_BITS, engine.strobe + BUS + CLOCK
    increment = NOMINAL
    assert gateway.registers.read("CLOCK_INCREMENT") == NOMINAL

    def check():
        found, counted, cycle = reading(gateway)
        assert counted - cycle == apart
        assert found == time + (cycle - since) * increment >> FRACTION_BITS

    for turn, ppb in enumerate((0, 100_000, -100_000, 0.0364, 33.3, -200_000, 0)):
        for passed in (0, 1, 7, 1000 + turn):
            engine.idle(passed)
            check()
        engine.skip(156_250_000 * (turn + 1))
        engine.idle(CLOCK)
        check()
        clock.rate_ppb = ppb
        # Counted with the old rate up to the cycle before the new one's first shows.
        changed = engine.strobe + BUS + CLOCK - 1
        time, since = time + (changed - since) * increment, changed
        increment = NOMINAL + round(Fraction(NOMINAL) * Fraction(ppb) / 10**9)
        check()
        offset = (-1) ** turn * 10 ** (turn + 3)
        clock.step(offset)
        time += offset << FRACTION_BITS
        check()


def test_a_second_at_a_rate_is_a_second_and_so_many_nanoseconds(gateway):
    gateway.clock.set(NOON)
    for ppb in (0, 1, -50, 100_000):
        gateway.clock.rate_ppb = ppb
        gateway.board.idle(CLOCK)
        time, cycle, _ = reading(gateway)
        gateway.board.skip(156_250_000)
        gateway.board.idle(CLOCK)
        later, cycle_later, _ = reading(gateway)
        cycles = cycle_later - cycle
        assert cycles >= 156_250_000
        # 6.4 ns a cycle, whose rounding is 2e-11, and the nanosecond below which it is cut off.
        assert later - time == pytest.approx(cycles * 6.4 * (1 + ppb * 1e-9), abs=1.1)


class HostTime:
    """A host whose clock runs otherwise than the gateware's crystal; it passes with the cycles."""

    def __init__(self, engine, ppb):
        self.engine, self.scale = engine, Fraction(64, 10) / (1 + Fraction(ppb, 10**9))

    def exact(self):
        return NOON + self.engine.age * self.scale

    def now(self):
        return int(self.exact())

    def sleep(self, seconds):
        self.engine.skip(round(Fraction(seconds) * 10**9 / self.scale))
        self.engine.idle(CLOCK)


@pytest.mark.parametrize("ppb", [-100_000, 250, 100_000])
def test_the_discipline_keeps_it_with_a_host(gateway, ppb):
    """On the real registers: within a read's round trip of the host, and so it stays."""
    host = HostTime(gateway.board, ppb)
    clock = Clock(gateway.registers, gateway.config, now=host.now, sleep=host.sleep)
    statuses = []
    for status in islice(clock.discipline(), 30):
        time, _, cycle = reading(gateway)
        truth = NOON + cycle * host.scale
        assert len(statuses) < SETTLED or abs(time - truth) <= status.uncertainty_ns
        statuses.append(status)
    assert status.locked and status.steps <= 2
    assert status.uncertainty_ns < 50       # five cycles there and back
    assert abs(status.drift_ppb - ppb) <= status.drift_uncertainty_ppb < 10


def test_a_gateway_without_the_pin_says_so(gateway):
    assert gateway.registers.read("PPS_INPUT") == 0
    with pytest.raises(BoardError, match="PPS_INPUT is 0"):
        gateway.clock.pulse()
