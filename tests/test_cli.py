"""The command line: help, one-line errors with status 2, and what the commands write."""

import json
import subprocess
import sys

import pytest
from tickwire.sim import passes
from tickwire.sim.cli import COMMANDS, make_app
from tickwire.sim.models.deribit_books import summarise
from tickwire.sim.replay import run_pass
from typer.testing import CliRunner


def call(*arguments):
    return CliRunner().invoke(make_app(arguments), [str(one) for one in arguments])


def fails(*arguments):
    """The one line that it says on the error stream."""
    result = call(*map(str, arguments))
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    return result.stderr.strip()


def test_help_names_every_command():
    result = call("--help")
    assert result.exit_code == 0
    for name, line in COMMANDS.items():
        assert name in result.output and line in result.output


@pytest.mark.parametrize("command, words", [
    ("replay", ("--venue", "--out", "--timing", "--engine", "--raw", "--waves", "line-rate",
                "recorded", "decision list", "Example")),
    ("traffic", ("--venue", "--seed", "--packets", "--out", "Example")),
    ("regs", ("--format", "json", "md", "Example")),
    ("sim", ("--tap", "--ip", "--link", "192.168.77.1/24", "Example")),
    ("tap", ("--card", "--ip", "--promiscuous", "Example")),
    ("stats", ("--format", "json", "--all", "Example")),
    ("exchange", ("--bind", "--ouch-port", "--feed", "--record", "--heartbeat", "Example")),
    ("clock", ("--discipline", "--once", "--json", "--interval", "Example"))])
def test_help_of_commands_is_worth_reading(command, words):
    result = call(command, "--help")
    assert result.exit_code == 0
    for word in words:
        assert word in result.output
    assert len(result.output.split()) > 60


def test_version():
    assert call("--version").stdout.startswith("tickwire 0.")


def test_unknown_command_is_wrong_use():
    assert call("reply").exit_code == 2
    assert "No such command 'reply'" in call("reply").stderr


def test_starting_imports_nothing_heavy():
    """Help must be there at once: no NumPy, no Amaranth, nothing of a command."""
    code = ("import sys; from tickwire.sim.cli import make_app; make_app([]);"
            "print([m for m in ('numpy', 'amaranth', 'dpkt', "
            "'tickwire.sim.commands.replay') if m in sys.modules])")
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                           check=True, timeout=60)
    assert found.stdout.strip() == "[]"


def test_traffic_writes_what_the_golden_model_accepts(tmp_path):
    from tickwire.sim.capture import read_capture
    out = tmp_path / "a.pcap"
    result = call("traffic", "--venue", "deribit", "--seed", 3, "--packets", 300, "--out", out)
    assert result.exit_code == 0
    assert result.stdout == f"300 packets of deribit traffic, seed 3: {out}\n"
    figures = summarise(read_capture(out)).figures()
    assert figures["packets"] == 300
    assert figures["tickers_equal"] == figures["tickers_checked"] > 100


def test_traffic_errors(tmp_path):
    out = tmp_path / "none" / "a.pcap"
    assert fails("traffic", "--out", out) == (
        f"tickwire traffic: {out}: cannot be written: No such file or directory; give another "
        "--out")
    assert fails("traffic", "--out", out, "--venue", "nyse") == (
        "tickwire traffic: unknown venue 'nyse'; known: deribit")
    assert call("traffic", "--out", out, "--packets", 0).exit_code == 2


def test_regs_in_every_format():
    table = call("regs")
    assert table.exit_code == 0
    assert "REGISTER_HASH" in table.stdout and "0x0000" in table.stdout
    assert json.loads(call("regs", "--format", "json").stdout)
    assert "#define TICKWIRE_" in call("regs", "--format", "c").stdout
    assert call("regs", "--format", "md").stdout.startswith("#")
    assert call("regs", "--format", "xml").exit_code == 2


def test_network_commands_say_what_is_wrong_in_one_line():
    assert fails("sim", "--tap", "wire0", "--link", "other") == (
        "tickwire sim: a wire has one other end: give --tap or --link, not both")
    assert fails("sim", "--ip", "10.0.0.300/8").startswith("tickwire sim: --ip: ")
    assert "such as 192.168.77.2/24" in fails("tap", "port0", "--ip", "here")
    assert fails("clock", "--once", "--discipline") == (
        "tickwire clock: one measurement does not discipline a clock: give --once or "
        "--discipline, not both")
    for command in (("stats", "nobody"), ("clock", "nobody"),
                    ("tap", "port0", "--card", "nobody")):
        assert f"tickwire {command[0]}: There is no simulated card named nobody" in fails(*command)


def test_replay_errors_are_one_line(tmp_path):
    missing = tmp_path / "missing.pcap"
    assert fails("replay", missing).startswith(f"tickwire replay: {missing}: no such file; ")
    whole = tmp_path / "a.pcap"
    call("traffic", "--packets", 20, "--out", whole)
    cut = tmp_path / "cut.pcap"
    cut.write_bytes(whole.read_bytes()[:-5])
    assert "packet 20" in fails("replay", cut)
    assert "the file ends after" in fails("replay", cut)
    assert fails("replay", whole, "--venue", "x") == (
        "tickwire replay: unknown venue 'x'; known: deribit")
    assert call("replay", whole, "--engine", "spice").exit_code == 2
    other = bytearray(whole.read_bytes())
    other[20] = 113
    cut.write_bytes(other)
    assert "is not Ethernet" in fails("replay", cut)


def test_replay_from_file_to_report(tmp_path, monkeypatch):
    """The whole command on a machine that is made of the golden model."""
    monkeypatch.syspath_prepend(str(__file__).rpartition("/")[0] + "/sim")
    from fake_machine import FakeMachine
    machines = []

    def pass_runner(engine, *, waves, progress):
        assert engine == "verilator" and waves is None

        def run(*order):
            machines.append(FakeMachine(break_level=broken))
            return run_pass(machines[-1], *order)
        return run

    monkeypatch.setattr(passes, "pass_runner", pass_runner)
    capture, out = tmp_path / "a.pcap", tmp_path / "out"
    call("traffic", "--packets", 600, "--out", capture)

    broken = None
    result = call("replay", capture, "--out", out)
    assert result.exit_code == 0, result.output
    assert "600 packets, none had to be rewritten" in result.stdout
    assert "DIFFERENT" not in result.stdout and "Latency on the wire" in result.stdout
    assert [m.options.policy for m in machines] == ["after_fcs", "cut_through"] * 2
    summary = json.loads((out / "summary.json").read_text())
    assert summary["book"]["tickers_equal"] == summary["book"]["tickers_checked"] > 0
    assert sorted(path.name for path in out.iterdir()) == [
        "events.npy", "orders-cut_through.pcap", "orders.pcap", "report.html", "summary.json"]

    broken = 200
    result = call("replay", capture, "--out", out, "--no-loaded")
    assert result.exit_code == 1
    assert "DIFFERENT" in result.stdout
