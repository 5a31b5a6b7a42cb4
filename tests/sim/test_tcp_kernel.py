"""The kernel as the peer of hardware's TCP: connections, bulk, windows, resets and half-closes."""

import contextlib
import hashlib
import re
import subprocess
import time

import pytest
from namespaces import TOP, Namespaces, skip_without_root, tickwire
from tcp_hardware import LINUX, PORT, TcpHardware, start_peer
from tickwire.gateware.vocabulary import TcpEvent, TcpState
from tickwire.host.errors import ConnectionEndedError, NetworkError
from tickwire.sim.commands.sim import ADDRESS
from tickwire.sim.engine_build import library_of_top

LISTEN_PORT = 7000


@pytest.fixture(scope="module")
def spaces(tmp_path_factory):
    skip_without_root()
    library_of_top(TOP)
    with contextlib.closing(Namespaces("wire")) as spaces:
        spaces.card += "-tcp"
        spaces.start("wire", *tickwire("sim", spaces.card, "--tap", "wire0", "--ip", ADDRESS),
                     until="ready$")
        start_peer(spaces)
        yield spaces


@pytest.fixture(scope="module")
def hardware(spaces):
    with contextlib.closing(TcpHardware(spaces.card)) as hardware:
        hardware.tcp.reset_strangers(True)
        yield hardware


def nstat(spaces):
    """The kernel's counters of bad segments."""
    printed = spaces.run("wire", "cat", "/proc/net/snmp")
    names, values = (line.split()[1:] for line in printed.splitlines() if line.startswith("Tcp:"))
    return dict(zip(names, map(int, values), strict=True))


@pytest.mark.parametrize("first", ["hardware", "kernel"])
def test_connections_come_and_go(hardware, first, soak):
    for number in range(500 if soak else 8):
        if first == "hardware":
            connection = hardware.connect("echo")
            said = b"number %d" % number
            connection.send(said)
            assert hardware.read_all(connection, len(said)) == said
            connection.close()
            assert hardware.read_all(connection) == b""
        else:
            connection = hardware.connect("random 5 10")
            assert hardware.read_all(connection) == hardware.octets(5, 10)
            assert connection.state is TcpState.CLOSE_WAIT
            connection.close()
        assert connection.wait_closed(60) in (TcpEvent.PEER_CLOSED, TcpEvent.CLOSED)
        hardware.ended(connection)


def test_the_kernel_connects_to_hardware(spaces, hardware):
    listening = hardware.tcp.listen(LISTEN_PORT)
    caller = hardware.connect(f"call {hardware.ADDRESS} {LISTEN_PORT}")
    listening.accept(60)
    assert hardware.read_all(listening, 5) == b"hello"
    listening.send(b"and you")
    assert hardware.read_all(listening, 7) == b"and you"
    listening.close()
    hardware.ended(listening)
    caller.close()
    hardware.ended(caller)


def test_bytes_come_through_unchanged(spaces, hardware, soak):
    octets = hardware.octets(1, 10_000_000 if soak else 150_000)
    bad = nstat(spaces)
    connection = hardware.connect("digest")
    connection.send(octets, timeout=600)
    connection.close()
    assert hardware.read_all(connection).decode() == hashlib.sha256(octets).hexdigest()
    hardware.ended(connection)
    connection = hardware.connect(f"random 2 {len(octets)}")
    assert hardware.read_all(connection) == hardware.octets(2, len(octets))
    connection.close()
    hardware.ended(connection)
    now = nstat(spaces)
    assert now["InErrs"] == bad["InErrs"] and now["InCsumErrors"] == bad["InCsumErrors"]
    assert "TCP_CHECKSUM" not in hardware.counts() and "TCP_HEADER" not in hardware.counts()


def test_a_peer_that_does_not_read_closes_its_window_and_opens_it_again(hardware, soak):
    connection = hardware.connect(f"stall {10 if soak else 2}")
    octets = hardware.octets(3, 40_000)
    with pytest.raises(NetworkError, match="NO_WINDOW"):
        for at in range(0, len(octets), 1000):
            connection.send(octets[at:at + 1000], timeout=0.5)
    sent = at
    assert sent < len(octets)
    connection.send(octets[sent:], timeout=120)
    connection.close()
    assert hardware.read_all(connection).decode() == hashlib.sha256(octets).hexdigest()
    hardware.ended(connection)


def test_half_closed_connections_still_receive(hardware):
    connection = hardware.connect("digest")
    connection.close()
    assert hardware.read_all(connection).decode() == hashlib.sha256(b"").hexdigest()
    hardware.ended(connection)


