"""``tickwire traffic``: writes a capture of generated venue traffic."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from tickwire.sim.commands.common import check_venue, fail, progress_bar

__all__ = ["traffic"]


def traffic(
    out: Annotated[Path, typer.Option(help="The pcap file to write.")],
    venue: Annotated[str, typer.Option(help="Whose traffic: `deribit`.")] = "deribit",
    seed: Annotated[int, typer.Option(help="The same seed gives the same file.")] = 1,
    packets: Annotated[int, typer.Option(min=1, help="How many datagrams.")] = 5000,
    instruments: Annotated[int, typer.Option(
        min=1, max=128, help="How many instruments: perpetuals, futures, spot, options.")] = 40,
) -> None:
    """Write realistic, seeded market data of a venue, for users without a capture and for stress.

    The traffic has instruments, books that start from snapshots (some in several messages and
    datagrams), chained increments, tickers that agree with the book, trades and price indices,
    at about 62 datagrams a second. Checksums are good and prices stand on their tick sizes.

    Example: `tickwire traffic --seed 7 --packets 20000 --out traffic.pcap`
    """
    from tickwire.sim.traffic import write_traffic

    check_venue("traffic", venue)
    try:
        with progress_bar("writing", packets) as bar:
            write_traffic(out, seed, packets, instruments=instruments, progress=bar)
    except OSError as error:
        fail("traffic", f"{out}: cannot be written: {error.strerror}; give another --out")
    typer.echo(f"{packets:,} packets of {venue} traffic, seed {seed}: {out}")
