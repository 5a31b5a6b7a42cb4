"""OUCH over SoupBinTCP: orders, replay, resent tokens, cancel on disconnect, bad clients."""

import socket
import struct
import time
from dataclasses import replace
from decimal import Decimal

import pytest
from exchange_bench import PASSWORD, USER, exchange, quick
from tickwire.sim.exchange.clients import ClosedError
from tickwire.sim.exchange.order_book import Side
from tickwire.sim.models import ouch
from tickwire.sim.models.soupbintcp import LoginRequest, packet


def enter(running, ref, side="B", *, away=0, quantity=5, number=0, **given):
    """An order at the other side's best price, ``away`` ticks into its own book."""
    listing = running.listing(number)
    book_side = Side.BID if side == "B" else Side.ASK
    best, _ = running.touch(book_side.other, number)
    ticks = best + (-away if side == "B" else away)
    return ouch.EnterOrder(user_ref_num=ref, side=side, quantity=quantity, symbol=listing.symbol,
                           price=int(listing.price(ticks).scaleb(4)), **given)


def started(running, **given):
    client = running.ouch(**given)
    event = client.message()
    assert (event.event_code, client.sequence) == ("S", 2)
    return client


def closed(client):
    """The server ends the connection."""
    with pytest.raises(ClosedError):
        while True:
            client.packet()
    client.close()


def test_an_order_rests_is_reduced_replaced_and_canceled(running):
    client = started(running)
    listing = running.listing()
    order = enter(running, 1, away=30, cl_ord_id="MINE", appendages=((2, b"FIRM"),))
    client.send(order)
    accepted = client.message()
    assert accepted == ouch.Accepted(
        timestamp=accepted.timestamp, user_ref_num=1, side="B", quantity=5,
        symbol=listing.symbol, price=order.price, time_in_force="0", display="Y",
        order_reference_number=accepted.order_reference_number, capacity="P",
        inter_market_sweep="N", cross_type="N", order_state="L", cl_ord_id="MINE",
        appendages=((2, b"FIRM"),))
    ticks = listing.ticks(Decimal(order.price).scaleb(-4))
    assert running.do(lambda: listing.book.total(Side.BID, ticks)) >= 5
    client.send(ouch.CancelOrder(user_ref_num=1, quantity=3))
    gone = client.message()
    assert (gone.user_ref_num, gone.quantity, gone.reason) == (1, 2, "U")
    client.send(ouch.ReplaceOrder(orig_user_ref_num=1, user_ref_num=2, quantity=7,
                                  price=order.price))
    replaced = client.message()
    assert (replaced.orig_user_ref_num, replaced.user_ref_num, replaced.quantity) == (1, 2, 7)
    assert replaced.order_reference_number != accepted.order_reference_number
    client.send(ouch.CancelOrder(user_ref_num=2))
    gone = client.message()
    assert (gone.user_ref_num, gone.quantity, gone.reason) == (2, 7, "U")
    client.close()


def test_executions_add_up_and_name_both_sides(running):
    maker, taker = started(running), started(running, user="USER2")
    best, there = running.touch(Side.ASK)
    ahead = running.touch(Side.BID)[0] + 1
    assert ahead < best
    maker.send(enter(running, 1, away=best - ahead, quantity=9))
    assert isinstance(maker.message(), ouch.Accepted)
    listing = running.listing()
    taker.send(ouch.EnterOrder(user_ref_num=1, side="S", quantity=12, symbol=listing.symbol,
                               price=int(listing.price(ahead).scaleb(4)), time_in_force="3"))
    assert taker.message().quantity == 12
    mine = taker.message()
    assert (mine.quantity, mine.liquidity_flag) == (9, "R")
    rest = taker.message()
    assert (rest.quantity, rest.reason) == (3, "I")
    theirs = maker.message()
    assert (theirs.quantity, theirs.liquidity_flag, theirs.user_ref_num) == (9, "A", 1)
    assert (theirs.match_number, theirs.price) == (mine.match_number, mine.price)
    maker.close()
    taker.close()


@pytest.mark.parametrize("change, reason", [
    ({"symbol": "NOTHING"}, 0x17), ({"side": "X"}, 0x09), ({"quantity": 0}, 0x13),
    ({"display": "N"}, 0x03), ({"inter_market_sweep": "Y"}, 0x08), ({"cross_type": "O"}, 0x14),
    ({"time_in_force": "6"}, 0x0F), ({"appendages": ((3, bytes(4)),)}, 0x0F),
    ({"price": 0}, 0x1D), ({"price": 123457}, 0x1D), ({"price": (1 << 64) - 1}, 0x1D)])
