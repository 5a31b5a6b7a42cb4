"""Orders through the MAC itself: START a cycle after the order, a good FCS, or none."""

import random
import zlib

from amaranth.hdl import Module
from amaranth.lib.wiring import connect
from amaranth.sim import Simulator
from order_bench import CONNECTION, TERMS, make_intent, parse, session_state
from tickwire.hdl.entry.intent import Reason
from tickwire.hdl.entry.transmit import OrderTransmit
from tickwire.hdl.mac.transmit import MacTransmit
from tickwire.hdl.tcp.session import TransmitSession
from tickwire.hdl.wire.order_template import cancel_order_template, new_order_template

START, TERMINATE, ERROR = 0xFB, 0xFD, 0xFE


def frames_of(words):
    """(cycle of START, bytes with FCS, whether an error character is in it) of each frame."""
    frames = []
    octets = None
    for cycle, (data, control) in enumerate(words):
        for lane in range(8):
            octet = data >> 8 * lane & 0xFF
            if not control >> lane & 1:
                if octets is not None:
                    octets.append(octet)
            elif octet == START:
                octets, begins, broken = bytearray(), cycle, False
            elif octet == ERROR:
                broken = True
            elif octet == TERMINATE:
                frames.append((begins, bytes(octets[7:]), broken))
                octets = None
    return frames


def test_orders_on_the_wire():
    m = Module()
    m.submodules.session = session = TransmitSession(96)
    m.submodules.orders = orders = OrderTransmit()
    m.submodules.mac = mac = MacTransmit()
    m.d.comb += [orders.i_session.eq(session.o), mac.i_abort.eq(orders.o_abort),
                 orders.i_started.eq(mac.o_start), mac.i_goes_on.eq(mac.i.valid)]
    connect(m, orders.o_commit, session.i_commit)
    connect(m, orders.o, mac.i)
    connect(m, mac.o_done, orders.i_done)
    words, sent, outcomes = [], [], []
    rng = random.Random(9)
    prices = [0.0005, 1 / 3, 25000.5, -1.25, 0.00050000000001, 7.0]

    async def testbench(ctx):
        async def step():
            ctx.set(orders.now, len(words))
            _, _, data, control, done, outcome = await ctx.tick().sample(
                mac.o.data, mac.o.control, orders.o_outcome.valid, orders.o_outcome.payload)
            words.append((data, control))
            if done:
                outcomes.append(outcome)

        for number, rows in enumerate((new_order_template(CONNECTION, TERMS),
                                       cancel_order_template(CONNECTION))):
            for beat, row in enumerate(rows):
                ctx.set(orders.i_template.payload, {"index": 32 * number + beat, "row": row})
                ctx.set(orders.i_template.valid, 1)
                await step()
        ctx.set(orders.i_template.valid, 0)
        ctx.set(session.i_load.payload, session_state())
        ctx.set(session.i_load.valid, 1)
        await step()
        ctx.set(session.i_load.valid, 0)
        for price in prices:
            while ctx.get(orders.o_busy):
                await step()
            for _ in range(rng.randrange(3, 9)):
                await step()
            intent = make_intent(price=price)
            ctx.set(orders.i_intent.payload, intent)
            await step()
            ctx.set(orders.i.payload, {"intent": intent, "decided": 0, "released": 0})
            ctx.set(orders.i.valid, 1)
            ctx.set(orders.i_intent.payload, make_intent(price=rng.random()))
            sent.append(len(words))
            await step()
            ctx.set(orders.i.valid, 0)
        for _ in range(40):
            await step()

    simulator = Simulator(m)
    simulator.add_clock(1e-8)
    simulator.add_testbench(testbench)
    simulator.run()

    frames = frames_of(words)
    assert [begins for begins, _, _ in frames] == [cycle + 1 for cycle in sent]
    assert [outcome.preamble for outcome in outcomes] == [begins for begins, _, _ in frames]
    good = []
    for price, outcome, (_, octets, broken) in zip(prices, outcomes, frames, strict=True):
        exact = price in (0.0005, 25000.5, -1.25, 7.0)
        assert outcome.reason == (Reason.PASSED if exact else Reason.INEXACT_PRICE)
        assert broken == (not exact)
        if exact:
            assert zlib.crc32(octets[:-4]).to_bytes(4, "little") == octets[-4:]
            good.append(parse(octets[:-4])[1])
    assert [message["price"] for message in good] == [500_000, 25_000_500_000_000,
                                                      -1_250_000_000, 7_000_000_000]
    assert [message["sequence"] for message in good] == [1, 2, 3, 4]
