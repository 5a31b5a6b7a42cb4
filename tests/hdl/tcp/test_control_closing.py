# amaranth: UnusedElaboratable=no
"""TcpControl: connections end (RFC 9293, 3.6; figure 5)."""

import pytest
from tcp_bench import Bench, brief
from tcp_engine import MASK, QUICK
from tickwire.hdl.tcp.connection import CommandKind, Event, State


def run(script, **values):
    return Bench(QUICK, **values).run(script)


async def closes(bench, ours, theirs, session=0):
    bench.command(CommandKind.CLOSE, session)
    await bench.quiet()
    assert brief(bench.taken()) == [("FA", ours, theirs, b"")]


async def hears(bench, seq, flags, ack, answer=(), **values):
    bench.hear(seq, flags, ack=ack, **values)
    await bench.quiet()
    assert brief(bench.taken()) == list(answer)


async def is_over(bench, event=Event.CLOSED):
    assert await bench.state() == State.CLOSED
    assert bench.heard_events()[-1] == event and bench.binds[-1][1]["valid"] == 0


def test_active_close():
    """ESTABLISHED, FIN-WAIT-1, FIN-WAIT-2, TIME-WAIT, CLOSED; data of a half-closed connection."""
    async def script(bench):
        ours, theirs = await bench.opened()
        await closes(bench, ours, theirs)
        assert await bench.state() == State.FIN_WAIT_1
        await hears(bench, theirs, "A", ours + 1)
        assert await bench.state() == State.FIN_WAIT_2
        await hears(bench, theirs, "PA", ours + 1, [("A", ours + 1, theirs + 5, b"")],
                    data=b"still")
        assert bench.delivered == {0: b"still"}
        await hears(bench, theirs + 5, "FA", ours + 1, [("A", ours + 1, theirs + 6, b"")])
        assert await bench.state() == State.TIME_WAIT
        assert bench.heard_events() == [Event.PEER_CLOSED]
        await bench.tick(QUICK.two_msl - 5)
        # its FIN comes again: our acknowledgement was lost, and the time begins anew
        await hears(bench, theirs + 5, "FA", ours + 1, [("A", ours + 1, theirs + 6, b"")])
        await bench.tick(QUICK.two_msl - 1)
        assert await bench.state() == State.TIME_WAIT
        await bench.tick()
        await is_over(bench)
        assert bench.releases[-1][::2] == (0, 1)

    run(script)


def test_fin_that_acknowledges_ours():
    """FIN-WAIT-1 to TIME-WAIT in one step, with payload."""
    async def script(bench):
        ours, theirs = await bench.opened()
        await closes(bench, ours, theirs)
        await hears(bench, theirs, "FA", ours + 1, [("A", ours + 1, theirs + 4, b"")], data=b"bye")
        assert await bench.state() == State.TIME_WAIT and bench.delivered == {0: b"bye"}

    run(script)


def test_simultaneous_close():
    """FIN-WAIT-1, CLOSING, TIME-WAIT."""
    async def script(bench):
        ours, theirs = await bench.opened()
        await closes(bench, ours, theirs)
        await hears(bench, theirs, "FA", ours, [("A", ours + 1, theirs + 1, b"")])
        assert await bench.state() == State.CLOSING
        await hears(bench, theirs + 1, "A", ours)           # of nothing new
        assert await bench.state() == State.CLOSING
        await hears(bench, theirs + 1, "A", ours + 1)
        assert await bench.state() == State.TIME_WAIT
        await bench.tick(QUICK.two_msl)
        await is_over(bench)

    run(script)


