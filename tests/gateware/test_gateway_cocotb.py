"""The whole gateway between somebody else's XGMII source and sink, driven by the host package."""

import os
from pathlib import Path

import pytest
from gateway_bench import small_simulator
from tickwire.sim import cocotb_runner
from tickwire.sim.models.decisions import Rule, decide, price_units
from tickwire.sim.models.deribit import parse_datagram, udp_payload
from tickwire.sim.models.deribit_books import ASK, BID, Books
from tickwire.sim.plan import Capture

PROJECT = Path(__file__).parents[2]
CAPTURE = Path(os.environ.get("TICKWIRE_DATA", PROJECT.parent / "shared" / "data")) / (
    "deribit/sample_capture_v1_6.pcapng")

# A snapshot of nine levels, then all that its channel of increments carries, without a gap.
INSTRUMENT, GROUP = 15, "239.111.111.4"
SNAPSHOT, TICKS = 2721, (2736, 2781, 2814, 2823)
BUY_AT, SELL_AT, QUANTITY = 1671.75, 1668.93, 3


def facts():
    """The packets, and what the golden models say of them."""
    if not CAPTURE.exists():
        pytest.skip(f"The capture is not there: {CAPTURE} (TICKWIRE_DATA names the folder)")
    packets = [packet for packet in Capture(CAPTURE).packets()
               if packet.number in (SNAPSHOT, *TICKS)]
    books, levels = Books(), []
    for packet in packets:
        datagram = parse_datagram(udp_payload(packet.data)[3])
        books.datagram(packet.number, datagram)
        book = books.books[INSTRUMENT]
        levels.append({"bids": book.levels(BID), "asks": book.levels(ASK),
                       "change_id": book.change_id})
    orders = {}
    for trigger, limits in (("book", {"buy_limit": BUY_AT}), ("ticker", {"sell_limit": SELL_AT})):
        rule = Rule(instrument_id=INSTRUMENT, trigger=trigger, quantity=QUANTITY, **limits)
        decisions = decide(packets, [rule])
        orders[trigger] = [
            [[1 if one.side == "buy" else -1, price_units(one.price)]
             for one in decisions if one.packet == packet.number] for packet in packets[1:]]
    # Three ticks that make an order, one that does not.
    assert [len(one) for one in orders["book"]] == [1, 1, 1, 0]
    assert len(orders["ticker"][0]) == 1
    return {"frames": [packet.data.hex() for packet in packets], "levels": levels,
            "orders": orders, "instrument": INSTRUMENT, "group": GROUP, "buy_at": BUY_AT,
            "sell_at": SELL_AT, "quantity": QUANTITY}


def test_gateway_between_source_and_sink():
    cocotb_runner.simulate(small_simulator(), Path(__file__).parent / "cocotb_gateway.py",
                           parameters=facts())
