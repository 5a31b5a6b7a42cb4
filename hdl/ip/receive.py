"""Frames become UDP payloads, and each datagram gets a verdict."""

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from tickwire.hdl.csr.table import table_write
from tickwire.hdl.ip.checksum import ChecksumTest
from tickwire.hdl.ip.datagram import DatagramEnd
from tickwire.hdl.ip.hash_table import HashTable, table_row
from tickwire.hdl.ip.header import HeaderWalk, Role
from tickwire.hdl.mac.frame import FrameEnd
from tickwire.hdl.stream.packet import Packet, strobe
from tickwire.hdl.wire.ethernet import ETHERNET_HEADER, FCS_BYTES, VLAN_TAG
from tickwire.hdl.wire.ipv4 import PROTOCOL_UDP
from tickwire.hdl.wire.placement import polynomials
from tickwire.hdl.wire.udp import UDP_HEADER

__all__ = ["IpReceive"]

_LANES = 8
_LENGTH_BITS = 16
_HEADER_WORDS = 30      # of 16 bits, in the longest IPv4 header
_SUM_WORDS = 1 << 14    # more than a jumbo frame has
_KEY = {"group": 32, "port": 16}
_VALUE = {"channel": 6}


def _swap(bits):
    return Cat(bits[8:16], bits[:8])


