"""The rooms of a venue together: bytes in, open orders and positions out."""

import random
import struct

from amaranth.sim import Simulator
from stream_bench import beat, chunks_of, soup
from test_starbase_executions import framed, group
from tickwire.hdl.entry.intent import Action
from tickwire.hdl.feed.event import Side
from venue_line import VenueLine


def run(venue, sends, stream, seed=1):
    """Open orders, worst cases of both instruments, anomalies and repetitions in the end."""
    line, rng = VenueLine(venue), random.Random(seed)
    result, counts = {}, {"anomaly": 0, "repeated": 0, "lost": 0, "malformed": 0}

    async def bench(ctx):
        async def tick():
            counts["anomaly"] |= ctx.get(line.orders.o_anomaly)
            counts["repeated"] += ctx.get(line.changes.o_count_repeated)
            counts["lost"] += ctx.get(line.changes.o_lost)
            counts["malformed"] += ctx.get(line.decoder.o_count_malformed)
            await ctx.tick()

        ctx.set(line.i_version, 16)
        for client_id, instrument, side, quantity in sends:
            ctx.set(line.i_sent.payload, {
                "action": Action.NEW, "client_id": client_id, "instrument": instrument,
                "side": side, "quantity": quantity, "exponent": 0})
            ctx.set(line.i_sent.valid, 1)
            while not ctx.get(line.i_sent.ready):
                await tick()
            await tick()
            ctx.set(line.i_sent.valid, 0)
        for octets, first, last in chunks_of(stream, rng):
            ctx.set(line.i.payload, beat(octets, first, last, rng))
            ctx.set(line.i.valid, 1)
            while not ctx.get(line.i.ready):
                await tick()
            await tick()
            ctx.set(line.i.valid, 0)
        for _ in range(150):
            await tick()
        result["open"] = ctx.get(line.orders.o_open)
        for instrument in range(2):
            ctx.set(line.i_query, instrument)
            for _ in range(4):
                await tick()
            worst = ctx.get(line.orders.o_worst)
            result[instrument] = (worst.long, worst.short)

    simulator = Simulator(line)
    simulator.add_clock(6.4e-9)
    simulator.add_testbench(bench)
    simulator.run()
    return result | counts


def test_ouch():
    """A login, and in the same segments what was done while nobody listened."""
    def accepted(reference, size):
        return soup("S", struct.pack(">cQI1sI8sQ1s1sQ1s1s1s1s14sH", b"A", 5, reference, b"B", size,
                                     b"X", 9, b"0", b"Y", 3, b"A", b"N", b"N", b"L", b"", 0))

    def executed(reference, size):
        return soup("S", struct.pack(">cQIIQcQH", b"E", 5, reference, size, 9, b"A", 1, 0))

    stream = soup("A", b"S".rjust(10) + b"77".rjust(20)) + b"".join((
        accepted(1, 100), executed(1, 30), soup("H"), accepted(2, 50), executed(1, 70),
        soup("S", struct.pack(">cQIIc", b"C", 5, 2, 20, b"U")),
        soup("S", struct.pack(">cQIH14s", b"J", 5, 3, 4, b"")),
        accepted(4, 8), executed(4, 3)))
    for seed in range(3):
        assert run("ouch", [(1, 0, Side.BID, 100), (2, 0, Side.ASK, 50), (3, 1, Side.BID, 7),
                            (4, 1, Side.ASK, 8)], stream, seed) == {
            "open": 2, 0: (100, 70), 1: (-3, -8), "anomaly": 0, "repeated": 0, "lost": 0,
            "malformed": 0}


def response(client, size, fills, status, sequence):
    body = struct.pack("<7qqbqbqbqbbb", 1, 2, client, 3, 4, 5, 6, size, 0, sum(fills), 0, 0, 0, 7,
                       1, status, 0)
    return framed(200, body + group([struct.pack("<qqqb", 1, 2, fill, 0) for fill in fills])
                  + group([], 34), sequence)


def test_starbase():
    """Fills with the response, later fills, a cancel of the rest; once more after a gap."""
    messages = [
        framed(2, struct.pack("<iH", 30, 16), 1),
        response(1, 100, [10, 20], 1, 2), response(2, 50, [5] * 10, 2, 3),
        response(3, 9, [4], 3, 4),
        framed(300, struct.pack("<qq", 1, 2) + group([
            struct.pack("<qqqqqqbqbbB", 1, 4, 5, 6, 7, 30, 0, 60, 0, 1, 0),
            struct.pack("<qqqqqqbqbbB", 4, 4, 5, 6, 7, 8, 0, 8, 0, 1, 2)]) + group([], 34), 5),
        framed(220, struct.pack("<8qqbqb", 1, 2, 1, 4, 5, 6, 7, 8, 9, 0, 9, 0)[:74], 6),
    ]
    sends = [(1, 0, Side.BID, 100), (2, 0, Side.ASK, 50), (3, 1, Side.BID, 9),
             (4, 1, Side.ASK, 8), (5, 1, Side.ASK, 2)]
    expected = {"open": 1, 0: (10, 10), 1: (-4, -6), "anomaly": 0, "repeated": 0, "lost": 0,
                "malformed": 0}
    assert run("starbase", sends, b"".join(messages)) == expected
    # What comes again has numbers that were seen; what comes too early is sent again.
    again = [messages[0], messages[1], messages[3], messages[4], *messages[1:3], messages[2],
             *messages[3:], messages[5]]
    assert run("starbase", sends, b"".join(again)) == expected
