"""cocotb half of a replay: one pass of a capture, inside the simulator.

The same :func:`tickwire.sim.replay.run_pass` as with the native engine, on another engine.
"""

import pickle
from pathlib import Path

import cocotb
from cocotb.task import bridge
from tickwire.sim.cocotb_engine import CocotbEngine
from tickwire.sim.cocotb_runner import parameters
from tickwire.sim.machine import RECORDS, EngineMachine
from tickwire.sim.replay import run_pass


@cocotb.test()
async def one_pass(dut):
    """Reads plan, rules and options, writes a PassResult; meanwhile the packet it has come to."""
    folder = Path(parameters()["folder"])
    plan, rules, options = pickle.loads((folder / "order.pickle").read_bytes())
    engine = await CocotbEngine.start(dut, event_records=RECORDS)

    def progress(packet):
        (folder / "progress").write_text(str(packet))

    def blocking():
        return run_pass(EngineMachine(engine), plan, rules, options, progress)

    (folder / "result.pickle").write_bytes(pickle.dumps(await bridge(blocking)()))
