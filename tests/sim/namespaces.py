"""Network namespaces for tests in which Linux kernels talk to a simulated card."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter

import pytest
from tickwire.host.gateway import Gateway

TOP = "tickwire.gateware.gateway:SimulatedGateway"
# Seconds until something counts as hung
PATIENCE = 7200 if os.environ.get("TICKWIRE_SOAK") else 300

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


def skip_without_root():
    if os.geteuid() or not os.path.exists("/dev/net/tun") or shutil.which("ip") is None:
        pytest.skip("needs root, /dev/net/tun and the command ip")


def tickwire(*arguments):
    return [sys.executable, "-c", "from tickwire.sim.cli import main; main()", *arguments]


class Namespaces:
    """Network namespaces, and what runs in them; all of it ends with :meth:`close`."""

    def __init__(self, *names):
        self.card = f"kernel-{os.getpid()}"
        self.names = {name: f"tickwire-{name}-{os.getpid()}" for name in names}
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


def counted(card):
    """The card's counters at rest: they are read one by one, and frames may come meanwhile."""
    before = None
    for _ in range(100):
        printed = subprocess.run(tickwire("stats", card, "--format", "json"), check=True,
                                 capture_output=True, text=True, timeout=PATIENCE).stdout
        if printed == before:
            return json.loads(printed)
        before = printed
    raise AssertionError("the counters do not come to rest")


class Hardware:
    """A card's gateway with an address of its own, which answers what it can."""

    ADDRESS, MAC, ECHO_PORT = "192.168.77.3", "02:00:0a:00:00:03", 7

    def __init__(self, card):
        self.gateway = gateway = Gateway.open(f"sim:{card}")
        gateway.network.station = self.MAC
        gateway.network.set_address(f"{self.ADDRESS}/24")
        gateway.network.respond(udp_echo_port=self.ECHO_PORT, unreachable=True)

    def at_rest(self, look=lambda: None):
        """Counters on the way of frames, and what ``look`` says beside them.

        They are read one by one, and a frame may come meanwhile: so they are read until they stay.
        """
        names = [*self.gateway.network.counters(), "RX_GOOD", "RX_FCS", "TX_FRAMES", "TX_UNDERRUN"]
        before = None
        for _ in range(100):
            now = (Counter({name: self.gateway.registers.read(name) for name in names}), look())
            if now == before:
                return now
            before = now
        raise AssertionError("the counters do not come to rest")

    def moved(self, before):
        """Counters that are not what they were, and by how much."""
        now, _ = self.at_rest()
        return {name: count - before[name] for name, count in now.items() if count != before[name]}

    def close(self):
        self.gateway.close()
