# amaranth: UnusedElaboratable=no
"""Order frames: their bytes, their cycles, and what a frame that was broken off leaves behind."""

import random
from fractions import Fraction

import pytest
from order_bench import (
    CANCEL_CONNECTION,
    CONNECTION,
    TERMS,
    Bench,
    make_intent,
    parse,
    session_state,
)
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether
from tickwire.hdl.entry.intent import Action, Reason
from tickwire.hdl.entry.transmit import OrderTransmit
from tickwire.hdl.feed.event import Side

IDS = {index: 10 ** 15 + 7919 * index for index in range(128)}
NEW_BEATS, CANCEL_BEATS = 19, 14


def run(test, **kwargs):
    bench = Bench(**kwargs)
    bench.run(test)
    return bench


def at(bench, what):
    return [cycle for cycle, kind, _ in bench.log if kind == what]


def session_of(bench):
    return bench.ctx.get(bench.session.o)


def test_new_order_frame_and_its_cycles():
    state = session_state(sequence=0x01020304, acknowledgement=0xA1B2C3D4, window=0xFEDC,
                          unacknowledged=0x01020304, venue_sequence=77, last_processed=66,
                          client_id=0x7000000000000001)
    sent = {}

    async def test(bench):
        await bench.write_tables(IDS)
        await bench.step(load=state)
        sent["at"] = await bench.send(make_intent(price=-0.0005, quantity=0x89ABCDEF,
                                                  side=Side.ASK, instrument=127))
        await bench.finish()

    bench = run(test)
    (frame,) = bench.frames
    order = sent["at"]
    assert frame.offered == order
    assert frame.start == order + 1
    assert frame.taken == list(range(order + 1, order + 1 + NEW_BEATS))
    assert len(frame.octets) == 150
    assert at(bench, "commit") == [frame.done + 1]
    assert at(bench, "outcome") == [frame.done + 1]
    assert not at(bench, "abort")

    packet, message = parse(frame.octets)
    assert (packet[Ether].src, packet[Ether].dst) == (CONNECTION.source_mac,
                                                      CONNECTION.destination_mac)
    assert (packet[IP].src, packet[IP].dst) == (CONNECTION.source_ip, CONNECTION.destination_ip)
    assert (packet[IP].id, str(packet[IP].flags), packet[IP].ttl) == (0, "DF", 64)
    assert (packet[TCP].sport, packet[TCP].dport) == (40001, 9443)
    assert (packet[TCP].seq, packet[TCP].ack) == (0x01020304, 0xA1B2C3D4)
    assert (packet[TCP].window, str(packet[TCP].flags)) == (0xFEDC, "PA")
    assert message == {
        "protocol": 0xDB, "flags": 0, "length": 95, "type": 100, "version": 16,
        "sequence": 77, "last_processed": 66, "send_time": bench.time(order),
        "client_id": 0x7000000000000001, "correlation": 0x7000000000000001,
        "instrument": IDS[127], "price": -500_000, "quantity": 0x89ABCDEF, "exponent": -3,
        "show_quantity": -(1 << 63), "show_exponent": -128, "smp": TERMS.self_match_prevention_id,
        "side": -1, "tif": -2, "order_flags": 1, "stm": 1}

    (outcome,) = bench.outcomes
    assert outcome.reason == Reason.PASSED
    assert outcome.client_id == 0x7000000000000001
    assert (outcome.decided, outcome.released) == (order - 1, order - 2)
    assert outcome.preamble == frame.start
    assert (outcome.intent.instrument, outcome.intent.trigger) == (127, 0x1234)


def test_cancel_frame_and_its_cycles():
    sent = {}

    async def test(bench):
        await bench.write_tables(IDS)
        await bench.step(load=session_state())
        # the price of a cancel is nobody's business, exact or not
        sent["at"] = await bench.send(make_intent(action=Action.CANCEL, client_id=0x1F2E3D4C5B6A,
                                                  price=1 / 3, instrument=5))
        await bench.finish()
        sent["session"] = session_of(bench)

    bench = run(test)
    (frame,) = bench.frames
    assert frame.taken == list(range(sent["at"] + 1, sent["at"] + 1 + CANCEL_BEATS))
    assert len(frame.octets) == 110
    packet, message = parse(frame.octets)
    assert message == {
        "protocol": 0xDB, "flags": 0, "length": 56, "type": 120, "version": 17, "sequence": 1,
        "last_processed": 0, "send_time": bench.time(sent["at"]), "client_id": 0x1F2E3D4C5B6A,
        "correlation": 0x1F2E3D4C5B6A, "instrument": IDS[5]}
    session = sent["session"]
    assert (session.sequence, session.venue_sequence, session.client_id) == (1056, 2, 1)
    assert bench.outcomes[0].reason == Reason.PASSED
    assert bench.outcomes[0].client_id == 0
    assert not at(bench, "inexact")


