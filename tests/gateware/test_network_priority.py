"""Orders before answers before the host's frames; what PAUSE holds back, and what it does not."""

import random

import numpy as np
import pytest
from gateway_bench import SETTLE, Feed
from port_bench import (
    FIRST,
    LOADED,
    OTHER,
    OWN,
    OWN_IP,
    WORST,
    Port,
    frame,
    is_at,
    octets,
    padded,
    ping,
    pong,
    waited,
    who_has,
)
from tickwire.gateware.vocabulary import Reason, Side
from tickwire.host.errors import OrderRefusedError, RegisterError
from tickwire.host.orders import Order
from tickwire.sim.traffic_wire import Level
from tickwire.sim.wire_words import frames_to_words

PAUSE_GROUP = "01:80:c2:00:00:01"
LONG = bytes(1472)      # payload of the longest ping


def pause(quanta, to=PAUSE_GROUP):
    return padded(octets(to) + octets(OTHER) + b"\x88\x08\x00\x01" + quanta.to_bytes(2))


class Trader(Port):
    """A port that answers and trades; the book of instrument 7 is whole."""

    def __init__(self, **options):
        super().__init__(**options)
        self.feed = Feed()
        self.gateway.network.set_address(f"{OWN_IP}/24")
        self.play(self.feed.snapshot(7))
        self._ask = 99.0
        self.moved()

    def crossing(self):
        """The ask falls to a new low, at which the strategy buys."""
        self._ask -= 0.5
        return self.feed.frame(self.feed.update(7, Level(0, 0, self._ask, 10.0)))


def test_answers_alter_no_order_that_finds_the_wire_idle():
    """Before, and right after an answer has left: the same cycles as without a network edge."""
    bench = Trader()
    for before in ([], [who_has()], [ping(b"x" * 40)], [ping(LONG)]):
        bench.play(*before)
        order, = bench.play(bench.crossing()).records["ORDER"]
        assert waited(order) == FIRST
    # In the middle of what comes in: the order is out before the answer is made.
    order, = bench.play(who_has(), bench.crossing(), ping(LONG)).records["ORDER"]
    assert waited(order) == FIRST
    assert bench.moved()["ORDERS_SENT"] == 5


