"""Orders over a connection of the hardware's: as fast as without one, kept, and sent again."""

import random

import pytest
from gateway_bench import SETTLE
from port_bench import (
    FIRST,
    LOADED,
    OTHER,
    OTHER_IP,
    OWN,
    OWN_IP,
    frame,
    padded,
    waited,
    who_has,
)
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether
from scapy.packet import Raw
from test_network_priority import Trader, pause
from tickwire.gateware.vocabulary import TcpState
from tickwire.sim.wire_words import frames_to_words

PORT, OWN_PORT = 9000, 40_000
TICK = 50               # cycles in a millisecond of TCP's
ISS = 7_000_000         # of the peer


class Connected(Trader):
    """A trader whose orders leave through an established connection."""

    def __init__(self, **options):
        super().__init__(**options)
        gw = self.gateway
        gw.registers.write("TCP_TICK_PERIOD", TICK)
        self.play(who_has())                # now the peer's MAC address is known
        self.connection = gw.tcp.open(OTHER_IP, PORT, local_port=OWN_PORT)
        self.engine.idle(SETTLE)
        syn = self.segments()[0]
        assert syn[TCP].flags == "S" and dict(syn[TCP].options)["MSS"] == 1460
        self.sequence = syn[TCP].seq + 1
        self.play(self.segment("SA", seq=ISS, options=[("MSS", 1460)]))
        self.peer = ISS + 1
        assert self.connection.state is TcpState.ESTABLISHED
        gw.disarm()
        gw.trade_over(self.connection, venue_sequence=11, client_id=5)
        gw.arm()
        self.moved()

    def segment(self, flags="A", *, seq=None, ack=None, window=60_000, payload=b"", options=()):
        """One of the peer's, as a frame."""
        return padded(Ether(src=OTHER, dst=OWN) / IP(src=OTHER_IP, dst=OWN_IP) / TCP(
            sport=PORT, dport=OWN_PORT, flags=flags, seq=self.peer if seq is None else seq,
            ack=self.sequence if ack is None else ack, window=window,
            options=list(options)) / Raw(payload))

    def segments(self, seen=None):
        """What has left for the peer, dissected."""
        frames = (seen or self.look()).frames
        assert all(one.intact and one.fcs_good for one in frames)
        return [packet for packet in (Ether(one.data) for one in frames) if TCP in packet]


@pytest.mark.parametrize("lane", [0, 4])
def test_an_order_is_as_fast_as_without_a_connection(lane):
    bench = Connected()
    for number in range(20):
        chunk = frames_to_words([bench.crossing()], lane=lane, tail=SETTLE)
        bench.engine.run(chunk.data, chunk.control)
        seen = bench.look()
        order, = seen.records["ORDER"]
        assert waited(order) == FIRST
        sent, = bench.segments(seen)
        assert sent[TCP].seq == bench.sequence and sent[TCP].ack == bench.peer
        assert sent[TCP].dport == PORT and sent[TCP].sport == OWN_PORT
        payload = bytes(sent[TCP].payload)[:96]
        assert int.from_bytes(payload[8:16], "little") == 11 + number
        bench.sequence += 96
        bench.play(bench.segment())
    assert bench.connection.status.send_unacknowledged == bench.sequence


def test_an_order_is_sent_again_until_it_is_acknowledged():
    bench = Connected()
    first, = bench.segments(bench.play(bench.crossing()))
    bench.engine.idle(1100 * TICK)
    again, = bench.segments()
    assert bytes(again[TCP].payload)[:96] == bytes(first[TCP].payload)[:96]
    assert again[TCP].seq == first[TCP].seq
    bench.sequence += 96
    bench.play(bench.segment())
    bench.engine.idle(10_000 * TICK)
    assert bench.segments() == [] and bench.moved()["TCP_RESENT"] == 1


def test_a_full_window_refuses_orders_and_opens_again():
    bench = Connected()
    assert bench.play(bench.segment(window=95)).frames == []
    assert bench.play(bench.crossing()).reasons() == ["NO_WINDOW"]
    bench.play(bench.segment(window=96))
    assert bench.play(bench.crossing()).reasons() == ["PASSED"]


def test_orders_and_messages_count_on_from_each_other():
    bench = Connected()
    for number in range(12):
        payload = bytes([number]) * (1 + 50 * number)
        assert bench.gateway.tcp.offer(bench.connection.session, payload) is None
        seen = bench.play(bench.crossing())
        assert seen.reasons() == ["PASSED"]
        message, order = bench.segments(seen)
        assert bytes(message[TCP].payload)[:len(payload)] == payload
        assert message[TCP].seq == bench.sequence
        assert order[TCP].seq == bench.sequence + len(payload)
        bench.sequence += len(payload) + 96
        bench.play(bench.segment())
    assert bench.moved()["TX_FRAMES"] == 24


def test_an_order_never_has_the_sequence_number_of_a_message_that_leaves():
    """The message waits behind a long frame; the order comes before, at, and after its end."""
    bench, reasons = Connected(), []
    long = frame(random.Random(1), to=OTHER, length=LOADED)
    for delay in range(0, 220, 2):
        bench.gateway.send_frame(long)
        while not bench.gateway.frame_room:
            pass
        bench.gateway.registers.write_window("FRAME", b"text")
        bench.gateway.registers.command_fields("TCP_MESSAGE", length=4,
                                               session=bench.connection.session)
        bench.engine.idle(delay)
        seen = bench.play(bench.crossing())
        reasons += seen.reasons()
        parts = {sent[TCP].seq: sent[IP].len - 40 for sent in bench.segments(seen)}
        assert sorted(parts.values()) == [4, 96][:len(parts)]
        assert len(parts) == 1 + (reasons[-1] == "PASSED")
        for start, length in sorted(parts.items()):
            assert start == bench.sequence
            bench.sequence += length
        bench.play(bench.segment())
    assert set(reasons) == {"PASSED", "TX_BUSY"} and reasons.count("TX_BUSY") < 30


def test_pause_frames_do_not_hold_a_connection_back():
    bench = Connected()
    bench.play(pause(0xFFFF))
    sent, = bench.segments(bench.play(bench.segment(payload=b"data")))
    bench.peer += 4
    assert sent[TCP].ack == bench.peer
    assert bench.play(bench.crossing()).reasons() == ["PASSED"]


def test_what_a_session_has_received_reaches_the_host_and_no_raw_frame_does():
    bench = Connected()
    assert bench.gateway.frames.poll() == []
    bench.play(bench.segment(payload=b"executed"), bench.segment("FA", seq=bench.peer + 8,
                                                                 payload=b", and bye"))
    assert bench.connection.read(100) == b"executed, and bye"
    assert bench.connection.read(100) == b"" and bench.gateway.frames.poll() == []
    assert bench.connection.state is TcpState.CLOSE_WAIT
    assert bench.play(bench.crossing()).reasons() == ["NO_SESSION"]
