"""TransmitArbiter in front of the MAC: ranks are kept, frames whole, strobes attributed."""

from amaranth.hdl import Cat, Module
from amaranth.lib import wiring
from amaranth.sim import Simulator
from tickwire.hdl.mac.arbiter import TransmitArbiter
from tickwire.hdl.mac.transmit import MacTransmit
from xgmii_bench import find_frames, gaps, seeded, with_fcs


class Source:
    """Offers frames one after the other, each not before its cycle."""

    def __init__(self, port, frames):
        self.port = port
        self.waiting = list(frames)         # (cycle, octets)
        self.beats = []
        self.offered = []

    def drive(self, ctx, cycle):
        if not self.beats and self.waiting and self.waiting[0][0] <= cycle:
            octets = self.waiting.pop(0)[1]
            last = (len(octets) - 1) // 8
            self.beats = [(octets[8 * at:8 * at + 8], at == 0, at == last)
                          for at in range(last + 1)]
            self.offered.append(cycle)
        ctx.set(self.port.valid, bool(self.beats))
        if self.beats:
            octets, first, last = self.beats[0]
            ctx.set(self.port.payload, {"data": int.from_bytes(octets, "little"), "begin": 0,
                                        "end": len(octets), "first": first, "last": last})

    def advance(self, ctx):
        if self.beats and ctx.get(self.port.ready):
            self.beats.pop(0)


def run(orders, hosts, cycles, aborts=(), replies=()):
    """Words on the wire, and (cycle, whose) of each start and each end."""
    m = Module()
    m.submodules.arbiter = arbiter = TransmitArbiter()
    m.d.comb += arbiter.i_order_goes_on.eq(arbiter.i_order.valid)
    m.submodules.mac = mac = MacTransmit()
    wiring.connect(m, arbiter.o, mac.i)
    m.d.comb += [arbiter.i_start.eq(mac.o_start), mac.i_goes_on.eq(arbiter.o_goes_on)]
    words, starts, ends = [], [], []
    order, host = Source(arbiter.i_order, orders), Source(arbiter.i_host, hosts)
    reply = Source(arbiter.i_reply, replies)

    async def bench(ctx):
        outputs = Cat(mac.o, mac.o_start, mac.o_done.valid, mac.o_done.payload,
                      arbiter.o_order_active, arbiter.o_host_active, arbiter.o_reply_active)
        for cycle in range(cycles):
            order.drive(ctx, cycle)
            host.drive(ctx, cycle)
            reply.drive(ctx, cycle)
            ctx.set(mac.i_abort, cycle in aborts)
            seen = ctx.get(outputs)
            words.append((seen & (1 << 64) - 1, seen >> 64 & 0xff))
            whose = {0: None, 1: "order", 2: "host", 4: "reply"}[seen >> 75]
            if seen >> 72 & 1:
                starts.append((cycle, whose))
            if seen >> 73 & 1:
                ends.append((cycle, whose))
            order.advance(ctx)
            host.advance(ctx)
            reply.advance(ctx)
            await ctx.tick()

    sim = Simulator(m)
    sim.add_clock(6.4e-9)
    sim.add_testbench(bench)
    sim.run()
    return words, starts, ends, order.offered, host.offered, reply.offered


def test_orders_first_and_every_frame_whole():
    rng = seeded(1)
    hosts = [(0, rng.randbytes(rng.randrange(60, 200))) for _ in range(25)]
    orders = [(rng.randrange(20, 900), rng.randbytes(rng.randrange(60, 140))) for _ in range(20)]
    orders.sort(key=lambda frame: frame[0])
    words, starts, ends, offered, *_ = run(orders, hosts, 1300)
    frames = find_frames(words)
    assert len(frames) == len(starts) == len(ends) == 45
    assert [whose for _, whose in starts] == [whose for _, whose in ends]
    queues = {"order": iter(orders), "host": iter(hosts)}
    for frame, (_, whose) in zip(frames, starts, strict=True):
        assert frame.octets == with_fcs(next(queues[whose])[1])
    # An order waits for the frame in progress only: between its offer and its START, no other
    # frame starts than one that had been begun in the cycle of the offer.
    for cycle, begin in zip(offered, [c for c, whose in starts if whose == "order"], strict=True):
        between = [other for other, _ in starts if cycle + 1 < other < begin]
        assert not between
    assert min(gaps(frames)) >= 9


