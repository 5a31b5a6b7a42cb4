"""The cocotb runner builds once, passes and fails, and knows where a struct's fields are."""

import shutil
from pathlib import Path

import pytest
from amaranth.hdl import Module
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from tickwire.hdl.mac.frame import FrameEnd
from tickwire.hdl.stream.packet import Packet, strobe
from tickwire.sim import cocotb_runner

HERE = Path(__file__).parent


class Loop(wiring.Component):
    """One register between XGMII in and out, and one for a struct. Latency: 1 cycle."""

    def __init__(self):
        word = wiring.Signature({"data": Out(64), "control": Out(8)})
        super().__init__({
            "i": In(word), "o": Out(word),
            "i_end": In(strobe(FrameEnd)), "o_end": Out(strobe(FrameEnd)),
        })

    def elaborate(self, platform):
        m = Module()
        m.d.sync += [self.o.data.eq(self.i.data), self.o.control.eq(self.i.control),
                     self.o_end.payload.eq(self.i_end.payload),
                     self.o_end.valid.eq(self.i_end.valid)]
        return m


def run(name="runner", module="cocotb_xgmii_loop", **more):
    return cocotb_runner.run(Loop(), HERE / f"{module}.py", name=name, **more)


def test_frames_pass_and_the_second_run_does_not_build():
    first = run(parameters={"longest": 1514 % 256})
    binary = first.parent / "top"
    built = binary.stat().st_mtime_ns
    second = run(parameters={"longest": 100})
    assert second.parent == first.parent
    assert binary.stat().st_mtime_ns == built
    assert 'name="frames_come_out_as_they_went_in"' in (second / "results.xml").read_text()


def test_a_failing_cocotb_test_fails_here_with_its_log():
    with pytest.raises(cocotb_runner.CocotbError,
                       match="(?s)structs_are_packed.*the log is .*assert") as caught:
        run(parameters={"longest": 60, "wrong": 1})
    assert "frames_come_out_as_they_went_in," not in str(caught.value)


def test_a_module_without_tests_fails():
    with pytest.raises(cocotb_runner.CocotbError, match="no test ran"):
        run(module="cocotb_empty")


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="iverilog is not installed")
def test_icarus():
    run(simulator="icarus", parameters={"longest": 60})


def test_an_unknown_simulator_is_refused():
    with pytest.raises(ValueError, match="must be 'verilator' or 'icarus', not 'vcs'"):
        cocotb_runner.run(None, "none", name="none", simulator="vcs")
    with pytest.raises(ValueError, match="Waves come from Verilator only"):
        cocotb_runner.run(None, "none", name="none", simulator="icarus", waves=True)


class Nested(data.Struct):
    low: 3
    ends: data.ArrayLayout(FrameEnd, 2)


def test_fields_of_a_struct():
    assert cocotb_runner.fields(Packet(8)) == {
        "data": (0, 64), "begin": (64, 3), "end": (67, 4), "first": (71, 1), "last": (72, 1)}
    assert cocotb_runner.fields(Nested)["ends.1.length"] == (3 + 19 + 5, 14)
    vector = cocotb_runner.pack(Nested, ends__1__length=0x3fff, low=5)
    assert vector == 0x3fff << 27 | 5
    assert cocotb_runner.unpack(Nested, vector)["ends.1.length"] == 0x3fff


def test_a_wrong_field_or_value_is_refused():
    with pytest.raises(KeyError, match="size is not a field"):
        cocotb_runner.pack(FrameEnd, size=1)
    with pytest.raises(ValueError, match="length has 14 bits, 16384 does not fit"):
        cocotb_runner.pack(FrameEnd, length=1 << 14)
