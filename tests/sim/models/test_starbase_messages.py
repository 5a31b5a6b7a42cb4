"""Starbase messages: sizes as the schema gives them, and two codecs that share nothing agree."""

import dataclasses
import re
import struct
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tickwire.hdl.wire import starbase as table
from tickwire.host import starbase as host
from tickwire.host.fields import WireError
from tickwire.sim.models import starbase_messages as sb
from tickwire.sim.models.starbase import parse_order
from tickwire.sim.models.starbase_wire import (
    Frames,
    Message,
    StarbaseMessageError,
    decode,
    encode,
)

KINDS = sorted(Message.KNOWN.values(), key=lambda kind: kind.TYPE)
SIZES = {"b": 1, "B": 1, "H": 2, "i": 4, "q": 8}
# Where the two codecs call a field otherwise.
NAMES = {
    "reset_sequence": "resetSeqNum", "heartbeat_interval": "heartbeatIntervalSeconds",
    "first": "fromSequenceNumber", "last": "toSequenceNumber",
    "new_sequence": "newSequenceNumber", "ref_sequence": "refSequenceNumber",
    "show_quantity": "showQty", "visible_quantity": "visibleQty",
    "self_match_id": "selfMatchPreventionId"}
FILL_NAMES = {"price": "fillPrice", "quantity": "fillQty", "side": "legSide"}


def named(name, group=""):
    name = FILL_NAMES.get(name, name) if group in ("Fill", "Leg") else name
    if group == "RestingFill" and name == "quantity":
        return "fillQty"
    return NAMES.get(name) or re.sub(r"_(.)", lambda found: found[1].upper(), name)


def numbers(code):
    bits = 8 * SIZES[code]
    low = 0 if code in "BH" else -(1 << bits - 1)
    return st.integers(low, low + (1 << bits) - 1)


DECIMALS = st.builds(lambda mantissa, exponent: Decimal(mantissa).scaleb(exponent),
                     st.integers(1 - (1 << 63), (1 << 63) - 1), st.integers(-128, 127))


def blocks(kind, version):
    """Random values of a block's own fields."""
    made = {}
    for field, code in zip(dataclasses.fields(kind), kind.codes(version), strict=False):
        made[field.name] = (
            DECIMALS if code == "d" else st.text("Ab 9", max_size=255) if code == "t"
            else st.text("Ab9", max_size=int(code[:-1])) if code.endswith("s") else numbers(code))
    return st.builds(kind, **made)


def messages(kind, version):
    names = [field.name for field in dataclasses.fields(kind)]
    groups = {name: st.lists(blocks(group, version), max_size=3).map(tuple)
              for group, name in zip(kind.GROUPS, names[len(names) - len(kind.GROUPS):],
                                     strict=True)}
    return st.builds(lambda one, more: dataclasses.replace(one, **more),
                     blocks(kind, version), st.fixed_dictionaries(groups))


def told(block, version):
    """A block's values as the host's codec names them, and its text."""
    found, text = {}, ""
    for field, code in zip(dataclasses.fields(block), block.codes(version), strict=False):
        value, name = getattr(block, field.name), named(field.name, type(block).__name__)
        if code == "d":
            sign, digits, exponent = value.as_tuple()
            found[f"{name}.mantissa"] = int("".join(map(str, digits))) * (-1 if sign else 1)
            found[f"{name}.exponent"] = exponent
        elif code == "t":
            text = value
        else:
            found[name] = value
    return found, text


@pytest.mark.parametrize("version", [11, 12, 15, 16])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@settings(max_examples=8)
@given(st.data())
def test_two_codecs_agree(kind, version, data):
    one = data.draw(messages(kind, version))
    image = encode(one, sequence=7, version=version, last_processed=6, send_time=5, flags=1)
    assert len(image) % 8 == 0
    ((header, body),) = Frames().feed(image)
    assert (header.sequence, header.last_processed, header.send_time, header.flags) == (7, 6, 5, 1)
    assert decode(header, body) == one
    (theirs,) = host.frames(bytearray(image))
    read = host.read(theirs)
    fields, text = told(one, version)
    assert (read.fields, read.text) == (fields, text)
    names = [field.name for field in dataclasses.fields(kind)]
    for name in names[len(names) - len(kind.GROUPS):]:
        assert read.groups[name] == [told(entry, version)[0] for entry in getattr(one, name)]
    assert host.compose(read) == image


