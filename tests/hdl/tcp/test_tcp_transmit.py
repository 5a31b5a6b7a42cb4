# amaranth: UnusedElaboratable=no
"""TcpTransmit: its frames are those that scapy builds; what left is kept, what failed is not."""

import random
import shutil

import pytest
from scapy.layers.inet import TCP
from scapy.layers.l2 import Ether
from tickwire.hdl.tcp.message_queue import MessageQueue
from transmit_bench import Transmit, frame_of, job, tshark

assert shutil.which("tshark"), "tshark is needed: install Wireshark's command line"


def expect(view, payload=b"", *, seq=None, flags="PA", mss=None):
    return frame_of(payload, seq=view["sequence"] if seq is None else seq,
                    ack=view["acknowledgement"] if "A" in flags else 0, window=view["window"],
                    flags=flags, mss=mss)


@pytest.mark.parametrize("begin, offer", [(1.0, 1.0), (0.2, 0.5)])
def test_messages_of_every_length(tmp_path, begin, offer):
    rng = random.Random(1)
    payloads = [rng.randbytes(size) for size in (*range(1, 66), 1459, 1460)]
    bench = Transmit(begin=begin, offer=offer, buffer_bytes=16384)

    async def script(bench):
        for payload in payloads:
            bench.send(payload)
            while not bench.ctx.get(bench.dut.o_message.valid):
                await bench.step()
            message = bench.ctx.get(bench.dut.o_message.payload)
            assert (message.session, message.length) == (3, len(payload))
            bench.jobs.append(job("PA", payload=1))
            await bench.settle()

    bench.run(script)
    assert bench.frames == [expect(view, payload)
                            for view, payload in zip(bench.sampled, payloads, strict=True)]
    assert bench.left == [(3, view["sequence"], len(payload))
                          for view, payload in zip(bench.sampled, payloads, strict=True)]
    assert bench.counts == {"message_taken": 67, "message_refused": 0, "lost": 0, "sent": 67,
                            "resent": 0, "failed": 0}
    for line, payload in zip(tshark(tmp_path, bench.frames), payloads, strict=True):
        assert line == ["", "1", "1", "", str(len(payload))]


def test_latencies():
    bench = Transmit(buffer_bytes=4096)

    async def script(bench):
        for size in (1, 9, 30):
            bench.send(bytes(size))
            while bench.queue:
                await bench.step()
            shown = [bench.ctx.get(bench.dut.o_message.valid)]
            while not shown[-1]:
                await bench.step()
                shown.append(bench.ctx.get(bench.dut.o_message.valid))
            assert len(shown) == 4, "three cycles after the one behind the last beat"
            bench.ctx.set(bench.dut.o_message.ready, 1)
            await bench.step()
            bench.ctx.set(bench.dut.o_message.ready, 0)
        for size in (1, 9, 30):
            bench.send(bytes(size))
        while bench.queue:
            await bench.step()
        for kind in ({"payload": 1}, {}, {"payload": 1}, {"resend": 1}, {"payload": 1}):
            bench.jobs.append(job("PA", **kind))
        await bench.settle()

    bench.run(script)
    assert [offered - accepted for offered, accepted in zip(
        bench.offered_at, bench.accepted_at, strict=True)] == [3] * 5
    assert [left - done for left, done in zip(bench.left_at, bench.done_at, strict=True)] == [1] * 5
    assert [accepted - done for accepted, done in zip(
        bench.accepted_at[1:], bench.done_at, strict=False)] == [1] * 4


