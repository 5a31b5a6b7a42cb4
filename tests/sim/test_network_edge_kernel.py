"""A Linux kernel and the gateware's own address, which hardware answers for; nobody else does.

    namespace `wire`: kernel ← TAP ← card ← XGMII ← gateway

No interface stands on the gateway's port, and no program runs there. The time of ARP and IGMP is
the card's, which follows the wall clock while nothing happens.
"""

import contextlib
import hashlib
import os
import random
import re
import shutil
import subprocess
import sys
import time

import pytest
from namespaces import PING, TOP, Hardware, Namespaces, skip_without_root, tickwire
from tickwire.host.card_process import memory_path
from tickwire.sim.commands.sim import ADDRESS
from tickwire.sim.engine_build import library_of_top

SOAK = bool(os.environ.get("TICKWIRE_SOAK"))
PINGS = 10_000 if SOAK else 140
DATAGRAMS = 100_000 if SOAK else 100
HARDWARE, MAC, ECHO_PORT = Hardware.ADDRESS, Hardware.MAC, Hardware.ECHO_PORT
GROUP = "239.129.2.3"

ECHO = """
import random, socket, sys
to, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
rng = random.Random(5)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
    udp.settimeout(60)
    for number in range(count):
        payload = rng.randbytes(rng.randrange(1473))
        udp.sendto(payload, (to, port))
        assert udp.recvfrom(65536) == (payload, (to, port)), number
print(count, "datagrams")
"""
HEARD = 10_000 if SOAK else 40
LISTEN = """
import hashlib, socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
    udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
    udp.bind(("", 5001))
    udp.settimeout(60)
    print("listening", flush=True)
    digest = hashlib.sha256()
    for _ in range(int(sys.argv[1])):
        payload, (who, port) = udp.recvfrom(65536)
        digest.update(payload)
print(who, port, digest.hexdigest(), flush=True)
"""
REFUSED = """
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
    udp.settimeout(60)
    udp.connect((sys.argv[1], 9))
    udp.send(b"is anybody there?")
    try:
        print("answer", udp.recv(100))
    except ConnectionRefusedError:
        print("port unreachable")
"""


@pytest.fixture(scope="module")
def spaces():
    skip_without_root()
    library_of_top(TOP)
    with contextlib.closing(Namespaces("wire")) as spaces:
        spaces.start("wire", *tickwire("sim", spaces.card, "--tap", "wire0", "--ip", ADDRESS),
                     until="ready$")
        yield spaces
    assert not memory_path(spaces.card).exists()


@pytest.fixture(scope="module")
def hardware(spaces):
    with contextlib.closing(Hardware(spaces.card)) as hardware:
        yield hardware


def test_linux_finds_the_gateway_by_arp(spaces, hardware):
    spaces.run("wire", "ip", "neigh", "flush", "all")
    before, _ = hardware.at_rest()
    assert spaces.run("wire", sys.executable, "-c", PING, HARDWARE, "56", "1") == "1 replies\n"
    entry = spaces.run("wire", "ip", "neigh", "show", HARDWARE)
    assert re.search(rf"lladdr {MAC} .*(REACHABLE|DELAY|STALE|PROBE)", entry), entry
    assert hardware.moved(before)["EDGE_ARP_REPLY"] >= 1
    # An address that nobody has stays unresolved.
    spaces.run("wire", "ip", "neigh", "replace", "192.168.77.4", "dev", "wire0", "nud", "probe",
               "lladdr", MAC)
    for _ in range(300):
        entry = spaces.run("wire", "ip", "neigh", "show", "192.168.77.4")
        if "FAILED" in entry:
            break
        time.sleep(0.1)
    assert "FAILED" in entry


def test_arping_finds_one_station(spaces, hardware):
    if shutil.which("arping") is None:
        pytest.skip("needs the command arping")
    # Debian has two commands of this name.
    version = subprocess.run(["arping", "-V"], capture_output=True, text=True, check=False)
    interface = "-I" if "iputils" in version.stdout else "-i"
    printed = spaces.run("wire", "arping", "-c", "3", interface, "wire0", HARDWARE)
    assert printed.lower().count(MAC) == 3, printed


