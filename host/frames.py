"""The frame ring: received frames that no hardware took, without a copy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tickwire.gateware.records import FRAME_HEADER, FRAME_HEADER_BYTES
from tickwire.host.errors import BoardError
from tickwire.host.registers import Registers

__all__ = ["Frame", "Frames", "HEADER"]

_MODULO = 0xFFFF_FFFF

#: What stands in a slot before the frame.
HEADER: np.dtype[Any] = np.dtype([(part.name, f"<u{part.width // 8}") for part in FRAME_HEADER])


@dataclass(frozen=True, slots=True)
class Frame:
    """A received frame.

    Members
    -------
    cycle : int
        Cycle in which it left for the ring.
    data : array of uint8
        From the destination address on, without FCS: a view into the ring. ``bytes(frame.data)``
        makes a copy.
    """

    cycle: int
    data: NDArray[np.uint8]


class Frames:
    """Reader of one board's frame ring.

    The gateway fills slots from the first :meth:`poll` on. When all of them wait to be taken it
    drops frames, which the counter HOST_RECEIVE_NO_ROOM says; a frame in the ring is never
    overwritten.

    Parameters
    ----------
    ring : array of uint8
        The ring's memory.
    registers : Registers
    slot : int
        Bytes of a slot.
    """

    def __init__(self, ring: NDArray[np.uint8], registers: Registers, slot: int) -> None:
        if len(ring) % slot:
            raise BoardError(f"The board's frame ring has {len(ring)} bytes, which is no multiple "
                             f"of FRAME_SLOT, {slot}: open it with another frame_slot.")
        self._registers = registers
        self._slots = ring.reshape(-1, slot)
        self._headers: NDArray[Any] = self._slots[:, :FRAME_HEADER_BYTES].view(HEADER)[:, 0]
        self._phases = self._headers["phase"]
        self._count = len(self._slots)
        self._next = self._told = 0
        self._listens = False

    def poll(self, most: int = 64) -> list[Frame]:
        """Frames that have come, at most ``most``, oldest first.

        Their data are good until the next call, which gives their slots back to the gateway.
        """
        if not self._count:
            return []
        if not self._listens:
            self._listens = True
            self._next = self._told = self._registers.read("FRAMES_CONSUMED")
            self._registers.write("FRAME_RING", self._count)
        place = self._next % self._count
        # The first round's phase is 1, the second one's 0, and so on.
        phase = self._next // self._count & 1 ^ 1
        other = self._phases[place:place + most] != phase
        ready = int(other.argmax()) if other.any() else len(other)
        self._release(waiting=ready > 0)
        found = [Frame(int(self._headers["cycle"][at]),
                       self._slots[at, FRAME_HEADER_BYTES:
                                   FRAME_HEADER_BYTES + int(self._headers["length"][at])])
                 for at in range(place, place + ready)]
        self._next = self._next + ready & _MODULO
        return found

    def _release(self, *, waiting: bool) -> None:
        """Tell the gateway what was taken: seldom while there is more to read."""
        taken = self._next - self._told & _MODULO
        if taken and (not waiting or taken >= self._count // 16):
            self._registers.write("FRAMES_CONSUMED", self._next)
            self._told = self._next
