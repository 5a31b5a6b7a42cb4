"""cocotb half of test_cocotb_runner.py: frames pass a register between XGMII source and sink."""

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.eth import XgmiiFrame, XgmiiSink, XgmiiSource
from tickwire.hdl.mac.frame import FrameEnd
from tickwire.sim.cocotb_runner import pack, parameters, unpack


async def start(dut):
    cocotb.start_soon(Clock(dut.clk, 6400, unit="ps").start())
    dut.rst.value = 1
    await ClockCycles(dut.clk, 2)
    dut.rst.value = 0


@cocotb.test()
async def frames_come_out_as_they_went_in(dut):
    source = XgmiiSource(dut.i__data, dut.i__control, dut.clk, dut.rst)
    sink = XgmiiSink(dut.o__data, dut.o__control, dut.clk, dut.rst)
    await start(dut)
    frames = [bytes(range(length)) for length in (60, 61, parameters()["longest"])]
    for frame in frames:
        await source.send(XgmiiFrame.from_payload(frame))
    for frame in frames:
        got = await sink.recv()
        assert got.check_fcs()
        assert got.get_payload() == frame


@cocotb.test()
async def structs_are_packed_and_unpacked(dut):
    await start(dut)
    dut.i_end__payload.value = pack(FrameEnd, fcs_error=1, length=99)
    dut.i_end__valid.value = 1
    await RisingEdge(dut.clk)
    await RisingEdge(dut.clk)
    found = unpack(FrameEnd, int(dut.o_end__payload.value))
    assert found["length"] == 99 + parameters().get("wrong", 0)
    assert found["fcs_error"] == 1
    assert found["good"] == 0
