# amaranth: UnusedElaboratable=no
"""The launch gate: when an intent leaves, and that each leaves exactly once."""

import random
from collections import deque

import pytest
from amaranth.sim import Simulator
from tickwire.hdl.entry.intent import Reason
from tickwire.hdl.strategy.launch import LaunchGate


class Model:
    """What the gate does in one cycle, from its description."""

    def __init__(self, depth):
        self.depth = depth
        self.waiting = deque()      # [instrument, cycle, good / bad / None, waits for a verdict]
        self.watched = []           # instruments that passed unproven
        self.condemned = []
        self.head_from = 0          # cycle from which the first that waits can go
        self.crowded = None         # came in the cycle before, without room

    def step(self, now, intent, committed, verdict, cut_through, ready):
        """Returns (passed, void, disarm); the gate's ports in this cycle."""
        disarm = self.condemned.pop(0) if self.condemned else None
        watch_full = len(self.watched) + len(self.condemned) + (disarm is not None) == self.depth
        for entry in self.waiting:
            if entry[2] is None:
                entry[2] = verdict
        passed = void = None
        room = intent is None or len(self.waiting) < self.depth
        if self.crowded:
            void = (*self.crowded, Reason.RATE)
            self.crowded = None
            first = False
        elif self.waiting and now >= self.head_from and (self.waiting[0][2] is False or (
                ready and (self.waiting[0][2] or not self.waiting[0][3]))):
            instrument, decided, good, _ = self.waiting.popleft()
            self.head_from = now + 2
            if good is not False:
                passed = (instrument, decided)
            else:
                void = (instrument, decided, Reason.BAD_FRAME)
            first = False
        else:
            first = not self.waiting
        if verdict is not None and not verdict:
            self.condemned += self.watched
        if verdict is not None:
            self.watched = []
        if intent is not None:
            unproven = cut_through and not committed and verdict is None and not watch_full
            good = True if committed else verdict
            if not room:
                self.crowded = (intent, now)
            else:
                if unproven:
                    self.watched.append(intent)
                if first and (good or unproven) and ready:
                    passed = (intent, now)
                else:
                    self.waiting.append([intent, now, good, not unproven])
        return passed, void, disarm


class Bench:
    """Drives the gate cycle by cycle and returns what it did in each."""

    def __init__(self, cycles, *, depth=8):
        self.gate = LaunchGate(depth=depth)
        self.cycles = cycles
        self.result = []
        simulator = Simulator(self.gate)
        simulator.add_clock(1e-8)
        simulator.add_testbench(self.testbench)
        simulator.run()

    async def testbench(self, ctx):
        g = self.gate
        garbage = random.Random(1)
        for now, (intent, committed, verdict, cut_through, ready) in enumerate(self.cycles):
            ctx.set(g.now, now)
            ctx.set(g.i.valid, intent is not None)
            ctx.set(g.i.payload, {"instrument": garbage.getrandbits(7) if intent is None
                                  else intent, "price": 3 * now})
            ctx.set(g.i_committed, committed)
            ctx.set(g.i_verdict.valid, verdict is not None)
            ctx.set(g.i_verdict.payload.good, garbage.getrandbits(1) if verdict is None
                    else verdict)
            ctx.set(g.cut_through, cut_through)
            ctx.set(g.o.ready, ready)
            *_, valid, order, decided, released, void, reason, disarm, which = (
                await ctx.tick().sample(g.o.valid, g.o.payload, g.o_decided, g.o_released,
                                        g.o_void.valid, g.o_void.payload,
                                        g.o_disarm.valid, g.o_disarm.payload))
            if valid or void:
                assert order.price == 3 * decided       # the whole intent, not a mixture
                assert released == now
            assert not (valid and void)
            self.result.append((
                (order.instrument, decided) if valid and ready else None,
                (order.instrument, decided, reason) if void else None,
                which if disarm else None))


def idle(n=1):
    return [(None, False, None, False, True)] * n


def passed(result):
    return [(cycle, *out) for cycle, (out, _, _) in enumerate(result) if out]


