"""What a register is: the types of which the register table is made.

No Amaranth here: the host, the register bank and the documentation read the same objects.
"""

import enum
import re
from dataclasses import dataclass

__all__ = ["Access", "Field", "Register", "Counter", "Command", "Staging", "Table", "Window",
           "Entry", "Page", "PAGE_BYTES", "BAR_BYTES"]

PAGE_BYTES = 0x1000
BAR_BYTES = 0x10000

_NAME = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*")


class Access(enum.Enum):
    """Who gives a register its value."""

    READ_WRITE = "rw"       # the host writes it, the gateware reads it
    READ_ONLY = "ro"        # the gateware drives it
    CONSTANT = "constant"   # it is known when the gateware is built


def _check_text(kind: str, name: str, meaning: str) -> None:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{kind} name must be UPPER_SNAKE, not {name!r}")
    if not meaning.endswith("."):
        raise ValueError(f"{kind} {name} needs a meaning that is a sentence, not {meaning!r}")


def _check_width(kind: str, name: str, width: int, most: int) -> None:
    if not 1 <= width <= most:
        raise ValueError(f"{kind} {name} must be 1 to {most} bits wide, not {width}")


@dataclass(frozen=True, kw_only=True)
class Field:
    """Some bits of a register or of a table's row; fields are packed from bit 0, in order.

    Parameters
    ----------
    values : tuple of str
        Names of the values 0, 1, …, if they are an enumeration.
    """

    name: str
    width: int
    meaning: str
    unit: str = ""
    values: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_text("Field", self.name, self.meaning)
        _check_width("Field", self.name, self.width, 512)


def _check_fields(kind: str, name: str, fields: tuple[Field, ...]) -> None:
    names = [part.name for part in fields]
    for part in names:
        if names.count(part) > 1:
            raise ValueError(f"{kind} {name} has two fields named {part}")


@dataclass(frozen=True, kw_only=True)
class Register:
    """A value of up to 64 bits. One of more than 32 bits takes two words, the low half first.

    Reading the low half of a wide register keeps its high half for the next read on this page.
    Writing the low half of a wide register waits; writing the high half puts both in force.

    Parameters
    ----------
    latched_by : str
        Of a read-only register: name of another one. A read of that one's low half samples both
        in the same cycle, and this one then reads as what it was.
    value : int, str or None
        Of a constant: the number, or the name of the :class:`GatewayConfig` field that says it,
        or ``"register_hash"``.
    written : bool
        The gateware hears of each write, also of one that changes nothing.
    """

    name: str
    meaning: str
    access: Access = Access.READ_WRITE
    width: int = 32
    unit: str = ""
    side_effects: str = ""
    latched_by: str = ""
    reset: int = 0
    fields: tuple[Field, ...] = ()
    value: int | str | None = None
    written: bool = False

    def __post_init__(self) -> None:
        _check_text("Register", self.name, self.meaning)
        if self.fields:
            _check_fields("Register", self.name, self.fields)
            object.__setattr__(self, "width", sum(part.width for part in self.fields))
        _check_width("Register", self.name, self.width, 64)
        if self.latched_by and self.access is not Access.READ_ONLY:
            raise ValueError(f"Register {self.name} is {self.access.value}: only what the gateware "
                             f"drives can be latched by {self.latched_by}")
        if not 0 <= self.reset < 1 << self.width:
            raise ValueError(f"Register {self.name} has {self.width} bits and cannot be reset "
                             f"to {self.reset:#x}")
        if (self.value is not None) != (self.access is Access.CONSTANT):
            raise ValueError(f"Register {self.name} must have a value if, and only if, it is "
                             "a constant")
        if self.written and self.access is not Access.READ_WRITE:
            raise ValueError(f"Register {self.name} is {self.access.value}: nobody writes it, so "
                             "the gateware cannot be told of it")

    @property
    def words(self) -> int:
        return 1 if self.width <= 32 else 2


@dataclass(frozen=True, kw_only=True)
class Counter:
    """A 64-bit count of one-cycle strobes. Reading the low half keeps the high half.

    Parameters
    ----------
    step : int
        Bits of what is added in a cycle: more than 1 where bytes are counted.
    """

    name: str
    meaning: str
    unit: str = "events"
    step: int = 1

    def __post_init__(self) -> None:
        _check_text("Counter", self.name, self.meaning)
        _check_width("Counter", self.name, self.step, 16)

    @property
    def words(self) -> int:
        return 2


@dataclass(frozen=True, kw_only=True)
class Command:
    """Something to do once, when it is written. One bit wide: writing 1 does it, 0 nothing.

    Wider: every write does it, with the number that was written.
    """

    name: str
    meaning: str
    width: int = 1
    unit: str = ""
    side_effects: str = ""
    fields: tuple[Field, ...] = ()

    def __post_init__(self) -> None:
        _check_text("Command", self.name, self.meaning)
        if self.fields:
            _check_fields("Command", self.name, self.fields)
            object.__setattr__(self, "width", sum(part.width for part in self.fields))
        _check_width("Command", self.name, self.width, 32)

    @property
    def words(self) -> int:
        return 1


@dataclass(frozen=True, kw_only=True)
class Staging:
    """Words in which the host lays out a row for the tables of the same page. Write-only."""

    name: str
    meaning: str
    words: int

    def __post_init__(self) -> None:
        _check_text("Staging", self.name, self.meaning)


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows that are written whole: its word takes the row's number and commits the staging.

    Parameters
    ----------
    depth : int or str
        Rows, or the name of the :class:`GatewayConfig` field that says how many.
    """

    name: str
    meaning: str
    depth: int | str
    fields: tuple[Field, ...]
    side_effects: str = ""

    def __post_init__(self) -> None:
        _check_text("Table", self.name, self.meaning)
        _check_fields("Table", self.name, self.fields)

    @property
    def width(self) -> int:
        return sum(part.width for part in self.fields)

    @property
    def words(self) -> int:
        return 1


@dataclass(frozen=True, kw_only=True)
class Window:
    """A memory of 32-bit words that the host writes and the gateware reads. Reads as 0."""

    name: str
    meaning: str
    words: int

    def __post_init__(self) -> None:
        _check_text("Window", self.name, self.meaning)
        if self.words < 2 or self.words & (self.words - 1):
            raise ValueError(f"Window {self.name} must have a power of two words, "
                             f"not {self.words}")


Entry = Register | Counter | Command | Staging | Table | Window


@dataclass(frozen=True, kw_only=True)
class Page:
    """4 KiB of the BAR that one user may own alone."""

    name: str
    meaning: str
    offset: int
    entries: tuple[Entry, ...]

    def __post_init__(self) -> None:
        _check_text("Page", self.name, self.meaning)
        if self.offset % PAGE_BYTES or not 0 <= self.offset < BAR_BYTES:
            raise ValueError(f"Page {self.name} must start at a multiple of {PAGE_BYTES:#x} below "
                             f"{BAR_BYTES:#x}, not at {self.offset:#x}")
        counters = sum(isinstance(entry, Counter) for entry in self.entries)
        if counters not in (0, len(self.entries)):
            raise ValueError(f"Page {self.name} must hold either counters only or none")
        room = max([e.words for e in self.entries if isinstance(e, Staging)], default=0) * 32
        for entry in self.entries:
            if isinstance(entry, Table) and entry.width > room:
                raise ValueError(f"Page {self.name} has a staging row of {room} bits; table "
                                 f"{entry.name} needs {entry.width}")