@pytest.mark.parametrize("lane", [0, 4])
def test_turnaround(lane):
    """Word with TERMINATE of what comes in → word with START of the answer: docs/latency.md."""
    bench = Trader()
    for request, cycles in ((who_has(), (76, 77)), (ping(bytes(18)), (84, 85)),
                            (ping(bytes(56)), (95, 95)), (ping(LONG), (449, 449))):
        chunk = frames_to_words([request], lane=lane, tail=SETTLE)
        end = bench.engine.cycles + int(chunk.frames["end_word"][0])
        bench.engine.run(chunk.data, chunk.control)
        answer, = bench.look().frames
        assert answer.start_cycle - end == cycles[lane // 4]
    for length, cycles in ((60, (27, 28)), (LOADED, (210, 210))):
        chunk = frames_to_words([frame(random.Random(5), length=length)], lane=lane, tail=SETTLE)
        end = bench.engine.cycles + int(chunk.frames["end_word"][0])
        bench.engine.run(chunk.data, chunk.control)
        received, = bench.frames()
        assert received.cycle - end == cycles[lane // 4], "the slot's header says when"


@pytest.mark.parametrize("host_sends", [False, True])
def test_an_order_waits_for_one_frame_at_most(host_sends):
    """Wherever in an answer the order comes; or an answer waits for a host frame's end, too."""
    delays, rng = [], random.Random(1)
    bench = Trader()
    if host_sends:
        bench.gateway.send_frame(frame(rng, to=OTHER, length=LOADED), repeat=1000)
    others = [frame(rng, to=OTHER, length=LOADED)] * 2
    for length in range(60, 1514, 97):
        # The first long ping's answer leaves 430 cycles after it, when others have come in.
        shift = frame(rng, to=OTHER, length=length)
        seen = bench.play(ping(LONG), *others, shift, bench.crossing(), ping(LONG))
        order, = seen.records["ORDER"]
        delays.append(waited(order))
        assert all(one.fcs_good and one.intact for one in seen.frames)
        assert [one.data for one in seen.frames].count(padded(pong(LONG))) == 2
    assert min(delays) >= FIRST and max(delays) <= WORST
    assert max(delays) > WORST // 2, "some came early in an answer"


def test_answers_go_before_frames_of_the_hosts():
    bench, rng = Trader(), random.Random(2)
    long = frame(rng, to=OTHER, length=LOADED)
    bench.gateway.send_frame(long, repeat=40)
    bench.engine.idle(700)
    sent = bench.play(who_has()).frames
    place = [one.data for one in sent].index(is_at())
    # The reply is ready about 60 cycles after its request, so two host frames at most have begun.
    request = next(n for n, one in enumerate(sent) if one.end_cycle >= bench.engine.cycles - SETTLE)
    assert place - request <= 2 and len(sent) > place + 2
    bench.gateway.stop_frames()


def test_pause_holds_answers_and_the_hosts_frames_back_but_no_order():
    bench, rng = Trader(), random.Random(3)
    quanta, host = 100, frame(rng, to=OTHER, length=200)
    chunk = frames_to_words([pause(quanta), who_has(), bench.crossing()], tail=20)
    bench.engine.run(chunk.data, chunk.control)
    began = bench.engine.cycles
    bench.gateway.send_frame(host)
    bench.engine.idle(8 * quanta + SETTLE)
    seen = bench.look()
    order, = seen.records["ORDER"]
    assert seen.reasons() == ["PASSED"] and waited(order) == FIRST
    assert [one.data for one in seen.frames[1:]] == [is_at(), host]
    paused = seen.frames[1].start_cycle - began
    assert 8 * quanta - 100 < paused < 8 * quanta + 20, "in words of 8 bytes: 8 to a quantum"
    moved = bench.moved()
    assert moved["PAUSE_FRAMES"] == 1 and moved["STORE_KEPT"] == 1
    # Time 0 ends it at once, and a gateway that is told so does not care.
    bench.play(pause(0xFFFF, to=OWN), pause(0))
    assert [one.data for one in bench.play(who_has()).frames] == [is_at()]
    bench.gateway.network.obey_pause(host=False)
    assert [one.data for one in bench.play(pause(0xFFFF), who_has()).frames] == [is_at()]


def test_orders_obey_pause_only_if_they_are_told_to():
    bench = Trader()
    gw, net = bench.gateway, bench.gateway.network
    net.obey_pause(orders=True)
    seen = bench.play(pause(400), bench.crossing())
    assert seen.frames == [] and seen.reasons() == ["TX_BUSY"]
    bench.play(pause(0xFFFF))
    assert gw.status()["tx_busy"]
    bid = Order(instrument=bench.seven, side=Side.BID, price=50, quantity=1)
    with pytest.raises(OrderRefusedError, match=r"TX_BUSY\. Remedy: .*obey_pause\(orders"):
        gw.send(bid)
    net.obey_pause()
    gw.send(bid)
    bench.play(pause(0))
    net.obey_pause(orders=True)
    order, = bench.play(bench.crossing()).records["ORDER"][-1:]
    assert int(order["reason"]) == Reason.PASSED and waited(order) == FIRST
    with pytest.raises(RegisterError, match="PAUSE.ORDERS needs PAUSE.ENABLE"):
        net.obey_pause(host=False, orders=True)


def test_mac_control_never_reaches_the_host():
    """PAUSE to the group and to us, and another opcode: the MAC's own, even if all is wanted."""
    bench, rng = Trader(), random.Random(4)
    bench.gateway.network.receive(promiscuous=True)
    bench.gateway.network.all_groups()
    unknown = padded(octets(PAUSE_GROUP) + octets(OTHER) + b"\x88\x08\x01\x01")
    other = frame(rng, length=100)
    bench.play(pause(1), unknown, other, pause(2, to=OWN), pause(2, to=OTHER), unknown)
    assert bench.received() == [other]
    moved = bench.moved()
    assert (moved["PAUSE_FRAMES"], moved["PAUSE_UNKNOWN"]) == (2, 3)
    assert moved["RX_GOOD"] == 6 and moved["STORE_KEPT"] == 1


def test_a_flood_of_pings_is_answered_or_counted_and_delays_no_order_by_more_than_a_frame():
    """At line rate: what finds the store or the reply's queue full is counted there."""
    bench = Trader()
    flood = [ping(bytes(18))] * 600
    seen = bench.play(*flood[:400], bench.crossing(), *flood[400:])
    bench.engine.idle(20 * SETTLE)
    seen_later = bench.look().frames
    order, = seen.records["ORDER"]
    assert waited(order) <= WORST
    answers = [one for one in [*seen.frames, *seen_later] if one.data == padded(pong(bytes(18)))]
    moved = bench.moved()
    assert moved["RX_GOOD"] == 601 and moved["STORE_NO_ROOM"] > 100
    assert moved["STORE_KEPT"] + moved["STORE_NO_ROOM"] == 600
    assert len(answers) == moved["EDGE_ECHO_REPLY"] - moved.get("REPLY_DROPPED", 0)
    assert moved["EDGE_ECHO_REPLY"] == moved["STORE_KEPT"]
    assert np.all([one.fcs_good for one in answers])
