# amaranth: UnusedElaboratable=no
"""OUCH 5.0 in SoupBinTCP: what its messages say of orders, against struct and real frames."""

import random
import struct

import pytest
from execution_bench import run, said
from stream_bench import real, soup
from tickwire.hdl.entry.execution_plan import OUCH_PLAN

TIME, REF, SIZE, PRICE, ORDER, MATCH = 0x28_9B4D, 7, 300, 2_500_000, 1 << 40, 5 << 50


def accepted(rng, state=b"L", tail=b"\0\0"):
    values = [rng.getrandbits(bits) for bits in (48, 32, 32, 63, 64)]
    time, reference, size, price, order = values
    body = struct.pack(">cQI1sI8sQ1s1sQ1s1s1s1s14s", b"A", time, reference, b"B", size, b"ADBE    ",
                       price, b"0", b"Y", order, b"A", b"N", b"N", state, b"x" * 14) + tail
    return body, said("ACCEPTED", time=time, client_id=reference, quantity=size, leaves=size,
                      stated=1, price=price, order_id=order, final=state == b"D")


def replaced(rng):
    time, before, reference, size, price, order = (
        rng.getrandbits(bits) for bits in (48, 32, 32, 32, 63, 64))
    body = struct.pack(">cQII1sI8sQ1s1sQ1s1s1s1s14sH", b"U", time, before, reference, b"S", size,
                       b"ADBE    ", price, b"0", b"Y", order, b"A", b"N", b"N", b"L", b"", 0)
    return body, said("REPLACED", time=time, client_id=reference, previous_id=before, stated=1,
                      quantity=size, leaves=size, price=price, order_id=order)


def cancelled(rng):
    time, reference, size, reason = (rng.getrandbits(bits) for bits in (48, 32, 32, 8))
    return struct.pack(">cQIIB", b"C", time, reference, size, reason), said(
        "CANCELLED", time=time, client_id=reference, quantity=size, reason=reason)


def executed(rng, tail=b"\0\0"):
    time, reference, size, price, match = (rng.getrandbits(bits) for bits in (48, 32, 32, 63, 64))
    return struct.pack(">cQIIQcQ", b"E", time, reference, size, price, b"A", match) + tail, said(
        "EXECUTED", time=time, client_id=reference, quantity=size, price=price, match_id=match)


def broken(rng):
    time, reference, match, reason = (rng.getrandbits(bits) for bits in (48, 32, 64, 8))
    return struct.pack(">cQIQB14s", b"B", time, reference, match, reason, b"x" * 14), said(
        "BROKEN", time=time, client_id=reference, match_id=match, reason=reason)


def rejected(rng):
    time, reference, reason = (rng.getrandbits(bits) for bits in (48, 32, 16))
    return struct.pack(">cQIH14s", b"J", time, reference, reason, b"x" * 14), said(
        "REJECTED", time=time, client_id=reference, reason=reason, final=1)


def cancel_rejected(rng):
    time, reference = rng.getrandbits(48), rng.getrandbits(32)
    return struct.pack(">cQI", b"I", time, reference), said(
        "CANCEL_REJECTED", time=time, client_id=reference)


EVERY = (accepted, replaced, cancelled, executed, broken, rejected, cancel_rejected)


def test_real_frames():
    executions, others, malformed, _ = run(OUCH_PLAN, [
        real("OrderAcceptedMessage"), real("ServerHeartbeatPacket"), real("CanceledMessage")])
    assert not others and not malformed
    assert [one for _, one in executions] == [
        said("ACCEPTED", time=0x289B4D64AF87, client_id=0x00753A8D, quantity=0x28, leaves=0x28,
             stated=1, price=0x48E748, order_id=0x0F56B4F5, sequence=0),
        said("CANCELLED", time=0x289B4D681317, client_id=0x00753A8D, quantity=0x28,
             reason=ord("U"), sequence=2)]


@pytest.mark.parametrize("offer", (1.0, 0.5))
def test_random_messages(offer):
    rng = random.Random(offer)
    messages, expected = [], []
    for number in range(120):
        maker = rng.choice((*EVERY, None))
        if maker is None:
            messages.append(rng.choice((soup("H"), soup("S", b"S" + bytes(9)), soup("+", b"A" * 70),
                                        soup("S"), soup("S", b"?" * rng.randrange(1, 80)))))
            continue
        body, says = maker(rng)
        messages.append(soup("S", body))
        expected.append(says | {"sequence": number})
    executions, others, malformed, _ = run(OUCH_PLAN, messages, offer=offer)
    assert [one for _, one in executions] == expected and not malformed
    assert len(others) == sum(message[2:3] == b"S" and message[3:4] in b"S?"
                              for message in messages)


def test_optional_fields_and_dead_orders():
    rng = random.Random(2)
    messages, expected = zip(accepted(rng, b"D"), accepted(rng, b"L", b"\0\x06\x05\x02MLRO"),
                             executed(rng, b"\0\x03\x02\x08x"), strict=True)
    executions, *_ = run(OUCH_PLAN, [soup("S", message) for message in messages])
    assert [one | {"sequence": 0} for _, one in executions] == list(expected)


@pytest.mark.parametrize("maker", EVERY)
def test_latency_and_messages_that_are_too_short(maker):
    """Every length; with the block's last byte the execution comes one cycle later."""
    body, says = maker(random.Random(3))
    block = len(body)           # of those with optional fields, their length belongs to it
    messages = [soup("S", body[:length]) for length in range(1, len(body) + 1)]
    executions, others, malformed, beats = run(OUCH_PLAN, messages)
    assert executions == [(beats[-1][(block + 2) // 8] + 1, says | {"sequence": block - 1})]
    assert not others
    assert malformed == [cycles[-1] + 1 for cycles in beats[:-1]]


def test_what_does_not_count_is_not_said():
    rng = random.Random(4)
    messages = [soup("S", accepted(rng)[0]) for _ in range(4)]
    executions, _, malformed, _ = run(OUCH_PLAN, messages, applies=lambda number: number == 2)
    assert [one["sequence"] for _, one in executions] == [2] and not malformed