@pytest.mark.parametrize("irs", [1000, MASK - 1, MASK - 2])
def test_passive_close(irs):
    """CLOSE-WAIT with data of ours, LAST-ACK, CLOSED."""
    async def script(bench):
        ours, theirs = await bench.opened(irs=irs)
        after = theirs + 1 & MASK
        await hears(bench, theirs, "FA", ours, [("A", ours, after, b"")])
        assert await bench.state() == State.CLOSE_WAIT
        assert bench.heard_events() == [Event.PEER_CLOSED]
        await hears(bench, theirs, "FA", ours, [("A", ours, after, b"")])       # again
        assert bench.heard_events() == []
        bench.say(b"more")
        await bench.quiet()
        assert brief(bench.taken()) == [("PA", ours, after, b"more")]
        await closes(bench, ours + 4, after)
        assert await bench.state() == State.LAST_ACK
        await hears(bench, after, "A", ours + 4)            # of the data only
        assert await bench.state() == State.LAST_ACK
        await hears(bench, after, "A", ours + 5)
        await is_over(bench)

    run(script)


def test_fin_that_comes_too_early():
    async def script(bench):
        ours, theirs = await bench.opened()
        await hears(bench, theirs + 3, "FA", ours)
        assert await bench.state() == State.ESTABLISHED
        await hears(bench, theirs + 3, "FA", ours, [("A", ours, theirs, b"")], data=b"d")
        assert await bench.state() == State.ESTABLISHED
        await hears(bench, theirs, "FA", ours, [("A", ours, theirs + 5, b"")], data=b"abcd")
        assert await bench.state() == State.CLOSE_WAIT and bench.delivered == {0: b"abcd"}

    run(script)


def test_lost_fin_is_sent_again_after_the_data_before_it():
    async def script(bench):
        ours, theirs = await bench.opened()
        bench.say(b"data")
        await bench.quiet()
        bench.taken()
        await closes(bench, ours + 4, theirs)
        await bench.tick(QUICK.initial_rto)
        assert brief(bench.taken()) == [("PA", ours, theirs, b"data")]
        await hears(bench, theirs, "A", ours + 4, [("FA", ours + 4, theirs, b"")])
        await bench.tick(2 * QUICK.initial_rto)
        assert brief(bench.taken()) == [("FA", ours + 4, theirs, b"")]
        await hears(bench, theirs, "A", ours + 5)
        assert await bench.state() == State.FIN_WAIT_2

    run(script)


def test_close_before_the_connection_is_established():
    async def script(bench):
        bench.command(CommandKind.OPEN)
        await bench.quiet()
        bench.taken()
        bench.command(CommandKind.CLOSE)                    # SYN-SENT
        await bench.quiet()
        await is_over(bench)
        bench.command(CommandKind.LISTEN)
        bench.command(CommandKind.CLOSE)                    # LISTEN
        await bench.quiet()
        await is_over(bench)
        bench.command(CommandKind.LISTEN)
        await bench.quiet()
        bench.hear(500, "S")
        await bench.quiet()
        syn, = bench.taken()
        bench.command(CommandKind.CLOSE)                    # SYN-RECEIVED
        await bench.quiet()
        assert await bench.state() == State.SYN_RECEIVED and bench.taken() == []
        await hears(bench, 501, "A", syn["seq"] + 1, [("FA", syn["seq"] + 1 & MASK, 501, b"")])
        assert await bench.state() == State.FIN_WAIT_1

    run(script)


def test_abort_sends_a_reset():
    async def script(bench):
        ours, theirs = await bench.opened()
        bench.command(CommandKind.ABORT)
        await bench.quiet()
        assert brief(bench.taken()) == [("R", ours, None, b"")]
        await is_over(bench, Event.ABORTED)
        bench.command(CommandKind.OPEN)
        await bench.quiet()
        bench.taken()
        bench.command(CommandKind.ABORT)                    # SYN-SENT: silently
        await bench.quiet()
        assert bench.taken() == []
        await is_over(bench, Event.ABORTED)
        ours, theirs = await bench.opened()
        await closes(bench, ours, theirs)
        await hears(bench, theirs, "FA", ours, [("A", ours + 1, theirs + 1, b"")])
        bench.command(CommandKind.ABORT)                    # CLOSING: silently
        await bench.quiet()
        assert bench.taken() == []
        await is_over(bench, Event.ABORTED)

    run(script)


