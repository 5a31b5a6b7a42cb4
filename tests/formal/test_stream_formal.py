"""A proof can be had of a stream register, and fails when the register has a bug."""

import pytest
from amaranth.hdl import Assert, Cover, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from seeded import with_bug
from tickwire.hdl.mac import arbiter
from tickwire.sim.formal import prove


class Register(wiring.Component):
    """One register between two streams. Latency: 1 cycle.

    ``bug`` makes it take a new word while the old one still waits.
    """

    def __init__(self, *, bug=False):
        self.bug = bug
        super().__init__({"i": In(stream.Signature(8)), "o": Out(stream.Signature(8))})

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.i.ready.eq(1 if self.bug else ~self.o.valid | self.o.ready)
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [self.o.valid.eq(1), self.o.payload.eq(self.i.payload)]
        with m.Elif(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        return m


class HoldsAndKeeps(wiring.Component):
    """What every stream owes: a valid word is held until it is taken, and none is lost."""

    def __init__(self, register):
        self.register = register
        super().__init__(register.signature)

    def elaborate(self, platform):
        m = Module()
        m.submodules.register = register = self.register
        wiring.connect(m, wiring.flipped(self.i), register.i)
        wiring.connect(m, register.o, wiring.flipped(self.o))
        started = Signal()
        was_waiting = Signal()
        was = Signal(8)
        inside = Signal(4)
        taken = self.i.valid & self.i.ready
        given = self.o.valid & self.o.ready
        m.d.sync += [started.eq(1), was_waiting.eq(self.o.valid & ~self.o.ready),
                     was.eq(self.o.payload), inside.eq(inside + taken - given)]
        with m.If(was_waiting):
            m.d.comb += [Assert(self.o.valid), Assert(self.o.payload == was)]
        m.d.comb += [Assert(inside == self.o.valid), Cover(started & given & taken)]
        return m


class Silent(wiring.Component):
    o: Out(1)

    def elaborate(self, platform):
        return Module()


@pytest.mark.parametrize("engine", ["smtbmc yices", "smtbmc z3"])
def test_a_stream_register_is_proved(engine):
    result = prove(HoldsAndKeeps(Register()), name=f"stream-{engine.split()[1]}", depth=4,
                   engine=engine)
    assert result.passed, result
    assert result.traces == ()


def test_the_bug_is_found_with_a_trace():
    result = prove(HoldsAndKeeps(Register(bug=True)), name="stream-bug", depth=6, mode="bmc")
    assert result.status == "FAIL", result
    assert result.traces[0].read_text().startswith("$")


def test_a_word_every_cycle_is_reached():
    result = prove(HoldsAndKeeps(Register()), name="stream-cover", depth=5, mode="cover")
    assert result.passed, result
    assert len(result.traces) == 1


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match="one of prove, bmc, cover, not 'live'"):
        prove(None, name="x", depth=1, mode="live")
    with pytest.raises(ValueError, match="at least 1 cycle, not 0"):
        prove(None, name="x", depth=0)
    with pytest.raises(ValueError, match="Silent has no Assert statement"):
        prove(Silent(), name="x", depth=1)


def test_a_bug_that_is_nowhere_is_refused():
    with pytest.raises(ValueError, match="must have 'no such text' exactly once to be given a bug, "
                                         "not 0 times"):
        with_bug(arbiter, "no such text", "")