def test_a_reset_ends_a_connection_and_nobody_listening_refuses_one(hardware):
    connection = hardware.connect("reset")
    with pytest.raises(ConnectionEndedError, match="RESET"):
        for _ in range(1000):
            connection.send(b"more")
            connection.read(10, timeout=60)
    assert connection.state is TcpState.CLOSED
    with pytest.raises(ConnectionEndedError, match="REFUSED.*listen on that port"):
        hardware.tcp.connect(LINUX, PORT + 1, timeout=60)


def test_strangers_are_reset(spaces, hardware):
    tried = subprocess.run(spaces.command("wire", "python3", "-c", f"""
import socket
try: socket.create_connection(("{hardware.ADDRESS}", 4444), timeout=60)
except ConnectionRefusedError: print("refused")
"""), capture_output=True, text=True, check=True)
    assert tried.stdout == "refused\n"


def test_silence_ends_a_connection(spaces, hardware):
    connection = hardware.connect("echo")
    hardware.gateway.registers.write("TCP_USER_TIMEOUT", 3_000)
    spaces.run("wire", "ip", "link", "set", "wire0", "down")
    try:
        connection.send(b"is anybody there?")
        with pytest.raises(ConnectionEndedError, match="TIMED_OUT"):
            connection.read(10, timeout=120)
    finally:
        spaces.run("wire", "ip", "link", "set", "wire0", "up")
        hardware.gateway.registers.write("TCP_USER_TIMEOUT", 100_000)


def test_all_sessions_at_once(hardware):
    count = hardware.tcp.sessions
    connections = [hardware.connect("echo") for _ in range(count)]
    assert len({one.session for one in connections}) == count
    with pytest.raises(ValueError, match=f"TCP_SESSIONS: all {count} are in use"):
        hardware.tcp.connect(LINUX, PORT)
    expected = [b""] * count
    for turn in range(20):
        for number, connection in enumerate(connections):
            octets = hardware.octets(100 * turn + number, 1 + 37 * turn)
            connection.send(octets, timeout=60)
            expected[number] += octets
    for connection, octets in zip(connections, expected, strict=True):
        assert hardware.read_all(connection, len(octets)) == octets
    for connection in connections:
        connection.close()
    for connection in connections:
        hardware.ended(connection)


def test_frames_that_hardware_takes_do_not_reach_the_host(hardware):
    frames = hardware.gateway.frames.poll()
    while more := hardware.gateway.frames.poll():
        frames += more
    assert not [one for one in frames if bytes(one.data[12:14]) == b"\x08\x00"
                and one.data[23] == 6]


def test_tshark_has_nothing_to_say(spaces, hardware, tmp_path):
    """Of a run without loss: nothing malformed, no bad checksum, no retransmission."""
    capture = tmp_path / "wire.pcap"
    dump = subprocess.Popen(spaces.command("wire", "tshark", "-q", "-i", "wire0", "-w",
                                           str(capture), "-f", "tcp"),
                            stderr=subprocess.PIPE, text=True)
    try:
        while "Capturing" not in dump.stderr.readline():
            assert dump.poll() is None
        # The file is there once the interface is being listened to.
        while not (capture.exists() and capture.stat().st_size):
            assert dump.poll() is None
            time.sleep(0.01)
        connection = hardware.connect("echo")
        for size in (1, 2, 7, 8, 9, 100, 535, 1460):
            connection.send(hardware.octets(size, size))
            assert hardware.read_all(connection, size) == hardware.octets(size, size)
        connection.close()
        hardware.ended(connection)
    finally:
        spaces.run("wire", "sleep", "1")
        dump.terminate()
        dump.wait()
        dump.stderr.close()
    printed = subprocess.run(
        ["tshark", "-r", str(capture), "-o", "ip.check_checksum:TRUE", "-o",
         "tcp.check_checksum:TRUE", "-T", "fields", "-e", "ip.src", "-e", "tcp.len", "-e",
         "_ws.expert.message"], capture_output=True, text=True, check=True).stdout
    lines = [line.split("\t") for line in printed.splitlines()]
    ours = [line for line in lines if line[0] == hardware.ADDRESS]
    assert sum(int(length) for _, length, _ in ours) == 2127
    # What the kernel leaves to its network card is not ours.
    harmless = re.compile(r"Connection|window update|^$", re.IGNORECASE)
    assert [line for line in ours if not harmless.search(line[2])] == []
