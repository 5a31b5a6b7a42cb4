"""``tickwire stats``: what a gateway has counted."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from typing import Annotated

import typer
from tickwire.sim.commands.common import CARD, board_name, fail

__all__ = ["stats"]


class Format(StrEnum):
    TABLE = "table"
    JSON = "json"


def stats(
    card: Annotated[str, typer.Argument(
        help="A simulated card's name, or a PCI address.")] = CARD,
    format: Annotated[Format, typer.Option(
        help="A table for the terminal, or JSON with every counter.")] = Format.TABLE,
    everything: Annotated[bool, typer.Option(
        "--all", help="Also those that are 0 in the table.")] = False,
) -> None:
    """Print everything that a gateway has counted since it was configured, by name.

    Every frame that the port received is in one of them, in the order in which a frame goes:
    received, accepted by a subscription, kept for the host, dropped and where; then what feed,
    book, strategy and risk did, and what left. Reading changes nothing.

    Example: `tickwire stats --format json | jq .RX_GOOD`, or `watch tickwire stats 0000:03:00.0`.
    """
    from tickwire.gateware.registers import REGISTERS
    from tickwire.hdl.csr.register_table import Counter
    from tickwire.host.errors import TickwireError
    from tickwire.host.gateway import Gateway

    try:
        with Gateway.open(board_name(card)) as gateway:
            counted = gateway.stats()
    except TickwireError as error:
        fail("stats", error)
    if format is Format.JSON:
        typer.echo(json.dumps(counted, indent=2))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE, title=f"Counters of {board_name(card)}")
    table.add_column("count", justify="right")
    for column in ("unit", "name", "meaning"):
        table.add_column(column, no_wrap=column != "meaning")
    for entry in REGISTERS.entries(Counter):
        if isinstance(entry, Counter) and (counted[entry.name] or everything):
            table.add_row(f"{counted[entry.name]:,}", entry.unit, entry.name, entry.meaning)
    Console(width=None if sys.stdout.isatty() else 140).print(table, highlight=False)
