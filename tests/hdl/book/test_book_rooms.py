# amaranth: UnusedElaboratable=no
"""RecordQueue and LossRecorder by themselves: what the whole book hardly ever does to them."""

import random

import pytest
from amaranth.sim import Simulator
from tickwire.hdl.book.loss import LossRecorder
from tickwire.hdl.book.queue import RecordQueue


def simulate(component, bench):
    simulator = Simulator(component)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.parametrize("seed", range(3))
def test_queue_keeps_order_and_forgets_what_is_taken_back(seed):
    rng = random.Random(seed)
    queue = RecordQueue(16)
    committed, pending, taken = [], [], []
    was_full = []

    async def bench(ctx):
        number = 0
        for _ in range(3000):
            full, lot = ctx.get(queue.full), rng.random()
            was_full.append(full)
            push = lot < 0.6 and not full
            commit, rewind = not push and 0.6 < lot < 0.8, not push and lot > 0.9
            ctx.set(queue.i.valid, push)
            ctx.set(queue.i.payload.as_value(), number if push else rng.getrandbits(100))
            ctx.set(queue.commit, commit)
            ctx.set(queue.rewind, rewind)
            ready = rng.random() < 0.3 + 0.4 * (seed == 2)
            ctx.set(queue.o.ready, ready)
            valid, value = ctx.get(queue.o.valid), ctx.get(queue.o.payload.as_value())
            await ctx.tick()
            if push:
                pending.append(number)
                number += 1
            if commit:
                committed.extend(pending)
            if commit or rewind:
                pending.clear()
            if valid and ready:
                taken.append(value)

    simulate(queue, bench)
    assert taken == committed[:len(taken)] and len(taken) > 300
    assert len(committed) - len(taken) <= 16
    assert any(was_full)


def test_queue_is_readable_three_cycles_after_commit():
    queue = RecordQueue(8)

    async def bench(ctx):
        ctx.set(queue.i.valid, 1)
        await ctx.tick().repeat(3)
        ctx.set(queue.i.valid, 0)
        ctx.set(queue.commit, 1)
        ctx.set(queue.o.ready, 1)
        seen = []
        for _ in range(8):
            seen.append(ctx.get(queue.o.valid))
            await ctx.tick()
            ctx.set(queue.commit, 0)
        assert seen == [0, 0, 0, 1, 1, 1, 0, 0]

    simulate(queue, bench)


def losses(steps, *, cut_through=1, depth=4, cycles=40):
    """Play (instrument or None, verdict or None) by cycle; what is written and announced."""
    room = LossRecorder(instruments=8, channels=4, depth=depth)
    gaps, damaged, disarmed, unsettled = [], [], [], []

    async def bench(ctx):
        ctx.set(room.cut_through, cut_through)
        ctx.set(room.i_number, 77)
        for cycle in range(cycles):
            index, verdict = steps.get(cycle, (None, None))
            ctx.set(room.i_instrument.valid, index is not None)
            ctx.set(room.i_instrument.payload, {"known": index != 99, "index": index or 0})
            ctx.set(room.i_verdict.valid, verdict is not None)
            good, gap, channel = verdict or (0, 0, 0)
            ctx.set(room.i_verdict.payload, {"good": good, "gap": gap, "channel": channel})
            if ctx.get(room.o_gap.valid):
                gaps.append((cycle, ctx.get(room.o_gap.payload.index)))
                assert ctx.get(room.o_gap.payload.number) == 77
            if ctx.get(room.o_damage.valid):
                damaged.append((cycle, ctx.get(room.o_damage.payload.index)))
            if ctx.get(room.o_disarm.valid):
                disarmed.append((cycle, ctx.get(room.o_disarm.payload)))
            if ctx.get(room.o_unsettled):
                unsettled.append(cycle)
            await ctx.tick()

    simulate(room, bench)
    return gaps, damaged, disarmed, unsettled


BAD, GOOD, GAP = (0, 0, 2), (1, 0, 2), (1, 1, 2)


def test_damage_is_announced_two_cycles_later():
    gaps, damaged, disarmed, unsettled = losses(
        {0: (5, None), 1: (3, None), 4: (None, BAD), 10: (1, None), 12: (None, GOOD)})
    assert damaged == disarmed == [(6, 5), (7, 3)] and unsettled == [5, 6, 7] and not gaps


def test_without_cut_through_a_bad_frame_is_as_if_it_had_never_come():
    assert losses({0: (5, None), 4: (None, BAD)}, cut_through=0) == ([], [], [], [])


def test_gap_is_written_at_once():
    assert losses({0: (5, None), 4: (None, GAP)}) == ([(4, 2)], [], [], [])


def test_frame_that_names_too_many_instruments_concerns_all():
    steps = {cycle: (cycle, None) for cycle in range(6)} | {8: (None, BAD), 11: (None, GAP)}
    gaps, damaged, disarmed, _ = losses(steps)
    assert {index for _, index in disarmed} == set(range(8))
    assert {index % 4 for _, index in gaps} == set(range(4)) and (11, 2) in gaps
    # The list has been announced as well, and the next frame is judged by itself.
    assert [index for _, index in damaged] == [0, 1, 2, 3]
    assert losses({cycle: (cycle, None) for cycle in range(6)} | {8: (None, GOOD)}) == (
        [], [], [], [])


@pytest.mark.parametrize("room, sentence", [
    (lambda: RecordQueue(12), "RecordQueue depth must be a power of two of at least 8, not 12"),
    (lambda: LossRecorder(instruments=8, channels=4, depth=3),
     "LossRecorder depth must be a power of two of at least 2, not 3")])
def test_depths_that_are_not_supported(room, sentence):
    with pytest.raises(ValueError, match=sentence):
        room()
