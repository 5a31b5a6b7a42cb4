"""cocotb half of test_cocotb_engine.py: what the source cannot send is refused."""

import cocotb
from cocotb.task import bridge
from tickwire.sim.cocotb_engine import CocotbEngine
from tickwire.sim.wire_words import frames_to_words

FRAMES = [bytes(range(60 + n)) for n in range(8)]


async def refusal(dut, chunk):
    """What the engine says to these words."""
    engine = await CocotbEngine.start(dut, event_records=64)
    try:
        await bridge(engine.run)(chunk.data, chunk.control, chunk.skips)
    except ValueError as error:
        return str(error)
    raise AssertionError("the words were played")


@cocotb.test()
async def another_gap_is_refused(dut):
    told = await refusal(dut, frames_to_words(FRAMES, gap=5))
    assert "the frame of cycle 26, lane 0 into cycle 26, lane 4: it knows" in told, told


@cocotb.test()
async def a_wrong_fcs_is_refused(dut):
    chunk = frames_to_words(FRAMES[:1])
    chunk.data[int(chunk.frames["start_word"][0]) + 3] ^= 1
    assert "is not whole" in await refusal(dut, chunk)


@cocotb.test()
async def a_frame_whose_start_was_in_older_words_is_refused(dut):
    chunk = frames_to_words(FRAMES[:1])
    cut = int(chunk.frames["start_word"][0]) + 3
    engine = await CocotbEngine.start(dut, event_records=64)
    await bridge(engine.run)(chunk.data[:cut], chunk.control[:cut], chunk.skips)
    try:
        await bridge(engine.run)(chunk.data[cut:], chunk.control[cut:], chunk.skips)
    except ValueError as error:
        assert "is not whole" in str(error)
    else:
        raise AssertionError("half a frame was played")
