"""Where the host's datagrams enter the network edge: what stands before them says where they go."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, enum, wiring
from amaranth.lib.wiring import In, Out
from tickwire.hdl.ip.octets import number
from tickwire.hdl.ip.settings import UdpDestination
from tickwire.hdl.phy.xgmii import LANES
from tickwire.hdl.stream.packet import packet_stream

__all__ = ["DatagramDoor"]


class _State(enum.Enum, shape=2):
    HEAD = 0
    EMPTY = 1       # nothing follows the head
    FIRST = 2       # the payload's first beat is next
    REST = 3


class DatagramDoor(wiring.Component):
    """Takes the head off a datagram and shows it beside the payload.

    Latency: head accepted → first beat of the payload offered 1 cycle; then 0 cycles a beat.

    Members
    -------
    i : In, packet_stream(8)
        Address (4 bytes), source port, destination port (2 each), then the payload; ``begin`` = 0.
        A first beat of less than eight bytes is the last one, and is thrown away.
    o : Out, packet_stream(8)
        The payload. An empty one is a beat with ``end`` = 0.
    o_to : Out, UdpDestination
        Stands with ``o``.
    """

    i: In(packet_stream(LANES))
    o: Out(packet_stream(LANES))
    o_to: Out(UdpDestination)

    def elaborate(self, platform):
        m = Module()
        state = Signal(_State)
        beat = self.i.payload
        head = UdpDestination(beat.data)        # its fields in this order, first bytes first
        m.d.comb += [
            self.o.payload.eq(beat),
            self.o.payload.first.eq(state != _State.REST),
        ]
        with m.Switch(state):
            with m.Case(_State.HEAD):
                m.d.comb += self.i.ready.eq(1)
                m.d.sync += [self.o_to[name].eq(number(head[name]))
                             for name, _ in data.Layout.cast(UdpDestination)]
                with m.If(self.i.valid & (beat.end == LANES)):
                    m.d.sync += state.eq(Mux(beat.last, _State.EMPTY, _State.FIRST))
            with m.Case(_State.EMPTY):
                m.d.comb += [self.o.valid.eq(1), self.o.payload.end.eq(0),
                             self.o.payload.begin.eq(0), self.o.payload.last.eq(1)]
                with m.If(self.o.ready):
                    m.d.sync += state.eq(_State.HEAD)
            with m.Default():
                m.d.comb += [self.o.valid.eq(self.i.valid), self.i.ready.eq(self.o.ready)]
                with m.If(self.i.valid & self.o.ready):
                    m.d.sync += state.eq(Mux(beat.last, _State.HEAD, _State.REST))
        return m
