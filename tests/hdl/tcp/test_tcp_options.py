"""The MSS option is found wherever it stands, and a malformed list does no harm (MUST-5 to 7)."""

import random

import pytest
from ip_bench import Frame
from scapy.layers.inet import TCP
from segment_bench import LISTENER, OWN_ADDRESS, build, packet, padded, receive

MSS = b"\x02\x04"


def with_list(octets, payload=b""):
    """The list is payload to scapy, so that it stays as it is; so the offset is written by hand."""
    frame = packet(octets + payload, flags="S")
    frame[TCP].dataofs = 5 + len(octets) // 4
    return padded(bytes(frame))


def parse(octets):
    """What RFC 9293, 3.2 and 3.7.1 say of a list: (MSS, malformed)."""
    mss, at = 536, 0
    while at < len(octets) and octets[at] != 0:
        if octets[at] == 1:
            at += 1
            continue
        length = octets[at + 1] if at + 1 < len(octets) else 0
        if length < 2 or at + length > len(octets):
            return mss, True
        if octets[at] == 2 and length == 4:
            mss = int.from_bytes(octets[at + 2:at + 4])
        at += length
    return mss, False


def check(lists, rng, payload=b""):
    frames = [Frame(with_list(octets, payload), rng.choice([0, 4]), gap=1) for octets in lists]
    result = receive(frames, {0: LISTENER})
    for octets, segment, counts in zip(lists, result.segments, result.counts, strict=True):
        mss, malformed = parse(octets)
        assert segment["mss"] == mss, octets.hex(" ")
        assert counts == ["accepted"] + ["options"] * malformed, octets.hex(" ")
        assert segment["flags"] == "S" and segment["length"] == len(payload)
    assert result.payloads == [payload] * (len(lists) if payload else 0)


@pytest.mark.parametrize("payload", [b"", b"data of a SYN"])
def test_mss_at_every_place(payload):
    rng = random.Random(11)
    lists = []
    for before in range(37):
        fill = before
        octets = b""
        while fill:
            size = rng.choice([size for size in (1, 2, 3, 4, 10, 18, 30) if size <= fill])
            unknown = bytes([rng.randrange(3, 255), size]) + rng.randbytes(max(0, size - 2))
            octets += b"\x01" if size == 1 else unknown
            fill -= size
        octets += MSS + rng.randbytes(2)
        octets += bytes(-len(octets) % 4) if rng.randrange(2) else b"\x01" * (-len(octets) % 4)
        lists.append(octets)
    check(lists, rng, payload)


def test_lists_of_any_bytes():
    rng = random.Random(12)
    lists = []
    for _ in range(250):
        size = 4 * rng.randrange(1, 11)
        kinds = [0, 1, 1, 2, 2, 3, 4, 5, 8, 255, rng.randrange(256)]
        lists.append(bytes(rng.choice(kinds) for _ in range(size)))
    assert 50 < sum(parse(octets)[1] for octets in lists) < 220
    check(lists, rng)


@pytest.mark.parametrize("length", [0, 1, 2, 3, 5, 38, 39, 40, 41, 63, 64, 255])
def test_every_wrong_length(length):
    rng = random.Random(length)
    lists = []
    for words in range(1, 11):
        for at in range(0, 4 * words, 3):
            octets = bytearray(b"\x01" * 4 * words)
            octets[at:at + 2] = bytes([253, length])
            octets[:4] = octets[:4] if at < 4 else MSS + b"\x05\xb4"
            lists.append(bytes(octets[:4 * words]))
    check(rng.sample(lists, 30), rng)


@pytest.mark.parametrize("words", [1, 2, 3, 4, 9, 10])
def test_a_last_option_that_goes_beyond_the_header(words):
    """By any number of bytes, and just not; in both lanes of the header's end."""
    rng = random.Random(words)
    lists = [bytes([1] * (4 * words - 2)) + bytes([253, 2 + over]) for over in range(14)]
    assert [parse(octets)[1] for octets in lists] == [over > 0 for over in range(14)]
    check(lists, rng, rng.randbytes(40))


def test_what_scapy_builds():
    kinds = [[("MSS", 1460)], [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (1, 2)),
                               ("NOP", None), ("WScale", 7)],
             [("NOP", None), ("NOP", None), ("Timestamp", (3, 4)), ("MSS", 9000)], []]
    frames = [Frame(build(flags="S", options=kind, dst=OWN_ADDRESS), gap=1) for kind in kinds]
    result = receive(frames, {0: LISTENER})
    assert [segment["mss"] for segment in result.segments] == [1460, 1460, 9000, 536]
    assert result.counts == [["accepted"]] * 4
