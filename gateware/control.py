"""Gives the rooms of the data path their registers: settings, tables, commands and counters."""

import zlib

from amaranth.hdl import Cat, Elaboratable, Module, Mux, Signal, Value
from amaranth.lib import data
from tickwire.hdl.entry.intent import Reason
from tickwire.hdl.ip.edge import EdgeCounts
from tickwire.hdl.mac.host_frame import MAXIMUM_LENGTH, HostFrameKind
from tickwire.hdl.wire.deribit import DERIBIT
from tickwire.hdl.wire.ethernet import multicast_mac

from .register_counters import upper_snake

__all__ = ["Control", "COUNTED"]

#: Rooms whose ``o_count_x`` ports feed the counters ``PREFIX_X``.
COUNTED = {
    "RX": "mac_receive", "CROSSING": "crossing", "IP": "ip_receive", "STORE": "frame_store",
    "REPLY": "reply_queue", "HOST_RECEIVE": "host_receive", "FEED": "feed",
    "BOOK": "book", "STRATEGY": "strategy", "ARMING": "arming", "TX": "mac_transmit",
    "HOST_FRAME": "host_frame", "HOST_ORDER": "host_orders", "EVENT": "event_log",
    "TCP": "tcp", "LINK": "link_fault", "PAUSE": "pause_timer", "ETHER_STATS": "ether_statistics",
    "IF": "interface_statistics",
}

LONGEST_FRAME = 9216        # bytes with FCS that MAX_FRAME_LENGTH may ask for
_TICKS_IN_SECOND = 10
# MULTICAST_HASH's bit of 01:00:5e:00:00:01, the group of all systems, to which queries go.
_ALL_SYSTEMS_HASH = (zlib.crc32(multicast_mac(0xE0000001).to_bytes(6)) ^ 0xFFFF_FFFF) >> 26

#: Tables and the room's port that takes their rows as they are.
TABLES = {
    "subscriptions": ("ip_receive", "subscribe"),
    "instrument_table": ("instruments", "write"),
    "threshold": ("strategy", "i_write"),
    "risk": ("risk", "i_write"),
    "template": ("order_transmit", "i_template"),
    "venue_instrument": ("order_transmit", "i_instrument"),
    "rate": ("risk", "i_rate"),
}

#: Tables of one row, and the strobe that takes it.
LOADS = {
    "session": ("session", "i_load"),
    "acknowledge": ("session", "i_acknowledge"),
    "clock_set": ("clock", "i_set"),
    "clock_offset": ("clock", "i_offset"),
}


