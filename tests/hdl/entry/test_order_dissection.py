"""Order frames as Wireshark's dissectors see them."""

import random
import shutil
import subprocess

import dpkt
import pytest
from order_bench import Bench, make_intent, session_state
from tickwire.hdl.entry.intent import Action
from tickwire.hdl.feed.event import Side

FIELDS = ("ip.checksum.status", "tcp.checksum.status", "tcp.seq_raw", "tcp.len", "tcp.flags",
          "tcp.analysis.lost_segment", "tcp.analysis.retransmission", "_ws.malformed",
          "_ws.expert.message")
GOOD = "1"


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_tshark_finds_nothing_wrong(tmp_path):
    rng = random.Random(8)
    start = (1 << 32) - 400
    lengths = []

    async def test(bench):
        await bench.write_tables({index: rng.getrandbits(63) for index in range(128)})
        await bench.step(load=session_state(sequence=start, unacknowledged=start,
                                            acknowledgement=rng.getrandbits(32)))
        for number in range(30):
            bench.break_at = 9 if number % 7 == 3 else None
            action = rng.choice(list(Action))
            await bench.send(make_intent(
                action=action, instrument=rng.randrange(128), side=rng.choice(list(Side)),
                price=rng.randrange(-10 ** 7, 10 ** 7) / 2000, quantity=rng.getrandbits(32),
                client_id=rng.getrandbits(63)))
            await bench.finish()
            if bench.break_at is None:
                lengths.append(96 if action == Action.NEW else 56)

    bench = Bench(seed=8)
    bench.run(test)
    capture = tmp_path / "orders.pcap"
    with capture.open("wb") as file:
        writer = dpkt.pcap.Writer(file)
        for frame in bench.frames:
            if not frame.aborted:
                writer.writepkt(frame.octets, ts=frame.start * 6.4e-9)
    command = ["tshark", "-r", str(capture), "-o", "tcp.check_checksum:TRUE", "-o",
               "ip.check_checksum:TRUE", "-T", "fields", "-E", "separator=;"]
    for name in FIELDS:
        command += ["-e", name]
    lines = subprocess.run(command, check=True, capture_output=True, text=True,
                           timeout=60).stdout.splitlines()
    sequence = start
    assert len(lines) == len(lengths) > 20
    for line, length in zip(lines, lengths, strict=True):
        ip, tcp, number, size, flags, *complaints = line.split(";")
        assert (ip, tcp) == (GOOD, GOOD)
        assert (int(number), int(size), int(flags, 16)) == (sequence, length, 0x18)
        assert not any(complaints)
        sequence = (sequence + length) % (1 << 32)
