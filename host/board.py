"""What the host needs of a board, and the board that is a PCIe card."""

from __future__ import annotations

import mmap
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from tickwire.hdl.csr.register_table import BAR_BYTES
from tickwire.host.errors import BoardError, BusError

__all__ = ["Board", "PcieBoard"]


class Board(Protocol):
    """One gateway, however it is reached.

    Members
    -------
    ring : array of uint8
        Memory of the event ring, 64 bytes a record, the number of records a power of two; empty
        if the board has none.
    frame_ring : array of uint8
        Memory of the frame ring, slots of FRAME_SLOT bytes, a power of two of them; empty if the
        board has none.
    fresh : bool
        Nobody has written this board's tables since it was configured.
    """

    @property
    def ring(self) -> NDArray[np.uint8]: ...

    @property
    def frame_ring(self) -> NDArray[np.uint8]: ...

    @property
    def fresh(self) -> bool: ...

    def read32(self, offset: int) -> int:
        """Exactly one 4-byte read of BAR 0."""

    def write32(self, offset: int, value: int) -> None:
        """Exactly one 4-byte write of BAR 0."""

    def write_words(self, offset: int, values: Sequence[int]) -> None:
        """A 4-byte write of BAR 0 for each value, in order, from ``offset`` on."""

    def close(self) -> None:
        """Let the board go. It keeps what was configured."""


class PcieBoard:
    """A card behind Linux' sysfs: BAR 0 mapped from ``resource0``.

    Accesses go through a ``memoryview`` cast to 32-bit words: an item of it is one bus access,
    which neither ``struct`` nor a slice of a mapping is.

    Parameters
    ----------
    address : str
        PCI address, as ``0000:03:00.0``.
    root : Path
        Where the devices stand.

    Raises
    ------
    BoardError
        If there is no such device, its BAR 0 cannot be opened, or it is too small.
    """

    fresh = False

    def __init__(self, address: str, *, root: Path = Path("/sys/bus/pci/devices")) -> None:
        self.address = address
        self.ring: NDArray[np.uint8] = np.zeros(0, dtype=np.uint8)
        self.frame_ring: NDArray[np.uint8] = np.zeros(0, dtype=np.uint8)
        path = root / address / "resource0"
        if not path.exists():
            raise BoardError(f"There is no PCI device {address} with a BAR 0: {path} does not "
                             "exist. `lspci -D` lists the addresses.")
        try:
            file = os.open(path, os.O_RDWR | os.O_SYNC)
        except PermissionError:
            raise BoardError(f"{path} may not be opened: run as a user who owns it, or give it to "
                             "this one with chown.") from None
        try:
            size = os.fstat(file).st_size
            if size < BAR_BYTES:
                raise BoardError(f"BAR 0 of {address} has {size} bytes; a gateway has {BAR_BYTES}."
                                 " Is this the right device?")
            self._map = mmap.mmap(file, BAR_BYTES)
        finally:
            os.close(file)
        self._bytes = memoryview(self._map)
        self._words = self._bytes.cast("I")

    def read32(self, offset: int) -> int:
        value = self._words[offset >> 2]
        # A device that is gone or whose memory space is off answers every read with ones.
        if value == 0xFFFF_FFFF and self._words[0] == 0xFFFF_FFFF:
            raise BusError(f"The device {self.address} does not answer: it reads as all ones at "
                           f"{offset:#06x} and at 0. Is its memory space enabled, its link up?")
        return value

    def write32(self, offset: int, value: int) -> None:
        self._words[offset >> 2] = value

    def write_words(self, offset: int, values: Sequence[int]) -> None:
        # Item by item: a slice would be copied in pieces of any size.
        for place, value in enumerate(values, offset >> 2):
            self._words[place] = value

    def close(self) -> None:
        self._words.release()
        self._bytes.release()
        self._map.close()
