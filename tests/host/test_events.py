"""The event ring: views without a copy, round after round, and what is said when it overflowed."""

import numpy as np
import pytest
from tickwire.gateware.records import BOOK, ORDER, RECORDS
from tickwire.gateware.registers import REGISTERS
from tickwire.host.errors import EventsLostError
from tickwire.host.events import COMMON, DTYPES, Events, flag, select
from tickwire.host.registers import Registers, identify

COUNT = 64


class Writer:
    """Stands for the gateway: writes records as the engine does."""

    def __init__(self, board):
        self.board, self.produced = board, 0

    def write(self, count, kind=BOOK):
        for _ in range(count):
            record = np.zeros(1, DTYPES[kind.name])
            record["sequence"] = self.produced & 0xFFFF_FFFF
            record["kind"], record["instrument"] = kind.number, self.produced & 0x7F
            if kind is BOOK:
                record["bid_price"], record["change_id"] = self.produced, ~np.uint64(self.produced)
            record["phase"] = (self.produced // COUNT & 1) ^ 1
            place = self.produced % COUNT
            self.board.ring[64 * place:64 * place + 64] = record.view(np.uint8)
            self.produced += 1
        self.board.poke("EVENTS_PRODUCED", self.produced & 0xFFFF_FFFF)


@pytest.fixture
def board(fake_board):
    fake_board.ring = np.zeros(64 * COUNT, np.uint8)
    return fake_board


def events_of(board):
    return Events(board.ring, Registers(board, identify(board)))


def test_layouts():
    for record in RECORDS:
        dtype = DTYPES[record.name]
        assert dtype.itemsize == 64
        for part in record.fields:
            assert dtype.fields[part.name][1] * 8 == record.low(part.name)
    assert COMMON.itemsize == 64
    assert {"kind", "sequence", "stamp", "instrument", "flags", "phase"} <= set(COMMON.names)


def test_records_come_once_in_order_over_many_rounds(board):
    writer, events = Writer(board), events_of(board)
    assert len(events.poll()) == 0
    seen = []
    for count in (1, 5, 63, 64, 7, 33, 64, 64, 1):
        writer.write(count)
        while len(found := events.poll(20)):
            seen += found["sequence"].tolist()
    assert seen == list(range(writer.produced))
    assert board.memory[REGISTERS.offset("EVENTS_CONSUMED")] == writer.produced


def test_records_are_a_view_of_the_ring(board):
    writer, events = Writer(board), events_of(board)
    writer.write(10)
    found = events.poll()
    assert np.shares_memory(found, board.ring)
    assert len(found) == 10


def test_the_gateway_hears_of_a_record_only_when_its_view_is_over(board):
    writer, events = Writer(board), events_of(board)
    place = REGISTERS.offset("EVENTS_CONSUMED")
    writer.write(COUNT // 2)
    events.poll()
    assert board.memory.get(place, 0) == 0
    events.poll()
    assert board.memory[place] == COUNT // 2


def test_another_host_goes_on_where_the_first_one_stopped(board):
    writer, events = Writer(board), events_of(board)
    writer.write(100 - COUNT)
    events.poll()
    events.poll()
    writer.write(20)
    assert events_of(board).poll()["sequence"].tolist() == list(range(36, 56))


def test_kinds_and_flags(board):
    writer, events = Writer(board), events_of(board)
    writer.write(2)
    writer.write(1, ORDER)
    board.ring.view(COMMON)["flags"][1] = 0b010
    found = events.poll()
    assert select(found, "BOOK").dtype == DTYPES["BOOK"]
    assert select(found, "ORDER")["sequence"].tolist() == [2]
    copies = select(found[np.array([True, True, False])].copy(), "BOOK")
    assert copies["bid_price"].tolist() == [0, 1]
    assert copies["change_id"].tolist() == [(1 << 64) - 1, (1 << 64) - 2]
    assert flag(found, "bid_valid").tolist() == [False, True, False]
    assert not flag(found, "tradable").any()


@pytest.mark.parametrize("late", [1, COUNT - 1, COUNT, COUNT + 3, 2 * COUNT + 5])
def test_overwritten_records_are_an_error_once(board, late):
    writer, events = Writer(board), events_of(board)
    writer.write(10)
    events.poll()
    writer.write(COUNT + late)
    with pytest.raises(EventsLostError, match=f"record 10 is no longer.*holds {COUNT}"):
        while len(events.poll()):
            pass
    writer.write(3)
    found = events.poll()
    assert found["sequence"].tolist() == list(range(writer.produced - 3, writer.produced))


def test_numbers_wrap_at_32_bits(board):
    writer = Writer(board)
    writer.produced = (1 << 32) - 5
    board.poke("EVENTS_CONSUMED", (1 << 32) - 5)
    events = events_of(board)
    writer.write(12)
    seen = []
    while len(found := events.poll()):
        seen += found["sequence"].tolist()
    assert seen == [(k - 5) & 0xFFFF_FFFF for k in range(12)]


def test_a_board_without_a_ring(fake_board):
    events = events_of(fake_board)
    assert len(events.poll()) == 0
    assert REGISTERS.offset("EVENT_RING") not in fake_board.memory
