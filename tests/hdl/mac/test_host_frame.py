# amaranth: UnusedElaboratable=no
"""HostFrame: bytes in order, repetitions without a pause, refusals counted."""

import pytest
from amaranth.hdl import Cat
from amaranth.sim import Simulator
from tickwire.hdl.mac.host_frame import HostFrame, HostFrameKind
from xgmii_bench import seeded


class Card:
    """Drives one HostFrame; beats are collected in the background."""

    def __init__(self, ready=1.0):
        self.dut = HostFrame()
        self.rng = seeded(1)
        self.ready = ready
        self.cycle = 0
        self.beats = []         # (cycle, octets, first, last)
        self.offered = []       # cycles with valid
        self.refused = 0

    def run(self, script):
        async def bench(ctx):
            await script(self, ctx)

        sim = Simulator(self.dut)
        sim.add_clock(6.4e-9)
        sim.add_testbench(bench)
        sim.run()
        return self

    async def tick(self, ctx, count=1):
        dut = self.dut
        for _ in range(count):
            ready = self.rng.random() < self.ready
            ctx.set(dut.o.ready, ready)
            seen = ctx.get(Cat(dut.o.valid, dut.o_count_refused))
            self.refused += seen >> 1
            if seen & 1:
                self.offered.append(self.cycle)
                if ready:
                    beat = ctx.get(dut.o.payload)
                    assert beat["begin"] == 0
                    self.beats.append((self.cycle, beat["data"].to_bytes(8, "little")[:beat["end"]],
                                       beat["first"], beat["last"]))
            await ctx.tick()
            self.cycle += 1

    async def write(self, ctx, octets):
        octets = octets + self.rng.randbytes(-len(octets) % 4)
        for at in range(0, len(octets), 4):
            ctx.set(self.dut.i_address, at // 4)
            ctx.set(self.dut.i_data, int.from_bytes(octets[at:at + 4], "little"))
            ctx.set(self.dut.i_enable, 1)
            await self.tick(ctx)
            ctx.set(self.dut.i_enable, 0)
            ctx.set(self.dut.i_data, self.rng.getrandbits(32))

    async def send(self, ctx, length, repeat=1, kind=HostFrameKind.FRAME, session=0):
        ctx.set(self.dut.i_length, length)
        ctx.set(self.dut.i_kind, kind)
        ctx.set(self.dut.i_session, session)
        ctx.set(self.dut.i_repeat, repeat)
        ctx.set(self.dut.i_send, 1)
        await self.tick(ctx)
        ctx.set(self.dut.i_send, 0)
        ctx.set(self.dut.i_length, self.rng.randrange(2048))
        ctx.set(self.dut.i_kind, self.rng.randrange(3))
        ctx.set(self.dut.i_session, self.rng.getrandbits(6))
        ctx.set(self.dut.i_repeat, self.rng.randrange(100))

    async def finish(self, ctx):
        for _ in range(3000):
            if not ctx.get(self.dut.o_busy):
                return
            await self.tick(ctx)
        raise AssertionError("o_busy does not fall")

    def frames(self):
        frames = []
        for _, octets, first, last in self.beats:
            if first:
                frames.append(b"")
            frames[-1] += octets
            assert last or len(octets) == 8
        return frames


@pytest.mark.parametrize("ready", [1.0, 0.5])
def test_every_tail_and_the_longest(ready):
    rng = seeded(2)
    sent = [rng.randbytes(length) for length in (*range(14, 31), 60, 1514)]

    async def script(card, ctx):
        for octets in sent:
            await card.write(ctx, octets)
            await card.send(ctx, len(octets))
            await card.finish(ctx)

    card = Card(ready).run(script)
    assert card.frames() == sent and card.refused == 0


def test_latency_and_repetitions_without_a_pause():
    async def script(card, ctx):
        await card.write(ctx, octets)
        card.cycle = 0
        await card.send(ctx, len(octets), repeat=5)
        await card.finish(ctx)
        await card.tick(ctx, 5)

    octets = seeded(3).randbytes(45)
    card = Card().run(script)
    assert card.frames() == [octets] * 5
    assert card.offered == list(range(3, 3 + 5 * 6)), "3 cycles, then a beat a cycle"


def test_repeat_nought_is_once():
    async def script(card, ctx):
        await card.write(ctx, bytes(64))
        await card.send(ctx, 64, repeat=0)
        await card.finish(ctx)

    assert Card().run(script).frames() == [bytes(64)]


def test_what_is_offered_stands_until_it_is_taken():
    """The first beat waits for the MAC, unchanged; none is lost or doubled by pauses."""
    octets = bytes(range(200))

    async def script(card, ctx):
        await card.write(ctx, octets)
        card.ready = 0
        await card.send(ctx, len(octets))
        await card.tick(ctx, 10)
        assert ctx.get(card.dut.o.valid) and ctx.get(card.dut.o.payload.first)
        assert ctx.get(card.dut.o.payload.data) == int.from_bytes(octets[:8], "little")
        card.ready = 0.4
        await card.finish(ctx)

    assert Card().run(script).frames() == [octets]


def test_stop_ends_after_the_frame_in_progress():
    octets = seeded(4).randbytes(100)

    async def script(card, ctx):
        await card.write(ctx, octets)
        await card.send(ctx, 100, repeat=50_000)
        await card.tick(ctx, 30)
        ctx.set(card.dut.i_stop, 1)
        await card.tick(ctx)
        ctx.set(card.dut.i_stop, 0)
        await card.finish(ctx)

    frames = Card().run(script).frames()
    assert 2 <= len(frames) <= 4 and set(frames) == {octets}


def test_refusals():
    async def script(card, ctx):
        await card.write(ctx, bytes(1600))
        for length in (0, 13, 1515, 2047):
            await card.send(ctx, length)
            assert not ctx.get(card.dut.o_busy)
        await card.tick(ctx)
        assert card.refused == 4
        ctx.set(card.dut.i_cap, 100)
        await card.send(ctx, 101)
        await card.send(ctx, 100)
        await card.tick(ctx, 3)
        await card.send(ctx, 100)       # busy
        await card.finish(ctx)
        assert card.refused == 6
        await card.tick(ctx, 3)

    card = Card().run(script)
    assert card.frames() == [bytes(100)] and card.refused == 6


@pytest.mark.parametrize("kind, most, headers", [
    (HostFrameKind.DATAGRAM, 1480, 34),     # 42 bytes of headers for a head of 8
    (HostFrameKind.MESSAGE, 1460, 54),
])
def test_what_becomes_a_frame_has_lengths_of_its_own(kind, most, headers):
    least = 8 if kind is HostFrameKind.DATAGRAM else 1

    async def script(card, ctx):
        octets = card.rng.randbytes(1480)
        await card.write(ctx, octets)
        fits = 100 - headers
        for length, cap in ((least - 1, 1514), (most + 1, 1514), (fits + 1, 100)):
            ctx.set(card.dut.i_cap, cap)
            await card.send(ctx, length, kind=kind)
            assert not ctx.get(card.dut.o_busy)
        for length, cap in ((least, 1514), (most, 1514), (fits, 100), (13, 1514)):
            ctx.set(card.dut.i_cap, cap)
            session = card.rng.getrandbits(6)
            await card.send(ctx, length, kind=kind, session=session)
            assert ctx.get(card.dut.o_kind) == kind and ctx.get(card.dut.o_session) == session
            await card.finish(ctx)
            assert card.frames()[-1] == octets[:length]
        await card.send(ctx, 14)
        assert ctx.get(card.dut.o_kind) == HostFrameKind.FRAME
        await card.finish(ctx)

    assert Card().run(script).refused == 3


@pytest.mark.parametrize("depth", [1024, 3000])
def test_other_depths_are_refused(depth):
    with pytest.raises(ValueError, match="HostFrame depth_bytes must be a power of two that holds "
                                         f"a frame of 1514 bytes, not {depth}"):
        HostFrame(depth)
