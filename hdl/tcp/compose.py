"""The frame of a segment: headers with their checksums, and a payload word by word."""

from functools import reduce
from operator import or_

from amaranth.hdl import C, Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from tickwire.hdl.ip.octets import number
from tickwire.hdl.stream.packet import packet_stream
from tickwire.hdl.tcp.segment import LARGEST_SEGMENT, SegmentJob, Sequence, SessionView
from tickwire.hdl.tcp.sums import fold, words
from tickwire.hdl.wire.ethernet import ETHERNET_HEADER, ETHERTYPE_IPV4
from tickwire.hdl.wire.ipv4 import DONT_FRAGMENT, IPV4_HEADER
from tickwire.hdl.wire.tcp import PROTOCOL_TCP, TCP_HEADER

__all__ = ["Contents", "SegmentComposer"]

_LANES = 8
_TIME_TO_LIVE = 64              # RFC 1700
_HEADERS = IPV4_HEADER.size + TCP_HEADER.size
_MSS_OPTION = bytes([2, 4]) + LARGEST_SEGMENT.to_bytes(2)
_SAMPLED = 3                    # beat in whose cycle the session is looked at
_PAYLOAD_BEAT = (ETHERNET_HEADER.size + _HEADERS) // _LANES     # its last two bytes
_PAYLOAD_LANES = 2


class Contents(data.Struct):
    """What a segment carries."""

    resent: 1               # `sequence` is that of its first byte
    sequence: 32
    length: 11              # bytes
    sum: 16                 # of its words, see Record


