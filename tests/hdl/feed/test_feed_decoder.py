# amaranth: UnusedElaboratable=no
"""FeedDecoder: every kind of message at every alignment, newer and broken ones, sequences."""

import math
import random
import struct

import feed_bench as fb
import pytest
from feed_bench import KNOWN, Sent, check_events, run
from tickwire.hdl.feed.decoder import FeedDecoder

INF, NAN = math.inf, math.nan


def numbered(payloads, **kinds):
    """Datagrams of one channel with sequence numbers in order."""
    return [Sent(fb.datagram(messages, sequence=number), **kinds)
            for number, messages in enumerate(payloads, 1)]


def expect_good(sent, **kinds):
    for one in sent:
        check_events(one, **kinds)
        assert one.verdicts == [(1, kinds.get("suspect", 0))]
        assert one.counts == ["good"]


def expect_malformed(one):
    assert one.verdicts == [(0, 0)] and one.counts == ["malformed"]


EVERY_KIND = [
    fb.book(7, [(0, 0, 101.5, 3.0)]),
    fb.book(0xfedcba98, [(1, 2, -4.25, 0.0), (0, 1, 7e9, 1e-9), (1, 0, 0.0, 5.0)],
            time=2**63 + 5, previous=2**64 - 2, change=2**64 - 1, last=0),
    fb.book(9, []),
    fb.snapshot(7, [(1, 5.5, 10.0), (0, 6.5, 20.0)], complete=0, last=0),
    fb.snapshot(8, []),
    fb.ticker(11, (99.5, 1.0), (100.5, 2.0), time=1687000000123),
    fb.message(1006, b""),
    fb.message(1005, b"\x01\x02\x03\x04"),
    fb.message(1000, bytes(140), data=(b"BTC-PERPETUAL",)),
    fb.message(1010, bytes(139), (fb.group([], 16),), data=(b"BTC-29DEC23-30000-C",)),
    fb.message(1010, bytes(139), (fb.group([bytes(16)] * 2),), data=(b"",)),
    fb.message(1002, bytes(4), (fb.group([bytes(83)] * 3),)),
    fb.message(1007, bytes(4), (fb.group([b"\xff" * 8] * 2),)),
    fb.message(1008, bytes(32)),
    fb.message(1009, bytes(22)),
    fb.message(4711, b"unknown"),
]


@pytest.mark.parametrize("begin", range(8))
def test_every_message_at_every_alignment(begin):
    # Empty messages of 12 bytes move what follows by four; data of 0 to 3 bytes by one.
    sent = numbered([[fb.message(1000, bytes(140), data=(bytes(size),)), fb.message(1006, b""),
                      *EVERY_KIND] for size in (0, 3)], begin=begin)
    messages = run(sent)
    expect_good(sent)
    templates = [template for one in sent for template in fb.read(one.payload)[1]]
    assert messages == [*(templates.count(known) for known in KNOWN),
                        sum(template not in KNOWN for template in templates)]


def random_message(rng):
    """Anything that can be walked: known and unknown, with lengths of newer versions."""
    def price():
        return rng.choice([0.0, -0.0, 1.0, -1.0, rng.uniform(-1e5, 1e5), 5e-324, 1e300,
                           rng.randrange(10**6) / 2])

    def octets(size):
        return rng.randbytes(size)

    def extra():
        return octets(rng.choice([0, 0, 0, 1, 7, 8, 9, 30]))

    def skipped_group():
        size = rng.choice([8, 9, 13, 16, 83])
        return fb.group([octets(size) for _ in range(rng.choice([0, 0, 1, 2, 3]))], size)

    kind = rng.choice([1001, 1001, 1004, 1004, 1003, 1003, 0, 0, 1006])
    groups = [skipped_group() for _ in range(rng.choice([0, 0, 0, 1, 2]))]
    if kind == 1001:
        levels = [(rng.randrange(2), rng.randrange(3), price(), price())
                  for _ in range(rng.choice([0, 1, 1, 2, 5]))]
        data = [octets(rng.choice([0, 9]))] if groups and rng.random() < 0.3 else []
        return fb.book(rng.getrandbits(32), levels, time=rng.getrandbits(64),
                       previous=rng.getrandbits(64), change=rng.getrandbits(64),
                       last=rng.randrange(2), more=extra(), entry_more=extra(), groups=groups,
                       data=data)
    if kind == 1004:
        levels = [(rng.randrange(2), price(), price()) for _ in range(rng.choice([0, 1, 3, 6]))]
        return fb.snapshot(rng.getrandbits(32), levels, time=rng.getrandbits(64),
                           change=rng.getrandbits(64), complete=rng.randrange(2),
                           last=rng.randrange(2), more=extra(), entry_more=extra(), groups=groups)
    if kind == 1003:
        bid, ask = ([rng.choice([price(), price(), price(), NAN, INF, -INF]), price()]
                    for _ in range(2))
        return fb.ticker(rng.getrandbits(32), bid, ask, time=rng.getrandbits(64), more=extra(),
                         groups=groups)
    if kind == 1006:
        return fb.message(1006, b"")
    template = rng.choice([1000, 1002, 1005, 1007, 1008, 1009, 1010, 999, 1011, 0, 0xffff])
    data = [octets(size) for size in rng.choice([(), (), (0,), (5,), (30,), (7, 0), (40, 12, 3)])]
    return fb.message(template, octets(rng.choice([7, 8, 20, 140])), groups, data)


