"""``tickwire exchange``: a venue to trade with, on this machine's own sockets."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer
from tickwire.sim.commands.common import fail

if TYPE_CHECKING:
    from tickwire.sim.exchange.exchange import Exchange
    from tickwire.sim.exchange.feed import UdpFeedSocket

__all__ = ["exchange"]

FEED = "239.111.111.1:6100"
USER, PASSWORD = "USER1", "PASSWORD"
LOCAL = "127.0.0.1"


def exchange(
    bind: Annotated[str, typer.Option(
        metavar="ADDRESS", help="Where orders are listened for.")] = LOCAL,
    ouch_port: Annotated[int, typer.Option(
        min=0, max=65535, help="TCP port of OUCH 5.0 over SoupBinTCP; 0: any.")] = 9001,
    starbase_port: Annotated[int, typer.Option(
        min=0, max=65535, help="TCP port of Starbase; 0: any.")] = 9002,
    feed: Annotated[str, typer.Option(
        metavar="GROUP:PORT", help="Where the market data goes, a multicast group or a host; "
                                   "snapshots go to the next port.")] = FEED,
    interface: Annotated[str, typer.Option(
        metavar="ADDRESS", help="Address of the interface by which multicast leaves.")] = LOCAL,
    user: Annotated[str, typer.Option(help="Who may log in: up to 6 characters.")] = USER,
    password: Annotated[str, typer.Option(help="Up to 10 characters.")] = PASSWORD,
    seed: Annotated[int, typer.Option(
        help="The same seed gives the same instruments, first books and traders.")] = 1,
    instruments: Annotated[int, typer.Option(
        min=1, max=128, help="How many: perpetuals, futures, spot, options.")] = 40,
    speed: Annotated[float, typer.Option(
        min=0, max=1000, help="Of the traders inside and of the snapshots: 1 is 62 steps a "
                              "second, as on the real feed; 0 lets the books rest.")] = 1.0,
    heartbeat: Annotated[float, typer.Option(
        min=0.01, max=3600, metavar="SECONDS",
        help="Idle time after which the exchange sends a heartbeat.")] = 1.0,
    patience: Annotated[float, typer.Option(
        min=0.02, max=36000, metavar="SECONDS",
        help="A client that is silent for so long is cut off.")] = 15.0,
    cancel_on_disconnect: Annotated[bool, typer.Option(
        help="Resting orders of an OUCH user go with the connection. Starbase's clients say "
             "it themselves.")] = True,
    record: Annotated[Path | None, typer.Option(
        metavar="FILE", help="Write every order, execution and cancel as a line of JSON.",
        show_default=False)] = None,
) -> None:
    """Run an exchange until Ctrl-C: order gateways, one matching core, market data of its books.

    Orders are matched by price and then time, against those of other clients, of a market maker
    and of takers inside, who keep the books moving. What happens in the books leaves as Deribit's
    multicast feed. Both gateways know the same user. OUCH calls instruments by symbol, such as
    BTC00001, and counts lots as shares; Starbase calls them by number. What a client is told of a
    broken rule, and why a connection ended, is in the record.

    Example: `tickwire exchange --record orders.jsonl`, or, for a card's wire, `tickwire exchange
    --bind 192.168.77.1 --interface 192.168.77.1 --speed 5`.
    """
    from tickwire.sim.exchange.connection import Timing
    from tickwire.sim.exchange.exchange import Exchange, Settings
    from tickwire.sim.exchange.feed import UdpFeedSocket

    _check_text("user", user, 6)
    _check_text("password", password, 10)
    group, port = _feed(feed)
    for option, address in (("bind", bind), ("interface", interface)):
        try:
            IPv4Address(address)
        except ValueError:
            fail("exchange", f"--{option}: {address!r} is no IPv4 address, such as {LOCAL}")
    try:
        settings = Settings(
            host=bind, ouch_port=ouch_port, starbase_port=starbase_port,
            passwords={user: password}, seed=seed, instruments=instruments, speed=speed,
            cancel_on_disconnect=cancel_on_disconnect, timing=Timing(heartbeat, patience))
    except ValueError:
        fail("exchange", f"--heartbeat must be below --patience, not {heartbeat} of {patience}")
    with _opened(record) as file:
        try:
            sender = UdpFeedSocket(group, port, interface=interface)
        except OSError as error:
            fail("exchange", f"--interface: {interface}: {error.strerror}; give an address of "
                             "this machine")
        with contextlib.closing(sender):
            asyncio.run(_run(Exchange(settings, sender, file), sender, feed))


async def _run(running: Exchange, sender: UdpFeedSocket, feed: str) -> None:
    ended, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    settings = running.settings
    try:
        await running.start()
    except OSError as error:
        fail("exchange", f"{settings.host}: cannot listen: {error.strerror}; give another --bind, "
                         "--ouch-port or --starbase-port")
    for name, one in running.market.symbols.items():
        typer.echo(f"{name}  {one.instrument.instrument_id:>5}  {one.instrument.name:<28} "
                   f"tick {one.price(1)}, lot {one.quantity(1)}")
    host = settings.host
    typer.echo(f"OUCH 5.0 over SoupBinTCP on {host}:{running.ouch_port}, session "
               f"{running.ouch.session_id}")
    typer.echo(f"Starbase on {host}:{running.starbase_port}")
    typer.echo(f"Market data to {feed}, snapshots to the next port")
    await ended.wait()
    await running.stop()
    typer.echo(f"Ended: {running.record.written:,} events, {running.feed.datagrams:,} datagrams, "
               f"{sender.refused:,} of them not taken by the kernel")


def _check_text(option: str, text: str, most: int) -> None:
    if not (0 < len(text) <= most and text.isascii() and text.isalnum()):
        fail("exchange", f"--{option} must be 1 to {most} letters and digits, not {text!r}")


def _feed(text: str) -> tuple[str, int]:
    address, _, port = text.rpartition(":")
    try:
        IPv4Address(address)
        if not 1 <= int(port) <= 65534:
            raise ValueError
    except ValueError:
        fail("exchange", f"--feed: {text!r} is no GROUP:PORT, such as {FEED}")
    return address, int(port)


@contextlib.contextmanager
def _opened(path: Path | None) -> Iterator[TextIO | None]:
    if path is None:
        yield None
        return
    try:
        file = path.open("w")
    except OSError as error:
        fail("exchange", f"--record: {path}: {error.strerror}; give another file")
    with file:
        yield file
