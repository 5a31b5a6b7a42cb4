# amaranth: UnusedElaboratable=no
"""TcpControl: connections begin, actively, passively and from both sides (RFC 9293, 3.5)."""

import pytest
from tcp_bench import Bench, brief
from tcp_engine import MASK, OUR_PORT, PEER, PEER_PORT, QUICK
from tickwire.hdl.tcp.connection import CommandKind, Event, State


def run(script, **values):
    return Bench(QUICK, **values).run(script)


async def listening(bench, again=0):
    bench.command(CommandKind.LISTEN, again=again)
    await bench.quiet()
    assert bench.binds.pop() == (0, {"valid": 1, "listening": 1, "address": 0, "port": 0,
                                     "local_port": OUR_PORT})


async def half_open(bench, irs=1000, again=0):
    """SYN-RECEIVED of a passive OPEN; gives the initial sequence number."""
    await listening(bench, again)
    bench.hear(irs, "S", mss=1460)
    await bench.quiet()
    syn, = bench.taken()
    assert (syn["flags"], syn["ack"], syn["mss"]) == ("SA", irs + 1 & MASK, 1460)
    assert await bench.state() == State.SYN_RECEIVED
    return syn["seq"]


async def asking(bench):
    """SYN-SENT; gives the initial sequence number."""
    bench.command(CommandKind.OPEN)
    await bench.quiet()
    syn, = bench.taken()
    assert (syn["flags"], syn["mss"], syn["window"]) == ("S", 1460, 2048)
    assert await bench.state() == State.SYN_SENT
    return syn["seq"]


@pytest.mark.parametrize("irs", [1000, MASK, MASK - 1, 0x7fffffff])
def test_three_way_handshake(irs):
    async def script(bench):
        ours, theirs = await bench.opened(irs=irs)
        status = await bench.read()
        assert status["state"] == State.ESTABLISHED and status["event"] == Event.ESTABLISHED
        assert status["sequence"] == status["unacknowledged"] == ours
        assert status["acknowledgement"] == theirs == irs + 1 & MASK
        assert status["peer_window"] == 8192 and status["window"] == 2048
        assert bench.binds == [(0, {"valid": 1, "listening": 0, "address": PEER,
                                    "port": PEER_PORT, "local_port": OUR_PORT})]
        assert bench.releases[0][::2] == (0, 1)         # nothing of the connection before

    run(script)


def test_passive_open_makes_the_row_exact():
    async def script(bench):
        _, theirs = await bench.accepted(irs=MASK)
        assert theirs == 0 and await bench.state() == State.ESTABLISHED
        assert bench.binds[-1] == (0, {"valid": 1, "listening": 0, "address": PEER,
                                       "port": PEER_PORT, "local_port": OUR_PORT})
        assert bench.frames[0]["end"] == {"mac": 0x020000000002, "address": PEER,
                                          "port": PEER_PORT, "local_port": OUR_PORT}

    run(script)


def test_listen_answers_nothing_but_syn():
    async def script(bench):
        await listening(bench)
        bench.hear(500, "A", ack=77)
        bench.hear(500, "R")
        bench.hear(500, "RA", ack=77)
        bench.hear(500, "F")
        bench.hear(500, "SA", ack=77)
        for address in (0xe0000001, 0xffffffff, 0x7f000001, 5):     # MUST-63
            bench.hear(500, "S", address=address)
        await bench.quiet()
        assert brief(bench.taken()) == [("R", 77, None, b"")] * 2
        assert await bench.state() == State.LISTEN

    run(script)


def test_syn_sent_trusts_only_what_acknowledges_it():
    async def script(bench):
        iss = await asking(bench)
        bench.hear(900, "R")                            # without ACK: dropped
        bench.hear(900, "RA", ack=iss)                  # of something else
        bench.hear(900, "A", ack=iss + 1)               # neither SYN nor RST
        await bench.quiet()
        assert bench.taken() == []
        bench.hear(900, "SA", ack=iss)
        await bench.quiet()
        bench.hear(900, "SA", ack=iss + 2)
        await bench.quiet()
        assert brief(bench.taken()) == [("R", iss, None, b""), ("R", iss + 2 & MASK, None, b"")]
        assert await bench.state() == State.SYN_SENT and bench.heard_events() == []
        bench.hear(900, "RA", ack=iss + 1)
        await bench.quiet()
        assert await bench.state() == State.CLOSED and bench.taken() == []
        assert bench.heard_events() == [Event.REFUSED]
        assert bench.binds[-1][1]["valid"] == 0

    run(script)


