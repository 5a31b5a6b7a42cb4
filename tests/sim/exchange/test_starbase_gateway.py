"""Starbase: orders, sequence numbers, resending, silence, cancel on disconnect, bad clients."""

import struct
from dataclasses import replace
from decimal import Decimal

import pytest
from exchange_bench import PASSWORD, USER, exchange, quick
from tickwire.sim.exchange.clients import ClosedError
from tickwire.sim.exchange.order_book import Side
from tickwire.sim.models import starbase_messages as sb
from tickwire.sim.models.starbase_wire import encode

IOC, FOK = -2, -1
NULL = -(1 << 63)


def new(running, number, side=1, *, away=0, lots=5, at=0, **given):
    """An order at the other side's best price, ``away`` ticks into its own book."""
    listing = running.listing(at)
    best, _ = running.touch(Side.ASK if side == 1 else Side.BID, at)
    return sb.NewOrder(client_order_id=number, correlation_id=1000 + number,
                       instrument_id=listing.instrument.instrument_id,
                       price=int(listing.price(best - side * away).scaleb(9)),
                       quantity=listing.quantity(lots), side=side, **given)


def logged_out(client):
    """The reason that the server gives before it ends the connection."""
    while not isinstance(message := client.message(), sb.LoggedOut):
        pass
    with pytest.raises(ClosedError):
        client.message()
    client.close()
    return message.reason


def test_an_order_rests_is_amended_and_canceled(running):
    client = running.starbase()
    order = new(running, 1, away=30)
    client.send(order)
    placed = client.message()
    assert (placed.client_order_id, placed.correlation_id, placed.price, placed.quantity,
            placed.total_filled, placed.visible_quantity, placed.side, placed.status,
            placed.cancel_reason, placed.fills) == (
        1, 1001, order.price, order.quantity, 0, order.quantity, 1, 1, 0, ())
    listing = running.listing()
    price = listing.price(1)
    fewer = sb.Amend(client_order_id=1, correlation_id=7, instrument_id=order.instrument_id,
                     price=order.price, quantity=listing.quantity(3))
    client.send(fewer)
    amended = client.message()
    assert isinstance(amended, sb.AmendResponse)
    assert (amended.order_id, amended.quantity, amended.status, amended.correlation_id) == (
        placed.order_id, listing.quantity(3), 1, 7)
    client.send(replace(fewer, price=order.price - int(price.scaleb(9)),
                        quantity=listing.quantity(8)))
    amended = client.message()
    assert (amended.order_id, amended.quantity, amended.visible_quantity) == (
        placed.order_id, listing.quantity(8), listing.quantity(8))
    client.send(sb.Cancel(client_order_id=1, correlation_id=9,
                          instrument_id=order.instrument_id))
    gone = client.message()
    assert (gone.order_id, gone.correlation_id, gone.quantity, gone.total_filled) == (
        placed.order_id, 9, listing.quantity(8), 0)
    client.send(new(running, 1, away=30))               # the id is free again
    placed = client.message()
    client.send(sb.CancelById(order_id=placed.order_id, instrument_id=order.instrument_id))
    assert client.message().client_order_id == 1
    client.close()


def test_fills_at_once_and_of_a_resting_order(running):
    maker, taker = running.starbase(), running.starbase(user="USER2")
    best, _ = running.touch(Side.ASK)
    ahead = running.touch(Side.BID)[0] + 1
    maker.send(new(running, 1, away=best - ahead, lots=9))
    placed = maker.message()
    listing = running.listing()
    taker.send(sb.NewOrder(
        client_order_id=1, instrument_id=listing.instrument.instrument_id, side=-1,
        price=int(listing.price(ahead).scaleb(9)), quantity=listing.quantity(4)))
    mine = taker.message()
    assert (mine.status, mine.total_filled, mine.cancel_reason) == (2, listing.quantity(4), 0)
    (fill,) = mine.fills
    assert (fill.price, fill.quantity) == (placed.price, listing.quantity(4))
    told = maker.message()
    (theirs,) = told.fills
    assert (theirs.match_id, theirs.order_id, theirs.quantity, theirs.total_filled, theirs.side,
            theirs.flags) == (fill.match_id, placed.order_id, listing.quantity(4),
                              listing.quantity(4), 1, 0)
    # Amended below what is filled: no. To what lies between: it stays where it is.
    amend = sb.Amend(client_order_id=1, instrument_id=listing.instrument.instrument_id,
                     price=placed.price, quantity=listing.quantity(4))
    maker.send(amend)
    assert maker.message().reason == 5
    maker.send(replace(amend, quantity=listing.quantity(6)))
    answer = maker.message()
    assert (answer.total_filled, answer.visible_quantity) == (
        listing.quantity(4), listing.quantity(2))
    taker.send(replace(new(running, 2, -1, lots=5), price=placed.price, time_in_force=IOC))
    mine = taker.message()
    assert (mine.status, mine.total_filled) == (3, listing.quantity(2)) or len(mine.fills) > 1
    assert maker.message().fills[0].flags == 2
    maker.close()
    taker.close()


