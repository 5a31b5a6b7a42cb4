"""Registers by their names: values, fields, rows and counters, checked against the table."""

from __future__ import annotations

import struct
from collections.abc import Callable

from tickwire.gateware.config import GatewayConfig
from tickwire.gateware.register_map import RegisterMap
from tickwire.gateware.registers import MAGIC, REGISTERS
from tickwire.hdl.csr.register_table import (
    Access,
    Command,
    Counter,
    Entry,
    Field,
    Register,
    Staging,
    Table,
    Window,
)
from tickwire.host.board import Board
from tickwire.host.errors import BoardError, RegisterError

__all__ = ["Registers", "identify"]

_WORD = 0xFFFF_FFFF


def identify(board: Board, registers: RegisterMap = REGISTERS) -> GatewayConfig:
    """Make sure that this host can drive this board, and read the board's sizes.

    Raises
    ------
    BoardError
        If there is no gateway, or one with another register table.
    """
    magic = board.read32(registers.offset("MAGIC"))
    if magic != MAGIC:
        raise BoardError(f"There is no gateway on this board: MAGIC reads {magic:#010x}, not "
                         f"{MAGIC:#010x}. Load the gateware first, or name another device.")
    place = registers.offset("REGISTER_HASH")
    found = board.read32(place) | board.read32(place + 4) << 32
    if found != registers.hash:
        raise BoardError(f"The board's register table has the hash {found:#018x}, this host's "
                         f"{registers.hash:#018x}: load gateware and install a host of the same "
                         "version.")
    sizes = {entry.value: board.read32(registers.offset(entry.name))
             for entry in registers.entries()
             if isinstance(entry, Register) and isinstance(entry.value, str)
             and entry.value != "register_hash"}
    return GatewayConfig(**sizes)


class Registers:
    """A board's registers.

    Every method makes as many bus accesses as there are words, and no other.

    Parameters
    ----------
    board : Board
    config : GatewayConfig
        The board's sizes, from :func:`identify`.
    """

    def __init__(self, board: Board, config: GatewayConfig,
                 registers: RegisterMap = REGISTERS) -> None:
        self._board = board
        self._config = config
        self._map = registers

    def _entry(self, name: str, *kinds: type[Entry]) -> Entry:
        if name not in self._map:
            raise RegisterError(f"There is no register {name}; `tickwire regs` lists all of them")
        entry = self._map[name]
        if not isinstance(entry, kinds):
            raise RegisterError(f"{name} is a {type(entry).__name__.lower()}; this needs a "
                                f"{' or a '.join(kind.__name__.lower() for kind in kinds)}")
        return entry

    def read(self, name: str) -> int:
        """Value of a register or a counter; of a wide one, low half first, as one number."""
        entry = self._entry(name, Register, Counter)
        offset = self._map.offset(name)
        value = self._board.read32(offset)
        if entry.words == 2:
            value |= self._board.read32(offset + 4) << 32
        return value

    def read_timed(self, name: str, now: Callable[[], int]) -> tuple[int, int, int]:
        """Value of a register, and what ``now`` said before and after it was sampled."""
        entry = self._entry(name, Register)
        offset, read32 = self._map.offset(name), self._board.read32
        before = now()
        value = read32(offset)
        after = now()
        return value | read32(offset + 4) << 32 if entry.words == 2 else value, before, after

    def fields(self, name: str) -> dict[str, int]:
        """Fields of a register, by their names in lower case."""
        entry = self._entry(name, Register)
        assert isinstance(entry, Register)
        value, result = self.read(name), {}
        for part in entry.fields:
            result[part.name.lower()] = value & (1 << part.width) - 1
            value >>= part.width
        return result

    def write(self, name: str, value: int) -> None:
        """Set a register; both halves of a wide one take effect together."""
        entry = self._entry(name, Register)
        assert isinstance(entry, Register)
        if entry.access is not Access.READ_WRITE:
            raise RegisterError(f"{name} is {entry.access.name.lower().replace('_', ' ')}: the "
                                "gateway says it, the host cannot set it")
        _check(name, "", entry.width, value)
        offset = self._map.offset(name)
        for k in range(entry.words):
            self._board.write32(offset + 4 * k, value >> 32 * k & _WORD)

    def write_fields(self, name: str, /, **values: int) -> None:
        """Set all fields of a register; those that are not named become 0."""
        entry = self._entry(name, Register)
        assert isinstance(entry, Register)
        self.write(name, _pack(name, entry.fields, values))

    def command(self, name: str, value: int = 1) -> None:
        """Give a command, with its number if it has one."""
        entry = self._entry(name, Command)
        assert isinstance(entry, Command)
        _check(name, "", entry.width, value)
        self._board.write32(self._map.offset(name), value)

    def command_fields(self, name: str, /, **values: int) -> None:
        """Give a command that has fields; those that are not named are 0."""
        entry = self._entry(name, Command)
        assert isinstance(entry, Command)
        self.command(name, _pack(name, entry.fields, values))

    def depth(self, name: str) -> int:
        """Rows of a table."""
        entry = self._entry(name, Table)
        assert isinstance(entry, Table)
        depth = entry.depth
        return int(getattr(self._config, depth)) if isinstance(depth, str) else depth

    def write_row(self, name: str, index: int, /, **values: int) -> None:
        """Write one row of a table; fields that are not named become 0.

        The gateway takes the whole row in one cycle.
        """
        entry = self._entry(name, Table)
        assert isinstance(entry, Table)
        row = _pack(name, entry.fields, values)
        staging = next(e for e in self._map.page(name).entries if isinstance(e, Staging))
        offset = self._map.offset(staging.name)
        self._check_row(name, index)
        for k in range(-(-entry.width // 32)):
            self._board.write32(offset + 4 * k, row >> 32 * k & _WORD)
        self._board.write32(self._map.offset(name), index)

    def clear_rows(self, name: str) -> None:
        """Write zeros to every row of a table."""
        self.write_row(name, 0)
        for index in range(1, self.depth(name)):
            self._board.write32(self._map.offset(name), index)

    def _check_row(self, name: str, index: int) -> None:
        depth = self.depth(name)
        if not 0 <= index < depth:
            raise RegisterError(f"{name} has rows 0 to {depth - 1}, not {index}")

    def write_window(self, name: str, data: bytes) -> None:
        """Write bytes from the beginning of a window on, padded to whole words with zeros."""
        entry = self._entry(name, Window)
        if len(data) > 4 * entry.words:
            raise RegisterError(f"{name} holds {4 * entry.words} bytes, not {len(data)}")
        words = data + bytes(-len(data) % 4)
        self._board.write_words(self._map.offset(name),
                                struct.unpack(f"<{len(words) // 4}I", words))

    def counters(self) -> dict[str, int]:
        """All counters by name, in the order in which a frame meets them."""
        return {entry.name: self.read(entry.name) for entry in self._map.entries(Counter)}


def _check(name: str, part: str, width: int, value: int) -> None:
    if not 0 <= value < 1 << width:
        what = f"{name}.{part}" if part else name
        raise RegisterError(f"{what} has {width} bits and takes 0 to {(1 << width) - 1}, "
                            f"not {value}")


def _pack(name: str, fields: tuple[Field, ...], values: dict[str, int]) -> int:
    known = {part.name.lower() for part in fields}
    for given in values:
        if given not in known:
            raise RegisterError(f"{name} has no field {given}; it has {', '.join(sorted(known))}")
    result, low = 0, 0
    for part in fields:
        value = int(values.get(part.name.lower(), 0))
        _check(name, part.name, part.width, value)
        result |= value << low
        low += part.width
    return result
