"""``tickwire exchange`` as a process: what it says, that one can trade with it, how it ends."""

import json
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tickwire.sim.cli import make_app
from tickwire.sim.exchange.clients import ClosedError, OuchClient, StarbaseClient
from tickwire.sim.models import ouch
from tickwire.sim.models import starbase_messages as sb
from tickwire.sim.models.deribit import parse_datagram
from typer.testing import CliRunner


def listening(process):
    """Symbols, and the ports of both gateways, as the process says them."""
    symbols, ports = [], []
    for line in process.stdout:
        if re.match(r"[A-Z]{3}\d{5} ", line):
            symbols.append(line.split()[0])
        ports += [int(found) for found in re.findall(r" on 127\.0\.0\.1:(\d+)", line)]
        if line.startswith("Market data"):
            return symbols, ports
    raise AssertionError(process.stderr.read())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_trades_and_ends(number, tmp_path):
    feed = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    feed.bind(("127.0.0.1", 0))
    feed.settimeout(30)
    record = tmp_path / "orders.jsonl"
    process = subprocess.Popen(
        [str(Path(sys.executable).parent / "tickwire"), "exchange", "--ouch-port", "0",
         "--starbase-port", "0", "--feed", f"127.0.0.1:{feed.getsockname()[1]}", "--instruments",
         "3", "--user", "ME", "--password", "SECRET", "--record", str(record)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with process:
        symbols, (ouch_port, starbase_port) = listening(process)
        assert symbols == ["BTC00001", "ETH00002", "SOL00003"]
        assert parse_datagram(feed.recv(2000)).messages
        client = OuchClient(("127.0.0.1", ouch_port))
        assert client.login("ME", "SECRET").type == "A"
        assert client.message().event_code == "S"
        client.send(ouch.EnterOrder(user_ref_num=1, side="B", quantity=1, symbol=symbols[0],
                                    price=5000))
        assert client.message().user_ref_num == 1
        other = StarbaseClient(("127.0.0.1", starbase_port))
        assert isinstance(other.logon("ME", "SECRET"), sb.LogonConf)
        process.send_signal(number)
        with pytest.raises(ClosedError):
            while True:
                client.message()
        assert other.message() == sb.LoggedOut(reason="the exchange stops")
        said, errors = process.communicate(timeout=30)
        assert (process.returncode, errors) == (0, "")
        assert re.match(r"Ended: [\d,]+ events, [\d,]+ datagrams, 0 of them not taken", said)
        client.close()
        other.close()
    feed.close()
    lines = [json.loads(line) for line in record.read_text().splitlines()]
    assert [line["event"] for line in lines if line.get("owner") == "ouch:ME"] == [
        "logged in", "accepted", "canceled"]
    assert lines[-1]["event"] == "disconnected"


@pytest.fixture(scope="module")
def taken():
    """A port on which somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("arguments, why", [
    (["--user", "SEVENCH"], "--user must be 1 to 6 letters and digits, not 'SEVENCH'"),
    (["--password", ""], "--password must be 1 to 10 letters and digits, not ''"),
    (["--feed", "here"], "--feed: 'here' is no GROUP:PORT, such as 239.111.111.1:6100"),
    (["--feed", "1.2.3.4:65535"], "--feed: '1.2.3.4:65535' is no GROUP:PORT"),
    (["--bind", "x"], "--bind: 'x' is no IPv4 address"),
    (["--interface", "192.0.2.1"], "--interface: 192.0.2.1: Cannot assign requested address"),
    (["--bind", "192.0.2.1"], "192.0.2.1: cannot listen: "),
    (["--heartbeat", "5", "--patience", "5"], "--heartbeat must be below --patience, not 5.0"),
    (["--record", "/nowhere/file"], "--record: /nowhere/file: No such file or directory"),
    (["--ouch-port", "TAKEN"], "cannot listen: ")])
def test_wrong_use_is_told_in_one_line(arguments, why, taken):
    arguments = ["exchange", *(str(taken) if one == "TAKEN" else one for one in arguments)]
    result = CliRunner().invoke(make_app(arguments), arguments)
    assert result.exit_code == 2, result.output
    assert result.stderr.count("\n") == 1
    assert why in result.stderr
    assert "give " in result.stderr or "must be" in result.stderr or "such as" in result.stderr
