# amaranth: UnusedElaboratable=no
"""The TCP rooms between the MAC, the order path and the frame store, as they will stand."""

import random

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import connect
from amaranth.sim import Simulator
from frame_bench import Collector, beats_of
from order_bench import CONNECTION, TERMS, make_intent, session_state
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether
from segment_bench import OWN_ADDRESS, OWN_MAC, ROWS, SETTINGS, packet
from tickwire.hdl.entry.transmit import OrderTransmit
from tickwire.hdl.mac.arbiter import TransmitArbiter
from tickwire.hdl.mac.frame_queue import FrameQueue
from tickwire.hdl.mac.frame_store import FrameStore
from tickwire.hdl.mac.receive import MacReceive
from tickwire.hdl.mac.transmit import MacTransmit
from tickwire.hdl.tcp.receive import TcpReceive
from tickwire.hdl.tcp.session import SessionState, TransmitSession
from tickwire.hdl.tcp.transmit import TcpTransmit
from tickwire.hdl.wire.order_template import cancel_order_template, new_order_template
from transmit_bench import job, tshark
from xgmii_bench import IDLE, Wire, find_frames, with_fcs


@pytest.mark.parametrize("seed", [1, 2])
def test_frames_off_the_wire_go_to_one_of_two(seed):
    """At every gap from 5 characters on, segments are claimed, all others are the host's."""
    rng = random.Random(seed)
    wire, segments, others = Wire().idle(16), [], []
    for index in range(220):
        octets = None
        if rng.random() < 0.6:
            payload = rng.randbytes(rng.choice([0, 1, rng.randrange(60), rng.randrange(300)]))
            octets = bytes(packet(payload, seq=index, vlan=rng.random() < 0.3,
                                  options=[("NOP", None)] * 4 * rng.randrange(3)))
            bad = rng.random() < 0.2
            if not bad:
                segments.append((index, payload))
        else:
            other = rng.choice([
                Ether(dst=OWN_MAC) / ARP(), Ether(dst=OWN_MAC) / IP(dst=OWN_ADDRESS) / UDP(),
                packet(b"to the host's TCP", dport=22), packet(b"not for us", dst="192.168.7.9")])
            octets, bad = bytes(other).ljust(60, b"\0"), False
            others.append(octets)
        octets = bytearray(with_fcs(octets.ljust(60, b"\x5a")))
        if bad:
            octets[rng.randrange(len(octets))] ^= 1 << rng.randrange(8)
        wire.frame(octets).idle(rng.randrange(4, 16)).align(4 * rng.randrange(2))
    words = wire.idle(64).words()

    m = Module()
    m.submodules.mac = mac = MacReceive()
    m.submodules.tcp = tcp = TcpReceive(payload_depth=2048)
    m.submodules.store = store = FrameStore()
    m.d.comb += store.i_claimed.eq(tcp.o_claimed)
    for sink in (tcp, store):
        m.d.comb += [sink.i.valid.eq(mac.o.valid), sink.i.payload.eq(mac.o.payload),
                     sink.i_end.valid.eq(mac.o_end.valid), sink.i_end.payload.eq(mac.o_end.payload)]
    payloads, stored = Collector(tcp.o_payload, rng, 0.95), Collector(store.o, rng)
    seen = []

    async def bench(ctx):
        ctx.set(tcp.i_settings, SETTINGS)
        ctx.set(store.filter.promiscuous, 1)
        for index, row in ROWS.items():
            ctx.set(tcp.i_bind.payload, {"index": index, "row": row})
            ctx.set(tcp.i_bind.valid, 1)
            await ctx.tick()
        ctx.set(tcp.i_bind.valid, 0)
        ctx.set(tcp.o.ready, 1)
        idle = [(sum(IDLE << 8 * lane for lane in range(8)), 0xff)] * 300
        for cycle, (data, control) in enumerate([*words, *idle]):
            ctx.set(mac.i.valid, 1)
            ctx.set(mac.i.payload, {"data": data, "control": control})
            if ctx.get(tcp.o.valid):
                segment = ctx.get(tcp.o.payload)
                seen.append((segment.sequence, segment.length))
            payloads.step(ctx, cycle)
            stored.step(ctx, cycle)
            await ctx.tick()

    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert seen == [(index, len(payload)) for index, payload in segments]
    assert payloads.frames == [payload for _, payload in segments if payload]
    assert stored.frames == others


