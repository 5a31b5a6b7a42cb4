# amaranth: UnusedElaboratable=no
"""TcpControl: what a segment must be to count (RFC 9293, 3.10.7.1 and 3.10.7.4; RFC 5961)."""

import random

import pytest
from tcp_bench import Bench, brief
from tcp_engine import MASK, QUICK
from tickwire.hdl.tcp.connection import CommandKind, Event, State


def run(script, **values):
    return Bench(QUICK, **values).run(script)


def test_what_belongs_to_no_session_is_reset():
    async def script(bench):
        await bench.opened()
        whole = bench.frames[0]["end"] | {"port": 1}
        for flags, ack, data, answer in (
                ("A", 1234, b"", ("R", 1234, None, b"")),
                ("PA", MASK, b"abc", ("R", MASK, None, b"")),
                ("S", 0, b"", ("RA", 0, 5001, b"")),
                ("SF", 0, b"x", ("RA", 0, 5003, b""))):
            bench.hear(5000, flags, ack=ack, data=data, port=1, matched=0, session=33)
            await bench.quiet()
            answers = bench.taken()
            assert brief(answers) == [answer] and answers[0]["stray"]
            assert answers[0]["window"] == 0 and answers[0]["end"] == whole
        bench.hear(5000, "R", port=1, matched=0)
        bench.hear(5000, "RA", port=1, matched=0)
        await bench.quiet()
        assert bench.taken() == [] and bench.delivered == {}

    run(script)


def test_a_segment_that_was_matched_before_its_row_changed():
    async def script(bench):
        ours, theirs = await bench.opened()
        bench.hear(theirs, "PA", ack=ours, data=b"for somebody else", port=77)
        await bench.quiet()
        bench.hear(theirs, "PA", ack=4, data=b"for nobody", session=1)      # a closed session
        await bench.quiet()
        bench.hear(theirs, "PA", ack=ours, data=b"mine")
        await bench.quiet()
        assert brief(bench.taken()) == [("R", ours, None, b""), ("R", 4, None, b""),
                                        ("A", ours, theirs + 4, b"")]
        assert bench.delivered == {0: b"mine"} and bench.untimely == 2

    run(script)


@pytest.mark.parametrize("irs", [1000, MASK - 40])
def test_reset_must_be_exact(irs):
    """First check: RFC 5961, 3.2."""
    async def script(bench):
        ours, theirs = await bench.opened(irs=irs)
        for seq in (theirs - 1, theirs + 2048, theirs + 70_000, theirs + (1 << 31)):
            bench.hear(seq, "R")
        await bench.quiet()
        assert bench.taken() == []
        for seq in (theirs + 1, theirs + 2047):
            bench.hear(seq, "RA", ack=ours)
            await bench.quiet()
            assert brief(bench.taken()) == [("A", ours, theirs, b"")]
        assert await bench.state() == State.ESTABLISHED
        bench.hear(theirs, "R")
        await bench.quiet()
        assert await bench.state() == State.CLOSED and bench.taken() == []
        assert bench.heard_events() == [Event.RESET] and bench.binds[-1][1]["valid"] == 0
        assert bench.releases[-1][::2] == (0, 1)

    run(script)


def test_reset_is_heard_with_a_window_of_zero():
    """MUST-66"""
    async def script(bench):
        ours, theirs = await bench.opened()
        for at in (0, 1024):
            bench.hear(theirs + at, "PA", ack=ours, data=bytes(1024))
        await bench.quiet()
        assert (await bench.read())["window"] == 0
        bench.taken()
        bench.hear(theirs + 2049, "R")
        await bench.quiet()
        assert await bench.state() == State.ESTABLISHED and bench.taken() == []
        bench.hear(theirs + 2048, "R")
        await bench.quiet()
        assert await bench.state() == State.CLOSED

    run(script, consume=False)


def test_syn_in_a_connection_is_challenged_within_limits():
    """Fourth check: RFC 5961, 4.2; the limit: 7."""
    async def script(bench):
        ours, theirs = await bench.opened()
        await bench.tick(QUICK.challenge_period)
        for number in range(6):
            bench.hear(theirs + 5, "SA" if number % 2 else "S", ack=ours)
            await bench.quiet()
        assert brief(bench.taken()) == [("A", ours, theirs, b"")] * QUICK.challenges
        assert bench.limited == 6 - QUICK.challenges
        await bench.tick(QUICK.challenge_period)
        bench.hear(theirs + 5, "S")
        await bench.quiet()
        assert len(bench.taken()) == 1 and await bench.state() == State.ESTABLISHED

    run(script)


