"""Registers and rooms agree: rows field by field, counters and records name by name."""

import pytest
from amaranth.hdl import Fragment, Shape
from amaranth.lib import data
from tickwire.gateware import records, vocabulary
from tickwire.gateware.config import GatewayConfig
from tickwire.gateware.control import COUNTED, LOADS, TABLES
from tickwire.gateware.data_path import DataPath
from tickwire.gateware.registers import REGISTERS
from tickwire.hdl.csr.bank import RegisterBank
from tickwire.hdl.entry.intent import Action, Reason, Source
from tickwire.hdl.feed.event import Side
from tickwire.hdl.ip.edge import EdgeCounts
from tickwire.hdl.tcp.connection import CommandKind, Event, RefusalReason, State


def elaborated(part):
    """What is never elaborated makes Amaranth warn, in whatever test runs when it is collected."""
    Fragment.get(part, platform=None)
    return part


@pytest.fixture(scope="module")
def path():
    return elaborated(DataPath(GatewayConfig()))


@pytest.fixture(scope="module")
def bank():
    return elaborated(RegisterBank(REGISTERS, GatewayConfig()))


def shape_of(value):
    return value.shape() if isinstance(value, data.View) else Shape.cast(value.shape())


def fields(shape):
    """Name and width of each field of a row, from bit 0."""
    if isinstance(shape, int) or (isinstance(shape, Shape) and not isinstance(shape, data.Layout)):
        return [Shape.cast(shape).width]
    return [(str(name), Shape.cast(field.shape).width) for name, field in data.Layout.cast(shape)]


@pytest.mark.parametrize("table", [*TABLES, *LOADS])
def test_a_row_is_the_same_on_both_sides(path, bank, table):
    room, port = (TABLES | LOADS)[table]
    source = shape_of(getattr(bank, f"o_{table}").payload)
    sink = shape_of(getattr(getattr(path, room), port).payload)
    if table in TABLES:
        assert source["index"].shape == sink["index"].shape
        sink = sink["row"].shape
    ours, theirs = fields(source["row"].shape), fields(sink)
    if len(theirs) == 1 and isinstance(theirs[0], int):     # a row that is one number
        assert [width for _, width in ours] == theirs
    else:
        assert ours == theirs


def test_every_count_has_a_counter(path):
    for prefix, name in COUNTED.items():
        for port in getattr(path, name).signature.members:
            if port.startswith("o_count_") and port != "o_count_message":
                counter = f"{prefix}_{port.removeprefix('o_count_').upper()}"
                assert counter in REGISTERS
                assert REGISTERS[counter].step == len(getattr(getattr(path, name), port))


def test_every_count_of_the_network_edge_has_a_counter():
    for name, _ in data.Layout.cast(EdgeCounts):
        assert f"EDGE_{name.upper()}" in REGISTERS


def test_every_counter_of_the_bank_is_driven(path):
    names = {f"{prefix}_{port.removeprefix('o_count_').upper()}"
             for prefix, name in COUNTED.items()
             for port in getattr(path, name).signature.members if port.startswith("o_count_")}
    names |= {f"EDGE_{name.upper()}" for name, _ in data.Layout.cast(EdgeCounts)}
    for entry in REGISTERS.page("RX_GOOD").entries:
        assert (entry.name in names or entry.name in ("ORDERS_SENT", "EDGE_GROUP_LOST")
                or entry.name.startswith(("MESSAGES_", "REFUSED_", "BUS_"))), entry.name


@pytest.mark.parametrize("name, theirs", [("Side", Side), ("Action", Action), ("Source", Source),
                                          ("Reason", Reason), ("TcpState", State),
                                          ("TcpEvent", Event), ("TcpCall", CommandKind),
                                          ("TcpRefusal", RefusalReason)])
def test_the_host_has_the_same_words(name, theirs):
    ours = getattr(vocabulary, name)
    assert {one.name: one.value for one in ours} == {one.name: one.value for one in theirs}


def test_records_have_one_end():
    assert len({tuple(record.fields[-4:]) for record in records.RECORDS}) == 1
