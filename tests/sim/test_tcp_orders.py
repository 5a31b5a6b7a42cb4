"""Orders and the host's messages share a connection of the hardware's; a kernel is the venue."""

import contextlib
import json
import random
import struct
import sys
import time
from pathlib import Path

import pytest
from namespaces import TOP, Namespaces, skip_without_root
from tcp_hardware import ADDRESS, TcpHardware, start_peer
from tickwire.gateware.vocabulary import Reason, Side
from tickwire.host.errors import OrderRefusedError
from tickwire.host.orders import Order
from tickwire.sim.engine_build import library_of_top
from tickwire.sim.models.starbase import HEADER, NEW_ORDER
from tickwire.sim.traffic_wire import Level, datagram_frame, snapshots

BRIDGE = Path(__file__).with_name("seeded_bridge.py")
NETWORKS = {"perfect": {}, "lossy": {"loss": 0.05, "duplication": 0.05, "reordering": 0.10}}
ORDER_BYTES = 96            # of the stream: header 32, body 63, padding
ORDER_ID = 4321

WRITE_FRAME = """
import socket, sys
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
    raw.bind(("wire0", 0))
    raw.send(bytes.fromhex(sys.argv[1]))
"""


class Venue(Namespaces):
    """A kernel behind a bridge that does what ``chances`` say, and a card that trades there."""

    def __init__(self, chances):
        super().__init__("wire")
        self.card += "-venue"
        self.start("wire", sys.executable, str(BRIDGE), self.card, TOP, "wire0", ADDRESS,
                   json.dumps(chances), "12", until="ready$")
        start_peer(self)
        self.hardware = TcpHardware(self.card)
        self.gateway = self.hardware.gateway
        # A path may be bad from the first frame on, but ARP has only three tries.
        self.run("wire", "ip", "neigh", "replace", TcpHardware.ADDRESS, "dev", "wire0", "nud",
                 "permanent", "lladdr", TcpHardware.MAC)

    def with_a_book(self):
        """An instrument that may be traded."""
        gw = self.gateway
        gw.subscribe("239.111.111.1", 6101, 1)
        seven = gw.add_instrument("7", id=7, channel=1, order_id=ORDER_ID)
        levels = [Level(1, 0, 100.0, 10.0), Level(0, 0, 101.0, 10.0)]
        for sequence in range(1, 1000):
            message, = snapshots(7, 1_000, 100, levels, 40)
            self.run("wire", sys.executable, "-c", WRITE_FRAME,
                     datagram_frame(101, sequence, [message]).hex())
            for _ in range(20):
                if gw.books[seven].tradable:
                    gw.risk.set(seven, maximum_quantity=100, lowest_price=0, highest_price=1000)
                    gw.risk.rate(orders_per_second=1_000_000, burst=10_000)
                    return seven
                time.sleep(0.01)
        raise AssertionError("the snapshot does not arrive")

    def close(self):
        self.hardware.close()
        super().close()


@pytest.fixture
def venue(request):
    skip_without_root()
    library_of_top(TOP)
    with contextlib.closing(Venue(NETWORKS[request.param])) as venue:
        yield venue


@pytest.mark.parametrize("venue", list(NETWORKS), indirect=True)
def test_the_venue_gets_each_byte_once_in_the_order_of_sending(venue, request, soak):
    gw, rng = venue.gateway, random.Random(3)
    seven = venue.with_a_book()
    connection = venue.hardware.connect("mirror")
    gw.trade_over(connection, venue_sequence=500, client_id=9_000)
    gw.publish(book=False, ticker=False)
    gw.arm()
    expected, orders, refused = [], 0, 0
    for _ in range(2_000 if soak else 60):
        if rng.random() < 0.4:
            message = rng.randbytes(rng.randrange(1, 700))
            connection.send(message, timeout=120)
            expected.append(message)
            continue
        price, quantity = rng.randrange(1, 1000), rng.randrange(1, 100)
        side = rng.choice([Side.BID, Side.ASK])
        while True:
            gw.events.poll()            # else the log fills
            try:
                sent = gw.send(Order(instrument=seven, side=side, price=price, quantity=quantity))
            except OrderRefusedError as refusal:
                assert refusal.reason in (Reason.NO_WINDOW, Reason.TX_BUSY)
                refused += 1
                continue
            break
        assert (sent.client_id, sent.venue_sequence) == (9_000 + orders, 500 + orders)
        expected.append((sent, price, quantity, side))
        orders += 1
    gw.disarm()
    connection.close()
    heard = venue.hardware.read_all(connection)
    venue.hardware.ended(connection)
    for part in expected:
        if isinstance(part, bytes):
            assert heard[:len(part)] == part
            heard = heard[len(part):]
            continue
        sent, price, quantity, side = part
        _, _, length, kind, _, sequence, _, _ = HEADER.unpack_from(heard)
        body = NEW_ORDER.unpack_from(heard, HEADER.size)
        assert (length, kind, sequence) == (95, 100, sent.venue_sequence)
        assert body[0] == sent.client_id and body[2:5] == (ORDER_ID, price * 10**9, quantity)
        assert struct.unpack("<b", heard[HEADER.size + 58:HEADER.size + 59])[0] == (
            1 if side is Side.BID else -1)
        heard = heard[ORDER_BYTES:]
    assert heard == b""
    counts = venue.hardware.counts()
    assert "TCP_LOST" not in counts and orders > 20
    if request.node.callspec.params["venue"] == "lossy":
        assert counts["TCP_RESENT"] > 0
    else:
        assert "TCP_RESENT" not in counts


@pytest.mark.parametrize("venue", ["perfect"], indirect=True)
def test_orders_are_refused_when_the_connection_ends(venue):
    gw = venue.gateway
    seven = venue.with_a_book()
    connection = venue.hardware.connect("mirror")
    gw.trade_over(connection)
    gw.arm()
    order = Order(instrument=seven, side=Side.BID, price=50, quantity=1)
    assert gw.send(order).venue_sequence == 1
    connection.abort()
    connection.wait_closed(60)
    with pytest.raises(OrderRefusedError, match="NO_SESSION.*gw.trade_over"):
        gw.send(order)
    assert gw.status()["session"] is False


@pytest.mark.parametrize("venue", ["lossy"], indirect=True)
def test_bytes_of_hardware_and_kernel_come_through_a_bad_network(venue, soak):
    hardware, count = venue.hardware, 1_000_000 if soak else 30_000
    octets = hardware.octets(8, count)
    connection = hardware.connect("mirror")
    connection.send(octets, timeout=600)
    connection.close()
    assert hardware.read_all(connection) == octets
    hardware.ended(connection)
    assert hardware.counts()["TCP_RESENT"] > 0