def test_simultaneous_open():
    """Figure 8 of 3.5, with the acknowledgement that a SYN-ACK of SYN-RECEIVED gets."""
    async def script(bench):
        iss = await asking(bench)
        bench.hear(300, "S", mss=1000)
        await bench.quiet()
        assert brief(bench.taken()) == [("SA", iss, 301, b"")]
        assert await bench.state() == State.SYN_RECEIVED
        bench.hear(300, "SA", ack=iss + 1)              # not acceptable: acknowledged
        await bench.quiet()
        assert brief(bench.taken()) == [("A", iss + 1 & MASK, 301, b"")]
        bench.hear(301, "A", ack=iss + 1)
        await bench.quiet()
        assert await bench.state() == State.ESTABLISHED and bench.taken() == []
        assert bench.heard_events() == [Event.ESTABLISHED]

    run(script)


@pytest.mark.parametrize("listens", [0, 1])
def test_lost_syn_is_sent_again_with_back_off(listens):
    async def script(bench):
        iss = await half_open(bench) if listens else await asking(bench)
        gaps, since = [], 0
        for _ in range(80):
            await bench.tick()
            since += 1
            for frame in bench.taken():
                assert (frame["seq"], frame["mss"]) == (iss, 1460)
                assert frame["flags"] == ("SA" if listens else "S")
                gaps.append(since)
                since = 0
        assert gaps == [10, 20, 40]                     # RFC 6298, 5.5
        assert bench.heard_events() == [Event.SLOW]     # R1
        status = await bench.read()
        assert status["retransmissions"] == 3 and status["sequence"] == iss + 1 & MASK
        bench.hear(1000 + listens, "A" if listens else "SA", ack=iss + 1, mss=1460)
        await bench.quiet()
        assert await bench.state() == State.ESTABLISHED
        assert (await bench.read())["usable_window"] == 1460    # one segment (RFC 5681, 3.1)
        bench.taken()
        bench.say(b"first")
        await bench.quiet()
        bench.taken()
        ticks = 0
        while not bench.taken():
            await bench.tick()
            ticks += 1
        assert ticks == 30                              # RFC 6298, 5.7

    run(script)


def test_opening_takes_no_longer_than_its_r2():
    async def script(bench):
        await asking(bench)
        await bench.tick(149)
        assert await bench.state() == State.SYN_SENT
        bench.heard_events()
        await bench.tick()
        assert await bench.state() == State.CLOSED
        assert bench.heard_events() == [Event.TIMED_OUT]

    run(script, settings={"syn_timeout": 150})


def test_passive_opening_goes_back_to_listen_when_nobody_answers():
    async def script(bench):
        await half_open(bench)
        await bench.tick(150)
        assert await bench.state() == State.LISTEN
        assert Event.TIMED_OUT not in bench.heard_events()
        assert bench.binds[-1][1]["listening"] == 1

    run(script, settings={"syn_timeout": 150})


def test_syn_received():
    async def script(bench):
        iss = await half_open(bench)
        bench.hear(1000, "S")                           # ours was lost: again
        await bench.quiet()
        assert brief(bench.taken()) == [("SA", iss, 1001, b"")]
        bench.hear(1001, "A", ack=iss)
        await bench.quiet()
        bench.hear(1001, "A", ack=iss + 2)
        await bench.quiet()
        assert brief(bench.taken()) == [("R", iss, None, b""), ("R", iss + 2 & MASK, None, b"")]
        bench.hear(1500, "A", ack=iss + 1)              # in the window: good enough
        await bench.quiet()
        assert await bench.state() == State.ESTABLISHED

    run(script)


@pytest.mark.parametrize("flags", ["R", "S"])
def test_passive_syn_received_remembers_listen(flags):
    """MUST-11; 3.10.7.4, second and fourth."""
    async def script(bench):
        await half_open(bench)
        bench.hear(1001, flags)
        await bench.quiet()
        assert await bench.state() == State.LISTEN
        assert bench.taken() == [] and bench.heard_events() == []
        assert bench.binds[-1][1]["listening"] == 1
        bench.hear(5000, "S", port=9)                   # the next one is served
        await bench.quiet()
        syn, = bench.taken()
        assert (syn["flags"], syn["ack"], syn["end"]["port"]) == ("SA", 5001, 9)

    run(script)


