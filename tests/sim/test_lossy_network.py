"""The gateware behind a network that loses, doubles, reorders and damages frames, by a seed.

    namespace `wire`: kernel ← TAP ← seeded_bridge.py ← card ← gateway ← `tickwire tap`: `port`
"""

import contextlib
import hashlib
import json
import random
import signal
import sys
from collections import Counter
from pathlib import Path

import pytest
from namespaces import TOP, Hardware, Namespaces, skip_without_root, tickwire
from test_raw_path_kernel import PORT, RECEIVE, SEND
from tickwire.sim.commands.sim import ADDRESS
from tickwire.sim.engine_build import library_of_top

BRIDGE = Path(__file__).with_name("seeded_bridge.py")
LOSSY = {"loss": 0.05, "duplication": 0.05, "reordering": 0.10}
FLIPPING = {"flip": 0.5}

# Sends datagrams and pings without waiting for answers; prints what came, and what was not sent.
BLAST = """
import json, os, random, select, socket, struct, sys, time
from tickwire.sim.rewrite import internet_checksum
to, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
rng = random.Random(5)
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
icmp = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
udp.connect((to, port))
sent, found = set(), {"echoes": 0, "replies": 0, "wrong": 0}

def hear(patience):
    while (ready := select.select([udp, icmp], [], [], patience)[0]):
        for source in ready:
            got = source.recv(65536)
            if source is icmp:
                if got[20] != 0 or got[24:26] != struct.pack("!H", os.getpid() & 0xffff):
                    continue        # a request, or somebody else's
                if internet_checksum(got[20:]):
                    continue        # the kernel does not look at a raw socket's
                got = got[28:]
            found["echoes" if source is udp else "replies"] += 1
            found["wrong"] += got not in sent

for number in range(count):
    payload = struct.pack("!I", number) + rng.randbytes(rng.randrange(1469))
    sent.add(payload)
    udp.send(payload)
    rest = struct.pack("!HH", os.getpid() & 0xffff, number & 0xffff) + payload
    checksum = internet_checksum(bytes((8, 0, 0, 0)) + rest)
    icmp.sendto(struct.pack("!BBH", 8, 0, checksum) + rest, (to, 0))
    hear(0.02)
hear(1.5)
print(json.dumps(found))
"""


class Network(Namespaces):
    """The bridge with its card in `wire`; for TCP an interface on the port as well."""

    def __init__(self, chances):
        super().__init__("wire", "port")
        self.card += "-lossy"
        # ip(8) becomes the program that it starts, so this process is the bridge.
        self.bridge, _ = self.start("wire", sys.executable, str(BRIDGE), self.card, TOP, "wire0",
                                    ADDRESS, json.dumps(chances), "11", until="ready$")
        self.hardware = Hardware(self.card)
        self.run("wire", "ip", "neigh", "replace", Hardware.ADDRESS, "dev", "wire0", "nud",
                 "permanent", "lladdr", Hardware.MAC)

    def suffered(self):
        """What the bridge has done to the frames so far."""
        self.bridge.send_signal(signal.SIGUSR1)
        return json.loads(self.bridge.stdout.readline())

    def blast(self, count):
        """What the kernel heard; how the hardware's counters moved; what the bridge did."""
        counters, ways = self.hardware.at_rest(self.suffered)
        found = json.loads(self.run("wire", sys.executable, "-c", BLAST, Hardware.ADDRESS,
                                    str(Hardware.ECHO_PORT), str(count)))
        after, ways_after = self.hardware.at_rest(self.suffered)
        return (found, {name: after[name] - counters[name] for name in after},
                {way: Counter(ways_after[way]) - Counter(ways[way]) for way in ways})

    def close(self):
        self.hardware.close()
        super().close()


@pytest.fixture
def network(request):
    skip_without_root()
    library_of_top(TOP)
    with contextlib.closing(Network(request.param)) as network:
        yield network


@pytest.mark.parametrize("network", [LOSSY], indirect=True)
def test_loss_duplicates_and_another_order(network, soak):
    count = 50_000 if soak else 200
    found, moved, ways = network.blast(count)
    assert found["wrong"] == 0
    for what in ("lost", "doubled", "overtaken"):
        assert ways["to_card"][what] and ways["from_card"][what], what
    # All that the network let through reached the hardware, and each frame was counted once.
    assert ways["to_card"]["given"] == moved["RX_GOOD"] > 1.5 * count
    answers = moved["EDGE_UDP_ECHO"] + moved["EDGE_ECHO_REPLY"]
    assert moved["RX_GOOD"] == answers + sum(moved[name] for name in (
        "EDGE_HOST", "EDGE_HOST_NO_ROOM", "EDGE_NO_ROOM", "EDGE_ARP_REPLY", "STORE_FILTERED",
        "STORE_NO_ROOM"))
    assert answers == moved["REPLY_KEPT"] + moved["REPLY_DROPPED"] > 1.5 * count
    assert ways["from_card"]["seen"] == moved["TX_FRAMES"] == moved["REPLY_KEPT"]
    assert found["echoes"] + found["replies"] == ways["from_card"]["given"]
    assert moved["TX_UNDERRUN"] == moved["RX_FCS"] == 0


@pytest.mark.parametrize("network", [FLIPPING], indirect=True)
def test_flipped_bits_are_never_delivered(network, soak):
    count = 50_000 if soak else 150
    found, moved, ways = network.blast(count)
    assert found["wrong"] == 0 and 0 < found["echoes"] < count
    assert ways["to_card"]["flipped"] > 0.8 * count
    assert sum(moved[f"EDGE_{name}"] for name in ("CHECKSUM", "IP_CHECKSUM", "IP_HEADER")
               ) > 0.7 * count


@pytest.mark.parametrize("network", [LOSSY], indirect=True)
def test_tcp_through_the_raw_path(network, soak):
    network.start("port", *tickwire("tap", "port0", "--card", network.card, "--ip",
                                    f"{PORT}/24"), until="^port0: ")
    octets = 500_000 if soak else 20_000
    server, _ = network.start("port", sys.executable, "-c", RECEIVE, PORT, until="^listening")
    network.run("wire", sys.executable, "-c", SEND, PORT, "7", str(octets))
    digest = server.stdout.readline().strip()
    assert digest == hashlib.sha256(random.Random(7).randbytes(octets)).hexdigest()
