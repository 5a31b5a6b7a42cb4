"""What is fixed about the TCP engine when it is built."""

from dataclasses import dataclass, fields

from tickwire.hdl.tcp.connection import TIME_BITS
from tickwire.hdl.tcp.segment import LARGEST_SEGMENT, SESSION_BITS

__all__ = ["TcpParameters"]

_BOUNDS = {
    "sessions": (1, 1 << SESSION_BITS),
    "receive_buffer": (64, 4095),       # bytes; the window is never scaled
    "largest_message": (1, LARGEST_SEGMENT),
    "initial_rto": (1, 80_000),
    "least_rto": (1, 200_000),
    "most_rto": (1, 200_000),
    "two_msl": (1, (1 << TIME_BITS - 1) - 1),
    "keep_alive_interval": (1, (1 << TIME_BITS - 1) - 1),
    "keep_alive_probes": (1, 15),
    "challenges": (1, 255),
    "challenge_period": (1, 65_535),
    "isn_period": (1, 65_535),
}


@dataclass(frozen=True)
class TcpParameters:
    """Sizes, and times in ticks; the defaults are for a tick of 1 ms and a clock of 156.25 MHz.

    Raises
    ------
    ValueError
        If one of them is out of its bounds, or ``least_rto`` is above ``most_rto``.
    """

    sessions: int = 4
    receive_buffer: int = 2048          # bytes of a session
    largest_message: int = LARGEST_SEGMENT  # a smaller window is probed (RFC 9293, 3.8.6.1)
    initial_rto: int = 1000             # RFC 6298, 2.1
    least_rto: int = 1000               # RFC 6298, 2.4
    most_rto: int = 60_000              # RFC 6298, 2.5
    two_msl: int = 240_000              # RFC 9293, 3.4.2
    keep_alive_interval: int = 75_000   # between probes that nobody answers
    keep_alive_probes: int = 9          # without an answer; then the connection is over
    challenges: int = 10                # acknowledgements in a period (RFC 5961, 7)
    challenge_period: int = 5000
    isn_period: int = 625               # cycles in 4 us (RFC 9293, 3.4.1)

    def __post_init__(self):
        for field in fields(self):
            value, (least, most) = getattr(self, field.name), _BOUNDS[field.name]
            if not isinstance(value, int) or not least <= value <= most:
                raise ValueError(f"TcpParameters {field.name} must be from {least} to {most}, "
                                 f"not {value!r}")
        if self.least_rto > self.most_rto:
            raise ValueError(f"TcpParameters least_rto must not be above most_rto, but "
                             f"{self.least_rto} is above {self.most_rto}")
