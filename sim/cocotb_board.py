"""A gateway in a cocotb simulation as the host package sees a board.

This module runs inside the simulator. The host package's calls block, so they go through
``cocotb.task.bridge``: while they wait for the board, time passes in the simulation.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import cocotb
import numpy as np
from cocotb.task import resume
from cocotb.triggers import FallingEdge, RisingEdge
from numpy.typing import NDArray
from tickwire.gateware.records import RECORD_BYTES
from tickwire.host.errors import BusError

__all__ = ["CocotbBoard"]

PATIENCE = 10_000           # cycles until an access has failed


class CocotbBoard:
    """Register bus and event ring of a :class:`tickwire.sim.leaf_ports.LeafPorts` of a gateway.

    It has no frame ring.

    Parameters
    ----------
    dut
        The simulation's top, whose clocks run.
    event_records : int
        Records in the ring, a power of two.
    fresh : bool
        Nobody has written this gateware's tables yet.
    """

    def __init__(self, dut: Any, *, event_records: int, fresh: bool = True) -> None:
        self.dut, self.fresh = dut, fresh
        self.ring: NDArray[np.uint8] = np.zeros(event_records * RECORD_BYTES, dtype=np.uint8)
        self.frame_ring: NDArray[np.uint8] = np.zeros(0, dtype=np.uint8)
        self.events = 0             # records written into the ring so far
        cocotb.start_soon(self._fill_ring())

    def read32(self, offset: int) -> int:
        """One bus access. BusError if it is not acknowledged."""
        value: int = resume(self._access)(offset)
        return value

    def write32(self, offset: int, value: int) -> None:
        """One bus access. BusError if it is not acknowledged."""
        self.fresh = False
        resume(self._access)(offset, value)

    def write_words(self, offset: int, values: Sequence[int]) -> None:
        """A bus access for each value. BusError if one is not acknowledged."""
        for number, value in enumerate(values):
            self.write32(offset + 4 * number, value)

    def close(self) -> None:
        """The simulation ends with its test."""

    async def _access(self, offset: int, value: int | None = None) -> int:
        dut = self.dut
        strobe = dut.csr__read if value is None else dut.csr__write
        await FallingEdge(dut.clk)
        dut.csr__address.value = offset >> 2
        dut.csr__write_data.value = value or 0
        strobe.value = 1
        await FallingEdge(dut.clk)
        strobe.value = 0
        for _ in range(PATIENCE):
            if int(dut.csr__acknowledge.value):
                return int(dut.csr__read_data.value)
            await FallingEdge(dut.clk)
        raise BusError(f"The bus did not answer an access to BAR offset {offset:#06x}: the "
                       "register bank is not clocked or not connected.")

    async def _fill_ring(self) -> None:
        """Writes records as a DMA engine does: the phase comes last."""
        dut = self.dut
        words: list[int] = []
        records = len(self.ring) // RECORD_BYTES
        while True:
            if not int(dut.o_event__valid.value):
                await RisingEdge(dut.o_event__valid)
            await FallingEdge(dut.clk)
            if not int(dut.o_event__valid.value):
                continue
            assert int(dut.o_event__payload__first.value) == (not words)
            words.append(int(dut.o_event__payload__word.value))
            if len(words) == RECORD_BYTES // 8:
                slot = self.ring[self.events % records * RECORD_BYTES:][:RECORD_BYTES]
                slot[:-1] = np.frombuffer(struct.pack("<8Q", *words), np.uint8)[:-1]
                slot[-1] = self.events // records & 1 ^ 1
                self.events, words = self.events + 1, []
