"""Who the gateway's port is on its network, what it answers, and which frames the host wants."""

from __future__ import annotations

import re
import time
import zlib
from collections.abc import Iterable
from ipaddress import AddressValueError, IPv4Address, IPv4Interface, NetmaskValueError

from tickwire.gateware.register_network import NETWORK_COUNTERS
from tickwire.host.errors import BusError, NetworkError, RegisterError
from tickwire.host.registers import Registers

__all__ = ["Network", "group_hash"]

_MAC = re.compile(r"[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}")
_ALL_SYSTEMS = IPv4Address("224.0.0.1")


def _octets(name: str, address: str) -> bytes:
    if not _MAC.fullmatch(address):
        raise RegisterError(f"{name} takes a MAC address such as '02:00:0a:00:00:02', "
                            f"not {address!r}")
    return bytes.fromhex(re.sub("[:-]", "", address))


def group_hash(address: str) -> int:
    """Bit of MULTICAST_HASH that lets a group's MAC address pass."""
    return (zlib.crc32(_octets("MULTICAST_HASH", address)) ^ 0xFFFF_FFFF) >> 26


def _interface(address: str | IPv4Interface) -> IPv4Interface:
    try:
        found = IPv4Interface(address) if "/" in str(address) else None
    except (AddressValueError, NetmaskValueError):
        found = None
    if found is None:
        raise RegisterError("IPV4_ADDRESS takes an address with its network, such as "
                            f"'192.168.77.2/24', not {str(address)!r}")
    ip, network = found.ip, found.network
    wide = network.prefixlen < 31       # in others each address is a station's (RFC 3021)
    if (ip.is_multicast or ip.is_loopback or ip.is_reserved or ip.is_unspecified
            or wide and ip in (network.network_address, network.broadcast_address)):
        raise RegisterError(f"IPV4_ADDRESS takes the address of one station, not {found}: that is "
                            "a group's, a whole network's or nobody's")
    return found


def _group(name: str, group: str | IPv4Address) -> IPv4Address:
    found: IPv4Address | None
    try:
        found = IPv4Address(group)
    except AddressValueError:
        found = None
    if found is None or not found.is_multicast:
        raise RegisterError(f"{name} takes a multicast group, 224.0.0.2 to 239.255.255.255, not "
                            f"{str(group)!r}")
    if found == _ALL_SYSTEMS:
        raise RegisterError(f"{name} does not take {found}: every station is always a member of it")
    return found


def _group_mac(group: IPv4Address) -> str:
    """RFC 1112, 6.4."""
    return (0x01005E << 24 | int(group) & 0x7FFFFF).to_bytes(6, "big").hex(":")


