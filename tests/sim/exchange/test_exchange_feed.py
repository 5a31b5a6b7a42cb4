"""Books made from the feed by the golden model are the core's; the record adds up."""

import random
import socket
from decimal import Decimal

import pytest
from exchange_bench import exchange
from tickwire.sim.exchange.exchange import Settings
from tickwire.sim.exchange.feed import UdpFeedSocket
from tickwire.sim.exchange.market import Terms
from tickwire.sim.exchange.order_book import Side, TimeInForce
from tickwire.sim.models.deribit import parse_datagram


def steps(running, count):
    running.do(lambda: [running.exchange.traders.step() for _ in range(count)])


def compare(running, books):
    for number, listing in running.exchange.market.listings.items():
        assert books.books[number].sides == running.levels(listing)
        assert books.books[number].healthy


@pytest.mark.parametrize("seed, instruments", [(1, 1), (2, 8), (3, 40), (4, 128)])
def test_golden_books_equal_the_cores(seed, instruments):
    with exchange(seed=seed, instruments=instruments) as running:
        running.snapshots()
        steps(running, 150)
        compare(running, running.golden())
        steps(running, 550)
        running.snapshots()
        books = running.golden()
        compare(running, books)
        assert books.chain_breaks == books.sequence_gaps == books.already_contained == 0
        assert len(books.snapshots) == instruments
        assert all(check.equal for check in books.snapshots)
        checked = [check for check in books.tickers if check.touch is not None]
        assert len(checked) > 600
        assert all(check.equal for check in checked)
        assert books.updates > 600
        assert max(len(payload) for payload, _ in running.datagrams) <= 1472


def test_one_lost_datagram_is_seen():
    """The comparisons above are none that a wrong feed would pass."""
    with exchange(seed=2) as running:
        running.snapshots()
        steps(running, 300)
        channel = [number for number, (payload, snapshot) in enumerate(running.datagrams)
                   if not snapshot and parse_datagram(payload).channel == 1]
        del running.datagrams[channel[len(channel) // 2]]
        books = running.golden()
        assert books.sequence_gaps == 1
        assert books.chain_breaks >= 1


def test_the_same_seed_gives_the_same_feed():
    def feed(seed):
        with exchange(seed=seed, instruments=5, clock=lambda: 10**18) as running:
            running.snapshots()
            steps(running, 300)
            return running.datagrams

    assert feed(5) == feed(5) != feed(6)


def test_one_update_of_very_many_levels_is_parted():
    with exchange(instruments=1) as running:
        running.snapshots()
        listing, market = running.listing(), running.exchange.market
        before = len(running.datagrams)

        class Owner:
            name = "test"

            def on_execution(self, held, execution): pass

            def on_cancel(self, held, lots, reason): pass

        owner = Owner()
        low = max(1, running.touch(Side.BID)[0] - 400)

        def build():
            for number in range(90):
                market.submit(owner, listing, Terms(side=Side.BID, ticks=low + number, lots=1), 0,
                              tell=lambda outcome: None)
            market.submit(owner, listing, Terms(
                side=Side.ASK, ticks=1, lots=10**6,
                time_in_force=TimeInForce.IMMEDIATE_OR_CANCEL), 0, tell=lambda outcome: None)

        running.do(build)
        running.snapshots()
        books = running.golden()
        compare(running, books)
        assert books.not_last >= 1
        last = [parse_datagram(payload) for payload, snapshot in running.datagrams[before + 90:]
                if not snapshot]
        assert len(last) > 2
        names = [message.name for datagram in last for message in datagram.messages]
        assert names.count("ticker") == 1
        assert names[-2:] == ["ticker", "book"]
        trades = [entry for datagram in last for message in datagram.messages
                  if message.name == "trades" for entry in message.groups]
        assert len(trades) >= 90
        prices = [entry[1] for entry in trades]
        assert prices == sorted(prices, reverse=True)
        assert books.books[1].sides[Side.BID] == {}


def test_the_record_adds_up():
    """Accepted, less executed and canceled, is what rests; and trades are those of the feed."""
    with exchange(seed=4) as running:
        steps(running, 600)
        left, traded = {}, Decimal(0)
        for line in running.record():
            if line["event"] == "accepted":
                left[line["order_id"]] = Decimal(line["quantity"])
            elif line["event"] == "canceled":
                left[line["order_id"]] -= Decimal(line["quantity"])
            elif line["event"] == "executed":
                traded += Decimal(line["quantity"])
                for name in ("order_id", "maker_order_id"):
                    left[line[name]] -= Decimal(line["quantity"])
            assert min(left.values(), default=0) >= 0
        market = running.exchange.market
        assert {number: quantity for number, quantity in left.items() if quantity} == {
            number: held.listing.quantity(held.order.remaining)
            for number, held in market.orders.items()}
        numbers = [line["number"] for line in running.record()]
        assert numbers == list(range(1, len(numbers) + 1))
        told = sum(Decimal(repr(entry[2])) for payload, _ in running.datagrams
                   for message in parse_datagram(payload).messages if message.name == "trades"
                   for entry in message.groups)
        assert told == traded > 0


def test_over_udp_with_the_traders_running():
    """Real datagrams of a real loop: increments on one port, snapshots on the next."""
    rng = random.Random(1)
    for _ in range(20):
        first = rng.randrange(20_000, 60_000)
        sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
        try:
            for offset, one in enumerate(sockets):
                one.bind(("127.0.0.1", first + offset))
            break
        except OSError:
            for one in sockets:
                one.close()
    sender = UdpFeedSocket("127.0.0.1", first)
    with exchange(speed=5.0, snapshot_interval=1.0) as running:
        running.exchange.feed._send = sender
        try:
            for snapshot, one in enumerate(sockets):
                one.settimeout(20)
                for _ in range(10):
                    datagram = parse_datagram(one.recv(2000))
                    assert (datagram.channel >= 100) == bool(snapshot)
        finally:
            running.stop()
            sender.close()
            for one in sockets:
                one.close()
    assert sender.refused == 0


def test_datagrams_that_the_kernel_refuses_are_counted():
    sender = UdpFeedSocket("127.0.0.1", 40_000)
    sender(bytes(70_000), False)
    assert sender.refused == 1
    sender.close()


def test_multicast_leaves_by_the_interface_that_was_asked_for():
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(("239.111.111.77", 0))
    receiver.settimeout(20)
    receiver.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                        socket.inet_aton("239.111.111.77") + socket.inet_aton("127.0.0.1"))
    sender = UdpFeedSocket("239.111.111.77", receiver.getsockname()[1], interface="127.0.0.1")
    sender(b"hello", False)
    data, (address, _) = receiver.recvfrom(100)
    assert (data, address, sender.refused) == (b"hello", "127.0.0.1", 0)
    sender.close()
    receiver.close()


@pytest.mark.parametrize("given, why", [
    ({"instruments": 0}, "Settings instruments must be 1 to 128, not 0"),
    ({"speed": -1}, "Settings speed must be 0 to 1000, not -1"),
    ({"snapshot_interval": 0}, "Settings snapshot_interval must be above 0, not 0")])
def test_nonsense_is_refused(given, why):
    with pytest.raises(ValueError, match=why):
        Settings(**given)
