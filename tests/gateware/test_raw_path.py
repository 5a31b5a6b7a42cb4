"""The raw path through the whole gateway: what no hardware takes reaches the host, and nothing
of it costs an order more than one frame."""

import random

import numpy as np
from gateway_bench import SETTLE, Feed, library
from port_bench import FIRST, LOADED, OTHER, OWN, WORST, Port, frame, waited
from tickwire.hdl.wire.ethernet import multicast_mac
from tickwire.host.gateway import Gateway
from tickwire.sim.engine import Engine
from tickwire.sim.traffic_wire import Level
from tickwire.sim.wire_words import WordReader, frames_to_words

GROUP = "01:00:5e:00:00:01"


def crossing(feed, price=98.0):
    """The ask falls below what the strategy buys at."""
    return feed.frame(feed.update(7, Level(0, 0, price, 10.0)))


def test_frames_reach_the_host_byte_by_byte_and_market_data_does_not():
    bench, feed, rng = Port(), Feed(), random.Random(1)
    sent = [frame(rng) for _ in range(120)] + [frame(rng, length=60 + n) for n in range(16)]
    rng.shuffle(sent)
    for at in range(0, len(sent), 34):
        part = list(sent[at:at + 34])
        part.insert(1, feed.snapshot(8))
        part.insert(20, feed.frame(feed.tick(8, 105.0)))
        before = bench.engine.cycles
        bench.play(*part)
        bench.engine.idle(4 * SETTLE)       # the network edge copies each of them
        got = bench.frames()
        assert [bytes(one.data) for one in got] == sent[at:at + 34]
        cycles = [one.cycle for one in got]
        assert cycles == sorted(cycles) and before < cycles[0] < cycles[-1] < bench.engine.cycles
    moved = bench.moved()
    assert moved["STORE_KEPT"] == moved["HOST_RECEIVE_PASSED"] == len(sent)
    assert moved["IP_ACCEPTED"] == moved["FEED_GOOD"] == 8
    assert "STORE_FILTERED" not in moved and "STORE_NO_ROOM" not in moved


def test_damaged_frames_and_those_of_others_do_not():
    bench, rng = Port(), random.Random(2)

    def damage(data, control):
        data[20] ^= np.uint64(1 << 40)          # within the first frame

    good = frame(rng)
    bench.play(frame(rng, length=400), good, change=damage)
    assert bench.received() == [good] and bench.moved()["RX_FCS"] == 1
    others = [frame(rng, to=to) for to in (OTHER, GROUP)]
    everybody = frame(rng, to="ff:ff:ff:ff:ff:ff")
    bench.play(*others, everybody)
    assert bench.received() == [everybody] and bench.moved()["STORE_FILTERED"] == 2
    bench.gateway.network.groups([GROUP])
    bench.play(*others, everybody)
    assert bench.received() == [others[1], everybody]
    bench.gateway.network.receive(own=False, broadcast=False, promiscuous=True)
    bench.play(*others, good)
    assert bench.received() == [*others, good]


def test_a_group_that_hardware_takes_does_not_reach_the_host_whatever_the_filter():
    bench, feed = Port(), Feed()
    bench.gateway.network.all_groups()
    unknown = bytearray(feed.snapshot(8))
    unknown[37] ^= 0x40                         # the UDP port: nobody's
    unknown[40:42] = bytes(2)                   # no UDP checksum
    bench.play(feed.snapshot(7), bytes(unknown), feed.frame(feed.tick(8, 105.0)))
    assert bench.received() == [bytes(unknown)]
    moved = bench.moved()
    assert moved["IP_ACCEPTED"] == 2 and moved["IP_NO_SUBSCRIPTION"] == 1
    assert bytes(unknown[:6]) == multicast_mac(0xEF6F6F01).to_bytes(6, "big")


def test_a_flood_at_line_rate_is_counted_to_the_last_frame_and_delays_no_order():
    """Nobody takes the frames: slots fill up, the rest is dropped, the market goes on.

    The network edge looks at one frame at a time, which takes longer than the next one needs to
    come: so the store fills up, too.
    """
    bench, feed, rng = Port(), Feed(), random.Random(3)
    slots = len(bench.gateway.frames._slots)
    bench.play(feed.snapshot(7))
    flood = [frame(rng, length=60) for _ in range(1000)]
    seen = bench.play(*flood[:600], crossing(feed), *flood[600:])
    assert seen.reasons() == ["PASSED"] and len(seen.frames) == 1
    order, = seen.records["ORDER"]
    assert waited(order) == FIRST
    bench.engine.idle(6 * SETTLE)
    moved = bench.moved()
    assert moved["RX_GOOD"] == 1002 and moved["IP_ACCEPTED"] == 2
    assert moved["STORE_KEPT"] + moved["STORE_NO_ROOM"] == 1000 and moved["STORE_KEPT"] > slots
    assert moved["EDGE_HOST"] == moved["STORE_KEPT"]
    assert moved["HOST_RECEIVE_PASSED"] == slots
    assert moved["HOST_RECEIVE_NO_ROOM"] == moved["STORE_KEPT"] - slots
    assert bench.gateway.stats()["IF_IN_DISCARDS"] == 1000 - slots
    assert bench.received() == flood[:slots]
    # Room again: nothing of the flood comes late.
    bench.play(flood[0])
    assert bench.received() == [flood[0]]


