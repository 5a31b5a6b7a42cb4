# amaranth: UnusedElaboratable=no
"""TcpControl: connections begin, actively, passively and from both sides (RFC 9293, 3.5)."""

from tcp_bench import MASK, OUR_PORT, PEER, PEER_PORT, Bench, brief
from tickwire.hdl.tcp.connection import CommandKind, Event, State


def test_three_way_handshake():
    async def script(bench):
        ours, theirs = await bench.opened(irs=MASK)     # their numbers wrap
        assert await bench.state() == State.ESTABLISHED
        status = await bench.read()
        assert status["sequence"] == status["unacknowledged"] == ours
        assert status["acknowledgement"] == theirs == 0 and status["peer_window"] == 8192
        assert bench.binds == [(0, {"valid": 1, "listening": 0, "address": PEER,
                                    "port": PEER_PORT, "local_port": OUR_PORT})]

    Bench().run(script)
