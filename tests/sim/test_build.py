# amaranth: UnusedElaboratable=no
"""A component is routed in its ring, and routed again only when its netlist has changed."""

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out
from tickwire.sim.build import Part, build_core, free_collisions, prepare
from tickwire.sim.build_ring import Ring
from tickwire.sim.build_tools import to_rtlil

PART = Part("LFE5UM5G-25F-8")


class Adder(wiring.Component):
    """Sum of two registered words behind a module of its own. Latency: 1 cycle."""

    a: In(24)
    b: In(24)
    o: Out(24)

    def elaborate(self, platform):
        m = Module()
        m.d.sync += self.o.eq(self.a + self.b)
        return m


class TwoClocks(wiring.Component):
    """An adder and a block RAM in `sync`, a counter of strobes in `rx`."""

    a: In(24)
    o: Out(24)
    i: In(1)
    o_count: Out(8)

    port_domains = {"i": "rx", "o_count": "rx"}

    def elaborate(self, platform):
        m = Module()
        m.submodules.adder = adder = Adder()
        m.submodules.deep = deep = memory.Memory(
            shape=24, depth=512, init=[], attrs={"no_rw_check": 1})
        write, read = deep.write_port(), deep.read_port()
        address = Signal(9)
        m.d.sync += address.eq(address + 1)
        m.d.comb += [write.addr.eq(address), write.data.eq(self.a), write.en.eq(1),
                     read.addr.eq(address + 7), adder.a.eq(self.a), adder.b.eq(read.data),
                     self.o.eq(adder.o)]
        with m.If(self.i):
            m.d.rx += self.o_count.eq(self.o_count + 1)
        return m


@pytest.fixture(scope="module")
def routed(tmp_path_factory):
    root = tmp_path_factory.mktemp("core")
    phases = []
    core = prepare(TwoClocks(), PART, config={"width": 24})
    return core, root, build_core(core, seeds=(1, 2), root=root, progress=phases.append), phases


def test_the_result_tells_speed_size_and_paths_by_our_names(routed):
    core, _, timing, phases = routed
    assert timing["part"] == "LFE5UM5G-25F-8"
    assert timing["config"] == {"width": 24}
    assert timing["netlist"] == core.key
    assert [run["seed"] for run in timing["seeds"]] == [1, 2]
    for clock in ("sync", "rx"):
        values = sorted(run["fmax_mhz"][clock] for run in timing["seeds"])
        assert values[0] <= timing["fmax_mhz_median"][clock] <= values[1]
        assert 50 < values[0] < 1000
    assert timing["cells"]["block_rams"] == {"used": 1, "available": 56}
    # The core's own registers are 24 + 9 + 8, all others belong to the ring.
    ring = 24 + 2 * 24 + 1 + 2 * 8 + 2
    assert timing["cells"]["flip_flops"]["used"] == 24 + 9 + 8 + ring
    assert timing["cells"]["ring_flip_flops"] == ring
    sync = next(path for path in timing["worst_paths"] if path["clock"] == "sync")
    assert sync["to"].startswith("core.")
    assert any(module.startswith("core") for module in sync["modules"])
    assert sync["delay_ns"] == pytest.approx(1000 / timing["seeds"][0]["fmax_mhz"]["sync"],
                                             abs=0.05)
    assert phases[0] == "synthesise"
    assert "seed 2: route" in phases


def test_an_unchanged_netlist_is_read_not_routed(routed):
    core, root, timing, _ = routed
    phases = []
    again = prepare(TwoClocks(), PART, config={"width": 24})
    assert again.key == core.key
    assert build_core(again, seeds=(1, 2), root=root, progress=phases.append) == timing
    assert phases == []


def test_another_netlist_or_part_has_another_key(routed):
    core = routed[0]
    assert prepare(Adder(), PART).key != core.key
    assert prepare(TwoClocks(), Part("LFE5UM5G-45F-8")).key != core.key


def test_the_netlist_does_not_depend_on_the_process():
    code = ("from test_build import *; print(prepare(TwoClocks(), PART).key)")
    keys = {subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True,
                           env={**os.environ, "PYTHONHASHSEED": seed,
                                "PYTHONPATH": os.path.dirname(__file__)}).stdout
            for seed in ("1", "2")}
    assert len(keys) == 1


class Plain(wiring.Component):
    """A memory whose owner did say nothing of collisions."""

    i: In(9)
    o: Out(8)

    def __init__(self, **more):
        self.more = more
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        m.submodules.deep = deep = memory.Memory(shape=8, depth=512, init=[], **self.more)
        write, read = deep.write_port(), deep.read_port()
        m.d.comb += [write.addr.eq(self.i), write.data.eq(self.i), write.en.eq(1),
                     read.addr.eq(self.i), self.o.eq(read.data)]
        return m


def test_only_a_marked_memory_may_return_anything_on_a_collision():
    marked = to_rtlil(Plain(attrs={"no_rw_check": 1, "other": 1}))
    plain = to_rtlil(Plain())
    changed = [(before.strip(), after.strip()) for before, after in
               zip(marked.splitlines(), free_collisions(marked).splitlines(), strict=True)
               if before != after]
    assert changed == [("parameter \\COLLISION_X_MASK 1'0", "parameter \\COLLISION_X_MASK 1'1")]
    assert free_collisions(plain) == plain


def test_timing_is_json(routed):
    assert json.loads(json.dumps(routed[2])) == routed[2]


@pytest.mark.parametrize("name", ["XC7K325T", "LFE5UM5G-85F-6", "LFE5UM5G-85F", "LFE5U-12F-8"])
def test_an_unknown_part_is_refused(name):
    with pytest.raises(ValueError, match=f"The part '{name}' is not known: give an ECP5 as "):
        Part(name)


@pytest.mark.parametrize("name, options", [
    ("LFE5UM5G-85F-8", ["--um5g-85k", "--package", "CABGA756", "--speed", "8"]),
    ("LFE5U-25F-6", ["--25k", "--package", "CABGA381", "--speed", "6"]),
    ("LFE5UM-45F-7", ["--um-45k", "--package", "CABGA554", "--speed", "7"]),
])
def test_what_the_router_is_told_of_a_part(name, options):
    assert Part(name).options == options


def test_no_seed_is_refused(routed):
    with pytest.raises(ValueError, match="At least one seed"):
        build_core(routed[0], seeds=(), root=routed[1])


def test_a_domain_of_a_port_that_is_not_there_is_refused():
    core = SimpleNamespace(signature=wiring.Signature({"a": In(1), "o": Out(1)}))
    with pytest.raises(ValueError, match="domains of nowhere, but the core has no such port: "
                                         "it has a, o"):
        Ring(core, {"nowhere": "rx"})
