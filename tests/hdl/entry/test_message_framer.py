# amaranth: UnusedElaboratable=no
"""MessageFramer: messages out of chunks of any size, and framing that is lost."""

import random
import struct

import pytest
from amaranth.sim import Simulator
from stream_bench import Gather, beat, chunks_of, garbage, real, soup
from tickwire.hdl.entry.framer import MessageFramer
from tickwire.hdl.wire.fixed import FixedField
from tickwire.hdl.wire.framing import SOUPBINTCP_FRAMING, STARBASE_FRAMING, Framing

NAMES = ("OrderAcceptedMessage", "CanceledMessage", "ServerHeartbeatPacket",
         "CancelOrderMessage", "EnterOrderMessage", "ClientHeartbeatPacket")


def starbase(length, rng, kind=10):
    body = rng.randbytes(max(length - 32, 0))
    message = struct.pack("<BBHHHqqq", 0xDB, 0, length, kind, 16, 1, 2, 3) + body
    return message + bytes(-len(message) % 8)


def run(framing, beats, *, offer=1.0, holds=0.0, seed=1, idle=40):
    """Messages; cycles in which beats were taken; those in which beats came; losses; stalls."""
    dut, rng = MessageFramer(framing), random.Random(seed)
    gather, taken, came, lost, stalls = Gather(), [], [], [], []

    async def bench(ctx):
        left, driving, cycle, rest = list(beats), False, 0, idle
        while rest:
            rest -= not left
            driving = driving or bool(left) and rng.random() < offer
            ctx.set(dut.i.valid, driving)
            ctx.set(dut.i.payload, beat(*left[0], rng) if driving else garbage(rng))
            ctx.set(dut.i_hold, rng.random() < holds)
            if ctx.get(dut.o.valid):
                gather.take(ctx.get(dut.o.payload))
                came.append(cycle)
            if ctx.get(dut.o_count_lost):
                lost.append(cycle)
            if driving:
                if ctx.get(dut.i.ready):
                    taken.append(cycle)
                    left.pop(0)
                    driving = False
                else:
                    stalls.append(cycle)
            await ctx.tick()
            cycle += 1

    simulator = Simulator(dut)
    simulator.add_clock(6.4e-9)
    simulator.add_testbench(bench)
    simulator.run()
    return gather, taken, came, lost, stalls


def whole(messages):
    """Each message as a chunk of its own."""
    return [piece for message in messages
            for piece in chunks_of(message, random.Random(0), (len(message),))]


def test_real_messages_cut_at_every_byte():
    messages = [real(name) for name in NAMES]
    stream = b"".join(messages)
    assert [len(message) for message in messages] == [76, 21, 3, 12, 56, 3]
    cuts = range(1, len(stream))
    pieces = [piece for at in cuts for part in (stream[:at], stream[at:])
              for piece in chunks_of(part, random.Random(0), (len(part),))]
    gather, *_, lost, _ = run(SOUPBINTCP_FRAMING, pieces)
    assert gather.messages == messages * len(cuts) and not lost


@pytest.mark.parametrize("offer, holds", ((1.0, 0.0), (1.0, 0.3), (0.3, 0.5)))
def test_random_messages_in_random_chunks(offer, holds):
    rng = random.Random(f"{offer} {holds}")
    messages = [soup(rng.choice("SHUZA+"), rng.randbytes(rng.choice(
        (0, 0, 0, 1, 4, 5, 6, 7, rng.randrange(100))))) for _ in range(60)]
    messages.append(soup("S", rng.randbytes(2045)))
    beats = list(chunks_of(b"".join(messages), rng))
    gather, taken, *_, lost, _ = run(SOUPBINTCP_FRAMING, beats, offer=offer, holds=holds, idle=200)
    assert gather.messages == messages and len(taken) == len(beats) and not lost


def test_starbase_never_makes_the_sender_wait():
    rng = random.Random(4)
    messages = [starbase(rng.choice((32, 33, 40, 41, 126, 155, rng.randrange(32, 300))), rng)
                for _ in range(40)]
    for sizes in ((1460,), (1, 2, 3, 5, 8, 9, 16, 24, 61, 200)):
        beats = list(chunks_of(b"".join(messages), rng, sizes))
        gather, taken, *_, lost, stalls = run(STARBASE_FRAMING, beats)
        assert gather.messages == messages and not lost and not stalls
        assert taken == list(range(len(beats)))


