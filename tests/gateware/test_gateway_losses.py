"""Datagrams missing, repeated, out of order and numbered anew, in a real capture.

What has to follow is said here from the capture alone: which books are stale from which frame on,
and which snapshot mends them. Everywhere else all must be as if nothing had happened.
"""

from dataclasses import dataclass, field
from functools import cache

import pytest
from damage import numbered
from robust_bench import Heartbeat, Line, plan_of
from tickwire.sim.models.deribit import parse_datagram, udp_payload

LENGTH = 3300               # packets that are played: two rounds of snapshots and what follows
BETWEEN = 1200              # a packet between the first round of snapshots and the second
BOOK, SNAPSHOT = 1001, 1004


@dataclass
class Packet:
    """One packet of the capture and what a reader finds in it."""

    data: bytes
    channel: tuple[str, int]
    sequence: int
    messages: list = field(repr=False)


@cache
def packets():
    found = []
    for packet in plan_of().capture.packets():
        address, port, _, payload = udp_payload(packet.data)
        datagram = parse_datagram(payload)
        found.append(Packet(packet.data, (address, port), datagram.sequence, datagram.messages))
    return found[:LENGTH]


def of_channel(channel, begin=0):
    return [place for place, one in enumerate(packets()) if one.channel == channel
            and place >= begin]


def busiest(template, begin):
    """The channel with most messages of this type from a packet on."""
    counts = {}
    for one in packets()[begin:]:
        count = sum(message.template == template for message in one.messages)
        counts[one.channel] = counts.get(one.channel, 0) + count
    return max(counts, key=counts.get)


def indices_of(line, channel):
    """Dense indices of the instruments whose increments come there."""
    dense = next(one.channel for one in line.plan.subscriptions
                 if (one.group, one.port) == channel)
    return {one.index for one in line.plan.instruments if one.channel == dense}


def mended(line, begin):
    """Instrument to the packet, from ``begin`` on, with which a whole snapshot has come."""
    found, parts = {}, set()
    for place, one in enumerate(packets()[begin:], begin):
        for message in one.messages:
            if message.template == SNAPSHOT:
                index = line.plan.index_of[message.fields["instrumentId"]]
                if message.fields["isLastInBook"]:
                    found.setdefault(index, place)
                parts.add(index)
    return found


def play(line, sent):
    """Plays ``(place, frame)`` pairs; what each brought, as ``(place, outcome)``."""
    pulse = Heartbeat()
    outcomes = line.play([pulse.first(), *(frame for _, frame in sent)]).outcomes[1:]
    return [(place, one) for (place, _), one in zip(sent, outcomes, strict=True)]


@cache
def undisturbed():
    """Book events of each packet when all come; the same figures that the venue's tickers show."""
    line = Line(plan_of())
    found = [one.books for _, one in play(line, [(place, one.data) for place, one
                                                 in enumerate(packets())])]
    line.close()
    return found


def counted(outcomes):
    return {name: count for name in ("FEED_GAP", "FEED_DUPLICATE", "FEED_MALFORMED")
            if (count := sum(name in one.counters for _, one in outcomes))}


def check_stale(line, outcomes, channel, begin):
    """The channel's books are stale from packet ``begin`` on until a snapshot; all else is as ever.

    Returns the number of books that were stale.
    """
    concerned, until = indices_of(line, channel), mended(line, begin)
    usual, stale = undisturbed(), set()
    for place, one in outcomes:
        for index, change_id, time, tradable, *touch in one.books:
            event = index, change_id, time, tradable, *touch
            if place < begin or index not in concerned or place > until.get(index, LENGTH):
                assert event in usual[place]
            elif place == until.get(index):
                assert tradable and change_id >= 0
            else:
                assert not tradable
                stale.add(index)
        if place > begin:
            assert not [index for index, _, _ in one.decisions
                        if index in concerned and place < until.get(index, LENGTH)]
        # Nothing is missing of what is not concerned, or is whole again.
        assert [event for event in usual[place] if event[0] not in concerned
                or place < begin or place > until.get(event[0], LENGTH)] == [
            event for event in one.books if event[0] not in concerned
            or place < begin or place > until.get(event[0], LENGTH)]
    for index in concerned:
        assert line.golden.image(index)[0] == (index in until)
    return len(stale)


CASES = ["missing", "reordered", "jump", "restart"]