@pytest.mark.parametrize("seed", range(4))
def test_random_messages(seed):
    rng = random.Random(seed)
    payloads = []
    for _ in range(45):
        messages = [random_message(rng) for _ in range(rng.randrange(7))]
        payloads.append(messages)
    sent = numbered(payloads)
    for one in sent:
        one.begin = rng.choice([2, 6, 2, 6, rng.randrange(8)])
        one.bubbles = rng.choice([0, 0, 0.2, 0.6])
    messages = run(sent, seed)
    expect_good(sent)
    templates = [template for one in sent for template in fb.read(one.payload)[1]]
    assert messages == [*(templates.count(known) for known in KNOWN),
                        sum(template not in KNOWN for template in templates)]


def test_cut_and_extended_anywhere():
    rng = random.Random(8)
    first = fb.book(1, [(0, 0, 1.0, 2.0)] * 2)
    whole = fb.datagram([fb.message(1008, bytes(32)), first,
                         fb.message(1010, bytes(20), (fb.group([], 16),), (b"name",)),
                         fb.snapshot(3, [(1, 1.0, 2.0)])])
    cuts = [whole[:length] for length in range(1, len(whole))]
    # With the length in the frame header corrected, only the chain of lengths can tell.
    ends = {8, 52, 52 + len(first), len(whole) - len(fb.snapshot(3, [(1, 1.0, 2.0)]))}
    sent = []
    for cut in cuts:
        corrected = struct.pack("<H", max(len(cut) - 8, 0)) + cut[2:]
        sent.append((Sent(rng.choice([cut, corrected[:len(cut)]]), begin=rng.choice([2, 6]),
                          reset=3), False))
    sent += [(Sent(whole + bytes(more), reset=3), False) for more in range(1, 14)]
    good = [(one, is_good) for one, is_good in sent if len(one.payload) not in ends]
    stream = []
    for index, (one, is_good) in enumerate(good):
        stream.append((one, is_good))
        if index % 20 == 0:
            stream.append((Sent(whole, reset=3), True))
    run([one for one, _ in stream])
    for one, is_good in stream:
        if is_good:
            expect_good([one])
        else:
            expect_malformed(one)
            # No event is made of what stands behind the payload in its last beat.
            assert [event.kind for _, event in one.events] == [
                item.kind for item in fb.read(whole)[0] if item.end <= len(one.payload)]


def replaced(octets, offset, form, value):
    changed = bytearray(octets)
    struct.pack_into(form, changed, offset, value)
    return bytes(changed)


