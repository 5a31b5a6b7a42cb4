"""What can be chosen when a gateway is built."""

from dataclasses import dataclass

from .records import FRAME_HEADER_BYTES

__all__ = ["GatewayConfig"]


@dataclass(frozen=True, kw_only=True)
class GatewayConfig:
    """Sizes of one gateway. Every field changes hardware; run-time settings are registers.

    Raises
    ------
    ValueError
        If a size is not supported, with the field, the value and what is allowed.
    """

    lanes: int = 8              # bytes in a beat
    instruments: int = 128      # dense indices, 7 bits
    levels: int = 64            # a side
    row_levels: int = 4         # levels that one book memory row holds
    subscriptions: int = 64     # (group, port) pairs
    channels: int = 64          # dense channel indices, 6 bits
    level_queue: int = 512      # level changes that wait for the book
    max_frame: int = 1518       # bytes with FCS, without VLAN tag
    frame_slot: int = 2048      # bytes of a slot of the host's frame ring
    tcp_sessions: int = 4       # connections at a time, 1 to 64
    tcp_largest: int = 1460     # bytes of a message in one segment
    core_hz: int = 156_250_000  # rate of the core clock in simulation
    pps: bool = False           # a pin for a pulse per second, whose edges are stamped
    skips: bool = False         # simulation: the clocks can leap over idle time

    def __post_init__(self):
        for name in ("lanes", "instruments", "levels", "row_levels", "subscriptions", "channels",
                     "level_queue", "frame_slot"):
            value = getattr(self, name)
            if value < 1 or value & (value - 1):
                raise ValueError(f"GatewayConfig.{name} must be a power of two, not {value}")
        if self.lanes != 8:
            raise ValueError(f"GatewayConfig.lanes must be 8, not {self.lanes}: narrower beats "
                             "have no decoder yet")
        if self.instruments > 128:
            raise ValueError(f"GatewayConfig.instruments must be at most 128, "
                             f"not {self.instruments}")
        if self.frame_slot < self.max_frame + FRAME_HEADER_BYTES:
            raise ValueError(f"GatewayConfig.frame_slot must hold a frame of max_frame "
                             f"({self.max_frame}) bytes with tags and a header, "
                             f"not {self.frame_slot}")
        if not 1 <= self.tcp_sessions <= 64:
            raise ValueError(f"GatewayConfig.tcp_sessions must be 1 to 64, not "
                             f"{self.tcp_sessions}")
        if self.tcp_largest != 1460:
            raise ValueError("GatewayConfig.tcp_largest must be 1460, what a frame holds, "
                             f"not {self.tcp_largest}")
        if not self.row_levels <= self.levels:
            raise ValueError(f"GatewayConfig.row_levels must be at most levels ({self.levels}), "
                             f"not {self.row_levels}")
