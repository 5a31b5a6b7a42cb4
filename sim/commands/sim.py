"""``tickwire sim``: a simulated card in the foreground, its wire on something that lives."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from ipaddress import IPv4Interface
from typing import Annotated

import typer
from tickwire.sim.commands.common import CARD, fail

__all__ = ["sim"]

ADDRESS = "192.168.77.1/24"
TOP = "tickwire.gateware.gateway:SimulatedGateway"


def sim(
    card: Annotated[str, typer.Argument(
        help="The card's name: hosts attach with `Gateway.open('sim:NAME')`.")] = CARD,
    tap: Annotated[str, typer.Option(
        metavar="NAME", help="Make a TAP device of this name, the other end of the card's wire. "
                             "Needs root.", show_default=False)] = "",
    ip: Annotated[str, typer.Option(
        metavar="A.B.C.D/N", help="Address of the TAP device, that is, of the machine at the "
                                  "other end of the wire.")] = ADDRESS,
    link: Annotated[str, typer.Option(
        metavar="OTHER", help="Start a second card of this name as well, its wire joined to the "
                              "first one's.", show_default=False)] = "",
    top: Annotated[str, typer.Option(
        metavar="MODULE:CLASS", help="The gateware.")] = TOP,
) -> None:
    """Run a simulated card until Ctrl-C.

    The gateware runs in the native engine, in real XGMII words with preamble, FCS and gap; idle
    time follows the wall clock. With `--tap` the Linux kernel is at the other end of the wire:
    what it sends to the TAP device, the card receives, and what the card transmits with a good
    FCS, the kernel gets. Other terminals attach to the card: `tickwire stats`, `tickwire tap`,
    programs with the package tickwire.host.

    Example: `tickwire sim --tap wire0`, then `ip netns exec other tickwire tap port0 --ip
    192.168.77.2/24` to reach the kernel through the gateway's port.
    """
    from tickwire.host.card_memory import Layout
    from tickwire.host.card_process import checked_name
    from tickwire.host.errors import TickwireError
    from tickwire.sim.build_tools import ToolError
    from tickwire.sim.engine_build import library_of_top

    if tap and link:
        fail("sim", "a wire has one other end: give --tap or --link, not both")
    try:
        address = IPv4Interface(ip)
    except ValueError as error:
        fail("sim", f"--ip: {error}; give an address with its network, such as {ADDRESS}")
    try:
        for name in (card, link):
            if name:
                checked_name(name)
        library, core_hz = library_of_top(top, progress=typer.echo)
    except (TickwireError, ToolError, ValueError, ImportError, AttributeError) as error:
        fail("sim", error)

    from tickwire.sim.card import serve

    try:
        with _wire(tap, address, link, top) as wire:
            serve(card, library, Layout(), core_hz=core_hz, wire=wire)
    except TickwireError as error:
        fail("sim", error)


@contextlib.contextmanager
def _wire(tap: str, address: IPv4Interface, link: str, top: str) -> Iterator[int | None]:
    """The descriptor of the wire's other end."""
    if tap:
        from tickwire.host.tap import Tap

        with Tap(tap) as device:
            device.up(address)
            typer.echo(f"TAP device {tap}: {address}, {device.mac}")
            yield device.file
    elif link:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        other = subprocess.Popen(
            [sys.executable, "-m", "tickwire.sim.card", link, "--top", top,
             "--owner", str(os.getpid()), "--wire-fd", str(theirs.fileno())],
            pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        theirs.close()
        try:
            yield ours.fileno()
        finally:
            other.terminate()
            other.wait()
            ours.close()
    else:
        yield None
