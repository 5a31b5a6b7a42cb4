"""cocotb half of the benchmark: other people's XGMII source and sink around the gateway."""

import json
import time
from pathlib import Path

import cocotb
import numpy as np
from cocotb.task import bridge
from tickwire.sim.cocotb_engine import CocotbEngine
from tickwire.sim.cocotb_runner import parameters


@cocotb.test()
async def replay(dut):
    """Sends every frame in some words back to back and writes how fast that went."""
    told = parameters()
    words = np.load(told["words"])
    data, control = words["data"], words["control"]
    engine = await CocotbEngine.start(dut)
    began, first = time.perf_counter(), engine.cycles
    await bridge(engine.run)(data, control, np.zeros((0, 2), np.uint64))
    seconds = time.perf_counter() - began
    Path(told["result"]).write_text(json.dumps(
        {"cycles": engine.cycles - first, "seconds": seconds}))
