"""The frame ring: received frames that no hardware took, and what TCP sessions have received,
without a copy."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tickwire.gateware.records import FRAME_HEADER, FRAME_HEADER_BYTES
from tickwire.host.errors import BoardError
from tickwire.host.registers import Registers

__all__ = ["Frame", "Frames", "HEADER"]

_MODULO = 0xFFFF_FFFF
_AT_A_TIME = 64         # slots that are looked at
_RAW = 0                # source of a received frame; session n's is n + 1

#: What stands in a slot before the frame.
HEADER: np.dtype[Any] = np.dtype([(part.name, f"<u{part.width // 8}") for part in FRAME_HEADER])


@dataclass(frozen=True, slots=True)
class Frame:
    """A received frame, or bytes that a TCP session has received.

    Members
    -------
    cycle : int
        Cycle in which it left for the ring.
    data : array of uint8
        From the destination address on, without FCS; or the bytes. A view into the ring:
        ``bytes(frame.data)`` makes a copy.
    """

    cycle: int
    data: NDArray[np.uint8]


class Frames:
    """Reader of one board's frame ring.

    The gateway fills slots from the first :meth:`poll` or :meth:`received` on. When all of them
    wait to be taken it drops frames, which the counter HOST_RECEIVE_NO_ROOM says, and lets TCP's
    peers wait; what is in the ring is never overwritten. Slots go back to the gateway in the
    order in which they were filled: who reads one kind only must read on, and frames that nobody
    has ever polled for are given back unread.

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
        # Slots that were seen, by source, as numbers that do not wrap; and what was handed out
        self._waiting: dict[int, deque[int]] = {}
        self._lent: dict[int, list[int]] = {}
        self._back: set[int] = set()        # given back, but not the oldest
        self._oldest = 0                    # of those that are not given back

    def poll(self, most: int = 64) -> list[Frame]:
        """Received frames, at most ``most``, oldest first.

        Their data are good until the next call, which gives their slots back to the gateway.
        """
        self._waiting.setdefault(_RAW, deque())
        return self._take(_RAW, most)

    def received(self, session: int, most: int = 64) -> list[Frame]:
        """Pieces of what a TCP session has received, in order, at most ``most`` of them.

        Their data are good until the next call for this session.
        """
        return self._take(session + 1, most)

    def _take(self, source: int, most: int) -> list[Frame]:
        if not self._count:
            return []
        self._give_back(self._lent.pop(source, []))
        waiting = self._waiting.setdefault(source, deque())
        while len(waiting) < most and self._look():
            pass
        taken = [waiting.popleft() for _ in range(min(most, len(waiting)))]
        self._lent[source] = taken
        self._release(waiting=bool(taken))
        return [self._frame(number % self._count) for number in taken]

    def _frame(self, at: int) -> Frame:
        length = int(self._headers["length"][at])
        return Frame(int(self._headers["cycle"][at]),
                     self._slots[at, FRAME_HEADER_BYTES:FRAME_HEADER_BYTES + length])

    def _look(self) -> int:
        """Sort what has come since the last look by its source; tells how much it was."""
        if not self._listens:
            self._listens = True
            self._next = self._told = self._oldest = self._registers.read("FRAMES_CONSUMED")
            self._registers.write("FRAME_RING", self._count)
        place = self._next % self._count
        # The first round's phase is 1, the second one's 0, and so on.
        phase = self._next // self._count & 1 ^ 1
        other = self._phases[place:place + _AT_A_TIME] != phase
        ready = int(other.argmax()) if other.any() else len(other)
        for number in range(self._next, self._next + ready):
            source = int(self._headers["source"][number % self._count])
            if source == _RAW and _RAW not in self._waiting:
                self._give_back([number])
            else:
                self._waiting.setdefault(source, deque()).append(number)
        self._next += ready
        return ready

    def _give_back(self, numbers: list[int]) -> None:
        self._back.update(numbers)
        while self._oldest in self._back:
            self._back.remove(self._oldest)
            self._oldest += 1

    def _release(self, *, waiting: bool) -> None:
        """Tell the gateway what was taken: seldom while there is more to read."""
        taken = self._oldest - self._told
        if taken and (not waiting or taken >= self._count // 16):
            self._registers.write("FRAMES_CONSUMED", self._oldest & _MODULO)
            self._told = self._oldest
