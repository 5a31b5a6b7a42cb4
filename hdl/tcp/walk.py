"""Headers of IPv4 and TCP, their checksums, and the payload moved to lane 0."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from tickwire.hdl.ip.checksum import ChecksumTest
from tickwire.hdl.ip.octets import number
from tickwire.hdl.stream.packet import strobe
from tickwire.hdl.tcp.align import AlignedBeat
from tickwire.hdl.tcp.options import OptionWalk
from tickwire.hdl.tcp.segment import LARGEST_SEGMENT, Control
from tickwire.hdl.wire.ipv4 import FRAGMENT_MASK, IPV4_HEADER
from tickwire.hdl.wire.tcp import PROTOCOL_TCP, TCP_HEADER

__all__ = ["SegmentFields", "SegmentWalk"]

_LANES = 8
_HEADER_WORDS = 30                  # of 16 bits, in the longest IPv4 header
_SUM_WORDS = 1 << 14                # more than a jumbo frame has
_IP_WORDS = IPV4_HEADER.size // 4   # without options
_TCP_WORDS = TCP_HEADER.size // 4
_FIXED_WORDS = 4                    # of the TCP header, in its first two beats


class SegmentFields(data.Struct):
    """What the headers say. Numbers, first byte highest."""

    tcp: 1                  # protocol
    sound: 1                # version, header lengths, no fragment, time to live, source, length
    total_length: 16        # of the IPv4 packet, bytes
    source: 32
    destination: 32
    source_port: 16
    destination_port: 16
    sequence: 32
    acknowledgement: 32
    control: Control
    window: 16
    length: 16              # bytes of payload, if `sound`


class SegmentWalk(wiring.Component):
    """Walks through IPv4 and TCP headers, both with options (RFC 791, RFC 9293).

    Header lengths are multiples of four bytes, so what follows a header stands in the same lanes
    or four lanes off; and it does so behind the two headers together, so that the payload is
    moved once.

    Sources that cannot be (0/8, 127/8, multicast and broadcast; RFC 1122, 3.2.1.3) are not sound
    (RFC 9293, MUST-63), nor is a payload of more bytes than ``LARGEST_SEGMENT``.

    Latency: beat → ``o_chunk`` 0 cycles, address and ports 1 cycle, the other fields 2 cycles,
    ``o_ip_good``, ``o_tcp_good`` and what OptionWalk finds 3 cycles.

    Members
    -------
    i : In, strobe(AlignedBeat)
        As PacketAligner gives them.
    i_next : In, 8 bits
    o : Out, SegmentFields
    o_mss, o_malformed : Out, 16 bits and 1 bit
        See :class:`OptionWalk`.
    o_ip_good, o_tcp_good : Out, 1 bit
        Checksums.
    o_chunk : Out, strobe of 64 bits
        Eight bytes of payload, or the last ones.
    """

    i: In(strobe(AlignedBeat))
    i_next: In(8)
    o: Out(SegmentFields)
    o_mss: Out(16)
    o_malformed: Out(1)
    o_ip_good: Out(1)
    o_tcp_good: Out(1)
    o_chunk: Out(strobe(64))

    def elaborate(self, platform):
        m = Module()
        m.submodules.ip_sum = ip_sum = ChecksumTest(_HEADER_WORDS)
        m.submodules.tcp_sum = tcp_sum = ChecksumTest(_SUM_WORDS)
        m.submodules.options = options = OptionWalk()
        beat, first, fields = self.i.payload.data, self.i.payload.first, self.o
        valid = self.i.valid

        def field(words, lane, size):
            return number(words[8 * lane:8 * (lane + size)])

        # Where in the packet this beat stands. Words are of four bytes, two of them in a beat.
        index = Signal(2)               # of the beat, up to 3
        ip_left = Signal(4)             # words of the IPv4 header from this beat on
        tcp_left = Signal(4)            # … of the TCP header, once its first two beats are in
        tcp_index = Signal(2)           # beats from where the TCP header begins, up to 3
        bytes_left = Signal(16)         # of the packet
        words = Signal(4, reset_less=True)          # of the IPv4 header
        offset = Signal(4, reset_less=True)         # of the TCP header
        odd = words[0]                  # the TCP header begins in an upper half
        payload_odd = words[0] ^ offset[0]
        high_before = Signal(32, reset_less=True)
        shifted = Cat(high_before, beat[:32])
        here = Mux(first, 0, index)
        in_tcp = Signal()               # `aligned` is of the TCP header, or behind it
        aligned = Signal(8 * _LANES)
        m.d.comb += [
            in_tcp.eq((here == 3) & (ip_left == 0)),
            aligned.eq(Mux(odd, shifted, beat)),
        ]

        def less(count, step):
            return Mux(count > step, count - step, 0)

        with m.If(valid):
            m.d.sync += [
                index.eq(Mux(here == 3, 3, here + 1)),
                high_before.eq(beat[32:]),
                ip_left.eq(less(ip_left, 2)),
                tcp_left.eq(less(tcp_left, 2)),
                bytes_left.eq(less(bytes_left, _LANES)),
            ]
            with m.If(in_tcp & (tcp_index != 3)):
                m.d.sync += tcp_index.eq(tcp_index + 1)

        # IPv4
        header_good, whole, lives, source_good = Signal(), Signal(), Signal(), Signal()
        with m.If(valid), m.Switch(here):
            with m.Case(0):
                m.d.sync += [
                    words.eq(beat[:4]),
                    header_good.eq((beat[4:8] == 4) & (beat[:4] >= _IP_WORDS)),
                    fields.total_length.eq(field(beat, 2, 2)),
                    whole.eq((field(beat, 6, 2) & FRAGMENT_MASK) == 0),
                    ip_left.eq(beat[:4] - 2),
                    bytes_left.eq(less(field(beat, 2, 2), _LANES)),
                    tcp_index.eq(0),
                ]
            with m.Case(1):
                m.d.sync += [
                    lives.eq(beat[:8].any()),
                    fields.tcp.eq(beat[8:16] == PROTOCOL_TCP),
                    fields.source.eq(field(beat, 4, 4)),
                    source_good.eq((beat[32:40] != 0) & (beat[32:40] != 127)
                                   & ~beat[37:40].all()),
                ]
            with m.Case(2):
                m.d.sync += fields.destination.eq(field(beat, 0, 4))

        # TCP
        offset_good = Signal()
        with m.If(valid & in_tcp):
            with m.If(tcp_index == 0):
                m.d.sync += [
                    fields.source_port.eq(field(aligned, 0, 2)),
                    fields.destination_port.eq(field(aligned, 2, 2)),
                    fields.sequence.eq(field(aligned, 4, 4)),
                ]
            with m.Elif(tcp_index == 1):
                m.d.sync += [
                    fields.acknowledgement.eq(field(aligned, 0, 4)),
                    offset.eq(aligned[36:40]),
                    offset_good.eq(aligned[36:40] >= _TCP_WORDS),
                    tcp_left.eq(aligned[36:40] - _FIXED_WORDS - odd),
                    fields.control.eq(aligned[40:45]),
                    fields.window.eq(field(aligned, 6, 2)),
                ]

        # Lengths, a cycle after what they are made of
        tcp_bytes = Signal(17, reset_less=True)         # negative if the packet is too short
        length = Signal(17)                             # the same
        m.d.comb += length.eq(tcp_bytes - (offset << 2))
        m.d.sync += [
            tcp_bytes.eq(fields.total_length - (words << 2)),
            fields.length.eq(length),
            fields.sound.eq(header_good & whole & lives & source_good & offset_good
                            & ~tcp_bytes[16] & ~length[16]
                            & (length[:16] <= LARGEST_SEGMENT)),
        ]

        # Payload. What belongs to it is known a cycle before its first beat at the earliest.
        chunks = Signal(12)
        chunk_bytes = Signal(16)        # in the chunks so far
        m.d.comb += [
            chunk_bytes.eq(chunks << 3),
            self.o_chunk.payload.eq(Mux(payload_odd, shifted, beat)),
            self.o_chunk.valid.eq(valid & in_tcp & tcp_index[1] & (tcp_left == 0)
                                  & ~length[16] & (chunk_bytes < length[:16])),
        ]
        with m.If(valid & first):
            m.d.sync += chunks.eq(0)
        with m.Elif(self.o_chunk.valid):
            m.d.sync += chunks.eq(chunks + 1)

        # Checksums. Which words count is known late in the cycle, so they are added up from the
        # next one on. Both headers' sums have the addresses in them.
        low_ip, high_ip = first | (ip_left != 0), first | (ip_left > 1)
        low_tcp = (here == 2) | in_tcp
        high_tcp = (here == 1) | here[1] & (ip_left <= 1)
        inside = Cat(bytes_left > lane for lane in range(_LANES))
        sum_valid, sum_data = Signal(), Signal(8 * _LANES, reset_less=True)
        ip_mask, tcp_mask = Signal(_LANES, reset_less=True), Signal(_LANES, reset_less=True)
        ip_restart, tcp_restart = Signal(reset_less=True), Signal(reset_less=True)
        m.d.sync += [
            sum_valid.eq(valid),
            sum_data.eq(beat),
            ip_mask.eq(Cat(low_ip.replicate(4), high_ip.replicate(4))),
            ip_restart.eq(here == 0),
            tcp_mask.eq(Cat(low_tcp.replicate(4), high_tcp.replicate(4)) & inside),
            tcp_restart.eq(here == 1),
        ]
        for check, mask, restart in ((ip_sum, ip_mask, ip_restart),
                                     (tcp_sum, tcp_mask, tcp_restart)):
            m.d.comb += [check.i_valid.eq(sum_valid), check.i_data.eq(sum_data),
                         check.i_mask.eq(mask), check.i_restart.eq(restart)]
        pseudo_header = Signal(16, reset_less=True)
        m.d.sync += pseudo_header.eq(tcp_bytes + PROTOCOL_TCP)
        m.d.comb += [
            tcp_sum.i_base.eq(number(pseudo_header)),
            self.o_ip_good.eq(ip_sum.o_zero),
            self.o_tcp_good.eq(tcp_sum.o_zero),
        ]

        # Options: from the sixth word of the TCP header on, which is in its third beat.
        in_options = valid & in_tcp & tcp_index[1]
        starts = tcp_index == 2
        m.d.comb += [
            options.i_valid.eq(in_options),
            options.i_start.eq(starts),
            options.i_start_high.eq(~odd),
            options.i_low.eq((tcp_left != 0) & ~(starts & ~odd)),
            options.i_high.eq(tcp_left > 1),
            options.i_data.eq(beat),
            options.i_next.eq(self.i_next),
            self.o_mss.eq(options.o_mss),
            self.o_malformed.eq(options.o_malformed),
        ]
        return m
