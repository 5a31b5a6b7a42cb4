"""Shares the book's one reader between the host, who watches, and the check of posted orders."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from tickwire.hdl.book.event import BookEvent
from tickwire.hdl.book.record import HostLevel, HostRequest
from tickwire.hdl.feed.event import FrameVerdict
from tickwire.hdl.stream.packet import strobe

__all__ = ["BookAccess"]


class BookAccess(wiring.Component):
    """Reads levels for the host, and says of one instrument whether its book may be traded on.

    A watched book is asked for anew as soon as the reader is free, over and over: so what
    ``o_tradable`` says is as old as one read at most, and anything that could make a book stale
    meanwhile withdraws it at once.

    Latency: ``i_select`` → request 1 cycle if the reader is free; answer → ``o_done`` 1 cycle.

    Members
    -------
    i_select : In(strobe(HostRequest))
        The host's wish; one that comes before the last was answered replaces it.
    o_done, o_level : Out(1), Out(HostLevel)
        The answer to the last wish.
    i_watch : In(1), i_index : In(7)
        Watch the book of this instrument.
    o_known, o_tradable : Out(1)
        The watched book was read; it may be traded on.
    i_verdict : In(strobe(FrameVerdict)), i_book : In(strobe(BookEvent))
        What can make a book stale.
    o : Out(strobe(HostRequest)), i : In(strobe(HostLevel))
        The book's reader.
    """

    def __init__(self):
        super().__init__({
            "i_select": In(strobe(HostRequest)),
            "o_done": Out(1),
            "o_level": Out(HostLevel),
            "i_watch": In(1),
            "i_index": In(7),
            "o_known": Out(1),
            "o_tradable": Out(1),
            "i_verdict": In(strobe(FrameVerdict)),
            "i_book": In(strobe(BookEvent)),
            "o": Out(strobe(HostRequest)),
            "i": In(strobe(HostLevel)),
        })

    def elaborate(self, platform):
        m = Module()
        wish, wished = Signal(HostRequest), Signal()
        busy, for_host = Signal(), Signal()
        void = Signal()         # the answer that is on its way says nothing any more
        start = Signal()

        verdict = self.i_verdict
        withdraw = ((verdict.valid & (verdict.payload.gap | ~verdict.payload.good))
                    | (self.i_book.valid & ~self.i_book.payload.tradable))

        m.d.comb += start.eq(~busy & ~self.i.valid & (wished | self.i_watch))
        m.d.sync += [
            self.o.valid.eq(start),
            self.o.payload.index.eq(Mux(wished, wish.index, self.i_index)),
            self.o.payload.side.eq(Mux(wished, wish.side, 0)),
            self.o.payload.level.eq(Mux(wished, wish.level, 0)),
        ]
        with m.If(start):
            m.d.sync += [busy.eq(1), for_host.eq(wished), void.eq(0), wished.eq(0)]
        with m.If(self.i.valid):
            m.d.sync += busy.eq(0)
            with m.If(for_host):
                m.d.sync += [self.o_level.eq(self.i.payload), self.o_done.eq(~void)]
            with m.Elif(~void):
                m.d.sync += [
                    self.o_known.eq(1),
                    self.o_tradable.eq(self.i.payload.built & ~self.i.payload.stale),
                ]
        with m.If(self.i_select.valid):
            m.d.sync += [wish.eq(self.i_select.payload), wished.eq(1), self.o_done.eq(0)]
            with m.If((busy & for_host) | start):
                m.d.sync += void.eq(1)
        with m.If(withdraw | ~self.i_watch):
            m.d.sync += [self.o_known.eq(0), self.o_tradable.eq(0)]
            with m.If(~for_host | start):
                m.d.sync += void.eq(~start | ~wished)
        return m
