"""Nothing on the way of received words can be stalled, so what transmits cannot stop it."""

import pytest
from amaranth.hdl import Const, Fragment
from amaranth.lib.wiring import Out
from tickwire.gateware.config import GatewayConfig
from tickwire.gateware.data_path import DataPath

# From the wire to the decision, and all that listens beside
RECEIVE = ("crossing", "mac_receive", "ip_receive", "feed", "instruments", "book", "strategy",
           "frame_summary", "ether_statistics", "interface_statistics", "link_fault",
           "pause_timer", "event_log", "book_access")
# Where received things begin to wait: behind a memory that drops and counts what finds no room
LAST = ("frame_store", "launch")


@pytest.fixture(scope="module")
def data_path():
    rooms = DataPath(GatewayConfig())
    Fragment.get(rooms, None)
    return rooms


def waits(room, flow=None):
    """Streams of a room whose ``ready`` is a signal, not the constant 1; of one direction."""
    return {path[0] for path, member, port in room.signature.flatten(room)
            if path[-1] == "ready" and not isinstance(port, Const) and flow in (None, member.flow)}


@pytest.mark.parametrize("name", RECEIVE)
def test_a_room_on_the_way_has_no_ready_at_all(name, data_path):
    assert waits(getattr(data_path, name)) == set()


@pytest.mark.parametrize("name", LAST)
def test_only_behind_the_last_room_things_may_wait(name, data_path):
    assert waits(getattr(data_path, name)) == {"o"}
    assert waits(getattr(data_path, name), Out) == set()


def test_a_room_that_makes_others_wait_is_seen(data_path):
    assert waits(data_path.arbiter, Out) == {"i_order", "i_reply", "i_host"}
