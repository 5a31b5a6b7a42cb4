# amaranth: UnusedElaboratable=no
"""SoupBinTCP behind its framer: logins, numbers, heartbeats, silence; packets of other people."""

import random
import re
import shutil
import subprocess

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator
from nasdaq_protocols import soup as oracle
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether
from scapy.utils import wrpcap
from stream_bench import beat, chunks_of, garbage, real, soup
from tickwire.hdl.entry.framer import MessageFramer
from tickwire.hdl.entry.soup_session import SoupEvent, SoupSession, SoupState
from tickwire.hdl.stream.packet import packet_stream
from tickwire.hdl.wire.framing import SOUPBINTCP_FRAMING


class Line(wiring.Component):
    """Framer and session, as they belong together."""

    def __init__(self):
        self.framer, self.session = MessageFramer(SOUPBINTCP_FRAMING), SoupSession()
        super().__init__({"i": In(packet_stream(8)), "i_reset": In(1), "o": Out(packet_stream(8))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.framer, m.submodules.session = framer, session = self.framer, self.session
        wiring.connect(m, wiring.flipped(self.i), framer.i)
        wiring.connect(m, wiring.flipped(self.o), session.o)
        wiring.connect(m, framer.o, session.i)
        m.d.comb += [framer.i_hold.eq(session.o_hold), session.i_lost.eq(framer.o_lost),
                     framer.i_reset.eq(self.i_reset), session.i_reset.eq(self.i_reset)]
        return m


def accepted(sequence):
    """As the specification has it: spaces on the left; the oracle writes them on the right."""
    return soup("A", b"SESSION".rjust(10) + str(sequence).encode().rjust(20))


class Bench:
    def __init__(self, ctx, line):
        self.ctx, self.line, self.session, self.cycle = ctx, line, line.session, 0
        self.rng = random.Random(1)
        self.events, self.sent, self.last_taken = [], [], None
        self.numbers = []           # o_next in the last beat of each sequenced message

    async def tick(self, count=1):
        ctx, session = self.ctx, self.session
        for _ in range(count):
            if ctx.get(session.i.valid) and ctx.get(session.i.payload.last):
                self.last_taken = self.cycle
                self.numbers.append(ctx.get(session.o_next))
            strobes = ctx.get(session.o_event)
            assert strobes & strobes - 1 == 0
            if strobes:
                self.events.append((self.cycle, SoupEvent(strobes.bit_length() - 1).name))
            if ctx.get(self.line.o.valid) and ctx.get(self.line.o.ready):
                payload = ctx.get(self.line.o.payload)
                assert payload.first and payload.last and not payload.begin
                self.sent.append((self.cycle, int(payload.data).to_bytes(8, "little")[
                    :payload.end]))
            await ctx.tick()
            self.cycle += 1

    async def receive(self, stream, offer=1.0, rest=50):
        ctx = self.ctx
        for octets, first, last in chunks_of(stream, self.rng):
            while self.rng.random() >= offer:
                ctx.set(self.line.i.payload, garbage(self.rng))
                await self.tick()
            ctx.set(self.line.i.payload, beat(octets, first, last, self.rng))
            ctx.set(self.line.i.valid, 1)
            while not ctx.get(self.line.i.ready):
                await self.tick()
            await self.tick()
            ctx.set(self.line.i.valid, 0)
        await self.tick(rest)

    async def strobe(self, port):
        self.ctx.set(port, 1)
        await self.tick()
        self.ctx.set(port, 0)

    def names(self):
        found = [name for _, name in self.events]
        self.events.clear()
        return found

    def state(self):
        return self.ctx.get(self.session.o_state)


def run(test):
    line = Line()

    async def bench(ctx):
        await test(Bench(ctx, line))

    simulator = Simulator(line)
    simulator.add_clock(6.4e-9)
    simulator.add_testbench(bench)
    simulator.run()


def test_a_login_and_what_comes_at_once():
    """Messages in the same segment as Login Accepted have the right numbers."""
    mask = (1 << 64) - 1

    async def test(bench):
        for sequence in (1, 42, 1 << 32, 12345678901234567890, mask):
            messages = [soup("S", bench.rng.randbytes(size)) for size in (1, 5, 74, 0, 30)]
            bench.numbers.clear()
            await bench.receive(accepted(sequence) + b"".join(messages) + soup("H"), rest=60)
            assert bench.names() == ["ACCEPTED", *["SEQUENCED"] * 5, "HEARTBEAT"]
            assert bench.numbers[1:6] == [sequence + n & mask for n in range(5)]
            assert bench.ctx.get(bench.session.o_next) == sequence + 5 & mask
            assert bench.state() == SoupState.IN
            await bench.strobe(bench.line.i_reset)

    run(test)


def test_packets_of_the_oracle_and_real_ones():
    async def test(bench):
        stream = b"".join(one.to_bytes()[1] for one in (
            oracle.Debug("hello"), oracle.LoginAccepted("A", 9), oracle.SequencedData(b"x" * 9),
            oracle.ServerHeartbeat(), oracle.UnSequencedData(b"yy")))
        stream += real("OrderAcceptedMessage") + real("ServerHeartbeatPacket")
        stream += oracle.EndOfSession().to_bytes()[1]
        await bench.receive(stream)
        assert bench.names() == ["DEBUG", "ACCEPTED", "SEQUENCED", "HEARTBEAT", "UNSEQUENCED",
                                 "SEQUENCED", "HEARTBEAT", "END"]
        assert bench.ctx.get(bench.session.o_next) == 11
        assert bench.state() == SoupState.ENDED

    run(test)


def test_a_login_that_is_rejected():
    async def test(bench):
        reason = oracle.LoginRejectReason.NOT_AUTHORIZED
        await bench.receive(oracle.LoginRejected(reason).to_bytes()[1])
        assert bench.names() == ["REJECTED"] and bench.state() == SoupState.REJECTED
        assert bench.ctx.get(bench.session.o_reason) == ord("A")
        await bench.receive(accepted(5))
        assert bench.names() == ["IMPROPER"] and bench.state() == SoupState.REJECTED
        await bench.strobe(bench.line.i_reset)
        assert bench.state() == SoupState.OUT
        await bench.receive(accepted(5) + soup("S"))
        assert bench.names() == ["ACCEPTED", "SEQUENCED"]

    run(test)


IMPROPER = {
    "digits": soup("A", b"S" * 10 + b"1x".rjust(20)),
    "a space behind a digit": soup("A", b"S" * 10 + b"1 2".rjust(20)),
    "no number": soup("A", b"S" * 10 + b" " * 20),
    "colon": soup("A", b"S" * 10 + b":".rjust(20)),
    "too short": soup("A", b"S" * 29),
    "too long": soup("A", b"S" * 10 + b"1".rjust(20) + b" "),
    "much too long": soup("A", b"S" * 10 + b"1".rjust(20) + b" " * 64),
    "empty": soup("A"),
    "rejected too short": soup("J"),
    "rejected too long": soup("J", b"AA"),
    "rejected, a beat too long": soup("J", b"A" * 9),
    "sequenced before the login": soup("S", b"x"),
    "type": soup("?"),
    "client's type": soup("L", bytes(46)),
}


def test_improper_packets():
    async def test(bench):
        for name, packet in IMPROPER.items():
            await bench.receive(packet + soup("H"))
            assert bench.names() == ["IMPROPER", "HEARTBEAT"], name
            assert bench.state() == SoupState.OUT
            await bench.receive(accepted(3))
            assert bench.names() == ["ACCEPTED"] and bench.ctx.get(bench.session.o_next) == 3
            await bench.strobe(bench.line.i_reset)

    run(test)


def test_latency():
    async def test(bench):
        for stream, cycles in ((soup("H"), 1), (accepted(7), 41), (soup("S", b"x" * 30), 1)):
            await bench.receive(stream, rest=60)
            assert bench.events.pop()[0] == bench.last_taken + cycles
        assert not bench.events[2:]
        before = bench.ctx.get(bench.session.o_next)
        await bench.receive(soup("S"), rest=3)      # now the framer shows it
        assert bench.ctx.get(bench.session.i.valid)
        assert bench.ctx.get(bench.session.o_next) == before
        await bench.tick()
        assert bench.ctx.get(bench.session.o_next) == before + 1

    run(test)


def test_random_streams():
    rng = random.Random(6)
    kinds = {"S": "SEQUENCED", "H": "HEARTBEAT", "U": "UNSEQUENCED", "+": "DEBUG", "?": "IMPROPER"}

    async def test(bench):
        picked = [rng.choice("SSSHU+?") for _ in range(150)]
        stream = b"".join(soup(kind, rng.randbytes(rng.choice((0, 1, 5, 6, rng.randrange(90)))))
                          for kind in picked)
        await bench.receive(accepted(100) + stream, offer=0.7, rest=300)
        assert bench.names() == ["ACCEPTED", *(kinds[kind] for kind in picked)]
        assert bench.ctx.get(bench.session.o_next) == 100 + picked.count("S")

    run(test)


def dissect(packets, path):
    """Types, and sequence numbers where there are some, as tshark finds them in TCP segments."""
    frames, at = [], 1
    for segment in packets:
        frames.append(Ether() / IP(src="10.0.0.1", dst="10.0.0.2")
                      / TCP(sport=8003, dport=9, seq=at, flags="PA") / segment)
        at += len(segment)
    wrpcap(str(path), frames)
    text = subprocess.run(
        ["tshark", "-r", str(path), "-d", "tcp.port==8003,soupbintcp", "-V", "-O", "soupbintcp"],
        check=True, capture_output=True, text=True, timeout=60).stdout
    assert "Malformed" not in text
    return [(kind, number and int(number)) for kind, number in re.findall(
        r"Packet Type: [^\n]*\('(.)'\)(?:\n *Sequence number: (\d+) \(Calculated\))?", text)]


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_numbers_and_heartbeats_as_tshark_sees_them(tmp_path):
    rng = random.Random(8)
    picked = [rng.choice("SSSHU+") for _ in range(60)]
    packets = [accepted(1234), *(
        soup(kind, b"" if kind == "H" else rng.randbytes(rng.randrange(1, 60))) for kind in picked)]

    async def test(bench):
        bench.ctx.set(bench.session.i_heartbeat, 1)
        bench.ctx.set(bench.line.o.ready, 1)
        await bench.receive(b"".join(packets), rest=200)
        await bench.strobe(bench.session.i_tick)
        await bench.tick(4)
        dissected = dissect([*packets, bench.sent[0][1]], tmp_path / "soup.pcap")
        assert [kind for kind, _ in dissected] == ["A", *picked, "R"]
        ours = [number for number, (_, name) in zip(bench.numbers, bench.events, strict=True)
                if name == "SEQUENCED"]
        assert ours == [number for kind, number in dissected if kind == "S"]
        assert bench.ctx.get(bench.session.o_next) == 1234 + picked.count("S")

    run(test)


def test_heartbeats_without_a_host():
    async def test(bench):
        ctx, session = bench.ctx, bench.session
        ctx.set(session.i_heartbeat, 3)
        ctx.set(bench.line.o.ready, 1)
        for _ in range(10):                         # no login, no heartbeat
            await bench.strobe(session.i_tick)
        assert not bench.sent
        await bench.receive(accepted(1))
        for expected in (0, 0, 1, 1, 1, 2):
            tick = bench.cycle
            await bench.strobe(session.i_tick)
            await bench.tick(5)
            assert len(bench.sent) == expected
        assert bench.sent[-1] == (tick + 2, oracle.ClientHeartbeat().to_bytes()[1])
        # What else is sent puts it off.
        for _ in range(9):
            await bench.strobe(session.i_tick)
            await bench.strobe(session.i_tick)
            await bench.strobe(session.i_sent)
        assert len(bench.sent) == 2
        # One that waits is not asked for again.
        ctx.set(bench.line.o.ready, 0)
        for _ in range(9):
            await bench.strobe(session.i_tick)
        assert ctx.get(bench.line.o.valid)
        ctx.set(bench.line.o.ready, 1)
        await bench.tick(9)
        assert len(bench.sent) == 3
        await bench.receive(soup("Z"))
        for _ in range(9):
            await bench.strobe(session.i_tick)
        assert len(bench.sent) == 3

    run(test)


def test_a_silent_server():
    async def test(bench):
        ctx, session = bench.ctx, bench.session
        ctx.set(session.i_silence, 4)
        await bench.receive(accepted(1))
        for _ in range(3):
            await bench.strobe(session.i_tick)
        await bench.tick(9)
        assert not ctx.get(session.o_silent)
        await bench.strobe(session.i_tick)
        assert ctx.get(session.o_silent)
        await bench.receive(soup("H"), rest=4)
        assert not ctx.get(session.o_silent)
        ctx.set(session.i_silence, 0)
        for _ in range(70):
            await bench.strobe(session.i_tick)
        assert not ctx.get(session.o_silent)

    run(test)


def test_lost_framing_is_a_state():
    async def test(bench):
        await bench.receive(accepted(1) + b"\0\0")
        assert bench.state() == SoupState.LOST
        await bench.receive(soup("S"))
        assert bench.names() == ["ACCEPTED"]
        await bench.strobe(bench.line.i_reset)
        await bench.receive(accepted(8))
        assert bench.state() == SoupState.IN and bench.ctx.get(bench.session.o_next) == 8

    run(test)
