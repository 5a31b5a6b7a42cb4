"""The servo that keeps the gateway's clock with the host's: what to do after each measurement."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from tickwire.host.errors import ClockError

__all__ = ["Measurement", "Correction", "Servo"]

_REMEMBERED = 16        # uncertainties of which the best is what a good measurement has
_GOOD = 0.5             # weight from which on a measurement is good
_LOCKED_AFTER = 3       # good measurements in a row that agree
_LOCK_NS = 1_000        # offset beyond the uncertainty that is still called locked


@dataclass(frozen=True)
class Measurement:
    """One comparison of the two clocks.

    Members
    -------
    host_ns : int
        The host's time in the middle of the register read, since the Unix epoch.
    clock_ns : int
        What the gateway's clock said.
    cycle : int
        CYCLES in the cycle that was read.
    uncertainty_ns : int
        Half of the read's round trip, and a cycle: the offset is within this of the true one,
        whichever way of the read was the longer.
    """

    host_ns: int
    clock_ns: int
    cycle: int
    uncertainty_ns: int

    @property
    def offset_ns(self) -> int:
        """By how much the gateway's clock is ahead of the host's."""
        return self.clock_ns - self.host_ns


@dataclass(frozen=True)
class Correction:
    """What to do: move the clock by ``step_ns`` once, and run it ``rate_ppb`` above nominal."""

    step_ns: int
    rate_ppb: float


class Servo:
    """A proportional-integral controller of the clock's rate, as in linuxptp's ``pi.c``.

    If the first measurement is off by more than ``step_ns``, it steps the clock, and once more
    when the second one has told the oscillator's drift (if it can tell any); from then on it never
    steps but slews, so that the clock's time never goes back. The integral part is its memory of
    the drift; it stands still while the rate is at its limit.

    A measurement that is less certain counts for less: by as much as it is worse than the best of
    the last 16. So reads that were interrupted move the clock no further than good ones may.

    Parameters
    ----------
    core_hz : int
        Cycles in a second, nominally.
    rate_ppb : float
        The rate at which the clock runs now.
    proportional, integral : float
        Part of an offset that is taken away until the next measurement, and part that is taken
        for drift. 0.7 and 0.3, linuxptp's for measurements once a second, leave 0.3 of a step's
        error after two measurements.
    step_ns : int
        Offset at the beginning from which on the clock is stepped; below, it is slewed.
    max_ppb : float
        Limit of the rate, either way: a crystal's 100 ppm, and as much again to slew.
    """

    def __init__(self, core_hz: int, rate_ppb: float, *, proportional: float = 0.7,
                 integral: float = 0.3, step_ns: int = 20_000, max_ppb: float = 200_000) -> None:
        for name, value, most in (("proportional", proportional, 1), ("integral", integral, 1),
                                  ("max_ppb", max_ppb, 10_000_000)):
            if not 0 < value <= most:
                raise ClockError(f"The clock's servo takes {name} above 0 and up to {most}, "
                                    f"not {value}")
        self._core_hz = core_hz
        self._drift = self._limited(rate_ppb, max_ppb)      # the integral part
        self._proportional, self._integral = proportional, integral
        self._step_ns, self._max_ppb = step_ns, max_ppb
        self._last: Measurement | None = None
        self._stepped = False       # and the drift is not known
        self._uncertainties: deque[int] = deque(maxlen=_REMEMBERED)
        self._agreed = 0            # good measurements in a row
        self._good_ns = 0           # time of the last one

    @property
    def locked(self) -> bool:
        """The last three offsets were within their uncertainty and a microsecond.

        Offsets that are less than half as certain as the best are not asked.
        """
        return self._agreed >= _LOCKED_AFTER

    def update(self, now: Measurement) -> Correction:
        """Take a measurement, made after the last correction was in force."""
        last, self._last = self._last, now
        self._uncertainties.append(now.uncertainty_ns)
        if last is None:
            self._good_ns = now.host_ns
            self._stepped = abs(now.offset_ns) > self._step_ns
            return Correction(-now.offset_ns if self._stepped else 0, self._drift)
        passed_s = (now.host_ns - last.host_ns) / 1e9
        if passed_s <= 0:
            raise ClockError(f"The host's clock went back by {-passed_s} s during the "
                                "discipline: begin again when it is right")
        if self._stepped:
            self._stepped = False
            self._good_ns = now.host_ns
            nominal_s = (now.cycle - last.cycle) / self._core_hz
            rate = (passed_s / nominal_s - 1) * 1e9
            if abs(rate - self._drift) > (now.uncertainty_ns + last.uncertainty_ns) / passed_s:
                self._drift = self._limited(rate, self._max_ppb)
            large = abs(now.offset_ns) > self._step_ns
            return Correction(-now.offset_ns if large else 0, self._drift)

        # An offset has grown since the last good measurement. In ns a second, which are ppb.
        weight = min(self._uncertainties) / now.uncertainty_ns
        grown_s = (now.host_ns - self._good_ns) / 1e9
        if weight >= _GOOD:
            self._good_ns = now.host_ns
            agrees = abs(now.offset_ns) <= now.uncertainty_ns + _LOCK_NS
            self._agreed = self._agreed + 1 if agrees else 0
        drift = self._drift - self._integral * weight * now.offset_ns / grown_s
        rate = drift - self._proportional * weight * now.offset_ns / passed_s
        limited = self._limited(rate, self._max_ppb)
        if rate == limited:
            self._drift = drift
        return Correction(0, limited)

    @staticmethod
    def _limited(ppb: float, most: float) -> float:
        return max(-most, min(most, ppb))
