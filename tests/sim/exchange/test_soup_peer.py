"""Nasdaq's own SoupBinTCP: its client against the exchange, our client against its server."""

import asyncio

import pytest
from exchange_bench import PASSWORD, USER, exchange, quick
from nasdaq_protocols import soup
from tickwire.sim.exchange.clients import ClosedError, OuchClient
from tickwire.sim.exchange.order_book import Side
from tickwire.sim.models import ouch

pytestmark = pytest.mark.timeout(60)    # its tasks may run for ever when one of them fails


def entered(running, ref):
    listing = running.listing()
    ticks, _ = running.touch(Side.BID)
    return ouch.EnterOrder(user_ref_num=ref, side="B", quantity=5, symbol=listing.symbol,
                           price=int(listing.price(ticks - 3).scaleb(4)))


def connected(running, password=PASSWORD, **given):
    return soup.connect_async(("127.0.0.1", running.exchange.ouch_port), USER, password, **given)


async def said(session):
    message = await asyncio.wait_for(session.receive_msg(), 20)
    assert isinstance(message, soup.SequencedData)
    return ouch.from_host(message.data)


async def closed(session):
    while not session.is_closed():
        await asyncio.sleep(0.01)


def test_its_client_trades_logs_out_and_is_told_again():
    with exchange(cancel_on_disconnect=False) as running:
        async def talk():
            session = await connected(running)
            assert (await said(session)).event_code == "S"
            session.send_unseq_data(entered(running, 1).encode())
            accepted = await said(session)
            assert (accepted.user_ref_num, accepted.quantity) == (1, 5)
            session.logout()
            await closed(session)
            session = await connected(running, sequence=2, session_id="TICKWIRE01")
            assert session.session_id.session == "TICKWIRE01"
            assert await said(session) == accepted
            session.send_unseq_data(ouch.CancelOrder(user_ref_num=1).encode())
            assert (await said(session)).reason == "U"
            await session.close()

        asyncio.run(talk())


def test_its_client_stays_alive_by_heartbeats_alone():
    with exchange(timing=quick(0.1, 1.0)) as running:
        async def talk():
            session = await connected(running, client_heartbeat_interval=0.1,
                                      server_heartbeat_interval=2)
            assert (await said(session)).event_code == "S"
            await asyncio.sleep(2.5)                    # longer than anybody's patience
            session.send_unseq_data(entered(running, 1).encode())
            assert (await said(session)).user_ref_num == 1
            await session.close()

        asyncio.run(talk())


def test_its_client_is_rejected(running):
    async def talk():
        with pytest.raises(ConnectionRefusedError, match="NOT_AUTHORIZED"):
            await connected(running, "WRONG")
        with pytest.raises(ConnectionRefusedError, match="SESSION_NOT_AVAILABLE"):
            await connected(running, session_id="OTHER")

    asyncio.run(talk())


def test_its_client_sees_the_end_of_the_session(running):
    async def talk():
        session = await connected(running)
        assert (await said(session)).event_code == "S"
        await asyncio.to_thread(running.stop)
        assert (await said(session)).event_code == "E"
        await asyncio.wait_for(closed(session), 20)

    asyncio.run(talk())


class Venue(soup.SoupServerSession, session_type="server"):
    """Answers each order with an execution of it."""

    async def on_login(self, msg):
        if msg.password != PASSWORD:
            return soup.LoginRejected(soup.LoginRejectReason.NOT_AUTHORIZED)
        return soup.LoginAccepted("S1", int(msg.sequence))

    async def on_unsequenced(self, msg):
        order = ouch.from_client(msg.data)
        self.send_seq_msg(ouch.Executed(
            timestamp=1, user_ref_num=order.user_ref_num, quantity=order.quantity,
            price=order.price, liquidity_flag="R", match_number=9).encode())
        if order.quantity == 2:
            self.end_session()


def with_venue(talk):
    """Call ``talk`` with the address of a server of Nasdaq's."""
    async def serve():
        sessions = []

        def session():
            sessions.append(Venue())
            return sessions[-1]

        server = await asyncio.get_running_loop().create_server(session, "127.0.0.1", 0)
        await asyncio.to_thread(talk, server.sockets[0].getsockname())
        server.close()
        for one in sessions:
            await one.close()

    asyncio.run(serve())


def test_our_client_trades_with_its_server():
    def talk(address):
        client = OuchClient(address)
        assert client.login(USER, PASSWORD, "", 5).type == "A"
        assert client.sequence == 5
        for quantity in (1, 2):
            client.send(ouch.EnterOrder(user_ref_num=quantity, side="B", quantity=quantity,
                                        symbol="A", price=7))
            told = client.message()
            assert (told.user_ref_num, told.quantity, told.price, told.match_number) == (
                quantity, quantity, 7, 9)
        assert client.sequence == 7
        with pytest.raises(ClosedError, match="end of session"):
            client.message()
        client.close()

    with_venue(talk)


def test_our_client_is_rejected_by_its_server():
    def talk(address):
        client = OuchClient(address)
        assert client.login(USER, "WRONG").payload == b"A"
        client.close()

    with_venue(talk)