def test_unacceptable_segments_are_acknowledged_and_dropped():
    """First check; table 6 of 3.4."""
    async def script(bench):
        ours, theirs = await bench.opened()
        for seq, data in ((theirs - 4, b"abcd"), (theirs - 1, b""), (theirs + 2048, b"x"),
                          (theirs + 2049, b""), (theirs + (1 << 31), b"")):
            bench.hear(seq, "A", ack=ours, data=data)
            await bench.quiet()
            assert brief(bench.taken()) == [("A", ours, theirs, b"")]
        bench.hear(theirs + 2048, "A", ack=ours)        # at the edge, see Acceptance
        bench.hear(theirs + 2047, "A", ack=ours)
        await bench.quiet()
        assert bench.taken() == [] and bench.delivered == {}

    run(script)


def test_segments_without_ack_are_dropped():
    """Fifth check."""
    async def script(bench):
        ours, theirs = await bench.opened()
        bench.hear(theirs, "P", ack=ours, data=b"abc")
        bench.hear(theirs, "F", ack=ours)
        await bench.quiet()
        assert bench.taken() == [] and bench.delivered == {} and bench.untimely == 1
        assert await bench.state() == State.ESTABLISHED

    run(script)


@pytest.mark.parametrize("away, right", [(1, 0), (0, 1), (-3, 1), (-8192, 1), (-8193, 0),
                                         (1 << 31, 0)])
def test_acknowledgement_must_be_of_what_was_sent(away, right):
    """Fifth check: RFC 5961, 5.2."""
    async def script(bench):
        ours, theirs = await bench.opened()
        bench.hear(theirs, "PA", ack=ours + away, data=b"abc")
        await bench.quiet()
        assert brief(bench.taken()) == [("A", ours, theirs + 3 * right, b"")]
        assert bench.delivered == ({0: b"abc"} if right else {})
        assert (await bench.read())["unacknowledged"] == ours

    run(script)


def test_an_old_window_is_not_taken():
    """SND.WL1 and SND.WL2."""
    async def script(bench):
        ours, theirs = await bench.opened()
        bench.hear(theirs, "PA", ack=ours, data=b"abc", window=100)
        bench.hear(theirs, "PA", ack=ours, data=b"abcdef", window=5)    # begins before
        await bench.quiet()
        status = await bench.read()
        assert (status["peer_window"], status["acknowledgement"]) == (5, theirs + 6)
        bench.hear(theirs + 6, "A", ack=ours, window=60_000)            # MUST-1: not negative
        await bench.quiet()
        assert (await bench.read())["peer_window"] == 60_000
        bench.hear(theirs + 5, "PA", ack=ours, data=b"fg", window=77)   # older than that
        await bench.quiet()
        status = await bench.read()
        assert (status["peer_window"], status["acknowledgement"]) == (60_000, theirs + 7)
        assert bench.delivered == {0: b"abcdefg"}

    run(script)


@pytest.mark.parametrize("irs", [1000, MASK - 700])
def test_payload_is_delivered_once_and_in_order(irs):
    """Seventh step, with every overlap: what is old is cut off, what is early is dropped."""
    text = random.Random(9).randbytes(3000)

    async def script(bench):
        ours, theirs = await bench.opened(irs=irs)
        have, rng = 0, random.Random(irs)
        while have < len(text) - 300:
            begin = max(0, have + rng.choice((-300, -9, -8, -1, 0, 0, 0, 1, 8)))
            data = text[begin:begin + rng.choice((1, 7, 8, 9, 64, 300))]
            bench.hear(theirs + begin, "PA", ack=ours, data=data)
            await bench.quiet()
            if begin <= have:
                have = max(have, begin + len(data))
            answer = bench.taken()          # one at least, and the window may open
            assert answer[0]["flags"] == "A" and answer[-1]["ack"] == theirs + have & MASK
            assert bytes(bench.delivered.get(0, b"")) == text[:have]

    run(script)


def test_what_is_beyond_the_window_is_cut_off():
    async def script(bench):
        ours, theirs = await bench.opened()
        bench.hear(theirs, "A", ack=ours, data=bytes(1400))
        bench.hear(theirs + 1400, "FA", ack=ours, data=bytes(1000))
        await bench.quiet()
        assert len(bench.delivered[0]) == 2048
        status = await bench.read()
        assert (status["window"], status["acknowledgement"]) == (0, theirs + 2048)
        assert status["state"] == State.ESTABLISHED         # its FIN is beyond, too
        assert bench.taken()[-1]["window"] == 0
        bench.hear(theirs + 2048, "A", ack=ours, data=b"x")     # a probe with data
        await bench.quiet()
        assert brief(bench.taken()) == [("A", ours, theirs + 2048, b"")]
        assert len(bench.delivered[0]) == 2048

    run(script, consume=False)


