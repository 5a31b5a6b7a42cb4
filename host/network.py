"""Who the gateway's port is on its network, and which frames the host wants of it."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable

from tickwire.host.errors import RegisterError
from tickwire.host.registers import Registers

__all__ = ["Network", "group_hash"]

_MAC = re.compile(r"[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}")


def _octets(name: str, address: str) -> bytes:
    if not _MAC.fullmatch(address):
        raise RegisterError(f"{name} takes a MAC address such as '02:00:0a:00:00:02', "
                            f"not {address!r}")
    return bytes.fromhex(re.sub("[:-]", "", address))


def group_hash(address: str) -> int:
    """Bit of MULTICAST_HASH that lets a group's MAC address pass."""
    return (zlib.crc32(_octets("MULTICAST_HASH", address)) ^ 0xFFFF_FFFF) >> 26


class Network:
    """Station address and address filter of the port."""

    def __init__(self, registers: Registers) -> None:
        self._registers = registers

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

    def receive(self, *, own: bool = True, broadcast: bool = True,
                promiscuous: bool = False) -> None:
        """Choose which frames that no hardware takes go to :attr:`Gateway.frames`.

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
        """Let exactly these groups' MAC addresses pass, and others of the same hash."""
        self._registers.write("MULTICAST_HASH",
                              sum({1 << group_hash(address) for address in addresses}))

    def all_groups(self) -> None:
        """Let every group's frames pass."""
        self._registers.write("MULTICAST_HASH", (1 << 64) - 1)
