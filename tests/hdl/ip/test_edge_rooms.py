# amaranth: UnusedElaboratable=no
"""Latencies of the network edge's smaller rooms, each by itself."""

import pytest
from amaranth.sim import Simulator
from tickwire.hdl.ip.buffer import EdgeBuffer
from tickwire.hdl.ip.classify import FrameClassifier, Kind
from tickwire.hdl.ip.compose import FrameComposer
from tickwire.hdl.ip.program import PROGRAMS, Program
from tickwire.hdl.ip.ticks import EdgeTicks


def simulate(dut, bench):
    simulator = Simulator(dut)
    simulator.add_clock(6.4e-9)
    simulator.add_testbench(bench)
    simulator.run()


async def cycles_until(ctx, signal):
    for cycles in range(200):
        if ctx.get(signal):
            return cycles
        await ctx.tick()
    raise AssertionError("it does not come")


def test_ticks():
    dut = EdgeTicks()
    seen = []

    async def bench(ctx):
        ctx.set(dut.i_period, 3)
        for cycle in range(70):
            if ctx.get(dut.o_tick):
                seen.append((cycle, ctx.get(dut.o_second)))
            await ctx.tick()
        ctx.set(dut.i_period, 0)
        await ctx.tick()
        for _ in range(20):
            await ctx.tick()
            assert not ctx.get(dut.o_tick)

    simulate(dut, bench)
    assert seen == [(3 * number, number % 10 == 0) for number in range(1, 24)]


def test_a_leap_ends_the_period_that_it_leaps_over_and_brings_one_tick():
    dut = EdgeTicks()
    seen = []

    async def bench(ctx):
        ctx.set(dut.i_period, 100)
        for cycle in range(400):
            ctx.set(dut.i_skip, {50: 20, 200: 1 << 40}.get(cycle, 0))
            if ctx.get(dut.o_tick):
                seen.append(cycle)
            await ctx.tick()

    simulate(dut, bench)
    assert seen == [80, 180, 201, 301]


def test_composer():
    dut = FrameComposer()

    async def bench(ctx):
        ctx.set(dut.i_length, 16)
        ctx.set(dut.o.ready, 1)
        for program in Program:
            ctx.set(dut.i_program, program)
            ctx.set(dut.i_start, 1)
            await ctx.tick()
            ctx.set(dut.i_start, 0)
            steps = len(PROGRAMS.get(program, ()))
            assert await cycles_until(ctx, dut.o.valid) + 1 == (steps + 11 if steps else 3), program
            await cycles_until(ctx, dut.o_done)
            await ctx.tick()

    simulate(dut, bench)


def test_classifier():
    """A UDP datagram for port 7, whose verdict stands 3 cycles after its last beat."""
    frame = bytes.fromhex("020000000001 020000000002 0800 4500001c 00000000 401166cf 0a000001"
                          "0a000002 00050007 00080000".replace(" ", ""))
    dut = FrameClassifier()

    async def bench(ctx):
        ctx.set(dut.i_settings, {"mac": 0x020000000001, "address": 0x0a000002, "udp_echo": 1,
                                 "udp_echo_port": 7})
        ctx.set(dut.i.valid, 1)
        for at in range(0, len(frame), 8):
            chunk = frame[at:at + 8]
            ctx.set(dut.i.payload, {"data": int.from_bytes(chunk, "little"), "first": at == 0,
                                    "last": len(chunk) < 8, "end": len(chunk)})
            await ctx.tick()
        ctx.set(dut.i.valid, 0)
        for cycle in range(1, 8):
            # In the second cycle the header's sum already is right, the datagram's may not be.
            if cycle != 2:
                assert (ctx.get(dut.o_kind) == Kind.UDP_ECHO) == (cycle >= 3)
            await ctx.tick()

    simulate(dut, bench)


def test_buffer():
    """A beat is seen as it is accepted, the length a cycle later; a payload is moved by 2 bytes."""
    dut = EdgeBuffer()

    async def bench(ctx):
        ctx.set(dut.i_take_payload, 1)
        ctx.set(dut.i_udp.payload, {"data": 0x0807060504030201, "first": 1, "last": 1, "end": 7})
        ctx.set(dut.i_udp.valid, 1)
        assert ctx.get(dut.i_udp.ready) and ctx.get(dut.o_beat.valid) and not ctx.get(dut.o_ended)
        beat = ctx.get(dut.o_beat.payload)
        assert beat.data >> 16 == 0x060504030201 and (beat.begin, beat.end) == (2, 8)
        await ctx.tick()
        ctx.set(dut.i_udp.valid, 0)
        beat = ctx.get(dut.o_beat.payload)
        assert ctx.get(dut.o_ended) and not ctx.get(dut.i_udp.ready)
        assert beat.data & 0xff == 7 and (beat.begin, beat.end, beat.last) == (0, 1, 1)
        await ctx.tick()
        assert ctx.get(dut.o_length) == 42 + 7

    simulate(dut, bench)


def test_refusal():
    with pytest.raises(ValueError, match="EdgeBuffer depth must be a power of two of at least 256 "
                                         "beats, not 100"):
        EdgeBuffer(100)