class Network:
    """Addresses of the port, answers of the hardware's, groups, and the filter of frames."""

    #: Reads of STATUS before a group's command counts as stuck: a report takes a frame's time.
    PATIENCE = 10_000

    def __init__(self, registers: Registers) -> None:
        self._registers = registers
        self._chosen: int | None = None             # bits of MULTICAST_HASH besides the joined ones
        self._joined: set[IPv4Address] = set()

    @property
    def station(self) -> str:
        """The port's own MAC address, as ``02:00:0a:00:00:02``."""
        return self._registers.read("STATION").to_bytes(6, "big").hex(":")

    @station.setter
    def station(self, address: str) -> None:
        octets = _octets("STATION", address)
        if octets[0] & 1:
            raise RegisterError(f"STATION takes the address of one station, not that of a group, "
                                f"{address!r}: its first byte must be even")
        self._registers.write("STATION", int.from_bytes(octets, "big"))

    @property
    def address(self) -> IPv4Interface | None:
        """The hardware's own IPv4 address with its network; None if it has none."""
        address = self._registers.read("IPV4_ADDRESS")
        if not address:
            return None
        return IPv4Interface(f"{IPv4Address(address)}/"
                             f"{IPv4Address(self._registers.read('IPV4_NETMASK'))}")

    @property
    def gateway(self) -> IPv4Address | None:
        """The way to addresses outside of the own network; None if there is none."""
        way = self._registers.read("IPV4_GATEWAY")
        return IPv4Address(way) if way else None

    def set_address(self, address: str | IPv4Interface | None, *,
                    gateway: str | IPv4Address | None = None) -> None:
        """Give the hardware an IPv4 address: it answers ARP and ICMP echo for it from now on.

        The network is told by a gratuitous ARP request. What else is answered, :meth:`respond`
        says. The address may be that of the host's interface on this port, or another one.

        Parameters
        ----------
        address : str, IPv4Interface or None
            With its network, as ``"192.168.77.2/24"``. None: no address, nobody is answered.
        gateway : str or IPv4Address
            The way to all other networks, an address of the own one.
        """
        r = self._registers
        if address is None:
            r.write("IPV4_ADDRESS", 0)
            return
        interface = _interface(address)
        way: IPv4Address | None
        try:
            way = IPv4Address(gateway or 0)
        except AddressValueError:
            way = None
        if way is None or gateway and (way not in interface.network or way == interface.ip):
            raise RegisterError(f"IPV4_GATEWAY takes another station's address in "
                                f"{interface.network}, not {str(gateway)!r}")
        self._need_station("IPV4_ADDRESS")
        r.write("IPV4_NETMASK", int(interface.netmask))
        r.write("IPV4_GATEWAY", int(way))
        self._responder(arp=1, echo=1)
        r.write("IPV4_ADDRESS", int(interface.ip))      # last: this announces it

    def _need_station(self, name: str) -> None:
        if not self._registers.read("STATION"):
            raise RegisterError(f"{name} needs a MAC address, and STATION is 0: set "
                                "gw.network.station first")

    def _responder(self, **change: int) -> None:
        self._registers.write_fields("RESPONDER",
                                     **{**self._registers.fields("RESPONDER"), **change})

    def respond(self, *, arp: bool = True, echo: bool = True, igmp: bool = True,
                udp_echo_port: int | None = None, unreachable: bool = False) -> None:
        """Choose what hardware answers for its address; all the rest goes to the host.

        Parameters
        ----------
        arp, echo, igmp : bool
            ARP requests, ICMP echo requests, queries for groups.
        udp_echo_port : int
            UDP port whose datagrams go back to their senders; None: none does.
        unreachable : bool
            Datagrams to any other port are answered with port unreachable, not given to the host.
        """
        self._registers.write_fields(
            "RESPONDER", arp=arp, echo=echo, igmp=igmp, udp_echo=udp_echo_port is not None,
            udp_echo_port=udp_echo_port or 0, unreachable=unreachable)

    def join(self, group: str | IPv4Address) -> None:
        """Become a member of a multicast group, say so by IGMP, and answer queries for it.

        RegisterError if the gateway has no room for another group.
        """
        address = _group("GROUP_JOIN", group)
        self._need_station("GROUP_JOIN")
        self._responder(igmp=1)
        self._joined.add(address)
        self._write_hash()          # queries for one group go to its own address
        full = self._registers.read("EDGE_IGMP_FULL")
        self._command("GROUP_JOIN", address)
        if self._registers.read("EDGE_IGMP_FULL") != full:
            self._joined.discard(address)
            self._write_hash()
            raise RegisterError(f"GROUP_JOIN had no room for {address}: leave another group first "
                                "with gw.network.leave(...)")

    def leave(self, group: str | IPv4Address) -> None:
        """Leave a multicast group, and say so by IGMP."""
        address = _group("GROUP_LEAVE", group)
        self._command("GROUP_LEAVE", address)
        self._joined.discard(address)
        self._write_hash()

    def _command(self, name: str, group: IPv4Address) -> None:
        self._wait(name)
        self._registers.command(name, int(group))
        self._wait(name)

    def _wait(self, name: str) -> None:
        for _ in range(self.PATIENCE):
            if not self._registers.fields("STATUS")["group_busy"]:
                return
        raise BusError(f"STATUS.GROUP_BUSY stays 1, so {name} cannot be given: a report waits to "
                       "leave. Is the link up, or held by PAUSE frames?")

    def resolve(self, address: str | IPv4Address, *, timeout: float = 30.0) -> str:
        """The MAC address to which frames for an IPv4 address go, as ``02:00:0a:00:00:02``.

        By mask and gateway, out of the hardware's ARP cache or by up to three requests, a second
        apart in the gateway's time (RFC 1122, 2.3.2.1).

        Parameters
        ----------
        timeout : float
            Seconds to wait.

        Raises
        ------
        NetworkError
            If there is no way to the address, or nobody answers for it.
        RegisterError
            If the gateway has no address of its own.
        """
        r = self._registers
        wanted = IPv4Address(address)
        if not r.read("IPV4_ADDRESS"):
            raise RegisterError("RESOLVE needs an IPv4 address, and IPV4_ADDRESS is 0: call "
                                "gw.network.set_address(...) first")
        self._responder(arp=1)      # else the replies are not looked at
        end = time.monotonic() + timeout
        self._until_resolved(wanted, end)
        r.command("RESOLVE", int(wanted))
        self._until_resolved(wanted, end)
        found = r.read("RESOLVED")
        if not found:
            raise NetworkError(f"nobody has answered for {wanted}: is it up, and is the gateway's "
                               f"own network ({self.address}) or gateway ({self.gateway}) right?")
        return found.to_bytes(6, "big").hex(":")

    def _until_resolved(self, address: IPv4Address, end: float) -> None:
        while self._registers.fields("STATUS")["resolve_busy"]:
            if time.monotonic() > end:
                raise NetworkError(f"RESOLVE of {address} has not ended in time: give a longer "
                                   "timeout; a simulated gateway's seconds are long")

    def receive(self, *, own: bool = True, broadcast: bool = True,
                promiscuous: bool = False) -> None:
        """Choose which frames that no hardware takes go to :attr:`Gateway.frames`.

        What hardware has to hear in order to answer is received besides, and comes to the host if
        it is not answered.

        Parameters
        ----------
        own : bool
            Those to the station address.
        broadcast : bool
        promiscuous : bool
            All of them, whatever their address.
        """
        self._registers.write_fields("FRAME_FILTER", own=own, broadcast=broadcast,
                                     promiscuous=promiscuous)

    def groups(self, addresses: Iterable[str]) -> None:
        """Let exactly these groups' MAC addresses pass, those of joined groups, and others of the
        same hash."""
        self._chosen = sum({1 << group_hash(address) for address in addresses})
        self._write_hash()

    def all_groups(self) -> None:
        """Let every group's frames pass."""
        self._chosen = (1 << 64) - 1
        self._write_hash()

    def _write_hash(self) -> None:
        if self._chosen is None:    # what another program has chosen stays
            self._chosen = self._registers.read("MULTICAST_HASH")
        bits = self._chosen
        for group in self._joined:
            bits |= 1 << group_hash(_group_mac(group))
        self._registers.write("MULTICAST_HASH", bits)

    def obey_pause(self, *, host: bool = True, orders: bool = False) -> None:
        """Choose what received PAUSE frames hold back.

        Parameters
        ----------
        host : bool
            Frames of the host's and answers of the hardware's.
        orders : bool
            Orders, too, which are then refused with TX_BUSY; only together with the others.
        """
        if orders and not host:
            raise RegisterError("PAUSE.ORDERS needs PAUSE.ENABLE: let orders=True go together "
                                "with host=True")
        self._registers.write_fields("PAUSE", enable=host, orders=orders)

    @property
    def link_up(self) -> bool:
        """Whether the link is not at fault: what is sent meanwhile is thrown away."""
        return bool(self._registers.fields("STATUS")["link_up"])

    def counters(self) -> dict[str, int]:
        """What was counted on the way of frames that are no market data, by name."""
        return {entry.name: self._registers.read(entry.name) for entry in NETWORK_COUNTERS}
