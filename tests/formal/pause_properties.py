"""What a pause may do to frames, stated on the gate's two streams."""

from amaranth.hdl import Assert, Assume, Module, Signal
from amaranth.lib import wiring
from seeded import through
from tickwire.hdl.mac.pause import PauseGate


class PauseBreaksNoFrame(wiring.Component):
    """A pause holds whole frames back: what has been offered stays, what has begun goes on.

    What is taken is what is given, in the same cycle. A cycle after ``i_pause`` no frame is
    offered that was not before; a cycle after it has fallen, all that comes is.

    Parameters
    ----------
    gate : PauseGate
    """

    def __init__(self, gate=None):
        self.gate = gate or PauseGate()
        super().__init__(self.gate.signature)

    def elaborate(self, platform):
        m = Module()
        m.submodules.gate = gate = self.gate
        through(m, self, gate)
        source, sink = self.i, self.o
        source_waits, sink_waits = Signal(), Signal()
        came, shown = Signal.like(source.payload.as_value()), Signal.like(sink.payload.as_value())
        inside, paused = Signal(), Signal()     # a frame was offered and is not over; i_pause
        taken = source.valid & source.ready
        m.d.sync += [
            source_waits.eq(source.valid & ~source.ready), came.eq(source.payload),
            sink_waits.eq(sink.valid & ~sink.ready), shown.eq(sink.payload),
            paused.eq(self.i_pause),
        ]
        with m.If(sink.valid):
            m.d.sync += inside.eq(~(sink.ready & sink.payload.last))
        with m.If(source_waits):
            m.d.comb += Assume(source.valid & (source.payload.as_value() == came))

        m.d.comb += [
            Assert(taken == (sink.valid & sink.ready)),
            Assert(~taken | (source.payload.as_value() == sink.payload.as_value())),
            Assert(~sink_waits | (sink.valid & (sink.payload.as_value() == shown))),
            Assert(~inside | (sink.valid == source.valid)),
            Assert(inside | ~paused | ~sink.valid),
            Assert(paused | (sink.valid == source.valid)),
        ]
        # Invariants: the gate knows of the frame, and of the pause.
        m.d.comb += [Assert(gate.inside == inside), Assert(gate.shut == (paused & ~inside)),
                     Assert(inside | ~sink_waits)]
        return m
