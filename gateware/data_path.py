"""From the XGMII input to the XGMII output, in the order in which a packet travels."""

from amaranth.hdl import Elaboratable, Module, Signal
from amaranth.lib.wiring import Component, connect
from tickwire.hdl.book.price_level import PriceLevelBook
from tickwire.hdl.entry.transmit import OrderTransmit
from tickwire.hdl.feed.decoder import FeedDecoder
from tickwire.hdl.feed.instruments import InstrumentTable
from tickwire.hdl.ip.datagram_door import DatagramDoor
from tickwire.hdl.ip.edge import NetworkEdge
from tickwire.hdl.ip.receive import IpReceive
from tickwire.hdl.ip.ticks import EdgeTicks
from tickwire.hdl.mac.arbiter import TransmitArbiter
from tickwire.hdl.mac.frame_merge import FrameMerge
from tickwire.hdl.mac.frame_queue import FrameQueue
from tickwire.hdl.mac.frame_store import FrameStore
from tickwire.hdl.mac.host_frame import HostFrame, HostFrameKind
from tickwire.hdl.mac.pause import PauseGate, PauseTimer
from tickwire.hdl.mac.receive import MacReceive
from tickwire.hdl.mac.statistics import EtherStatistics, InterfaceStatistics
from tickwire.hdl.mac.summary import FrameSummary
from tickwire.hdl.mac.transmit import MacTransmit
from tickwire.hdl.phy.link_fault import LinkFault
from tickwire.hdl.phy.xgmii import LANES
from tickwire.hdl.risk.arming import Arming
from tickwire.hdl.risk.gate import RiskGate
from tickwire.hdl.strategy.launch import LaunchGate
from tickwire.hdl.strategy.threshold import ThresholdStrategy
from tickwire.hdl.stream.crossing import ElasticCrossing
from tickwire.hdl.stream.packet import strobe
from tickwire.hdl.stream.register import PacketRegister
from tickwire.hdl.tcp.engine import TcpEngine
from tickwire.hdl.tcp.parameters import TcpParameters
from tickwire.hdl.tcp.session import TransmitSession
from tickwire.hdl.timing.clock import NanosecondClock
from tickwire.hdl.timing.pulse import PulseStamp
from tickwire.hdl.timing.stamp import CycleCounter, StampCrossing
from tickwire.hdl.wire.order_template import ORDER_LAYOUTS

from .book_access import BookAccess
from .event_log import EventLog
from .host_orders import HostOrders
from .host_receive import HostReceive

__all__ = ["DataPath"]


