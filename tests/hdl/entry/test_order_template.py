"""The host's template rows: what stands in them, and what is refused."""

import dataclasses
import random

import pytest
from dpkt.dpkt import in_cksum
from order_bench import CONNECTION, TERMS
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether
from tickwire.hdl.wire import starbase
from tickwire.hdl.wire.fixed import FixedLayout
from tickwire.hdl.wire.order_template import (
    CANCEL_ORDER,
    NEW_ORDER,
    Connection,
    OrderLayout,
    OrderTerms,
    cancel_order_template,
    new_order_template,
)


def frame_of(rows, length):
    return b"".join(row.to_bytes(8, "little") for row in rows)[:length]


def test_places_of_the_holes():
    """Typed by hand from RFC 9293 and the schema, once, to check the tables."""
    common = [("sequence", 38, 4, "big"), ("acknowledgement", 42, 4, "big"),
              ("window", 48, 2, "big"), ("venue_sequence", 62, 8, "little"),
              ("last_processed", 70, 8, "little"), ("send_time", 78, 8, "little"),
              ("client_id", 86, 8, "little"), ("client_id", 94, 8, "little"),
              ("instrument", 102, 8, "little")]
    assert list(CANCEL_ORDER.holes) == common
    assert list(NEW_ORDER.holes) == [*common, ("price", 110, 8, "little"),
                                     ("quantity", 118, 8, "little"), ("side", 144, 1, "little")]
    assert NEW_ORDER.checksum_offset == CANCEL_ORDER.checksum_offset == 50
    assert (NEW_ORDER.message_length, NEW_ORDER.payload_length, NEW_ORDER.frame_length) == (
        95, 96, 150)
    assert (CANCEL_ORDER.message_length, CANCEL_ORDER.payload_length) == (56, 56)
    assert (NEW_ORDER.beats, NEW_ORDER.last_lanes) == (19, 6)
    assert (CANCEL_ORDER.beats, CANCEL_ORDER.last_lanes) == (14, 6)


@pytest.mark.parametrize("layout", [NEW_ORDER, CANCEL_ORDER], ids=["new", "cancel"])
def test_filled_by_hand_the_checksum_is_right(layout):
    """Sum in the template + sum over the holes = checksum of the whole frame."""
    rng = random.Random(4)
    rows = (new_order_template(CONNECTION, TERMS) if layout is NEW_ORDER
            else cancel_order_template(CONNECTION))
    assert len(rows) == layout.beats
    frame = bytearray(frame_of(rows, layout.frame_length))
    filled = bytearray(len(frame))
    for hole in layout.holes:
        assert not any(frame[hole.offset:hole.offset + hole.size])
        filled[hole.offset:hole.offset + hole.size] = rng.randbytes(hole.size)
    at = layout.checksum_offset
    filled[at:at + 2] = frame[at:at + 2]
    checksum = in_cksum(bytes(filled)).to_bytes(2, "big")
    for place, octet in enumerate(filled):
        frame[place] |= octet
    frame[at:at + 2] = checksum
    packet = Ether(bytes(frame))
    again = Ether(bytes(frame))
    del again[TCP].chksum
    del again[IP].chksum
    again = Ether(bytes(again))
    assert (packet[TCP].chksum, packet[IP].chksum) == (again[TCP].chksum, again[IP].chksum)
    assert packet[IP].len == layout.frame_length - 14


def test_options_of_the_host():
    connection = dataclasses.replace(CONNECTION, schema_version=17, time_to_live=3,
                                     type_of_service=0xB8)
    rows = new_order_template(connection, OrderTerms(show_quantity=5, quantity_exponent=-2,
                                                     time_in_force=3, flags=0x802))
    frame = frame_of(rows, NEW_ORDER.frame_length)
    packet = Ether(frame)
    assert (packet[IP].ttl, packet[IP].tos) == (3, 0xB8)
    assert frame[54:62] == bytes((0xDB, 0, 95, 0, 100, 0, 17, 0))
    body = frame[86:]
    assert body[40:50] == bytes((0xFE, 5, 0, 0, 0, 0, 0, 0, 0, 0xFE))
    assert body[59:64] == bytes((3, 0x02, 0x08, 0, 0))


@pytest.mark.parametrize(("change", "message"), [
    ({"source_mac": "02:00:00:00:00"}, "source_mac must be six pairs of hexadecimal digits with "
                                       "colons between them, not '02:00:00:00:00'"),
    ({"destination_mac": "01:00:5e:00:00:01"}, "destination_mac must be the address of one "
                                               "station, not the group address 01:00:5e:00:00:01"),
    ({"source_ip": "192.0.2.256"}, "source_ip must be an IPv4 address such as 192.0.2.1, not "
                                   "'192.0.2.256'"),
    ({"destination_ip": "venue"}, "destination_ip must be an IPv4 address such as 192.0.2.1, not "
                                  "'venue'"),
    ({"source_port": 0}, "source_port must be from 1 to 65535, not 0"),
    ({"destination_port": 65536}, "destination_port must be from 1 to 65535, not 65536"),
    ({"schema_version": -1}, "schema_version must be from 0 to 65535, not -1"),
    ({"time_to_live": 0}, "time_to_live must be from 1 to 255, not 0"),
    ({"type_of_service": 256}, "type_of_service must be from 0 to 255, not 256"),
])
def test_connection_refuses(change, message):
    with pytest.raises(ValueError) as raised:
        dataclasses.replace(CONNECTION, **change)
    assert str(raised.value) == message
    assert isinstance(CONNECTION, Connection)


@pytest.mark.parametrize(("change", "message"), [
    ({"quantity_exponent": 128}, "quantity_exponent must be from -127 to 127, not 128"),
    ({"show_quantity": 0}, "show_quantity must be from 1 to 9223372036854775807, not 0"),
    ({"time_in_force": -3}, "time_in_force must be from -2 to 127, not -3"),
    ({"flags": 65536}, "flags must be from 0 to 65535, not 65536"),
    ({"self_trading_mode": 2}, "self_trading_mode must be from 0 to 1, not 2"),
])
def test_terms_refuse(change, message):
    with pytest.raises(ValueError) as raised:
        OrderTerms(**change)
    assert str(raised.value) == message


def test_layouts_refuse():
    with pytest.raises(ValueError, match=r"^A frame of Long has 33 beats, and a template holds "
                                         r"32$"):
        OrderLayout(FixedLayout("Long", [("text", 171)], byteorder="little"), {})
    with pytest.raises(ValueError, match=r"^Hole odd of Odd begins at the odd byte 87: it would "
                                         r"straddle the checksum's words$"):
        OrderLayout(FixedLayout("Odd", [("a", 1), ("b", 8)], byteorder="little"), {"b": "odd"})


def test_fixed_layouts_refuse():
    with pytest.raises(ValueError, match=r"^Byte order of X must be 'big' or 'little', not "
                                         r"'native'$"):
        FixedLayout("X", [], byteorder="native")
    with pytest.raises(ValueError, match=r"^Field a of X must have a size of at least one byte, "
                                         r"not 0$"):
        FixedLayout("X", [("a", 0)], byteorder="big")
    with pytest.raises(ValueError, match=r"^X has two fields called a$"):
        FixedLayout("X", [("a", 1), ("a", 2)], byteorder="big")
    with pytest.raises(KeyError, match=r"MessageHeader has no field checksum, only protocolId, "):
        starbase.HEADER["checksum"]
    with pytest.raises(ValueError, match=r"^256 does not fit field flags of MessageHeader, which "
                                         r"has 1 bytes$"):
        starbase.HEADER.pack(flags=256)
