"""``tickwire clock`` on a simulated card that runs in a process of its own."""

import json
import re
import subprocess
import sys
import time

import pytest
from tickwire.host.gateway import Gateway
from tickwire.host.simulated import SimulatedBoard

TOY = "tickwire.sim.toy_gateway:ToyGateway"
CYCLE_NS = 6.4
SETTLE = 4096               # cycles
YEAR_2020_NS = 1_577_836_800 * 10**9


@pytest.fixture(scope="module")
def card():
    board = SimulatedBoard.start(top=TOY)
    yield board
    board.close()


def until(condition):
    """Wait for something that another process does."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def settle(card):
    """A write lets the card run on for a while, in which its time is slower."""
    settled = card.cycles + SETTLE
    until(lambda: card.cycles > settled)


def command(card, *options, lines):
    """The first lines that it prints; then it is stopped."""
    with subprocess.Popen(
            [sys.executable, "-c", "from tickwire.sim.cli import main; main()", "clock", card.name,
             "--interval", "0.05", *options], stdout=subprocess.PIPE, text=True) as process:
        found = [process.stdout.readline() for _ in range(lines)]
        process.terminate()
    return found


def test_a_clock_that_was_never_set_is_fifty_years_off(card):
    (line,) = command(card, "--once", "--json", lines=1)
    status = json.loads(line)
    assert status["offset_ns"] < -YEAR_2020_NS
    assert status["uncertainty_ns"] > 0
    assert (status["rate_ppb"], status["locked"], status["steps"]) == (0, False, 0)
    # The card's time is the machine's: only what could not be known better may be missing.
    assert abs(status["drift_ppb"]) <= status["drift_uncertainty_ppb"]


def test_discipline_sets_it_and_then_it_can_be_watched(card):
    statuses = [json.loads(line) for line in command(card, "--discipline", "--json", lines=12)]
    assert statuses[0]["offset_ns"] < -YEAR_2020_NS
    assert statuses[0]["steps"] == 1 and statuses[-1]["steps"] <= 2
    assert abs(statuses[-1]["offset_ns"]) < 10**9
    head, line = command(card, "--once", lines=2)
    assert head.split() == ["offset", "drift", "rate", "state"]
    assert re.fullmatch(r" *-?[\d,]+ ± [\d,]+ ns +-?[\d,]+ ± [\d,]+ ppb +-?[\d,.]+ ppb   watched\n",
                        line)


def test_the_card_itself_keeps_the_machines_time(card):
    """What its clock gains or loses is within what two measurements can tell."""
    with Gateway(card) as gateway:
        clock = gateway.clock
        clock.rate_ppb = 0              # not what the test before has left
        settle(card)
        first = clock.measure()
        for _ in range(5):
            clock.rate_ppb = 0
            settle(card)
            found = clock.measure()
            # Time and cycle are of one moment.
            assert abs(found.clock_ns - first.clock_ns
                       - (found.cycle - first.cycle) * CYCLE_NS) <= 2
        last = clock.measure()
        change = last.offset_ns - first.offset_ns
        assert abs(change) <= first.uncertainty_ns + last.uncertainty_ns
