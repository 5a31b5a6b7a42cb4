# amaranth: UnusedElaboratable=no
"""Strategy, launch gate and risk gate together: the cycles from an event to the order."""

import pytest
from amaranth.hdl import Elaboratable, Module
from amaranth.lib.wiring import connect
from amaranth.sim import Simulator
from risk_bench import PERMISSIVE
from tickwire.hdl.entry.intent import Reason
from tickwire.hdl.feed.event import FeedEventKind
from tickwire.hdl.risk.gate import RiskGate
from tickwire.hdl.strategy.launch import LaunchGate
from tickwire.hdl.strategy.threshold import ThresholdStrategy, Trigger

PRICE = 1500 | 1 << 62     # a key of a finite price


class OrderPath(Elaboratable):
    """The three rooms as a gateway connects them, driven by a table of cycle → signals."""

    def __init__(self, cycles, *, cut_through, trigger=Trigger.BOOK):
        self.strategy, self.launch, self.gate = (
            ThresholdStrategy(instruments=8), LaunchGate(), RiskGate(instruments=8))
        self.cut_through, self.trigger = cut_through, trigger
        self.cycles = cycles(self)
        self.result = []
        simulator = Simulator(self)
        simulator.add_clock(1e-8)
        simulator.add_testbench(self.testbench)
        simulator.run()

    def elaborate(self, platform):
        m = Module()
        m.submodules.strategy = strategy = self.strategy
        m.submodules.launch = launch = self.launch
        m.submodules.gate = gate = self.gate
        connect(m, strategy.o, launch.i)
        connect(m, launch.o, gate.i_strategy)
        connect(m, launch.o_next, gate.i_next)
        connect(m, launch.o_void, gate.i_void)
        connect(m, launch.o_disarm, gate.i_disarm[0])
        m.d.comb += [
            launch.i_committed.eq(strategy.o_committed),
            launch.i_verdict.valid.eq(strategy.i_verdict.valid),
            launch.i_verdict.payload.eq(strategy.i_verdict.payload),
            launch.cut_through.eq(strategy.i_cut_through),
            strategy.i_room.eq(launch.o_room),
            gate.i_any.eq(launch.o_any),
            gate.i_decided.eq(launch.o_decided),
            gate.i_released.eq(launch.o_released),
            gate.now.eq(launch.now),
            gate.i_instrument.valid.eq(strategy.i_instrument.valid),
            gate.i_instrument.payload.eq(strategy.i_instrument.payload),
        ]
        return m

    def notice(self, index):
        return [(self.strategy.i_instrument.valid, 1),
                (self.strategy.i_instrument.payload, {"known": 1, "index": index})]

    def touch(self, index):
        return [(self.strategy.i_book.valid, 1), (self.strategy.i_book.payload, {
            "instrument": index, "tradable": 1, "touch": {"ask_price": PRICE, "ask_valid": 1}})]

    def feed(self, kind):
        return [(self.strategy.i_feed.valid, 1),
                (self.strategy.i_feed.payload, {"kind": kind, "price": PRICE})]

    def verdict(self, good):
        return [(self.strategy.i_verdict.valid, 1), (self.strategy.i_verdict.payload.good, good)]

    async def testbench(self, ctx):
        s, gate = self.strategy, self.gate
        for name in ("armed", "session_ok", "window_ok"):
            ctx.set(getattr(gate, name), 1)
        ctx.set(s.i_cut_through, self.cut_through)
        for now in range(max(self.cycles) + 15):
            ctx.set(self.launch.now, now)
            for port in (s.i_instrument, s.i_feed, s.i_book, s.i_verdict, s.i_write, gate.i_write,
                         gate.i_rate):
                ctx.set(port.valid, 0)
            if now < 16 and now % 2 == 0:
                ctx.set(s.i_write.valid, 1)
                ctx.set(s.i_write.payload, {"index": now // 2, "row": {
                    "enabled": 1, "buy": 1, "buy_limit": 2**63, "quantity": 10, "one_shot": 1,
                    "trigger": self.trigger}})
                ctx.set(gate.i_write.valid, 1)
                ctx.set(gate.i_write.payload, {
                    "index": now // 2, "row": PERMISSIVE | {"highest_price": 2**64 - 1}})
            if now == 1:
                ctx.set(gate.i_rate.valid, 1)
                ctx.set(gate.i_rate.payload, {"index": 0, "row": {"burst": 9}})
            for signal, value in self.cycles.get(now, ()):
                ctx.set(signal, value)
            *_, sent, order, refused, record, count = await ctx.tick().sample(
                gate.o.valid, gate.o.payload, gate.o_refused.valid, gate.o_refused.payload,
                gate.o_count)
            if sent:
                self.result.append((now, Reason.PASSED, order.intent.instrument))
                assert order.released == now - 1
            if refused:
                self.result.append((now, record.reason, record.intent.instrument))
            assert bool(count) == (sent or refused)


@pytest.mark.parametrize("after", (1, 2, 3, 10, 50))
def test_after_fcs_an_order_leaves_one_cycle_after_the_verdict(after):
    """Also while messages of other instruments follow in the frame."""
    path = OrderPath(lambda p: {19: p.feed(FeedEventKind.INSTRUMENT), 22: p.notice(3),
                                25: p.touch(3), 27: p.notice(4), 35: p.notice(5),
                                25 + after: p.verdict(1)}, cut_through=False)
    assert path.result == [(26 + after, Reason.PASSED, 3)]


def test_after_fcs_further_orders_of_the_frame_follow_with_their_own_limits():
    path = OrderPath(lambda p: {19: p.feed(FeedEventKind.INSTRUMENT), 22: p.notice(3),
                                25: p.touch(3), 27: p.notice(4), 30: p.touch(4),
                                32: p.notice(5), 35: p.touch(5), 40: p.verdict(1)},
                     cut_through=False)
    assert path.result == [(41, Reason.PASSED, 3), (47, Reason.PASSED, 4),
                           (53, Reason.PASSED, 5)]


@pytest.mark.parametrize(("trigger", "kind"), ((Trigger.BOOK, None), (Trigger.TICKER, 1)))
def test_cut_through_an_order_leaves_two_cycles_after_the_event(trigger, kind):
    path = OrderPath(lambda p: {19: p.feed(FeedEventKind.INSTRUMENT), 22: p.notice(3),
                                25: p.feed(FeedEventKind.ASK) if kind else p.touch(3),
                                40: p.verdict(1)}, cut_through=True, trigger=trigger)
    assert path.result == [(27, Reason.PASSED, 3)]


def test_a_bad_frame_under_after_fcs_refuses_and_the_one_shot_fires_again():
    path = OrderPath(lambda p: {19: p.feed(FeedEventKind.INSTRUMENT), 22: p.notice(3),
                                25: p.touch(3), 40: p.verdict(0),
                                49: p.feed(FeedEventKind.INSTRUMENT), 52: p.notice(3),
                                55: p.touch(3), 60: p.verdict(1)}, cut_through=False)
    assert path.result == [(41, Reason.BAD_FRAME, 3), (61, Reason.PASSED, 3)]


def test_a_bad_frame_under_cut_through_disarms_its_instrument():
    path = OrderPath(lambda p: {19: p.feed(FeedEventKind.INSTRUMENT), 22: p.notice(3),
                                25: p.touch(3), 40: p.verdict(0),
                                48: [(p.strategy.i_write.valid, 1),
                                     (p.strategy.i_write.payload, {"index": 3, "row": {
                                         "enabled": 1, "buy": 1, "buy_limit": 2**63,
                                         "quantity": 10}})],
                                49: p.feed(FeedEventKind.INSTRUMENT), 52: p.notice(3),
                                55: p.touch(3), 60: p.verdict(1)}, cut_through=True)
    assert path.result == [(27, Reason.PASSED, 3), (57, Reason.RESTRICTED, 3)]
