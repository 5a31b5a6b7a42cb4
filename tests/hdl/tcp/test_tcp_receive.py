# amaranth: UnusedElaboratable=no
"""TcpReceive: segments built by scapy and broken by hand; fields, payload, counts, latencies."""

import random
import struct

import pytest
from ip_bench import Frame, internet_checksum
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import ARP, Dot1Q, Ether
from segment_bench import (
    CONNECTION,
    FCS,
    LISTENER,
    OWN_ADDRESS,
    OWN_MAC,
    build,
    expected,
    number,
    packet,
    padded,
    receive,
)
from tickwire.hdl.tcp.match import BindingTable
from tickwire.hdl.tcp.segment_queue import SegmentQueue

LINK = 14                       # bytes before the IPv4 header without a VLAN tag


def check(result, packets, payloads, *, gapless=True, mss=536):
    """All of them came out, each in its cycle if nothing waited."""
    assert result.counts == [["accepted"]] * len(packets)
    assert all(result.claimed)
    for segment, frame, payload in zip(result.segments, packets, payloads, strict=True):
        assert segment == expected(frame=frame, length=len(payload), mss=mss)
    assert result.payloads == [payload for payload in payloads if payload]
    if gapless:
        ends = [result.ends[index] for index in range(len(packets))]
        assert [at - end for at, end in zip(result.at, ends, strict=True)] == [4] * len(packets)
        ends = [end for end, payload in zip(ends, payloads, strict=True) if payload]
        assert [at - end for at, end in zip(result.payload_at, ends, strict=True)] == [7] * len(
            ends)


@pytest.mark.parametrize("lane", [0, 4])
@pytest.mark.parametrize("vlan", [False, True])
def test_every_length_in_both_lanes(lane, vlan):
    rng = random.Random(2)
    payloads = [rng.randbytes(size) for size in (*range(75), 535, 536, 1459, 1460)]
    packets = [packet(payload, vlan=vlan, seq=rng.getrandbits(32), ack=rng.getrandbits(32),
                      window=rng.getrandbits(16), flags=rng.choice(["A", "PA", "FA", "R", "FPA"]))
               for payload in payloads]
    frames = [Frame(padded(bytes(one)), lane, gap=1 + index % 4)
              for index, one in enumerate(packets)]
    check(receive(frames), packets, payloads)


@pytest.mark.parametrize("lane", [0, 4])
def test_ip_and_tcp_options_of_every_length(lane):
    rng = random.Random(3)
    packets, payloads = [], []
    for ip_words in range(11):
        for tcp_words in range(11):
            payloads.append(rng.randbytes(rng.choice([0, 1, 2, 3, 7, 8, 9, 30])))
            packets.append(packet(
                payloads[-1], vlan=rng.randrange(2), ip_options=b"\x01" * 4 * ip_words,
                options=[("NOP", None)] * 4 * tcp_words, seq=rng.getrandbits(32)))
    frames = [Frame(padded(bytes(one)), lane, gap=rng.randrange(1, 3)) for one in packets]
    check(receive(frames), packets, payloads)


def test_pauses_everywhere_and_long_segments():
    rng = random.Random(4)
    payloads = [rng.randbytes(rng.choice([0, 1460, rng.randrange(1, 300)])) for _ in range(30)]
    packets = [packet(payload, seq=rng.getrandbits(32)) for payload in payloads]
    frames = [Frame(padded(bytes(one)), rng.choice([0, 4]), bubbles=rng.choice([0, 0.1, 0.6]),
                    gap=rng.randrange(1, 5)) for one in packets]
    check(receive(frames, ready=0.02, payload_ready=0.7, payload_depth=2048, depth=30, drain=1500),
          packets, payloads, gapless=False)


def mended(octets):
    """Checksums of an untagged packet made right for whatever stands in it now."""
    octets = bytearray(octets)
    start = LINK + (octets[LINK] & 15) * 4
    end = LINK + int.from_bytes(octets[16:18])
    octets[24:26] = bytes(2)
    octets[24:26] = struct.pack(">H", internet_checksum(octets[LINK:start]))
    octets[start + 16:start + 18] = bytes(2)
    pseudo = octets[26:34] + bytes([0, 6]) + struct.pack(">H", max(0, end - start))
    octets[start + 16:start + 18] = struct.pack(">H", internet_checksum(
        bytes(pseudo + octets[start:end])))
    return bytes(octets)


