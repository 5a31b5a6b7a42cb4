# amaranth: UnusedElaboratable=no
"""The threshold strategy does what its Python model does, one cycle after each event."""

import random

import pytest
from amaranth.sim import Simulator
from threshold_events import random_events, row
from tickwire.hdl.feed.event import FeedEventKind
from tickwire.hdl.strategy.check import ModelMismatchError, check_against_model
from tickwire.hdl.strategy.fired import FiredMemory
from tickwire.hdl.strategy.model import ASK, BID, Message, Quote, Touch, Verdict, Write, price_key
from tickwire.hdl.strategy.threshold import ThresholdStrategy
from tickwire.hdl.strategy.threshold_model import BOOK, TICKER, ThresholdModel

CHEAP, LIMIT, DEAR = price_key(0.5), price_key(1.0), price_key(2.0)


def run(*events, cut_through=False, seed=0, **sizes):
    return check_against_model(ThresholdStrategy(**{"instruments": 8} | sizes), events,
                               model=ThresholdModel(cut_through=cut_through),
                               cut_through=cut_through, seed=seed)


def frame(*messages, good=True):
    return (*messages, Verdict(good))


def update(instrument, time, **sides):
    return Message(instrument, time), Touch(instrument, time, **{"bid": None, "ask": None} | sides)


@pytest.mark.parametrize("cut_through", (False, True))
@pytest.mark.parametrize("seed", (3, 4))
def test_random_lives_equal_the_model(seed, cut_through):
    intents = run(*random_events(random.Random(1000 + seed), 40), cut_through=cut_through,
                  seed=seed)
    assert len(intents) > 10


@pytest.mark.parametrize(("price", "fires"), ((CHEAP, True), (LIMIT, True), (LIMIT + 1, False)))
def test_buys_at_the_ask_up_to_the_limit(price, fires):
    intents = run(Write(3, row(quantity=7)), *frame(*update(3, 50, ask=price)))
    assert [(i.side, i.price, i.quantity, i.timestamp) for i in intents] == \
        [(BID, price, 7, 50)] * fires


@pytest.mark.parametrize(("price", "fires"), ((DEAR + 1, True), (DEAR, True), (DEAR - 1, False)))
def test_sells_at_the_bid_down_to_the_limit(price, fires):
    intents = run(Write(3, row(buy=0, sell=1)), *frame(*update(3, 50, bid=price)))
    assert [(i.side, i.price) for i in intents] == [(ASK, price)] * fires


def test_buying_wins_and_one_event_brings_one_intent():
    intents = run(Write(3, row(sell=1)), *frame(*update(3, 50, bid=DEAR, ask=CHEAP)))
    assert [i.side for i in intents] == [BID]


def test_a_ticker_fires_on_both_sides_two_cycles_apart():
    intents = run(Write(3, row(sell=1, trigger=TICKER)),
                  *frame(Message(3, 50), Quote(BID, DEAR), Quote(ASK, CHEAP)))
    assert [i.side for i in intents] == [ASK, BID]


@pytest.mark.parametrize("price", (0.0, -0.0, float("nan"), float("-inf"), float("inf")))
def test_an_empty_side_of_a_ticker_does_not_trigger(price):
    everything = row(sell=1, trigger=TICKER, buy_limit=2**64 - 1, sell_limit=0)
    assert not run(Write(3, everything), *frame(
        Message(3, 50), Quote(BID, price_key(price)), Quote(ASK, price_key(price))))


@pytest.mark.parametrize("quote", (Quote(ASK, CHEAP, suspect=True),
                                   Quote(ASK, CHEAP, tradable=False)))
def test_a_doubtful_ticker_does_not_trigger(quote):
    assert not run(Write(3, row(trigger=TICKER)), *frame(Message(3, 50), quote))


def test_a_stale_book_does_not_trigger():
    assert not run(Write(3, row()), *frame(
        Message(3, 50), Touch(3, 50, None, CHEAP, tradable=False)))


@pytest.mark.parametrize("trigger", (BOOK, TICKER))
def test_the_other_kind_of_event_does_not_trigger(trigger):
    intents = run(Write(3, row(trigger=trigger)), *frame(
        *update(3, 50, ask=CHEAP), Quote(ASK, CHEAP)))
    assert len(intents) == 1


def test_a_disabled_row_and_an_unlisted_instrument_do_not_trigger():
    assert not run(Write(3, row(enabled=0)), *frame(*update(3, 50, ask=CHEAP)))
    assert not run(Write(3, row(trigger=TICKER)), *frame(Message(3, 50)),
                   *frame(Message(None, 51), Quote(ASK, CHEAP)))


def test_one_shot_until_the_row_is_written_again():
    armed = Write(3, row(one_shot=1))
    intents = run(armed, *frame(*update(3, 50, ask=CHEAP)), *frame(*update(3, 60, ask=CHEAP)),
                  armed, *frame(*update(3, 70, ask=CHEAP)))
    assert [i.timestamp for i in intents] == [50, 70]


