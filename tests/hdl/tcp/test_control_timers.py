# amaranth: UnusedElaboratable=no
"""TcpControl: retransmission, congestion, probes, keep-alive (RFC 6298, 5681, 6582, 9293 3.8)."""

import pytest
from tcp_bench import Bench, brief
from tcp_engine import QUICK
from tickwire.hdl.tcp.connection import Event, State

SMALL = 100                 # bytes of a segment, so that the congestion window can be seen


def run(script, **values):
    return Bench(QUICK, **values).run(script)


async def says(bench, length, session=0):
    bench.say(bytes(length), session)
    await bench.quiet()
    frame, = bench.taken()
    assert len(frame["data"]) == length
    return frame


async def hears(bench, seq, ack, **values):
    bench.hear(seq, "A", ack=ack, **values)
    await bench.quiet()


async def gaps(bench, ticks):
    """Ticks between the frames of a time; nothing else is sent."""
    found, since = [], 0
    for _ in range(ticks):
        await bench.tick()
        since += 1
        frames = bench.taken()
        if frames:
            assert len(frames) == 1
            found.append((since, *brief(frames)[0][:2]))
            since = 0
    return found


def test_retransmission_backs_off_and_gives_up():
    """RFC 6298, 5.4 to 5.6; R1 and R2 of 3.8.3 (MUST-20, MUST-21)."""
    async def script(bench):
        ours, theirs = await bench.opened()
        await says(bench, 10)
        assert await gaps(bench, 140) == [(after, "PA", ours) for after in (4, 8, 16, 32, 64)]
        assert bench.heard_events() == [Event.SLOW]
        await bench.tick(10)
        assert bench.heard_events() == [Event.TIMED_OUT] and bench.taken() == []
        status = await bench.read()
        assert status["state"] == State.CLOSED and status["retransmissions"] == 5

    run(script, settings={"user_timeout": 150})


def test_back_off_is_limited():
    async def script(bench):
        ours, _ = await bench.opened()
        await says(bench, 10)
        assert [gap for gap, *_ in await gaps(bench, 260)] == [4, 8, 16, 32, 64, 64, 64]

    run(script)


def test_a_round_trip_is_measured():
    """RFC 6298, 2 and 3: in ticks, rounded up."""
    async def script(bench):
        ours, theirs = await bench.opened()         # less than a tick: 1; RTO 3, at least 4
        await says(bench, 10)
        await bench.tick(3)
        await hears(bench, theirs, ours + 10)       # 4: SRTT 1.4, RTTVAR 1.1: 5.9
        await says(bench, 10)
        assert [gap for gap, *_ in await gaps(bench, 7)] == [7]     # parts of a tick are whole

    run(script)


def test_karn_takes_no_sample_of_what_was_resent():
    """MUST-18: and the timeout stays backed off until something new was measured."""
    async def script(bench):
        ours, theirs = await bench.opened()
        await says(bench, 10)
        assert [gap for gap, *_ in await gaps(bench, 4)] == [4]
        await bench.tick(3)
        await hears(bench, theirs, ours + 10)
        await says(bench, 10)               # still doubled
        assert [gap for gap, *_ in await gaps(bench, 8)] == [8]
        await hears(bench, theirs, ours + 20)
        await says(bench, 10)
        await hears(bench, theirs, ours + 30)       # measured: 1 tick
        await says(bench, 10)
        assert [gap for gap, *_ in await gaps(bench, 4)] == [4]

    run(script)


def test_three_duplicates_resend_the_oldest():
    """RFC 5681, 3.2, and RFC 6582: partial acknowledgements go on with the next one."""
    async def script(bench):
        ours, theirs = await bench.opened(mss=SMALL)
        for _ in range(4):
            await says(bench, SMALL)
        await hears(bench, theirs, ours)
        await hears(bench, theirs, ours)
        await hears(bench, theirs, ours, window=8191)       # not one: another window
        bench.hear(theirs, "PA", ack=ours, window=8191, data=b"x")      # nor this: payload
        await bench.quiet()
        assert [frame["data"] for frame in bench.taken()] == [b""]
        theirs += 1
        assert (await bench.read())["usable_window"] == 4 * SMALL
        await hears(bench, theirs, ours, window=8191)       # the third one
        assert brief(bench.taken()) == [("PA", ours, theirs, bytes(SMALL))]
        assert (await bench.read())["usable_window"] == 5 * SMALL       # half, and 3 segments
        await hears(bench, theirs, ours, window=8191)
        assert bench.taken() == []
        assert (await bench.read())["usable_window"] == 6 * SMALL
        await hears(bench, theirs, ours + SMALL, window=8191)           # partial
        assert brief(bench.taken()) == [("PA", ours + SMALL, theirs, bytes(SMALL))]
        await hears(bench, theirs, ours + 4 * SMALL, window=8191)       # all
        assert bench.taken() == []
        status = await bench.read()
        assert status["usable_window"] == 2 * SMALL and status["retransmissions"] == 2

    run(script)


