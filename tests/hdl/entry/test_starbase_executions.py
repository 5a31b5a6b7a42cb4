# amaranth: UnusedElaboratable=no
"""Starbase: responses, fills and cancels of orders, against struct."""

import random
import struct

import pytest
from execution_bench import run, said
from tickwire.hdl.entry import entry_walk
from tickwire.hdl.entry.execution_plan import STARBASE_PLAN
from tickwire.hdl.wire.fixed import FixedLayout

ACTIVE, FILLED, CANCELED, QUEUED = 1, 2, 3, 4


def framed(kind, body, sequence, length=None):
    message = struct.pack("<BBHHHqqq", 0xDB, 0, 32 + len(body) if length is None else length, kind,
                          16, sequence, 2, 3) + body
    return message + bytes(-len(message) % 8)


def group(entries, block=None, extra=b""):
    """A group whose entries are ``extra`` longer than we know."""
    block = block if block is not None else len((*entries, b"x" * 25)[0]) + len(extra)
    return struct.pack("<HH", block, len(entries)) + b"".join(entry + extra for entry in entries)


def number(rng, bits=63):
    return rng.getrandbits(bits)


class Say:
    """Bodies, and the executions that they mean."""

    def __init__(self, rng):
        self.rng = rng

    def response(self, fills=0, status=ACTIVE, kind=200, extra=b"", legs=0):
        rng = self.rng
        time, client, order, price, size = (number(rng) for _ in range(5))
        exponent = -rng.randrange(9)
        body = struct.pack("<7qqbqbqbq", time, 9, client, 8, order, 7, price, size, exponent,
                           1, 0, 2, 0, 5)
        body += struct.pack("<bbb", 1, status, 0) if kind == 200 else struct.pack("<bb", status, 0)
        base = {"time": time, "client_id": client, "order_id": order}
        executions = [said("ACCEPTED", **base, price=price, quantity=size, exponent=exponent & 255,
                           leaves=size, stated=1) if kind == 200 else
                      said("REPLACED", **base, price=price, quantity=size,
                           exponent=exponent & 255, previous_id=client)]
        entries = []
        for _ in range(fills):
            match, at, filled, exponent = number(rng), number(rng), number(rng), -rng.randrange(9)
            entries.append(struct.pack("<qqqb", match, at, filled, exponent))
            executions.append(said("EXECUTED", **base, match_id=match, price=at, quantity=filled,
                                   exponent=exponent & 255))
        body += group(entries, extra=extra) + group([bytes(34)] * legs, block=34)
        if status == CANCELED:
            executions.append(said("CANCELLED", **base, final=1))
        return kind, body, executions

    def new(self):
        rng = self.rng
        return self.response(rng.choice((0, 0, 1, 2, 5)), rng.randrange(1, 5),
                             rng.choice((200, 200, 210)), bytes(rng.choice((0, 0, 1, 9))),
                             rng.choice((0, 1)))

    def refusal(self, kind=202):
        rng = self.rng
        time, client, order, reason = number(rng), number(rng), number(rng), rng.randrange(31)
        text = b"x" * rng.randrange(30)
        body = struct.pack("<6qbB", time, 9, client, 8, order, 7, reason, len(text)) + text
        return kind, body, [said("REJECTED" if kind == 202 else "CANCEL_REJECTED", time=time,
                                 client_id=client, order_id=order, reason=reason,
                                 final=kind == 202)]

    def cancel_refusal(self):
        return self.refusal(222)

    def cancel(self):
        time, client, order = (number(self.rng) for _ in range(3))
        body = struct.pack("<6qqqbqb", time, 9, client, 8, order, 7, 6, 10, 0, 3, 0)
        return 220, body, [said("CANCELLED", time=time, client_id=client, order_id=order, final=1)]

    def filled(self):
        rng = self.rng
        time, entries, executions = number(rng), [], []
        for _ in range(rng.randrange(4)):
            client, order, match, price, size = (number(rng) for _ in range(5))
            flags = rng.randrange(4)
            entries.append(struct.pack("<qqqqqqbqbbB", client, order, 7, match, price, size, -2,
                                       99, -2, 1, flags))
            executions.append(said("EXECUTED", time=time, client_id=client, order_id=order,
                                   match_id=match, price=price, quantity=size, exponent=254,
                                   final=flags >> 1))
        return 300, struct.pack("<qq", time, 9) + group(entries, len(entries[0]) if entries else 60
                                                        ) + group([], 34), executions

    def mass_cancel(self):
        rng = self.rng
        time, entries, executions = number(rng), [], []
        for _ in range(rng.randrange(4)):
            client, order, reason = number(rng), number(rng), rng.randrange(18)
            entries.append(struct.pack("<qqqqbbB", client, order, 7, 3, 0, reason, 0))
            executions.append(said("CANCELLED", time=time, client_id=client, order_id=order,
                                   reason=reason, final=1))
        return 310, struct.pack("<qqB", time, 9, 1) + group(entries, 35), executions

    def other(self):
        kind = self.rng.choice((2, 5, 10, 11, 21, 30, 212, 999))
        return kind, self.rng.randbytes(self.rng.choice((0, 8, 12, 60))), []


