"""The register table: places, sentences of its errors, what is printed from it."""

import json
import subprocess
import sys

import pytest
from tickwire.gateware import register_output, vocabulary
from tickwire.gateware.config import GatewayConfig
from tickwire.gateware.records import FRAME_HEADER, RECORDS, Record, RecordField
from tickwire.gateware.register_map import RegisterMap
from tickwire.gateware.registers import REGISTERS
from tickwire.hdl.csr.register_table import (
    Access,
    Command,
    Counter,
    Field,
    Page,
    Register,
    Staging,
    Table,
    Window,
)
from tickwire.hdl.entry import intent
from tickwire.hdl.feed.event import Side


def page(*entries, name="PAGE", offset=0):
    return Page(name=name, offset=offset, meaning="A page.", entries=entries)


def test_offsets_are_in_order_aligned_and_unique():
    offsets = [word.offset for word in REGISTERS.words()]
    assert len(set(offsets)) == len(offsets)
    assert all(offset % 4 == 0 and offset < 0x10000 for offset in offsets)
    for entry in REGISTERS.entries():
        if isinstance(entry, (Register, Counter)) and entry.words == 2:
            assert REGISTERS.offset(entry.name) % 8 == 0
        assert REGISTERS.page(entry.name).offset == REGISTERS.offset(entry.name) & 0xF000
    assert REGISTERS.offset("MAGIC") == 0
    assert REGISTERS.offset("REGISTER_HASH") == 8


def test_hash_changes_with_everything_that_a_host_relies_on():
    def map_of(**change):
        return RegisterMap((page(Register(**{"name": "R", "meaning": "A value.", **change})),))

    first = map_of()
    assert first.hash == map_of().hash == 0xbda92ec6bf433bbb
    for change in ({"name": "S"}, {"width": 31}, {"reset": 1}, {"meaning": "Another value."},
                   {"access": Access.READ_ONLY}, {"written": True}):
        assert map_of(**change).hash != first.hash
    assert map_of(access=Access.READ_ONLY, latched_by="R").hash \
        != map_of(access=Access.READ_ONLY).hash
    assert RegisterMap((page(Register(name="R", meaning="A value."), offset=0x1000),)).hash \
        != first.hash
    assert RegisterMap(first.pages, RECORDS).hash != first.hash
    hashes = {RegisterMap(first.pages, frame_header=FRAME_HEADER[:parts]).hash
              for parts in (0, 4, 5)}
    assert len(hashes) == 3 and first.hash in hashes and REGISTERS.frame_header == FRAME_HEADER


def test_numbers_are_those_of_the_gateware():
    pairs = ((vocabulary.Side, Side), (vocabulary.Action, intent.Action),
             (vocabulary.Source, intent.Source), (vocabulary.Reason, intent.Reason))
    for plain, hardware in pairs:
        assert {e.name: e.value for e in plain} == {e.name: e.value for e in hardware}
    for reason in intent.Reason:
        assert (f"REFUSED_{reason.name}" in REGISTERS) == (reason is not intent.Reason.PASSED)


def test_sizes_are_fields_of_the_configuration():
    config = GatewayConfig()
    for entry in REGISTERS.entries():
        size = getattr(entry, "depth", getattr(entry, "value", None))
        if isinstance(size, str) and size != "register_hash":
            assert isinstance(getattr(config, size), int)


def test_no_amaranth_behind_the_table():
    code = ("import sys, tickwire.gateware.registers, tickwire.gateware.register_output, "
            "tickwire.gateware.records; sys.exit('amaranth' in sys.modules)")
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_outputs_name_every_entry_and_the_hash():
    as_json = json.loads(register_output.to_json(REGISTERS))
    names = [entry["name"] for part in as_json["pages"] for entry in part["entries"]]
    assert names == [entry.name for entry in REGISTERS.entries()]
    header = register_output.to_c_header(REGISTERS)
    markdown = register_output.to_markdown(REGISTERS)
    for entry in REGISTERS.entries():
        offset = f"{REGISTERS.offset(entry.name):#06x}"
        assert f"#define TICKWIRE_{entry.name} {offset}u" in header
        assert f"| {offset} | {entry.name} |" in markdown
    assert f"{REGISTERS.hash:#018x}" in header
    assert f"{REGISTERS.hash:#018x}" in markdown
    assert as_json["hash"] == f"{REGISTERS.hash:#018x}"