@pytest.mark.parametrize("state, event", [
    (State.ESTABLISHED, Event.RESET), (State.CLOSE_WAIT, Event.RESET),
    (State.FIN_WAIT_1, Event.RESET), (State.FIN_WAIT_2, Event.RESET),
    (State.CLOSING, Event.CLOSED), (State.LAST_ACK, Event.CLOSED), (State.TIME_WAIT, Event.CLOSED)])
def test_reset_in_each_state(state, event):
    """Second check of 3.10.7.4."""
    async def script(bench):
        ours, theirs = await bench.opened()
        if state in (State.CLOSE_WAIT, State.LAST_ACK):
            bench.hear(theirs, "FA", ack=ours)
            theirs += 1
        await bench.quiet()
        if state not in (State.ESTABLISHED, State.CLOSE_WAIT):
            bench.command(CommandKind.CLOSE)
        await bench.quiet()
        if state in (State.FIN_WAIT_2, State.TIME_WAIT):
            bench.hear(theirs, "A", ack=ours + 1)
        if state in (State.CLOSING, State.TIME_WAIT):
            bench.hear(theirs, "FA", ack=ours + (state == State.TIME_WAIT))
            theirs += 1
        await bench.quiet()
        assert await bench.state() == state
        bench.taken()
        await hears(bench, theirs, "RA", ours)
        await is_over(bench, event)

    run(script)


def test_a_syn_opens_anew_from_time_wait():
    """MAY-2: with a larger number, and only what was opened by a LISTEN."""
    async def script(bench):
        ours, theirs = await bench.accepted()
        await closes(bench, ours, theirs)
        await hears(bench, theirs, "FA", ours + 1, [("A", ours + 1, theirs + 1, b"")])
        await hears(bench, theirs - 1, "S", 0, [("A", ours + 1, theirs + 1, b"")])     # old
        assert await bench.state() == State.TIME_WAIT
        bench.hear(theirs + 70_000, "S", mss=1460)
        await bench.quiet()
        syn, = bench.taken()
        assert (syn["flags"], syn["ack"]) == ("SA", theirs + 70_001)
        await hears(bench, theirs + 70_001, "A", syn["seq"] + 1)
        assert await bench.state() == State.ESTABLISHED

    run(script)


def test_an_active_time_wait_stays():
    async def script(bench):
        ours, theirs = await bench.opened()
        await closes(bench, ours, theirs)
        await hears(bench, theirs, "FA", ours + 1, [("A", ours + 1, theirs + 1, b"")])
        await hears(bench, theirs + 70_000, "S", 0, [("A", ours + 1, theirs + 1, b"")])
        assert await bench.state() == State.TIME_WAIT

    run(script)


def test_a_row_may_listen_again_by_itself():
    async def script(bench):
        for irs in (1000, 2000):
            if irs == 1000:
                ours, theirs = await bench.accepted(irs=irs, again=1)
            else:
                bench.hear(irs, "S", port=3)
                await bench.quiet()
                syn, = bench.taken()
                ours, theirs = syn["seq"] + 1 & MASK, irs + 1
                await hears(bench, theirs, "A", ours, port=3)
            port = 41000 if irs == 1000 else 3
            await hears(bench, theirs, "FA", ours, [("A", ours, theirs + 1, b"")], port=port)
            await closes(bench, ours, theirs + 1)
            await hears(bench, theirs + 1, "A", ours + 1, port=port)
            assert await bench.state() == State.LISTEN
            assert bench.heard_events()[-1] == Event.CLOSED
        bench.command(CommandKind.CLOSE)
        await bench.quiet()
        await is_over(bench)

    run(script)


def test_closing_again_is_an_error():
    async def script(bench):
        ours, theirs = await bench.opened()
        await closes(bench, ours, theirs)
        bench.command(CommandKind.CLOSE)
        await bench.quiet()
        assert bench.heard_events() == [Event.BAD_COMMAND] and bench.taken() == []
        bench.say(b"too late")
        await bench.quiet()
        assert bench.taken() == [] and bench.refusals[0][1].name == "NO_SESSION"

    run(script)
