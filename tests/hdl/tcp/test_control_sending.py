# amaranth: UnusedElaboratable=no
"""TcpControl: messages and orders, a transmitter that is blocked or fails, and exact latencies."""

import random

import pytest
from tcp_bench import Bench, brief
from tcp_engine import QUICK
from tickwire.hdl.tcp.connection import CommandKind, RefusalReason, State
from tickwire.hdl.tcp.control import TcpControl
from tickwire.hdl.tcp.parameters import TcpParameters


def run(script, **values):
    return Bench(values.pop("parameters", QUICK), **values).run(script)


def test_messages_leave_or_are_refused():
    async def script(bench):
        bench.say(b"too early")
        bench.say(b"no such session", 7)
        await bench.quiet()
        assert bench.refusals == [(0, RefusalReason.NO_SESSION), (7, RefusalReason.NO_SESSION)]
        ours, theirs = await bench.opened(mss=1000, window=2500)
        bench.refusals.clear()
        bench.say(bytes(1001))
        bench.say(bytes(1000))
        bench.say(bytes(1000))
        bench.say(bytes(501))           # window
        bench.say(bytes(500))           # buffer
        bench.say(bytes(48))
        await bench.quiet()
        frames = bench.taken()
        assert [(frame["flags"], frame["seq"] - ours, len(frame["data"])) for frame in frames] == [
            ("PA", 0, 1000), ("PA", 1000, 1000), ("PA", 2000, 48)]
        assert bench.refusals == [(0, RefusalReason.TOO_LONG), (0, RefusalReason.NO_WINDOW),
                                  (0, RefusalReason.NO_ROOM)]
        bench.hear(theirs, "A", ack=ours + 1500)        # in the middle of a record
        await bench.quiet()
        assert [len(data) for _, data in bench.records[0]] == [1000, 48]

    run(script)


def test_mss_below_everything_is_not_believed():
    async def script(bench):
        await bench.opened(mss=1)
        bench.say(bytes(48))
        bench.say(bytes(49))
        await bench.quiet()
        assert len(bench.taken()) == 1
        assert bench.refusals == [(0, RefusalReason.TOO_LONG)]

    run(script)


def test_the_peer_shrinks_its_window():
    """MUST-34, SHLD-15 and SHLD-16."""
    async def script(bench):
        ours, theirs = await bench.opened()
        bench.say(bytes(1000))
        await bench.quiet()
        bench.hear(theirs, "A", ack=ours, window=400)
        await bench.quiet()
        bench.say(b"x")
        await bench.quiet()
        assert bench.refusals == [(0, RefusalReason.NO_WINDOW)] and len(bench.taken()) == 1
        order = bench.ctx.get(bench.dut.o_order)
        assert (order.peer_window, order.sequence - order.unacknowledged) == (400, 1000)
        await bench.tick(4)
        assert brief(bench.taken()) == [("PA", ours, theirs, bytes(1000))]

    run(script)


def test_orders_and_jobs_advance_together():
    """Each commit shows after one cycle, also two in one cycle; others than the next byte's do
    not count."""
    async def script(bench):
        first, second = await bench.opened(0), await bench.opened(1, port=2)
        ctx, dut = bench.ctx, bench.dut
        rng = random.Random(4)
        following = [first[0], second[0]]
        for _ in range(60):
            sessions = rng.sample((0, 1), 2)
            for door, session in zip((dut.i_commit, dut.i_order_commit), sessions, strict=True):
                length, wrong = rng.choice((0, 1, 20)), rng.random() < 0.2
                valid = rng.random() < 0.7
                ctx.set(door.valid, valid)
                ctx.set(door.payload, {"session": session, "length": length,
                                       "sequence": following[session] ^ (wrong << 7)})
                if valid and not wrong:
                    following[session] += length
            ctx.set(dut.i_order_session, sessions[0])
            ctx.set(dut.i_view_session, sessions[1])
            await ctx.tick()
            assert ctx.get(dut.o_order.sequence) == following[sessions[0]]
            assert ctx.get(dut.o_view.sequence) == following[sessions[1]]
            assert ctx.get(dut.o_order.open)
            ctx.set(dut.i_commit.valid, 0)
            ctx.set(dut.i_order_commit.valid, 0)

    run(script)