def test_sizes_of_the_schema():
    """Field ids of the schema are the offsets at which fields end."""
    roots = {layout.name: layout.size for part in (
        table.SESSION_TYPES, table.REQUEST_TYPES, table.RESPONSE_TYPES) for layout in part}
    assert roots == {
        "Logon": 68, "LogonConf": 6, "Logout": 1, "LoggedOut": 1, "Heartbeat": 8,
        "TestRequest": 8, "ResendRequest": 16, "GapFill": 8, "Reject": 10,
        "NewOrderRequest": 63, "AmendOrderRequest": 52, "CancelOrderRequest": 24,
        "CancelOrderByIdRequest": 24, "NewOrderResponse": 94, "NewOrderReject": 50,
        "AmendOrderResponse": 93, "AmendOrderReject": 50, "CancelOrderResponse": 74,
        "CancelOrderReject": 50, "OrderFilled": 16, "OrdersCanceled": 17}
    assert {group.name: group.size for group in table.GROUPS[table.NEW_ORDER_RESPONSE]} == {
        "fills": 25, "legs": 34}
    assert table.GROUPS[table.ORDER_FILLED][0].size == 60
    assert table.GROUPS[table.ORDERS_CANCELED][0].size == 35
    assert [table.root_size(table.LOGON, version) for version in (11, 12, 13, 16)] == [
        65, 67, 68, 68]
    assert [table.root_size(table.CANCEL_ORDER_RESPONSE, version) for version in (15, 16)] == [
        56, 74]
    with pytest.raises(ValueError, match="schema version must be at least 11, not 10"):
        table.root_size(table.LOGON, 10)


def test_the_order_that_the_gateware_sends_is_read_the_same():
    """By the golden reader of frames, which stands apart from both codecs."""
    image = encode(sb.NewOrder(client_order_id=3, instrument_id=9, price=-5,
                               quantity=Decimal("12"), side=-1), sequence=4)
    head = struct.pack(">BBHHHBBH", 0x45, 0, 40 + len(image), 0, 0, 64, 6, 0) + bytes(8)
    tcp = struct.pack(">HHIIBBHHH", 1, 2, 77, 0, 0x50, 0x18, 100, 0, 0)

    def checksum(data):
        total = sum(struct.unpack(f">{len(data) // 2}H", data))
        while total >> 16:
            total = (total & 0xFFFF) + (total >> 16)
        return struct.pack(">H", 0xFFFF - total)

    head = head[:10] + checksum(head) + head[12:]
    pseudo = head[12:20] + struct.pack(">HH", 6, 20 + len(image))
    tcp = tcp[:16] + checksum(pseudo + tcp + image) + tcp[18:]
    order = parse_order(bytes(12) + b"\x08\0" + head + tcp + image)
    assert (order.venue_sequence, order.client_id, order.instrument, order.price, order.quantity,
            order.side) == (4, 3, 9, -5, 12, -1)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_cut_or_extended_bodies_are_refused(kind):
    one = kind(**{field.name: {"d": Decimal(1), "t": "ab"}.get(code, "a" if code.endswith("s")
                                                               else 1)
                  for field, code in zip(dataclasses.fields(kind), kind.codes(16), strict=False)})
    ((header, body),) = Frames().feed(encode(one, sequence=1))
    for wrong in (*(body[:size] for size in range(len(body))), body + b"\0"):
        with pytest.raises(StarbaseMessageError) as refused:
            decode(header, wrong)
        assert refused.value.reason == 3
        image = bytearray(encode(one, sequence=1)[:32] + wrong)
        image[2:4] = struct.pack("<H", len(image))
        with pytest.raises(WireError):
            host.read(bytes(image))


@pytest.mark.parametrize("offset, byte, why", [
    (0, 0xDA, "protocol id 0xda is not 0xdb"), (2, 31, "message length 31 is not 32 to 4096"),
    (3, 0xFF, "message length 653")])
def test_what_no_header_is(offset, byte, why):
    image = bytearray(encode(sb.Heartbeat(), sequence=1))
    image[offset] = byte
    with pytest.raises(StarbaseMessageError, match=why):
        list(Frames().feed(bytes(image)))


def test_absent_quantities():
    image = encode(sb.NewOrder(client_order_id=1, instrument_id=1, price=1, quantity=Decimal(1),
                               side=1), sequence=1)
    (theirs,) = host.frames(bytearray(image))
    assert host.read(theirs)["showQty.mantissa"] == table.NULL_INT64
    assert host.read(theirs)["showQty.exponent"] == table.NULL_INT8
    ((header, body),) = Frames().feed(image)
    assert decode(header, body).show_quantity is None


def test_unknown_types():
    image = bytearray(encode(sb.Heartbeat(), sequence=1))
    image[4] = 99
    ((header, body),) = Frames().feed(bytes(image))
    with pytest.raises(StarbaseMessageError, match="message type 99 is unknown"):
        decode(header, body)
    with pytest.raises(WireError, match="message type 99 is unknown"):
        host.read(bytes(image))