def test_amending_into_the_other_side_trades_and_keeps_what_was_filled(running):
    client = running.starbase()
    best, there = running.touch(Side.ASK)
    client.send(new(running, 1, lots=there + 3))
    placed = client.message()
    listing = running.listing()
    assert placed.total_filled == listing.quantity(there)
    after, more = running.touch(Side.ASK)
    client.send(sb.Amend(client_order_id=1, instrument_id=placed.instrument_id,
                         price=int(listing.price(after).scaleb(9)),
                         quantity=listing.quantity(there + 2)))
    answer = client.message()
    assert (answer.order_id, answer.status, answer.total_filled) == (
        placed.order_id, 2, listing.quantity(there + 2))
    assert sum(fill.quantity for fill in answer.fills) == listing.quantity(2)
    client.close()


@pytest.mark.parametrize("time, status, filled, reason", [(IOC, 3, True, 2), (FOK, 3, False, 2),
                                                          (0, 1, True, 0)])
def test_time_in_force(running, time, status, filled, reason):
    client = running.starbase()
    _, there = running.touch(Side.ASK)
    client.send(new(running, 1, lots=there + 1, time_in_force=time))
    answer = client.message()
    listing = running.listing()
    assert (answer.status, answer.cancel_reason) == (status, reason)
    assert answer.total_filled == (listing.quantity(there) if filled else 0)
    client.close()


@pytest.mark.parametrize("change, reason", [
    ({"instrument_id": 999}, 1), ({"price": 0}, 6), ({"price": 1}, 6),
    ({"price": (1 << 63) - 1}, 6), ({"price": NULL}, 6), ({"quantity": Decimal(0)}, 5),
    ({"quantity": Decimal(1)}, 5), ({"quantity": Decimal(1).scaleb(100)}, 5),
    ({"quantity": Decimal(1).scaleb(-100)}, 5), ({"quantity": None}, 5),
    ({"show_quantity": Decimal(10)}, 20), ({"flags": 8}, 2), ({"time_in_force": -3}, 2),
    ({"self_trading_mode": 2}, 2), ({"flags": 4}, 8)])
def test_what_is_rejected(running, change, reason):
    client = running.starbase()
    client.send(replace(new(running, 1), **change))
    answer = client.message()
    assert isinstance(answer, sb.NewOrderReject)
    assert (answer.client_order_id, answer.correlation_id, answer.reason) == (1, 1001, reason)
    assert answer.details
    client.send(new(running, 1, away=30))
    assert isinstance(client.message(), sb.NewOrderResponse)
    client.send(new(running, 1, away=30))
    assert client.message().reason == 4
    client.close()


def test_post_only_goes_when_it_would_trade(running):
    client = running.starbase()
    client.send(new(running, 1, flags=2))
    answer = client.message()
    assert (answer.status, answer.cancel_reason, answer.total_filled) == (3, 16, 0)
    client.close()


@pytest.mark.parametrize("mode, status", [(0, 3), (1, 1)])
def test_orders_of_one_party_do_not_trade_with_each_other(running, mode, status):
    client = running.starbase()
    ahead = running.touch(Side.ASK)[0] - running.touch(Side.BID)[0] - 1
    client.send(new(running, 1, away=ahead, self_match_id=7))
    resting = client.message()
    client.send(replace(new(running, 2, -1, self_match_id=7, self_trading_mode=mode),
                        price=resting.price))
    answer = client.message()
    assert (answer.status, answer.total_filled, answer.cancel_reason) == (
        status, 0, 0 if mode else 1)
    if mode:
        (gone,) = client.message().orders
        assert (gone.client_order_id, gone.cancel_reason) == (1, 1)
    client.close()


@pytest.mark.parametrize("request_", [
    sb.Cancel(client_order_id=5, instrument_id=1), sb.CancelById(order_id=5, instrument_id=1)])
