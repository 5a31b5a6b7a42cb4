"""Received frames that no hardware took, whole, good and for this station."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from tickwire.hdl.mac.address_filter import AddressFilter, FilterSettings
from tickwire.hdl.mac.frame import FrameEnd
from tickwire.hdl.mac.frame_queue import FrameQueue
from tickwire.hdl.phy.xgmii import LANES
from tickwire.hdl.stream.packet import Packet, packet_stream, strobe
from tickwire.hdl.wire.ethernet import FCS_BYTES

__all__ = ["FrameStore"]

# Last beat → `i_claimed`. Beats wait as long, so that a frame's verdict comes with its last beat,
# however short the frames are.
_VERDICT_DELAY = 4


class FrameStore(wiring.Component):
    """Keeps frames for those who can be made to wait: the IP edge and the host.

    A frame is kept if its end was good, it is no MAC Control frame, nobody claimed it, and the
    address filter lets it pass.
    It is moved to lane 0 and loses its FCS. A frame for which there is no room is dropped whole;
    the receiver is never stalled.

    Latency: frame's last beat → first beat offered 8 cycles if nothing else waits (7 if no byte
    but the FCS's is left when the frame's last beat is in); then a beat a cycle.

    Parameters
    ----------
    depth : int
        Beats of 8 bytes, see :class:`FrameQueue`. 2048 are eight block RAMs of an ECP5.

    Members
    -------
    i : In, strobe(Packet(8))
        Frames as MacReceive gives them, FCS included.
    i_end : In, strobe(FrameEnd)
        Two cycles after the frame's last beat.
    i_control : In, 1 bit
        With ``i_end``: the frame is the MAC's own (IEEE 802.3-2022, 31.3), and nobody else's.
    i_claimed : In, 1 bit
        Two cycles after ``i_end``: hardware has taken the frame.
    filter : In, FilterSettings
    o : Out, packet_stream(8)
        Without FCS.
    o_count_kept, o_count_filtered, o_count_no_room : Out, 1 bit
        Of each good frame that is neither MAC Control nor claimed, exactly one: it is in the store,
        it was not for this station, it was dropped.
    """

    def __init__(self, depth=2048):
        self.queue = FrameQueue(depth)
        self.address = AddressFilter()
        super().__init__({
            "i": In(strobe(Packet(LANES))),
            "i_end": In(strobe(FrameEnd)),
            "i_control": In(1),
            "i_claimed": In(1),
            "filter": In(FilterSettings),
            "o": Out(packet_stream(LANES)),
            "o_count_kept": Out(1),
            "o_count_filtered": Out(1),
            "o_count_no_room": Out(1),
        })
        # State, here so that the proofs may name it
        self.late = strobe(Packet(LANES)).create()      # the beat whose frame's verdict is there
        self.upper = Signal()       # the frame began in lane 4, so its beats overlap two chunks
        self.high = Signal(32, reset_less=True)
        self.held = Signal(8 * LANES, reset_less=True)
        self.holds = Signal()       # there is a chunk in `held`
        self.tail = Signal()        # it ends the frame, and …
        self.tail_end, self.tail_keeps = Signal(3), Signal()

    def elaborate(self, platform):
        m = Module()
        m.submodules.queue = queue = self.queue
        m.submodules.address = address = self.address
        wiring.connect(m, queue.o, wiring.flipped(self.o))

        valid, beat = self.i.valid, self.i.payload
        for stage in range(_VERDICT_DELAY):
            late_valid = Signal(name=f"valid_{stage}")
            late = Signal(Packet(LANES), name=f"beat_{stage}", reset_less=True)
            m.d.sync += [late_valid.eq(valid), late.eq(beat)]
            valid, beat = late_valid, late
        m.d.comb += [self.late.valid.eq(valid), self.late.payload.eq(beat)]
        ended_good, good = Signal(), Signal()
        m.d.sync += [
            ended_good.eq(self.i_end.valid & self.i_end.payload.good & ~self.i_control),
            good.eq(ended_good),
        ]
        m.d.comb += [
            address.i.valid.eq(valid),
            address.i.payload.eq(beat),
            address.settings.eq(self.filter),
        ]
        wanted = good & ~self.i_claimed
        keeps = wanted & address.o_pass

        # Eight bytes from lane 0 on: the beat itself, or the last one's upper half before it.
        upper, high = self.upper, self.high
        shifted = Mux(beat.first, beat.begin == 4, upper)
        chunk = Mux(shifted, Cat(high, beat.data[:32]), beat.data)
        with m.If(valid):
            m.d.sync += [upper.eq(shifted), high.eq(beat.data[32:])]

        # The last whole chunk waits until it is known whether it is the frame's last without FCS.
        held, holds = self.held, self.holds
        tail, tail_end, tail_keeps = self.tail, self.tail_end, self.tail_keeps
        more = Mux(shifted, beat.end.any(), beat.end > FCS_BYTES)
        m.d.sync += tail.eq(0)
        with m.If(valid):
            m.d.sync += held.eq(chunk)
            with m.If(beat.last):
                m.d.sync += [
                    holds.eq(0),
                    tail.eq(holds & more),
                    tail_end.eq(beat.end - Mux(shifted, 0, FCS_BYTES)),
                    tail_keeps.eq(keeps),
                ]
            with m.Else():
                m.d.sync += holds.eq(~(beat.first & shifted))

        closes = valid & beat.last & holds & ~more
        m.d.comb += [
            queue.i.valid.eq(valid & holds | tail),
            queue.i.payload.data.eq(held),
            queue.i.payload.last.eq(closes | tail),
            queue.i_abort.eq(Mux(tail, ~tail_keeps, closes & ~keeps)),
        ]
        with m.If(tail):
            m.d.comb += queue.i.payload.end.eq(tail_end)
        with m.Elif(closes):
            # Nothing of the FCS is in it if the last beat has it all.
            m.d.comb += queue.i.payload.end.eq(Mux(shifted, LANES, FCS_BYTES + beat.end))
        with m.Else():
            m.d.comb += queue.i.payload.end.eq(LANES)

        m.d.comb += [
            self.o_count_kept.eq(queue.o_count_kept),
            self.o_count_no_room.eq(queue.o_count_dropped),
        ]
        m.d.sync += self.o_count_filtered.eq(wanted & ~address.o_pass)
        return m
