"""The gateware under cocotb between other people's XGMII source and sink, as an engine.

This module runs inside the simulator. :class:`CocotbEngine` does what
:class:`tickwire.sim.engine.Engine` does in this project's own process, so that host and replay
need not know which of the two they have. Its methods block and go through ``cocotb.task.bridge``.
"""

from __future__ import annotations

import logging
import os
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.task import bridge, resume
from cocotb.triggers import FallingEdge, Timer
from cocotb.utils import get_sim_time
from cocotbext.eth import XgmiiFrame, XgmiiSink, XgmiiSource
from numpy.typing import NDArray
from tickwire.sim.branch import Branch, fork, let_go, outcome, tell
from tickwire.sim.cocotb_board import CocotbBoard
from tickwire.sim.wire_words import PREAMBLE, WireFrame, WordReader

__all__ = ["CocotbEngine"]

T = TypeVar("T")

PERIOD = 6_400_000          # fs, which is the simulation's step: 156.25 MHz
BYTE = PERIOD // 8
RESET = 4                   # cycles, as in the native engine
LARGEST_GAP = 15            # bytes between frames that follow back to back (IEEE 802.3, 46.3.1.4)
WAVES = Path("dump.vcd")    # where cocotb's own main program writes waveforms


class CocotbEngine(CocotbBoard):
    """One gateware, reset and at cycle 0. :meth:`start` makes it.

    The source drives a word with one rising edge, and the gateware takes it with the next. That
    one is the word's cycle; ``cycles`` names the first cycle whose word can still be chosen.
    """

    name = "cocotb"

    @classmethod
    async def start(cls, dut: Any, *, event_records: int = 1 << 16) -> Self:
        """Start clocks, source and sink, and reset the gateware.

        Parameters
        ----------
        dut
            A :class:`tickwire.sim.leaf_ports.LeafPorts` of a top as the native engine wants it,
            simulated with a precision of 1 fs.
        event_records : int
            Records in the event ring.
        """
        for port in (dut.kill, dut.csr__read, dut.csr__write, dut.i_skip):
            port.value = 0
        dut.rx__valid.value = 1
        for clock in (dut.clk, dut.rx_clk):
            Clock(clock, PERIOD, unit="step").start()
        dut.rst.value = dut.rx_rst.value = 1
        engine = cls(dut, event_records=event_records)
        for _ in range(RESET):
            await FallingEdge(dut.clk)
        # The next rising edge is the reset's last. The source drives word 0 with it.
        engine._origin = get_sim_time("step") + PERIOD * 3 // 2
        cocotb.start_soon(engine._end_reset())
        return engine

    def __init__(self, dut: Any, *, event_records: int) -> None:
        super().__init__(dut, event_records=event_records)
        self._source = XgmiiSource(dut.rx__payload__data, dut.rx__payload__control, dut.rx_clk)
        self._sink = XgmiiSink(dut.tx__data, dut.tx__control, dut.clk)
        # One line of log a frame costs more than the simulation of the frame.
        for model in (self._source, self._sink):
            model.log.setLevel(logging.WARNING)
        self._origin = 0            # time in which word 0 is taken
        self._reader = WordReader()
        self._last_end: int | None = None
        self._misplaced = ""

    async def _end_reset(self) -> None:
        await FallingEdge(self.dut.clk)
        self.dut.rst.value = self.dut.rx_rst.value = 0

    @property
    def cycles(self) -> int:
        """Cycles since reset; skipped ones count as one."""
        return (get_sim_time("step") - self._origin + PERIOD * 3 // 2) // PERIOD

    def run(self, data: NDArray[np.uint64], control: NDArray[np.uint8],
            skips: NDArray[np.uint64]) -> None:
        """Play XGMII words, one a cycle, as the native engine does.

        The frames in them go through the source, which puts them where the words have them.

        Raises
        ------
        ValueError
            If there are frames that it cannot send: not whole, with a wrong FCS, or back to back
            with another gap than the standard's mean of 12 bytes.
        """
        resume(self._run)(data, control, skips)

    async def _run(self, data: NDArray[np.uint64], control: NDArray[np.uint8],
                   skips: NDArray[np.uint64]) -> None:
        at = 0
        for index, cycles in skips.tolist():
            await self._play(data[at:index], control[at:index])
            await self._skip(cycles)
            at = index
        await self._play(data[at:], control[at:])

    async def _play(self, data: NDArray[np.uint64], control: NDArray[np.uint8]) -> None:
        begin = self.cycles
        for frame in self._reader.feed(data, control, begin):
            if frame.start_cycle < begin or not (frame.intact and frame.fcs_good):
                raise ValueError(f"the frame in cycle {frame.start_cycle} is not whole, and "
                                 "XgmiiSource sends whole frames with a good FCS only")
            await self._until(frame.start_cycle)
            # Back to back the source chooses the lane by itself.
            alone = frame.gap is None or frame.gap > LARGEST_GAP
            self._source.force_offset_start = alone and frame.lane == 4
            self._source.send_nowait(XgmiiFrame.from_payload(
                frame.data, tx_complete=partial(self._check_place, frame)))
        await self._until(begin + len(data))
        if self._misplaced:
            raise ValueError(self._misplaced)

    def _check_place(self, wanted: WireFrame, sent: XgmiiFrame) -> None:
        """Is a frame that has been sent where it should be? Errors wait: here nobody asks."""
        # The source's time is that of the edge before; for the time of START see `_wire_frame`.
        end = self._byte_at(sent.sim_time_end + PERIOD)
        at = divmod(end + 1 - len(sent.data) + sent.start_lane, 8)
        if at != (wanted.start_cycle, wanted.lane) and not self._misplaced:
            self._misplaced = (
                f"XgmiiSource has put the frame of cycle {wanted.start_cycle}, lane "
                f"{wanted.lane} into cycle {at[0]}, lane {at[1]}: it knows the gap of 12 bytes "
                "with a deficit idle count only")

    async def _until(self, cycle: int) -> None:
        if cycle > self.cycles:
            await Timer((cycle - self.cycles) * PERIOD, "step")

    async def _skip(self, cycles: int) -> None:
        """Leap over idle cycles in the time of one.

        The wire has long been idle, so it does not matter that the gateware's clocks leap a cycle
        before the idle word of the leap is taken.
        """
        self.dut.i_skip.value = cycles - 1
        await Timer(PERIOD, "step")
        self.dut.i_skip.value = 0

    def idle(self, cycles: int) -> None:
        """Let idle cycles pass, each of them run."""
        resume(self._until)(self.cycles + cycles)

    def _byte_at(self, time: int) -> int:
        """Bytes on a wire from cycle 0 to a time in steps at which a word is taken."""
        return (time - self._origin) // BYTE

    def take_frames(self) -> list[WireFrame]:
        """Frames that have left since the last call."""
        frames = []
        while not self._sink.empty():
            frames.append(self._wire_frame(self._sink.recv_nowait()))
        return frames

    def _wire_frame(self, frame: XgmiiFrame) -> WireFrame:
        # The sink counts lanes by the time since its last edge. It sleeps while the wire is idle,
        # so that its time of a START after that is wrong; that of the end is not.
        broken = frame.ctrl is not None         # a control character, which the sink keeps
        content = bytes(frame.data)[:-1] if broken else bytes(frame.data)
        end = self._byte_at(frame.sim_time_end)
        start = end - len(content)
        gap = None if self._last_end is None else start - self._last_end
        self._last_end = end
        preamble, body = content[1:len(PREAMBLE)], content[len(PREAMBLE):]
        return WireFrame(
            start_cycle=start // 8, end_cycle=end // 8, lane=frame.start_lane, data=body[:-4],
            fcs_good=(len(body) >= 4
                      and zlib.crc32(body[:-4]) == int.from_bytes(body[-4:], "little")),
            intact=not broken and preamble == PREAMBLE[1:], gap=gap)

    def branch(self, action: Callable[[], T]) -> Branch[T]:
        """See :func:`tickwire.sim.branch.branch`; the copy of the simulator goes on by itself."""
        found: Branch[T] = resume(self._branch)(action)
        return found

    async def _branch(self, action: Callable[[], T]) -> Branch[T]:
        # Here, in the simulator's own thread: a copy of a process has only the thread that asked.
        found = fork()
        if isinstance(found, Branch):
            return found
        try:
            logging.disable(logging.CRITICAL)
            let_go(WAVES)
            tell(found, await bridge(outcome)(action))
        finally:
            os._exit(1)
