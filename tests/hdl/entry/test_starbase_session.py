# amaranth: UnusedElaboratable=no
"""A Starbase session behind its framer: numbers, gaps, repetitions, heartbeats."""

import random
import struct

import pytest
from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator
from stream_bench import beat, chunks_of, garbage
from tickwire.hdl.entry.execution_decoder import ExecutionDecoder
from tickwire.hdl.entry.execution_plan import STARBASE_PLAN
from tickwire.hdl.entry.framer import MessageFramer
from tickwire.hdl.entry.starbase_session import StarbaseEvent, StarbaseSession, StarbaseState
from tickwire.hdl.stream.packet import packet_stream
from tickwire.hdl.wire.framing import STARBASE_FRAMING

LOGON_CONF, LOGGED_OUT, HEARTBEAT, TEST, GAP_FILL, REJECT, CANCELLED = 2, 5, 10, 11, 21, 30, 220
BODIES = {LOGON_CONF: struct.pack("<iH", 30, 16), LOGGED_OUT: b"\3bye", HEARTBEAT: bytes(8),
          REJECT: struct.pack("<qbB", 5, 4, 2) + b"no", CANCELLED: bytes(74)}
NAMES = {LOGON_CONF: "LOGON_CONF", LOGGED_OUT: "LOGGED_OUT", HEARTBEAT: "HEARTBEAT",
         TEST: "TEST_REQUEST", GAP_FILL: "GAP_FILL", REJECT: "REJECT", CANCELLED: "RESPONSE"}


def message(kind, sequence, body=None, *, version=16, flags=0, processed=0):
    if body is None:
        body = BODIES[kind]
    elif isinstance(body, int):
        body = struct.pack("<q", body)
    framed = struct.pack("<BBHHHqqq", 0xDB, flags, 32 + len(body), kind, version, sequence,
                         processed, 77) + body
    return framed + bytes(-len(framed) % 8)


