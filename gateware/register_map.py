"""Where every register stands in BAR 0, and the hash of it all."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

from tickwire.hdl.csr.register_table import PAGE_BYTES, Access, Entry, Page, Register, Staging

from .records import Record, RecordField

__all__ = ["Word", "RegisterMap"]


@dataclass(frozen=True)
class Word:
    """One 32-bit word of the BAR: ``index`` counts the words of its entry from 0."""

    offset: int
    entry: Entry
    index: int


@dataclass(frozen=True)
class RegisterMap:
    """The pages of BAR 0, with the offset of everything in them, and what the rings hold.

    Parameters
    ----------
    pages : tuple of Page
    records : tuple of Record
        What the event ring holds.
    frame_header : tuple of RecordField
        What stands before a frame in its ring.

    Raises
    ------
    ValueError
        If two things have one name or one place, or if a page is too small.
    """

    pages: tuple[Page, ...]
    records: tuple[Record, ...] = ()
    frame_header: tuple[RecordField, ...] = ()
    _offsets: dict[str, int] = field(default_factory=dict, repr=False)
    _entries: dict[str, Entry] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        taken: dict[int, str] = {}
        for page in self.pages:
            if page.offset in taken:
                raise ValueError(f"Pages {taken[page.offset]} and {page.name} both start at "
                                 f"{page.offset:#x}")
            taken[page.offset] = page.name
            offset = page.offset
            for entry in page.entries:
                if entry.name in self._entries:
                    raise ValueError(f"Two entries are named {entry.name}")
                # A wide value or a window is aligned to its own size: its words differ
                # in the lowest address bits only.
                size = 4 * (1 if isinstance(entry, Staging) else entry.words)
                offset = -(-offset // size) * size
                self._entries[entry.name], self._offsets[entry.name] = entry, offset
                offset += 4 * entry.words
            if offset > page.offset + PAGE_BYTES:
                raise ValueError(f"Page {page.name} needs {offset - page.offset} bytes and has "
                                 f"{PAGE_BYTES}")
        for entry in self.entries(Register):
            if isinstance(entry, Register) and entry.latched_by:
                by = self._entries.get(entry.latched_by)
                if not isinstance(by, Register) or by.access is not Access.READ_ONLY:
                    raise ValueError(f"Register {entry.name} is latched by {entry.latched_by}, "
                                     "which is no read-only register of this map")

    def __getitem__(self, name: str) -> Entry:
        return self._entries[name]

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def offset(self, name: str) -> int:
        """Byte offset in the BAR of the first word of an entry."""
        return self._offsets[name]

    def page(self, name: str) -> Page:
        """The page on which an entry stands."""
        return next(p for p in self.pages if any(e.name == name for e in p.entries))

    def entries(self, kind: type[Entry] | None = None) -> Iterator[Entry]:
        """All entries, or those of one kind, in the order of their offsets."""
        for page in self.pages:
            for entry in page.entries:
                if kind is None or isinstance(entry, kind):
                    yield entry

    def words(self) -> Iterator[Word]:
        """Every word that is mapped, in the order of the offsets within each page."""
        for entry in self.entries():
            for index in range(entry.words):
                yield Word(self.offset(entry.name) + 4 * index, entry, index)

    @property
    def hash(self) -> int:
        """64 bits of SHA-256 over all registers, records and the header of a frame in its ring,
        words of meaning included.

        The sizes that :class:`GatewayConfig` chooses are not in it: a host reads them.
        """
        def plain(entry: Entry) -> dict[str, object]:
            row = asdict(entry)
            if isinstance(entry, Register):
                row["access"] = entry.access.value
            return {"kind": type(entry).__name__, "offset": self.offset(entry.name), **row}

        everything = {"registers": [plain(entry) for entry in self.entries()],
                      "records": [asdict(record) for record in self.records],
                      "frame_header": [asdict(part) for part in self.frame_header]}
        text = json.dumps(everything, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