def test_the_order_door_closes_with_the_session():
    async def script(bench):
        ours, theirs = await bench.opened()
        bench.orders.append((0, b"buy"))
        await bench.quiet()
        assert brief(bench.taken()) == [("PA", ours, theirs, b"buy")]
        order = bench.ctx.get(bench.dut.o_order)
        assert (order.open, order.sequence, order.unacknowledged, order.largest) == (
            1, ours + 3, ours, 1460)
        assert (order.acknowledgement, order.window) == (theirs, 2048)
        bench.hear(theirs, "FA", ack=ours + 3)
        await bench.quiet()
        assert not bench.ctx.get(bench.dut.o_order.open)

    run(script)


def test_frames_that_fail_are_sent_again():
    async def script(bench):
        bench.fails = 0.6
        ours, theirs = await bench.opened()
        bench.say(b"message")
        bench.hear(theirs, "A", ack=ours, data=b"abc")
        await bench.quiet()
        assert sorted(brief(bench.taken()))[-1] == ("PA", ours, theirs + 3, b"message")
        bench.command(CommandKind.CLOSE)
        await bench.quiet()
        assert brief(bench.taken()) == [("FA", ours + 7, theirs + 3, b"")]
        bench.command(CommandKind.ABORT)
        await bench.quiet()
        assert brief(bench.taken()) == [("R", ours + 8, None, b"")]

    run(script, seed=5)


def test_a_blocked_transmitter_stops_nothing_else():
    """Segments, payload, commands and timers go on; one acknowledgement says it all at the end."""
    async def script(bench):
        ours, theirs = await bench.opened()
        bench.blocked = True
        bench.log.clear()
        for number in range(40):
            bench.hear(theirs + 30 * number, "PA", ack=ours, data=bytes([number]) * 30)
            if number % 4 == 0:
                bench.hear(theirs + 99, "PA", ack=ours, data=bytes(5), port=99)     # stray
        for _ in range(4000):
            await bench.cycle()
        assert not bench.arriving and bench.sent == []
        assert bench.delivered[0] == b"".join(bytes([number]) * 30 for number in range(40))
        bench.command(CommandKind.OPEN, 1, port=2)
        bench.ticks_wanted = 30
        for _ in range(600):
            await bench.cycle()
        assert await bench.state(1) == State.SYN_SENT
        bench.blocked = False
        await bench.quiet()
        frames = bench.taken()
        assert sorted(frame["flags"] for frame in frames) == ["A", "R", "S"]
        acks = [frame for frame in frames if frame["flags"] == "A"]
        assert acks[0]["ack"] == theirs + 1200
        assert bench.limited == 9           # one reset waited, the others were counted

    run(script)


def test_a_flood_of_segments_stops_neither_the_clock_nor_the_host():
    async def script(bench):
        ours, theirs = await bench.opened()
        bench.say(b"lost")
        await bench.quiet()
        bench.taken()
        for _ in range(300):
            bench.hear(theirs, "A", ack=ours - 1)
        bench.command(CommandKind.OPEN, 1, port=2)
        for _ in range(60):
            bench.ticks_wanted = 1
            await bench.cycle(20)
        assert bench.arriving                           # it still goes on
        assert {frame["flags"] for frame in bench.taken()} == {"S", "PA"}

    run(script, eager=True)


def test_a_session_is_opened_anew_only_when_its_last_frame_is_gone():
    async def script(bench):
        ours, theirs = await bench.opened()
        bench.blocked = True
        bench.command(CommandKind.ABORT)
        bench.command(CommandKind.OPEN, port=5)
        for _ in range(300):
            await bench.cycle()
        assert await bench.state() == State.CLOSED and len(bench.commands) == 1
        bench.blocked = False
        await bench.quiet()
        reset, syn = bench.taken()
        assert (reset["flags"], reset["seq"], reset["end"]["port"]) == ("R", ours, 41000)
        assert (syn["flags"], syn["end"]["port"]) == ("S", 5)

    run(script)


