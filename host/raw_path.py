"""An interface of the kernel on the gateway's port: frames from the ring to it, and back."""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from dataclasses import dataclass

from tickwire.host.gateway import Gateway
from tickwire.host.tap import Tap

__all__ = ["RawPath", "Carried"]

_LONGEST = 1514         # bytes that the gateway sends without FCS
_SHORTEST = 14
_ROOM = 65536           # bytes of any frame that a TAP device gives
_WAIT_MS = 1            # how long a frame in the ring may wait when nothing else happens


@dataclass
class Carried:
    """Frames that went through, and those that were dropped on the way.

    Members
    -------
    to_host, from_host : int
    not_taken : int
        The kernel did not take them: the interface is down.
    wrong_length : int
        Longer or shorter than the gateway sends.
    """

    to_host: int = 0
    from_host: int = 0
    not_taken: int = 0
    wrong_length: int = 0


class RawPath:
    """Joins a TAP device to a gateway's raw path.

    The station address becomes the interface's, so that the interface gets the frames that are
    for it; frames that hardware takes do not come, whatever their address. Frames from the kernel
    wait in the TAP device while the gateway's queue is full; the kernel drops what does not fit
    there.

    Parameters
    ----------
    gateway : Gateway
    tap : Tap
        It is up.
    promiscuous : bool
        The interface gets frames for other stations too.
    """

    def __init__(self, gateway: Gateway, tap: Tap, *, promiscuous: bool = False) -> None:
        self._gateway, self._tap = gateway, tap
        self.carried = Carried()
        self._waiting: bytes | None = None      # a frame for which the gateway has no room yet
        gateway.network.station = tap.mac
        # Which groups the kernel has joined it looks up itself.
        gateway.network.all_groups()
        gateway.network.receive(promiscuous=promiscuous)
        gateway.frames.poll(0)

    def run(self, ended: Callable[[], bool]) -> None:
        """Carry frames until ``ended`` says so. It is asked a thousand times a second or more."""
        poll = select.poll()
        poll.register(self._tap.file, select.POLLIN)
        while not ended():
            busy = self._receive()
            busy |= self._send()
            if not busy:
                poll.poll(_WAIT_MS)

    def _receive(self) -> bool:
        frames = self._gateway.frames.poll()
        for frame in frames:
            try:
                os.write(self._tap.file, frame.data.data)
                self.carried.to_host += 1
            except OSError:
                self.carried.not_taken += 1
        return bool(frames)

    def _send(self) -> bool:
        if self._waiting is None:
            try:
                self._waiting = os.read(self._tap.file, _ROOM)
            except BlockingIOError:
                return False
            if not _SHORTEST <= len(self._waiting) <= _LONGEST:
                self.carried.wrong_length += 1
                self._waiting = None
                return True
        if self._gateway.frame_room:
            self._gateway.send_frame(self._waiting)
            self.carried.from_host += 1
            self._waiting = None
        return True
