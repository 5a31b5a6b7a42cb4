"""Registers by name: which accesses they make, and the sentences of their errors."""

import pytest
from tickwire.gateware.registers import REGISTERS
from tickwire.hdl.csr.register_table import Counter
from tickwire.host.errors import BoardError, RegisterError
from tickwire.host.registers import Registers, identify

at = REGISTERS.offset


@pytest.fixture
def registers(fake_board):
    config = identify(fake_board)
    fake_board.accesses.clear()
    return Registers(fake_board, config)


def test_a_board_says_its_sizes(fake_board):
    fake_board.poke("LEVELS", 32)
    assert identify(fake_board).levels == 32


def test_another_hash_is_refused_and_both_are_said(fake_board):
    fake_board.poke("REGISTER_HASH", 0x0123_4567_89AB_CDEF)
    with pytest.raises(BoardError) as error:
        identify(fake_board)
    assert "0x0123456789abcdef" in str(error.value)
    assert f"{REGISTERS.hash:#018x}" in str(error.value)
    assert not [access for access in fake_board.accesses if access[0] == "write"]


def test_a_board_without_a_gateway_is_refused(fake_board):
    fake_board.poke("MAGIC", 0xFFFF_FFFF)
    with pytest.raises(BoardError, match="MAGIC reads 0xffffffff, not 0x7469636b"):
        identify(fake_board)


def test_accesses_are_those_of_the_words(registers, fake_board):
    fake_board.poke("CYCLES", 0x1_2345_6789)
    assert registers.read("CYCLES") == 0x1_2345_6789
    registers.write("ORDER_PRICE", 0x1122_3344_5566_7788)
    registers.write("DEAD_MAN_PERIOD", 5)
    registers.command("KILL")
    registers.command("ARM", 77)
    assert fake_board.accesses == [
        ("read", at("CYCLES")), ("read", at("CYCLES") + 4),
        ("write", at("ORDER_PRICE"), 0x5566_7788), ("write", at("ORDER_PRICE") + 4, 0x1122_3344),
        ("write", at("DEAD_MAN_PERIOD"), 5),
        ("write", at("KILL"), 1), ("write", at("ARM"), 77)]


def test_a_row_is_staged_and_committed_last(registers, fake_board):
    registers.write_row("SUBSCRIPTIONS", 1023, valid=1, port=6100, group=0xEF01_0203, channel=63)
    packed = 1 | 0xEF01_0203 << 1 | 6100 << 33 | 63 << 49
    assert fake_board.accesses == [
        ("write", at("ROW"), packed & 0xFFFF_FFFF), ("write", at("ROW") + 4, packed >> 32),
        ("write", at("SUBSCRIPTIONS"), 1023)]


def test_clearing_writes_every_row(registers, fake_board):
    registers.clear_rows("RISK")
    commits = [access[2] for access in fake_board.accesses if access[1] == at("RISK")]
    assert commits == list(range(128))
    assert all(access[2] == 0 for access in fake_board.accesses if access[1] != at("RISK"))


def test_fields(registers, fake_board):
    registers.write_fields("ORDER", side=1, instrument=0x55)
    assert fake_board.memory[at("ORDER")] == 1 << 1 | 0x55 << 2
    assert registers.fields("ORDER") == {"action": 0, "side": 1, "instrument": 0x55}
    registers.command_fields("BOOK_SELECT", instrument=3, side=1, level=9)
    assert fake_board.memory[at("BOOK_SELECT")] == 3 | 1 << 7 | 9 << 8


def test_window_takes_bytes_in_words(registers, fake_board):
    registers.write_window("FRAME", bytes(range(1, 7)))
    assert fake_board.accesses == [("write", at("FRAME"), 0x0403_0201),
                                   ("write", at("FRAME") + 4, 0x0605)]


def test_counters_are_all_there(registers, fake_board):
    fake_board.poke("RX_FCS", 7 << 32 | 5)
    counters = registers.counters()
    assert counters["RX_FCS"] == 7 << 32 | 5
    assert list(counters) == [entry.name for entry in REGISTERS.entries(Counter)]


@pytest.mark.parametrize("act, sentence", [
    (lambda r: r.read("NOTHING"),
     "There is no register NOTHING; `tickwire regs` lists all of them"),
    (lambda r: r.read("KILL"), "KILL is a command; this needs a register or a counter"),
    (lambda r: r.write("CYCLES", 1),
     "CYCLES is read only: the gateway says it, the host cannot set it"),
    (lambda r: r.write("MAGIC", 1),
     "MAGIC is constant: the gateway says it, the host cannot set it"),
    (lambda r: r.write("DEAD_MAN_PERIOD", 1 << 32),
     "DEAD_MAN_PERIOD has 32 bits and takes 0 to 4294967295, not 4294967296"),
    (lambda r: r.write_fields("ORDER", instrument=128),
     "ORDER.INSTRUMENT has 7 bits and takes 0 to 127, not 128"),
    (lambda r: r.write_fields("ORDER", colour=1),
     "ORDER has no field colour; it has action, instrument, side"),
    (lambda r: r.write_row("RISK", 128), "RISK has rows 0 to 127, not 128"),
    (lambda r: r.write_row("RISK", 0, maximum_quantity=-1),
     "RISK.MAXIMUM_QUANTITY has 32 bits and takes 0 to 4294967295, not -1"),
    (lambda r: r.write_window("FRAME", bytes(2049)), "FRAME holds 2048 bytes, not 2049"),
])
def test_errors_name_register_value_and_remedy(registers, fake_board, act, sentence):
    with pytest.raises(RegisterError) as error:
        act(registers)
    assert str(error.value) == sentence
    assert fake_board.accesses == []
