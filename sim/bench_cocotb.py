"""cocotb half of the benchmark: other people's XGMII source and sink around the gateway."""

import json
import time
from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles
from cocotb.utils import get_sim_time
from cocotbext.eth import XgmiiFrame, XgmiiSink, XgmiiSource
from tickwire.sim.capture import read_capture
from tickwire.sim.cocotb_runner import parameters

PERIOD_PS = 6400


@cocotb.test()
async def replay(dut):
    """Sends every frame of a capture back to back and writes how fast that went."""
    told = parameters()
    for clock in (dut.clk, dut.rx_clk):
        cocotb.start_soon(Clock(clock, PERIOD_PS, unit="ps").start())
    source = XgmiiSource(dut.rx__payload__data, dut.rx__payload__control, dut.rx_clk)
    XgmiiSink(dut.tx__data, dut.tx__control, dut.clk)
    dut.rx__valid.value = 1
    for name in told["low"]:
        getattr(dut, name).value = 0
    for reset in (dut.rst, dut.rx_rst):
        reset.value = 1
    await ClockCycles(dut.clk, 4)
    for reset in (dut.rst, dut.rx_rst):
        reset.value = 0
    frames = [packet.data for packet in read_capture(told["capture"])]
    began, first = time.perf_counter(), get_sim_time("ps")
    for frame in frames:
        await source.send(XgmiiFrame.from_payload(frame))
    await source.wait()
    seconds = time.perf_counter() - began
    cycles = (get_sim_time("ps") - first) // PERIOD_PS
    Path(told["result"]).write_text(json.dumps({"cycles": int(cycles), "seconds": seconds}))