def test_lengths_and_counts_of_zero_and_maximum():
    whole = fb.datagram([fb.book(1, [(0, 0, 1.0, 2.0), (1, 0, 0.5, 2.0)]),
                         fb.message(1000, bytes(16), data=(b"BTC",)),
                         fb.message(1002, bytes(4), (fb.group([bytes(20)]),)),
                         fb.book(2, [])])
    broken = []
    book, instrument = 8, 8 + 12 + 29 + 8 + 36
    trades = instrument + 12 + 16 + 4
    for place in (book, instrument, trades):
        for field in (0, 8, 10):                            # blockLength, numGroups, numVarData
            for value in (0, 1, 0x7ff, 0x800, 0xffff):
                broken.append(replaced(whole, place + field, "<H", value))
        broken.append(replaced(whole, place + 4, "<H", 2))  # schemaId
    for place in (book + 41, trades + 16):
        for field in range(0, 8, 2):
            for value in (0, 1, 255, 256, 0xffff):
                broken.append(replaced(whole, place + field, "<H", value))
    broken += [replaced(whole, instrument + 28, "<B", value) for value in (0, 2, 4, 255)]
    broken += [replaced(whole, 0, "<H", value) for value in (0, len(whole) - 7, 0xffff)]
    broken = [octets for octets in broken if octets != whole]
    sent = []
    for octets in broken:
        sent += [Sent(octets, begin=6, reset=3), Sent(whole, reset=3)]
    run(sent)
    for index, octets in enumerate(broken):
        bad, good = sent[2 * index:2 * index + 2]
        expect_good([good])
        if octets[instrument:instrument + 12] == fb.header(1000, 16, 0, 0):
            continue        # what follows happens to be read as another message, or does not
        expect_malformed(bad)


def test_impossible_values_void_the_datagram():
    levels = [(0, 0, 1.0, 2.0), (1, 0, 0.5, 2.0)]
    broken = [
        fb.book(1, [(2, 0, 1.0, 2.0)]), fb.book(1, [levels[0], (255, 0, 1.0, 2.0)]),
        fb.book(1, [(0, 3, 1.0, 2.0)]), fb.book(1, [(0, 0, NAN, 2.0)]),
        fb.book(1, [(0, 0, INF, 2.0), levels[1]]), fb.book(1, levels, last=2),
        fb.snapshot(1, [(2, 1.0, 2.0)]), fb.snapshot(1, [(1, -INF, 2.0)]),
        fb.snapshot(1, [], complete=2), fb.snapshot(1, [], last=128),
        fb.message(1001, bytes(28), (fb.group([], 18),)),
        fb.message(1004, bytes(21), (fb.group([], 17),)),
        fb.message(1003, bytes(92)),
        fb.message(1001, bytes(29), (fb.group([bytes(17)]),)),
        fb.message(1004, bytes(22), (fb.group([bytes(16)]),)),
        fb.message(1001, bytes(29)), fb.message(1004, bytes(22)),
        fb.message(1002, bytes(4), (fb.group([bytes(7)] * 2),)),
        fb.message(1002, bytes(4), (fb.group([bytes(20)], nested=(1, 0)),)),
        fb.message(1002, bytes(4), (fb.group([bytes(20)], nested=(0, 1)),)),
        fb.message(1002, bytes(4), tuple(fb.group([], 20) for _ in range(16))),
        fb.message(1111, bytes(8), data=tuple(bytes(7) for _ in range(16))),
        fb.message(1111, bytes(6), data=(b"too near",)),
        fb.message(1111, bytes(8), data=(bytes(6), b"too near")),
        fb.message(1111, bytes(8), (fb.group([], 8),), data=(bytes(6), b"too near")),
        fb.book(1, [], data=(b"behind no level",)), fb.book(1, levels, data=(b"behind levels",)),
        fb.ticker(1, (1.0, 2.0), (3.0, 4.0), data=(b"right behind the block",))[:-1],
        fb.header(1006, 0, schema=2),
    ]
    after = fb.book(1, levels)
    sent = []
    for number, octets in enumerate(broken):
        for begin in (2, number % 8):
            sent += [Sent(fb.datagram([octets, after]), begin=begin, reset=3),
                     Sent(fb.datagram([after]), reset=3)]
    run(sent)
    for bad, good in zip(sent[::2], sent[1::2], strict=True):
        expect_malformed(bad)
        expect_good([good])


def test_data_that_stands_far_enough_behind_fields():
    far = [fb.book(1, [(0, 0, 1.0, 2.0)] * 2, entry_more=bytes(7), data=(b"BTC",)),
           fb.ticker(1, (1.0, 2.0), (3.0, 4.0), data=(b"BTC", )),
           fb.message(1111, bytes(7), data=(bytes(7), b"", )),
           fb.book(1, [], groups=(fb.group([], 20),), data=(b"BTC",))]
    sent = numbered([far] * 8)
    for begin, one in enumerate(sent):
        one.begin = begin
    run(sent)
    expect_good(sent)