class Card:
    """Both senders of one connection in front of one MAC, with a host that sends frames as well.

    ``delay``: cycles by which the view of the session is older than TransmitSession's own.
    """

    def __init__(self, delay):
        m = self.module = Module()
        m.submodules.session = self.session = TransmitSession(96)
        m.submodules.orders = self.orders = OrderTransmit()
        m.submodules.tcp = self.tcp = TcpTransmit(sessions=8, order_bytes=104, messages=64,
                                                  message_depth=4096)
        m.submodules.host = self.host = FrameQueue()
        m.submodules.arbiter = self.arbiter = TransmitArbiter()
        m.submodules.mac = self.mac = MacTransmit()
        orders, tcp, mac, arbiter = self.orders, self.tcp, self.mac, self.arbiter
        connect(m, orders.o, arbiter.i_order)
        connect(m, tcp.o, arbiter.i_reply)
        connect(m, self.host.o, arbiter.i_host)
        connect(m, arbiter.o, mac.i)
        commit, left = self.session.i_commit, tcp.o_left
        m.d.comb += [
            arbiter.i_order_goes_on.eq(orders.o_goes_on),
            arbiter.i_start.eq(mac.o_start),
            mac.i_goes_on.eq(arbiter.o_goes_on),
            mac.i_abort.eq(orders.o_abort),
            orders.i_started.eq(mac.o_start),
            orders.i_session.eq(self.session.o),
            orders.i_done.valid.eq(mac.o_done.valid),
            orders.i_done.payload.eq(mac.o_done.payload),
            tcp.i_started.eq(mac.o_start),
            tcp.i_done.valid.eq(mac.o_done.valid),
            tcp.i_done.payload.eq(mac.o_done.payload),
            tcp.i_order.valid.eq(orders.o.valid & orders.o.ready),
            tcp.i_order.payload.eq(orders.o.payload),
            tcp.i_order_session.eq(3),
            tcp.i_order_commit.valid.eq(orders.o_commit.valid),
            tcp.i_order_commit.payload.eq(orders.o_commit.payload),
            commit.valid.eq(orders.o_commit.valid | left.valid & (left.payload.length != 0)),
            commit.payload.eq(orders.o_commit.payload),
        ]
        with m.If(left.valid):
            m.d.comb += [commit.payload.sequence.eq(left.payload.sequence),
                         commit.payload.length.eq(left.payload.length)]
        view = self.session.o
        for stage in range(delay):
            late = Signal(SessionState, name=f"late_{stage}")
            m.d.sync += late.eq(view)
            view = late
        m.d.comb += [tcp.i_view.sequence.eq(view.sequence), tcp.i_view.window.eq(view.window),
                     tcp.i_view.acknowledgement.eq(view.acknowledgement)]


