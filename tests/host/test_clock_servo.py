"""The clock's measurement and its servo, on a crystal of its own and an unsteady bus."""

from itertools import islice, pairwise

import pytest
from oscillator import OscillatorBoard
from tickwire.host.clock import Clock, Pulse
from tickwire.host.errors import BoardError, ClockError, RegisterError
from tickwire.host.registers import Registers, identify
from tickwire.host.servo import Measurement, Servo

LOCKED_AFTER = 8            # measurements, from a clock that was never set
BOUND_NS = 1_000            # true offset from then on, on a bus of 0.6 to 1.4 us
CYCLE_NS = 7
HZ = 156_250_000


def clock_of(board):
    return Clock(Registers(board, identify(board)), identify(board), now=board.now,
                 sleep=board.sleep)


def settled(board, count=12, **options):
    """A clock on this board after so many corrections, and the iterator that goes on."""
    clock = clock_of(board)
    going = clock.discipline(**options)
    for _ in range(count):
        next(going)
    return clock, going


@pytest.mark.parametrize("ppb", [-100_000, -37_500, 0, 100_000])
@pytest.mark.parametrize("seed", range(4))
def test_it_locks_and_stays_within_a_microsecond(ppb, seed):
    board = OscillatorBoard(ppb, seed=seed)
    statuses, offsets = [], []
    for status in islice(clock_of(board).discipline(), 60):
        statuses.append(status)
        offsets.append(board.true_offset_ns)
    assert all(status.locked for status in statuses[LOCKED_AFTER:])
    assert max(map(abs, offsets[LOCKED_AFTER:])) < BOUND_NS
    assert not statuses[3].locked and statuses[-1].steps <= 2
    # In the long run the rate is the crystal's error, the other way round.
    assert statuses[-1].rate_ppb == pytest.approx(-ppb, abs=1_000)


@pytest.mark.parametrize("ppb", [-100_000, 0, 100_000])
def test_time_never_goes_back_once_the_clock_is_set(ppb):
    """Also when the crystal jumps: its clock slews, and is not stepped again."""
    board = OscillatorBoard(ppb, seed=7)
    clock, going = settled(board, 3)
    steps = clock.status().steps
    board.seen.clear()
    assert [status.locked for status in islice(going, 20)][-1]
    board.ppb = 30_000 - ppb
    assert not next(going).locked
    status = [*islice(going, 40)][-1]
    assert all(after >= before for before, after in pairwise(board.seen))
    assert (status.steps, status.locked) == (steps, True)
    assert abs(board.true_offset_ns) < BOUND_NS


def test_a_step_between_measurements_is_exact():
    """An offset is added to the time that it is then, however late the write comes."""
    board = OscillatorBoard(100_000, way_ns=(1_000, 900_000))
    clock = clock_of(board)
    clock.set(board.now())
    before = board.true_offset_ns
    start = board.now()
    clock.step(-5_000)
    assert board.true_offset_ns - before == pytest.approx(
        -5_000 + (board.now() - start) * 1e-4, abs=CYCLE_NS)
    with pytest.raises(RegisterError, match="signed number of 64 bits, not 9223372036854775808"):
        clock.step(1 << 63)


def test_the_true_offset_is_always_within_the_uncertainty():
    board = OscillatorBoard(seed=3, way_ns=(10, 5_000), interrupted=0.3)
    clock = clock_of(board)
    clock.set(board.now() + 12_345)
    true = board.true_offset_ns             # the crystal is right: it stays
    found = [clock.measure(reads=1 + turn % 4) for turn in range(500)]
    assert all(abs(one.offset_ns - true) <= one.uncertainty_ns for one in found)
    assert max(abs(one.offset_ns - true) / one.uncertainty_ns for one in found) > 0.9


def test_the_quickest_of_several_reads_counts():
    board = OscillatorBoard(seed=5, way_ns=(400, 400), interrupted=0.4)
    clock = clock_of(board)
    exact = 400 + CYCLE_NS                  # half of a round trip without interruption
    assert clock.measure(reads=40).uncertainty_ns == exact
    assert max(clock.measure(reads=1).uncertainty_ns for _ in range(20)) > 10 * exact
    with pytest.raises(ClockError, match="with at least 1 read, not 0"):
        clock.measure(reads=0)


@pytest.mark.parametrize("ppb", [-100_000, 12_345])
def test_drift_is_the_crystals_whatever_was_corrected(ppb):
    board = OscillatorBoard(ppb, seed=2)
    clock, going = settled(board, 1)
    assert clock.status().drift_ppb is None
    for status in islice(going, 40):
        assert abs(status.drift_ppb - ppb) <= status.drift_uncertainty_ppb
    assert status.drift_uncertainty_ppb < 100
    clock.step(1_000_000)
    clock.rate_ppb = 50_000
    board.sleep(1)
    clock.measure()
    assert clock.status().drift_ppb == pytest.approx(ppb, abs=100)


