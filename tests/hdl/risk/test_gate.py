# amaranth: UnusedElaboratable=no
"""The risk gate: every control with its reason, latencies, one outcome for every intent."""

import random

import pytest
from risk_bench import PERMISSIVE, START, Bench, intent, script
from tickwire.hdl.entry.intent import Action, Reason, Source
from tickwire.hdl.feed.event import Side
from tickwire.hdl.risk.gate import RiskGate

CANCEL = intent(action=Action.CANCEL, quantity=0, price=0)
NO_RATE = {"burst": 0, "period": 0}
ALL_BAD = {"armed": 0, "killed": 1, "host_timeout": 0, "log_full": 1, "session_ok": 0,
           "window_ok": 0, "tx_busy": 1, "i_tradable": 0}

# Reason, what makes it so, whether it stops a strategy's order and a cancel.
CONTROLS = (
    (Reason.NOT_ARMED, {"armed": 0}, {}, True, False),
    (Reason.KILLED, {"killed": 1}, {}, True, False),
    (Reason.HOST_TIMEOUT, {"armed": 0, "host_timeout": 1}, {}, True, False),
    (Reason.LOG_FULL, {"log_full": 1}, {}, True, True),
    (Reason.NO_SESSION, {"session_ok": 0}, {}, True, True),
    (Reason.RESTRICTED, {"write": (3, PERMISSIVE | {"enabled": 0})}, {}, True, False),
    (Reason.RESTRICTED, {"disarm": (3, None)}, {}, True, False),
    (Reason.RESTRICTED, {"disarm": (None, 3)}, {}, True, False),
    (Reason.STALE_BOOK, {"i_tradable": 0}, {}, False, False),
    (Reason.MALFORMED, {}, {"quantity": 0}, True, False),
    (Reason.MALFORMED, {}, {"instrument": 8}, True, True),
    (Reason.SIZE, {"write": (3, PERMISSIVE | {"minimum_quantity": 11})}, {}, True, False),
    (Reason.SIZE, {"write": (3, PERMISSIVE | {"maximum_quantity": 9})}, {}, True, False),
    (Reason.PRICE_BAND, {"write": (3, PERMISSIVE | {"lowest_price": 1501})}, {}, True, False),
    (Reason.PRICE_BAND, {"write": (3, PERMISSIVE | {"highest_price": 1499})}, {}, True, False),
    (Reason.RATE, {"rate": (0, NO_RATE)}, {}, True, False),
    (Reason.NO_WINDOW, {"window_ok": 0}, {}, True, True),
    (Reason.TX_BUSY, {"tx_busy": 1}, {}, True, True),
)


def reasons(events, **how):
    return [reason for _, reason, *_ in Bench(script(events, **how)).outcomes]


@pytest.mark.parametrize("source", ("strategy", "host"))
@pytest.mark.parametrize(("reason", "state", "fields", "stops_strategy", "stops_cancel"), CONTROLS)
def test_each_control_refuses_with_its_reason(reason, state, fields, stops_strategy, stops_cancel,
                                              source):
    stops = stops_strategy or source == "host"
    found = reasons({0: state, 5: {source: intent(**fields)}, 15: {source: CANCEL | fields}})
    assert found == [reason if stops else Reason.PASSED,
                     reason if stops_cancel else Reason.PASSED]


@pytest.mark.parametrize("source", ("strategy", "host"))
def test_without_a_reason_an_order_passes(source):
    bench = Bench(script({5: {source: intent()}}))
    assert [outcome[1:] for outcome in bench.outcomes] == [(Reason.PASSED, 3, {
        "strategy": Source.STRATEGY, "host": Source.HOST}[source])]


def test_the_bounds_are_inclusive():
    exact = PERMISSIVE | {"minimum_quantity": 10, "maximum_quantity": 10, "lowest_price": 1500,
                          "highest_price": 1500}
    assert reasons({0: {"strategy": intent()}}, limits=exact) == [Reason.PASSED]


def test_the_lowest_reason_wins():
    """Everything is wrong; mended one after the other, each shows the next."""
    events = {0: ALL_BAD | {"write": (3, dict.fromkeys(PERMISSIVE, 0)), "rate": (0, NO_RATE)}}
    mending = ({}, {"armed": 1}, {"killed": 0, "host_timeout": 1}, {"host_timeout": 0},
               {"log_full": 0}, {"session_ok": 1}, {"write": (3, PERMISSIVE)},
               {"i_tradable": 1})
    for number, step in enumerate(mending):
        events[20 * number + 1] = step
        events[20 * number + 5] = {"host": intent(quantity=0)}
    last = 20 * len(mending)
    events |= {last: {"write": (3, PERMISSIVE | {"minimum_quantity": 50, "lowest_price": 1700})},
               last + 5: {"host": intent()}, last + 20: {"write": (3, PERMISSIVE | {
                   "lowest_price": 1700})}, last + 25: {"host": intent()},
               last + 40: {"write": (3, PERMISSIVE)}, last + 45: {"host": intent()},
               last + 60: {"rate": (0, {"burst": 5, "period": 0})}, last + 65: {"host": intent()},
               last + 80: {"window_ok": 1}, last + 85: {"host": intent()},
               last + 100: {"tx_busy": 0}, last + 105: {"host": intent()}}
    assert reasons(events) == [Reason(number) for number in range(1, 14)] + [Reason.PASSED]


