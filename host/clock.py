"""The gateway's clock from the host's side: compared with the host's, and kept with it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations

from tickwire.gateware.config import GatewayConfig
from tickwire.hdl.timing.rate import increment_per_cycle
from tickwire.host.errors import BoardError, ClockError, RegisterError
from tickwire.host.registers import Registers
from tickwire.host.servo import Measurement, Servo

__all__ = ["Clock", "ClockStatus", "Pulse"]

_READS = 8              # of which the quickest counts
_WINDOW = 32            # measurements from which the drift is known
_PULSE_DELAY = 2        # cycles from an edge to the time that stands for it
_WORD = (1 << 64) - 1


def _host_time() -> int:
    return time.clock_gettime_ns(time.CLOCK_REALTIME)


@dataclass(frozen=True)
class ClockStatus:
    """How the gateway's clock stands to the host's.

    Members
    -------
    offset_ns : int
        By how much it was ahead at the last measurement, before what was corrected then.
    uncertainty_ns : int
        The true offset was within this of ``offset_ns``.
    drift_ppb : float or None
        By how much the gateway's oscillator is faster than the host's clock; None before two
        measurements. Corrections do not show in it.
    drift_uncertainty_ppb : float or None
        The true drift was within this of ``drift_ppb``.
    rate_ppb : float
        The correction in force: how much faster than nominal the clock counts cycles.
    locked : bool
        It is disciplined, and the last three offsets were within a microsecond and their
        uncertainty.
    steps : int
        Times that the discipline has stepped it.
    """

    offset_ns: int
    uncertainty_ns: int
    drift_ppb: float | None
    drift_uncertainty_ppb: float | None
    rate_ppb: float
    locked: bool
    steps: int


@dataclass(frozen=True)
class Pulse:
    """The last pulse of the PPS input: how many there were, and the cycle's time in ns.

    The edge came within the cycle that began at ``time_ns``, which is right to a nanosecond; before
    the first pulse both are 0.
    """

    count: int
    time_ns: int

    @property
    def offset_ns(self) -> int:
        """By how much the clock was ahead of the whole second that the pulse stands for."""
        return (self.time_ns + 500_000_000) % 1_000_000_000 - 500_000_000


class Clock:
    """The clock whose time stands in orders. One program at a time may measure or discipline it.

    Parameters
    ----------
    registers : Registers
    config : GatewayConfig
    now : callable
        The host's time in ns since the Unix epoch; the system's real-time clock.
    sleep : callable
        Waits for so many seconds of that time.
    """

    def __init__(self, registers: Registers, config: GatewayConfig, *,
                 now: Callable[[], int] = _host_time,
                 sleep: Callable[[float], None] = time.sleep) -> None:
        self._registers, self._config = registers, config
        self._now, self._sleep = now, sleep
        self._nominal = increment_per_cycle(config.core_hz)
        self._measured: deque[Measurement] = deque(maxlen=_WINDOW)
        self._locked, self._steps = False, 0

    def set(self, nanoseconds: int) -> None:
        """Set it: nanoseconds since the Unix epoch."""
        self._registers.write_row("CLOCK_SET", 0, time=nanoseconds)

    def step(self, nanoseconds: int) -> None:
        """Move it once, exactly and whenever the write arrives; a negative number moves it back."""
        if not -1 << 63 <= nanoseconds < 1 << 63:
            raise RegisterError("CLOCK_OFFSET.OFFSET takes a signed number of 64 bits, "
                                f"not {nanoseconds}")
        self._registers.write_row("CLOCK_OFFSET", 0, offset=nanoseconds & _WORD)

    @property
    def rate_ppb(self) -> float:
        """How much faster than nominal it counts cycles; settable in steps of 0.0364 ppb."""
        return (self._registers.read("CLOCK_INCREMENT") / self._nominal - 1) * 1e9

    @rate_ppb.setter
    def rate_ppb(self, ppb: float) -> None:
        self._registers.write("CLOCK_INCREMENT", self._nominal + round(self._nominal * ppb / 1e9))

    def measure(self, reads: int = _READS) -> Measurement:
        """Compare it with the host's clock.

        Of several reads the one with the shortest round trip counts: Cristian's method, and that
        of phc2sys.
        """
        if reads < 1:
            raise ClockError(f"The clock is measured with at least 1 read, not {reads}")
        best: Measurement | None = None
        cycle_ns = -(-self._nominal >> 32)
        for _ in range(reads):
            clock_ns, before, after = self._registers.read_timed("NANOSECONDS", self._now)
            uncertainty = (after - before + 1) // 2 + cycle_ns
            if best is None or uncertainty < best.uncertainty_ns:
                best = Measurement((before + after) // 2, clock_ns,
                                   self._registers.read("NANOSECONDS_CYCLE"), uncertainty)
        assert best is not None
        self._measured.append(best)
        return best

    def watch(self, *, interval: float = 1.0, reads: int = _READS) -> Iterator[ClockStatus]:
        """Measure it every ``interval`` seconds, and correct nothing."""
        while True:
            self.measure(reads)
            yield self.status()
            self._sleep(interval)

    def discipline(self, *, interval: float = 1.0, reads: int = _READS,
                   proportional: float = 0.7, integral: float = 0.3, step_ns: int = 20_000,
                   max_ppb: float = 200_000) -> Iterator[ClockStatus]:
        """Keep it with the host's clock, as long as statuses are taken from this iterator.

        At the beginning it is stepped, if it is off by more than ``step_ns``; later only its rate
        changes. When nobody goes on, it keeps the last rate.

        Parameters
        ----------
        interval : float
            Seconds from one measurement to the next.
        reads : int
            See :meth:`measure`.
        proportional, integral, step_ns, max_ppb
            See :class:`tickwire.host.servo.Servo`.
        """
        servo = Servo(self._config.core_hz, self.rate_ppb, proportional=proportional,
                      integral=integral, step_ns=step_ns, max_ppb=max_ppb)
        try:
            while True:
                correction = servo.update(self.measure(reads))
                self.rate_ppb = correction.rate_ppb
                if correction.step_ns:
                    self.step(correction.step_ns)
                    self._steps += 1
                self._locked = servo.locked
                yield self.status()
                self._sleep(interval)
        finally:
            self._locked = False

    def status(self) -> ClockStatus:
        """What the last measurements say; without any, one is made."""
        last = self._measured[-1] if self._measured else self.measure()
        drift, bound = self._drift()
        return ClockStatus(last.offset_ns, last.uncertainty_ns, drift, bound, self.rate_ppb,
                           self._locked, self._steps)

    def _drift(self) -> tuple[float | None, float | None]:
        """From the two measurements that say it best."""
        def bound(pair: tuple[Measurement, Measurement]) -> float:
            a, b = pair
            return (a.uncertainty_ns + b.uncertainty_ns) / (b.host_ns - a.host_ns) * 1e9

        pairs = [pair for pair in combinations(self._measured, 2)
                 if pair[1].host_ns > pair[0].host_ns]
        if not pairs:
            return None, None
        a, b = best = min(pairs, key=bound)
        nominal_ns = (b.cycle - a.cycle) * 10**9 / self._config.core_hz
        return (nominal_ns / (b.host_ns - a.host_ns) - 1) * 1e9, bound(best)

    def pulse(self) -> Pulse:
        """The last pulse of the PPS input. BoardError if the board was built without one."""
        if not self._config.pps:
            raise BoardError("PPS_INPUT is 0: this board was built without an input for a pulse "
                             "per second; build it with GatewayConfig(pps=True)")
        stamped = self._registers.read("PPS_NANOSECONDS")
        count = self._registers.read("PPS_COUNT")
        delay = _PULSE_DELAY * self._registers.read("CLOCK_INCREMENT") >> 32
        return Pulse(count, stamped - delay if count else 0)
