"""IPv4 packets of received frames, moved to lane 0."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from tickwire.hdl.ip.octets import number
from tickwire.hdl.stream.packet import Packet, strobe
from tickwire.hdl.wire.ethernet import ETHERTYPE_IPV4, ETHERTYPE_VLAN

__all__ = ["AlignedBeat", "LinkFacts", "PacketAligner"]

_LANES = 8
_FLUSH = 2      # beats behind a frame's last one


class AlignedBeat(data.Struct):
    """Eight bytes of a packet. Where it ends, its own length says."""

    data: 64
    first: 1


class LinkFacts(data.Struct):
    """What the Ethernet header says."""

    for_us: 1       # destination MAC address
    group: 1        # source is a group address, which cannot be
    tagged: 1
    source: 48      # first byte highest


class PacketAligner(wiring.Component):
    """Takes Ethernet II and one VLAN tag (IEEE 802.1Q) from the frames that carry IPv4.

    A frame begins in lane 0 or 4, so a packet begins in lane 2 or 6. It goes on to the end of the
    frame, FCS included, and then for two beats of which only what is left of the frame means
    something: so whoever moves bytes by at most a beat need not flush.

    Latency: beat → those of its bytes that fill a beat of the packet 1 cycle, the rest with the
    next beat, or 2 cycles if it was the frame's last. From a frame's last beat to the next
    packet's first there are at least 5 cycles, as a frame that begins in lane 0 does not come
    before the second cycle.

    Members
    -------
    i : In, strobe(Packet(8))
        Frames as MacReceive gives them. May have gaps.
    i_mac : In, 48 bits
        Ours.
    o : Out, strobe(AlignedBeat)
    o_next : Out, 8 bits
        The byte behind those of ``o``, if the frame has one.
    o_link : Out, LinkFacts
        Of the packet whose first beat is on ``o``, only in that cycle.
    """

    i: In(strobe(Packet(_LANES)))
    i_mac: In(48)
    o: Out(strobe(AlignedBeat))
    o_next: Out(8)
    o_link: Out(LinkFacts)

    def elaborate(self, platform):
        m = Module()
        beat = self.i.payload
        before = Signal(8 * _LANES, reset_less=True)
        index = Signal(2)               # of the beat, up to 3
        upper = Signal()                # the frame began in lane 4
        tagged = Signal()
        inside = Signal()               # the packet has begun
        begins = Signal()
        in_lane_6 = Signal()            # there
        pending = Signal()              # its first beat is still to come
        flush = Signal(_FLUSH)
        link = self.o_link

        both = Cat(before, beat.data)

        def octets(first, count):
            """Bytes from lane ``first`` of the beat before."""
            return number(both[8 * first:8 * (first + count)])

        low_type, high_type = octets(8, 2), octets(12, 2)
        here = Mux(beat.first, 0, index)
        with m.If(self.i.valid):
            m.d.sync += [
                before.eq(beat.data),
                index.eq(Mux(here == 3, 3, here + 1)),
                inside.eq((inside & ~beat.first | begins) & ~beat.last),
            ]
            with m.If(beat.first):
                m.d.sync += upper.eq(beat.begin[2])
            with m.Elif(index == 1):
                to_us = Mux(upper, octets(4, 6), octets(0, 6)) == self.i_mac
                sender = Mux(upper, octets(10, 6), octets(6, 6))
                m.d.sync += [
                    link.for_us.eq(to_us),
                    link.source.eq(sender),
                    link.group.eq(sender[40]),
                    tagged.eq(~upper & (high_type == ETHERTYPE_VLAN)),
                ]
                with m.If(~upper & (high_type == ETHERTYPE_IPV4)):
                    m.d.comb += begins.eq(1)
                    m.d.sync += [in_lane_6.eq(1), link.tagged.eq(0)]
            with m.Elif(index == 2):
                with m.If((upper | tagged) & (low_type == ETHERTYPE_IPV4)):
                    m.d.comb += begins.eq(1)
                    m.d.sync += [in_lane_6.eq(0), link.tagged.eq(tagged)]
                with m.Elif(upper & (low_type == ETHERTYPE_VLAN) & (high_type == ETHERTYPE_IPV4)):
                    m.d.comb += begins.eq(1)
                    m.d.sync += [in_lane_6.eq(1), link.tagged.eq(1)]

        goes_on = self.i.valid & inside & ~beat.first
        with m.If(begins):
            m.d.sync += pending.eq(1)
        with m.Elif(goes_on):
            m.d.sync += pending.eq(0)
        m.d.sync += [
            flush.eq(Mux(goes_on & beat.last, 1, flush << 1)),
            self.o.valid.eq(goes_on | flush.any()),
            self.o.payload.first.eq(goes_on & pending),
            self.o.payload.data.eq(Mux(in_lane_6, both[48:112], both[16:80])),
        ]
        m.d.comb += self.o_next.eq(Mux(in_lane_6, before[48:56], before[16:24]))
        return m