def disturbed(case, channel):
    """The packets as they come, and from which one on the channel cannot be trusted."""
    places = of_channel(channel, BETWEEN)
    first, second = places[5], places[6]
    sent = [(place, one.data) for place, one in enumerate(packets())]
    if case == "missing":
        del sent[first]
        return sent, second
    if case == "reordered":
        sent[first], sent[second] = sent[second], sent[first]
        return sent, second
    # From here on the channel counts from somewhere else.
    shift = {"jump": 1 << 31, "restart": -packets()[first].sequence - (1 << 12)}[case]
    for place in places[5:]:
        sent[place] = (place, numbered(packets()[place].data,
                                       packets()[place].sequence + shift & 0xFFFFFFFF))
    return sent, first


@pytest.mark.parametrize("policy", ["after_fcs", "cut_through"])
@pytest.mark.parametrize("case", CASES)
def test_books_of_a_channel_are_stale_until_their_snapshots(case, policy):
    channel = busiest(BOOK, BETWEEN)
    sent, begin = disturbed(case, channel)
    line = Line(plan_of(), policy)
    outcomes = play(line, sent)
    assert counted(outcomes) == {"FEED_GAP": 1} | (
        {"FEED_DUPLICATE": 1} if case == "reordered" else {})
    # Those that were not updated before their snapshot said nothing of it.
    assert check_stale(line, outcomes, channel, begin) > 0
    line.check_books()
    line.close()


@pytest.mark.parametrize("template", [BOOK, SNAPSHOT])
def test_a_repeated_datagram_changes_nothing(template):
    places = of_channel(busiest(template, BETWEEN), BETWEEN)
    sent = [(place, one.data) for place, one in enumerate(packets())]
    again = [(place, packets()[place].data) for place in places[:40:4]]
    for turn, one in enumerate(reversed(again)):
        # At once, and behind several others of its channel.
        sent.insert(places[min(len(places) - 1, places.index(one[0]) + turn)] + 1, one)
    line = Line(plan_of())
    outcomes = play(line, sent)
    assert counted(outcomes) == {"FEED_DUPLICATE": len(again)}
    repeated = {id(one) for _, one in outcomes if "FEED_DUPLICATE" in one.counters}
    assert all(not one.books and not one.tickers and not one.decisions
               for _, one in outcomes if id(one) in repeated)
    assert [one.books for _, one in outcomes if id(one) not in repeated] == undisturbed()
    line.check_books()
    line.close()


@pytest.mark.parametrize("template", [BOOK, SNAPSHOT])
def test_numbers_that_pass_2_to_the_32_are_in_order(template):
    channel = busiest(template, BETWEEN)
    places = of_channel(channel)
    middle = packets()[places[len(places) // 2]].sequence
    sent = [(place, numbered(one.data, one.sequence - middle & 0xFFFFFFFF)
             if one.channel == channel else one.data) for place, one in enumerate(packets())]
    line = Line(plan_of())
    outcomes = play(line, sent)
    assert counted(outcomes) == {}
    assert [one.books for _, one in outcomes] == undisturbed()
    line.close()


@pytest.mark.parametrize("case", CASES)
def test_a_loss_among_later_snapshots_leaves_healthy_books_alone(case):
    channel = busiest(SNAPSHOT, BETWEEN)
    sent, _ = disturbed(case, channel)
    line = Line(plan_of())
    assert not indices_of(line, channel)
    outcomes = play(line, sent)
    assert counted(outcomes)["FEED_GAP"] == 1
    usual = undisturbed()
    assert all(one.books == usual[place] for place, one in outcomes)
    line.close()


@pytest.mark.parametrize("lost", [True, False])
def test_a_book_is_not_mended_by_the_second_part_of_its_snapshot(lost):
    """The second round has a snapshot in two datagrams, of which the first is lost, or not."""
    first, message = next((place, message) for place, one in enumerate(packets())
                          for message in one.messages
                          if message.template == SNAPSHOT and not message.fields["isLastInBook"])
    line = Line(plan_of())
    index = line.plan.index_of[message.fields["instrumentId"]]
    channel = next((one.group, one.port) for one in line.plan.subscriptions
                   if one.channel == line.plan.instruments[index].channel)
    sent, begin = disturbed("missing", channel)
    assert begin < first and mended(line, begin)[index] == first + 1
    outcomes = play(line, [one for one in sent if one[0] != first or not lost])
    assert counted(outcomes) == {"FEED_GAP": 1 + lost}
    tradable = [place for place, one in outcomes for row in one.books
                if row[0] == index and row[3] and place >= begin]
    assert tradable == [] if lost else tradable[0] == first + 1
    line.check_books([index])
    assert line.golden.image(index)[0] != lost
    line.close()
