"""OUCH 5.0: real frames settle the layouts, and two codecs that share nothing agree on the rest."""

import re
from dataclasses import fields

import pytest
import real_ouch
from hypothesis import given, settings
from hypothesis import strategies as st
from tickwire.hdl.wire import ouch as table
from tickwire.host import ouch as host
from tickwire.host.fields import WireError
from tickwire.sim.models import ouch

KINDS = [*ouch.CLIENT_MESSAGES.values(), *ouch.HOST_MESSAGES.values()]


def message(name):
    return real_ouch.payload(name)[3:]


@pytest.mark.parametrize("name, read, theirs", [
    ("EnterOrderMessage", ouch.from_client, host.read_request),
    ("CancelOrderMessage", ouch.from_client, host.read_request),
    ("OrderAcceptedMessage", ouch.from_host, host.read_message),
    ("CanceledMessage", ouch.from_host, host.read_message)])
def test_real_messages_come_back_byte_for_byte(name, read, theirs):
    image = message(name)
    assert read(image).encode() == image
    assert host.compose(theirs(image)) == image


def test_what_the_real_messages_say():
    entered = ouch.from_client(message("EnterOrderMessage"))
    assert (entered.symbol, entered.side, entered.quantity, entered.price) == (
        "CVLT", "T", 225, 0x99DB8)
    assert (entered.cl_ord_id, entered.appendages) == ("H8FUB8IV", ((2, b"LIME"),))
    assert ouch.from_client(message("CancelOrderMessage")) == ouch.CancelOrder(
        user_ref_num=0x752E71, quantity=0)
    gone = ouch.from_host(message("CanceledMessage"))
    assert (gone.user_ref_num, gone.quantity, gone.reason) == (0x753A8D, 40, "U")
    accepted = ouch.from_host(message("OrderAcceptedMessage"))
    assert (accepted.symbol, accepted.side, accepted.quantity, accepted.order_state) == (
        "ADBE", "B", 40, "L")
    assert accepted.appendages == ((2, b"MLRO"), (18, b"0"))
    # The order is cancelled 0.09 s after it was accepted, at 12:23 in New York.
    assert gone.user_ref_num == accepted.user_ref_num
    assert 0 < gone.timestamp - accepted.timestamp < 10**9
    assert accepted.timestamp // 3600 // 10**9 == 12


def values(kind):
    """Random values of a message."""
    found = {}
    for field, code in zip(fields(kind), kind.FORMAT.split(), strict=True):
        if code == "a":
            found[field.name] = st.lists(st.tuples(
                st.integers(0, 255), st.binary(max_size=8)), max_size=4).map(tuple)
        elif code.endswith("s"):
            found[field.name] = st.text("ABz09-", max_size=int(code[:-1]))
        else:
            found[field.name] = st.integers(0, (1 << 8 * {"H": 2, "I": 4, "Q": 8}[code]) - 1)
    return st.fixed_dictionaries(found)


def camel(name):
    return re.sub(r"_(.)", lambda found: found[1].upper(), name)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@settings(max_examples=25)
@given(st.data())
def test_two_codecs_agree(kind, data):
    given_values = data.draw(values(kind))
    one = kind(**given_values)
    image = one.encode()
    client = kind in ouch.CLIENT_MESSAGES.values()
    assert (ouch.from_client if client else ouch.from_host)(image) == one
    theirs = (host.read_request if client else host.read_message)(image)
    assert theirs.appendages == given_values.pop("appendages", ())
    assert theirs.fields == {camel(name): value for name, value in given_values.items()}
    assert host.compose(theirs) == image


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_cut_or_extended_messages_are_refused(kind):
    image = kind(**{field.name: "" if code.endswith("s") else () if code == "a" else 1
                    for field, code in zip(fields(kind), kind.FORMAT.split(), strict=True)}
                 ).encode()
    client = kind in ouch.CLIENT_MESSAGES.values()
    read, theirs = (ouch.from_client, host.read_request) if client else (
        ouch.from_host, host.read_message)
    read(image), theirs(image)
    for wrong in (*(image[:size] for size in range(len(image))), image + b"\0", b"~" + image[1:]):
        with pytest.raises(ouch.OuchError):
            read(wrong)
        with pytest.raises(WireError):
            theirs(wrong)


@pytest.mark.parametrize("tail", [b"\0\1\0", b"\0\1\5", b"\0\3\4\2A", b"\0\2\1"])
def test_lengths_of_optional_fields_are_checked(tail):
    image = message("EnterOrderMessage")[:45] + tail
    with pytest.raises(ouch.OuchError):
        ouch.from_client(image)
    with pytest.raises(WireError):
        host.read_request(image)


@pytest.mark.parametrize("make, why", [
    (lambda: ouch.CancelOrder(user_ref_num=1 << 32).encode(), "user_ref_num 4294967296 does not"),
    (lambda: ouch.SystemEvent(timestamp=0, event_code="SS").encode(), "event_code 'SS' is longer"),
    (lambda: host.compose(host.OuchMessage("Cancel Order", {"userRefNum": 1 << 32})),
     "userRefNum of Cancel Order has 4 bytes, too few for 4294967296"),
    (lambda: host.compose(host.OuchMessage("Cancel Order", {"price": 1})),
     "Cancel Order has no field price"),
    (lambda: host.compose(host.OuchMessage("Cancel Order", {}, ((2, b"A"),))),
     "Cancel Order has no optional fields"),
    (lambda: host.compose(host.OuchMessage("Cancel", {})), "OUCH has no message 'Cancel'")])
def test_what_does_not_fit_is_refused(make, why):
    with pytest.raises((ouch.OuchError, WireError), match=why):
        make()


def test_sizes():
    """Of the messages without optional fields, as the specification gives them."""
    assert {layout.name: layout.size for layout in table.FROM_CLIENT.values()} == {
        "Enter Order": 47, "Replace Order": 40, "Cancel Order": 9}
    assert {layout.name: layout.size for layout in table.FROM_HOST.values()} == {
        "System Event": 10, "Order Accepted": 64, "Order Replaced": 68, "Order Canceled": 18,
        "Order Executed": 36, "Broken Trade": 36, "Order Rejected": 29, "Cancel Pending": 13,
        "Cancel Reject": 13}