def test_orders_that_are_not_there_cannot_be_canceled(running, request_):
    client = running.starbase()
    client.send(request_)
    answer = client.message()
    assert isinstance(answer, sb.CancelReject)
    assert answer.reason == 1
    client.close()


def test_an_order_that_is_not_there_cannot_be_amended(running):
    client = running.starbase()
    client.send(sb.Amend(client_order_id=5, instrument_id=1, price=1, quantity=Decimal(10)))
    answer = client.message()
    assert isinstance(answer, sb.AmendReject)
    assert answer.reason == 12
    client.close()


def test_test_requests_and_heartbeats():
    with exchange(timing=quick()) as running:
        client, silent, mute = (running.starbase(), running.starbase(user="USER2"),
                                running.starbase(logon=False))
        client.send(sb.TestRequest(correlation_id=42))
        seen = set()
        while len(seen) < 40:                           # longer than the server's patience
            header, message = client.frame()
            if isinstance(message, sb.TestRequest):
                client.send(sb.Heartbeat(correlation_id=message.correlation_id))
            elif message == sb.Heartbeat(correlation_id=42):
                seen.add("answer")
            seen.add(header.sequence)
        assert "answer" in seen
        kinds = set()
        with pytest.raises(ClosedError):
            while True:
                _, message = silent.frame()
                kinds.add(type(message).__name__)
        assert kinds == {"Heartbeat", "TestRequest", "LoggedOut"}
        assert logged_out(mute) == "no logon"
        for one in (client, silent):
            one.close()


def test_missed_messages_come_again():
    """Those of the application with their numbers and a flag, the session's as gap fills."""
    with exchange() as running:
        client = running.starbase()
        client.send(new(running, 1, away=30, flags=1))
        placed = client.message()
        client.send(sb.TestRequest(correlation_id=1))
        client.frame()
        sequence = client.sequence
        client.reset()
        running.until(lambda: running.record("disconnected"))
        client = running.starbase(logon=False)
        client.sequence = sequence
        assert isinstance(client.logon(USER, PASSWORD, reset=False), sb.LogonConf)
        # 1 logon, 2 response, 3 heartbeat, 4 order cancelled while nobody was there, 5 logon.
        assert client.expected == 6
        client.send(sb.ResendRequest(first=1, last=5))
        found = [client.frame() for _ in range(5)]
        assert [(header.sequence, header.flags) for header, _ in found] == [
            (number, 1) for number in (1, 2, 3, 4, 5)]
        assert [message for _, message in found[:3]] == [
            sb.GapFill(new_sequence=2), placed, sb.GapFill(new_sequence=4)]
        (gone,) = found[3][1].orders
        assert (gone.client_order_id, gone.cancel_reason) == (1, 7)
        assert found[4][1] == sb.GapFill(new_sequence=6)
        client.send(sb.ResendRequest(first=1, last=7))
        answer = client.message()
        assert (answer.reason, answer.details) == (4, "messages 1 to 7 are not there, only 1 to 5")
        client.send(sb.Logout())
        assert logged_out(client) == "logout"


@pytest.mark.parametrize("session_wide, flags, left", [(True, 0, 0), (False, 1, 0),
                                                       (False, 0, 1)])
def test_cancel_on_disconnect(running, session_wide, flags, left):
    client = running.starbase(cancel_on_disconnect=session_wide)
    client.send(new(running, 1, away=30, flags=flags))
    client.message()
    client.reset()
    running.until(lambda: running.record("disconnected"))
    mine = running.do(lambda: [held for held in running.exchange.market.orders.values()
                               if held.owner.name == f"starbase:{USER}"])
    assert len(mine) == left


@pytest.mark.parametrize("logon, sequence, version, reason", [
    (sb.Logon(client_id=USER, secret="WRONG"), 1, 16,
     "logon rejected: user and password do not belong together"),
    (sb.Logon(client_id="X", secret=PASSWORD), 1, 16,
     "logon rejected: user and password do not belong together"),
    (sb.Logon(client_id=USER, secret=PASSWORD, schema_version=17), 1, 17,
     "logon rejected: schema version 17 in a message of version 17; 11 to 16 are spoken"),
    (sb.Logon(client_id=USER, secret=PASSWORD, schema_version=15), 1, 16,
     "logon rejected: schema version 15 in a message of version 16; 11 to 16 are spoken"),
    (sb.Logon(client_id=USER, secret=PASSWORD), 2, 16,
     "logon rejected: sequence number 2, expected 1"),
    (sb.Cancel(client_order_id=1, instrument_id=1), 1, 16,
     "message type 120 before the logon")])