@pytest.mark.parametrize("shift", range(0, 8, 3))
def test_sequence_numbers(shift):
    body = [fb.book(1, [(0, 0, 1.0, 2.0)])]

    def one(sequence, channel=3, **kinds):
        return Sent(fb.datagram(body, sequence), channel=channel, **kinds)

    cases = [   # datagram, events, suspect, verdict, counts
        (one(100), True, 0, [(1, 0)], ["good"]),
        (one(100), False, 0, [], ["duplicate"]),
        (one(101), True, 0, [(1, 0)], ["good"]),
        (one(7, channel=63), True, 0, [(1, 0)], ["good"]),
        (one(104), True, 1, [(1, 1)], ["good", "gap"]),
        (one(103), False, 0, [], ["duplicate"]),
        (one(105, good=False), True, 0, [(0, 0)], []),
        (one(105), True, 0, [(1, 0)], ["good"]),
        (one(107, good=False), True, 1, [(0, 0)], []),
        (one(107), True, 1, [(1, 1)], ["good", "gap"]),
        (one(9, match=False), False, 0, [], []),
        (one(8, channel=63), True, 0, [(1, 0)], ["good"]),
        (one(5, reset=3), True, 0, [(1, 0)], ["good"]),
        (one(9, channel=63, reset=3), True, 0, [(1, 0)], ["good"]),
        (one(2**32 - 1, channel=0), True, 0, [(1, 0)], ["good"]),
        (one(0, channel=0), True, 0, [(1, 0)], ["good"]),
        (one(2**32 - 1, channel=0), False, 0, [], ["duplicate"]),
        (one(3, channel=0), True, 1, [(1, 1)], ["good", "gap"]),
        (one(2**31 + 3, channel=0), True, 1, [(1, 1)], ["good", "gap"]),
        (one(2**31 + 4 - 1024, channel=0), False, 0, [], ["duplicate"]),
        (one(2**31 + 3 - 1024, channel=0), True, 1, [(1, 1)], ["good", "gap"]),
        (one(2**31 + 4 - 1024, channel=0), True, 0, [(1, 0)], ["good"]),
        (one(2**32 + 5 - 1024, channel=0), True, 1, [(1, 1)], ["good", "gap"]),
        (one(2**32 - 1, channel=0), True, 1, [(1, 1)], ["good", "gap"]),
        (one(2**32 - 1024, channel=0), False, 0, [], ["duplicate"]),
        (one(2**32 - 1025, channel=0), True, 1, [(1, 1)], ["good", "gap"]),
        (one(4, channel=0), True, 1, [(1, 1)], ["good", "gap"]),
        (Sent(fb.datagram([], 6)), False, 0, [(1, 0)], ["good"]),
        (Sent(fb.datagram([], 8)), False, 0, [(1, 1)], ["good", "gap"]),
        (Sent(b"short"), False, 0, [(0, 0)], ["malformed"]),
        (one(9), True, 0, [(1, 0)], ["good"]),
    ]
    for index, case in enumerate(cases):
        case[0].begin = (index + shift) % 8
    messages = run([case[0] for case in cases])
    for sent, has_events, suspect, verdicts, counts in cases:
        if has_events:
            check_events(sent, suspect=suspect)
        else:
            assert sent.events == []
        assert (sent.verdicts, sent.counts) == (verdicts, counts)
    assert sum(messages) == messages[1] == sum(
        case[1] and case[3][0][0] for case in cases), "messages of good datagrams only"


def test_foreign_datagrams_leave_no_trace():
    rng = random.Random(11)
    sent = []
    for number in range(1, 30):
        sent += [Sent(rng.randbytes(rng.randrange(1, 200)), match=False, begin=rng.choice([2, 6])),
                 Sent(fb.datagram(EVERY_KIND[:6], number))]
    messages = run(sent)
    for foreign, good in zip(sent[::2], sent[1::2], strict=True):
        assert (foreign.events, foreign.verdicts, foreign.counts) == ([], [], [])
        expect_good([good])
    assert sum(messages) == 29 * 6


def test_most_messages_that_a_frame_holds():
    sent = numbered([[fb.message(1006, b"")] * 122] * 3)
    assert run(sent)[6] == 366
    expect_good(sent)


def test_nonsense_is_rejected():
    with pytest.raises(ValueError, match=r"^FeedDecoder channels must be a power of two between "
                                         r"2 and 64, not 48$"):
        FeedDecoder(channels=48)
