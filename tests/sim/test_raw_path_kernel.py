"""Two Linux kernels through the gateway: one on its port by the raw path, one on its wire.

    namespace `port`: TAP ← tickwire tap ← ring, registers ← gateway ← XGMII ← card ← TAP: `wire`

Both namespaces are made for this file and removed after it.
"""

import contextlib
import hashlib
import json
import os
import random
import re
import shutil
import subprocess
import sys
import time

import pytest
from tickwire.host.card_process import memory_path
from tickwire.sim.commands.sim import ADDRESS
from tickwire.sim.engine_build import library_of_top

TOP = "tickwire.gateware.gateway:SimulatedGateway"
WIRE, PORT = ADDRESS.partition("/")[0], "192.168.77.2"
# The port's side writes a frame through registers, 4 bytes at a time: simulated, that is slow.
BYTES = 1_000_000 if os.environ.get("TICKWIRE_SOAK") else 20_000
PATIENCE = 300          # seconds until something counts as hung

PING = """
import os, socket, struct, sys
from tickwire.sim.rewrite import internet_checksum
to, size, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as icmp:
    icmp.settimeout(60)
    for number in range(count):
        rest = struct.pack("!HH", os.getpid() & 0xffff, number) + os.urandom(size)
        checksum = internet_checksum(bytes((8, 0, 0, 0)) + rest)
        icmp.sendto(struct.pack("!BBH", 8, 0, checksum) + rest, (to, 0))
        while (reply := icmp.recv(65536)[20:])[0] != 0 or reply[4:8] != rest[:4]:
            pass
        assert reply[4:] == rest
print(count, "replies")
"""
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


def tickwire(*arguments):
    return [sys.executable, "-c", "from tickwire.sim.cli import main; main()", *arguments]


class Namespaces:
    """Two network namespaces, and what runs in them; all of it ends with :meth:`close`."""

    def __init__(self):
        self.card = f"kernel-{os.getpid()}"
        self.names = {name: f"tickwire-{name}-{os.getpid()}" for name in ("wire", "port")}
        self.processes = []
        for name in self.names.values():
            subprocess.run(["ip", "netns", "add", name], check=True)

    def command(self, where, *command):
        return ["ip", "netns", "exec", self.names[where], *command]

    def start(self, where, *command, until):
        """Start a program and wait for a line that matches; gives process and line."""
        process = subprocess.Popen(self.command(where, *command), stdout=subprocess.PIPE, text=True)
        self.processes.append(process)
        while not re.search(until, line := process.stdout.readline()):
            assert line, f"{command} has ended"
        return process, line

    def run(self, where, *command):
        done = subprocess.run(self.command(where, *command), capture_output=True, text=True,
                              check=False, timeout=PATIENCE)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def close(self):
        # What was started last goes first: the interface before the card behind it.
        for process in reversed(self.processes):
            process.terminate()
            process.wait(timeout=60)
            process.stdout.close()
        for name in self.names.values():
            subprocess.run(["ip", "netns", "del", name], check=True)


@pytest.fixture(scope="module")
def kernels():
    """A card on the wire of one namespace; `tickwire tap` on its port in the other."""
    if os.geteuid() or not os.path.exists("/dev/net/tun") or shutil.which("ip") is None:
        pytest.skip("needs root, /dev/net/tun and the command ip")
    library_of_top(TOP)
    with contextlib.closing(Namespaces()) as spaces:
        spaces.start("wire", *tickwire("sim", spaces.card, "--tap", "wire0"), until="ready$")
        spaces.start("port", *tickwire("tap", "port0", "--card", spaces.card, "--ip",
                                       f"{PORT}/24"), until="^port0: ")
        yield spaces
    assert not memory_path(spaces.card).exists()


def counted(kernels):
    """The card's counters at rest: they are read one by one, and frames may come meanwhile."""
    before = None
    for _ in range(100):
        printed = subprocess.run(tickwire("stats", kernels.card, "--format", "json"), check=True,
                                 capture_output=True, text=True, timeout=PATIENCE).stdout
        if printed == before:
            return json.loads(printed)
        before = printed
    raise AssertionError("the counters do not come to rest")


@pytest.mark.parametrize("where, to", [("port", WIRE), ("wire", PORT)])
def test_each_kernel_pings_the_other(kernels, where, to):
    for size in (0, 56, 1472):
        assert kernels.run(where, sys.executable, "-c", PING, to, str(size), "20") == "20 replies\n"


@pytest.mark.parametrize("sender, receiver, to", [("wire", "port", PORT), ("port", "wire", WIRE)])
def test_tcp_carries_every_byte(kernels, sender, receiver, to):
    before, began = counted(kernels), time.monotonic()
    server, _ = kernels.start(receiver, sys.executable, "-c", RECEIVE, to, until="^listening")
    kernels.run(sender, sys.executable, "-c", SEND, to, "7", str(BYTES))
    digest = server.stdout.readline().strip()
    assert digest == hashlib.sha256(random.Random(7).randbytes(BYTES)).hexdigest()
    moved = {name: value - before[name] for name, value in counted(kernels).items()}
    segments = BYTES // 1460
    assert moved["RX_GOOD" if sender == "wire" else "TX_FRAMES"] > segments
    assert moved["RX_FCS"] == moved["TX_UNDERRUN"] == moved["TX_ABORTED"] == 0
    # All that the wire gave was for the host: in the ring, or counted where it was dropped.
    assert moved["RX_GOOD"] == (moved["IP_ACCEPTED"] + moved["STORE_KEPT"]
                                + moved["STORE_FILTERED"] + moved["STORE_NO_ROOM"])
    print(f"{BYTES} bytes from {sender} to {receiver} in {time.monotonic() - began:.1f} s")