@pytest.mark.parametrize("seed", range(3))
def test_random_orders_over_the_sequence_wrap(seed):
    """Everything random, refused intents in every cycle, the transmitter busy now and then."""
    rng = random.Random(seed)
    orders = []
    state = session_state(
        sequence=(1 << 32) - 500, unacknowledged=(1 << 32) - 500, venue_sequence=(1 << 32) - 3,
        acknowledgement=rng.getrandbits(32), window=rng.getrandbits(16),
        last_processed=rng.getrandbits(62), client_id=rng.getrandbits(62))

    async def test(bench):
        await bench.write_tables(IDS)
        await bench.step(load=state)
        expected = dict(state)
        for _ in range(40):
            if rng.random() < 0.3:
                expected |= {"acknowledgement": rng.getrandbits(32),
                             "last_processed": rng.getrandbits(63),
                             "unacknowledged": expected["sequence"],
                             "peer_window": 1 << 16}
                await bench.step(acknowledge={
                    name: expected[name] for name in
                    ("acknowledgement", "last_processed", "unacknowledged", "peer_window")})
            if rng.random() < 0.4:
                bench.hold = rng.randrange(1, 20)
            action = rng.choice((Action.NEW, Action.NEW, Action.CANCEL))
            ticks = rng.randrange(-(10 ** rng.randrange(1, 9)), 10 ** rng.randrange(1, 9))
            intent = make_intent(
                action=action, instrument=rng.randrange(128), side=rng.choice(list(Side)),
                price=ticks / 10_000, quantity=rng.getrandbits(rng.randrange(1, 33)),
                client_id=rng.getrandbits(62))
            cycle = await bench.send(intent, noise=True)
            orders.append((cycle, intent, ticks * 100_000, dict(expected)))
            await bench.finish(noise=True)
            length = 96 if action == Action.NEW else 56
            expected["sequence"] = (expected["sequence"] + length) % (1 << 32)
            expected["venue_sequence"] += 1
            expected["client_id"] += action == Action.NEW

    bench = run(test, seed=seed)
    assert len(bench.frames) == len(orders)
    for frame, (cycle, intent, price, expected) in zip(bench.frames, orders, strict=True):
        packet, message = parse(frame.octets)
        assert frame.offered == cycle
        assert frame.taken == list(range(frame.start, frame.start + len(frame.beats)))
        assert (packet[TCP].seq, packet[TCP].ack, packet[TCP].window) == (
            expected["sequence"], expected["acknowledgement"], expected["window"])
        assert message["sequence"] == expected["venue_sequence"]
        assert message["last_processed"] == expected["last_processed"]
        assert message["send_time"] == bench.time(cycle)
        assert message["instrument"] == IDS[intent["instrument"]]
        new = intent["action"] == Action.NEW
        assert message["type"] == (100 if new else 120)
        assert packet[Ether].dst == (CONNECTION if new else CANCEL_CONNECTION).destination_mac
        client_id = expected["client_id"] if new else intent["client_id"]
        assert message["client_id"] == message["correlation"] == client_id
        if new:
            assert message["price"] == price
            assert message["quantity"] == intent["quantity"]
            assert message["side"] == (1 if intent["side"] == Side.BID else -1)


@pytest.mark.parametrize("hold", [1, 2, 3, 6, 7, 8, 30, 190])
def test_offer_waits_for_a_busy_transmitter(hold):
    sent = {}

    async def test(bench):
        await bench.write_tables(IDS)
        await bench.step(load=session_state())
        while await bench.step(intent=make_intent()):
            pass
        bench.hold = hold
        sent["at"] = bench.cycle
        await bench.step(order={"intent": make_intent(), "decided": 1, "released": 2})
        for _ in range(hold + NEW_BEATS + 6):
            await bench.step(intent=bench.other_intent())

    bench = run(test, seed=hold)
    (frame,) = bench.frames
    assert frame.offered == sent["at"]
    assert frame.start == sent["at"] + hold + 1
    assert frame.taken == list(range(frame.start, frame.start + NEW_BEATS))
    assert bench.outcomes[0].preamble == frame.start
    parse(frame.octets)


@pytest.mark.parametrize("beat", [1, 2, 5, 7, 13, 18])
def test_frame_that_is_broken_off_uses_up_nothing(beat):
    seen = []

    async def test(bench):
        await bench.write_tables(IDS)
        await bench.step(load=session_state())
        before = session_of(bench)
        bench.break_at = beat
        await bench.send(make_intent())
        await bench.finish(noise=True)
        seen.append((before, session_of(bench)))
        bench.break_at = None
        await bench.send(make_intent(side=Side.ASK))
        await bench.finish(noise=True)

    bench = run(test, seed=beat)
    ((before, after),) = seen
    assert before == after
    broken, whole = bench.frames
    assert broken.aborted
    assert len(broken.beats) == beat
    packet, message = parse(whole.octets)
    assert packet[TCP].seq == 1000
    assert (message["sequence"], message["client_id"], message["side"]) == (1, 1, -1)
    assert [outcome.reason for outcome in bench.outcomes] == [Reason.ABORTED, Reason.PASSED]
    assert bench.outcomes[0].client_id == 0
    assert len(at(bench, "commit")) == 1