def test_linux_pings_the_hardware_without_a_loss(spaces, hardware):
    before, began = hardware.at_rest()[0], time.monotonic()
    sizes = (0, 1, 17, 56, 700, 1471, 1472)
    for size in sizes:
        count = PINGS // len(sizes) + 1
        assert spaces.run("wire", sys.executable, "-c", PING, HARDWARE, str(size), str(count)
                          ) == f"{count} replies\n"
    found = hardware.moved(before)
    total = len(sizes) * (PINGS // len(sizes) + 1)
    assert found["EDGE_ECHO_REPLY"] == total >= PINGS
    assert found["TX_FRAMES"] == found["REPLY_KEPT"] == total + found.get("EDGE_ARP_REPLY", 0)
    assert not {"RX_FCS", "TX_UNDERRUN", "REPLY_DROPPED", "STORE_NO_ROOM", "EDGE_CHECKSUM"
                } & set(found)
    print(f"{total} pings in {time.monotonic() - began:.1f} s")


def test_every_datagram_comes_back(spaces, hardware):
    before, _ = hardware.at_rest()
    assert spaces.run("wire", sys.executable, "-c", ECHO, HARDWARE, str(ECHO_PORT), str(DATAGRAMS)
                      ) == f"{DATAGRAMS} datagrams\n"
    assert hardware.moved(before)["EDGE_UDP_ECHO"] == DATAGRAMS


def test_linux_receives_the_hosts_datagrams(spaces, hardware):
    server, _ = spaces.start("wire", sys.executable, "-c", LISTEN, str(HEARD), until="^listening")
    rng = random.Random(6)
    digest = hashlib.sha256()
    for _ in range(HEARD):
        payload = rng.randbytes(rng.randrange(1473))
        digest.update(payload)
        while not hardware.gateway.frame_room:
            pass
        hardware.gateway.send_datagram(payload, ADDRESS.partition("/")[0], 5001, source_port=5002)
    assert server.stdout.readline().strip() == f"{HARDWARE} 5002 {digest.hexdigest()}"


def test_a_closed_port_is_refused(spaces, hardware):
    assert spaces.run("wire", sys.executable, "-c", REFUSED, HARDWARE) == "port unreachable\n"


def test_a_bridge_that_queries_learns_groups_and_forgets_them(spaces, hardware):
    """The kernel as a switch with IGMP snooping: its table has what the hardware reported."""
    for command in ("ip link add br0 type bridge forward_delay 0 mcast_snooping 1 mcast_querier 1 "
                    "mcast_igmp_version 3 mcast_query_interval 200 "
                    "mcast_startup_query_interval 100 mcast_query_response_interval 100",
                    "ip link set wire0 master br0", "ip address flush dev wire0",
                    f"ip address add {ADDRESS} dev br0", "ip link set br0 up"):
        spaces.run("wire", *command.split())

    def groups():
        return re.findall(r"port wire0 grp (\S+)", spaces.run("wire", "bridge", "mdb", "show"))

    def comes(condition):
        # Seldom: while somebody reads registers, the card's time stands almost still.
        for _ in range(200):
            if condition():
                return True
            time.sleep(0.3)
        return False

    count = hardware.gateway.registers.read
    try:
        hardware.gateway.network.join(GROUP)
        assert comes(lambda: GROUP in groups()), "the report on joining"
        asked, answered = count("EDGE_IGMP_MESSAGE"), count("EDGE_IGMP_REPORT")
        assert comes(lambda: count("EDGE_IGMP_MESSAGE") >= asked + 2), "queries"
        assert comes(lambda: count("EDGE_IGMP_REPORT") > answered), "an answer"
        assert GROUP in groups()
        hardware.gateway.network.leave(GROUP)
        assert comes(lambda: GROUP not in groups()), "the report on leaving"
    finally:
        for command in ("ip link del br0", f"ip address add {ADDRESS} dev wire0"):
            spaces.run("wire", *command.split())


def test_frames_of_nonsense_do_not_stop_it(spaces, hardware):
    """Written to the wire by a raw socket of the kernel's, then pings are answered as before."""
    rng = random.Random(6)
    nonsense = [bytes.fromhex(MAC.replace(":", "")) + rng.randbytes(6) + kind
                + rng.randbytes(rng.randrange(0, 400))
                for kind in (b"\x08\x00", b"\x08\x06", b"\x08\x00\x45", b"\x86\xdd")
                for _ in range(50 if not SOAK else 5000)]
    code = ("import socket, sys\nwith socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:\n"
            "    raw.bind(('wire0', 0))\n"
            "    for line in sys.argv[1].split(): raw.send(bytes.fromhex(line))\n")
    for at in range(0, len(nonsense), 100):
        spaces.run("wire", sys.executable, "-c", code,
                   " ".join(one.hex() for one in nonsense[at:at + 100]))
        assert spaces.run("wire", sys.executable, "-c", PING, HARDWARE, "56", "3"
                          ) == "3 replies\n"