def test_latency_of_a_strategy_order_is_one_cycle():
    bench = Bench(script({0: {"strategy": intent()}, 5: {"strategy": intent(quantity=0)}}))
    assert [cycle - START for cycle, *_ in bench.outcomes] == [1, 6]


def test_an_intent_of_another_instrument_waits_for_its_own_row():
    """Limits of instrument 4 are closed at reset: the open ones of 3 must not be used."""
    bench = Bench(script({0: {"strategy": intent(4), "next": 4}, 6: {"next": -1},
                          12: {"strategy": intent()}}))
    assert [(cycle - START, reason) for cycle, reason, *_ in bench.outcomes] == [
        (6, Reason.RESTRICTED), (13, Reason.PASSED)]


def test_the_row_of_a_waiting_intent_is_kept_while_another_message_arrives():
    bench = Bench(script({0: {"next": 3}, 1: {"notice": 4}, 9: {"strategy": intent()},
                          10: {"next": -1}, 15: {"notice": 4}, 18: {"strategy": intent(4)}}))
    assert [(cycle - START, reason) for cycle, reason, *_ in bench.outcomes] == [
        (10, Reason.PASSED), (19, Reason.RESTRICTED)]


def test_latency_of_a_host_order_is_five_cycles():
    bench = Bench(script({0: {"host": intent()}}))
    assert [cycle - START for cycle, *_ in bench.outcomes] == [5]


@pytest.mark.parametrize(("at", "outcomes"), (
    (3, [(4, Reason.PASSED, Source.STRATEGY), (6, Reason.PASSED, Source.HOST)]),
    (4, [(5, Reason.PASSED, Source.HOST), (6, Reason.TX_BUSY, Source.STRATEGY)])))
def test_the_strategy_wins_and_the_host_waits_until_its_turn_is_settled(at, outcomes):
    """It is settled in cycle 3, for cycle 4."""
    bench = Bench(script({0: {"host": intent()}, at: {"strategy": intent()}}))
    assert [(cycle - START, reason, source)
            for cycle, reason, _, source in bench.outcomes] == outcomes


def test_the_host_waits_while_an_intent_waits_for_its_verdict():
    bench = Bench(script({0: {"host": intent(), "any": True}, 30: {"any": False}}))
    assert [cycle - START for cycle, *_ in bench.outcomes] == [32]


def test_an_order_blocks_the_next_cycle_before_the_transmitter_can_say_so():
    found = reasons({0: {"strategy": intent()}, 1: {"strategy": intent()},
                     2: {"strategy": intent()}})
    assert found == [Reason.PASSED, Reason.TX_BUSY, Reason.PASSED]


def test_a_void_intent_is_recorded_and_the_host_waits():
    bench = Bench(script({0: {"host": intent()},
                          4: {"void": (Reason.BAD_FRAME, intent(6))},
                          20: {"void": (Reason.RATE, intent(5))}}))
    assert [(cycle - START, reason, index) for cycle, reason, index, _ in bench.outcomes] == [
        (5, Reason.BAD_FRAME, 6), (7, Reason.PASSED, 3), (21, Reason.RATE, 5)]


def test_a_kill_between_two_ticks():
    """The flag of the cycle of the decision counts: one tick before it, one with it."""
    assert reasons({0: {"strategy": intent()}, 5: {"killed": 1, "strategy": intent()}}) == [
        Reason.PASSED, Reason.KILLED]


@pytest.mark.parametrize("source", ("strategy", "host"))
@pytest.mark.parametrize("at", range(10))
def test_limits_change_as_one_set(at, source):
    """Two sets, each with one reason of its own; a mixture would pass or say something else."""
    large = PERMISSIVE | {"minimum_quantity": 50, "maximum_quantity": 60}
    cheap = PERMISSIVE | {"lowest_price": 100, "highest_price": 200}
    found = reasons({at: {"write": (3, cheap)} | ({source: intent()} if at == 5 else {}),
                     **({5: {source: intent()}} if at != 5 else {})}, limits=large)
    assert found == [Reason.PRICE_BAND if at <= (1 if source == "strategy" else 5)
                     else Reason.SIZE]


def test_disarming_lasts_until_the_limits_are_written_again():
    found = reasons({0: {"disarm": (3, 5)}, 2: {"strategy": intent()}, 5: {"strategy": intent()},
                     8: {"write": (4, PERMISSIVE)}, 10: {"strategy": intent()},
                     13: {"write": (3, PERMISSIVE)}, 17: {"strategy": intent()}})
    assert found == [Reason.RESTRICTED] * 3 + [Reason.PASSED]


