# amaranth: UnusedElaboratable=no
"""Two TcpControls and a network that loses, doubles and reorders: all bytes arrive, in order."""

import random

import pytest
from tcp_bench import Channel, run_together
from tcp_engine import Engine
from tickwire.hdl.tcp.connection import CommandKind, Event
from tickwire.hdl.tcp.parameters import TcpParameters

A, B = 0x0a000001, 0x0a000002
TICK = 40                   # cycles
LIMIT = 60_000


def parameters(sessions, least_rto):
    return TcpParameters(sessions=sessions, initial_rto=20, least_rto=least_rto, most_rto=60,
                         two_msl=40, challenge_period=20, isn_period=7)


class Talker:
    """Says bytes on a session by messages or orders, again if they are refused."""

    def __init__(self, engine, session, total, rng):
        self.engine, self.session, self.rng = engine, session, rng
        self.text = rng.randbytes(total)
        self.said = 0           # bytes that were given to the engine
        self.waiting = None     # length of the message that is being decided on
        self.frames = 0
        self.pause = 0

    def sent(self):
        """Bytes that have left, from what the engine sent for the first time."""
        return sum(len(frame["data"]) for frame in self.engine.frames
                   if frame["session"] == self.session and not frame["resend"])

    def talk(self):
        engine = self.engine
        busy = engine.messages or engine.orders or engine.flying or engine.job is not None
        if busy:
            return
        if self.pause:
            self.pause -= 1
            return
        left = self.text[self.sent():]
        if left:
            size = min(len(left), self.rng.choice((1, 64, 300, 900)))
            self.pause = self.rng.randrange(60)
            if self.rng.random() < 0.3:
                engine.orders.append((self.session, left[:size]))
            else:
                engine.say(left[:size], self.session)


def converse(seed, *, sessions=1, total=2500, loss=0.08, double=0.05, fails=0.05, sizes=(5, 60),
             both_open=False, least_rto=6):
    rng = random.Random(seed)
    a = Engine(parameters(sessions, least_rto), seed=seed, tick=TICK, local=A)
    b = Engine(parameters(sessions, least_rto), seed=seed + 1, tick=TICK, local=B)
    a.fails = b.fails = fails
    channels = [Channel(a, b, rng, loss=loss, double=double, delay=sizes),
                Channel(b, a, rng, loss=loss, double=double, delay=sizes)]
    talkers = [Talker(engine, session, total, rng) for engine in (a, b)
               for session in range(sessions)]

    async def script(ctx, cycle):
        async def until(done, what):
            for _ in range(LIMIT):
                await cycle()
                for channel in channels:
                    channel.move()
                if done():
                    return
            raise AssertionError(f"{what}: it does not come")

        for session in range(sessions):
            theirs = {"address": B, "port": 80 + session, "local_port": 5000 + session}
            a.command(CommandKind.OPEN, session, **theirs)
            if both_open:
                b.command(CommandKind.OPEN, session, address=A, port=5000 + session,
                          local_port=80 + session)
            else:
                b.command(CommandKind.LISTEN, session, local_port=80 + session)

        def all_have(engine, event):
            return {session for session, what in engine.events if what == event} \
                == set(range(sessions))

        await until(lambda: all_have(a, Event.ESTABLISHED) and all_have(b, Event.ESTABLISHED),
                    "opening")

        def told(engine, session):
            text = engine.delivered.get(session, b"")
            other = next(talker for talker in talkers
                         if talker.engine is not engine and talker.session == session)
            assert bytes(text) == other.text[:len(text)], "what arrived is not what was said"
            return len(text) == total

        def talk():
            rng.shuffle(talkers)
            for talker in talkers:
                talker.talk()
            return all(told(engine, session) for engine in (a, b) for session in range(sessions))

        await until(talk, "data")
        for session in range(sessions):
            a.command(CommandKind.CLOSE, session)
            if session % 2 or both_open:
                b.command(CommandKind.CLOSE, session)       # both at once

        def closing():
            for session in range(sessions):
                if not (session % 2 or both_open) and not closed[session] \
                        and (session, Event.PEER_CLOSED) in b.events:
                    closed[session] = True
                    b.command(CommandKind.CLOSE, session)
            # the last acknowledgement may be lost, and the other side be gone: then R2 or RST
            over = (Event.CLOSED, Event.RESET, Event.TIMED_OUT)
            return all(any((session, event) in engine.events for event in over)
                       for engine in (a, b) for session in range(sessions))

        closed = [False] * sessions
        await until(closing, "closing")
        for engine in (a, b):
            assert not any(engine.records.values())
            assert all(not bound["valid"] for bound in dict(engine.binds).values())

    run_together([a, b], script)
    return a, b, channels


@pytest.mark.parametrize("seed", [1, 3])
def test_everything_arrives_in_order(seed):
    a, b, channels = converse(seed)
    assert sum(channel.lost for channel in channels) > 3
    assert any(frame["resend"] for frame in a.frames + b.frames)


def test_several_sessions_at_once():
    converse(11, sessions=3, total=900)


def test_without_loss_nothing_is_resent():
    a, b, _ = converse(21, loss=0, double=0, fails=0, sizes=(20, 20), least_rto=40)
    assert not any(frame["resend"] for frame in a.frames + b.frames)


def test_simultaneous_open_and_close_on_a_bad_network():
    converse(31, both_open=True, total=1500)
