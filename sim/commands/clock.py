"""``tickwire clock``: how a gateway's clock stands to the machine's."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from tickwire.sim.commands.common import CARD, board_name, fail

if TYPE_CHECKING:
    from tickwire.host.clock import ClockStatus

__all__ = ["clock"]

# Opening a gateway writes registers, and a simulated card's time is slow just after a write.
SETTLE_S = 0.2
HEAD = f"{'offset':>26}{'drift':>28}{'rate':>16}   state"


def clock(
    card: Annotated[str, typer.Argument(
        help="A simulated card's name, or a PCI address.")] = CARD,
    discipline: Annotated[bool, typer.Option(
        "--discipline", help="Keep the gateway's clock with the machine's. The last rate stays "
                             "when this ends.")] = False,
    once: Annotated[bool, typer.Option(
        "--once", help="Measure twice, an interval apart, print the second and end.")] = False,
    as_json: Annotated[bool, typer.Option(
        "--json", help="One JSON object a line instead of the table.")] = False,
    interval: Annotated[float, typer.Option(
        min=0.01, max=3600, metavar="SECONDS", help="From one measurement to the next.")] = 1.0,
) -> None:
    """Print, once a second, how far a gateway's clock is from the machine's and how they drift.

    The clock's time stands in orders. A measurement is the quickest of eight register reads; the
    offset is certain to half of its round trip, which stands behind it. The drift is that of the
    gateway's oscillator, whatever was corrected; the rate is the correction in force. Without
    `--discipline` nothing is changed. With it the clock is stepped at the beginning, if it is off
    by more than 20 µs, and from then on only its rate changes, so that its time never goes back.

    Example: `tickwire clock --discipline`, or `tickwire clock 0000:03:00.0 --once --json`.
    """
    from tickwire.host.errors import TickwireError
    from tickwire.host.gateway import Gateway

    if once and discipline:
        fail("clock", "one measurement does not discipline a clock: give --once or --discipline, "
                      "not both")
    try:
        with Gateway.open(board_name(card)) as gateway:
            time.sleep(SETTLE_S)
            statuses = (gateway.clock.discipline if discipline else gateway.clock.watch)(
                interval=interval)
            if once:
                next(statuses)
                statuses = iter([next(statuses)])
            if not as_json:
                typer.echo(HEAD)
            for status in statuses:
                typer.echo(json.dumps(asdict(status)) if as_json else _line(status, discipline))
    except TickwireError as error:
        fail("clock", error)


def _line(status: ClockStatus, discipline: bool) -> str:
    drift = ("" if status.drift_ppb is None or status.drift_uncertainty_ppb is None
             else f"{status.drift_ppb:,.0f} ± {status.drift_uncertainty_ppb:,.0f} ppb")
    offset = f"{status.offset_ns:,} ± {status.uncertainty_ns:,} ns"
    state = ("locked" if status.locked else "settling") if discipline else "watched"
    return f"{offset:>26}{drift:>28}{f'{status.rate_ppb:,.1f} ppb':>16}   {state}"