def test_the_budget_of_new_orders_and_that_of_cancels():
    bench = Bench(script({
        0: {"rate": (0, {"burst": 2, "period": 0})}, 1: {"rate": (1, {"burst": 1, "period": 0})},
        2: {"strategy": intent()}, 4: {"strategy": intent()}, 6: {"strategy": intent()},
        8: {"strategy": CANCEL}, 10: {"strategy": CANCEL},
        12: {"rate": (0, {"burst": 1, "period": 6})}, 13: {"strategy": intent()},
        20: {"strategy": intent()}, 22: {"strategy": intent()}}))
    assert [reason for _, reason, *_ in bench.outcomes] == [
        Reason.PASSED, Reason.PASSED, Reason.RATE, Reason.PASSED, Reason.RATE,
        Reason.PASSED, Reason.RATE, Reason.PASSED]


@pytest.mark.parametrize("action", tuple(Action))
def test_the_last_token_is_gone_in_the_next_cycle(action):
    """Also the order that takes it blocks the transmitter; but RATE is the lower reason."""
    wanted = {Action.NEW: intent(), Action.CANCEL: CANCEL}[action]
    assert reasons({0: {"rate": (action.value, {"burst": 1, "period": 0})},
                    3: {"strategy": wanted}, 4: {"strategy": wanted}}) == [
        Reason.PASSED, Reason.RATE]


def test_a_budget_that_is_taken_away_beneath_an_order_stays_empty():
    wide = {"rate": (0, {"burst": 5, "period": 0})}
    for at in range(6):
        events = {0: wide, 4: {"strategy": intent()}, 12: {"strategy": intent()}}
        events[2 + at] = events.get(2 + at, {}) | {"rate": (0, {"burst": 0, "period": 0})}
        assert reasons(events)[-1] is Reason.RATE, at


def test_nothing_leaves_after_reset():
    bench = Bench([{"strategy": intent(), "next": 3}, *({} for _ in range(9)), {"host": intent()},
                   *({} for _ in range(9)), {"host": CANCEL}])
    assert [reason for _, reason, *_ in bench.outcomes] == [
        Reason.RESTRICTED, Reason.RESTRICTED, Reason.RATE]


@pytest.mark.parametrize("seed", range(3))
def test_random_lives_equal_the_oracle(seed):
    rng = random.Random(seed)
    cycles = []
    for index in range(8):
        cycles += [{"write": (index, PERMISSIVE)}, {}, {}, {}]
    cycles += [{"rate": (row, {"burst": 9, "period": 5})} for row in range(2)]
    flags = {name: 1 - bad for name, bad in ALL_BAD.items() if name != "host_timeout"}
    index = 0
    while len(cycles) < 900:
        cycle = {}
        for name, good in flags.items():
            if rng.random() < 0.1:
                cycle[name] = good if rng.random() < 0.8 else 1 - good
        if rng.random() < 0.1:
            cycle["host_timeout"] = rng.random() < 0.2
        if rng.random() < 0.1 and not any("write" in before for before in cycles[-4:]):
            cycle["write"] = (rng.randrange(8), PERMISSIVE | {
                "enabled": rng.random() < 0.9, "minimum_quantity": rng.choice((0, 10, 11)),
                "maximum_quantity": rng.choice((9, 10, 2**32 - 1)),
                "lowest_price": rng.choice((0, 1500, 1501)),
                "highest_price": rng.choice((1499, 1500, 2**64 - 1))})
        if rng.random() < 0.02:
            cycle["rate"] = (rng.randrange(2), {"burst": rng.randrange(4),
                                                "period": rng.randrange(9)})
        if rng.random() < 0.03:
            cycle["disarm"] = (rng.choice((None, rng.randrange(8))),
                               rng.choice((None, rng.randrange(8))))
        if rng.random() < 0.2:
            index = cycle["notice"] = rng.randrange(8)
        if rng.random() < 0.1:
            cycle["host"] = intent(rng.randrange(10), action=rng.choice(tuple(Action)),
                                   quantity=rng.choice((0, 10, 2**32 - 1)),
                                   side=rng.choice(tuple(Side)), client_id=rng.getrandbits(64))
        if rng.random() < 0.2:
            wanted = index if rng.random() < 0.8 else rng.randrange(10)
            cycle["strategy"] = intent(
                wanted, action=rng.choice((Action.NEW, Action.NEW, Action.CANCEL)),
                quantity=rng.choice((0, 10, 10, 2**32 - 1)), timestamp=rng.getrandbits(64))
            cycle["next"] = wanted          # as the launch gate does, if it has to wait
            cycles += [cycle, {}, {}, {}, {"next": -1}, {}, {}, {}]
        else:
            cycles.append(cycle)
    bench = Bench(cycles, tail=60)
    assert len({reason for _, reason, *_ in bench.outcomes}) > 10


def test_sizes_that_cannot_be_built():
    with pytest.raises(ValueError, match="RiskGate instruments must be a power of two from 2 to "
                                         "128, not 1"):
        RiskGate(instruments=1)
