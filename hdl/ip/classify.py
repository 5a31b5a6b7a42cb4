"""What the network edge is to do with a received frame."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, enum, wiring
from amaranth.lib.wiring import In, Out
from tickwire.hdl.ip.checksum import ChecksumTest
from tickwire.hdl.ip.octets import number
from tickwire.hdl.ip.settings import EdgeSettings
from tickwire.hdl.stream.packet import Packet, strobe
from tickwire.hdl.wire.arp import ETHERTYPE_ARP, HARDWARE_ETHERNET, REPLY, REQUEST
from tickwire.hdl.wire.ethernet import ETHERTYPE_IPV4
from tickwire.hdl.wire.icmp import ECHO_REQUEST, PROTOCOL_ICMP
from tickwire.hdl.wire.igmp import PROTOCOL_IGMP
from tickwire.hdl.wire.ipv4 import FRAGMENT_MASK, PROTOCOL_UDP

__all__ = ["Kind", "FrameFacts", "FrameFaults", "FrameClassifier"]

_LANES = 8
_MINIMUM_IP = 28        # bytes of IPv4 with the header of ICMP, IGMP or UDP


class Kind(enum.Enum, shape=3):
    """Who takes a frame."""

    HOST = 0
    ARP_REQUEST = 1     # for our address
    ECHO_REQUEST = 2    # ICMP
    UDP_ECHO = 3
    CLOSED_PORT = 4     # a datagram for us that the hardware does not want
    IGMP = 5            # a query or a report; the host gets it, too


class FrameFacts(data.Struct):
    """What others must know of a frame. Numbers, first byte highest."""

    arp: 1              # a sound ARP packet, with ...
    sender_mac: 48
    sender_address: 32
    for_us: 1           # ... our address as target
    ip_end: 17          # where the IPv4 packet ends: bytes from the frame's first one
    igmp_type: 8
    igmp_code: 8        # maximum response code
    igmp_group: 32
    igmp_v3: 1          # a query in the longer form of version 3


class FrameFaults(data.Struct):
    """Why the hardware refuses an IPv4 frame, and an address conflict (RFC 5227, 2.4)."""

    header: 1           # version, header length or one of the lengths
    header_checksum: 1
    time_to_live: 1
    fragment: 1
    checksum: 1         # of ICMP, IGMP or UDP
    conflict: 1


def _lanes_below(count):
    return Cat(lane < count for lane in range(_LANES))


def _less(count):
    """Bytes left behind a beat."""
    return Mux(count > _LANES, count - _LANES, 0)


class FrameClassifier(wiring.Component):
    """Reads a frame as it passes, up to its IPv4 or ARP fields, and sums what has checksums.

    Only frames without VLAN tag and IP options are for the hardware (IGMP with one option), and
    only if their destination MAC and IP addresses are ours (ARP, IGMP: any) and their source
    addresses can be answered. What is refused is for the host, which may think otherwise.

    Latency: last beat → ``o_kind``, ``o_faults``, ``o_facts`` and ``o_sum`` 3 cycles. They stand
    until the next first beat.

    Members
    -------
    i : In, strobe(Packet(8))
        A frame without FCS, ``begin`` = 0.
    i_payload : In, 1 bit
        With ``i``: the beats are only summed, from ``begin`` to ``end``; the first at an even lane.
    i_settings : In, EdgeSettings
    o_kind : Out, Kind
    o_facts : Out, FrameFacts
    o_faults : Out, FrameFaults
    o_sum : Out, 32 bits
        Of a payload, see :class:`~tickwire.hdl.ip.checksum.ChecksumTest`.
    """

    i: In(strobe(Packet(_LANES)))
    i_payload: In(1)
    i_settings: In(EdgeSettings)
    o_kind: Out(Kind)
    o_facts: Out(FrameFacts)
    o_faults: Out(FrameFaults)
    o_sum: Out(32)

    def elaborate(self, platform):
        m = Module()
        m.submodules.header = header = ChecksumTest(32)
        m.submodules.payload = payload = ChecksumTest(1 << 12)
        settings, facts = self.i_settings, self.o_facts
        beat = self.i.payload

        def field(lane, size):
            return number(beat.data[8 * lane:8 * (lane + size)])

        count = Signal(3)
        index = Signal(3)           # of the beat; 6 is the seventh or any later one
        m.d.comb += index.eq(Mux(beat.first, 0, count))
        with m.If(self.i.valid):
            m.d.sync += count.eq(Mux(index == 6, 6, index + 1))

        # Comparisons with our addresses, used in the beats where these may stand.
        upper_own = field(6, 2) == settings.address[16:]
        lower_own = field(0, 2) == settings.address[:16]
        to_mac, from_sound, upper_target, ip_target = Signal(), Signal(), Signal(), Signal()
        ipv4, is_arp, arp_sound = Signal(), Signal(), Signal()
        words = Signal(4)
        header_bytes = Cat(Const(0, 2), words)
        header_good, time_to_live, fragment = Signal(), Signal(), Signal()
        icmp, igmp, udp = Signal(), Signal(), Signal()
        request, echo_port, udp_length, no_checksum = Signal(), Signal(), Signal(), Signal()
        total_length = Signal(16)
        header_left = Signal(6)     # bytes of the IPv4 header, from this beat on
        left = Signal(17)           # bytes of the IPv4 packet
        long_enough = Signal()      # ARP or the smallest IPv4 packet is there
        complete = Signal()

        with m.If(self.i.valid):
            m.d.sync += [header_left.eq(_less(header_left)), left.eq(_less(left)),
                         complete.eq(left <= beat.end)]
            with m.Switch(index):
                with m.Case(0):
                    m.d.sync += [
                        to_mac.eq(field(0, 6) == settings.mac),
                        from_sound.eq(~beat.data[48]),      # not a group address
                        long_enough.eq(0), ipv4.eq(0), is_arp.eq(0),
                    ]
                with m.Case(1):
                    m.d.sync += [
                        ipv4.eq(field(4, 2) == ETHERTYPE_IPV4),
                        is_arp.eq(field(4, 4) == (ETHERTYPE_ARP << 16 | HARDWARE_ETHERNET)),
                        words.eq(beat.data[48:52]),
                        header_good.eq((beat.data[52:56] == 4) & (beat.data[48:52] >= 5)),
                        header_left.eq(Cat(Const(0, 2), beat.data[48:52]) - 2),
                    ]
                with m.Case(2):
                    total = field(0, 2)
                    m.d.sync += [
                        total_length.eq(total),
                        left.eq(total - 10),        # too short a packet has 128 KiB left
                        facts.ip_end.eq(total + 14),
                        fragment.eq((field(4, 2) & FRAGMENT_MASK).any()),
                        time_to_live.eq(beat.data[48:56].any()),
                        icmp.eq(beat.data[56:] == PROTOCOL_ICMP),
                        igmp.eq(beat.data[56:] == PROTOCOL_IGMP),
                        udp.eq(beat.data[56:] == PROTOCOL_UDP),
                        arp_sound.eq((field(0, 4) == (ETHERTYPE_IPV4 << 16 | 0x0604))
                                     & (field(4, 2) >= REQUEST) & (field(4, 2) <= REPLY)),
                        request.eq(field(4, 2) == REQUEST),             # of ARP, so far
                        facts.sender_mac[32:].eq(field(6, 2)),
                    ]
                with m.Case(3):
                    m.d.sync += [
                        upper_target.eq(upper_own),
                        facts.sender_mac[:32].eq(field(0, 4)),
                        facts.sender_address.eq(field(4, 4)),
                    ]
                    with m.If(ipv4):
                        m.d.sync += from_sound.eq(
                            from_sound & (beat.data[16:24] != 0) & (beat.data[16:24] != 127)
                            & (beat.data[21:24] != 0b111))
                with m.Case(4):
                    m.d.sync += [
                        ip_target.eq(upper_target & lower_own),
                        upper_target.eq(upper_own),
                        echo_port.eq(field(4, 2) == settings.udp_echo_port),
                        udp_length.eq(field(6, 2) == (total_length - 20)[:16]),
                        facts.igmp_type.eq(Mux(words[1], field(6, 1), field(2, 1))),
                        facts.igmp_code.eq(Mux(words[1], field(7, 1), field(3, 1))),
                        facts.igmp_group[16:].eq(field(6, 2)),
                    ]
                    with m.If(ipv4):
                        m.d.sync += request.eq(field(2, 2) == ECHO_REQUEST << 8)
                with m.Case(5):
                    m.d.sync += [
                        facts.for_us.eq(upper_target & lower_own),
                        no_checksum.eq(field(0, 2) == 0),
                        long_enough.eq(beat.end >= 2),
                    ]
                    with m.If(words[1]):
                        m.d.sync += facts.igmp_group.eq(field(2, 4))
                    with m.Else():
                        m.d.sync += facts.igmp_group[:16].eq(field(0, 2))

        # Sums. UDP's has the addresses of the pseudo header in it, which stand in front.
        with_options = words != 5
        begins = Mux(with_options, 0b11000000, 0b11111100)
        in_payload = Signal(_LANES)
        with m.Switch(index):
            with m.Case(0, 1, 2):
                pass
            with m.Case(3):
                m.d.comb += in_payload.eq(Mux(udp, 0b11111100, 0))
            with m.Case(4):
                m.d.comb += in_payload.eq((begins | Mux(udp, 0b00000011, 0)) & _lanes_below(left))
            with m.Default():
                m.d.comb += in_payload.eq(_lanes_below(left))
        pseudo_header = number((total_length - 20 + PROTOCOL_UDP)[:16])
        m.d.comb += [
            header.i_valid.eq(self.i.valid & ~self.i_payload),
            header.i_restart.eq(index == 1),
            header.i_data.eq(beat.data),
            header.i_mask.eq(Mux(index == 1, 0b11000000, _lanes_below(header_left))),
            payload.i_valid.eq(self.i.valid),
            payload.i_restart.eq(Mux(self.i_payload, beat.first, index == 3)),
            payload.i_data.eq(beat.data),
            payload.i_mask.eq(Mux(self.i_payload,
                                  _lanes_below(beat.end) & ~_lanes_below(beat.begin), in_payload)),
            payload.i_base.eq(Mux(udp & ~self.i_payload, pseudo_header, 0)),
            self.o_sum.eq(payload.o_sum),
        ]

        # The verdict is read when its terms stand.
        faults = self.o_faults
        sound_arp, sound_ip, for_hardware, payload_good = Signal(), Signal(), Signal(), Signal()
        igmp_length = Signal(16)
        m.d.sync += igmp_length.eq(total_length - header_bytes)
        m.d.comb += [
            payload_good.eq(payload.o_zero | udp & no_checksum),
            sound_arp.eq(is_arp & arp_sound & long_enough & ~facts.sender_mac[40]),
            sound_ip.eq(ipv4 & header_good & long_enough & complete & header.o_zero & time_to_live
                        & ~fragment & (total_length >= _MINIMUM_IP)),
            for_hardware.eq(sound_ip & ~with_options & to_mac & ip_target & from_sound),
        ]
        for_igmp = (sound_ip & igmp & (~with_options | (words == 6))
                    & ((igmp_length == 8) | (igmp_length >= 12)))

        m.d.sync += [
            self.o_kind.eq(Kind.HOST),
            facts.arp.eq(sound_arp),
            facts.igmp_v3.eq(igmp_length >= 12),
        ]
        with m.If(sound_arp & settings.arp & request & facts.for_us):
            m.d.sync += self.o_kind.eq(Kind.ARP_REQUEST)
        with m.If(for_igmp & payload_good & settings.igmp):
            m.d.sync += self.o_kind.eq(Kind.IGMP)
        with m.If(for_hardware & payload_good):
            with m.If(icmp & request & settings.echo):
                m.d.sync += self.o_kind.eq(Kind.ECHO_REQUEST)
            with m.If(udp & udp_length):
                with m.If(settings.udp_echo & echo_port):
                    m.d.sync += self.o_kind.eq(Kind.UDP_ECHO)
                with m.Elif(settings.unreachable):
                    m.d.sync += self.o_kind.eq(Kind.CLOSED_PORT)

        m.d.sync += faults.eq(0)
        with m.If(ipv4):
            with m.If(~header_good | ~long_enough | ~complete | (total_length < header_bytes)):
                m.d.sync += faults.header.eq(1)
            with m.Elif(~header.o_zero):
                m.d.sync += faults.header_checksum.eq(1)
            with m.Else():
                m.d.sync += [
                    faults.time_to_live.eq(~time_to_live),
                    faults.fragment.eq(fragment),
                    faults.checksum.eq((for_hardware & (icmp | udp) | for_igmp) & ~payload_good),
                ]
        # Who has no address yet sends probes from 0.0.0.0, which may be what ours is.
        with m.If(sound_arp & settings.arp & (facts.sender_address == settings.address)):
            m.d.sync += faults.conflict.eq(facts.sender_mac != settings.mac)
        return m