def test_c_header_compiles(tmp_path):
    (tmp_path / "registers.h").write_text(register_output.to_c_header(REGISTERS))
    source = tmp_path / "check.c"
    source.write_text('#include "registers.h"\n#include "registers.h"\n'
                      f"_Static_assert(TICKWIRE_ARM == {REGISTERS.offset('ARM')}, \"\");\n")
    subprocess.run(["gcc", "-Wall", "-Werror", "-fsyntax-only", str(source)], check=True)


def test_records_have_their_end_and_their_place_in_common():
    for record in RECORDS:
        assert [part.name for part in record.fields[-7:]] == [
            "published", "instrument", "flags", "sequence", "stamp", "kind", "phase"]
        assert record.low("phase") == 63 * 8
        assert record.low("sequence") == 56 * 8
    assert len({record.number for record in RECORDS} - {0}) == len(RECORDS)


@pytest.mark.parametrize("make, sentence", [
    (lambda: Register(name="lower", meaning="A value."),
     "Register name must be UPPER_SNAKE, not 'lower'"),
    (lambda: Register(name="R", meaning="no sentence"),
     "Register R needs a meaning that is a sentence, not 'no sentence'"),
    (lambda: Register(name="R", meaning="A value.", width=65),
     "Register R must be 1 to 64 bits wide, not 65"),
    (lambda: Register(name="R", meaning="A value.", width=3, reset=8),
     "Register R has 3 bits and cannot be reset to 0x8"),
    (lambda: Register(name="R", meaning="A value.", value=1),
     "Register R must have a value if, and only if, it is a constant"),
    (lambda: Register(name="R", meaning="A value.", access=Access.READ_ONLY, written=True),
     "Register R is ro: nobody writes it, so the gateware cannot be told of it"),
    (lambda: Register(name="R", meaning="A value.", latched_by="S"),
     "Register R is rw: only what the gateware drives can be latched by S"),
    (lambda: RegisterMap((page(Register(name="R", meaning="A value."),
                               Register(name="S", meaning="A value.", access=Access.READ_ONLY,
                                        latched_by="R")),)),
     "Register S is latched by R, which is no read-only register of this map"),
    (lambda: Register(name="R", meaning="A value.", fields=(
        Field(name="A", width=1, meaning="One."), Field(name="A", width=1, meaning="Two."))),
     "Register R has two fields named A"),
    (lambda: Command(name="C", meaning="A strobe.", width=33),
     "Command C must be 1 to 32 bits wide, not 33"),
    (lambda: Window(name="W", meaning="Words.", words=24),
     "Window W must have a power of two words, not 24"),
    (lambda: page(offset=0x800),
     "Page PAGE must start at a multiple of 0x1000 below 0x10000, not at 0x800"),
    (lambda: page(Register(name="R", meaning="A value."), Counter(name="C", meaning="A count.")),
     "Page PAGE must hold either counters only or none"),
    (lambda: page(Staging(name="ROW", meaning="A row.", words=1),
                  Table(name="T", meaning="Rows.", depth=2,
                        fields=(Field(name="F", width=33, meaning="Wide."),))),
     "Page PAGE has a staging row of 32 bits; table T needs 33"),
    (lambda: RegisterMap((page(), page(name="OTHER"))),
     "Pages PAGE and OTHER both start at 0x0"),
    (lambda: RegisterMap((page(Register(name="R", meaning="A value."),
                               Register(name="R", meaning="A value.")),)),
     "Two entries are named R"),
    (lambda: RegisterMap((page(Window(name="W", meaning="Words.", words=2048)),)),
     "Page PAGE needs 8192 bytes and has 4096"),
    (lambda: RecordField("f", 7, "Seven bits."),
     "Record field f must have 8, 16, 32 or 64 bits, not 7"),
    (lambda: Record("R", 1, "A record.", (RecordField("a", 8, "A."), RecordField("b", 16, "B."))),
     "Record R has b at bit 8, which is no multiple of its width 16"),
    (lambda: Record("R", 1, "A record.", (RecordField("a", 8, "A."),)),
     "Record R must have 512 bits, not 8"),
])
def test_nonsense_is_rejected_in_a_sentence(make, sentence):
    with pytest.raises(ValueError) as error:
        make()
    assert str(error.value) == sentence
