"""Segments that wait for the control room."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out
from tickwire.hdl.stream.packet import strobe
from tickwire.hdl.tcp.segment import Segment

__all__ = ["SegmentQueue"]


class SegmentQueue(wiring.Component):
    """A register, and behind it a queue that is gone round while it is empty.

    ``i.valid`` comes late in its cycle, so what does not go round is written a cycle later.

    Latency: ``i`` → ``o`` 1 cycle if nothing else waits.

    Parameters
    ----------
    depth : int
        Segments in the queue, without the one in the register; at least 1.

    Members
    -------
    i : In, strobe(Segment)
        Only while ``o_room``, and not in two cycles that follow one another.
    o : Out, stream of Segment
    o_room : Out, 1 bit

    Raises
    ------
    ValueError
        If ``depth`` is less than 1.
    """

    def __init__(self, depth):
        if depth < 1:
            raise ValueError(f"SegmentQueue depth must be at least 1 segment, not {depth!r}")
        self._depth = depth
        super().__init__({
            "i": In(strobe(Segment)),
            "o": Out(stream.Signature(Segment)),
            "o_room": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        width = Segment.as_shape().size
        m.submodules.fifo = fifo = SyncFIFO(width=width, depth=self._depth)
        free = ~self.o.valid | self.o.ready
        late_valid, late = Signal(), Signal(Segment, reset_less=True)
        goes_round = free & ~fifo.r_rdy & ~late_valid
        m.d.comb += [
            self.o_room.eq(fifo.w_rdy),
            fifo.w_data.eq(late),
            fifo.w_en.eq(late_valid),
            fifo.r_en.eq(free),
        ]
        m.d.sync += [late_valid.eq(self.i.valid & ~goes_round), late.eq(self.i.payload)]
        with m.If(free):
            m.d.sync += self.o.valid.eq(fifo.r_rdy | self.i.valid & goes_round)
            with m.If(fifo.r_rdy):
                m.d.sync += self.o.payload.eq(fifo.r_data)
            with m.Else():
                m.d.sync += self.o.payload.eq(self.i.payload)
        return m
