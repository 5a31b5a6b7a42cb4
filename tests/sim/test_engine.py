# amaranth: UnusedElaboratable=no
"""The native engine: words, bus accesses, events, skipped time; built once."""

import ctypes

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In
from tickwire.gateware.records import BOOK
from tickwire.gateware.registers import MAGIC, REGISTERS
from tickwire.host.errors import BusError
from tickwire.sim.engine import Engine
from tickwire.sim.engine_build import build_library
from tickwire.sim.toy_gateway import ToyGateway

IDLE = 0x0707070707070707
START = 0xD5555555555555FB


@pytest.fixture(scope="module")
def library():
    return build_library(ToyGateway())


def test_libraries_share_no_objects(library):
    """What is unique for a whole process, by its mark in the symbol table, would be shared."""
    shown = ctypes.CDLL(str(library))
    assert hasattr(shown, "tickwire_create")
    assert not hasattr(shown, "_ZZN12VerilatedImp1sEvE3s_s")    # VerilatedImp::s()::s_s


@pytest.fixture
def engine(library):
    with Engine(library) as engine:
        engine.idle(4)
        engine.take_tx()
        yield engine


def read(engine, name):
    return engine.read32(REGISTERS.offset(name))


def read_wide(engine, name):
    return read(engine, name) | engine.read32(REGISTERS.offset(name) + 4) << 32


def idle_words(count):
    return np.full(count, IDLE, np.uint64), np.full(count, 0xFF, np.uint8)


def words_with_starts(count, places):
    data, control = idle_words(count)
    data[places], control[places] = START, 1
    return data, control


def test_words_come_out_as_they_went_in_two_cycles_later(engine):
    rng = np.random.default_rng(1)
    data = rng.integers(0, 1 << 63, 500, dtype=np.uint64) * 2 + 1
    control = rng.integers(0, 255, 500, dtype=np.uint8)
    first = engine.cycles
    engine.run(data, control)
    engine.idle(2)
    words = engine.take_tx()
    assert np.array_equal(words.data, data)
    assert np.array_equal(words.control, control)
    assert np.array_equal(words.cycle, np.arange(first + 2, first + 502))
    assert len(engine.take_tx()) == 0


def test_accesses_take_the_cycles_of_the_bus(engine):
    before = engine.cycles
    assert read(engine, "MAGIC") == MAGIC
    assert engine.cycles - before == 5
    assert read_wide(engine, "REGISTER_HASH") == REGISTERS.hash
    engine.write32(REGISTERS.offset("DEAD_MAN_PERIOD"), 0xCAFE_F00D)
    assert read(engine, "DEAD_MAN_PERIOD") == 0xCAFE_F00D
    before = engine.cycles
    assert read(engine, "RX_GOOD") == 0
    assert engine.cycles - before == 11


def test_skipped_time_equals_time_that_was_run(library):
    """The same words and gaps, once with every idle cycle run: the same records but for phase."""
    def play(skipping):
        with Engine(library, event_records=64) as engine:
            engine.write32(REGISTERS.offset("EVENT_RING"), 1000)
            for gap in (1, 2, 1000, 77_777):
                data, control = words_with_starts(40, [20])
                if skipping:
                    engine.run(data, control, [(10, gap)])
                else:
                    engine.run(data[:10], control[:10])
                    engine.idle(gap)
                    engine.run(data[10:], control[10:])
            cycles = read_wide(engine, "CYCLES")
            return engine.cycles, cycles, engine.ring.copy()

    run, skipped = play(False), play(True)
    assert run[0] - skipped[0] == 999 + 77_776 + 1
    assert run[1] == skipped[1]
    assert np.array_equal(run[2], skipped[2])
    assert run[2].any()


def test_skips_without_a_run(engine):
    before = read_wide(engine, "CYCLES")
    engine.skip(1 << 40)
    engine.skip(0)
    after = read_wide(engine, "CYCLES")
    # The second read of the low half comes one access of each half later.
    assert after - before == (1 << 40) + 10


def test_event_records_stand_in_the_ring_with_their_phase(library):
    with Engine(library, event_records=64) as engine:
        engine.write32(REGISTERS.offset("EVENT_RING"), 1 << 20)
        records = engine.ring.reshape(-1, 64)
        data, control = words_with_starts(64 * 20, np.arange(0, 64 * 20, 20))
        engine.run(data, control)
        engine.idle(10)
        assert engine.events == 64
        assert (records[:, 63] == 1).all()
        sequence = records[:, BOOK.low("sequence") // 8].copy()
        assert np.array_equal(sequence, np.arange(64))
        engine.run(data[:20 * 3], control[:20 * 3])
        assert engine.events == 67
        assert np.array_equal(records[:, 63], np.r_[np.zeros(3), np.ones(61)])


def test_kill_pin(engine):
    assert read(engine, "STATUS") & 2 == 0
    engine.kill_pin(True)
    engine.idle(2)
    assert read(engine, "STATUS") & 2 == 2


def test_same_input_same_everything(library):
    def play():
        with Engine(library) as engine:
            engine.write32(REGISTERS.offset("EVENT_RING"), 1000)
            engine.run(*words_with_starts(1000, [3, 50, 700]))
            return engine.take_tx().cycle.tolist(), bytes(engine.ring), engine.cycles

    assert play() == play()


def test_nothing_is_built_twice(library):
    before = library.stat().st_mtime_ns
    said = []
    assert build_library(ToyGateway(), progress=said.append) == library
    assert library.stat().st_mtime_ns == before
    assert said == ["The gateware is elaborated"]


class Bare(wiring.Component):
    kill: In(1)

    def elaborate(self, platform):
        return Module()


def test_rejects_a_gateway_with_other_ports(tmp_path, monkeypatch):
    monkeypatch.setenv("TICKWIRE_BUILD", str(tmp_path))
    with pytest.raises(ValueError, match="this one has no .*rx__valid.*, tx, o_event__valid"):
        build_library(Bare())


def test_rejects_nonsense(engine, library):
    with pytest.raises(ValueError, match="power of two and at least 64, not 100"):
        Engine(library, event_records=100)
    with pytest.raises(ValueError, match="as many data words as control words"):
        engine.run([1, 2], [1])
    with pytest.raises(ValueError, match="skips at rising indices"):
        engine.run([1, 2], [1, 1], [(2, 5)])
    engine.close()
    with pytest.raises(ValueError, match="This engine is closed"):
        engine.idle(1)


def test_bus_that_does_not_answer_is_an_error(engine):
    # Address bits above the BAR are cut off by the bus: nothing to provoke it with. So the
    # library is told through its own door that an access failed.
    class Deaf:
        def __getattr__(self, name):
            return lambda *arguments: -1

    engine._library, real = Deaf(), engine._library
    try:
        with pytest.raises(BusError, match="did not answer a read of BAR offset 0x0010"):
            engine.read32(0x10)
        with pytest.raises(BusError, match="did not answer a write to BAR offset 0x0010"):
            engine.write32(0x10, 0)
    finally:
        engine._library = real
