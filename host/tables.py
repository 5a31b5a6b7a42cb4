"""What the gateway listens to: subscriptions and instruments, placed in its hash tables."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass

from tickwire.gateware.config import GatewayConfig
from tickwire.hdl.wire.placement import Placement, subscription_key
from tickwire.host.errors import RegisterError
from tickwire.host.registers import Registers

__all__ = ["Instrument", "HashTable", "Subscriptions", "Instruments"]


@dataclass(frozen=True)
class Instrument:
    """An instrument that the gateway knows.

    Members
    -------
    index : int
        Dense index, by which the gateway goes.
    id : int
        The venue's id in market data.
    order_id : int
        The venue's id in orders.
    """

    name: str
    index: int
    id: int
    order_id: int
    channel: int


class HashTable:
    """A hash table of the gateway's, kept in step with what the host has in mind.

    Parameters
    ----------
    table : str
        Name of the register table's entry.
    empty : bool
        The table is known to be empty. Otherwise the first insertion clears it: an older host may
        have left rows that cannot be read back.
    """

    def __init__(self, registers: Registers, table: str, *, empty: bool) -> None:
        self._registers, self._table, self._empty = registers, table, empty
        self._placement = Placement(registers.depth(table) // 2)
        self._rows: dict[int, dict[str, int]] = {}

    def insert(self, key: int, **row: int) -> None:
        """Add a key and its row, or change the row of a key."""
        if not self._empty:
            self._registers.clear_rows(self._table)
            self._empty = True
        self._rows[key] = row
        writes = self._placement.insert(key)
        if not writes:
            slot = self._placement.find(key)
            writes = [(slot, key)]
        # In this order no key is ever missing while others move to make room.
        for slot, moved in writes:
            self._registers.write_row(self._table, slot, valid=1, **self._rows[moved])

    def remove(self, key: int) -> None:
        """Take a key out."""
        self._registers.write_row(self._table, self._placement.remove(key))
        del self._rows[key]

    def __len__(self) -> int:
        return len(self._rows)


class Subscriptions:
    """Multicast groups that are market data."""

    def __init__(self, registers: Registers, config: GatewayConfig, *, empty: bool) -> None:
        self._table = HashTable(registers, "SUBSCRIPTIONS", empty=empty)
        self._config = config

    def add(self, group: str, port: int, channel: int) -> None:
        """Listen to a group and UDP port; its datagrams belong to this dense channel index.

        Raises
        ------
        RegisterError
            If group, port or channel is none, or there are too many subscriptions.
        """
        address = _group(group)
        if not 0 <= channel < self._config.channels:
            raise RegisterError(f"SUBSCRIPTIONS.CHANNEL takes 0 to {self._config.channels - 1} on "
                                f"this board, not {channel}")
        if not 1 <= port <= 0xFFFF:
            raise RegisterError(f"SUBSCRIPTIONS.PORT takes 1 to 65535, not {port}")
        if len(self._table) >= self._config.subscriptions:
            raise RegisterError(f"SUBSCRIPTIONS has room for {self._config.subscriptions} groups "
                                f"on this board: remove one before {group}:{port}")
        self._table.insert(subscription_key(address, port), port=port, group=address,
                           channel=channel)

    def remove(self, group: str, port: int) -> None:
        """Stop listening. KeyError if it was not subscribed."""
        self._table.remove(subscription_key(_group(group), port))


def _group(text: str) -> int:
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        raise RegisterError("SUBSCRIPTIONS.GROUP takes an IPv4 multicast address such as "
                            f"239.111.111.1, not {text!r}") from None
    if not address.is_multicast:
        raise RegisterError("SUBSCRIPTIONS.GROUP takes a multicast address (224.0.0.0 to "
                            f"239.255.255.255), not {text}")
    return int(address)


class Instruments:
    """Instruments by name, in the order of their dense indices."""

    def __init__(self, registers: Registers, config: GatewayConfig, *, empty: bool) -> None:
        self._registers, self._config = registers, config
        self._table = HashTable(registers, "INSTRUMENT_TABLE", empty=empty)
        self._by_name: dict[str, Instrument] = {}

    def add(self, name: str, *, id: int, channel: int, order_id: int | None = None,
            index: int | None = None) -> Instrument:
        """Let the gateway know an instrument.

        Parameters
        ----------
        name : str
            The host's own name for it.
        id : int
            The venue's id in market data.
        channel : int
            Dense index of the channel on which its book comes.
        order_id : int
            The venue's id in orders; the same as ``id`` unless told.
        index : int
            Dense index; the lowest free one unless told.
        """
        if name in self._by_name:
            raise RegisterError(f"There is an instrument named {name} already: "
                                f"{self._by_name[name]}")
        used = {known.index for known in self._by_name.values()}
        free = next((k for k in range(self._config.instruments) if k not in used), None)
        if index is None:
            index = free
        if index is None or index in used or not 0 <= index < self._config.instruments:
            raise RegisterError(f"INSTRUMENT_TABLE has no place for {name}: {len(used)} of "
                                f"{self._config.instruments} indices are in use on this board"
                                + ("" if index is None else f", and {index} is not a free one"))
        made = Instrument(name, index, id, id if order_id is None else order_id, channel)
        if not 0 <= id < 1 << 32:
            raise RegisterError(f"INSTRUMENT_TABLE.ID has 32 bits and takes 0 to 4294967295, "
                                f"not {id}")
        # The id in orders first: once the instrument is known, it can trigger.
        self._registers.write_row("VENUE_INSTRUMENT", index, id=made.order_id & (1 << 64) - 1)
        self._table.insert(id, id=id, index=index, channel=channel)
        self._by_name[name] = made
        return made

    def __getitem__(self, name: str) -> Instrument:
        return self._by_name[name]

    def __iter__(self) -> Iterator[Instrument]:
        return iter(self._by_name.values())

    def __len__(self) -> int:
        return len(self._by_name)
