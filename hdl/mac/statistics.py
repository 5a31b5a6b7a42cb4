"""What network management asks of a port: RFC 2819 and RFC 2863, under their names."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from tickwire.hdl.mac.summary import Summary
from tickwire.hdl.mac.transmit import FrameDone
from tickwire.hdl.phy.xgmii import LANES
from tickwire.hdl.stream.packet import Packet, strobe

__all__ = ["EtherStatistics", "InterfaceStatistics", "HISTOGRAM"]

_FCS = 4
_MINIMUM = 64               # bytes with FCS
_LENGTH_BITS = 14

#: Shortest and longest frame of each class of length, with FCS; the last one has no end.
HISTOGRAM = {
    "pkts_64_octets": (64, 64),
    "pkts_65_to_127_octets": (65, 127),
    "pkts_128_to_255_octets": (128, 255),
    "pkts_256_to_511_octets": (256, 511),
    "pkts_512_to_1023_octets": (512, 1023),
    "pkts_1024_to_1518_octets": (1024, 1518),
    "pkts_1519_octets_and_more": (1519, (1 << _LENGTH_BITS) - 1),
}


class EtherStatistics(wiring.Component):
    """Ethernet statistics group of RFC 2819: ``o_count_x`` is its ``etherStatsX``.

    Three things are read as the gateway's configuration has them: too long is a frame beyond the
    configured maximum (with its VLAN tags), not 1518; classes of length go on beyond 1518; a frame
    with an error character or without TERMINATE counts among those with a wrong FCS. A START that
    no frame followed is no packet.

    Latency: ``i`` → ``o_count_octets`` 1 cycle; ``i_summary`` → the others 1 cycle.

    Members
    -------
    i : In, strobe(Packet(8))
        As the receiver gives it.
    i_summary : In, strobe(Summary)
    max_length : In, 14 bits
        Longest good frame, as the receiver has it; for frames of which no more is known.
    o_count_octets : Out, 4 bits
        Bytes of this cycle, of bad frames too, FCS included.
    o_count_* : Out, 1 bit
    """

    def __init__(self):
        super().__init__({
            "i": In(strobe(Packet(LANES))),
            "i_summary": In(strobe(Summary)),
            "max_length": In(_LENGTH_BITS, init=1518),
            "o_count_octets": Out(4),
            **{f"o_count_{name}": Out(1) for name in (
                "pkts", "broadcast_pkts", "multicast_pkts", "crc_align_errors", "undersize_pkts",
                "oversize_pkts", "fragments", "jabbers", *HISTOGRAM)},
        })

    def elaborate(self, platform):
        m = Module()
        beat = self.i.payload
        valid, summary = self.i_summary.valid, self.i_summary.payload
        end = summary.end
        corrupt = end.fcs_error | end.symbol_error
        short = end.length < _MINIMUM
        # The receiver compares lengths of frames with TERMINATE only.
        long = Mux(end.symbol_error, end.length > self.max_length, end.oversize)

        def count(name, happens):
            m.d.sync += getattr(self, f"o_count_{name}").eq(valid & happens)

        m.d.sync += self.o_count_octets.eq(Mux(self.i.valid, beat.end - beat.begin, 0))
        count("pkts", 1)
        count("broadcast_pkts", summary.broadcast)
        count("multicast_pkts", summary.multicast)
        count("crc_align_errors", corrupt & ~short & ~long)
        count("undersize_pkts", ~corrupt & short)
        count("oversize_pkts", ~corrupt & long)
        count("fragments", corrupt & short)
        count("jabbers", corrupt & long)
        for name, (shortest, longest) in HISTOGRAM.items():
            count(name, (end.length >= shortest) & (end.length <= longest))
        return m


class InterfaceStatistics(wiring.Component):
    """Packet counters of RFC 2863's ifTable and ifXTable: ``o_count_in_x`` is its ``ifInX``.

    As RFC 3635 has it for Ethernet, octets are those of good frames from the destination address
    to the end of the FCS, MAC Control frames included; these are in no count of packets, as they
    go to no client. Packets out are all that the transmitter was given, broken off or not.

    Latency: ``i_summary``, ``i_done``, ``i_*_discards`` → their counts 1 cycle.

    Members
    -------
    i_summary : In, strobe(Summary)
    i_sent : In, strobe(Packet(8))
        Beats that the transmitter takes.
    i_start : In, 1 bit
        Its ``o_start``: the beat of this cycle is a frame's first.
    i_done : In, strobe(FrameDone)
    i_in_discards : In, 2 bits
    i_out_discards : In, 1 bit
        Good frames that were dropped for lack of room in this cycle.
    o_count_in_octets, o_count_out_octets : Out, 14 bits
        Bytes of the frame that has ended.
    o_count_in_discards : Out, 2 bits
    o_count_* : Out, 1 bit
    """

    def __init__(self):
        super().__init__({
            "i_summary": In(strobe(Summary)),
            "i_sent": In(strobe(Packet(LANES))),
            "i_start": In(1),
            "i_done": In(strobe(FrameDone)),
            "i_in_discards": In(2),
            "i_out_discards": In(1),
            **{f"o_count_{way}_{name}": Out(_LENGTH_BITS if name == "octets" else 1)
               for way in ("in", "out")
               for name in ("octets", "ucast_pkts", "multicast_pkts", "broadcast_pkts", "discards",
                            "errors")},
            "o_count_in_discards": Out(2),
        })

    def elaborate(self, platform):
        m = Module()
        valid, frame = self.i_summary.valid, self.i_summary.payload
        good = valid & frame.end.good
        client = good & ~frame.control
        m.d.sync += [
            self.o_count_in_octets.eq(Mux(good, frame.end.length, 0)),
            self.o_count_in_ucast_pkts.eq(client & ~frame.multicast & ~frame.broadcast),
            self.o_count_in_multicast_pkts.eq(client & frame.multicast),
            self.o_count_in_broadcast_pkts.eq(client & frame.broadcast),
            self.o_count_in_discards.eq(self.i_in_discards),
            self.o_count_in_errors.eq(valid & ~frame.end.good),
        ]

        beat = self.i_sent.payload
        group, broadcast = Signal(), Signal()
        length = Signal(_LENGTH_BITS)       # bytes without FCS and padding
        with m.If(self.i_start):
            m.d.sync += [group.eq(beat.data[0]), broadcast.eq(beat.data[:48].all())]
        with m.If(self.i_sent.valid):
            m.d.sync += length.eq(Mux(self.i_start, 0, length) + beat.end)
        whole = Mux(length < _MINIMUM - _FCS, _MINIMUM, length + _FCS)
        done, aborted = self.i_done.valid, self.i_done.payload.aborted
        m.d.sync += [
            self.o_count_out_octets.eq(Mux(done & ~aborted, whole, 0)),
            self.o_count_out_ucast_pkts.eq(done & ~group),
            self.o_count_out_multicast_pkts.eq(done & group & ~broadcast),
            self.o_count_out_broadcast_pkts.eq(done & broadcast),
            self.o_count_out_discards.eq(self.i_out_discards),
            self.o_count_out_errors.eq(done & aborted),
        ]
        return m
