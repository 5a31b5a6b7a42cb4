"""Two Linux kernels through the gateway: one on its port by the raw path, one on its wire.

    namespace `port`: TAP ← tickwire tap ← ring, registers ← gateway ← XGMII ← card ← TAP: `wire`

Both namespaces are made for this file and removed after it.
"""

import contextlib
import hashlib
import json
import os
import random
import shutil
import sys
import time

import pytest
from namespaces import PING, TOP, Namespaces, counted, skip_without_root, tickwire
from tickwire.host.card_process import memory_path
from tickwire.sim.commands.sim import ADDRESS
from tickwire.sim.engine_build import library_of_top

WIRE, PORT = ADDRESS.partition("/")[0], "192.168.77.2"
# The port's side writes a frame through registers, 4 bytes at a time: simulated, that is slow.
BYTES = 1_000_000 if os.environ.get("TICKWIRE_SOAK") else 20_000

RECEIVE = """
import hashlib, socket, sys
with socket.create_server((sys.argv[1], 5000)) as server:
    print("listening", flush=True)
    connection, _ = server.accept()
    digest = hashlib.sha256()
    while part := connection.recv(65536):
        digest.update(part)
    print(digest.hexdigest(), flush=True)
"""
SEND = """
import random, socket, sys
with socket.create_connection((sys.argv[1], 5000), timeout=300) as connection:
    connection.sendall(random.Random(int(sys.argv[2])).randbytes(int(sys.argv[3])))
"""


@pytest.fixture(scope="module")
def kernels():
    """A card on the wire of one namespace; `tickwire tap` on its port in the other."""
    skip_without_root()
    library_of_top(TOP)
    with contextlib.closing(Namespaces("wire", "port")) as spaces:
        spaces.start("wire", *tickwire("sim", spaces.card, "--tap", "wire0"), until="ready$")
        spaces.start("port", *tickwire("tap", "port0", "--card", spaces.card, "--ip",
                                       f"{PORT}/24"), until="^port0: ")
        yield spaces
    assert not memory_path(spaces.card).exists()


@pytest.mark.parametrize("where, to", [("port", WIRE), ("wire", PORT)])
def test_each_kernel_pings_the_other(kernels, where, to):
    for size in (0, 56, 1472):
        assert kernels.run(where, sys.executable, "-c", PING, to, str(size), "20") == "20 replies\n"


@pytest.mark.parametrize("sender, receiver, to", [("wire", "port", PORT), ("port", "wire", WIRE)])
def test_tcp_carries_every_byte(kernels, sender, receiver, to):
    before, began = counted(kernels.card), time.monotonic()
    server, _ = kernels.start(receiver, sys.executable, "-c", RECEIVE, to, until="^listening")
    kernels.run(sender, sys.executable, "-c", SEND, to, "7", str(BYTES))
    digest = server.stdout.readline().strip()
    assert digest == hashlib.sha256(random.Random(7).randbytes(BYTES)).hexdigest()
    moved = {name: value - before[name] for name, value in counted(kernels.card).items()}
    segments = BYTES // 1460
    assert moved["RX_GOOD" if sender == "wire" else "TX_FRAMES"] > segments
    assert moved["RX_FCS"] == moved["TX_UNDERRUN"] == moved["TX_ABORTED"] == 0
    # All that the wire gave was for the host: in the ring, or counted where it was dropped.
    assert moved["RX_GOOD"] == (moved["IP_ACCEPTED"] + moved["STORE_KEPT"]
                                + moved["STORE_FILTERED"] + moved["STORE_NO_ROOM"])
    assert moved["STORE_KEPT"] == moved["EDGE_HOST"]
    print(f"{BYTES} bytes from {sender} to {receiver} in {time.monotonic() - began:.1f} s")


def test_iperf3_runs_through_the_raw_path(kernels, soak):
    """20 s in `make soak`. What it measures is the simulation's speed, so only that it works."""
    if shutil.which("iperf3") is None:
        pytest.skip("needs the command iperf3")
    kernels.start("port", "iperf3", "--server", "--one-off", "--forceflush", "--bind", PORT,
                  until="listening")
    told = json.loads(kernels.run("wire", "iperf3", "--client", PORT, "--json", "--time",
                                  "20" if soak else "2"))
    assert "error" not in told
    assert told["end"]["sum_received"]["bytes"] > 10_000
    before = counted(kernels.card)
    assert before["RX_FCS"] == before["TX_UNDERRUN"] == 0
