"""Book events that come late, for any instrument, and wait until its row has been fetched."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out
from tickwire.hdl.book.event import BookEvent
from tickwire.hdl.stream.packet import strobe

__all__ = ["LateEvents"]


class LateEvents(wiring.Component):
    """Queue of committed book events; offers each once its instrument's row is there.

    Latency: ``i`` → ``o_fetch`` 3 cycles; ``o_fetch`` taken → ``o`` 3 cycles: two for the row, one
    for what is computed from it.

    Parameters
    ----------
    instruments, depth : int
        Rows of the table; events that can wait.

    Members
    -------
    i : In(strobe(BookEvent))
        A late event.
    o_fetch : Out(stream.Signature(range(instruments)))
        Fetch this instrument's row.
    i_disturb : In(1)
        What is known of the instrument at ``o_fetch`` has just changed: it is fetched again, and
        ``o`` must not be taken in this cycle.
    o : Out(stream.Signature(BookEvent))
        The event, while its instrument's row stands ready.
    o_count_lost : Out(1)
        The queue was full: the event is lost.
    """

    def __init__(self, instruments, depth):
        self.depth = depth
        super().__init__({
            "i": In(strobe(BookEvent)),
            "o_fetch": Out(stream.Signature(range(instruments))),
            "i_disturb": In(1),
            "o": Out(stream.Signature(BookEvent)),
            "o_count_lost": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.queue = queue = SyncFIFOBuffered(width=BookEvent.as_shape().size,
                                                      depth=self.depth)
        event, comes = Signal(BookEvent, reset_less=True), Signal()
        m.d.sync += [event.eq(self.i.payload), comes.eq(self.i.valid)]
        m.d.comb += [
            queue.w_data.eq(event.as_value()),
            queue.w_en.eq(comes),
            self.o_count_lost.eq(comes & ~queue.w_rdy),
            self.o.payload.eq(queue.r_data),
            self.o_fetch.payload.eq(self.o.payload.instrument),
        ]
        with m.FSM():
            with m.State("FETCH"):
                m.d.comb += self.o_fetch.valid.eq(queue.r_rdy)
                with m.If(self.o_fetch.valid & self.o_fetch.ready):
                    m.next = "LOAD"
            with m.State("LOAD"):
                m.next = "SETTLE"
                with m.If(self.i_disturb):
                    m.next = "FETCH"
            with m.State("SETTLE"):
                m.next = "OFFER"
                with m.If(self.i_disturb):
                    m.next = "FETCH"
            with m.State("OFFER"):
                m.d.comb += self.o.valid.eq(1)
                with m.If(self.i_disturb):
                    m.next = "FETCH"
                with m.Elif(self.o.ready):
                    m.next = "NEXT"
            with m.State("NEXT"):
                m.d.comb += queue.r_en.eq(1)
                m.next = "FETCH"
        return m
