# amaranth: UnusedElaboratable=no
"""The benchmark plays the same frames through both engines and counts the same cycles."""

import json

import pytest
from amaranth.hdl import Module
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from tickwire.hdl.mac.frame import FrameEnd
from tickwire.hdl.stream.packet import strobe
from tickwire.sim.bench import bench
from tickwire.sim.bench_rooms import ROOMS, measure, write_page
from tickwire.sim.build_tools import component_ports
from tickwire.sim.leaf_ports import LeafPorts
from tickwire.sim.toy_gateway import ToyGateway


class Ends(wiring.Component):
    """Ports with structs in them. Latency: 1 cycle."""

    def __init__(self):
        super().__init__({"i": In(strobe(FrameEnd)), "o": Out(data.ArrayLayout(FrameEnd, 2)),
                          "plain": Out(3)})

    def elaborate(self, platform):
        m = Module()
        m.d.sync += [self.o[1].eq(self.i.payload), self.plain.eq(self.i.valid)]
        return m


def test_every_field_has_a_port_of_its_own():
    ports = {name: (len(signal), direction.value)
             for name, (signal, direction) in component_ports(LeafPorts(Ends())).items()}
    assert ports["i__payload__length"] == (14, "input")
    assert ports["i__valid"] == (1, "input")
    assert ports["o__1__runt"] == (1, "output")
    assert ports["plain"] == (3, "output")
    assert len(ports) == 6 + 1 + 2 * 6 + 1


def test_both_engines_play_the_same_frames(tmp_path):
    result = bench(ToyGateway, packets=40, folder=tmp_path)
    assert json.loads(json.dumps(result)) == result
    assert result["packets"] == 40
    assert result["native"]["cycles"] >= 1_000_000
    # At 10G without a pause, 40 packets of some 60 to 1,300 bytes.
    assert 40 * 9 < result["cocotb"]["cycles"] < 40 * 180
    assert result["ratio"] > 0


def test_a_room_is_routed_and_has_its_row(tmp_path):
    (row,) = measure(("FrameQueue",), seeds=1, root=tmp_path / "rooms")
    assert row["fmax_mhz"] > 50 and row["block_rams"] > 0
    assert 0 < row["flip_flops"] < 1000 and 0 < row["luts"] < 1000
    write_page([row], tmp_path / "rooms.md", seeds=1)
    table = [line for line in (tmp_path / "rooms.md").read_text().splitlines() if "|" in line]
    assert len(table) == 3 and table[2].startswith(f"| FrameQueue | {row['luts']} | ")


def test_unknown_room():
    with pytest.raises(ValueError, match="no room 'Kitchen'.*choose from MacReceive, MacTransmit"):
        measure(("Kitchen",))
    assert list(ROOMS)[0] == "MacReceive"