def test_the_gap_is_counted_in_the_time_of_the_feed():
    intents = run(Write(3, row(minimum_gap=10)), *(
        event for time in (50, 59, 60, 61, 69, 70, 40, 80)
        for event in frame(*update(3, time, ask=CHEAP))))
    assert [i.timestamp for i in intents] == [50, 60, 70, 80]


def test_the_gap_does_not_wrap_at_the_end_of_time():
    end = 2**64 - 5
    intents = run(Write(3, row(minimum_gap=10)), *frame(*update(3, end, ask=CHEAP)),
                  *frame(*update(3, end + 4, ask=CHEAP)))
    assert [i.timestamp for i in intents] == [end]


@pytest.mark.parametrize("committed", (False, True))
@pytest.mark.parametrize("cut_through", (False, True))
def test_a_bad_frame_undoes_the_intent_unless_it_has_left(cut_through, committed):
    cheap = (Touch(3, 50, None, CHEAP, committed=True),) if committed else update(3, 50, ask=CHEAP)
    intents = run(Write(3, row(one_shot=1)), *frame(Message(2, 1), *cheap, good=False),
                  *frame(*update(3, 60, ask=CHEAP)), *frame(*update(3, 70, ask=CHEAP)),
                  cut_through=cut_through)
    assert [i.timestamp for i in intents] == ([50] if cut_through or committed else [50, 60])


def test_two_intents_of_one_instrument_in_a_bad_frame_are_both_undone():
    intents = run(Write(3, row(minimum_gap=10)), *frame(*update(3, 50, ask=CHEAP)),
                  *frame(*update(3, 60, ask=CHEAP), *update(3, 70, ask=CHEAP), good=False),
                  *frame(*update(3, 61, ask=CHEAP)))
    assert [i.timestamp for i in intents] == [50, 60, 70, 61]


def test_a_frame_brings_no_more_intents_than_the_list_holds():
    events = [Write(index, row()) for index in range(8)]
    for good in (True, False):
        events += frame(*(event for n in range(12)
                          for event in update(n % 8, 50, ask=CHEAP)), good=good)
    assert len(run(*events)) == 16


def test_a_late_touch_of_another_instrument_is_judged_by_its_own_row():
    rows = (Write(2, row(quantity=22)), Write(3, row(quantity=33, buy_limit=CHEAP)))
    intents = run(*rows, Message(3, 50), Touch(2, 40, None, LIMIT, committed=True),
                  Touch(3, 50, None, LIMIT), Verdict(True))
    assert [(i.instrument, i.quantity, i.timestamp) for i in intents] == [(2, 22, 40)]


def test_the_check_finds_a_difference():
    wrong = ThresholdModel(hearsay=0)
    with pytest.raises(ModelMismatchError, match="the model says None, the gateware says Intent"):
        check_against_model(ThresholdStrategy(instruments=8),
                            (Write(3, row()), *frame(*update(3, 50, ask=CHEAP))), model=wrong)


def test_sizes_that_cannot_be_built():
    with pytest.raises(ValueError, match="instruments must be a power of two from 2 to 128, "
                                         "not 100"):
        ThresholdStrategy(instruments=100)
    with pytest.raises(ValueError, match="pending must be a power of two and at least 2, not 3"):
        FiredMemory(8, 3)


class Driver:
    """A strategy that is driven cycle by cycle; what it says is collected with its cycle."""

    def __init__(self, strategy, cycles):
        self.strategy = strategy
        self.said, self.counts = [], {"no_room": [], "mismatch": []}
        simulator = Simulator(strategy)
        simulator.add_clock(1e-8)
        simulator.add_testbench(self.testbench)
        self.cycles = cycles
        simulator.run()

    async def testbench(self, ctx):
        s = self.strategy
        for cycle in range(max(self.cycles) + 30):
            for port in (s.i_instrument, s.i_feed, s.i_book, s.i_late, s.i_verdict, s.i_write):
                ctx.set(port.valid, 0)
            ctx.set(s.i_room, 1)
            for signal, value in self.cycles.get(cycle, ()):
                ctx.set(signal, value)
            *_, valid, index, no_room, mismatch = await ctx.tick().sample(
                s.o.valid, s.o.payload.instrument, s.o_count_no_room, s.o_count_mismatch)
            if valid:
                self.said.append((cycle, index))
            for name, value in (("no_room", no_room), ("mismatch", mismatch)):
                self.counts[name] += [cycle] * value


def instrument(s, cycle, index):
    return {cycle - 1: ((s.i_feed.valid, 1),
                        (s.i_feed.payload, {"kind": FeedEventKind.INSTRUMENT, "timestamp": 50})),
            cycle + 2: ((s.i_instrument.valid, 1),
                        (s.i_instrument.payload, {"known": 1, "index": index}))}


def touch(s, index, *, committed=False):
    port = s.i_late if committed else s.i_book
    return ((port.valid, 1), (port.payload, {
        "instrument": index, "tradable": 1, "timestamp": 50,
        "touch": {"ask_price": CHEAP, "ask_valid": 1}}))