class SegmentComposer(wiring.Component):
    """Makes one frame after another: Ethernet II, IPv4 without options, TCP.

    The sequence number, if it is the session's next one, the acknowledgement and the window are
    those of ``i_view`` in the cycle in which the frame's fourth beat is accepted: so what left just
    before is in them. They are in the checksum, which leaves three beats later.

    From the first beat's acceptance on one beat is accepted in each cycle, and none in the cycle in
    which the frame is first offered, as MacTransmit does it.

    Latency: ``i_start`` → first beat offered 1 cycle; then a beat a cycle.

    Members
    -------
    i_start : In, 1 bit
        Make a frame of ``i_job``. Not while ``o.valid``.
    i_job : In, SegmentJob
        Stands from the cycle with ``i_start`` to the end of the frame.
    i_contents : In, Contents
        Stands from the second cycle after ``i_start`` on to the end of the frame.
    i_word : In, 64 bits
        Payload from lane 0 on: its first word from the fourth cycle after ``i_start`` on; the next
        one in the cycle after each ``o_next``.
    i_mac, i_address : In, 48 and 32 bits
        Ours.
    i_view : In, SessionView
    o : Out, packet_stream(8)
    o_next : Out, 1 bit
        ``i_word`` is being taken.
    o_sequence : Out, 32 bits
        The segment's, from the cycle after its fourth beat on.
    """

    i_start: In(1)
    i_job: In(SegmentJob)
    i_contents: In(Contents)
    i_word: In(64)
    i_mac: In(48)
    i_address: In(32)
    i_view: In(SessionView)
    o: Out(packet_stream(_LANES))
    o_next: Out(1)
    o_sequence: Out(32)

    def elaborate(self, platform):
        m = Module()
        job, contents, view = self.i_job, self.i_contents, self.i_view
        end, beat = job.end, self.o.payload
        option = Mux(job.mss, len(_MSS_OPTION), 0)

        # Lengths
        total_length = Signal(16, reset_less=True)
        last_byte = Signal(11, reset_less=True)
        m.d.sync += [
            total_length.eq(contents.length + option + _HEADERS),
            last_byte.eq(total_length + ETHERNET_HEADER.size - 1),
        ]

        # Sums, in lane order: `number` reverses bytes. Nothing starts them; they follow their
        # inputs, and each is there before the beat that needs it.
        def constant(value):
            return C(int.from_bytes(value.to_bytes(2), "little"), 16)

        def total(name, *terms):
            register = Signal(sum(terms).shape(), name=name, reset_less=True)
            m.d.sync += register.eq(sum(terms))
            return register

        control = Cat(job.control, C(0, 3))
        offset = Mux(job.mss, C((TCP_HEADER.size + len(_MSS_OPTION)) // 4, 4),
                     C(TCP_HEADER.size // 4, 4))
        offset_and_control = Cat(C(0, 4), offset, control)
        addresses = total("addresses", *words(number(self.i_address)),
                          *words(number(end.address)))
        ports = total("ports", number(end.port), number(end.local_port),
                      offset_and_control, Mux(job.mss, sum(
                          int.from_bytes(_MSS_OPTION[at:at + 2], "little") for at in (0, 2)), 0))
        fixed = 0x4500 + DONT_FRAGMENT + (_TIME_TO_LIVE << 8 | PROTOCOL_TCP)
        ip_length = Signal(16)
        m.d.comb += ip_length.eq(contents.length + option + _HEADERS)
        ip_sum = total("ip_sum", addresses, number(ip_length), constant(fixed & 0xffff))
        ip_checksum = Signal(16, reset_less=True)
        m.d.sync += ip_checksum.eq(~fold(ip_sum))
        # The pseudo header has TCP's length; what IPv4 has more of it is taken away again.
        headers = total("headers", addresses, ports)
        known = total("known", headers, contents.sum, number(total_length),
                      constant(0xffff - IPV4_HEADER.size + PROTOCOL_TCP))
        base = Signal(16, reset_less=True)
        m.d.sync += base.eq(fold(known))

        # What the session says, in the cycle in which the frame's fourth beat is accepted
        sequence, acknowledgement, window = Signal(32), Signal(32), Signal(16)
        m.d.comb += [
            sequence.eq(Mux(contents.resent, contents.sequence,
                            Mux(job.origin == Sequence.NEXT, view.sequence, job.sequence))),
            acknowledgement.eq(Mux(job.control.ack,
                                   Mux(job.stray, job.acknowledgement, view.acknowledgement), 0)),
            window.eq(Mux(job.stray, 0, view.window)),
        ]
        # The beat that comes next into `beat`: its index, and one-hot up to those that are payload.
        index = Signal(8)
        place = Signal(_PAYLOAD_BEAT + 2, init=1)
        taken, moves = Signal(), Signal()
        m.d.comb += [
            taken.eq(self.o.valid & self.o.ready),
            moves.eq(taken & ~beat.last),
        ]
        held_acknowledgement = Signal(32, reset_less=True)
        held_window = Signal(16, reset_less=True)
        with m.If(moves & place[_SAMPLED + 1]):
            m.d.sync += [self.o_sequence.eq(sequence), held_acknowledgement.eq(acknowledgement),
                         held_window.eq(window)]
        numbers = total("numbers", *words(number(self.o_sequence)),
                        *words(number(held_acknowledgement)))
        rest = total("rest", number(held_window), base)
        checksum = ~fold((numbers + rest)[:19])

        # The beats
        def octets(value):
            return [value[at:at + 8] for at in reversed(range(0, len(value), 8))]

        ip = IPV4_HEADER.pack(versionAndHeaderLength=0x45, flagsAndFragmentOffset=DONT_FRAGMENT,
                              timeToLive=_TIME_TO_LIVE, protocol=PROTOCOL_TCP)
        frame = [
            *octets(end.mac), *octets(self.i_mac), *ETHERTYPE_IPV4.to_bytes(2),
            *ip[:2], *octets(total_length), *ip[4:10], ip_checksum[:8], ip_checksum[8:],
            *octets(self.i_address), *octets(end.address), *octets(end.local_port),
            *octets(end.port), *octets(sequence)[:2], *octets(self.o_sequence)[2:],
            *octets(held_acknowledgement), offset_and_control[:8], offset_and_control[8:],
            *octets(held_window), checksum[:8], checksum[8:16], 0, 0,
        ]
        frame = Cat(octet if not isinstance(octet, int) else C(octet, 8) for octet in frame)
        word = Signal(64)
        m.d.comb += word.eq(Mux(job.mss, int.from_bytes(_MSS_OPTION, "little"), self.i_word))
        carried = Signal(64 - 8 * _PAYLOAD_LANES, reset_less=True)
        payload = word[:8 * _PAYLOAD_LANES]
        beats = [*(frame[at:at + 64] for at in range(0, 64 * _PAYLOAD_BEAT, 64)),
                 Cat(frame[64 * _PAYLOAD_BEAT:], payload), Cat(carried, payload)]
        following = reduce(or_, (one & here.replicate(64)
                                 for one, here in zip(beats, place, strict=True)))

        in_payload = place[_PAYLOAD_BEAT:].any()
        is_last = index == last_byte[3:]
        m.d.comb += self.o_next.eq(moves & in_payload)
        with m.If(self.o_next):
            m.d.sync += carried.eq(word[8 * _PAYLOAD_LANES:])
        # The beat is loaded even while there is no job: so `i_start` need not reach all of it.
        with m.If(~self.o.valid | self.o.ready):
            m.d.sync += [
                beat.data.eq(following),
                beat.first.eq(place[0]),
                beat.last.eq(in_payload & is_last),
                beat.end.eq(Mux(in_payload & is_last, last_byte[:3] + 1, _LANES)),
            ]
        with m.If(self.i_start | moves):
            m.d.sync += [
                index.eq(index + 1),
                place.eq(Cat(C(0, 1), place[:-2], place[-2:].any())),
                self.o.valid.eq(1),
            ]
        with m.Elif(taken):
            m.d.sync += [self.o.valid.eq(0), index.eq(0), place.eq(1)]
        return m
