"""Received frames become segments, and the payloads of those that belong to a session."""

from functools import reduce
from operator import or_

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from tickwire.hdl.csr.table import table_write
from tickwire.hdl.ip.settings import EdgeSettings
from tickwire.hdl.mac.frame import FrameEnd
from tickwire.hdl.mac.frame_queue import FrameQueue
from tickwire.hdl.stream.packet import Packet, packet_stream, strobe
from tickwire.hdl.tcp.align import LinkFacts, PacketAligner
from tickwire.hdl.tcp.match import BindingTable
from tickwire.hdl.tcp.segment import Binding, Segment
from tickwire.hdl.tcp.segment_queue import SegmentQueue
from tickwire.hdl.tcp.walk import SegmentWalk
from tickwire.hdl.wire.ethernet import ETHERNET_HEADER, FCS_BYTES, VLAN_TAG

__all__ = ["TcpReceive"]

_LANES = 8
_OVERHEAD = ETHERNET_HEADER.size + FCS_BYTES


class TcpReceive(wiring.Component):
    """Receive half of TCP over IPv4 over Ethernet II (RFC 9293, 791, 894), for one address.

    Takes frames with at most one VLAN tag, whose contents it ignores, and headers with options. A
    segment is good if the frame's FCS, all lengths and both checksums are right, it is in one
    fragment, its time to live is not 0, and its source may be one. Good segments come out in the
    order in which they came, and as many packets of payload as there are of them with ``matched``
    and a ``length``.

    A frame is claimed if it is the hardware's: TCP to our address with a row that matches, or any
    TCP to our address if ``i_claim_all``. What is wrong with a claimed segment is counted, and
    nobody gets it (for the host would answer it with a reset, if at all). Frames that are not
    claimed are none of this room's business.

    Latency: ``i_end`` → ``o_claimed`` 2 cycles; → segment 4 cycles if none waits; → counts 4
    cycles; → first beat of payload 7 cycles if none waits, then a beat a cycle.

    Parameters
    ----------
    sessions : int
        Rows of the match table, 1 to 64.
    depth : int
        Segments that may wait, at least 1.
    payload_depth : int
        Beats of payload that may wait, see :class:`FrameQueue`.

    Members
    -------
    i : In, strobe(Packet(8))
        Frames as MacReceive gives them, FCS included. May have gaps.
    i_end : In, strobe(FrameEnd)
        Two cycles after the frame's last beat.
    i_settings : In, EdgeSettings
    i_claim_all : In, 1 bit
        All TCP to our address is the hardware's: segments that match no row come out with
        ``matched`` = 0. Otherwise they are left to the host.
    i_bind : In, table_write(Binding, sessions)
        A row for each session.
    o_claimed : Out, 1 bit
        As FrameStore wants it.
    o : Out, stream of Segment
    o_payload : Out, packet_stream(8)
    o_count_unmatched : Out, 1 bit
        A frame with TCP to our address, and no row: left to the host or claimed.
    o_count_header, o_count_checksum, o_count_no_room, o_count_accepted : Out, 1 bit
        Every claimed frame is counted in the first of these that applies: the headers were not
        sound or did not fit the frame; one of the checksums was wrong; there was no room for the
        segment or for its payload, so that both were dropped; it came out.
    o_count_options : Out, 1 bit
        Beside ``accepted``: the list of options was malformed, and the rest of it was ignored.

    Raises
    ------
    ValueError
        If a parameter is not supported.
    """

    def __init__(self, sessions=8, depth=16, payload_depth=1024):
        self.table = BindingTable(sessions)
        self.segments = SegmentQueue(depth)
        self.payloads = FrameQueue(payload_depth)
        self._counts = ("header", "checksum", "no_room", "accepted")
        super().__init__({
            "i": In(strobe(Packet(_LANES))),
            "i_end": In(strobe(FrameEnd)),
            "i_settings": In(EdgeSettings),
            "i_claim_all": In(1),
            "i_bind": In(table_write(Binding, sessions)),
            "o_claimed": Out(1),
            "o": Out(stream.Signature(Segment)),
            "o_payload": Out(packet_stream(_LANES)),
            "o_count_unmatched": Out(1),
            "o_count_options": Out(1),
            **{f"o_count_{name}": Out(1) for name in self._counts},
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.aligner = aligner = PacketAligner()
        m.submodules.walk = walk = SegmentWalk()
        m.submodules.table = table = self.table
        m.submodules.segments = segments = self.segments
        m.submodules.payloads = payloads = self.payloads
        wiring.connect(m, wiring.flipped(self.i), aligner.i)
        wiring.connect(m, aligner.o, walk.i)
        wiring.connect(m, wiring.flipped(self.i_bind), table.i_write)
        wiring.connect(m, segments.o, wiring.flipped(self.o))
        wiring.connect(m, payloads.o, wiring.flipped(self.o_payload))
        fields = walk.o
        m.d.comb += [
            aligner.i_mac.eq(self.i_settings.mac),
            walk.i_next.eq(aligner.o_next),
            table.i_address.eq(fields.source),
            table.i_port.eq(fields.source_port),
            table.i_local_port.eq(fields.destination_port),
        ]

        # The frame's end, step by step. The next packet begins when the last of them is over, and
        # the next good frame ends far behind.
        ended = Signal()
        over = Signal(3)                        # ends of whatever kind, one to three cycles ago
        frame_length = Signal(14, reset_less=True)
        needed = Signal(17, reset_less=True)
        m.d.sync += [
            ended.eq(self.i_end.valid & self.i_end.payload.good),
            over.eq(over << 1 | self.i_end.valid),
        ]
        with m.If(self.i_end.valid & self.i_end.payload.good):
            m.d.sync += frame_length.eq(self.i_end.payload.length)

        present = Signal()                      # there was a packet in the frame
        link = Signal(LinkFacts, reset_less=True)
        with m.If(aligner.o.valid & aligner.o.payload.first):
            m.d.sync += [present.eq(1), link.eq(aligner.o_link)]
        with m.Elif(over[2]):
            m.d.sync += present.eq(0)

        ours = Signal(reset_less=True)          # TCP to our address
        fits = Signal(reset_less=True)
        unmatched = Signal()
        claims = Signal()
        claimed, strays = Signal(), Signal()
        m.d.sync += [
            ours.eq(fields.tcp & link.for_us & (fields.destination == self.i_settings.address)),
            needed.eq(fields.total_length + Mux(link.tagged, _OVERHEAD + VLAN_TAG.size, _OVERHEAD)),
            fits.eq(needed <= frame_length),
        ]
        m.d.comb += [
            claims.eq(ended & present & ours & (table.o_matched | self.i_claim_all)),
            unmatched.eq(ended & present & ours & ~table.o_matched),
            self.o_claimed.eq(claimed),
        ]
        m.d.sync += [claimed.eq(claims), strays.eq(unmatched)]
        judged, judged_stray = Signal(), Signal()
        m.d.sync += [judged.eq(claimed), judged_stray.eq(strays)]

        # The verdict
        room = Signal()
        has_payload = Signal()      # chunks came, and the last of them waits
        wanted = Signal()           # … and belong to a session
        m.d.comb += [
            wanted.eq(has_payload & table.o_matched),
            room.eq(segments.o_room & ~(wanted & (payloads.lost | payloads.full))),
        ]
        # What stands early comes from a register; the TCP checksum is known last.
        ip_good = Signal()
        m.d.sync += ip_good.eq(walk.o_ip_good)
        failures = (
            ~fields.sound | ~fits | link.group,
            ~ip_good | ~walk.o_tcp_good,
            ~room,
        )
        good = Signal()
        m.d.comb += good.eq(judged & ~reduce(or_, failures))
        for index, name in enumerate(self._counts):
            failure = failures[index] if index < len(failures) else 1
            earlier = reduce(or_, failures[:index], 0)
            m.d.sync += getattr(self, f"o_count_{name}").eq(judged & failure & ~earlier)
        m.d.sync += [
            self.o_count_unmatched.eq(judged_stray),
            self.o_count_options.eq(good & walk.o_malformed),
        ]

        segment = segments.i.payload
        m.d.comb += [
            segments.i.valid.eq(good),
            segment.session.eq(table.o_session),
            segment.matched.eq(table.o_matched),
            *(segment[name].eq(fields[name]) for name in (
                "control", "sequence", "acknowledgement", "window", "length")),
            segment.mss.eq(walk.o_mss),
            segment.end.mac.eq(link.source),
            segment.end.address.eq(fields.source),
            segment.end.port.eq(fields.source_port),
            segment.end.local_port.eq(fields.destination_port),
        ]

        # Payload. The last chunk waits for the verdict. Whether there is room stands from the cycle
        # before on: until then nothing more is written.
        chunk = Signal(64, reset_less=True)
        closes, keeps = Signal(), Signal()
        queued = payloads.i.payload
        m.d.sync += [closes.eq(over[2] & has_payload), keeps.eq(good & table.o_matched)]
        m.d.comb += [
            payloads.i.valid.eq(has_payload & walk.o_chunk.valid | closes),
            queued.data.eq(chunk),
            queued.last.eq(closes),
            queued.end.eq(Mux(closes & fields.length[:3].any(), fields.length[:3], _LANES)),
            payloads.i_abort.eq(closes & ~keeps),
        ]
        with m.If(walk.o_chunk.valid):
            m.d.sync += [chunk.eq(walk.o_chunk.payload), has_payload.eq(1)]
        with m.Elif(closes):
            m.d.sync += has_payload.eq(0)
        return m