def test_control_segments(tmp_path):
    kinds = [("S", {"mss": 1, "origin": 0, "sequence": 0xfffffffe}), ("SA", {"mss": 1}), ("A", {}),
             ("FA", {}), ("R", {"origin": 0, "sequence": 77}), ("RA", {}), ("S", {}), ("FPA", {}),
             ("R", {"origin": 0, "sequence": 5, "stray": 1, "acknowledgement": 0}),
             ("RA", {"origin": 0, "sequence": 0, "stray": 1, "acknowledgement": 0xdeadbeef})]
    bench = Transmit(begin=0.3)

    async def script(bench):
        for flags, values in kinds:
            bench.jobs.append(job(flags, **values))
        await bench.settle()

    bench.run(script)
    for (flags, values), view, octets in zip(kinds, bench.sampled, bench.frames, strict=True):
        if values.get("stray"):
            view = {"acknowledgement": values["acknowledgement"], "window": 0}
        assert octets == expect(view, flags=flags, seq=values.get("sequence"),
                                mss=1460 if values.get("mss") else None)
    assert [length for *_, length in bench.left] == [1, 1, 0, 1, 0, 0, 1, 1]
    lines = tshark(tmp_path, bench.frames)
    assert [line[:3] for line in lines] == [["", "1", "1"]] * len(kinds)
    assert [line[3] for line in lines] == ["2" if values.get("mss") else ""
                                           for _, values in kinds]


def test_any_numbers_have_the_right_checksums(tmp_path):
    """Among them sums that carry, and wrap again."""
    rng = random.Random(4)
    edges = [0, 1, 0xffff, 0x10000, 0xffff0000, 0xffffffff]
    bench = Transmit()
    bench.follow = False

    async def script(bench):
        for index in range(120):
            view = bench.views[3]
            for name, bits in (("sequence", 32), ("acknowledgement", 32), ("window", 16)):
                view[name] = rng.choice([rng.getrandbits(bits),
                                         rng.choice(edges) % (1 << bits)])
            payload = rng.choice([rng.randbytes(rng.randrange(1, 30)), b"\xff" * 60, bytes(8)])
            bench.send(payload)
            while not bench.ctx.get(bench.dut.o_message.valid):
                await bench.step()
            bench.jobs.append(job("PA", payload=1))
            await bench.settle()
            assert bench.frames[-1] == expect(bench.sampled[-1], payload), index
            await bench.release(3, 0, everything=1)

    bench.run(script)
    assert all(line[:3] == ["", "1", "1"] for line in tshark(tmp_path, bench.frames))


def test_late_binding():
    """Whatever happens before the fourth beat is in the frame; nothing after it is."""
    rng = random.Random(5)
    bench = Transmit(begin=0.1)
    bench.follow = False

    async def script(bench):
        for _ in range(40):
            bench.send(rng.randbytes(rng.randrange(1, 40)))
            while not bench.ctx.get(bench.dut.o_message.valid):
                await bench.step()
            bench.jobs.append(job("PA", payload=1))
            sent = len(bench.frames)
            while len(bench.frames) == sent:
                await bench.step()
                bench.views[3] = {"sequence": rng.getrandbits(32), "window": rng.getrandbits(16),
                                  "acknowledgement": rng.getrandbits(32)}
            await bench.settle()
            await bench.release(3, 0, everything=1)

    bench.run(script)
    for view, octets, (_, sequence, _) in zip(bench.sampled, bench.frames, bench.left, strict=True):
        tcp = Ether(octets)[TCP]
        assert octets == expect(view, bytes(tcp.payload))
        assert tcp.seq == view["sequence"] == sequence


@pytest.mark.parametrize("kind, blocks", [("payload", True), ("resend", False), ("neither", False)])
def test_no_order_may_be_decided_on_while_something_new_leaves(kind, blocks):
    """From the offer on, unless another frame is on the wire, until three cycles after it left."""
    bench = Transmit()

    async def script(bench):
        await bench.order(b"older", 3, bench.views[3]["sequence"])
        bench.send(b"a message")
        while not bench.ctx.get(bench.dut.o_message.valid):
            await bench.step()
        bench.hold = True
        bench.jobs.append(job("PA", **({} if kind == "neither" else {kind: 1})))
        for _ in range(9):
            await bench.step()
        bench.starts = bench.cycle
        await bench.order(bytes(100), 5, 0)
        bench.ends = bench.cycle - 2        # it was there a cycle before its commit
        await bench.settle()
        for _ in range(5):
            await bench.step()

    bench.run(script)
    offered, left = bench.offered_at[0], bench.left_at[0]
    expected = [blocks and (offered <= cycle <= bench.starts or bench.ends <= cycle < left + 3)
                for cycle in range(bench.cycle)]
    assert [bool(busy) for busy in bench.busy] == expected


