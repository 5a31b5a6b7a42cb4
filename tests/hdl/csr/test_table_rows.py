# amaranth: UnusedElaboratable=no
"""The rows that the host writes are the rows that the rooms read: same fields, same places."""

import pytest
from amaranth.lib import data
from tickwire.gateware.config import GatewayConfig
from tickwire.gateware.registers import REGISTERS
from tickwire.hdl.csr.ports import depth_of, shape_of
from tickwire.hdl.entry.transmit import OrderTransmit
from tickwire.hdl.feed.instruments import InstrumentTable
from tickwire.hdl.ip.receive import IpReceive
from tickwire.hdl.risk.checks import RiskLimits
from tickwire.hdl.risk.rate import RateLimit
from tickwire.hdl.strategy.threshold import ThresholdRow
from tickwire.hdl.tcp.session import Acknowledgement, SessionState


def fields(layout):
    return [(name, field.offset, field.width) for name, field in data.Layout.cast(layout)]


@pytest.mark.parametrize("table, row", [
    ("RISK", RiskLimits), ("RATE", RateLimit), ("THRESHOLD", ThresholdRow),
    ("SESSION", SessionState), ("ACKNOWLEDGE", Acknowledgement),
])
def test_rows_are_those_of_the_rooms(table, row):
    assert fields(shape_of(REGISTERS[table])) == fields(row)


@pytest.mark.parametrize("table, room, port", [
    ("SUBSCRIPTIONS", IpReceive, "subscribe"),
    ("INSTRUMENT_TABLE", InstrumentTable, "write"),
    ("TEMPLATE", OrderTransmit, "i_template"), ("VENUE_INSTRUMENT", OrderTransmit, "i_instrument"),
])
def test_tables_are_as_deep_and_as_wide_as_those_of_the_rooms(table, room, port):
    payload = room().signature.members[port].signature.members["payload"].shape
    entry = REGISTERS[table]
    assert payload.members["index"] == range(depth_of(entry, GatewayConfig()))
    row = payload.members["row"]
    if isinstance(row, data.Layout):
        assert fields(shape_of(entry)) == fields(row)
    else:
        assert row == entry.width