def patched(octets, offset, value):
    return mended(octets[:offset] + value + octets[offset + len(value):])


def faults():
    good = build(b"payload of this segment")
    length = int.from_bytes(good[16:18])

    def flipped(at):
        return good[:at] + bytes([good[at] ^ 1]) + good[at + 1:]

    return [
        (["accepted"], good),
        ([], bytes(Ether(dst=OWN_MAC) / ARP()) + bytes(18) + FCS),
        ([], bytes(Ether(dst=OWN_MAC) / Dot1Q() / Dot1Q() / packet()[IP]) + FCS),
        ([], bytes(Ether(dst=OWN_MAC) / IP(dst=OWN_ADDRESS) / UDP() / bytes(30)) + FCS),
        ([], build(b"another card's", mac="02:00:00:0a:0b:0d")),
        ([], build(b"another card's", mac="02:00:01:0a:0b:0c")),
        ([], build(b"to all", mac="ff:ff:ff:ff:ff:ff")),
        ([], build(b"another address", dst="192.168.7.6")),
        (["header"], patched(good, LINK, b"\x55")),
        (["header"], patched(good, 16, struct.pack(">H", length + 1))),
        (["header"], patched(good, 16, struct.pack(">H", 39))),
        (["header"], patched(good, 16, struct.pack(">H", 19))),
        (["header"], patched(good, 16, b"\0\0")),
        (["header"], patched(good, 16, b"\xff\xff")),
        (["header"], patched(good, 20, b"\x20\x00")),
        (["header"], patched(good, 20, b"\x00\x01")),
        (["accepted"], patched(good, 20, b"\x40\x00")),
        (["header"], patched(good, 22, b"\0")),
        (["header"], patched(good, 46, b"\x40")),
        (["header"], patched(good, 46, b"\x00")),
        (["header"], patched(good, 46, b"\xb0")),
        (["accepted", "options"], patched(good, 46, b"\x60")),      # "payl" is a wrong list
        (["header"], build(bytes(1461))),
        (["header"], build(b"from a group", peer_mac="03:11:22:33:44:55")),
        *((["header", "unmatched"], patched(good, 26, bytes([first, 1, 2, 3])))
          for first in (0, 127, 224, 239, 255)),
        (["checksum"], flipped(24)),
        (["checksum"], flipped(19)),
        (["checksum"], flipped(50)),
        (["checksum"], flipped(38)),
        (["checksum"], flipped(len(good) - 5)),
        (["accepted"], good),
    ]


@pytest.mark.parametrize("lane", [0, 4])
def test_each_fault_is_counted_in_one_place(lane):
    cases = faults()
    result = receive([Frame(octets, lane, gap=1) for _, octets in cases], claim_all=True)
    assert result.counts == [counts for counts, _ in cases]
    assert result.claimed == [bool(counts) for counts, _ in cases]
    accepted = [octets for counts, octets in cases if "accepted" in counts]
    assert len(result.segments) == len(result.payloads) == len(accepted)


@pytest.mark.parametrize("lane", [0, 4])
def test_every_flipped_byte_is_noticed(lane):
    """One's-complement sums find each single bit; MAC addresses and types say it is not ours."""
    rng = random.Random(5)
    good = bytes(packet(b"bits that flip", options=[("MSS", 1400)]))
    frames = []
    for at in range(len(good)):
        changed = bytearray(good)
        changed[at] ^= 1 << rng.randrange(8)
        frames += [Frame(padded(changed), lane, gap=1)]
    frames.append(Frame(padded(good), lane))
    result = receive(frames, claim_all=True)
    # The sender's MAC address and padding nothing but the FCS can check.
    for at, counts in enumerate(result.counts):
        assert ("accepted" in counts) == (at in {*range(7, 12), len(good)} or (
            at == 6 and "header" not in counts)), at
        if 12 <= at < 14 or at < 6 or 30 <= at < 34 or at == 23:
            assert counts == [] and not result.claimed[at]      # is not ours
        elif at >= LINK:
            assert set(counts) <= {"header", "checksum", "unmatched", "accepted"} and counts, at
    assert result.segments[-1]["mss"] == 1400