class Control(Elaboratable):
    """Connects a register bank and the rooms of a data path.

    Latency: none of its own; see :class:`tickwire.hdl.csr.bank.RegisterBank`.

    Parameters
    ----------
    path : DataPath
    bank : RegisterBank
    """

    def __init__(self, path, bank):
        self.path = path
        self.bank = bank

    def elaborate(self, platform):
        m = Module()
        self.connect_tables(m)
        self.connect_settings(m)
        self.connect_network(m)
        self.connect_edge(m)
        self.connect_tcp(m)
        self.connect_arming(m)
        self.connect_trading(m)
        self.connect_watch(m)
        self.connect_counters(m)
        return m

    def connect_tables(self, m):
        for table, (room, port) in TABLES.items():
            source = getattr(self.bank, f"o_{table}")
            sink = getattr(getattr(self.path, room), port)
            m.d.comb += [
                sink.valid.eq(source.valid),
                sink.payload.index.eq(source.payload.index),
                # Same fields in the same order, which a test compares.
                Value.cast(sink.payload.row).eq(Value.cast(source.payload.row)),
            ]
        for table, (room, port) in LOADS.items():
            source = getattr(self.bank, f"o_{table}")
            sink = getattr(getattr(self.path, room), port)
            m.d.comb += [
                sink.valid.eq(source.valid),
                Value.cast(sink.payload).eq(Value.cast(source.payload.row)),
            ]

    def connect_settings(self, m):
        path, control = self.path, self.bank.o_control
        m.d.comb += [
            path.book.cut_through.eq(control.cut_through),
            path.strategy.i_cut_through.eq(control.cut_through),
            path.launch.cut_through.eq(control.cut_through),
            path.event_log.publish_book.eq(control.publish_book),
            path.event_log.publish_ticker.eq(control.publish_ticker),
            path.clock.i_increment.eq(self.bank.o_clock_increment),
        ]
        wanted = self.bank.o_max_frame_length
        m.d.sync += path.mac_receive.max_length.eq(
            Mux(wanted == 0, self.bank.config.max_frame,
                Mux(wanted > LONGEST_FRAME, LONGEST_FRAME, wanted)))

    def connect_network(self, m):
        bank, path, receive = self.bank, self.path, self.path.host_receive
        responder, wanted = bank.o_responder, bank.o_frame_filter
        answers = Signal()
        m.d.sync += answers.eq(responder.arp | responder.echo | responder.igmp
                               | responder.udp_echo | responder.unreachable)
        m.d.comb += [
            path.frame_store.filter.station.eq(bank.o_station),
            path.frame_store.filter.own.eq(wanted.own | answers),
            path.frame_store.filter.broadcast.eq(wanted.broadcast | responder.arp),
            path.frame_store.filter.promiscuous.eq(wanted.promiscuous),
            path.frame_store.filter.groups.eq(
                bank.o_multicast_hash | Mux(responder.igmp, 1 << _ALL_SYSTEMS_HASH, 0)),
            path.frame_summary.i_address.eq(bank.o_station),
            path.pause_timer.i_enable.eq(bank.o_pause.enable),
            path.pause_timer.i_obey_for_orders.eq(bank.o_pause.orders),
            receive.ring.eq(bank.o_frame_ring),
            receive.consumed.eq(bank.o_frames_consumed),
            bank.i_frames_produced.eq(receive.o_produced),
        ]

    def connect_edge(self, m):
        bank, edge, responder = self.bank, self.path.edge, self.bank.o_responder
        settings = edge.i_settings
        has_address = Signal()
        m.d.sync += has_address.eq(bank.o_ipv4_address.any())
        m.d.comb += [
            settings.mac.eq(bank.o_station),
            settings.address.eq(bank.o_ipv4_address),
            settings.netmask.eq(bank.o_ipv4_netmask),
            settings.gateway.eq(bank.o_ipv4_gateway),
            settings.igmp.eq(responder.igmp),       # a member needs no address (RFC 3376, 4.2.13)
            settings.udp_echo_port.eq(responder.udp_echo_port),
            edge.i_announce.eq(bank.o_ipv4_address_written & bank.o_ipv4_address.any()
                               & responder.arp),
        ]
        for name in ("arp", "echo", "udp_echo", "unreachable"):
            m.d.comb += settings[name].eq(responder[name] & has_address)
        wanted = bank.o_tick_period
        m.d.sync += edge.i_tick_period.eq(
            Mux(wanted == 0, bank.config.core_hz // _TICKS_IN_SECOND, wanted))
        join, leave = bank.o_group_join, bank.o_group_leave
        m.d.comb += [
            edge.i_group.valid.eq((join.valid | leave.valid) & edge.o_group_free),
            edge.i_group.payload.join.eq(join.valid),
            edge.i_group.payload.group.eq(Mux(join.valid, join.payload, leave.payload)),
            bank.i_status.group_busy.eq(~edge.o_group_free),
            edge.i_resolve.valid.eq(bank.o_resolve.valid),
            edge.i_resolve.payload.eq(bank.o_resolve.payload),
            bank.i_status.resolve_busy.eq(edge.o_resolve_busy),
            bank.i_resolved.eq(edge.o_resolved),
            bank.i_status.link_up.eq(self.path.link_fault.o_up),
        ]

    def connect_tcp(self, m):
        bank, tcp, call = self.bank, self.path.tcp, self.bank.o_tcp_call
        settings, command, status = tcp.i_tcp_settings, tcp.i_command.payload, tcp.o_status
        wanted = bank.o_tcp_tick_period
        m.d.sync += self.path.tcp_ticks.i_period.eq(
            Mux(wanted == 0, bank.config.core_hz // 1000, wanted))
        m.d.comb += [
            settings.address.eq(bank.o_ipv4_address),
            settings.secret.eq(Cat(bank.o_tcp_secret_low, bank.o_tcp_secret_high)),
            settings.keep_alive.eq(bank.o_tcp_keep_alive),
            settings.user_timeout.eq(bank.o_tcp_user_timeout),
            settings.syn_timeout.eq(bank.o_tcp_syn_timeout),
            settings.delayed_ack.eq(bank.o_tcp_enable.delayed_ack),
            tcp.i_claim_all.eq(bank.o_tcp_enable.claim_all & bank.o_ipv4_address.any()),
            tcp.i_order_session.eq(bank.o_tcp_orders.session),
            self.path.session.i_follow.eq(bank.o_tcp_orders.enable),
            tcp.i_status_session.eq(bank.o_tcp_select),
            bank.i_tcp_busy.eq(tcp.i_command.valid),
            bank.i_tcp_state.state.eq(status.state.as_value()),
            bank.i_tcp_state.event.eq(status.event.as_value()),
            bank.i_tcp_state.retransmissions.eq(status.retransmissions),
            bank.i_tcp_state.pending.eq(status.pending),
            bank.i_tcp_send_next.eq(status.sequence),
            bank.i_tcp_send_unacknowledged.eq(status.unacknowledged),
            bank.i_tcp_send_window.eq(status.peer_window),
            bank.i_tcp_usable_window.eq(status.usable_window),
            bank.i_tcp_receive_next.eq(status.acknowledgement),
            bank.i_tcp_receive_window.eq(status.window),
        ]
        with m.If(tcp.i_command.ready):
            m.d.sync += tcp.i_command.valid.eq(0)
        with m.If(call.valid & ~tcp.i_command.valid):
            m.d.sync += [
                tcp.i_command.valid.eq(1),
                command.session.eq(call.payload.session),
                command.kind.eq(call.payload.kind),
                command.keep_alive.eq(call.payload.keep_alive),
                command.again.eq(call.payload.again),
                command.end.mac.eq(bank.o_tcp_peer_mac),
                command.end.address.eq(bank.o_tcp_peer_address),
                command.end.port.eq(bank.o_tcp_ports.peer),
                command.end.local_port.eq(bank.o_tcp_ports.own),
            ]
        with m.If(tcp.o_message.valid):
            m.d.sync += [
                bank.i_tcp_messages.eq(bank.i_tcp_messages + 1),
                bank.i_tcp_message_result.refused.eq(tcp.o_message.payload.refused),
                bank.i_tcp_message_result.reason.eq(tcp.o_message.payload.reason.as_value()),
            ]

    def connect_arming(self, m):
        bank, arming = self.bank, self.path.arming
        m.d.comb += [
            arming.i_request.eq(bank.o_arm_request),
            arming.i_arm.valid.eq(bank.o_arm.valid),
            arming.i_arm.payload.eq(bank.o_arm.payload),
            arming.i_release.valid.eq(bank.o_kill_release.valid),
            arming.i_release.payload.eq(bank.o_kill_release.payload),
            arming.i_lifetime.eq(bank.o_arm_lifetime),
            arming.i_disarm.eq(bank.o_disarm),
            arming.i_kill.eq(bank.o_kill),
            arming.i_touch.eq(bank.o_dead_man_touch),
            arming.i_period.eq(bank.o_dead_man_period),
            bank.i_arm_nonce.eq(arming.o_nonce),
        ]

    def connect_trading(self, m):
        bank, orders = self.bank, self.path.host_orders
        m.d.comb += [
            orders.i_post.valid.eq(bank.o_order_post.valid),
            orders.i_post.payload.eq(bank.o_order_post.payload),
            orders.action.eq(bank.o_order.action),
            orders.side.eq(bank.o_order.side),
            orders.instrument.eq(bank.o_order.instrument),
            orders.quantity.eq(bank.o_order_quantity),
            orders.price.eq(bank.o_order_price),
            orders.client_id.eq(bank.o_order_client_id),
            bank.i_order_result.done.eq(orders.o_done),
            bank.i_order_result.reason.eq(orders.o_reason.as_value()),
            bank.i_order_result_post.eq(orders.o_number),
            bank.i_order_result_client_id.eq(orders.o_client_id),
            bank.i_order_result_sequence.eq(orders.o_venue_sequence),
        ]
        select, access = bank.o_book_select, self.path.book_access
        level = access.o_level
        m.d.comb += [
            access.i_select.valid.eq(select.valid),
            access.i_select.payload.index.eq(select.payload.instrument),
            access.i_select.payload.side.eq(select.payload.side),
            access.i_select.payload.level.eq(
                Mux(select.payload.level[8:].any(), 0xFF, select.payload.level)),
            bank.i_book_state.done.eq(access.o_done),
            bank.i_book_state.valid.eq(level.valid),
            bank.i_book_state.tradable.eq(level.built & ~level.stale),
            bank.i_book_state.bids.eq(level.bid_count),
            bank.i_book_state.asks.eq(level.ask_count),
            bank.i_book_price.eq(level.price),
            bank.i_book_amount.eq(level.amount),
            bank.i_book_change_id.eq(level.change_id),
            bank.i_book_max_depth.eq(self.path.book.o_max_depth),
        ]
        frame, send = self.path.host_frame, bank.o_frame_send
        datagram, message = bank.o_datagram_send, bank.o_tcp_message
        m.d.comb += [
            frame.i_enable.eq(bank.o_frame.write),
            frame.i_address.eq(bank.o_frame.address),
            frame.i_data.eq(bank.o_frame.data),
            frame.i_send.eq(send.valid | datagram.valid | message.valid),
            frame.i_kind.eq(Mux(datagram.valid, HostFrameKind.DATAGRAM, Mux(
                message.valid, HostFrameKind.MESSAGE, HostFrameKind.FRAME))),
            frame.i_session.eq(message.payload.session),
            frame.i_length.eq(Mux(datagram.valid, datagram.payload.length, Mux(
                message.valid, message.payload.length, send.payload.length))),
            frame.i_repeat.eq(Mux(send.valid, send.payload.repeat, 0)),
            frame.i_stop.eq(bank.o_frame_stop),
            # A long frame keeps an order waiting for as long as it takes.
            frame.i_cap.eq(Mux(self.path.arming.o_armed, bank.o_frame_cap, MAXIMUM_LENGTH)),
        ]
        session = self.path.session.o
        for name in ("sequence", "unacknowledged", "peer_window", "acknowledgement",
                     "venue_sequence", "last_processed", "client_id"):
            m.d.comb += getattr(bank, f"i_session_{name}").eq(session[name])

    def connect_watch(self, m):
        bank, path = self.bank, self.path
        frames = Signal(32)
        with m.If(path.mac_receive.o_end.valid):
            m.d.sync += frames.eq(frames + 1)
        m.d.comb += [
            path.event_log.ring.eq(bank.o_event_ring),
            path.event_log.consumed.eq(bank.o_events_consumed),
            path.event_log.frames.eq(frames),
            bank.i_frames.eq(frames),
            bank.i_events_produced.eq(path.event_log.o_produced),
            bank.i_cycles.eq(path.counter.o),
            bank.i_nanoseconds.eq(path.clock.o),
            bank.i_nanoseconds_cycle.eq(path.counter.o),
            bank.i_status.armed.eq(path.arming.o_armed),
            bank.i_status.killed.eq(path.arming.o_killed),
            bank.i_status.host_timeout.eq(path.arming.o_host_timeout),
            bank.i_status.log_full.eq(path.event_log.o_full),
            bank.i_status.session.eq(path.session.o.open),
            bank.i_status.window.eq(path.session.o_window_ok),
            bank.i_status.tx_busy.eq(path.order_transmit.o_busy | path.order_pause),
            bank.i_status.frame_busy.eq(path.host_frame.o_busy),
        ]
        if path.pulse_stamp is not None:
            m.d.comb += [
                bank.i_pps_nanoseconds.eq(path.pulse_stamp.o_time),
                bank.i_pps_count.eq(path.pulse_stamp.o_count),
            ]

    def connect_counters(self, m):
        counts = {}
        for prefix, name in COUNTED.items():
            room = getattr(self.path, name)
            for port in room.signature.members:
                if port.startswith("o_count_") and port != "o_count_message":
                    counts[f"{prefix}_{port.removeprefix('o_count_').upper()}"] = getattr(
                        room, port)
        counts |= self.edge() | self.messages() | self.outcomes()
        for name, strobe in counts.items():
            m.d.comb += getattr(self.bank, f"i_count_{name.lower()}").eq(strobe)

    def edge(self):
        """A counter for each count of the network edge's, and one for commands it did not take."""
        bank, edge = self.bank, self.path.edge
        lost = (bank.o_group_join.valid | bank.o_group_leave.valid) & ~edge.o_group_free
        return {"EDGE_GROUP_LOST": lost} | {f"EDGE_{name.upper()}": edge.o_counts[name]
                                            for name, _ in data.Layout.cast(EdgeCounts)}

    def messages(self):
        """A counter for each message of the feed, and one for all others."""
        names = [*(upper_snake(message.name) for message in DERIBIT.messages), "OTHER"]
        return {f"MESSAGES_{name}": self.path.feed.o_count_message[n]
                for n, name in enumerate(names)}

    def outcomes(self):
        """A counter for each reason: refusals of the gate's, and frames broken off later."""
        gate, outcome = self.path.risk.o_count, self.path.order_transmit.o_outcome
        counts = {"ORDERS_SENT": outcome.valid & (outcome.payload.reason == Reason.PASSED)}
        for reason in Reason:
            if reason is not Reason.PASSED:
                broken_off = outcome.valid & (outcome.payload.reason == reason)
                counts[f"REFUSED_{reason.name}"] = gate[reason.value] | broken_off
        return counts
