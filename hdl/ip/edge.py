"""The gateway as a citizen of the network: ARP, ICMP echo, IGMP and UDP beside the host's path."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, enum, wiring
from amaranth.lib.wiring import In, Out
from tickwire.hdl.ip.arp import ArpCache
from tickwire.hdl.ip.buffer import EdgeBuffer
from tickwire.hdl.ip.classify import FrameClassifier, Kind
from tickwire.hdl.ip.compose import FrameComposer
from tickwire.hdl.ip.igmp import GroupCommand, IgmpHost, ReportKind
from tickwire.hdl.ip.next_hop import NextHop, group_mac
from tickwire.hdl.ip.program import Program
from tickwire.hdl.ip.settings import EdgeSettings, UdpDestination
from tickwire.hdl.ip.ticks import EdgeTicks
from tickwire.hdl.stream.packet import packet_stream, strobe

__all__ = ["EdgeCounts", "NetworkEdge"]

_LANES = 8
_DEPTH = 512            # beats in the buffer: two block RAMs of an ECP5
_SETTLE = 3             # cycles from the last beat to the classifier's verdict
_PATIENCE = 64          # cycles in which a frame waits for room
_BURST = 8              # ICMP errors; one more each tick


class EdgeCounts(data.Struct):
    """Strobes, each for one cycle."""

    arp_reply: 1            # sent
    arp_conflict: 1         # somebody else uses our address (RFC 5227)
    ip_header: 1            # refused: version, header length or lengths
    ip_checksum: 1          # refused: header checksum
    ip_time_to_live: 1      # refused: 0
    ip_fragment: 1          # refused
    checksum: 1             # refused: checksum of ICMP, IGMP or UDP
    echo_reply: 1           # ICMP, sent
    udp_echo: 1             # sent
    unreachable: 1          # port unreachable, sent
    unreachable_limited: 1  # not sent: too many
    igmp_message: 1         # queries and reports received
    igmp_report: 1          # sent
    igmp_full: 1            # group refused: no row is free
    udp_sent: 1
    udp_unresolved: 1       # datagram dropped: no gateway, or no ARP reply
    udp_too_long: 1         # datagram dropped
    no_room: 1              # frame dropped: `o` not ready
    host: 1                 # frames to the host
    host_no_room: 1         # frame dropped: `o_host` not ready


class _State(enum.Enum, shape=3):
    IDLE = 0
    RECEIVE = 1     # a frame goes into the buffer
    LOAD = 2        # a payload does
    SETTLE = 3      # the sums are made
    JUDGE = 4
    ROOM = 5        # for the frame that is to be made
    COMPOSE = 6


class _Udp(enum.Enum, shape=2):
    """The datagram in front of ``i_udp``."""

    NONE = 0
    RESOLVE = 1
    READY = 2
    FAILED = 3


class NetworkEdge(wiring.Component):
    """Answers what hardware can answer and gives every other frame to the host.

    One buffer, one thing at a time: a frame is received whole and judged; then either a program of
    :class:`~tickwire.hdl.ip.compose.FrameComposer` makes the reply out of it, or it is copied to
    the host. In between it sends ARP requests, IGMP reports and datagrams. Frames longer than the
    buffer (4,096 bytes) are for the host. What the hardware refuses is counted and for the host.

    A frame is made once its output shows ready. If it does not for 64 cycles, the frame is dropped
    and counted: so ready must not wait for valid. Who has accepted a first beat must accept the
    others in bounded time.

    A datagram waits for the reply to an ARP request, and those behind it wait, too; frames are
    received in the meantime.

    Latency: last beat accepted → first beat offered 7 cycles for the host, 36 for an ARP reply or a
    UDP echo, 38 for an ICMP echo reply, 50 for port unreachable; a datagram whose address is
    resolved 43, one more if its last beat has more than 6 bytes. ``i_resolve`` → not
    ``o_resolve_busy`` 7 cycles and 2 for each row of a cache that is idle and knows the address.

    Parameters
    ----------
    cache_rows, group_rows : int
        See :class:`ArpCache`, :class:`IgmpHost`.

    Members
    -------
    i : In, packet_stream(8)
        Frames without FCS that were good.
    o : Out, packet_stream(8)
        Frames to send; the MAC pads.
    o_host : Out, packet_stream(8)
        Frames for the host.
    i_settings : In, EdgeSettings
    i_tick_period : In, 32 bits
        Cycles in 100 ms; 0: time stands still.
    i_skip : In, 64 bits
        See :class:`EdgeTicks`.
    i_announce : In, 1 bit
        Send a gratuitous ARP request (RFC 5227, 2.3), as when the address was set.
    i_group : In, strobe(GroupCommand)
        Only while ``o_group_free``.
    o_group_free : Out, 1 bit
    i_resolve : In, strobe of 32 bits
        Look for the next hop of this address; not taken while ``o_resolve_busy``.
    o_resolve_busy : Out, 1 bit
    o_resolved : Out, 48 bits
        MAC address of the hop that was looked for last; 0 if there is none.
    i_udp : In, packet_stream(8)
        Payloads of up to 1,472 bytes, ``begin`` = 0; an empty one is a beat with
        ``end`` = 0.
    i_udp_to : In, UdpDestination
        Stands with a payload's first beat.
    o_counts : Out, EdgeCounts
    """

    def __init__(self, *, cache_rows=16, group_rows=16):
        self._cache_rows = cache_rows
        self._group_rows = group_rows
        super().__init__({
            "i": In(packet_stream(_LANES)),
            "o": Out(packet_stream(_LANES)),
            "o_host": Out(packet_stream(_LANES)),
            "i_settings": In(EdgeSettings),
            "i_tick_period": In(32),
            "i_skip": In(64),
            "i_announce": In(1),
            "i_group": In(strobe(GroupCommand)),
            "o_group_free": Out(1),
            "i_resolve": In(strobe(32)),
            "o_resolve_busy": Out(1),
            "o_resolved": Out(48),
            "i_udp": In(packet_stream(_LANES)),
            "i_udp_to": In(UdpDestination),
            "o_counts": Out(EdgeCounts),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.ticks = ticks = EdgeTicks()
        m.submodules.buffer = buffer = EdgeBuffer(_DEPTH)
        m.submodules.classifier = classifier = FrameClassifier()
        m.submodules.cache = cache = ArpCache(self._cache_rows)
        m.submodules.next_hop = next_hop = NextHop()
        m.submodules.igmp = igmp = IgmpHost(self._group_rows)
        m.submodules.composer = composer = FrameComposer(_DEPTH)

        settings, counts = self.i_settings, self.o_counts
        facts, faults = classifier.o_facts, classifier.o_faults
        state = Signal(_State)
        program, to_host = Signal(Program), Signal()
        sending = Signal()                      # the buffer has a payload, not a frame
        continued, more = Signal(), Signal()    # part of a frame: not its first, not its last
        unwanted = Signal()                     # what comes is thrown away
        learns = Signal()                       # the cache does, so the facts must stand
        waited = Signal(range(_PATIENCE))
        announces, announcing = Signal(), Signal()
        udp, udp_to = Signal(_Udp), Signal(UdpDestination)
        udp_turn = Signal()                     # a frame was received last
        wanted, wanted_address = Signal(), Signal(32)       # a next hop, by the host
        resolving = Signal()                    # … and it is being looked for
        tokens = Signal(range(_BURST + 1), init=_BURST)

        # As the frame travels: into the buffer and past the classifier, ...
        wiring.connect(m, wiring.flipped(self.i), buffer.i)
        wiring.connect(m, wiring.flipped(self.i_udp), buffer.i_udp)
        wiring.connect(m, buffer.o_beat, classifier.i)
        m.d.comb += [
            buffer.i_take_frame.eq(state == _State.RECEIVE),
            buffer.i_take_payload.eq(state == _State.LOAD),
            classifier.i_payload.eq(sending),
            classifier.i_settings.eq(settings),
        ]
        # ... to those who learn from it, ...
        m.d.comb += [
            cache.i_learn.eq(learns),
            cache.i_learn_known.eq(~facts.for_us),
            cache.i_learn_address.eq(facts.sender_address),
            cache.i_learn_mac.eq(facts.sender_mac),
            igmp.i_message.payload.type.eq(facts.igmp_type),
            igmp.i_message.payload.code.eq(facts.igmp_code),
            igmp.i_message.payload.group.eq(facts.igmp_group),
            igmp.i_message.payload.v3.eq(facts.igmp_v3),
        ]
        # ... and out of it again.
        job = composer.i_job
        m.d.comb += [
            composer.i_program.eq(program),
            composer.i_mac.eq(settings.mac),
            composer.i_address.eq(settings.address),
            composer.i_length.eq(Mux((program == Program.ECHO_REPLY)
                                     | (program == Program.UDP_ECHO),
                                     facts.ip_end, buffer.o_length)),
            composer.i_payload_sum.eq(classifier.o_sum),
            composer.i_continued.eq(continued),
            composer.i_more.eq(more),
            buffer.i_address.eq(composer.o_buffer),
            buffer.i_read.eq(composer.o_buffer_read),
            composer.i_buffer.eq(buffer.o_data),
            composer.o.ready.eq(Mux(to_host, self.o_host.ready, self.o.ready)),
            self.o.valid.eq(composer.o.valid & ~to_host),
            self.o.payload.eq(composer.o.payload),
            self.o_host.valid.eq(composer.o.valid & to_host),
            self.o_host.payload.eq(composer.o.payload),
        ]
        with m.Switch(program):
            with m.Case(Program.ARP_REQUEST):
                m.d.comb += job.address.eq(Mux(announcing, settings.address,
                                                next_hop.o_hop))
            with m.Case(Program.UDP):
                m.d.comb += [job.mac.eq(next_hop.o_mac), job.address.eq(udp_to.address),
                             job.source_port.eq(udp_to.source_port),
                             job.destination_port.eq(udp_to.destination_port)]
            with m.Default():
                m.d.comb += [job.mac.eq(group_mac(igmp.o_group)), job.address.eq(igmp.o_group),
                             job.source_port.eq(igmp.o_code << 8)]

        # The datagram in front is resolved while frames are received.
        m.d.comb += [
            next_hop.i_address.eq(Mux(resolving, wanted_address, udp_to.address)),
            next_hop.i_settings.eq(settings),
            next_hop.i_learned.eq(cache.o_learned),
            cache.i_look_up.eq(next_hop.o_look_up),
            cache.i_address.eq(next_hop.o_hop),
            next_hop.i_found.eq(cache.o_found),
            next_hop.i_missing.eq(cache.o_missing),
            next_hop.i_mac.eq(cache.o_mac),
        ]
        hop_free = (udp == _Udp.NONE) & ~resolving
        m.d.sync += next_hop.i_start.eq(hop_free & (wanted | self.i_udp.valid))
        with m.If(hop_free & wanted):
            m.d.sync += [resolving.eq(1), wanted.eq(0)]
        with m.Elif(hop_free & self.i_udp.valid):
            m.d.sync += [udp.eq(_Udp.RESOLVE), udp_to.eq(self.i_udp_to)]
        with m.If(next_hop.o_done):
            m.d.sync += resolving.eq(0)
            with m.If(~resolving):
                m.d.sync += udp.eq(Mux(next_hop.o_failed, _Udp.FAILED, _Udp.READY))
        udp_waits = (udp == _Udp.READY) | (udp == _Udp.FAILED)

        # Timers
        spends = Signal()
        m.d.comb += [
            ticks.i_period.eq(self.i_tick_period),
            ticks.i_skip.eq(self.i_skip),
            cache.i_tick.eq(ticks.o_second),
            next_hop.i_tick.eq(ticks.o_second),
            igmp.i_tick.eq(ticks.o_tick),
            igmp.i_salt.eq(settings.mac[:16]),
        ]
        m.d.sync += tokens.eq(tokens - spends + (ticks.o_tick & (tokens != _BURST)))

        # The host's commands
        with m.If(self.i_resolve.valid & ~self.o_resolve_busy):
            m.d.sync += [wanted.eq(1), wanted_address.eq(self.i_resolve.payload)]
        with m.If(next_hop.o_done & resolving):
            m.d.sync += self.o_resolved.eq(Mux(next_hop.o_failed, 0, next_hop.o_mac))
        m.d.comb += self.o_resolve_busy.eq(wanted | resolving)
        wiring.connect(m, wiring.flipped(self.i_group), igmp.i_command)
        m.d.comb += [self.o_group_free.eq(igmp.o_command_free),
                     counts.igmp_full.eq(igmp.o_count_full)]

        def make(which, *, host=False):
            """The frame is made as soon as there is room for it."""
            return [program.eq(which), to_host.eq(host), waited.eq(0), state.eq(_State.ROOM)]

        sent, given_up = Signal(), Signal()
        with m.If(cache.o_learned):
            m.d.sync += learns.eq(0)
        with m.If(self.i_announce):
            m.d.sync += announces.eq(1)
        with m.Switch(state):
            with m.Case(_State.IDLE):
                m.d.sync += [continued.eq(0), more.eq(0), sending.eq(0), unwanted.eq(0),
                             announcing.eq(announces)]
                with m.If(announces | next_hop.o_ask):
                    m.d.sync += make(Program.ARP_REQUEST)
                with m.Elif(igmp.o_report):
                    m.d.sync += make(Mux(igmp.o_kind == ReportKind.V3, Program.V3_REPORT, Mux(
                        igmp.o_kind == ReportKind.LEAVE, Program.LEAVE, Program.REPORT)))
                with m.Elif(udp_waits & ~learns & (udp_turn | ~self.i.valid)):
                    m.d.sync += [sending.eq(1), unwanted.eq(udp == _Udp.FAILED), udp_turn.eq(0),
                                 state.eq(_State.LOAD)]
                with m.Elif(self.i.valid & igmp.o_message_free & ~learns):
                    m.d.sync += [udp_turn.eq(1), state.eq(_State.RECEIVE)]

            with m.Case(_State.RECEIVE):
                m.d.sync += [more.eq(~buffer.o_ended), waited.eq(0)]
                with m.If(unwanted), m.If(buffer.o_ended):
                    m.d.sync += state.eq(_State.IDLE)
                with m.Elif(buffer.o_full | buffer.o_ended & continued):
                    m.d.sync += make(Program.COPY, host=True)
                with m.Elif(buffer.o_ended):
                    m.d.sync += state.eq(_State.SETTLE)

            with m.Case(_State.LOAD):
                m.d.sync += waited.eq(0)
                with m.If(buffer.o_ended):
                    m.d.sync += state.eq(_State.SETTLE)
                    with m.If(unwanted | buffer.o_too_long):
                        m.d.comb += [counts.udp_unresolved.eq(unwanted),
                                     counts.udp_too_long.eq(~unwanted)]
                        m.d.sync += [udp.eq(_Udp.NONE), state.eq(_State.IDLE)]

            with m.Case(_State.SETTLE):
                m.d.sync += waited.eq(waited + 1)
                with m.If(waited == _SETTLE - 2):
                    m.d.sync += state.eq(_State.JUDGE)
                    with m.If(sending):
                        m.d.sync += make(Program.UDP)

            with m.Case(_State.JUDGE):
                m.d.comb += [
                    counts.ip_header.eq(faults.header),
                    counts.ip_checksum.eq(faults.header_checksum),
                    counts.ip_time_to_live.eq(faults.time_to_live),
                    counts.ip_fragment.eq(faults.fragment),
                    counts.checksum.eq(faults.checksum),
                    counts.arp_conflict.eq(faults.conflict),
                    counts.igmp_message.eq(classifier.o_kind == Kind.IGMP),
                    igmp.i_message.valid.eq(counts.igmp_message),
                ]
                with m.Switch(classifier.o_kind):
                    with m.Case(Kind.ARP_REQUEST):
                        m.d.sync += make(Program.ARP_REPLY)
                    with m.Case(Kind.ECHO_REQUEST):
                        m.d.sync += make(Program.ECHO_REPLY)
                    with m.Case(Kind.UDP_ECHO):
                        m.d.sync += make(Program.UDP_ECHO)
                    with m.Case(Kind.CLOSED_PORT):
                        m.d.sync += make(Program.PORT_UNREACHABLE)
                        m.d.comb += spends.eq(tokens != 0)
                        with m.If(tokens == 0):
                            m.d.comb += counts.unreachable_limited.eq(1)
                            m.d.sync += state.eq(_State.IDLE)
                    with m.Default():
                        m.d.sync += make(Program.COPY, host=True)
                with m.If(settings.arp & facts.arp & ~faults.conflict
                          & (facts.sender_address != 0)):
                    m.d.sync += learns.eq(1)

            with m.Case(_State.ROOM):
                m.d.sync += waited.eq(waited + 1)
                with m.If(composer.o.ready | continued):
                    m.d.comb += composer.i_start.eq(1)
                    m.d.sync += state.eq(_State.COMPOSE)
                with m.Elif(waited == _PATIENCE - 1):
                    m.d.comb += given_up.eq(1)

            with m.Case(_State.COMPOSE):
                m.d.comb += sent.eq(composer.o_done)

        # What comes of it when a frame has been sent, or has found no room
        with m.If(sent | given_up):
            m.d.sync += state.eq(_State.IDLE)
            m.d.comb += [counts.no_room.eq(given_up & ~to_host),
                         counts.host_no_room.eq(given_up & to_host)]
            with m.If(more):
                m.d.sync += [continued.eq(1), unwanted.eq(given_up), state.eq(_State.RECEIVE)]
            with m.Switch(program):
                with m.Case(Program.COPY):
                    m.d.comb += counts.host.eq(sent & ~more)
                with m.Case(Program.ARP_REQUEST):
                    m.d.comb += next_hop.i_asked.eq(~announcing)
                    with m.If(announcing & ~self.i_announce):
                        m.d.sync += announces.eq(0)
                with m.Case(Program.ARP_REPLY):
                    m.d.comb += counts.arp_reply.eq(sent)
                with m.Case(Program.ECHO_REPLY):
                    m.d.comb += counts.echo_reply.eq(sent)
                with m.Case(Program.PORT_UNREACHABLE):
                    m.d.comb += counts.unreachable.eq(sent)
                with m.Case(Program.UDP_ECHO):
                    m.d.comb += counts.udp_echo.eq(sent)
                with m.Case(Program.UDP):
                    m.d.comb += counts.udp_sent.eq(sent)
                    m.d.sync += udp.eq(_Udp.NONE)
                with m.Default():
                    m.d.comb += [counts.igmp_report.eq(sent), igmp.i_reported.eq(1)]
        return m