@pytest.mark.parametrize("lane", [0, 4])
@pytest.mark.parametrize("vlan", [False, True])
def test_cut_anywhere_and_the_next_one_served(lane, vlan):
    whole = build(bytes(range(64)), options=[("NOP", None)] * 8, vlan=vlan)
    frames = []
    for length in range(1, len(whole)):
        frames += [Frame(whole[:length], lane, good=length >= 64, gap=1),
                   Frame(build(b"next one"), lane ^ 4 * (length % 2), gap=1)]
    result = receive(frames)
    for index, frame in enumerate(frames):
        if index % 2:
            assert result.counts[index] == ["accepted"] and result.claimed[index]
        else:
            assert result.counts[index] == (["header"] if frame.good else [])
    assert result.payloads == [b"next one"] * (len(frames) // 2)


def test_a_damaged_frame_leaves_no_trace():
    payloads = [bytes([index]) * 20 for index in range(20)]
    frames = [Frame(build(payload), good=index % 3 != 0, gap=1)
              for index, payload in enumerate(payloads)]
    result = receive(frames, claim_all=True)
    kept = [payload for index, payload in enumerate(payloads) if index % 3]
    assert result.payloads == kept and len(result.segments) == len(kept)
    assert result.claimed == [frame.good for frame in frames]


def test_rows():
    """A connection's row goes before a listening one; the others' ports are nobody's."""
    rows = {0: LISTENER, 2: CONNECTION | {"address": number("10.0.0.1")}, 5: CONNECTION,
            6: CONNECTION, 7: {"valid": 0, "listening": 1, "local_port": 99}}
    kinds = [({}, 5), ({"src": "10.0.0.1"}, 2), ({"src": "10.0.0.2"}, 0), ({"sport": 51001}, 0),
             ({"dport": 99}, None), ({"dport": 80}, None)]
    frames = [Frame(build(b"x" * 9, **kind), gap=1) for kind, _ in kinds]
    for claim_all in (False, True):
        result = receive(frames, rows, claim_all=claim_all)
        assert result.claimed == [claim_all or session is not None for _, session in kinds]
        matched = [segment for segment in result.segments if segment["matched"]]
        assert [segment["session"] for segment in matched] == [
            session for _, session in kinds if session is not None]
        assert result.payloads == [b"x" * 9] * 4
        strays = [segment for segment in result.segments if not segment["matched"]]
        assert [segment["local_port"] for segment in strays] == ([99, 80] if claim_all else [])
        assert [counts for counts, (_, session) in zip(result.counts, kinds, strict=True)
                if session is None] == [["accepted", "unmatched"] if claim_all else [
                    "unmatched"]] * 2


def test_no_room_drops_segment_and_payload_together():
    rng = random.Random(6)
    payloads = [rng.randbytes(rng.randrange(0, 200)) for _ in range(150)]
    packets = [packet(payload, seq=index) for index, payload in enumerate(payloads)]
    frames = [Frame(padded(bytes(one)), gap=1) for one in packets]
    for depth, payload_depth, ready, payload_ready in ((4, 4096, 0.04, 1), (200, 64, 1, 0.5),
                                                       (4, 128, 0.05, 0.8)):
        result = receive(frames, depth=depth, payload_depth=payload_depth, ready=ready,
                         payload_ready=payload_ready)
        kept = [index for index, counts in enumerate(result.counts) if counts == ["accepted"]]
        assert all(counts in (["accepted"], ["no_room"]) for counts in result.counts)
        assert 10 < len(kept) < 140
        assert [segment["seq"] for segment in result.segments] == kept
        assert result.payloads == [payloads[index] for index in kept if payloads[index]]
        assert all(result.claimed)


def test_sum_that_wraps_often():
    frame = packet(b"\xff" * 1460)
    check(receive([Frame(padded(bytes(frame)))]), [frame], [b"\xff" * 1460])


def test_nonsense_is_rejected():
    with pytest.raises(ValueError, match=r"^BindingTable sessions must be from 1 to 64, as a "
                                         r"session's index has 6 bits, not 65$"):
        BindingTable(65)
    with pytest.raises(ValueError, match=r"^SegmentQueue depth must be at least 1 segment, "
                                         r"not 0$"):
        SegmentQueue(0)
