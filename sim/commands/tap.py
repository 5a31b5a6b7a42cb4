"""``tickwire tap``: the kernel's interface on the gateway's port."""

from __future__ import annotations

import signal
from ipaddress import IPv4Interface
from typing import Annotated, Any

import typer
from tickwire.sim.commands.common import CARD, board_name, fail

__all__ = ["tap"]


def tap(
    name: Annotated[str, typer.Argument(help="Name of the interface.", show_default=False)],
    card: Annotated[str, typer.Option(
        help="A simulated card's name, or a PCI address.")] = CARD,
    ip: Annotated[str, typer.Option(
        metavar="A.B.C.D/N", help="Address of the interface; without one, set it yourself or by "
                                  "DHCP.", show_default=False)] = "",
    promiscuous: Annotated[bool, typer.Option(
        "--promiscuous", help="Also take frames for other stations, for tcpdump and bridges.",
    )] = False,
) -> None:
    """Give the machine an ordinary network interface on the gateway's port, until Ctrl-C.

    Frames that the hardware does not take (all but subscribed market data) come to the interface,
    and what the kernel sends through it leaves by the gateway's port, after orders: so ping, ssh,
    DHCP and tcpdump work on the very port on which the hardware trades. The port takes over the
    interface's MAC address.

    Example: `tickwire sim --tap wire0` in one terminal, then `ip netns add port` and
    `ip netns exec port tickwire tap port0 --ip 192.168.77.2/24` in another; then
    `ping 192.168.77.2`.
    """
    from tickwire.host.errors import TickwireError
    from tickwire.host.gateway import Gateway
    from tickwire.host.raw_path import RawPath
    from tickwire.host.tap import Tap

    try:
        address = IPv4Interface(ip) if ip else None
    except ValueError as error:
        fail("tap", f"--ip: {error}; give an address with its network, such as 192.168.77.2/24")
    ended = False

    def end(number: int, frame: Any) -> None:
        nonlocal ended
        ended = True

    try:
        with Gateway.open(board_name(card)) as gateway, Tap(name) as device:
            path = RawPath(gateway, device, promiscuous=promiscuous)
            device.up(address)
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, end)
            typer.echo(f"{name}: {address or 'no address'}, {device.mac}, on {board_name(card)}")
            path.run(lambda: ended)
            gateway.network.receive(own=False, broadcast=False)
    except TickwireError as error:
        fail("tap", error)
    carried = path.carried
    typer.echo(f"{carried.to_host} frames to the interface, {carried.from_host} from it; dropped: "
               f"{carried.not_taken} that the kernel did not take, {carried.wrong_length} of a "
               "wrong length")