@pytest.mark.parametrize("faults", [False, True])
def test_orders_and_messages_make_one_stream(tmp_path, faults):
    """A view that is two cycles late, three after the end of the frame before, is early enough."""
    rng = random.Random(3 + faults)
    card = Card(delay=2)
    tcp, orders, mac, session = card.tcp, card.orders, card.mac, card.session
    words, left, failed = [], [], []
    messages = [rng.randbytes(rng.choice([1, 8, 50, rng.randrange(1, 300)])) for _ in range(45)]

    async def bench(ctx):
        async def step():
            if faults:
                ctx.set(mac.i_fault, (len(words) // 150) % 4 == 3)
            row = (ctx.get(mac.o.data), ctx.get(mac.o.control))
            words.append(row)
            if ctx.get(tcp.o_left.valid):
                value = ctx.get(tcp.o_left.payload)
                left.append((value.sequence, value.length))
            if ctx.get(tcp.o_failed.valid):
                failed.append(len(words))
            await ctx.tick()

        ctx.set(tcp.i_settings, SETTINGS)
        for number_of, rows in enumerate((new_order_template(CONNECTION, TERMS),
                                          cancel_order_template(CONNECTION))):
            for beat, row in enumerate(rows):
                ctx.set(orders.i_template.payload, {"index": 32 * number_of + beat, "row": row})
                ctx.set(orders.i_template.valid, 1)
                await step()
        ctx.set(orders.i_template.valid, 0)
        ctx.set(session.i_load.payload, session_state(sequence=(1 << 32) - 2500))
        ctx.set(session.i_load.valid, 1)
        await step()
        ctx.set(session.i_load.valid, 0)
        queue = [(beat, 1) for payload in messages for beat in beats_of(payload)]
        host, asks = [], False
        while len([1 for _, length in left if length]) < len(messages):
            assert len(words) < 20_000
            ctx.set(tcp.i_message.valid, bool(queue))
            if queue:
                ctx.set(tcp.i_message.payload, queue[0][0])
                ctx.set(tcp.i_message_session, 3)
                if ctx.get(tcp.i_message.ready):
                    queue.pop(0)
            ctx.set(card.host.i.valid, bool(host))
            if not host and rng.random() < 0.01:
                host = beats_of(b"\xee" * rng.randrange(60, 90))
            if host:
                ctx.set(card.host.i.payload, host.pop(0))
                ctx.set(card.host.i.valid, 1)
            asks = (ctx.get(tcp.o_message.valid) and not ctx.get(tcp.o_left.valid)
                    and (asks or rng.random() < 0.04))
            ctx.set(tcp.i.valid, asks)
            ctx.set(tcp.i.payload, job("PA", payload=1))
            # All is acknowledged at once, so that there is room.
            ctx.set(tcp.i_release.valid, rng.random() < 0.1)
            ctx.set(tcp.i_release.payload, {"session": 3,
                                            "acknowledgement": ctx.get(session.o.sequence)})
            intent = make_intent(price=rng.choice([0.0005, 7.0, 25.5]))
            ctx.set(orders.i_intent.payload, intent)
            if rng.random() < 0.15 and not (ctx.get(orders.o_busy) or ctx.get(tcp.o_busy)):
                await step()
                ctx.set(tcp.i.valid, 0)
                ctx.set(tcp.i_message.valid, 0)
                ctx.set(card.host.i.valid, 0)
                ctx.set(tcp.i_release.valid, 0)
                ctx.set(orders.i.payload, {"intent": intent, "decided": 0, "released": 0})
                ctx.set(orders.i.valid, 1)
                await step()
                ctx.set(orders.i.valid, 0)
            else:
                await step()
        ctx.set(mac.i_fault, 0)
        ctx.set(tcp.i.valid, 0)
        for _ in range(400):
            await step()

    simulator = Simulator(card.module)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()

    whole = [frame for frame in find_frames(words) if not frame.errors]
    assert all(frame.good for frame in whole)
    stream = [Ether(frame.octets[:-4]) for frame in whole if frame.octets[:2] != b"\xee\xee"]
    expected = (1 << 32) - 2500
    sent = []
    for frame in stream:
        assert frame[TCP].seq == expected, "no hole and nothing twice"
        payload = bytes(frame[TCP].payload)[:frame[IP].len - 40]
        expected = (expected + len(payload)) % (1 << 32)
        if frame.src == OWN_MAC:
            sent.append(payload)
    assert sent == messages and expected < 1 << 31, "the numbers have wrapped"
    assert len(stream) - len(sent) > 20, "orders in between"
    assert bool(failed) == faults
    assert min(after.start - before.end for before, after in zip(
        whole, whole[1:], strict=False)) < 12, "as close as frames come"
    octets = [frame.octets[:-4][:14 + Ether(frame.octets)[IP].len] for frame in whole
              if frame.octets[:2] != b"\xee\xee"]
    assert all(line[:3] == ["", "1", "1"] for line in tshark(tmp_path, octets))
