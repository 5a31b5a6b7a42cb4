"""The real SoupBinTCP frames, by name, and whether a client sent them."""

import os
from pathlib import Path

import dpkt
import pytest

DATA = Path(os.environ.get("TICKWIRE_DATA", Path(__file__).parents[4] / "shared" / "data"))
FOLDER = DATA / "nasdaq" / "ouch50_soupbintcp"
FROM_CLIENT = {"EnterOrderMessage", "CancelOrderMessage", "ClientHeartbeatPacket"}
NAMES = sorted(FROM_CLIENT | {"OrderAcceptedMessage", "CanceledMessage", "ServerHeartbeatPacket"})


def path(name):
    found = FOLDER / f"{name}.pcap"
    if not found.exists():
        pytest.skip(f"no real frame at {found}: set TICKWIRE_DATA to the folder of captures")
    return found


def payload(name):
    """TCP payload of the only frame."""
    with path(name).open("rb") as file:
        (_, frame), = dpkt.pcap.Reader(file)
    return bytes(dpkt.ethernet.Ethernet(frame).data.data.data)
