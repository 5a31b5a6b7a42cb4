"""Real frames cut at every byte and frames that go on behind their packet, on the whole gateway.

Each bad frame is followed by a good one, which has to move its book and bring a decision.
"""

import random
from collections import Counter

import pytest
from damage import CUTS, PAYLOAD, cut, numbered
from frame_rules import on_the_wire
from gateway_bench import resum, with_payload
from robust_bench import Heartbeat, Line, plan_of, some_of_each

POLICIES = ("after_fcs", "cut_through")
DROPS = ("RX_RUNT", "RX_FCS", "RX_OVERSIZE", "IP_BAD_IP_HEADER", "IP_UDP_LENGTH",
         "FEED_MALFORMED", "FEED_DUPLICATE")
LONGEST = 1514              # bytes of a frame without its FCS and tags
TAG = b"\x81\x00\x20\x07"

# Captures, types of message of which frames are cut, and how many of each type: a few, in the soak.
SAMPLE = ("sample_capture_v1_6", (), 1, 10)
COMBO_LEGS = ("combo_legs", ("comboLegs",), 1, 10)
RFQ = ("rfq", ("rfq",), 2, 10)


def drops(counters):
    return {name: counters[name] for name in DROPS if counters[name]}


def must_drop(frame, how):
    """The counter of each cut, from its length alone."""
    length = len(on_the_wire(frame))
    if how == "wire":
        return Counter("RX_RUNT" if left < 64 else "RX_FCS" for left in range(length))
    if how == "frame":
        return Counter("RX_RUNT" if left + 4 < 64 else "IP_BAD_IP_HEADER"
                       for left in range(len(frame)))
    # A datagram without payload is one, but says nothing.
    return Counter(FEED_MALFORMED=len(frame) - PAYLOAD - 1)


def cut_everywhere(capture, how, policy, soak):
    """Plays a capture in which some frames come in pieces first; its last part is left out."""
    name, types, few, many = capture
    plan = plan_of(name)
    packets = [packet.data for packet in plan.capture.packets()]
    chosen = some_of_each(packets, many if soak else few, types)
    line, pulse = Line(plan, policy), Heartbeat()

    def frames():
        yield on_the_wire(pulse.first())
        for place, packet in enumerate(packets[:chosen[-1] + 100]):
            for piece in cut(packet, how) if place in chosen else ():
                yield piece
                yield on_the_wire(pulse.beat())
            yield on_the_wire(packet)

    played = line.play(frames(), raw=True)
    must = sum((must_drop(packets[place], how) for place in chosen), Counter())
    assert drops(played.counters) == must and sum(must.values()) > 60
    healthy = line.check_books()
    line.close()
    return plan, played, healthy, pulse


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("how", CUTS)
def test_frames_cut_at_every_byte(how, policy, soak):
    plan, played, healthy, pulse = cut_everywhere(SAMPLE, how, policy, soak)
    stale = len(plan.instruments) - healthy
    # After a bad frame its instruments are stale only where an order might have left on it.
    assert stale == 0 if policy == "after_fcs" else stale > 0
    assert played.counters["BOOK_UPDATES"] > pulse.change > 1000
    assert "FEED_GAP" not in played.counters


@pytest.mark.parametrize("how", CUTS)
def test_requests_for_quotes_cut_at_every_byte(how, soak):
    cut_everywhere(RFQ, how, "after_fcs", soak)


def test_combo_legs_cut_at_every_byte(soak):
    for how in CUTS if soak else ("datagram",):
        cut_everywhere(COMBO_LEGS, how, "after_fcs", soak)


def test_what_stands_behind_a_packet_is_padding_up_to_the_longest_frame():
    rng = random.Random(1)
    line, pulse = Line(plan_of("rfq")), Heartbeat()
    line.play([pulse.first()])

    def padded(frame, length):
        return frame + rng.randbytes(length - len(frame))

    def tagged(frame):
        return frame[:12] + TAG + frame[12:]

    beat = pulse.beat()
    lengths = range(len(beat) + 1, LONGEST + 1)
    played = line.play([beat, *(padded(pulse.beat(), length) for length in lengths)])
    assert drops(played.counters) == {}
    assert played.counters["BOOK_UPDATES"] == 1 + len(lengths) > 1000

    # With a tag a frame may be four bytes longer. Where the limit is passed, nothing is taken.
    beat = pulse.beat()
    for tag, longest in ((bytes, LONGEST), (tagged, LONGEST + 4)):
        played = line.play(padded(tag(beat), longest + more) for more in range(1, 50))
        assert drops(played.counters) == {"RX_OVERSIZE": 49}
        assert not line.machine.take_records().size
    played = line.play([padded(tagged(beat), LONGEST + 4), padded(pulse.beat(), LONGEST)])
    assert played.counters["BOOK_UPDATES"] == 2 and drops(played.counters) == {}
    assert line.check_books() == 1
    line.close()


def test_real_frames_with_padding_are_read_as_without():
    plan = plan_of()
    packets = [packet.data for packet in plan.capture.packets()][:2000]
    chosen = some_of_each(packets, 2)
    rng = random.Random(2)
    line = Line(plan)
    again = 0

    def frames():
        nonlocal again
        for place, packet in enumerate(packets):
            if place in chosen:
                for length in {*range(len(packet) + 1, len(packet) + 17), LONGEST}:
                    if length <= LONGEST:
                        again += 1
                        frame = numbered(packet, line.expected(packet))
                        yield frame + rng.randbytes(length - len(frame))
            yield numbered(packet, line.expected(packet))

    played = line.play(frames())
    assert again > 100 and played.counters["FEED_GOOD"] == len(packets) + again
    assert drops(played.counters) == {}
    line.check_books()
    line.close()


def test_bytes_behind_the_messages_void_a_datagram():
    line, pulse = Line(plan_of("rfq")), Heartbeat()
    line.play([pulse.first()])
    rng = random.Random(3)
    for more in [*range(1, 65), LONGEST]:
        beat = pulse.beat()
        more = min(more, LONGEST - len(beat))
        inside = with_payload(beat, beat[PAYLOAD:] + rng.randbytes(more))
        # The same bytes in the IPv4 packet, but not in the UDP datagram.
        beside = bytearray(inside)
        beside[38:40] = beat[38:40]
        played = line.play([inside, resum(bytes(beside), lengths=False), beat])
        assert drops(played.counters) == {"FEED_MALFORMED": 1, "IP_UDP_LENGTH": 1}
        assert played.counters["BOOK_UPDATES"] == 1
    line.close()