def write(s, index, **fields):
    return ((s.i_write.valid, 1), (s.i_write.payload, {"index": index, "row": row(**fields)}))


def test_latency_of_a_touch_and_of_a_late_touch():
    s = ThresholdStrategy(instruments=8)
    driver = Driver(s, {0: write(s, 2), 4: write(s, 3), **instrument(s, 10, 2),
                        15: touch(s, 2), 30: touch(s, 3, committed=True)})
    assert driver.said == [(16, 2), (37, 3)]


def test_a_touch_without_its_row_is_counted_and_not_decided():
    s = ThresholdStrategy(instruments=8)
    driver = Driver(s, {0: write(s, 2), 4: write(s, 3), **instrument(s, 10, 2),
                        15: touch(s, 3), 17: touch(s, 2)})
    assert driver.said == [(18, 2)]
    assert driver.counts["mismatch"] == [16]


def test_a_touch_before_its_row_has_come_is_counted_and_not_decided():
    s = ThresholdStrategy(instruments=8)
    driver = Driver(s, {0: write(s, 2), 4: write(s, 3), **instrument(s, 10, 2),
                        14: touch(s, 2)})
    assert (driver.said, driver.counts["mismatch"]) == ([], [15])


def test_a_touch_after_its_frame_is_not_decided():
    s = ThresholdStrategy(instruments=8)
    verdict = ((s.i_verdict.valid, 1), (s.i_verdict.payload, {"good": 1}))
    driver = Driver(s, {0: write(s, 2), **instrument(s, 10, 2),
                        15: (*touch(s, 2), *verdict), 20: touch(s, 2)})
    assert driver.said == []


@pytest.mark.parametrize(("verdict", "again"), ((16, True), (17, False)))
def test_cut_through_undoes_what_the_launch_gate_could_still_stop(verdict, again):
    s = ThresholdStrategy(instruments=8)
    bad = ((s.i_verdict.valid, 1), (s.i_verdict.payload, {"good": 0}))
    driver = Driver(s, {0: (*write(s, 2, one_shot=1), (s.i_cut_through, 1)),
                        **instrument(s, 10, 2), 15: touch(s, 2), verdict: bad,
                        **instrument(s, 30, 2), 35: touch(s, 2)})
    assert driver.said == [(16, 2)] + [(36, 2)] * again


def test_no_intent_while_the_launch_gate_has_no_room():
    s = ThresholdStrategy(instruments=8)
    driver = Driver(s, {0: write(s, 2), **instrument(s, 10, 2),
                        15: (*touch(s, 2), (s.i_room, 0)), 17: touch(s, 2)})
    assert (driver.said, driver.counts["no_room"]) == ([(18, 2)], [16])


@pytest.mark.parametrize("cycle", range(31, 42))
def test_both_fire_when_a_late_and_a_timely_touch_meet(cycle):
    s = ThresholdStrategy(instruments=8)
    level = ((s.i_feed.valid, 1), (s.i_feed.payload, {"kind": FeedEventKind.LEVEL}))
    driver = Driver(s, {0: write(s, 2), **instrument(s, 10, 2),
                        30: touch(s, 2, committed=True), cycle: touch(s, 2),
                        cycle - 1: (*level, *({31: touch(s, 2, committed=True)}.get(cycle, ())))})
    assert [index for _, index in driver.said] == [2, 2]


@pytest.mark.parametrize("cycle", range(31, 38))
def test_a_one_shot_fires_once_when_a_late_and_a_timely_touch_meet(cycle):
    s = ThresholdStrategy(instruments=8)
    driver = Driver(s, {0: write(s, 2, one_shot=1), **instrument(s, 10, 2),
                        30: touch(s, 2, committed=True), 31: touch(s, 2, committed=True),
                        cycle: touch(s, 2)})
    assert len(driver.said) == 1


def test_late_touches_wait_in_a_queue_and_what_does_not_fit_is_counted():
    s = ThresholdStrategy(instruments=8, late=4)
    driver = Driver(s, {0: write(s, 2), 4: write(s, 3), **{
        20 + n: touch(s, 2 + n % 2, committed=True) for n in range(8)}})
    assert len(driver.said) + len(driver.counts["no_room"]) == 8
    assert [index for _, index in driver.said][:4] == [2, 3, 2, 3]


@pytest.mark.parametrize("cycle", range(13, 19))
def test_parameters_change_as_one_set(cycle):
    """A touch at any distance from the write is judged by the old row or by the new one."""
    s = ThresholdStrategy(instruments=8)
    driver = Driver(s, {
        0: write(s, 2, quantity=1), **instrument(s, 10, 2), 17: touch(s, 2),
        cycle: (*write(s, 2, quantity=2, buy_limit=CHEAP - 1), *({17: touch(s, 2)}.get(cycle, ()))),
    })
    assert driver.said == ([(18, 2)] if cycle > 13 else [])
