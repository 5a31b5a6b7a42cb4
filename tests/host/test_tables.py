"""Subscriptions and instruments: placed where the hardware looks for them."""

import random

import pytest
from tickwire.gateware.registers import REGISTERS
from tickwire.hdl.wire.placement import Placement
from tickwire.host.errors import RegisterError
from tickwire.host.registers import Registers, identify
from tickwire.host.tables import Instruments, Subscriptions

at = REGISTERS.offset


def rows_of(board, table, width):
    """The table's rows as the hardware has them: staging at the moment of each commit."""
    staging, rows = {}, {}
    for kind, offset, *value in board.accesses:
        if kind == "write" and at("ROW") <= offset < at("CONTROL"):
            staging[offset - at("ROW")] = value[0]
        elif kind == "write" and offset == at(table):
            whole = sum(word << 8 * place for place, word in staging.items())
            rows[value[0]] = whole & (1 << width) - 1
    return rows


@pytest.fixture
def board(fake_board):
    config = identify(fake_board)
    fake_board.registers = Registers(fake_board, config)
    fake_board.config = config
    fake_board.accesses.clear()
    return fake_board


def test_subscriptions_stand_where_the_hardware_looks(board):
    subscriptions = Subscriptions(board.registers, board.config, empty=True)
    rng = random.Random(5)
    wanted = {}
    for channel in range(64):
        group, port = f"239.{channel}.{rng.randrange(256)}.7", rng.randrange(1, 65536)
        subscriptions.add(group, port, channel)
        key = int.from_bytes(bytes(map(int, group.split("."))), "big") | port << 32
        wanted[key] = channel
    with pytest.raises(RegisterError, match="room for 64 groups.*remove one before 224.0.1.1:9"):
        subscriptions.add("224.0.1.1", 9, 0)
    rows = rows_of(board, "SUBSCRIPTIONS", 55)
    for key, channel in wanted.items():
        found = [rows[slot] for slot in Placement(512).slots(key)
                 if slot in rows and rows[slot] == 1 | key << 1 | channel << 49]
        assert len(found) == 1
    assert sum(row & 1 for row in rows.values()) >= 64


def test_unsubscribing_clears_the_row(board):
    subscriptions = Subscriptions(board.registers, board.config, empty=True)
    subscriptions.add("239.1.1.1", 6100, 3)
    slot = board.accesses[-1][2]
    subscriptions.remove("239.1.1.1", 6100)
    assert rows_of(board, "SUBSCRIPTIONS", 55)[slot] == 0
    with pytest.raises(KeyError):
        subscriptions.remove("239.1.1.1", 6100)


def test_a_board_that_somebody_has_used_is_cleared_first(board):
    subscriptions = Subscriptions(board.registers, board.config, empty=False)
    subscriptions.add("239.1.1.1", 6100, 3)
    commits = [access[2] for access in board.accesses if access[1] == at("SUBSCRIPTIONS")]
    assert commits[:1024] == list(range(1024))
    assert len(commits) == 1025


def test_instruments_get_the_lowest_free_index(board):
    instruments = Instruments(board.registers, board.config, empty=True)
    first = instruments.add("BTC-PERPETUAL", id=210838, channel=3, order_id=-5)
    third = instruments.add("C", id=7, channel=3, index=2)
    second = instruments.add("B", id=8, channel=3)
    assert [first.index, second.index, third.index] == [0, 1, 2]
    assert (first.order_id, second.order_id) == (-5, 8)
    assert instruments["B"] is second
    assert rows_of(board, "VENUE_INSTRUMENT", 64) == {0: (1 << 64) - 5, 2: 7, 1: 8}
    rows = rows_of(board, "INSTRUMENT_TABLE", 46)
    for known in instruments:
        row = 1 | known.id << 1 | known.index << 33 | known.channel << 40
        assert row in [rows.get(slot) for slot in Placement(512).slots(known.id)]
    # The id in orders stands before market data can name the instrument.
    order = [access[1] for access in board.accesses]
    assert order.index(at("VENUE_INSTRUMENT")) < order.index(at("INSTRUMENT_TABLE"))


def ids_that_displace_another():
    """128 ids, one of which finds both its slots taken, so that another has to move."""
    for seed in range(100):
        ids, placement = random.Random(seed).sample(range(1 << 32), 128), Placement(512)
        if any(len(placement.insert(key)) > 1 for key in ids):
            return ids
    raise AssertionError("no such ids")


def test_an_instrument_that_has_to_move_is_never_lost(board):
    instruments = Instruments(board.registers, board.config, empty=True)
    ids = ids_that_displace_another()
    for done, key in enumerate(ids):
        instruments.add(str(key), id=key, channel=done % 64)
        rows = rows_of(board, "INSTRUMENT_TABLE", 46)
        for index, known in enumerate(ids[:done + 1]):
            row = 1 | known << 1 | index << 33 | index % 64 << 40
            assert row in [rows.get(slot) for slot in Placement(512).slots(known)]


@pytest.mark.parametrize("act, sentence", [
    (lambda s, i: s.add("10.0.0.1", 1, 0),
     "SUBSCRIPTIONS.GROUP takes a multicast address (224.0.0.0 to 239.255.255.255), not 10.0.0.1"),
    (lambda s, i: s.add("nowhere", 1, 0), "SUBSCRIPTIONS.GROUP takes an IPv4 multicast address "
                                          "such as 239.111.111.1, not 'nowhere'"),
    (lambda s, i: s.add("239.1.1.1", 0, 0), "SUBSCRIPTIONS.PORT takes 1 to 65535, not 0"),
    (lambda s, i: s.add("239.1.1.1", 1, 64),
     "SUBSCRIPTIONS.CHANNEL takes 0 to 63 on this board, not 64"),
    (lambda s, i: i.add("A", id=1 << 32, channel=0),
     "INSTRUMENT_TABLE.ID has 32 bits and takes 0 to 4294967295, not 4294967296"),
    (lambda s, i: i.add("A", id=1, channel=0, index=128),
     "INSTRUMENT_TABLE has no place for A: 0 of 128 indices are in use on this board, and 128 is "
     "not a free one"),
])
def test_errors_say_what_is_allowed(board, act, sentence):
    subscriptions = Subscriptions(board.registers, board.config, empty=True)
    instruments = Instruments(board.registers, board.config, empty=True)
    with pytest.raises(RegisterError) as error:
        act(subscriptions, instruments)
    assert str(error.value) == sentence
    assert board.accesses == []


def test_no_more_instruments_than_indices(board):
    instruments = Instruments(board.registers, board.config, empty=True)
    for k in range(128):
        instruments.add(f"I{k}", id=1000 + k, channel=0)
    with pytest.raises(RegisterError, match="no place for ONE: 128 of 128 indices"):
        instruments.add("ONE", id=1, channel=0)
    with pytest.raises(RegisterError, match="an instrument named I0 already"):
        instruments.add("I0", id=1, channel=0)