def test_what_is_rejected(running, change, reason):
    client = started(running)
    client.send(replace(enter(running, 1, cl_ord_id="MINE"), **change))
    rejected = client.message()
    assert (rejected.user_ref_num, rejected.reject_reason, rejected.cl_ord_id) == (
        1, reason, "MINE")
    client.send(enter(running, 2, away=9))
    assert isinstance(client.message(), ouch.Accepted)
    client.close()


def test_post_only_goes_when_it_would_trade(running):
    client = started(running)
    client.send(enter(running, 1, display="P"))
    assert isinstance(client.message(), ouch.Accepted)
    gone = client.message()
    assert (gone.quantity, gone.reason) == (5, "F")
    client.close()


def test_messages_that_are_sent_again_do_nothing(running):
    client = started(running)
    order = enter(running, 5, away=30)
    for _ in range(3):
        client.send(order)
    client.send(enter(running, 4, away=30))             # below the last number
    client.send(ouch.CancelOrder(user_ref_num=99))
    client.send(ouch.ReplaceOrder(orig_user_ref_num=99, user_ref_num=100, quantity=1, price=1))
    client.send(ouch.CancelOrder(user_ref_num=5))
    client.send(ouch.CancelOrder(user_ref_num=5))
    client.send(enter(running, 6, away=30))
    assert [type(client.message()).__name__ for _ in range(3)] == [
        "Accepted", "Canceled", "Accepted"]
    assert len(running.record("passed over")) == 6
    client.close()


def test_a_replacement_that_is_wrong_cancels_and_its_number_stays_free(running):
    client = started(running)
    order = enter(running, 1, away=30)
    client.send(order)
    client.message()
    client.send(ouch.ReplaceOrder(orig_user_ref_num=1, user_ref_num=2, quantity=5, price=0))
    assert client.message().reason == "U"
    client.send(enter(running, 2, away=30))
    assert client.message().user_ref_num == 2
    client.close()


def test_replay_after_a_reset_connection():
    """Everything that was said comes again from the number that is asked for, byte for byte."""
    with exchange(cancel_on_disconnect=False) as running:
        client = started(running)
        client.send(enter(running, 1, away=30))
        said = [client.message()]
        client.reset()
        running.until(lambda: running.record("disconnected"))
        client = running.ouch(sequence=2)
        assert client.sequence == 2
        assert client.message() == said[0]
        client.send(enter(running, 1, away=30))         # nobody knows whether it arrived
        client.send(ouch.CancelOrder(user_ref_num=1))
        assert (client.message().reason, client.sequence) == ("U", 4)
        client.logout()
        closed(client)
        client = running.ouch(sequence=1, session="TICKWIRE01")
        assert [type(client.message()).__name__ for _ in range(3)] == [
            "SystemEvent", "Accepted", "Canceled"]
        client.close()
        client = running.ouch(sequence=0)
        assert client.sequence == 4
        client.send(enter(running, 2, away=30))
        assert client.message().user_ref_num == 2
        client.close()


def test_cancel_on_disconnect(running):
    client = started(running)
    client.send(enter(running, 1, away=30))
    client.message()
    client.reset()
    running.until(lambda: running.record("disconnected"))
    assert running.do(lambda: [held for held in running.exchange.market.orders.values()
                               if held.owner.name != "maker"]) == []
    client = running.ouch(sequence=3)
    gone = client.message()
    assert (gone.user_ref_num, gone.quantity, gone.reason) == (1, 5, "Z")
    client.close()


@pytest.mark.parametrize("request_, code", [
    (LoginRequest(USER, "WRONG", "", 1), b"A"), (LoginRequest("NOBODY", PASSWORD, "", 1), b"A"),
    (LoginRequest(USER, PASSWORD, "OTHER", 1), b"S"), (LoginRequest(USER, PASSWORD, "", 3), b"S")])
def test_logins_that_are_rejected(running, request_, code):
    client = running.ouch(login=False)
    answer = client.login(request_.username, request_.password, request_.session,
                          request_.sequence)
    assert (answer.type, answer.payload) == ("J", code)
    closed(client)