def test_what_fails_uses_up_nothing():
    """The message stays in front, and is what leaves when the link is up again."""
    rng = random.Random(6)
    payloads = [rng.randbytes(size) for size in (5, 100, 1460, 8)]
    bench = Transmit(begin=0.5)

    async def script(bench):
        for payload in payloads:
            bench.send(payload)
        for payload in payloads:
            while not bench.ctx.get(bench.dut.o_message.valid):
                await bench.step()
            for bench.breaks in (True, True, False):
                bench.jobs.append(job("PA", payload=1))
                await bench.settle()
                room, _, empty = await bench.asked(3)
                assert empty == bench.breaks and room == (empty or len(payload) <= 8 * 71)
            await bench.release(3, bench.views[3]["sequence"])
            for _ in range(30):
                await bench.step()

    bench.run(script)
    assert [Ether(octets)[TCP].payload.load for octets in bench.frames] == payloads
    assert bench.failed == [3] * 8 and len(bench.left) == 4
    assert bench.counts["failed"] == 8 and bench.counts["sent"] == 4


def test_a_job_without_its_message_or_record_fails():
    bench = Transmit()

    async def script(bench):
        for kind in ({"payload": 1}, {"resend": 1}, {}):
            bench.jobs.append(job("PA", session=5, **kind))
        await bench.settle()

    bench.run(script)
    assert bench.failed == [5, 5] and len(bench.frames) == 1
    assert bench.counts["failed"] == 2 and bench.counts["sent"] == 1
    assert bench.left_at[0] - bench.accepted_at[0] == 3


def test_messages_that_cannot_be_sent_and_messages_that_are_refused():
    rng = random.Random(7)
    sizes = [0, 1, 1461, 1464, 1465, 3000, 20_000, 1460, 0, 7]
    payloads = [rng.randbytes(size) for size in sizes]
    bench = Transmit()

    async def script(bench):
        for payload in payloads:
            bench.send(payload, session=len(payload) % 64)
        seen = []
        while len(seen) < 3:
            await bench.step()
            if bench.ctx.get(bench.dut.o_message.valid):
                message = bench.ctx.get(bench.dut.o_message.payload)
                seen.append((message.session, message.length))
                bench.ctx.set(bench.dut.o_message.ready, 1)
                await bench.step()
                bench.ctx.set(bench.dut.o_message.ready, 0)
        assert seen == [(1, 1), (1460 % 64, 1460), (7, 7)]
        bench.send(b"and one more")
        while not bench.ctx.get(bench.dut.o_message.valid):
            await bench.step()
        bench.jobs.append(job("PA", payload=1))
        await bench.settle()

    bench.run(script)
    assert bench.counts["message_refused"] == 7 and bench.counts["message_taken"] == 4
    assert Ether(bench.frames[0])[TCP].payload.load == b"and one more"


def test_a_full_queue_makes_the_host_wait():
    rng = random.Random(8)
    payloads = [rng.randbytes(rng.choice([1460, 1459, 700, 3])) for _ in range(20)]
    bench = Transmit(message_depth=256, messages=2)

    async def script(bench):
        for payload in payloads:
            bench.send(payload)
        for _ in range(1000):
            await bench.step()
        assert bench.queue, "it was never full"
        for _ in payloads:
            while not bench.ctx.get(bench.dut.o_message.valid):
                await bench.step()
            bench.jobs.append(job("PA", payload=1))
            while bench.jobs or not bench.ctx.get(bench.dut.i.ready):
                await bench.step()
            await bench.release(3, 0, everything=1)
            for _ in range(4):
                await bench.step()

    bench.run(script)
    assert [Ether(octets)[TCP].payload.load for octets in bench.frames] == payloads


def test_nonsense_is_rejected():
    with pytest.raises(ValueError, match=r"^MessageQueue depth must be a power of two and at "
                                         r"least 256 words, not 128$"):
        MessageQueue(128)
    with pytest.raises(ValueError, match=r"^MessageQueue messages must be at least 1, not 0$"):
        MessageQueue(512, 0)