def test_every_frame_that_finds_no_room_is_discarded_once():
    """Of any length: two rooms drop frames, sometimes in the same cycle."""
    bench, rng = Port(), random.Random(8)
    for _ in range(3):
        bench.play(*(frame(rng, length=60 + rng.randrange(40)) for _ in range(800)))
        bench.engine.idle(6 * SETTLE)
    stats = bench.gateway.stats()
    assert stats["STORE_NO_ROOM"] > 500 and stats["HOST_RECEIVE_NO_ROOM"] > 500
    assert stats["IF_IN_DISCARDS"] == stats["STORE_NO_ROOM"] + stats["HOST_RECEIVE_NO_ROOM"]
    assert stats["RX_GOOD"] == stats["IF_IN_DISCARDS"] + stats["HOST_RECEIVE_PASSED"]


def test_the_host_queues_frames_and_they_leave_whole_in_order():
    bench, rng = Port(), random.Random(4)
    sent = [frame(rng, to=OTHER, length=length) for length in (14, 60, 61, 300, 1514, 1000, 59)]
    for one in sent:
        while not bench.gateway.frame_room:     # it is being copied into the queue
            bench.engine.idle(10)
        bench.gateway.send_frame(one)
    bench.engine.idle(SETTLE)
    frames = bench.look().frames
    assert [one.data for one in frames] == [one.ljust(60, b"\0") for one in sent]
    assert all(one.fcs_good and one.intact for one in frames)


def test_several_frames_wait_and_one_too_many_is_counted():
    """Short frames are copied faster than they leave: 4 KiB of them come to wait."""
    bench, rng = Port(), random.Random(5)
    gw, short = bench.gateway, frame(rng, to=OTHER, length=60)
    long = frame(rng, to=OTHER, length=LOADED)
    before = gw.registers.read("TX_FRAMES")
    gw.send_frame(short, repeat=400)
    gw.registers.command_fields("FRAME_SEND", length=LOADED)
    while not gw.frame_room:
        bench.engine.idle(10)
    left = gw.registers.read("TX_FRAMES") - before
    assert 55 <= 400 - left <= 66, "the queue is full, a frame is on the wire"
    bench.engine.idle(2 * SETTLE)
    assert [one.data for one in bench.look().frames] == [short] * 400
    assert bench.moved()["HOST_FRAME_REFUSED"] == 1
    gw.registers.write("FRAME_CAP", 200)
    gw.registers.command_fields("FRAME_SEND", length=201)
    gw.registers.command_fields("FRAME_SEND", length=200)
    bench.engine.idle(SETTLE)
    assert [len(one.data) for one in bench.look().frames] == [200]
    assert bench.moved()["HOST_FRAME_REFUSED"] == 1
    gw.disarm()
    gw.send_frame(long)
    bench.engine.idle(SETTLE)
    assert [one.data for one in bench.look().frames] == [long]


def test_an_order_waits_for_one_frame_of_the_host_at_most():
    """However many wait in the queue, and wherever in them the order comes."""
    delays = []
    for phase in range(0, 200, 13):
        bench, feed = Port(), Feed()
        bench.play(feed.snapshot(7))
        long = frame(random.Random(6), to=OTHER, length=LOADED)
        bench.gateway.send_frame(long, repeat=40)
        bench.engine.idle(phase)
        seen = bench.play(crossing(feed))
        order, = seen.records["ORDER"]
        delays.append(waited(order))
        assert len(seen.frames) > 4 and all(one.fcs_good for one in seen.frames)
        bench.gateway.stop_frames()
    assert max(delays) <= WORST and min(delays) >= FIRST
    assert max(delays) > WORST // 2, "some came early in a frame"


def test_a_host_that_comes_back_finds_what_waits():
    rng = random.Random(7)
    engine = Engine(library(), frame_slots=16)
    first = Gateway(engine)
    first.network.station = OWN
    first.network.receive()
    first.frames.poll()
    sent = [frame(rng, length=100) for _ in range(20)]
    chunk = frames_to_words(sent, tail=SETTLE)
    engine.run(chunk.data, chunk.control)
    second = Gateway(engine)
    assert [bytes(one.data) for one in second.frames.poll()] == sent[:16]
    assert second.stats()["HOST_RECEIVE_NO_ROOM"] == 4
    second.frames.poll()
    engine.run(chunk.data, chunk.control)
    assert [bytes(one.data) for one in second.frames.poll()] == sent[:16]
    assert WordReader().feed_busy(*vars(engine.take_tx()).values()) == []