class DataPath(Elaboratable):
    """All rooms and what connects them; :mod:`tickwire.gateware.control` gives them registers.

    Each room is an attribute, and a submodule of the same name.

    Parameters
    ----------
    config : GatewayConfig
    """

    def __init__(self, config):
        # Market data, in the order of travel
        self.crossing = ElasticCrossing()
        self.mac_receive = MacReceive()
        self.ip_receive = IpReceive()
        self.feed = FeedDecoder(channels=config.channels)
        self.instruments = InstrumentTable()
        self.book = PriceLevelBook(
            instruments=config.instruments, levels=config.levels, row_levels=config.row_levels,
            queue=config.level_queue, channels=config.channels)
        # Orders
        self.strategy = ThresholdStrategy(instruments=config.instruments)
        self.launch = LaunchGate()
        self.risk = RiskGate(instruments=config.instruments)
        self.order_transmit = OrderTransmit(config.instruments)
        self.arbiter = TransmitArbiter()
        self.mac_transmit = MacTransmit()
        # Other frames: hardware answers them or the host gets them, and sends some
        self.frame_store = FrameStore()
        self.edge = NetworkEdge()
        self.reply_queue = FrameQueue()
        self.reply_merge = FrameMerge()
        self.reply_gate = PauseGate()
        self.host_register = PacketRegister(LANES)
        self.host_receive = HostReceive(config.frame_slot)
        self.host_frame = HostFrame()
        self.host_queue = FrameQueue(waits=True)
        self.datagram_queue = FrameQueue(waits=True)
        self.datagram_door = DatagramDoor()
        self.host_gate = PauseGate()
        # Beside the path
        self.link_fault = LinkFault()
        self.frame_summary = FrameSummary()
        self.pause_timer = PauseTimer()
        self.ether_statistics = EtherStatistics()
        self.interface_statistics = InterfaceStatistics()
        self.counter = CycleCounter(64)
        self.stamp_crossing = StampCrossing()
        self.clock = NanosecondClock()
        self.pulse_stamp = PulseStamp() if config.pps else None
        self.arming = Arming()
        largest = max(layout.payload_length for layout in ORDER_LAYOUTS)
        self.session = TransmitSession(largest)
        self.tcp = TcpEngine(TcpParameters(sessions=config.tcp_sessions), largest)
        self.tcp_ticks = EdgeTicks()
        self.host_orders = HostOrders()
        self.book_access = BookAccess()
        self.event_log = EventLog()
        #: Orders are refused because of a PAUSE frame.
        self.order_pause = Signal()

    def elaborate(self, platform):
        m = Module()
        for name, room in vars(self).items():
            if isinstance(room, Component):
                m.submodules[name] = room
        self.connect_market_data(m)
        self.connect_decisions(m)
        self.connect_orders(m)
        self.connect_link(m)
        self.connect_other_frames(m)
        self.connect_tcp(m)
        self.connect_host(m)
        return m

    def connect_market_data(self, m):
        connect(m, self.crossing.o, self.mac_receive.i)
        forward(m, self.mac_receive.o, self.ip_receive.i)
        forward(m, self.mac_receive.o_end, self.ip_receive.i_end)
        connect(m, self.ip_receive.o, self.feed.i)
        connect(m, self.ip_receive.o_end, self.feed.i_end)
        m.d.comb += [
            self.stamp_crossing.i_gray.eq(self.counter.o_gray),
            self.crossing.i_stamp.eq(self.stamp_crossing.o),
            self.mac_receive.i_stamp.eq(self.crossing.o_stamp),
            self.ip_receive.i_stamp.eq(self.mac_receive.o_stamp),
            self.ip_receive.i_end_stamp.eq(self.mac_receive.o_end_stamp),
            self.feed.i_stamp.eq(self.ip_receive.o_stamp),
            self.feed.i_channel.eq(self.ip_receive.o_channel),
            self.feed.i_match.eq(self.ip_receive.o_match),
        ]
        # The launch gate alone needs the verdict at once. To all others, which lie far apart, it
        # goes from a register: nothing is decided between it and the next frame's first event.
        verdict = registered(m, self.feed.o_verdict, "verdict")
        for source, sink in ((self.feed.o, self.instruments.i), (self.feed.o, self.book.i),
                             (self.feed.o, self.strategy.i_feed),
                             (self.feed.o, self.event_log.i_feed),
                             (self.feed.o_verdict, self.launch.i_verdict),
                             (verdict, self.book.i_verdict),
                             (verdict, self.strategy.i_verdict),
                             (verdict, self.event_log.i_verdict),
                             (verdict, self.book_access.i_verdict),
                             (self.instruments.o_early, self.book.i_early),
                             (self.instruments.o, self.book.i_instrument),
                             (self.instruments.o, self.strategy.i_instrument),
                             (self.instruments.o, self.risk.i_instrument)):
            forward(m, source, sink)

    def connect_decisions(self, m):
        # What the authority adds comes after its frame's verdict. A snapshot only repeats what was:
        # nothing is decided on it.
        forward(m, self.book.o_book, self.strategy.i_late)
        forward(m, self.book.o, self.strategy.i_book)
        forward(m, self.strategy.o, self.launch.i)
        connect(m, self.launch.o, self.risk.i_strategy)
        forward(m, self.launch.o_next, self.risk.i_next)
        forward(m, self.launch.o_void, self.risk.i_void)
        forward(m, self.book.o_disarm, self.risk.i_disarm[0])
        forward(m, self.order_transmit.o_inexact, self.risk.i_disarm[1])
        forward(m, self.launch.o_disarm, self.risk.i_disarm[2])
        m.d.comb += [
            self.strategy.i_late.valid.eq(
                self.book.o_book.valid & self.book.o_book_late & ~self.book.o_book_snapshot),
            self.strategy.i_tradable.eq(self.book.o_tradable),
            self.strategy.i_room.eq(self.launch.o_room),
            self.launch.i_committed.eq(self.strategy.o_committed),
            self.launch.now.eq(self.counter.o),
            self.risk.i_any.eq(self.launch.o_any),
            self.risk.i_decided.eq(self.launch.o_decided),
            self.risk.i_released.eq(self.launch.o_released),
            self.risk.now.eq(self.counter.o),
            self.risk.armed.eq(self.arming.o_armed),
            self.risk.killed.eq(self.arming.o_killed),
            self.risk.host_timeout.eq(self.arming.o_host_timeout),
            self.risk.log_full.eq(self.event_log.o_full),
            self.risk.session_ok.eq(self.session.o.open),
            self.risk.window_ok.eq(self.session.o_window_ok),
            self.risk.tx_busy.eq(self.order_transmit.o_busy | self.order_pause
                                 | self.tcp.o_busy & self.session.i_follow),
        ]

    def connect_orders(self, m):
        taken = self.order_transmit.i_intent
        strategy, host = self.risk.i_strategy, self.risk.i_host
        connect(m, self.host_orders.o, self.risk.i_host)
        m.d.comb += [
            taken.valid.eq((strategy.valid & strategy.ready) | (host.valid & host.ready)),
            taken.payload.eq(self.risk.o_asked),
        ]
        forward(m, self.risk.o, self.order_transmit.i)
        connect(m, self.order_transmit.o, self.arbiter.i_order)
        connect(m, self.arbiter.o, self.mac_transmit.i)
        forward(m, self.mac_transmit.o_done, self.order_transmit.i_done)
        forward(m, self.order_transmit.o_commit, self.session.i_commit)
        m.d.comb += [
            self.arbiter.i_order_goes_on.eq(self.order_transmit.o_goes_on),
            self.arbiter.i_start.eq(self.mac_transmit.o_start),
            self.mac_transmit.i_goes_on.eq(self.arbiter.o_goes_on),
            self.mac_transmit.i_abort.eq(self.order_transmit.o_abort),
            self.order_transmit.i_started.eq(self.mac_transmit.o_start),
            self.order_transmit.i_session.eq(self.session.o),
            self.order_transmit.i_time.eq(self.clock.o),
            self.order_transmit.now.eq(self.counter.o),
        ]

    def connect_link(self, m):
        """The state of the link, and what is counted of it; nothing on the path waits for it."""
        forward(m, self.mac_receive.o, self.frame_summary.i)
        forward(m, self.mac_receive.o_end, self.frame_summary.i_end)
        forward(m, self.mac_receive.o, self.ether_statistics.i)
        for sink in (self.pause_timer.i, self.ether_statistics.i_summary,
                     self.interface_statistics.i_summary):
            forward(m, self.frame_summary.o, sink)
        # What is counted of frames sent is all a cycle old, so that counting holds up no order.
        done = registered(m, self.mac_transmit.o_done, "done")
        forward(m, done, self.interface_statistics.i_done)
        sent = self.mac_transmit.i
        m.d.sync += [
            self.order_pause.eq(self.pause_timer.o_pause_orders),
            self.interface_statistics.i_sent.valid.eq(sent.valid & sent.ready),
            self.interface_statistics.i_sent.payload.eq(sent.payload),
            self.interface_statistics.i_start.eq(self.mac_transmit.o_start),
        ]
        m.d.comb += [
            self.interface_statistics.i_in_discards.eq(
                self.frame_store.o_count_no_room
                + (self.edge.o_counts.host_no_room | self.host_receive.o_count_no_room
                   | self.host_receive.o_count_too_long)),
            self.interface_statistics.i_out_discards.eq(
                self.edge.o_counts.no_room | self.reply_queue.o_count_dropped),
            self.ether_statistics.max_length.eq(self.mac_receive.max_length),
            self.host_gate.i_pause.eq(self.pause_timer.o_pause_host),
            self.reply_gate.i_pause.eq(self.pause_timer.o_pause_host),
            self.mac_transmit.i_fault.eq(~self.link_fault.o_up),
            self.mac_transmit.i_remote_fault.eq(self.link_fault.o_local_fault),
        ]

    def connect_other_frames(self, m):
        """Frames that are no market data: the network edge answers some, the host gets the rest."""
        forward(m, self.mac_receive.o, self.frame_store.i)
        forward(m, self.mac_receive.o_end, self.frame_store.i_end)
        connect(m, self.frame_store.o, self.edge.i)
        connect(m, self.edge.o, self.reply_queue.i)
        connect(m, self.reply_queue.o, self.reply_gate.i)
        # PAUSE does not hold segments back: orders share their connection, and would have to wait.
        connect(m, self.reply_gate.o, self.reply_merge.i_first)
        connect(m, self.tcp.o, self.reply_merge.i_second)
        connect(m, self.reply_merge.o, self.arbiter.i_reply)
        connect(m, self.edge.o_host, self.host_register.i)
        connect(m, self.host_register.o, self.host_receive.i)
        # What the host wrote is a frame, or the edge or the TCP engine makes one of it.
        sent, kind = self.host_frame.o, self.host_frame.o_kind
        for wanted, sink in ((HostFrameKind.FRAME, self.host_queue.i),
                             (HostFrameKind.DATAGRAM, self.datagram_queue.i),
                             (HostFrameKind.MESSAGE, self.tcp.i_message)):
            m.d.comb += sink.payload.eq(sent.payload)
            with m.If(kind == wanted):
                m.d.comb += [sink.valid.eq(sent.valid), sent.ready.eq(sink.ready)]
        connect(m, self.datagram_queue.o, self.datagram_door.i)
        connect(m, self.datagram_door.o, self.edge.i_udp)
        connect(m, self.host_queue.o, self.host_gate.i)
        connect(m, self.host_gate.o, self.arbiter.i_host)
        m.d.comb += [
            self.frame_store.i_claimed.eq(self.ip_receive.o_count_accepted | self.tcp.o_claimed),
            self.frame_store.i_control.eq(self.frame_summary.o.payload.control),
            self.host_receive.cycle.eq(self.counter.o),
            self.edge.i_udp_to.eq(self.datagram_door.o_to),
        ]

    def connect_tcp(self, m):
        """Connections; an order's frame passes by, and only what it has used up is told."""
        tcp, session, order = self.tcp, self.session, self.order_transmit.o
        forward(m, self.mac_receive.o, tcp.i)
        forward(m, self.mac_receive.o_end, tcp.i_end)
        forward(m, self.mac_transmit.o_done, tcp.i_done)
        connect(m, tcp.o_data, self.host_receive.i_data)
        connect(m, self.host_receive.o_consumed, tcp.i_consumed)
        follows = session.i_follow
        m.d.comb += [
            tcp.i_settings.eq(self.edge.i_settings),
            tcp.i_tick.eq(self.tcp_ticks.o_tick),
            tcp.i_started.eq(self.mac_transmit.o_start),
            tcp.i_message_session.eq(self.host_frame.o_session),
            tcp.i_order.valid.eq(order.valid & order.ready & follows),
            tcp.i_order.payload.eq(order.payload),
            tcp.i_order_commit.valid.eq(self.order_transmit.o_commit.valid & follows),
            tcp.i_order_commit.payload.eq(self.order_transmit.o_commit.payload),
            session.i_tcp.eq(tcp.o_order),
            session.i_room.eq(tcp.o_order_room),
            session.i_left.valid.eq(
                tcp.o_left.valid & (tcp.o_left.payload.session == tcp.i_order_session)),
            session.i_left.payload.eq(tcp.o_left.payload),
            self.host_receive.i_data_session.eq(tcp.o_data_session),
        ]

    def connect_host(self, m):
        """What the host sees of it, and what it sends itself."""
        frame_end = Signal(16)
        with m.If(self.event_log.i_verdict.valid):
            m.d.sync += frame_end.eq(self.event_log.i_verdict.payload.stamp)
        refused = registered(m, self.risk.o_refused, "refused")
        notice = self.instruments.o
        if self.pulse_stamp is not None:
            m.d.comb += self.pulse_stamp.i_time.eq(self.clock.o)
        forward(m, self.book.o_book, self.event_log.i_book)
        forward(m, self.order_transmit.o_outcome, self.event_log.i_outcome)
        forward(m, self.order_transmit.o_outcome, self.host_orders.i_outcome)
        forward(m, refused, self.event_log.i_refused)
        forward(m, refused, self.host_orders.i_refused)
        forward(m, self.book.o_book, self.book_access.i_book)
        forward(m, self.book_access.o, self.book.i_host)
        forward(m, self.book.o_host, self.book_access.i)
        # The verdict that let the order pass is long there, the next one is not.
        m.d.sync += self.event_log.i_order.eq(self.risk.o.valid)
        m.d.comb += [
            self.event_log.i_index.valid.eq(notice.valid & notice.payload.known),
            self.event_log.i_index.payload.eq(notice.payload.index),
            self.event_log.i_frame_end.eq(frame_end),
            self.event_log.cycle.eq(self.counter.o),
            self.host_orders.now.eq(self.counter.o),
            self.host_orders.i_venue_sequence.eq(self.session.o.venue_sequence),
            self.host_orders.i_known.eq(self.book_access.o_known),
            self.book_access.i_watch.eq(self.host_orders.o_watch),
            self.book_access.i_index.eq(self.risk.o_query),
            self.risk.i_tradable.eq(self.book_access.o_tradable),
        ]


def registered(m, source, name):
    """A strobe, one cycle later."""
    later = strobe(source.payload.shape()).create(path=(name,))
    m.d.sync += [later.valid.eq(source.valid), later.payload.eq(source.payload)]
    return later


def forward(m, source, sink):
    """Connects a strobe that has several readers."""
    m.d.comb += [sink.valid.eq(source.valid), sink.payload.eq(source.payload)]
