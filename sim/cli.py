"""The command ``tickwire``. Only the command that is called is imported."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib import import_module, metadata
from typing import Annotated, Any

import typer

__all__ = ["make_app", "main"]

COMMANDS = {
    "replay": "Run a capture through the gateware and report what it did.",
    "traffic": "Write a capture of realistic, seeded venue traffic.",
    "build": "Synthesise, place and route the core; print speed and size.",
    "regs": "Print the register map.",
    "sim": "Run a simulated card, its wire on a TAP device or another card.",
    "exchange": "Run an exchange: order gateways, matching, market data.",
    "tap": "Give the machine a network interface on the gateway's port.",
    "stats": "Print everything that a gateway counts.",
    "clock": "Compare a gateway's clock with the machine's, or keep it so.",
}


def make_app(arguments: Sequence[str]) -> typer.Typer:
    """The application for these arguments: what they do not call is there by name only."""
    app = typer.Typer(
        add_completion=False, no_args_is_help=True, rich_markup_mode="markdown",
        pretty_exceptions_enable=False,
        help="Open FPGA order gateway: market data in, order out, in hardware.\n\n"
             "Without a capture of your own, begin with `tickwire traffic`, then give its file to "
             "`tickwire replay`. Exit status: 0 good, 1 a check failed, 2 wrong use or a file "
             "that cannot be read.")

    @app.callback(invoke_without_command=True)
    def options(version: Annotated[bool, typer.Option(
            "--version", is_eager=True, help="Print the version and exit.")] = False) -> None:
        if version:
            typer.echo(f"tickwire {metadata.version('tickwire')}")
            raise typer.Exit

    called = next((one for one in arguments if not one.startswith("-")), "")
    for name, line in COMMANDS.items():
        app.command(name, short_help=line)(_load(name) if name == called else _stub)
    return app


def _load(name: str) -> Callable[..., Any]:
    function: Callable[..., Any] = getattr(import_module(f"tickwire.sim.commands.{name}"), name)
    return function


def _stub() -> None:
    """Stands for a command that is not called."""


def main() -> None:
    """Entry point of the console script."""
    try:
        make_app(sys.argv[1:])()
    except KeyboardInterrupt:
        typer.echo("tickwire: interrupted", err=True)
        sys.exit(130)
    except BrokenPipeError:
        # The reader of a pipe has gone, as with `tickwire regs | head`.
        sys.stderr.close()
        sys.exit(0)