class IpReceive(wiring.Component):
    """Receive half of UDP over IPv4 over Ethernet II (RFC 768, 791, 894, 1112).

    Takes frames with at most one VLAN tag (IEEE 802.1Q), whose contents it ignores, IPv4 headers
    with options, which it skips, and UDP datagrams in one fragment. The destination MAC address
    must be the one to which RFC 1112, 6.4 maps the destination group, so that a frame that a
    switch floods by mistake is not taken; unicast is therefore never accepted. The UDP length must
    be what the IPv4 header leaves to it, at least 8; octets behind the packet are padding.

    The payload of whatever looks like UDP is passed on at once, before addresses and checksums
    are known. It ends by the IPv4 length, or with its frame if that is shorter; the verdict then
    says not good. A datagram with an empty payload gives no beats and no ``o_end``, but is counted.

    Latency: frame beat → payload beat 1 cycle. First payload beat → ``o_match``, ``o_channel``
    2 cycles. ``i_end`` → ``o_end`` 1 cycle, counts 2 cycles.

    Parameters
    ----------
    rows : int
        Rows of each of the two ways of the subscription table.

    Attributes
    ----------
    depth : int
        Rows of ``subscribe``: twice ``rows``. ``hdl/wire/placement.py`` says which row a
        subscription goes to, and how its key is made of group and port.

    Members
    -------
    i : In, strobe(Packet(8))
        Frames as MacReceive gives them, FCS included. May have gaps.
    i_stamp : In, 16 bits
    i_end : In, strobe(FrameEnd)
        Two cycles after the frame's last beat, at most one after the next frame's first.
    i_end_stamp : In, 16 bits
    subscribe : In, table_write({valid, group 32, port 16, channel 6}, depth)
    o : Out, strobe(Packet(8))
        UDP payload in the lanes in which it came. Its first beat begins in lane 2 or 6.
    o_stamp : Out, 16 bits
        Of the beat.
    o_channel, o_match : Out, 6 bits and 1 bit
        Of the datagram on ``o``; stand until the next one's.
    o_end : Out, strobe(DatagramEnd)
        Once for every frame that had payload beats. ``match`` and ``channel`` are ``o_match`` and
        ``o_channel``.
    o_count_* : Out, 1 bit each
        Every frame whose ``i_end`` is good is counted once, in the first of these that applies:
        ``not_ip`` another EtherType; ``bad_ip_header`` version, header length, or a total length
        less than the header or more than the frame; ``ip_checksum``; ``fragment``; ``not_udp``;
        ``destination`` wrong MAC address; ``udp_length``; ``udp_checksum``; ``no_subscription``;
        ``accepted``.

    Raises
    ------
    ValueError
        If ``rows`` is not a size for which placement is defined.
    """

    def __init__(self, rows=512):
        polynomials(rows)
        self._rows = rows
        self.depth = 2 * rows
        self._counts = ("not_ip", "bad_ip_header", "ip_checksum", "fragment", "not_udp",
                        "destination", "udp_length", "udp_checksum", "no_subscription",
                        "accepted")
        super().__init__({
            "i": In(strobe(Packet(_LANES))),
            "i_stamp": In(16),
            "i_end": In(strobe(FrameEnd)),
            "i_end_stamp": In(16),
            "subscribe": In(table_write(table_row(_KEY, _VALUE), self.depth)),
            "o": Out(strobe(Packet(_LANES))),
            "o_stamp": Out(16),
            "o_channel": Out(6),
            "o_match": Out(1),
            "o_end": Out(strobe(DatagramEnd)),
            **{f"o_count_{name}": Out(1) for name in self._counts},
        })

    def elaborate(self, platform):
        m = Module()

        m.submodules.table = table = HashTable(key=_KEY, value=_VALUE, rows=self._rows)
        m.submodules.walk = walk = HeaderWalk()
        wiring.connect(m, wiring.flipped(self.subscribe), table.write)
        wiring.connect(m, wiring.flipped(self.i), walk.i)
        beat, fields = self.i.payload, walk.fields
        low, high = walk.o_roles[:len(Role)], walk.o_roles[len(Role):]

        # Lengths, a few cycles ahead of their use.
        udp_bytes = Signal(_LENGTH_BITS, reset_less=True)       # what IPv4 leaves to UDP
        short = Signal(reset_less=True)                         # total length less than the header
        upper_payload = Signal(reset_less=True)                 # payload begins in lane 6, not 2
        speculate = Signal()
        difference = Signal(_LENGTH_BITS + 1)
        m.d.comb += difference.eq(fields.total_length - (fields.header_words << 2))
        m.d.sync += [
            udp_bytes.eq(difference),
            short.eq(difference[-1]),
            upper_payload.eq(fields.upper_start ^ fields.vlan ^ ~fields.header_words[0]),
        ]
        m.d.comb += speculate.eq(
            fields.ipv4 & fields.version_good & fields.udp & ~fields.fragment)
        has_header = Signal()
        m.d.comb += has_header.eq(~short & udp_bytes[3:].any())

        # The payload's slice of the beat.
        begins = low[Role.PORT] | low[Role.UDP_CHECKSUM]
        inside = Signal()
        left = Signal(_LENGTH_BITS, reset_less=True)    # bytes up to the payload's end, from lane 0
        ends = Signal(reset_less=True)                  # that end is in this beat
        with m.If((begins | inside) & self.i.valid):
            m.d.sync += [
                left.eq(left - _LANES),
                ends.eq(left <= 2 * _LANES),
                inside.eq(~ends & ~beat.last),
            ]
        with m.Elif(~begins & ~inside):
            header_lanes = Mux(upper_payload, 6, 2)
            m.d.sync += [
                left.eq(udp_bytes - UDP_HEADER.size + header_lanes),
                ends.eq(udp_bytes <= UDP_HEADER.size + _LANES - header_lanes),
            ]
        has_payload = Signal(reset_less=True)
        m.d.sync += has_payload.eq(has_header & (udp_bytes != UDP_HEADER.size) & speculate)

        slice_begin = Mux(begins, Cat(0, 1, low[Role.PORT]), 0)
        length_end = Mux(ends, left[:4], _LANES)
        frame_end = Mux(beat.last, beat.end, _LANES)
        slice_valid, stamp = Signal(), Signal(16, reset_less=True)
        payload = Signal(Packet(_LANES), reset_less=True)
        m.d.comb += slice_valid.eq(self.i.valid & has_payload
                                   & (begins & (frame_end > slice_begin) | inside))
        m.d.sync += [
            self.o.valid.eq(slice_valid),
            payload.data.eq(beat.data),
            payload.begin.eq(slice_begin),
            payload.end.eq(Mux(frame_end < length_end, frame_end, length_end)),
            payload.first.eq(begins),
            payload.last.eq(ends | beat.last),
            stamp.eq(self.i_stamp),
        ]
        m.d.comb += [self.o.payload.eq(payload), self.o_stamp.eq(stamp)]

        # Whose datagram it is.
        m.d.comb += table.i_key.eq(Cat(fields.group, walk.o_port))
        m.d.sync += [
            self.o_match.eq(table.o_found),
            self.o_channel.eq(table.o_value.channel),
        ]

        # Checksums. Masks are of 16-bit words, but for the payload, which may end at any lane.
        def both(role, *names):
            return reduce(or_, [role[name] for name in names])

        ip_words, udp_words = [], []
        for role, half, option in zip((low, high), (beat.data[:32], beat.data[32:]),
                                      walk.o_options, strict=True):
            is_tag = half[:16] == 0x0081        # EtherType 8100 as it stands in the beat
            address = both(role, Role.LAST_ADDRESS, Role.OPTION)
            whole = both(role, Role.LENGTH, Role.FRAGMENT, Role.CHECKSUM, Role.ADDRESS)
            ip_words += [
                whole | address,
                whole | address & option | role[Role.TAGGED_TYPE] | role[Role.TYPE] & ~is_tag]
            udp_words += [
                both(role, Role.ADDRESS, Role.LAST_ADDRESS, Role.PORT),
                both(role, Role.CHECKSUM, Role.ADDRESS, Role.PORT) | address & ~option]
        payload_lanes = Cat(~ends | (left[:4] > lane) for lane in range(_LANES))

        m.submodules.ip_sum = ip_sum = ChecksumTest(_HEADER_WORDS)
        m.submodules.udp_sum = udp_sum = ChecksumTest(_SUM_WORDS)
        # Which words count is known late in the cycle, so they are added up from the next one on.
        sum_valid, sum_data = Signal(), Signal(8 * _LANES, reset_less=True)
        ip_mask, udp_mask = Signal(_LANES, reset_less=True), Signal(_LANES, reset_less=True)
        ip_restart, udp_restart = Signal(reset_less=True), Signal(reset_less=True)
        m.d.sync += [
            sum_valid.eq(self.i.valid),
            sum_data.eq(beat.data),
            ip_mask.eq(Cat(word.replicate(2) for word in ip_words)),
            ip_restart.eq(low[Role.TYPE] | high[Role.TYPE]),
            udp_mask.eq(Mux(begins | inside, payload_lanes,
                            Cat(word.replicate(2) for word in udp_words))),
            udp_restart.eq(low[Role.CHECKSUM] | high[Role.CHECKSUM]),
        ]
        for check, mask, restart in ((ip_sum, ip_mask, ip_restart),
                                     (udp_sum, udp_mask, udp_restart)):
            m.d.comb += [check.i_valid.eq(sum_valid), check.i_data.eq(sum_data),
                         check.i_mask.eq(mask), check.i_restart.eq(restart)]
        pseudo_header = Signal(_LENGTH_BITS, reset_less=True)
        m.d.sync += pseudo_header.eq(difference + PROTOCOL_UDP)
        m.d.comb += udp_sum.i_base.eq(_swap(pseudo_header))

        # The verdict, in two steps: what the headers say, then the sums, which are ready a cycle
        # later. The next frame may have begun when i_end comes, so what its headers would overwrite
        # is kept a cycle longer.
        had_payload = Signal()
        with m.If(slice_valid):
            m.d.sync += had_payload.eq(1)
        with m.Elif(self.i.valid & beat.first):
            m.d.sync += had_payload.eq(0)

        overhead = ETHERNET_HEADER.size + FCS_BYTES
        needed = Signal(_LENGTH_BITS + 1, reset_less=True)
        flags = {name: Signal(name=name, reset_less=True) for name in (
            "payload_seen", "is_ipv4", "header_good", "is_fragment", "is_udp", "mac_good",
            "length_good", "unchecked")}
        m.d.sync += [
            needed.eq(fields.total_length + Mux(fields.vlan, overhead + VLAN_TAG.size, overhead)),
            flags["payload_seen"].eq(had_payload),
            flags["is_ipv4"].eq(fields.ipv4),
            flags["header_good"].eq(fields.version_good & ~short),
            flags["is_fragment"].eq(fields.fragment),
            flags["is_udp"].eq(fields.udp),
            flags["mac_good"].eq(fields.multicast & (fields.group[28:] == 0b1110)
                                 & (fields.group[:23] == fields.mac_low)),
            flags["length_good"].eq(has_header & (fields.udp_length == udp_bytes)),
            flags["unchecked"].eq(fields.no_checksum),
        ]
        held = {name: Signal(name=f"held_{name}", reset_less=True) for name in flags}
        ended, countable = Signal(), Signal()
        end_stamp = Signal(16, reset_less=True)
        m.d.sync += [
            *(held[name].eq(flag) for name, flag in flags.items()),
            held["header_good"].eq(flags["header_good"]
                                   & (needed <= self.i_end.payload.length)),
            ended.eq(self.i_end.valid),
            countable.eq(self.i_end.valid & self.i_end.payload.good),
            end_stamp.eq(self.i_end_stamp),
        ]
        failures = (
            ~held["is_ipv4"],
            ~held["header_good"],
            ~ip_sum.o_zero,
            held["is_fragment"],
            ~held["is_udp"],
            ~held["mac_good"],
            ~held["length_good"],
            ~udp_sum.o_zero & ~held["unchecked"],
        )
        for index, (name, failure) in enumerate(zip(self._counts, failures, strict=False)):
            earlier = reduce(or_, failures[:index], 0)
            m.d.sync += getattr(self, f"o_count_{name}").eq(countable & failure & ~earlier)
        verdict = self.o_end.payload
        m.d.comb += [
            self.o_end.valid.eq(ended & held["payload_seen"]),
            verdict.good.eq(countable & ~reduce(or_, failures)),
            verdict.stamp.eq(end_stamp),
            verdict.match.eq(self.o_match),
            verdict.channel.eq(self.o_channel),
        ]
        m.d.sync += [
            self.o_count_no_subscription.eq(verdict.good & ~self.o_match),
            self.o_count_accepted.eq(verdict.good & self.o_match),
        ]
        return m