def test_three_ranks():
    """Whenever a frame starts, nothing of a higher rank had been waiting for two cycles."""
    rng = seeded(4)
    ranks = ("order", "reply", "host")
    queues = {"order": [(rng.randrange(20, 1100), rng.randbytes(rng.randrange(60, 140)))
                        for _ in range(15)],
              "reply": [(rng.randrange(20, 700), rng.randbytes(rng.randrange(60, 140)))
                        for _ in range(20)],
              "host": [(0, rng.randbytes(rng.randrange(60, 140))) for _ in range(20)]}
    for frames in queues.values():
        frames.sort(key=lambda frame: frame[0])
    words, starts, ends, order, host, reply = run(
        queues["order"], queues["host"], 1600, replies=queues["reply"])
    assert [whose for _, whose in starts] == [whose for _, whose in ends]
    offered = {"order": order, "reply": reply, "host": host}
    began = {whose: [at for at, kind in starts if kind == whose] for whose in ranks}
    for at, whose in starts:
        for higher in ranks[:ranks.index(whose)]:
            for offer, begin in zip(offered[higher], began[higher], strict=True):
                assert not offer + 1 < at < begin, "a frame of a lower rank went first"
    left = {whose: iter(frames) for whose, frames in queues.items()}
    for frame, (_, whose) in zip(find_frames(words), starts, strict=True):
        assert frame.octets == with_fcs(next(left[whose])[1])
    # Some reply that came after a host frame was offered has left before it.
    assert any(offer < later < first < begin
               for offer, begin in zip(host, began["host"], strict=True)
               for later, first in zip(reply, began["reply"], strict=True))


def test_no_latency_and_overtaking_in_the_gap():
    """An order that comes while a host frame waits for the gap goes first."""
    rng, hosts, orders = seeded(2), [], []
    for cycle in range(1, 16):
        hosts += [(50 * cycle, rng.randbytes(60)), (50 * cycle, rng.randbytes(62))]
        orders.append((51 * cycle, rng.randbytes(61)))
    orders.append((50 * 17, rng.randbytes(61)))
    words, starts, ends, *_ = run(orders, hosts, 50 * 18)
    assert starts[-1] == (50 * 17 + 1, "order"), "no latency"
    seen = set()
    for cycle in range(1, 16):
        episode = [(at, whose) for at, whose in starts if at // 50 == cycle]
        kinds = [whose for _, whose in episode]
        assert kinds == [whose for at, whose in ends if at // 50 == cycle]
        second_offer = episode[0][0] + 8        # the first frame's 8 beats have been accepted
        if kinds == ["host", "host", "order"]:
            assert episode[1][0] <= 51 * cycle + 1, "the second frame had been begun"
        else:
            assert kinds == ["host", "order", "host"]
            seen.add(51 * cycle > second_offer)
    assert seen == {False, True}, "also while the second frame was waiting"
    queues = {"order": iter(orders), "host": iter(hosts)}
    for frame, (_, whose) in zip(find_frames(words), starts, strict=True):
        assert frame.octets == with_fcs(next(queues[whose])[1])


def test_an_aborted_frame_is_drained_before_the_other_source_goes_on():
    rng = seeded(3)
    order, host = rng.randbytes(100), rng.randbytes(64)
    words, starts, ends, *_ = run([(0, order)], [(0, host)], 60, aborts=[4])
    assert [whose for _, whose in starts] == [whose for _, whose in ends] == ["order", "host"]
    frames = find_frames(words)
    assert not frames[0].good and frames[1].octets == with_fcs(host)