def numbered(sequence, executions):
    return [one | {"sequence": sequence, "part": part} for part, one in enumerate(executions)]


@pytest.mark.parametrize("offer", (1.0, 0.5))
def test_random_messages(offer):
    rng = random.Random(offer)
    say, messages, expected, others = Say(rng), [], [], 0
    for _ in range(120):
        sequence = number(rng)
        maker = rng.choice((say.new, say.new, say.new, say.refusal, say.cancel_refusal, say.cancel,
                            say.filled, say.mass_cancel, say.other))
        kind, body, executions = maker()
        others += maker == say.other
        messages.append(framed(kind, body, sequence))
        expected += numbered(sequence, executions)
    executions, unknown, malformed, _ = run(STARBASE_PLAN, messages, offer=offer)
    assert [one for _, one in executions] == expected
    assert len(unknown) == others and not malformed


def test_a_message_of_many_fills_at_line_rate():
    kind, body, executions = Say(random.Random(7)).response(fills=300, status=CANCELED)
    found, *_ = run(STARBASE_PLAN, [framed(kind, body, 5)])
    assert [one for _, one in found] == numbered(5, executions)


@pytest.mark.parametrize("extra", range(9))
def test_latency(extra):
    """With the last byte of the block, of an entry; and two cycles behind the message's last."""
    kind, body, executions = Say(random.Random(3)).response(4, CANCELED, extra=bytes(extra))
    found, _, malformed, (cycles,) = run(STARBASE_PLAN, [framed(kind, body, 5)])
    ends = [32 + 94, *(32 + 94 + 4 + (25 + extra) * entry + 25 for entry in range(4))]
    assert [cycle for cycle, _ in found] == [
        *(cycles[(end - 1) // 8] + 1 for end in ends), cycles[-1] + 2]
    assert not malformed


def test_the_close_comes_whole_although_the_next_message_has_begun():
    say = Say(random.Random(4))
    first, second = say.response(1, CANCELED), say.cancel()
    found, *_ = run(STARBASE_PLAN, [framed(*first[:2], 5), framed(*second[:2], 6)])
    assert [one for _, one in found] == numbered(5, first[2]) + numbered(6, second[2])


CUTS = {            # message, where its executions end, and up to where it is too short
    "fills": (lambda say: say.response(2, CANCELED), (126, 155, 180, 180), 180),
    "cancel": (Say.cancel, (106,), 106),
    "refusal": (Say.refusal, (82,), 82),
    "mass cancel": (lambda say: (310, struct.pack("<qqB", 1, 9, 1) + group([bytes(35)] * 2),
                                 [said("CANCELLED", time=1, final=1)] * 2), (88, 123), 123),
}


@pytest.mark.parametrize("name", CUTS)
def test_a_message_that_ends_too_early(name):
    """It is counted, and what was whole in it has been said."""
    maker, ends, least = CUTS[name]
    kind, body, executions = maker(Say(random.Random(5)))
    whole = framed(kind, body, 1)
    cuts = [whole[:size] for size in range(40, len(whole) + 1, 8)]
    found, others, malformed, beats = run(STARBASE_PLAN, [*cuts, framed(10, bytes(8), 2)])
    assert [one for _, one in found] == [
        said for cut in cuts for end, said in zip(ends, numbered(1, executions), strict=True)
        if len(cut) >= end]
    assert len(others) == 1 and malformed == [
        cycles[-1] + 1 for cut, cycles in zip(cuts, beats, strict=False) if len(cut) < least]


def test_entries_that_are_too_short_or_missing():
    root = Say(random.Random(6)).response()[1][:94]
    for tail, wrong in ((b"", True), (struct.pack("<HH", 25, 1), True),
                        (group([bytes(24)] * 2, 24), True), (struct.pack("<HH", 24, 0), False),
                        (struct.pack("<HH", 25, 3) + bytes(50), True),
                        (struct.pack("<HH", 25, 2) + bytes(50), False)):
        message = framed(200, root + tail, 1)
        found, _, malformed, (cycles,) = run(STARBASE_PLAN, [message])
        assert (malformed == [cycles[-1] + 1]) == wrong and found[0][1]["kind"] == "ACCEPTED"


def test_what_does_not_count_is_not_said():
    say = Say(random.Random(8))
    messages = [framed(*say.response(2, CANCELED)[:2], 5) for _ in range(3)]
    found, _, malformed, _ = run(STARBASE_PLAN, messages, applies=lambda number: number == 1)
    assert len(found) == 4 and not malformed


def test_fields_that_no_beat_holds_together():
    layout = FixedLayout("X", [("a", 8), ("b", 4), ("c", 4)], byteorder="little")
    with pytest.raises(ValueError, match="^Fields a, b, c of X must end 8 bytes behind the ones "
                                         "before them and within 13 bytes$"):
        entry_walk.entry_stops(layout, ["a", "b", "c"])