def test_logons_that_are_rejected(running, logon, sequence, version, reason):
    client = running.starbase(logon=False)
    client.sequence, client.version = sequence, version
    client.send(logon)
    assert logged_out(client) == reason


@pytest.mark.parametrize("version", [11, 12, 13, 15])
def test_older_schema_versions(running, version):
    client = running.starbase(version=version)
    client.send(new(running, 1, away=30))
    placed = client.message()
    client.send(sb.Cancel(client_order_id=1, instrument_id=placed.instrument_id))
    gone = client.message()
    assert (gone.order_id, gone.quantity, gone.total_filled) == (placed.order_id, None, None)
    client.close()


def test_a_new_logon_takes_the_place_of_the_old_one(running):
    old, other = running.starbase(), running.starbase()
    with pytest.raises(ClosedError):
        old.message()
    other.send(new(running, 1, away=30))
    assert isinstance(other.message(), sb.NewOrderResponse)
    assert running.record("disconnected")[-1]["reason"] == "the user has logged on again"
    old.close()
    other.close()


@pytest.mark.parametrize("step, reason", [(1, "sequence number 3, expected 2"),
                                          (-1, "sequence number 1, expected 2")])
def test_a_wrong_sequence_number_ends_the_session(running, step, reason):
    client = running.starbase()
    client.sequence += step
    client.send(new(running, 1, away=30))
    assert logged_out(client) == reason


def frame(kind, body, *, length=None, version=16):
    length = 32 + len(body) if length is None else length
    image = struct.pack("<BBHHHqqq", 0xDB, 0, length, kind, version, 2, 1, 0) + body
    return image + bytes(-len(image) % 8)


@pytest.mark.parametrize("image, reason", [
    (frame(999, b""), 2), (frame(120, bytes(23)), 3), (frame(120, bytes(25)), 3),
    (frame(2, bytes(6)), 2), (frame(120, bytes(24), version=15), 1),
    (encode(sb.NewOrder(client_order_id=1, instrument_id=1, price=1, quantity=Decimal(1),
                        side=0), sequence=2), 4),
    (encode(sb.NewOrder(client_order_id=NULL, instrument_id=1, price=1, quantity=Decimal(1),
                        side=1), sequence=2), 4)])
def test_malformed_messages_are_rejected_and_the_session_goes_on(running, image, reason):
    client = running.starbase()
    client.socket.sendall(image)
    client.sequence += 1
    answer = client.message()
    assert isinstance(answer, sb.Reject)
    assert (answer.ref_sequence, answer.reason) == (2, reason)
    client.send(new(running, 1, away=30))
    assert isinstance(client.message(), sb.NewOrderResponse)
    client.close()


@pytest.mark.parametrize("image, why", [
    (b"\0" * 32, "protocol id 0x0 is not 0xdb"),
    (frame(120, b"", length=31), "message length 31 is not 32 to 4096"),
    (frame(120, b"", length=5000), "message length 5000 is not 32 to 4096")])
def test_what_no_message_is_ends_the_connection_only(running, image, why):
    other = running.starbase(user="USER2")
    client = running.starbase()
    client.socket.sendall(image)
    assert logged_out(client) == why
    assert running.record("disconnected")[-1]["reason"] == why
    other.send(new(running, 1, away=30))
    assert isinstance(other.message(), sb.NewOrderResponse)
    other.close()


def test_a_client_that_does_not_read_is_cut_off():
    """What waits for it is bounded; the others go on."""
    with exchange(timing=quick(patience=5.0)) as running:
        client, other = running.starbase(), running.starbase(user="USER2")
        user = running.exchange.starbase._users[USER]
        running.do(lambda: [user.say(sb.LoggedOut(reason="x" * 255)) for _ in range(40_000)])
        running.until(lambda: running.record("disconnected"))
        assert running.record("disconnected")[0]["reason"] == "does not read"
        other.send(new(running, 1, away=30))
        assert isinstance(other.message(), sb.NewOrderResponse)
        client.close()
        other.close()


def test_segments_may_end_anywhere(running):
    client = running.starbase()
    for number in (1, 2):
        image = encode(new(running, number, away=30), sequence=client.sequence)
        client.sequence += 1
        for byte in image:
            client.socket.sendall(bytes([byte]))
    assert [client.message().client_order_id for _ in range(2)] == [1, 2]
    client.close()


def test_the_exchange_stops_politely(running):
    client = running.starbase()
    running.stop()
    assert logged_out(client) == "the exchange stops"
