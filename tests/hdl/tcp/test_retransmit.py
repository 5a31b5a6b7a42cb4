# amaranth: UnusedElaboratable=no
"""What was sent is sent again byte for byte, whoever sent it, until it is acknowledged."""

import random

import pytest
from scapy.layers.inet import TCP
from scapy.layers.l2 import Ether
from tickwire.hdl.tcp.retransmit import RetransmitBuffer
from transmit_bench import Transmit, frame_of, job, tshark

WRAP = 1 << 32


def words(payload):
    """Of a record in the ring."""
    return 1 + -(-len(payload) // 8)


class Model:
    """What must be in the buffer."""

    def __init__(self, bench, ring_words, order_bytes):
        self.bench, self.ring_words, self.order_bytes = bench, ring_words, order_bytes
        self.records = {session: [] for session in range(64)}
        self.lost = 0

    def used(self, session):
        return sum(words(payload) for _, payload in self.records[session])

    def put(self, session, sequence, payload):
        if self.used(session) + words(payload) <= self.ring_words:
            self.records[session].append((sequence, payload))
        else:
            self.lost += 1

    def release(self, session, acknowledgement):
        kept = self.records[session]
        while kept and (acknowledgement - kept[0][0] - len(kept[0][1])) % WRAP < WRAP // 2:
            kept.pop(0)

    async def check(self, session):
        room, room_order, empty = await self.bench.asked(session)
        free = self.ring_words - self.used(session)
        assert room == (free >= 184)
        assert room_order == (free >= words(bytes(self.order_bytes)))
        assert empty == (not self.records[session])


async def send(bench, payload, session, model, *, breaks=False):
    """A message as new data."""
    bench.send(payload, session)
    while not bench.ctx.get(bench.dut.o_message.valid):
        await bench.step()
    bench.breaks = breaks
    sequence = bench.views[session]["sequence"]
    bench.jobs.append(job("PA", session=session, payload=1))
    await bench.settle()
    if breaks:
        bench.breaks = False
        bench.ctx.set(bench.dut.o_message.ready, 1)
        await bench.step()
        bench.ctx.set(bench.dut.o_message.ready, 0)
    else:
        model.put(session, sequence, payload)


async def send_order(bench, payload, session, model, *, whole=True):
    sequence = bench.views[session]["sequence"]
    await bench.order(payload, session, sequence, whole=whole)
    if whole:
        bench.views[session]["sequence"] = (sequence + len(payload)) % WRAP
        model.put(session, sequence, payload)


async def resend(bench, session, model):
    """The oldest record, as it was, with what is true now."""
    sent = len(bench.frames)
    bench.views[session]["acknowledgement"] = bench.rng.getrandbits(32)
    bench.views[session]["window"] = bench.rng.getrandbits(16)
    bench.jobs.append(job("PA", session=session, resend=1))
    await bench.settle()
    if not model.records[session]:
        assert bench.failed.pop() == session and len(bench.frames) == sent
        return
    sequence, payload = model.records[session][0]
    view = bench.sampled[-1]
    assert view == bench.views[session]
    assert bench.frames[sent:] == [frame_of(
        payload, seq=sequence, ack=view["acknowledgement"], window=view["window"])]
    assert bench.left[-1] == (session, sequence, len(payload))


def run(script, **parameters):
    bench = Transmit(begin=0.7, offer=0.9, **parameters)

    async def whole(bench):
        model = Model(bench, parameters.get("buffer_bytes", 2048) // 8,
                      parameters.get("order_bytes", 1460))
        await script(bench, model)
        assert bench.counts["lost"] == model.lost

    return bench.run(whole)


async def pause(bench, cycles):
    for _ in range(cycles):
        await bench.step()


@pytest.mark.parametrize("way", ["message", "order"])
def test_every_length_again(tmp_path, way):
    rng = random.Random(1)

    async def script(bench, model):
        bench.views[3]["sequence"] = WRAP - 700
        for size in (*range(1, 50), 104, 1459, 1460):
            payload = rng.randbytes(size)
            await (send if way == "message" else send_order)(bench, payload, 3, model)
            for _ in range(2):
                await resend(bench, 3, model)
            acknowledgement = bench.views[3]["sequence"]
            await bench.release(3, acknowledgement)
            model.release(3, acknowledgement)
            await pause(bench, 14)
            await model.check(3)

    bench = run(script, order_bytes=104)
    assert bench.views[3]["sequence"] < 10_000, "it has wrapped"
    assert all(line[:3] == ["", "1", "1"] for line in tshark(tmp_path, bench.frames))
    assert bench.counts["resent"] == 104


@pytest.mark.parametrize("sessions, seed", [(1, 2), (4, 3), (64, 4)])
def test_any_mix_of_sessions_orders_failures_and_acknowledgements(sessions, seed):
    """The ring wraps many times, is full often, and a record that does not fit is counted."""
    rng = random.Random(seed)

    async def script(bench, model):
        names = [*range(sessions)] if sessions < 5 else [0, 31, 63]
        for _ in range(110):
            session = rng.choice(names)
            size = rng.choice([1, 8, 104, 104, 300, 700, 1460])
            choice = rng.random()
            if choice < 0.25:
                await send(bench, rng.randbytes(size), session, model,
                           breaks=rng.random() < 0.2)
            elif choice < 0.6:
                await send_order(bench, rng.randbytes(size), session, model,
                                 whole=rng.random() < 0.8)
            elif choice < 0.8:
                await resend(bench, session, model)
            elif choice < 0.97:
                # All, nothing, up to a record's end, or a byte short of it
                ends = [(sequence + len(payload)) % WRAP
                        for sequence, payload in model.records[session]]
                begins = [sequence for sequence, _ in model.records[session]]
                if ends:
                    acknowledgement = rng.choice([*ends, ends[-1], begins[0], (
                        rng.choice(ends) - 1) % WRAP])
                    await bench.release(session, acknowledgement)
                    model.release(session, acknowledgement)
                    await pause(bench, 66 + 3 * 60)
            else:
                await bench.release(session, 0, everything=1)
                model.records[session] = []
                assert (await bench.asked(session))[2], "for all who ask it is empty at once"
                await pause(bench, 70)
            await model.check(session)
        assert model.lost > 3 or sessions > 1

    run(script, sessions=sessions, order_bytes=104, seed=seed)


def test_releases_take_the_cycles_that_they_are_said_to():
    async def script(bench, model):
        for records in (0, 1, 5):
            for _ in range(records):
                await send_order(bench, bytes(20), 2, model)
            await bench.release(2, bench.views[2]["sequence"])
            await pause(bench, 4 + 3 * records)
            room = await bench.asked(2)
            assert room == (1, 1, 1)
            model.records[2] = []

    run(script, sessions=4, order_bytes=104)


def test_orders_between_offer_and_start():
    """They take SND.NXT further, and both stand in the buffer in the order of their bytes."""
    rng = random.Random(5)

    async def script(bench, model):
        for orders in range(4):
            message = rng.randbytes(77)
            bench.send(message, 3)
            await pause(bench, 30)
            bench.hold = True
            bench.jobs.append(job("PA", payload=1))
            await pause(bench, 5)
            assert bench.ctx.get(bench.dut.o.valid)
            for _ in range(orders):
                await send_order(bench, rng.randbytes(104), 3, model)
                bench.hold = True
            bench.hold = False
            sequence = bench.views[3]["sequence"]
            await bench.settle()
            assert Ether(bench.frames[-1])[TCP].seq == sequence
            model.put(3, sequence, message)
            for _ in range(orders + 1):
                await resend(bench, 3, model)
                acknowledgement = model.records[3][0][0] + len(model.records[3][0][1])
                await bench.release(3, acknowledgement % WRAP)
                model.release(3, acknowledgement)
                await pause(bench, 20)
            await model.check(3)

    run(script, order_bytes=104)


def test_a_record_that_waits_to_be_sent_again_stays():
    """It is acknowledged, and orders want its room, while its frame waits: it leaves as it was."""
    rng = random.Random(6)

    async def script(bench, model):
        oldest = rng.randbytes(1000)
        sequence = bench.views[3]["sequence"]
        await send_order(bench, oldest, 3, model)
        bench.hold = True
        bench.jobs.append(job("PA", resend=1))
        await pause(bench, 10)
        await bench.release(3, bench.views[3]["sequence"], everything=1)
        await pause(bench, 50)
        assert (await bench.asked(3)) == (0, 0, 1)
        for _ in range(14):
            await bench.order(rng.randbytes(104), 3, bench.views[3]["sequence"])
            bench.hold = True
        model.lost = 14
        bench.hold = False
        await bench.settle()
        tcp = Ether(bench.frames[-1])[TCP]
        assert (tcp.seq, tcp.payload.load) == (sequence, oldest)
        await pause(bench, 20)
        assert (await bench.asked(3)) == (1, 1, 1)

    run(script, order_bytes=104)


def test_what_is_leaving_when_its_session_is_cleared_is_not_kept():
    async def script(bench, model):
        bench.ctx.set(bench.dut.i_order_session, 3)
        for size in (200, 104):
            octets = bytes(54 + size)
            task = bench.order(octets[54:], 3, 1000)
            # the clear comes while the order's beats leave
            original = bench.step
            count = 0

            async def step(original=original):
                nonlocal count
                count += 1
                clears = count == 12
                if clears:
                    bench.ctx.set(bench.dut.i_release.payload, {"session": 3, "all": 1})
                    bench.ctx.set(bench.dut.i_release.valid, 1)
                await original()
                if clears:
                    bench.ctx.set(bench.dut.i_release.valid, 0)

            bench.step = step
            await task
            bench.step = original
            await pause(bench, 20)
            assert (await bench.asked(3)) == (1, 1, 1)

    run(script, order_bytes=104)


@pytest.mark.parametrize("parameters, sentence", [
    ({"sessions": 0}, r"^RetransmitBuffer sessions must be from 1 to 64, as a session's index has "
                      r"6 bits, not 0$"),
    ({"buffer_bytes": 1024}, r"^RetransmitBuffer buffer_bytes must be a power of two and at least "
                             r"2048, so that the largest segment fits, not 1024$"),
    ({"order_bytes": 1461}, r"^RetransmitBuffer order_bytes must be from 1 to 1460, which a "
                            r"segment holds, not 1461$"),
])
def test_nonsense_is_rejected(parameters, sentence):
    with pytest.raises(ValueError, match=sentence):
        RetransmitBuffer(**parameters)