def test_sessions_take_turns():
    """A session that always has something to acknowledge does not keep the others from it."""
    async def script(bench):
        four = [await bench.opened(session, port=session + 1) for session in range(4)]
        bench.blocked = True
        for session in (2, 0, 3, 1):
            ours, theirs = four[session]
            bench.hear(theirs, "A", ack=ours, data=b"x", session=session, port=session + 1)
        for _ in range(200):
            await bench.cycle()
        bench.blocked = False
        ours, theirs = four[2]
        for count in range(len(bench.frames) + 1, len(bench.frames) + 5):
            while len(bench.frames) < count:
                await bench.cycle()
            bench.hear(theirs + 5, "A", ack=ours, data=b"x", session=2, port=3)
        assert sorted(frame["session"] for frame in bench.frames[-4:]) == [0, 1, 2, 3]

    run(script, parameters=TcpParameters(sessions=4))


def test_a_message_waits_for_one_acknowledgement_at_most():
    async def script(bench):
        four = [await bench.opened(session, port=session + 1) for session in range(4)]
        bench.blocked = True
        for session, (ours, theirs) in enumerate(four):
            bench.hear(theirs, "A", ack=ours, data=b"x", session=session, port=session + 1)
        for _ in range(200):
            await bench.cycle()
        bench.say(b"message", 3)
        await bench.cycle()
        bench.blocked = False
        await bench.quiet()
        assert [frame["data"] for frame in bench.taken()][:2] == [b"", b"message"]

    run(script, parameters=TcpParameters(sessions=4))


# Latencies. `eager` models never pause.

def between(bench, first, last):
    """Cycles from the last event of one name to the first later one of another."""
    begin = [cycle for cycle, name in bench.log if name == first][-1]
    return next(cycle for cycle, name in bench.log if name == last and cycle > begin) - begin


def test_latency_of_acknowledgements_and_payload():
    async def script(bench):
        ours, theirs = await bench.opened()
        have = 0
        for skip, length in ((0, 5), (0, 100), (8, 20), (3, 20), (3, 4), (17, 40)):
            skip = min(skip, have)
            bench.log.clear()
            bench.hear(theirs + have - skip, "A", ack=ours, data=bytes(length))
            await bench.quiet()
            have += length - skip
            assert between(bench, "segment", "job") == 9
            moved = skip % 8 and skip % 8 + length - skip > 8
            assert between(bench, "segment", "data") == 8 + skip // 8 + bool(moved)

    run(script, eager=True)


def test_latency_of_opening_and_resets():
    async def script(bench):
        bench.command(CommandKind.OPEN)
        await bench.quiet()
        assert between(bench, "command", "job") == 26
        bench.command(CommandKind.LISTEN, 1)
        await bench.quiet()
        bench.log.clear()
        bench.hear(4, "S", session=1)
        await bench.quiet()
        assert between(bench, "segment", "job") == 26
        bench.log.clear()
        bench.hear(4, "A", matched=0)
        await bench.quiet()
        assert between(bench, "segment", "job") == 9

    run(script, eager=True)


def test_latency_between_segments():
    async def script(bench):
        ours, theirs = await bench.opened()
        bench.log.clear()
        for _ in range(6):
            bench.hear(theirs, "A", ack=ours)
        await bench.quiet()
        cycles = [cycle for cycle, name in bench.log if name == "segment"]
        assert [after - before for before, after in zip(cycles, cycles[1:], strict=False)] \
            == [6] * 5

    run(script, eager=True)


def test_latency_of_messages():
    async def script(bench):
        ours, theirs = await bench.opened()
        for length, name, cycles in ((10, "job", 3), (1461, "discard", 2)):
            bench.log.clear()
            bench.say(bytes(length))
            begin = bench.cycles + 1
            await bench.quiet()
            assert next(cycle for cycle, what in bench.log if what == name) - begin == cycles

    run(script, eager=True)


@pytest.mark.parametrize("name, value, bounds", [
    ("sessions", 0, "1 to 64"), ("sessions", 65, "1 to 64"), ("receive_buffer", 4096, "64 to 4095"),
    ("two_msl", 1 << 23, "1 to 8388607"), ("isn_period", 0, "1 to 65535"),
    ("largest_message", 1461, "1 to 1460")])
def test_parameters(name, value, bounds):
    with pytest.raises(ValueError, match=f"^TcpParameters {name} must be from {bounds}, not "
                                         f"{value}$"):
        TcpControl(TcpParameters(**{name: value}))


def test_parameters_that_contradict_each_other():
    with pytest.raises(ValueError, match="^TcpParameters least_rto must not be above most_rto, but "
                                         "1000 is above 999$"):
        TcpParameters(most_rto=999)