def test_karn_after_a_fast_retransmission():
    async def script(bench):
        ours, theirs = await bench.opened()
        await says(bench, 10)
        for _ in range(3):
            await hears(bench, theirs, ours)
        await bench.tick(3)
        await hears(bench, theirs, ours + 10)       # of which of the two?
        assert len(bench.taken()) == 1
        await says(bench, 10)
        assert [gap for gap, *_ in await gaps(bench, 9)] == [4]

    run(script)


def test_without_r2_it_is_tried_for_ever():
    async def script(bench):
        await bench.opened()
        await says(bench, 10)
        await bench.tick(300)
        assert await bench.state() == State.ESTABLISHED

    run(script, settings={"user_timeout": 0})


def test_slow_start_and_congestion_avoidance():
    """RFC 5681, 3.1: 4 segments at first, one more per acknowledged one up to ssthresh."""
    async def script(bench):
        ours, theirs = await bench.opened(mss=SMALL)
        assert (await bench.read())["usable_window"] == 4 * SMALL
        for count in range(1, 4):
            await says(bench, SMALL)
            ours += SMALL
            await hears(bench, theirs, ours)
            assert (await bench.read())["usable_window"] == (4 + count) * SMALL
        for _ in range(4):
            await says(bench, SMALL)
        await bench.tick(QUICK.initial_rto)
        assert brief(bench.taken()) == [("PA", ours, theirs, bytes(SMALL))]
        assert (await bench.read())["usable_window"] == SMALL           # loss: one segment
        sizes = []
        for _ in range(4):                  # each acknowledgement brings the next record
            ours += SMALL
            await hears(bench, theirs, ours)
            sizes.append((await bench.read())["usable_window"])
        assert sizes == [200, 200, 300, 300]    # ssthresh is 200; then a segment per window
        assert [frame["seq"] for frame in bench.taken()] == [
            ours - SMALL * count for count in (3, 2, 1)]

    run(script)


@pytest.mark.parametrize("window", [0, 99])
def test_small_window_is_probed_without_end(window):
    """3.8.6.1 (MUST-35, MUST-36, MUST-37; SHLD-29, SHLD-30), also when nothing is to be sent."""
    async def script(bench):
        ours, theirs = await bench.opened()
        await hears(bench, theirs, ours, window=window)
        probes = await gaps(bench, 150)
        assert [gap for gap, *_ in probes] == [probes[0][0], 8, 16, 32, 64]
        assert {probe[1:] for probe in probes} == {("A", ours - 1)}     # old: it must be answered
        for _ in range(6):                                              # longer than R2
            await bench.tick(60)
            bench.taken()
            await hears(bench, theirs, ours, window=window)
        assert await bench.state() == State.ESTABLISHED
        await hears(bench, theirs, ours, window=8192)
        bench.taken()
        await bench.tick(70)
        assert bench.taken() == []

    run(script, settings={"user_timeout": 250})


def test_probing_ends_when_nobody_answers():
    async def script(bench):
        ours, theirs = await bench.opened()
        await hears(bench, theirs, ours, window=0)
        await bench.tick(400)
        assert bench.heard_events() == [Event.TIMED_OUT]

    run(script, settings={"user_timeout": 250})


def test_data_before_a_closed_window_does_not_time_out():
    async def script(bench):
        ours, theirs = await bench.opened()
        await says(bench, 10)
        for _ in range(8):
            await bench.tick(60)
            await hears(bench, theirs, ours, window=0)      # it answers, and takes nothing
        assert await bench.state() == State.ESTABLISHED
        assert all(frame["resend"] for frame in bench.taken())

    run(script, settings={"user_timeout": 250})


def test_keep_alive():
    """3.8.4 (MUST-24 to MUST-29, SHLD-12)."""
    async def script(bench):
        ours, theirs = await bench.opened(keep_alive=1)
        await bench.tick(20)
        await hears(bench, theirs, ours)
        assert bench.taken() == []
        await bench.tick(29)
        assert bench.taken() == []
        assert await gaps(bench, 7) == [(1, "A", ours - 1), (5, "A", ours - 1)]
        await hears(bench, theirs, ours)                # one answer is enough
        assert [gap for gap, *_ in await gaps(bench, 40)] == [30, 5, 5]
        assert await bench.state() == State.ESTABLISHED
        await bench.tick(5)
        assert bench.heard_events() == [Event.TIMED_OUT]

    run(script, settings={"keep_alive": 30})


@pytest.mark.parametrize("session, setting", [(0, 30), (1, 0)])
def test_keep_alive_is_off_unless_it_is_asked_for(session, setting):
    async def script(bench):
        await bench.opened(keep_alive=session)
        await bench.tick(100)
        assert bench.taken() == []

    run(script, settings={"keep_alive": setting})


def test_timers_of_sessions_are_their_own():
    async def script(bench):
        first = await bench.opened(0)
        second = await bench.opened(1, port=2)
        await says(bench, 10, 0)
        await bench.tick(2)
        await says(bench, 20, 1)
        await bench.tick(5)
        frames = bench.taken()
        assert [(frame["session"], frame["seq"]) for frame in frames] == [(0, first[0]),
                                                                          (1, second[0])]

    run(script)