def test_bytes_on_their_way_to_the_host_are_pending():
    """With a FIN in the same segment: never CLOSE-WAIT and nothing pending before they arrived."""
    async def script(bench):
        ours, theirs = await bench.opened()
        assert not (await bench.read())["pending"]
        bench.hear(theirs, "FA", ack=ours, data=bytes(10))
        for _ in range(60):
            status = await bench.read()
            assert status["pending"] == (status["state"] == State.CLOSE_WAIT)
        assert status["pending"]
        bench.consumed.append({"session": 0, "length": 10})
        await bench.quiet()
        assert not (await bench.read())["pending"]

    run(script, consume=False)


def test_the_window_opens_in_large_steps_and_never_shrinks():
    """3.8.6.2.2 (MUST-39), and SHLD-14."""
    async def script(bench):
        ours, theirs = await bench.opened()
        for at in (0, 1000):
            bench.hear(theirs + at, "A", ack=ours, data=bytes(1000))
        await bench.quiet()
        edges = [frame["ack"] + frame["window"] for frame in bench.taken()]
        assert set(edges) == {theirs + 2048}
        for _ in range(3):
            bench.consumed.append({"session": 0, "length": 300})
        await bench.quiet()
        assert bench.taken() == []                          # 900 bytes are no reason
        bench.consumed.append({"session": 0, "length": 124})
        await bench.quiet()
        update, = bench.taken()
        assert (update["flags"], update["ack"], update["window"]) == ("A", theirs + 2000, 1072)
        bench.consumed.append({"session": 0, "length": 4000})   # more than there is
        await bench.quiet()
        assert (await bench.read())["window"] == 1072
        bench.hear(theirs + 2000, "A", ack=ours, data=bytes(900))
        await bench.quiet()
        bench.consumed.append({"session": 0, "length": 100})
        await bench.quiet()
        assert bench.taken()[-1]["window"] == 2048 - 800

    run(script, consume=False)


def test_small_segments_make_smaller_steps():
    async def script(bench):
        ours, theirs = await bench.opened(mss=100)
        bench.hear(theirs, "A", ack=ours, data=bytes(100))
        await bench.quiet()
        bench.taken()
        bench.consumed.append({"session": 0, "length": 99})
        await bench.quiet()
        assert bench.taken() == []
        bench.consumed.append({"session": 0, "length": 1})
        await bench.quiet()
        assert bench.taken()[0]["window"] == 2048

    run(script, consume=False)


def test_delayed_acknowledgement():
    """3.8.6.3: a lone segment waits for the next tick, a second one does not."""
    async def script(bench):
        ours, theirs = await bench.opened()
        bench.hear(theirs, "A", ack=ours, data=bytes(10))
        await bench.quiet()
        assert bench.taken() == []
        await bench.tick()
        assert brief(bench.taken()) == [("A", ours, theirs + 10, b"")]
        bench.hear(theirs + 10, "A", ack=ours, data=bytes(10))
        await bench.quiet()
        bench.hear(theirs + 20, "A", ack=ours, data=bytes(10))
        await bench.quiet()
        assert brief(bench.taken()) == [("A", ours, theirs + 30, b"")]
        bench.hear(theirs + 99, "A", ack=ours, data=bytes(10))      # too early: at once
        await bench.quiet()
        assert brief(bench.taken()) == [("A", ours, theirs + 30, b"")]
        await bench.tick(2)
        assert bench.taken() == []

    run(script, settings={"delayed_ack": 1})


def test_session_of_another_row():
    async def script(bench):
        first = await bench.opened(0, irs=10)
        second = await bench.opened(1, irs=20, port=2)
        bench.hear(second[1], "PA", ack=second[0], data=b"two", session=1, port=2)
        bench.hear(first[1], "PA", ack=first[0], data=b"one")
        await bench.quiet()
        assert bench.delivered == {0: b"one", 1: b"two"}
        bench.command(CommandKind.ABORT, 1)
        await bench.quiet()
        assert await bench.state(0) == State.ESTABLISHED
        assert await bench.state(1) == State.CLOSED

    run(script)
