"""Headers of a received frame, field by field, wherever in the beats they stand."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import enum, wiring
from amaranth.lib.data import StructLayout
from amaranth.lib.wiring import In, Out
from tickwire.hdl.stream.packet import Packet, strobe
from tickwire.hdl.wire.ethernet import ETHERTYPE_IPV4, ETHERTYPE_VLAN, MULTICAST_PREFIX
from tickwire.hdl.wire.ipv4 import FRAGMENT_MASK, PROTOCOL_UDP

__all__ = ["Role", "HeaderFields", "HeaderWalk"]


class Role(enum.IntEnum):
    """What four bytes of a frame hold. Up to the payload every field keeps its place in a role."""

    MAC_DESTINATION = 0     # first four bytes of the destination MAC address
    MAC_MIXED = 1           # two of destination and two of source
    MAC_SOURCE = 2
    TYPE = 3                # EtherType, then the start of the IPv4 header; or a VLAN tag
    TAGGED_TYPE = 4         # EtherType behind a VLAN tag, then the start of the IPv4 header
    LENGTH = 5              # total length, identification
    FRAGMENT = 6            # flags and offset, time to live, protocol
    CHECKSUM = 7            # header checksum, upper half of the source address
    ADDRESS = 8             # lower half of the source, upper half of the destination address
    LAST_ADDRESS = 9        # lower half of the destination address; options or UDP source port
    OPTION = 10             # two bytes of options; two more or the UDP source port
    PORT = 11               # UDP destination port, UDP length
    UDP_CHECKSUM = 12       # UDP checksum, first two bytes of the payload
    PAYLOAD = 13            # anything behind


#: Fields of the frame's headers. Each stands from the cycle after its last byte until the next
#: frame's own.
HeaderFields = StructLayout({
    "upper_start": 1,       # frame began in lane 4
    "vlan": 1,              # it has a VLAN tag
    "ipv4": 1,              # EtherType
    "version_good": 1,      # version 4 and a header length of 5 or more
    "header_words": 4,      # IPv4 header length, 4-byte units
    "total_length": 16,     # of the IPv4 packet, bytes
    "fragment": 1,
    "udp": 1,               # protocol
    "group": 32,            # destination address, first byte highest
    "multicast": 1,         # destination MAC address has the prefix of RFC 1112
    "mac_low": 23,          # and these bits of a group
    "udp_length": 16,
    "no_checksum": 1,       # UDP checksum 0
})


def _big_endian(bits):
    return Cat(bits.word_select(index, 8) for index in reversed(range(len(bits) // 8)))


class HeaderWalk(wiring.Component):
    """Walks through Ethernet II, one VLAN tag, IPv4 with options, and UDP, four bytes at a time.

    A frame begins in lane 0 or 4 and header lengths are multiples of four behind Ethernet's 14
    bytes, so four-byte halves of a beat always hold the same fields at the same lanes: only the
    half varies.

    Latency: ``o_roles`` 0 cycles: those of the lower half and of a payload come from registers.
    ``fields`` 1 cycle. ``o_port`` 0 cycles if the port is in the lower half, else 1.

    Parameters
    ----------
    None.

    Members
    -------
    i : In, strobe(Packet(8))
        As MacReceive gives it.
    o_roles : Out, 2 × 14 bits
        One-hot :class:`Role` of the lower half (bits 0 to 13) and of the upper half. All zero
        outside a frame.
    o_options : Out, 2 bits
        Half is LAST_ADDRESS or OPTION, and options follow (or stand) in its upper two bytes.
    o_port : Out, 16 bits
        UDP destination port.
    fields : Out, HeaderFields
    """

    i: In(strobe(Packet(8)))
    o_roles: Out(2 * len(Role))
    o_options: Out(2)
    o_port: Out(16)
    fields: Out(HeaderFields)

    def elaborate(self, platform):
        m = Module()

        beat = self.i.payload
        halves = [beat.data[:32], beat.data[32:]]
        low, high = self.o_roles[:len(Role)], self.o_roles[len(Role):]

        options = Signal(4)         # four-byte options not seen yet
        tags = [_big_endian(half[:16]) == ETHERTYPE_VLAN for half in halves]

        def following(role, tag, last_option):
            """One-hot successor of a one-hot ``role``."""
            successor = [role[index - 1] if index else 0 for index in Role]
            successor[Role.TAGGED_TYPE] = role[Role.TYPE] & tag
            successor[Role.LENGTH] = role[Role.TYPE] & ~tag | role[Role.TAGGED_TYPE]
            before_udp = role[Role.LAST_ADDRESS] | role[Role.OPTION]
            successor[Role.OPTION] = before_udp & ~last_option
            successor[Role.PORT] = before_udp & last_option
            successor[Role.PAYLOAD] = role[Role.UDP_CHECKSUM] | role[Role.PAYLOAD]
            return Cat(successor)

        # What the next beat's lower half will be; zero outside a frame.
        expected = Signal(len(Role))
        # Nothing is expected when a frame begins, so its first beat need not be told from others.
        begins_low = Signal()
        m.d.comb += [
            begins_low.eq(beat.first & ~beat.begin[2]),
            low.eq(expected | begins_low << Role.MAC_DESTINATION),
            high.eq(following(expected, tags[0], options == 0)
                    | begins_low << Role.MAC_MIXED
                    | (beat.first & beat.begin[2]) << Role.MAC_DESTINATION),
        ]
        options_after = Signal(4)
        m.d.comb += [
            options_after.eq(options - self.o_options[0]),
            self.o_options.eq(Cat(
                (low[Role.LAST_ADDRESS] | low[Role.OPTION]) & (options != 0),
                (high[Role.LAST_ADDRESS] | high[Role.OPTION]) & (options_after != 0))),
        ]
        with m.If(self.i.valid):
            m.d.sync += [
                expected.eq(Mux(beat.last, 0, following(high, tags[1], options_after == 0))),
                options.eq(options_after - self.o_options[1]),
            ]

        fields = self.fields
        port = Signal(16, reset_less=True)
        for half, role, tag in zip(halves, (low, high), tags, strict=True):
            with m.If(self.i.valid):
                first, second = _big_endian(half[:16]), _big_endian(half[16:])
                with m.If(role[Role.MAC_DESTINATION]):
                    m.d.sync += [
                        fields.upper_start.eq(beat.begin[2]),
                        fields.multicast.eq(_big_endian(half)[7:] == MULTICAST_PREFIX << 1),
                        fields.mac_low[16:].eq(second[:7]),
                    ]
                with m.If(role[Role.MAC_MIXED]):
                    m.d.sync += fields.mac_low[:16].eq(first)
                with m.If(role[Role.TYPE]):
                    m.d.sync += fields.vlan.eq(tag)
                with m.If(role[Role.TYPE] | role[Role.TAGGED_TYPE]):
                    m.d.sync += [
                        fields.ipv4.eq(first == ETHERTYPE_IPV4),
                        fields.version_good.eq((half[20:24] == 4) & (half[16:20] >= 5)),
                        fields.header_words.eq(half[16:20]),
                        options.eq(half[16:20] - 5),
                    ]
                with m.If(role[Role.LENGTH]):
                    m.d.sync += fields.total_length.eq(first)
                with m.If(role[Role.FRAGMENT]):
                    m.d.sync += [
                        fields.fragment.eq((first & FRAGMENT_MASK).any()),
                        fields.udp.eq(second[:8] == PROTOCOL_UDP),
                    ]
                with m.If(role[Role.ADDRESS]):
                    m.d.sync += fields.group[16:].eq(second)
                with m.If(role[Role.LAST_ADDRESS]):
                    m.d.sync += fields.group[:16].eq(first)
                with m.If(role[Role.PORT]):
                    m.d.sync += [port.eq(first), fields.udp_length.eq(second)]
                with m.If(role[Role.UDP_CHECKSUM]):
                    m.d.sync += fields.no_checksum.eq(first == 0)
        m.d.comb += self.o_port.eq(Mux(low[Role.PORT], _big_endian(halves[0][:16]), port))
        return m
