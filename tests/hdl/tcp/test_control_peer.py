# amaranth: UnusedElaboratable=no
"""TcpControl and a TCP of plain Python, on a network that loses, doubles and reorders."""

import random

import pytest
from tcp_bench import Channel, run_together
from tcp_engine import MASK, Engine
from tcp_peer import PlainPeer
from tickwire.hdl.tcp.connection import CommandKind, Event, State
from tickwire.hdl.tcp.parameters import TcpParameters

OURS, THEIRS = 0x0a000001, 0x0a000002
LIMIT = 60_000


@pytest.mark.parametrize("seed, asks, iss", [(1, 0, 7000), (2, 1, MASK - 500), (3, 0, MASK)])
def test_a_plain_tcp_and_ours_understand_each_other(seed, asks, iss):
    rng = random.Random(seed)
    engine = Engine(TcpParameters(sessions=2, initial_rto=20, least_rto=10, most_rto=60,
                                  two_msl=30, isn_period=5), seed=seed, tick=40, local=OURS)
    engine.fails = 0.05
    ours, theirs = rng.randbytes(1800), rng.randbytes(1800)
    peer = PlainPeer(rng, theirs, address=THEIRS, iss=iss,
                     end={"mac": 2, "address": OURS, "port": 5000, "local_port": 80})
    channels = [Channel(engine, peer, rng, loss=0.08, double=0.05),
                Channel(peer, engine, rng, loss=0.08, double=0.05)]

    async def script(ctx, cycle):
        async def until(done, what):
            for _ in range(LIMIT):
                await cycle()
                peer.step()
                for channel in channels:
                    channel.move()
                if done():
                    return
            raise AssertionError(f"{what}: it does not come")

        if asks:
            engine.command(CommandKind.LISTEN, local_port=5000)
            await until(lambda: engine.binds, "listening")
            peer.connect()
        else:
            engine.command(CommandKind.OPEN, address=THEIRS, port=80, local_port=5000)
        await until(lambda: engine.events and peer.state == "ESTABLISHED", "opening")

        def talk():
            assert ours.startswith(peer.heard)
            assert theirs.startswith(bytes(engine.delivered.get(0, b"")))
            said = sum(len(frame["data"]) for frame in engine.frames if not frame["resend"])
            idle = not (engine.messages or engine.orders or engine.flying
                        or engine.job is not None)
            if said < len(ours) and idle and rng.random() < 0.05:
                data = ours[said:said + rng.choice((1, 50, 400))]
                if rng.random() < 0.4:
                    engine.orders.append((0, data))
                else:
                    engine.say(data)
            return len(peer.heard) == len(ours) and len(engine.delivered.get(0, b"")) \
                == len(theirs)

        await until(talk, "data")
        if asks:
            peer.closing = True
            await until(lambda: (0, Event.PEER_CLOSED) in engine.events, "their FIN")
            engine.command(CommandKind.CLOSE)
            await until(lambda: peer.peer_closed, "our FIN")
        else:
            engine.command(CommandKind.CLOSE)
            await until(lambda: peer.peer_closed, "our FIN")
            peer.closing = True
        await until(lambda: (0, Event.CLOSED) in engine.events, "the end")
        ctx.set(engine.dut.i_status_session, 0)
        await cycle()
        await cycle()
        assert ctx.get(engine.dut.o_status.state) == State.CLOSED
        assert not any(engine.records.values())

    run_together([engine], script)
    assert sum(channel.lost for channel in channels) > 1
