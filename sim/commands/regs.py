"""``tickwire regs``: prints the register map."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated

import typer

__all__ = ["regs"]


class Format(StrEnum):
    TABLE = "table"
    JSON = "json"
    C = "c"
    MD = "md"


def regs(
    format: Annotated[Format, typer.Option(
        help="A table for the terminal, JSON, a C header, or a reference page in Markdown.")
    ] = Format.TABLE,
) -> None:
    """Print the register map of the gateway: offset, width, reset value, unit and meaning.

    Every form comes from the one register table of which the gateware and the host package are
    made, so it cannot be out of date.

    Example: `tickwire regs --format c > tickwire_regs.h`
    """
    from tickwire.gateware.register_output import rows, to_c_header, to_json, to_markdown
    from tickwire.gateware.registers import REGISTERS

    if format is not Format.TABLE:
        write = {Format.JSON: to_json, Format.C: to_c_header, Format.MD: to_markdown}[format]
        typer.echo(write(REGISTERS).rstrip("\n"))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table

    found = rows(REGISTERS)
    # Piped into a file or a pager, lines must not be folded at 80 columns.
    width = None if sys.stdout.isatty() else 180
    console = Console(width=width)
    table = Table(box=box.SIMPLE, title="Registers, BAR 0")
    for name in found[0]:
        right = name in ("offset", "width", "reset")
        table.add_column(name, justify="right" if right else "left",
                         no_wrap=name in ("offset", "name"), overflow="fold")
    for row in found:
        table.add_row(*row.values())
    console.print(table, highlight=False)