def test_names_and_passwords_do_not_mind_capitals(running):
    client = running.ouch(login=False)
    assert client.login("user1", "password").type == "A"
    client.close()


def test_a_new_login_takes_the_place_of_the_old_one(running):
    old, new = started(running), running.ouch(sequence=2)
    closed(old)
    new.send(enter(running, 1, away=30))
    assert isinstance(new.message(), ouch.Accepted)
    assert running.record("disconnected")[-1]["reason"] == "the user has logged in again"
    new.close()


MALFORMED = [
    (b"\0\0", "packet length 0 is not 1 to 2048"),
    (b"\xff\xffU", "packet length 65535 is not 1 to 2048"),
    (packet("X"), "packet 'X' from a client that is logged in"),
    (packet("U"), "message type '' is none of O, U, X"),
    (packet("U", b"~"), "message type '~' is none of O, U, X"),
    (packet("U", b"X\0\0\0\1\0\0\0"), "CancelOrder has 8 bytes, not 9"),
    (packet("U", b"X\0\0\0\1\0\0\0\0\0"), "CancelOrder has 10 bytes, not 9"),
    (LoginRequest(USER, PASSWORD, "", 1).encode(), "packet 'L' from a client that is logged in")]


@pytest.mark.parametrize("stream, why", MALFORMED)
def test_malformed_messages_end_the_connection_only(running, stream, why):
    other = started(running, user="USER2")
    client = started(running)
    client.socket.sendall(stream)
    closed(client)
    assert running.record("disconnected")[-1]["reason"] == why
    other.send(enter(running, 1, away=30))
    assert isinstance(other.message(), ouch.Accepted)
    other.close()
    client = running.ouch(sequence=2)
    client.send(enter(running, 1, away=30))
    assert isinstance(client.message(), ouch.Accepted)
    client.close()


def test_an_order_before_the_login_is_refused(running):
    client = running.ouch(login=False)
    client.send(ouch.CancelOrder(user_ref_num=1))
    closed(client)
    assert running.record("disconnected")[-1]["reason"] == "packet 'U' before the login"


def test_heartbeats_and_silence():
    with exchange(timing=quick()) as running:
        client, silent, mute = started(running), running.ouch(user="USER2"), running.ouch(
            login=False)
        while client.heartbeats < 12:                   # longer than the server's patience
            client.heartbeat()
            assert client.packet().type == "H"
            client.heartbeats += 1
        closed(silent)
        closed(mute)
        assert sorted(line["reason"] for line in running.record("disconnected")) == [
            "no login", "silent for too long"]
        client.close()


def say(running, count):
    """Fill a user's stream with more than kernels hold."""
    stream = running.exchange.ouch._users[USER].stream
    running.do(lambda: [stream.say(number.to_bytes(1000, "big")) for number in range(count)])
    return stream


def test_a_slow_client_gets_everything_and_holds_up_nobody(running):
    slow, other = started(running), started(running, user="USER2")
    stream = say(running, 20_000)
    other.send(enter(running, 1, away=30))
    assert isinstance(other.message(), ouch.Accepted)
    assert running.do(lambda: stream.session._next) < 20_000
    read = 0
    while read < 20_000:
        one = slow.packet()
        if one.type == "S":
            assert int.from_bytes(one.payload, "big") == read
            read += 1
    slow.close()
    other.close()


def test_a_client_that_never_reads_is_cut_off():
    with exchange(timing=quick(patience=3.0)) as running:
        client = started(running)
        say(running, 20_000)
        while not running.record("disconnected"):
            try:
                client.heartbeat()
            except ConnectionError:
                break
            time.sleep(0.02)
        running.until(lambda: running.record("disconnected"))
        assert running.record("disconnected")[0]["reason"] == "does not read"
        client.close()


def test_the_end_of_the_session(running):
    client = started(running)
    client.send(enter(running, 1, away=30))
    client.message()
    running.stop()
    gone = client.message()
    assert (gone.user_ref_num, gone.reason) == (1, "E")
    assert client.message().event_code == "E"
    with pytest.raises(ClosedError, match="end of session"):
        client.message()
    closed(client)


def test_segments_may_end_anywhere(running):
    client = started(running)
    stream = b"".join(packet("U", enter(running, ref, away=30).encode()) for ref in (1, 2, 3))
    client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in stream:
        client.socket.sendall(struct.pack("B", byte))
    assert [client.message().user_ref_num for _ in range(3)] == [1, 2, 3]
    client.close()
