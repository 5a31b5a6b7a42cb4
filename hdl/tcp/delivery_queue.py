"""Delivered bytes that wait for the host, with the session to which they belong."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out
from tickwire.hdl.mac.frame_queue import FrameQueue
from tickwire.hdl.phy.xgmii import LANES
from tickwire.hdl.stream.packet import packet_stream
from tickwire.hdl.tcp.segment import SESSION_BITS

__all__ = ["DeliveryQueue"]


class DeliveryQueue(wiring.Component):
    """A :class:`~tickwire.hdl.mac.frame_queue.FrameQueue` that knows whose each packet is.

    Nothing is dropped: ``i`` waits while there is no room.

    Latency: that of FrameQueue, last beat taken → first beat offered 3 cycles.

    Parameters
    ----------
    depth : int
        Beats of 8 bytes. A packet must not be longer than depth - 2 beats.
    packets : int
        Packets that may wait, at least 2.

    Members
    -------
    i : In, packet_stream(8)
    i_session : In, 6 bits
        Stands with a packet's first beat.
    o : Out, packet_stream(8)
    o_session : Out, 6 bits
        Stands with ``o``.

    Raises
    ------
    ValueError
        If a size is not supported.
    """

    def __init__(self, depth=512, packets=64):
        if packets < 2:
            raise ValueError(f"DeliveryQueue packets must be at least 2, not {packets!r}")
        self._queue = FrameQueue(depth, waits=True)
        self._packets = packets
        super().__init__({
            "i": In(packet_stream(LANES)),
            "i_session": In(SESSION_BITS),
            "o": Out(packet_stream(LANES)),
            "o_session": Out(SESSION_BITS),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.queue = queue = self._queue
        m.submodules.sessions = sessions = SyncFIFO(width=SESSION_BITS, depth=self._packets)
        wiring.connect(m, queue.o, wiring.flipped(self.o))
        first = self.i.payload.first
        m.d.comb += [
            queue.i.payload.eq(self.i.payload),
            queue.i.valid.eq(self.i.valid & (sessions.w_rdy | ~first)),
            self.i.ready.eq(queue.i.ready & (sessions.w_rdy | ~first)),
            sessions.w_en.eq(self.i.valid & self.i.ready & first),
            sessions.w_data.eq(self.i_session),
            sessions.r_en.eq(self.o.valid & self.o.ready & self.o.payload.last),
            self.o_session.eq(sessions.r_data),
        ]
        return m