@pytest.mark.parametrize("price", [1 / 3, 1e300, float("nan"), 5e-324, 0.00050000000001])
@pytest.mark.parametrize("hold", [0, 12])
def test_price_that_is_not_exact_breaks_the_frame_off(price, hold):
    sent = {}

    async def test(bench):
        await bench.write_tables(IDS)
        await bench.step(load=session_state())
        intent = make_intent(price=price, instrument=9)
        await bench.step(intent=intent)
        bench.hold = hold
        sent["at"] = bench.cycle
        await bench.step(order={"intent": intent, "decided": 0, "released": 0},
                         intent=make_intent())
        await bench.finish(noise=True)
        await bench.send(make_intent(price=2.5))
        await bench.finish()

    bench = run(test)
    broken, whole = bench.frames
    assert broken.aborted
    ((cycle, index),) = [(cycle, value) for cycle, what, value in bench.log if what == "inexact"]
    assert (cycle, index) == (sent["at"] + 6, 9)
    # a beat later than the first one at the earliest, and never in somebody else's frame
    assert at(bench, "abort")[0] == max(sent["at"] + 6, broken.start + 1)
    assert broken.done == at(bench, "abort")[-1] + 1
    packet, message = parse(whole.octets)
    assert (packet[TCP].seq, message["sequence"], message["client_id"]) == (1000, 1, 1)
    assert message["price"] == 2_500_000_000
    assert [outcome.reason for outcome in bench.outcomes] == [Reason.INEXACT_PRICE, Reason.PASSED]


def test_orders_back_to_back():
    """An order in the first cycle that is allowed sees the commit of the one before it."""
    cycles = []

    async def test(bench):
        await bench.write_tables(IDS)
        await bench.step(load=session_state(peer_window=3 * 96 + 56))
        for number in range(4):
            while not bench.ctx.get(bench.session.o_window_ok):
                await bench.step()
            action = Action.CANCEL if number == 3 else Action.NEW
            cycles.append(await bench.send(make_intent(action=action, quantity=number + 1)))
            if number == 2:
                await bench.finish()
                # 56 bytes are left: room for a cancel, but the check is for the largest order
                assert not bench.ctx.get(bench.session.o_window_ok)
                await bench.step(acknowledge={"unacknowledged": 1000 + 96, "peer_window": 400,
                                              "acknowledgement": 5000, "last_processed": 4})
                await bench.step()
                await bench.step()
                assert bench.ctx.get(bench.session.o_window_ok)
        await bench.finish()

    bench = run(test)
    parsed = [parse(frame.octets) for frame in bench.frames]
    assert [packet[TCP].seq for packet, _ in parsed] == [1000, 1096, 1192, 1288]
    assert [message["sequence"] for _, message in parsed] == [1, 2, 3, 4]
    assert [message["client_id"] for _, message in parsed[:3]] == [1, 2, 3]
    assert [message["quantity"] for _, message in parsed[:3]] == [1, 2, 3]
    assert parsed[3][1]["last_processed"] == 4
    # done → not busy 3 cycles → intent taken, order a cycle later
    for before, cycle in zip(bench.frames[:2], cycles[1:3], strict=True):
        assert cycle == before.done + 4


@pytest.mark.parametrize("when", ["leaving", "with the commit"])
def test_session_loaded_while_a_frame_leaves_stays_as_loaded(when):
    seen = {}

    async def test(bench):
        await bench.write_tables(IDS)
        await bench.step(load=session_state())
        await bench.send(make_intent())
        new = session_state(sequence=900_000, unacknowledged=900_000, venue_sequence=50,
                            client_id=60)
        if when == "leaving":
            await bench.step(load=new)
        else:
            while not bench.frames:
                await bench.step()
            await bench.step(load=new)      # the cycle of i_done
        await bench.finish()
        seen["session"] = session_of(bench)
        assert (await bench.send(make_intent())) is not None
        await bench.finish()

    bench = run(test)
    session = seen["session"]
    assert (session.sequence, session.venue_sequence, session.client_id) == (900_000, 50, 60)
    old, new = (parse(frame.octets) for frame in bench.frames)
    assert old[0][TCP].seq == 1000
    assert (new[0][TCP].seq, new[1]["sequence"]) == (900_000, 50)


def test_real_prices_are_sent_exactly():
    """Multiples of half a unit of the fourth decimal, large perpetual prices, negative combos."""
    prices = ["0.0005", "0.0001", "25000.5", "-0.0125", "0", "68754.25", "-1234.75", "0.00005"]

    async def test(bench):
        await bench.write_tables(IDS)
        await bench.step(load=session_state())
        for price in prices:
            await bench.send(make_intent(price=float(price)), noise=True)
        await bench.finish()

    bench = run(test)
    assert [parse(frame.octets)[1]["price"] for frame in bench.frames] == [
        int(Fraction(price) * 10 ** 9) for price in prices]


@pytest.mark.parametrize("instruments", [0, 1, 129])
def test_number_of_instruments(instruments):
    with pytest.raises(ValueError, match=r"^OrderTransmit instruments must be from 2 to 128, as "
                                         rf"an intent's index has 7 bits, not {instruments}$"):
        OrderTransmit(instruments)