def test_an_interrupted_measurement_moves_the_clock_no_more_than_a_usual_one():
    """For once all reads take ten milliseconds, and nearly all of it on the way back."""
    board = OscillatorBoard(20_000, seed=4, interrupted=0)
    clock, going = settled(board, 20)
    before = clock.rate_ppb
    read32 = board.read32

    def late(offset):
        value = read32(offset)
        board.sleep(0.01)
        return value

    board.read32 = late
    status = next(going)
    assert status.uncertainty_ns > 4_000_000
    del board.read32
    assert abs(clock.rate_ppb - before) < BOUND_NS
    for _ in range(3):
        board.sleep(0.3)
        assert abs(board.true_offset_ns) < BOUND_NS


@pytest.mark.parametrize("seed", range(4))
def test_on_a_busy_machine_the_good_measurements_decide(seed):
    """Two of three measurements are some hundred times less certain than the others."""
    board = OscillatorBoard(60_000, seed=seed, interrupted=0.8)
    good, offsets, locked = 0, [], []
    for status in islice(clock_of(board).discipline(), 150):
        good += status.uncertainty_ns < 1_000
        offsets.append(board.true_offset_ns)
        locked.append(status.locked)
    assert 10 < good < 100
    assert max(map(abs, offsets[100:])) < 20 * BOUND_NS
    assert any(locked[100:])


def test_a_drift_that_cannot_be_told_is_not_set():
    """Two uncertain measurements would make any rate of it."""
    servo = Servo(HZ, 0)
    servo.update(Measurement(10**18, 0, 0, 500_000))
    second = Measurement(10**18 + 10**9, 10**18 + 10**9, HZ + HZ // 1000, 600_000)
    assert servo.update(second).rate_ppb == 0
    servo = Servo(HZ, 0)
    servo.update(Measurement(10**18, 0, 0, 50_000))
    second = Measurement(10**18 + 10**9, 10**18 + 10**9, HZ + HZ // 10_000, 40_000)
    assert servo.update(second).rate_ppb == pytest.approx(-100_000, rel=1e-3)


def test_the_rate_is_limited_and_remembers_nothing_of_it():
    board = OscillatorBoard(0, seed=6)
    clock, going = settled(board, 10, max_ppb=50_000)
    board.ppb = 80_000
    for status in islice(going, 30):
        assert abs(status.rate_ppb) <= 50_001
    assert not status.locked and status.offset_ns > 500_000
    board.ppb = 0
    offsets = []
    for status in islice(going, 60):
        offsets.append(board.true_offset_ns)
        if status.locked:
            break
    # Back at once at full rate, and hardly beyond: an integral that had grown would go far.
    assert status.locked and min(offsets) > -20_000


def test_who_comes_after_another_goes_on_without_a_step():
    board = OscillatorBoard(-80_000, seed=8)
    _, going = settled(board, 20)
    going.close()
    board.seen.clear()
    clock, going = settled(board, 4)
    assert clock.status().steps == 0 and clock.status().locked
    assert clock.rate_ppb == pytest.approx(80_000, abs=2_000)
    assert all(after >= before for before, after in pairwise(board.seen))
    going.close()
    assert not clock.status().locked


def test_one_step_of_the_rate():
    board = OscillatorBoard()
    clock = clock_of(board)
    clock.rate_ppb = 0.0364
    assert clock.rate_ppb == pytest.approx(1 / 27_487_790_694 * 1e9, rel=1e-3)


@pytest.mark.parametrize("options, sentence", [
    ({"proportional": 0}, "The clock's servo takes proportional above 0 and up to 1, not 0"),
    ({"integral": 1.5}, "The clock's servo takes integral above 0 and up to 1, not 1.5"),
    ({"max_ppb": -1}, "The clock's servo takes max_ppb above 0 and up to 10000000, not -1"),
])
def test_a_servo_refuses(options, sentence):
    with pytest.raises(ClockError) as error:
        Servo(HZ, 0, **options)
    assert str(error.value) == sentence


def test_a_host_whose_clock_goes_back_is_told():
    servo = Servo(HZ, 0)
    servo.update(Measurement(10**18, 10**18, 0, 100))
    with pytest.raises(ClockError, match="went back by 1.0 s during the discipline: begin again"):
        servo.update(Measurement(10**18 - 10**9, 10**18, 0, 100))


def test_a_pulse_is_the_time_of_its_cycle():
    board = OscillatorBoard()
    with pytest.raises(BoardError, match=r"without .* build it with GatewayConfig\(pps=True\)"):
        clock_of(board).pulse()
    board.poke("PPS_INPUT", 1)
    assert clock_of(board).pulse() == Pulse(0, 0)
    board.poke("PPS_NANOSECONDS", 1_700_000_000_000_000_050)
    board.poke("PPS_COUNT", 9)
    pulse = clock_of(board).pulse()
    assert pulse == Pulse(9, 1_700_000_000_000_000_038)
    assert pulse.offset_ns == 38
    assert Pulse(1, 1_999_999_990).offset_ns == -10
