# amaranth: UnusedElaboratable=no
"""DeliveryQueue: each packet with its session, in order, none lost; 3 cycles."""

import random

import pytest
from amaranth.sim import Simulator
from tickwire.hdl.tcp.delivery_queue import DeliveryQueue


def run(packets, *, ready, offer=1.0, sizes=None):
    """``packets``: (session, beats). What came out, and the cycles of last beats in, first out."""
    dut, rng = DeliveryQueue(**(sizes or {})), random.Random(5)
    waiting = [(session, n, n == 0, n == beats - 1) for session, beats in packets
               for n in range(beats)]
    count = len(waiting)
    out, ins, outs = [], [], []

    async def bench(ctx):
        valid = False
        for cycle in range(20_000):
            if len(out) == count:
                break
            valid = valid or bool(waiting) and rng.random() < offer
            ctx.set(dut.i.valid, valid)
            ctx.set(dut.i_session, rng.getrandbits(6))
            ctx.set(dut.i.payload.data, rng.getrandbits(64))
            if valid:
                session, number, first, last = waiting[0]
                ctx.set(dut.i.payload, {"data": session << 8 | number, "begin": 0, "end": 8,
                                        "first": first, "last": last})
                if first:
                    ctx.set(dut.i_session, session)
            takes = rng.random() < ready
            ctx.set(dut.o.ready, takes)
            if ctx.get(dut.o.valid):
                beat = ctx.get(dut.o.payload)
                if beat["first"] and len(outs) == sum(one[2] for one in out):
                    outs.append(cycle)
                if takes:
                    out.append((ctx.get(dut.o_session), beat["data"], beat["last"]))
            if valid and ctx.get(dut.i.ready):
                if waiting.pop(0)[3]:
                    ins.append(cycle)
                valid = False
            await ctx.tick()
        assert not waiting

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    return out, ins, outs


@pytest.mark.parametrize("ready, offer", [(1, 1), (0.3, 1), (1, 0.2), (0.6, 0.7)])
@pytest.mark.parametrize("sizes", [{"depth": 16, "packets": 2}, {"depth": 16, "packets": 64}])
def test_each_packet_keeps_its_session(ready, offer, sizes):
    rng = random.Random(1)
    packets = [(rng.randrange(64), rng.randrange(1, 8)) for _ in range(120)]
    out, *_ = run(packets, ready=ready, offer=offer, sizes=sizes)
    assert [(session, data, last) for session, data, last in out] == [
        (session, session << 8 | n, n == beats - 1) for session, beats in packets
        for n in range(beats)]


def test_latency():
    out, ins, outs = run([(5, 4)], ready=1)
    assert len(out) == 4 and outs[0] - ins[0] == 3


def test_a_queue_of_one_packet_is_refused():
    with pytest.raises(ValueError, match="DeliveryQueue packets must be at least 2, not 1"):
        DeliveryQueue(packets=1)