def test_active_syn_received_is_refused():
    async def script(bench):
        await asking(bench)
        bench.hear(300, "S")
        bench.hear(301, "R")
        await bench.quiet()
        assert await bench.state() == State.CLOSED
        assert bench.heard_events() == [Event.REFUSED]

    run(script)


def test_payload_and_fin_with_the_acknowledgement_of_syn():
    async def script(bench):
        iss = await half_open(bench)
        bench.hear(1001, "FPA", ack=iss + 1, data=b"all at once")
        await bench.quiet()
        assert await bench.state() == State.CLOSE_WAIT
        assert bench.heard_events() == [Event.ESTABLISHED, Event.PEER_CLOSED]
        assert bench.delivered == {0: b"all at once"}
        assert brief(bench.taken()) == [("A", iss + 1 & MASK, 1013, b"")]

    run(script)


def test_calls_that_the_state_does_not_allow():
    async def script(bench):
        bad = [Event.BAD_COMMAND]
        for kind in (CommandKind.CLOSE, CommandKind.ABORT):
            bench.command(kind)
            await bench.quiet()
            assert bench.heard_events() == bad
        bench.command(CommandKind.OPEN, 2)              # there are two sessions
        await bench.quiet()
        assert bench.heard_events() == bad
        for address in (0xe0000001, 0xffffffff, 0):     # MUST-46
            bench.command(CommandKind.OPEN, address=address)
            await bench.quiet()
            assert bench.heard_events() == [Event.BAD_ADDRESS]
        assert bench.taken() == [] and bench.binds == []
        await bench.opened()
        for kind in (CommandKind.OPEN, CommandKind.LISTEN):
            bench.command(kind)
            await bench.quiet()
            assert bench.heard_events() == bad
        assert await bench.state() == State.ESTABLISHED

    run(script)


def test_open_turns_a_listener_into_an_active_one():
    async def script(bench):
        await listening(bench)
        await bench.opened()
        assert bench.binds[-1][1]["listening"] == 0

    run(script)


def siphash(key, message):
    """SipHash-2-4 as the paper describes it (section 2)."""
    whole = (1 << 64) - 1

    def rotate(value, by):
        return (value << by | value >> 64 - by) & whole

    def turn(v):
        v[0] = v[0] + v[1] & whole
        v[2] = v[2] + v[3] & whole
        v[1], v[3] = rotate(v[1], 13) ^ v[0], rotate(v[3], 16) ^ v[2]
        v[0] = rotate(v[0], 32)
        v[2] = v[2] + v[1] & whole
        v[0] = v[0] + v[3] & whole
        v[1], v[3] = rotate(v[1], 17) ^ v[2], rotate(v[3], 21) ^ v[0]
        v[2] = rotate(v[2], 32)

    keys = [int.from_bytes(key[at:at + 8], "little") for at in (0, 8)] * 2
    v = [half ^ constant for half, constant in zip(keys, (
        int.from_bytes(b"somepseudorandomlygeneratedbytes"[at:at + 8], "big")
        for at in range(0, 32, 8)), strict=True)]
    padded = message + bytes(-(len(message) + 1) % 8) + bytes([len(message)])
    for at in range(0, len(padded), 8):
        word = int.from_bytes(padded[at:at + 8], "little")
        v[3] ^= word
        turn(v), turn(v)
        v[0] ^= word
    v[2] ^= 0xff
    for _ in range(4):
        turn(v)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def test_initial_sequence_numbers_are_of_rfc_6528():
    async def script(bench):
        assert siphash(bytes(range(16)), bytes(range(15))) == 0xa129ca6149be45e5    # the paper's
        seen = []
        for session, port in ((0, PEER_PORT), (1, PEER_PORT + 1)):
            begin = bench.cycles // QUICK.isn_period
            bench.command(CommandKind.OPEN, session, port=port)
            await bench.quiet()
            syn, = bench.taken()
            secret = bench.settings["secret"].to_bytes(16, "little")
            hashed = siphash(secret, b"".join((
                bench.settings["address"].to_bytes(4, "little"), OUR_PORT.to_bytes(2, "little"),
                PEER.to_bytes(4, "little"), port.to_bytes(2, "little"))))
            clock = syn["seq"] - hashed & MASK
            assert begin <= clock <= bench.cycles // QUICK.isn_period
            seen.append(clock)
        assert seen[1] > seen[0]                        # MUST-8: it goes with the clock

    run(script)
