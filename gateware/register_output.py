"""The register table for readers: rows, JSON, a C header, a reference page."""

import json

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

from .register_map import RegisterMap

__all__ = ["rows", "to_json", "to_c_header", "to_markdown"]

_COLUMNS = ("offset", "name", "kind", "width", "reset", "unit", "meaning")


def _kind(entry: Entry) -> str:
    if isinstance(entry, Register):
        return {Access.READ_WRITE: "read/write", Access.READ_ONLY: "read-only",
                Access.CONSTANT: "constant"}[entry.access]
    return {Counter: "counter", Command: "command", Staging: "staging", Table: "table",
            Window: "window"}[type(entry)]


def _width(entry: Entry) -> int:
    if isinstance(entry, Counter):
        return 64
    if isinstance(entry, (Staging, Window)):
        return 32 * entry.words
    return entry.width


def _meaning(entry: Entry) -> str:
    text = entry.meaning
    effects = getattr(entry, "side_effects", "")
    return f"{text} {effects}" if effects else text


def _fields(entry: Entry) -> list[tuple[int, Field]]:
    low, result = 0, []
    for part in getattr(entry, "fields", ()):
        result.append((low, part))
        low += part.width
    return result


def rows(registers: RegisterMap) -> list[dict[str, str]]:
    """One row an entry: offset, name, kind, width, reset, unit, meaning; all of them text."""
    result = []
    for entry in registers.entries():
        reset = ""
        if isinstance(entry, Register):
            reset = (str(entry.value) if entry.access is Access.CONSTANT
                     else f"{entry.reset:#x}" if entry.access is Access.READ_WRITE else "")
        result.append({
            "offset": f"{registers.offset(entry.name):#06x}", "name": entry.name,
            "kind": _kind(entry), "width": str(_width(entry)), "reset": reset,
            "unit": getattr(entry, "unit", ""), "meaning": _meaning(entry),
        })
    return result


def to_json(registers: RegisterMap) -> str:
    """The whole table, fields included, as JSON; offsets in bytes, bits counted from 0."""
    by_name = {row["name"]: row for row in rows(registers)}
    pages = []
    for page in registers.pages:
        entries = []
        for entry in page.entries:
            row: dict[str, object] = dict(by_name[entry.name])
            row["offset"] = registers.offset(entry.name)
            row["width"] = _width(entry)
            row["words"] = entry.words
            if isinstance(entry, Table):
                row["depth"] = entry.depth
            row["fields"] = [{"name": part.name, "low": low, "width": part.width,
                              "unit": part.unit, "values": list(part.values),
                              "meaning": part.meaning} for low, part in _fields(entry)]
            entries.append(row)
        pages.append({"name": page.name, "offset": page.offset, "meaning": page.meaning,
                      "entries": entries})
    return json.dumps({"hash": f"{registers.hash:#018x}", "pages": pages}, indent=1)


def to_c_header(registers: RegisterMap) -> str:
    """Offsets, and of each field the lowest bit and the width, as C macros."""
    lines = ["/* Registers of BAR 0: 32-bit accesses only. Made by `tickwire regs --format c`. */",
             "#ifndef TICKWIRE_REGISTERS_H", "#define TICKWIRE_REGISTERS_H", "",
             f"#define TICKWIRE_REGISTER_HASH_VALUE {registers.hash:#018x}ull"]
    for page in registers.pages:
        lines += ["", f"/* {page.name}: {page.meaning} */"]
        for entry in page.entries:
            name = f"TICKWIRE_{entry.name}"
            lines.append(f"#define {name} {registers.offset(entry.name):#06x}u")
            for low, part in _fields(entry):
                lines.append(f"#define {name}_{part.name}_LOW {low}u")
                lines.append(f"#define {name}_{part.name}_WIDTH {part.width}u")
                for value, text in enumerate(part.values):
                    lines.append(f"#define {name}_{part.name}_{text} {value}u")
    lines += ["", "#endif", ""]
    return "\n".join(lines)


def to_markdown(registers: RegisterMap) -> str:
    """A reference page: a section a page, a table of its entries, their fields below."""
    by_name = {row["name"]: row for row in rows(registers)}
    lines = ["# Registers", "",
             "BAR 0, 64 KiB, 32-bit accesses only. An access to a place that is not listed reads",
             "as 0, writes nothing, and is counted.",
             f"The table's hash is `{registers.hash:#018x}`."]
    for page in registers.pages:
        lines += ["", f"## {page.name} ({page.offset:#06x})", "", page.meaning, "",
                  "| " + " | ".join(_COLUMNS) + " |", "|" + " --- |" * len(_COLUMNS)]
        lines += ["| " + " | ".join(by_name[entry.name][column] for column in _COLUMNS) + " |"
                  for entry in page.entries]
        for entry in page.entries:
            if not _fields(entry):
                continue
            depth = f" (rows: {entry.depth})" if isinstance(entry, Table) else ""
            lines += ["", f"### Fields of {entry.name}{depth}", "",
                      "| bits | field | unit | meaning |", "| --- | --- | --- | --- |"]
            for low, part in _fields(entry):
                values = ", ".join(f"{i} {text}" for i, text in enumerate(part.values))
                meaning = f"{part.meaning} {values}" if values else part.meaning
                lines.append(f"| {low + part.width - 1}:{low} | {part.name} | {part.unit} "
                             f"| {meaning} |")
    return "\n".join(lines) + "\n"
