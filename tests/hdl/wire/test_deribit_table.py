"""The Deribit table says what Deribit's own schema says; sizes and offsets of all wire tables."""

import os
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from tickwire.hdl.wire.deribit import (
    ASK,
    BID,
    CHANGED,
    CREATED,
    DELETED,
    DERIBIT,
    FRAME_HEADER,
    GROUP_HEADER,
    MESSAGE_HEADER,
)
from tickwire.hdl.wire.ethernet import ETHERNET_HEADER, multicast_mac
from tickwire.hdl.wire.fixed import FixedLayout
from tickwire.hdl.wire.ipv4 import IPV4_HEADER
from tickwire.hdl.wire.sbe import Message, Schema
from tickwire.hdl.wire.udp import UDP_HEADER

PROJECT = Path(__file__).parents[3]
DATA = Path(os.environ.get("TICKWIRE_DATA", PROJECT.parent / "shared" / "data"))
SCHEMA = DATA / "deribit" / "deribit_multicast.xml"

PRIMITIVES = {"uint8": "u8", "uint16": "u16", "uint32": "u32", "uint64": "u64", "int32": "i32",
              "double": "f64", "string8": "char8", "string16": "char16"}


@pytest.fixture(scope="module")
def schema():
    if not SCHEMA.exists():
        pytest.skip(f"Deribit's schema is not there: {SCHEMA} (TICKWIRE_DATA names the folder)")
    return ElementTree.parse(SCHEMA).getroot()


def test_every_message(schema):
    encodings = {enum.get("name"): enum.get("encodingType") for enum in schema.iter("enum")}

    def fields(node):
        return tuple((entry.get("name"),
                      PRIMITIVES[encodings.get(entry.get("type"), entry.get("type"))])
                     for entry in node.findall("field") if entry.get("name") != "header")

    assert int(schema.get("id")) == DERIBIT.schema_id
    nodes = schema.findall("message")
    assert len(nodes) == len(DERIBIT.messages)
    for node, message in zip(nodes, DERIBIT.messages, strict=True):
        assert (node.get("name"), int(node.get("id"))) == (message.name, message.template_id)
        assert fields(node) == message.fields, message.name
        assert [(group.get("name"), fields(group)) for group in node.findall("group")] == [
            (group.name, group.fields) for group in message.groups]
        assert tuple(datum.get("name") for datum in node.findall("data")) == message.data


def test_headers_and_enumerations(schema):
    composites = {node.get("name"): [(part.get("name"), part.get("primitiveType"))
                                     for part in node] for node in schema.iter("composite")}
    for layout, name in ((MESSAGE_HEADER, "messageHeader"), (GROUP_HEADER, "groupSizeEncoding")):
        assert [(field.name, field.size) for field in layout] == [
            (part, {"uint16": 2}[kind]) for part, kind in composites[name]]
    values = {enum.get("name"): {value.get("name"): int(value.text) for value in enum}
              for enum in schema.iter("enum")}
    assert values["bookSide"] == {"ask": ASK, "bid": BID}
    assert values["bookChange"] == {"created": CREATED, "changed": CHANGED, "deleted": DELETED}


def test_sizes():
    assert (ETHERNET_HEADER.size, IPV4_HEADER.size, UDP_HEADER.size) == (14, 20, 8)
    assert (FRAME_HEADER.size, MESSAGE_HEADER.size, GROUP_HEADER.size) == (8, 12, 8)
    blocks = {message.name: message.block_length for message in DERIBIT.messages}
    # As they are in the real capture.
    assert blocks == {"instrument": 140, "book": 29, "trades": 4, "ticker": 133, "snapshot": 22,
                      "snapshotStart": 4, "snapshotEnd": 0, "comboLegs": 4, "priceIndex": 32,
                      "rfq": 22, "instrumentV2": 139}
    assert {message.name: message.groups[0].block_length
            for message in DERIBIT.messages if message.groups} == {
                "book": 18, "trades": 83, "snapshot": 17, "comboLegs": 8, "instrumentV2": 16}
    assert IPV4_HEADER["destinationAddress"].offset == 16


def test_multicast_mac():
    # RFC 1112, 6.4: the low-order 23 bits.
    assert multicast_mac(0xefefffff) == 0x01005e6fffff
    assert multicast_mac(0xe0000001) == 0x01005e000001


def test_nonsense_is_rejected():
    header = FixedLayout("header", [("length", 2)], byteorder="little")
    with pytest.raises(ValueError, match=r"^Field x of odd has the type 'u24'; known are u8, "):
        Message("odd", 1, [("x", "u24")])
    with pytest.raises(ValueError, match=r"^Feed has two messages with the template_id 1$"):
        Schema("Feed", 1, header, header, header, (Message("a", 1), Message("b", 1)))
    with pytest.raises(KeyError, match="Deribit multicast has no message quote, only instrument, "):
        DERIBIT["quote"]
