"""Lengths, counts and identifiers in real frames set wrong behind right checksums."""

from collections import Counter

import pytest
from damage import PAYLOAD, fields, numbered, replaced, wrong_values
from datagram_rules import StructureError, read
from robust_bench import Heartbeat, Line, plan_of, some_of_each
from tickwire.sim.models.deribit import DeribitError, parse_datagram

# What may be wrong in a datagram that is taken all the same: what no reader needs, and what makes
# of a message another one that fits.
LENIENT = {"version", "templateId", "group blockLength", "group numGroups",
           "group numVarDataFields"}
# Of these the second reader takes less: it looks at groups without entries, and into messages that
# the gateway skips by their lengths.
STRICTER = LENIENT - {"version"}


def must_drop(frame, field, value):
    """Counters of which one must count a field that stands before the messages."""
    if field.name == "frame length":
        return {"FEED_MALFORMED"}
    if field.name == "UDP length":
        return {"IP_UDP_LENGTH"}
    if field.name == "header length":       # longer: the UDP header is looked for further behind
        return {"IP_BAD_IP_HEADER"} if value < 5 else {"IP_UDP_LENGTH", "IP_BAD_IP_HEADER"}
    if not 20 <= value <= len(frame) - 14:
        return {"IP_BAD_IP_HEADER"}
    return {"IP_UDP_LENGTH"} if field.name == "total length" else {"FEED_MALFORMED"}


def second_opinion(payload):
    """Whether a reader that stands apart from ours finds that all lengths fit."""
    try:
        parse_datagram(payload)
    except DeribitError:
        return False
    return True


def wrong_everywhere(line, packets, chosen):
    """Plays packets; of chosen ones every header field is wrong first. What became of each."""
    pulse, wrong = Heartbeat(), []

    def frames():
        yield pulse.first()
        wrong.append(None)
        for place, packet in enumerate(packets):
            for field in fields(packet) if place in chosen else ():
                for value in wrong_values(field):
                    frame = replaced(numbered(packet, line.expected(packet)), field, value)
                    wrong.extend([(frame, field, value), None])
                    yield frame
                    yield pulse.beat()
            wrong.append(None)
            yield numbered(packet, line.expected(packet))

    played = line.play(frames(), certain=False)
    return [(*one, outcome) for one, outcome in zip(wrong, played.outcomes, strict=True) if one]


def check(wrong):
    """Every outcome against rules that need no knowledge of the decoder."""
    taken = Counter()
    for frame, field, value, outcome in wrong:
        if field.at < PAYLOAD + 8:
            assert outcome.counters[-1] in must_drop(frame, field, value), (field, value)
            continue
        error = read(frame[PAYLOAD:]).error
        if error is None:
            taken[field.name] += 1
            assert outcome.good and field.name in LENIENT, (field, value)
            assert second_opinion(frame[PAYLOAD:]) or field.name in STRICTER, (field, value)
        else:
            assert outcome.counters[-1] == "FEED_MALFORMED", (field, value)
            if isinstance(error, StructureError):
                assert not second_opinion(frame[PAYLOAD:]), (field, value, error)
    return taken


@pytest.mark.parametrize("policy", ["after_fcs", "cut_through"])
def test_every_length_count_and_identifier_set_wrong(policy, soak):
    plan = plan_of()
    packets = [packet.data for packet in plan.capture.packets()]
    chosen = some_of_each(packets, 10 if soak else 2)
    line = Line(plan, policy)
    wrong = wrong_everywhere(line, packets if soak else packets[:chosen[-1] + 50], chosen)
    taken = check(wrong)
    assert len(wrong) > 1000 and taken["version"] > 50
    if policy == "after_fcs":
        line.check_books()
    line.close()


@pytest.mark.parametrize("name, kind", [("combo_legs", "comboLegs"), ("rfq", "rfq")])
def test_messages_of_other_captures_with_wrong_fields(name, kind):
    plan = plan_of(name)
    packets = [packet.data for packet in plan.capture.packets()]
    chosen = some_of_each(packets, 10, [kind])
    line = Line(plan)
    assert check(wrong_everywhere(line, packets, chosen))["version"] > 4
    line.close()
