"""Real frames with bytes flipped anywhere behind right checksums: seeded, and compared exactly.

The gateway has to take and to refuse what the golden one does, and its books, records and
decisions have to be the same, however strange they become. From time to time the venue tells its
books anew; then they are those of the capture, in which nothing was flipped.
"""

import random

import pytest
from damage import flipped, numbered
from robust_bench import Heartbeat, Line, plan_of
from snapshot_round import SnapshotRound

BEGIN = 1100                # behind the capture's first round of snapshots
STRETCH = 60                # packets between two rounds
FOREIGN = [bytes.fromhex("ffffffffffff 02000a000001 88b5") + bytes(1500)] * 3
SHIFTS = (-1500, -3, -1, 1, 2, 1 << 31)


@pytest.fixture(scope="module")
def plan():
    return plan_of()


def damaged(packets, line, rng, each):
    """Packets, each behind ``each`` damaged ones of its kind; sequence numbers mostly in order."""
    for packet in packets:
        for _ in range(each):
            expected = line.expected(packet)
            if rng.random() < 0.03:
                expected = (expected or 0) + rng.choice(SHIFTS) & 0xFFFFFFFF
            frame = flipped(numbered(packet, expected), rng)
            if line.jumps(frame):
                # A gap makes books stale at once, also for updates that still wait to be applied.
                # So that it is certain which do, none does.
                yield from FOREIGN
            yield frame
        yield numbered(packet, line.expected(packet))


def play_stretches(plan, venue, packets, line, rng, stretches):
    """Rounds of snapshots and damage by turns, a last round, and what the books then are."""
    line.play([Heartbeat().first()])
    for place in stretches:
        venue.follow(place)
        line.play(venue.frames(line), certain=False)
        line.play(damaged(packets[place:place + STRETCH], line, rng, 2), certain=False)
    line.play(venue.frames(line), certain=False)
    for instrument in venue.books.books:
        found = line.machine.levels(plan.index_of[instrument])
        assert found is not None, f"{plan.name(instrument)} is stale"
        assert tuple(map(list, found)) == venue.levels(instrument)
    assert len(venue.books.books) > 80


def stretches_of(packets, number):
    """So many stretches; from the beginning again when the capture is at its end."""
    return [BEGIN + turn * STRETCH % (len(packets) - BEGIN - STRETCH) for turn in range(number)]


@pytest.mark.parametrize("policy", ["after_fcs", "cut_through"])
def test_flipped_bytes(plan, policy, soak):
    packets = [packet.data for packet in plan.capture.packets()]
    rng = random.Random(policy)
    stretches = stretches_of(packets, 800 if soak else 20 if policy == "after_fcs" else 8)
    # Under cut_through instruments of damaged frames are disarmed: each life begins armed.
    lives = [stretches] if policy == "after_fcs" else [stretches[at:at + 2] for at in
                                                       range(0, len(stretches), 2)]
    venue = SnapshotRound(packets)
    for life in lives:
        line = Line(plan, policy)
        play_stretches(plan, venue, packets, line, rng, life)
        line.close()