def test_after_fcs_releases_in_the_cycle_of_the_verdict_and_then_one_every_other_cycle():
    result = Bench([(11, False, None, False, True), *idle(4), (12, False, None, False, True),
                    *idle(3), (13, False, None, False, True), (None, False, True, False, True),
                    *idle(4)]).result
    assert passed(result) == [(10, 11, 0), (12, 12, 5), (14, 13, 9)]


def test_an_intent_in_the_cycle_of_its_verdict_passes_in_that_cycle():
    assert passed(Bench([(11, False, True, False, True), *idle()]).result) == [(0, 11, 0)]


def test_cut_through_and_committed_intents_pass_in_the_same_cycle():
    assert passed(Bench([(11, False, None, True, True), *idle(),
                         (12, True, None, False, True), *idle()]).result) == \
        [(0, 11, 0), (2, 12, 2)]


def test_a_bad_verdict_voids_what_waits_with_its_reason():
    result = Bench([(11, False, None, False, True), (12, False, None, False, True), *idle(),
                    (None, False, False, False, True), *idle(3)]).result
    assert passed(result) == []
    assert [void for _, void, _ in result if void] == [(11, 0, Reason.BAD_FRAME),
                                                       (12, 1, Reason.BAD_FRAME)]


@pytest.mark.parametrize("cut_through", (False, True))
def test_a_bad_verdict_in_the_same_cycle_voids_in_the_next(cut_through):
    result = Bench([(11, False, False, cut_through, True), *idle(2)]).result
    assert result[0] == (None, None, None)
    assert result[1] == (None, (11, 0, Reason.BAD_FRAME), None)


def test_what_passed_on_a_bad_frame_disarms_its_instruments():
    result = Bench([(11, False, None, True, True), (12, False, None, True, True), *idle(),
                    (None, False, False, True, True), *idle(4)]).result
    assert passed(result) == [(0, 11, 0), (1, 12, 1)]
    assert [disarm for *_, disarm in result] == [None] * 4 + [11, 12, None, None]


def test_what_passed_on_a_good_frame_disarms_nothing():
    result = Bench([(11, False, None, True, True), *idle(), (None, False, True, True, True),
                    *idle(2), (None, False, False, True, True), *idle(4)]).result
    assert [disarm for *_, disarm in result if disarm] == []


def test_an_intent_without_room_is_refused_and_the_others_stay():
    result = Bench([*((n, False, None, False, True) for n in range(9)),
                    (None, False, True, False, True), *idle(18)]).result
    assert result[9] == (None, (8, 8, Reason.RATE), None)
    assert [instrument for _, instrument, _ in passed(result)] == list(range(8))


@pytest.mark.parametrize("depth", (2, 8))
@pytest.mark.parametrize("seed", range(3))
def test_random_lives_equal_the_model(seed, depth):
    rng = random.Random(seed)
    density = (0.4, 0.7, 0.9)[seed]
    cycles, cut_through = [], False
    for _ in range(700):
        if rng.random() < 0.02:
            cut_through = not cut_through
        cycles.append((rng.randrange(128) if rng.random() < density else None,
                       rng.random() < 0.1,
                       rng.random() < 0.5 if rng.random() < 0.07 else None,
                       cut_through, rng.random() < 0.8))
    model = Model(depth)
    result = Bench(cycles, depth=depth).result
    assert result == [model.step(now, *inputs) for now, inputs in enumerate(cycles)]
    assert {void[2] for _, void, _ in result if void} == {Reason.RATE, Reason.BAD_FRAME}
    assert any(out for out, _, _ in result)
    assert any(disarm is not None for *_, disarm in result)


def test_room_is_there_for_the_next_cycle():
    gate = LaunchGate(depth=2)
    seen = []

    async def testbench(ctx):
        for valid in (1, 1, 0):
            ctx.set(gate.i.valid, valid)
            seen.append((await ctx.tick().sample(gate.o_room))[-1])

    simulator = Simulator(gate)
    simulator.add_clock(1e-8)
    simulator.add_testbench(testbench)
    simulator.run()
    assert seen == [1, 0, 0]


def test_a_depth_that_cannot_be_built():
    with pytest.raises(ValueError, match="LaunchGate depth must be a power of two and at least 2, "
                                         "not 6"):
        LaunchGate(depth=6)