def test_short_messages_take_two_cycles_each():
    """120 bytes wait before the sender does."""
    messages = [soup("H")] * 96
    gather, taken, came, _, stalls = run(
        SOUPBINTCP_FRAMING, list(chunks_of(b"".join(messages), random.Random(0), (288,))), idle=200)
    assert gather.messages == messages and came == list(range(4, 196, 2))
    # Each beat brings 8 bytes and each message takes 3 every second cycle.
    assert stalls[0] == taken[18] + 1
    *_, stalls = run(SOUPBINTCP_FRAMING, whole([soup("S", bytes(61))] * 20))
    assert not stalls


@pytest.mark.parametrize("length", (3, 8, 9, 33))
def test_latency(length):
    message = soup("S", bytes(length - 3))
    _, taken, came, *_ = run(SOUPBINTCP_FRAMING, whole([message]))
    assert came == [cycle + 4 for cycle in taken]
    # A byte a cycle, and a byte every fifth cycle: then a beat is out 2 cycles after it is whole.
    for offer in (1.0, 0.2):
        _, taken, came, *_ = run(SOUPBINTCP_FRAMING, list(chunks_of(
            message, random.Random(0), (1,))), offer=offer)
        expected = [taken[at] + 2 for at in (*range(7, length - 1, 8), length - 1)]
        expected[0] = max(expected[0], taken[1] + 4)
        assert came == expected


def test_back_to_back_without_a_gap():
    """Messages of more than 8 bytes: a beat a cycle, whatever is in them."""
    rng = random.Random(9)
    messages = [soup("S", rng.randbytes(rng.randrange(6, 70))) for _ in range(20)]
    gather, _, came, *_ = run(SOUPBINTCP_FRAMING, list(chunks_of(
        b"".join(messages), rng, (2000,))))
    beats = sum(-(-len(message) // 8) for message in messages)
    assert gather.messages == messages and came == list(range(4, 4 + beats))


@pytest.mark.parametrize("framing, good, bad", [
    (SOUPBINTCP_FRAMING, soup("H"), b"\0\0"),
    (SOUPBINTCP_FRAMING, soup("S", bytes(2045)), (2047).to_bytes(2, "big")),
    (SOUPBINTCP_FRAMING, soup("H"), b"\xff\xff"),
    (STARBASE_FRAMING, starbase(32, random.Random(1)), b"\xdb\0\x1f\0"),
    (STARBASE_FRAMING, starbase(8192, random.Random(1)), b"\xdb\0\x01\x20"),
    (STARBASE_FRAMING, starbase(40, random.Random(1)), b"\xda\0\x28\0"),
    (STARBASE_FRAMING, starbase(40, random.Random(1)), b"\xdb\0\0\0"),
])
def test_lost_framing(framing, good, bad):
    """Nothing is delivered from an impossible length on."""
    dead = whole([good, bad])
    rest = whole([good] * 3)
    gather, taken, _, lost, stalls = run(framing, dead + rest)
    assert gather.messages == [good] and not gather.inside
    behind_a_short_one = len(good) == 3         # whose two cycles it waits for
    assert lost == [taken[len(dead) - 1] + 3 + behind_a_short_one] and not stalls


def test_a_reset_forgets_what_waits_and_that_framing_was_lost():
    dut = MessageFramer(SOUPBINTCP_FRAMING)
    gather = Gather()

    async def bench(ctx):
        half = soup("S", bytes(9))[:5]
        rest = [(b"", 0)] * 4
        for octets, reset in ((half, 0), (half, 1), (soup("H"), 0), (b"\0\0", 0), *rest, (half, 0),
                              (soup("H"), 0), (b"", 1), (soup("Z"), 0), *rest):
            ctx.set(dut.i.valid, bool(octets))
            ctx.set(dut.i.payload, beat(octets, 1, 1))
            ctx.set(dut.i_reset, reset)
            if ctx.get(dut.o.valid):
                gather.take(ctx.get(dut.o.payload))
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(6.4e-9)
    simulator.add_testbench(bench)
    simulator.run()
    assert gather.messages == [soup("H"), soup("Z")]


def test_what_a_framing_may_be():
    with pytest.raises(ValueError, match=r"^Length of X must be 2 bytes among the first 8, not 4 "
                                         r"at offset 0$"):
        Framing("X", FixedField("n", 0, 4), "big", 0, 1, 4, 9)
    with pytest.raises(ValueError, match=r"^Messages of X must have from 3 to 65535 bytes, "
                                         r"smallest first, not 2 to 9$"):
        Framing("X", FixedField("n", 1, 2), "big", 0, 1, 2, 9)