class Line(wiring.Component):
    """Framer, session and decoder, as they belong together."""

    def __init__(self):
        self.framer, self.session = MessageFramer(STARBASE_FRAMING), StarbaseSession()
        self.decoder = ExecutionDecoder(STARBASE_PLAN)
        super().__init__({"i": In(packet_stream(8)), "i_reset": In(1),
                          "o": Out(stream.Signature(64))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.framer, m.submodules.session = framer, session = self.framer, self.session
        m.submodules.decoder = decoder = self.decoder
        wiring.connect(m, wiring.flipped(self.i), framer.i)
        wiring.connect(m, wiring.flipped(self.o), session.o)
        m.d.comb += [
            session.i.valid.eq(framer.o.valid), session.i.payload.eq(framer.o.payload),
            decoder.i.valid.eq(framer.o.valid), decoder.i.payload.eq(framer.o.payload),
            decoder.i_apply.eq(session.o_apply), session.i_lost.eq(framer.o_lost),
            framer.i_reset.eq(self.i_reset), session.i_reset.eq(self.i_reset),
            decoder.i_reset.eq(self.i_reset),
        ]
        return m


class Bench:
    def __init__(self, ctx, line):
        self.ctx, self.line, self.session, self.cycle = ctx, line, line.session, 0
        self.rng = random.Random(1)
        self.events, self.answers, self.executions, self.unanswered = [], [], [], 0
        self.last_beat = None
        ctx.set(line.session.i_version, 16)

    async def tick(self, count=1):
        ctx, session = self.ctx, self.session
        for _ in range(count):
            if ctx.get(session.i.valid) and ctx.get(session.i.payload.last):
                self.last_beat = self.cycle
            strobes = ctx.get(session.o_event)
            if strobes:
                self.events.append((self.cycle, {one.name for one in StarbaseEvent
                                                 if strobes >> one.value & 1}))
            if ctx.get(self.line.o.valid) and ctx.get(self.line.o.ready):
                self.answers.append((self.cycle, ctx.get(self.line.o.payload)))
            if ctx.get(self.line.decoder.o.valid):
                self.executions.append(ctx.get(self.line.decoder.o.payload.sequence))
            self.unanswered += ctx.get(session.o_count_unanswered)
            await ctx.tick()
            self.cycle += 1

    async def receive(self, *messages, offer=1.0, rest=6, sizes=(1, 7, 8, 16, 40, 300)):
        ctx = self.ctx
        for octets, first, last in chunks_of(b"".join(messages), self.rng, sizes):
            while self.rng.random() >= offer:
                ctx.set(self.line.i.payload, garbage(self.rng))
                await self.tick()
            ctx.set(self.line.i.payload, beat(octets, first, last, self.rng))
            ctx.set(self.line.i.valid, 1)
            assert ctx.get(self.line.i.ready)
            await self.tick()
            ctx.set(self.line.i.valid, 0)
        await self.tick(rest)

    async def strobe(self, port):
        self.ctx.set(port, 1)
        await self.tick()
        self.ctx.set(port, 0)

    def names(self):
        found = [names for _, names in self.events]
        self.events.clear()
        return found

    def get(self, name):
        return self.ctx.get(getattr(self.session, name))


def run(test):
    line = Line()

    async def bench(ctx):
        await test(Bench(ctx, line))

    simulator = Simulator(line)
    simulator.add_clock(6.4e-9)
    simulator.add_testbench(bench)
    simulator.run()


def test_a_session():
    async def test(bench):
        await bench.receive(message(LOGON_CONF, 1), message(CANCELLED, 2), message(HEARTBEAT, 3),
                            message(REJECT, 4), message(202, 5, bytes(50), processed=99))
        assert bench.names() == [{"LOGON_CONF"}, {"RESPONSE"}, {"HEARTBEAT"}, {"REJECT"},
                                 {"RESPONSE"}]
        assert bench.executions == [2, 5] and bench.get("o_state") == StarbaseState.IN
        assert bench.get("o_expected") == 6 and bench.get("o_last_processed") == 5
        assert bench.get("o_confirmed") == 99 and bench.get("o_interval") == 30
        await bench.receive(message(LOGGED_OUT, 6), message(CANCELLED, 7))
        assert bench.names() == [{"LOGGED_OUT"}, {"RESPONSE"}]
        assert bench.executions == [2, 5] and bench.get("o_state") == StarbaseState.LOGGED_OUT

    run(test)


def test_a_gap_is_filled_by_what_is_sent_again():
    async def test(bench):
        ctx = bench.ctx
        ctx.set(bench.session.i_load.payload, 10)
        await bench.strobe(bench.session.i_load.valid)
        # We have seen 9; 10 to 12 were said while we were away.
        await bench.receive(message(LOGON_CONF, 13), message(CANCELLED, 14),
                            message(HEARTBEAT, 15))
        assert bench.names() == [{"LOGON_CONF", "GAP"}, {"GAP"}, {"HEARTBEAT", "GAP"}]
        assert bench.get("o_expected") == 10 and bench.get("o_newest") == 15
        assert bench.executions == []
        await bench.receive(
            message(CANCELLED, 10, flags=1), message(GAP_FILL, 11, 14, flags=1),
            message(CANCELLED, 14, flags=1), message(GAP_FILL, 15, 16, flags=1),
            message(CANCELLED, 16))
        assert bench.names() == [{"RESPONSE"}, {"GAP_FILL"}, {"RESPONSE"}, {"GAP_FILL"},
                                 {"RESPONSE"}]
        assert bench.executions == [10, 14, 16] and bench.get("o_expected") == 17
        # All of it once more is nothing new.
        await bench.receive(*(message(kind, number, *body, flags=1) for kind, number, *body in (
            (CANCELLED, 14), (GAP_FILL, 15, 99), (CANCELLED, 16), (LOGGED_OUT, 3), (TEST, 4, 5))))
        assert bench.names() == [{"REPEATED"}] * 5
        assert bench.executions == [10, 14, 16] and bench.get("o_expected") == 17
        assert bench.get("o_state") == StarbaseState.IN

    run(test)


@pytest.mark.parametrize("offer", (1.0, 0.6))
def test_random_numbers(offer):
    rng = random.Random(offer)

    async def test(bench):
        messages, expected, events, executions = [message(LOGON_CONF, 1)], 2, [{"LOGON_CONF"}], []
        for _ in range(150):
            kind = rng.choice((CANCELLED, CANCELLED, HEARTBEAT, REJECT, GAP_FILL))
            number = rng.choice((expected,) * 8 + (expected - 1, expected + 1, 1 << 40))
            old, following = number < expected, number == expected
            version = rng.choice((16,) * 9 + (15,))
            target = number + rng.choice((1, 3, 1 << 33)) if kind == GAP_FILL else None
            messages.append(message(kind, number, target, version=version))
            names = {"REPEATED"} if old else {NAMES[kind]}
            if not old and not following:
                names = {"GAP"} | (names if kind in (HEARTBEAT, REJECT) else set())
            wrong = {"VERSION"} if version != 16 and not old else set()
            if wrong and names == {"GAP_FILL"}:     # it is judged a cycle later
                events.append(wrong)
                wrong = set()
            events.append(names | wrong)
            if following:
                if kind == CANCELLED and version == 16:
                    executions.append(number)
                expected = target if kind == GAP_FILL else expected + 1
        await bench.receive(*messages, offer=offer)
        assert bench.names() == events
        assert bench.executions == executions and bench.get("o_expected") == expected

    run(test)


IMPROPER = {
    "logon short": message(LOGON_CONF, 2, b"xxx"), "logon twice": message(LOGON_CONF, 2),
    "test short": message(TEST, 2, b""), "gap fill short": message(GAP_FILL, 2, b""),
    "gap fill backwards": message(GAP_FILL, 2, 2), "gap fill below": message(GAP_FILL, 2, 1),
}


@pytest.mark.parametrize("name", IMPROPER)
def test_improper_messages(name):
    async def test(bench):
        await bench.receive(message(LOGON_CONF, 1), IMPROPER[name], message(HEARTBEAT, 3))
        assert bench.names() == [{"LOGON_CONF"}, {"IMPROPER"}, {"HEARTBEAT"}]
        assert bench.get("o_expected") == 4

    run(test)


def test_latency():
    async def test(bench):
        bench.ctx.set(bench.line.o.ready, 1)
        for number, one in enumerate((message(LOGON_CONF, 1), message(TEST, 2, 55),
                                      message(CANCELLED, 3), message(HEARTBEAT, 4, b"")), 1):
            await bench.receive(one, sizes=(len(one),))
            assert bench.events.pop()[0] == bench.last_beat + 1
            if number == 2:
                assert bench.answers == [(bench.last_beat + 1, 55)]
        assert not bench.events
        await bench.receive(message(GAP_FILL, 5, 8), sizes=(40,))
        assert bench.events == [(bench.last_beat + 2, {"GAP_FILL"})]
        # Now the framer shows the last beat; a cycle later it counts.
        await bench.receive(message(HEARTBEAT, 8), sizes=(40,), rest=3)
        assert bench.ctx.get(bench.session.i.payload.last)
        assert bench.get("o_expected") == 8
        await bench.tick()
        assert bench.get("o_expected") == 9 and bench.get("o_last_processed") == 7
        await bench.tick()
        assert bench.get("o_last_processed") == 8

    run(test)


def test_heartbeats_and_answers():
    async def test(bench):
        ctx, session = bench.ctx, bench.session
        ctx.set(session.i_heartbeat, 2)
        ctx.set(session.i_silence, 5)
        ctx.set(bench.line.o.ready, 1)
        for _ in range(9):
            await bench.strobe(session.i_tick)
        assert not bench.answers
        await bench.receive(message(LOGON_CONF, 1))
        await bench.strobe(session.i_tick)
        await bench.tick(4)
        assert not bench.answers
        tick = bench.cycle
        await bench.strobe(session.i_tick)
        await bench.tick(4)
        assert bench.answers == [(tick + 2, 0)]
        for _ in range(2):
            await bench.strobe(session.i_tick)
            await bench.strobe(session.i_sent)
        assert len(bench.answers) == 1 and not ctx.get(session.o_silent)
        await bench.strobe(session.i_tick)
        assert ctx.get(session.o_silent)
        await bench.tick(4)
        # Each TestRequest is answered with its own id; behind a slow sender two can wait.
        bench.answers.clear()
        await bench.receive(message(TEST, 2, -5), message(TEST, 3, 7))
        assert not ctx.get(session.o_silent)
        assert [answer for _, answer in bench.answers] == [(1 << 64) - 5, 7]
        bench.answers.clear()
        ctx.set(bench.line.o.ready, 0)
        await bench.receive(*(message(TEST, number, number) for number in (4, 5, 6)))
        assert bench.unanswered == 1
        ctx.set(bench.line.o.ready, 1)
        await bench.tick(5)
        assert [answer for _, answer in bench.answers] == [4, 5]

    run(test)


def test_another_connection_goes_on_with_the_numbers():
    async def test(bench):
        await bench.receive(message(LOGON_CONF, 1), message(CANCELLED, 2), b"\0" * 8)
        assert bench.get("o_state") == StarbaseState.LOST
        await bench.strobe(bench.line.i_reset)
        assert bench.get("o_state") == StarbaseState.OUT
        await bench.receive(message(CANCELLED, 3), message(LOGON_CONF, 4), message(CANCELLED, 5))
        assert bench.names()[2:] == [{"RESPONSE"}, {"LOGON_CONF"}, {"RESPONSE"}]
        assert bench.executions == [2, 5]

    run(test)
