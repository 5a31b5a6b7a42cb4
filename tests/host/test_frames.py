"""The frame ring and the address filter, on a board that is a dictionary and on the toy."""

import zlib

import numpy as np
import pytest
from tickwire.gateware.records import FRAME_HEADER_BYTES
from tickwire.host.errors import BoardError, RegisterError
from tickwire.host.frames import HEADER, Frames
from tickwire.host.gateway import Gateway
from tickwire.host.network import Network, group_hash
from tickwire.host.registers import Registers, identify
from tickwire.sim.engine import Engine

COUNT, SLOT = 32, 2048
START = 0xD5555555555555FB


class Writer:
    """Stands for the gateway: fills slots as the engine does."""

    def __init__(self, board):
        self.board, self.produced = board, 0

    def write(self, count, source=0):
        for _ in range(count):
            slot = self.board.frame_ring.reshape(-1, SLOT)[self.produced % COUNT]
            data = self.frame(self.produced)
            slot[FRAME_HEADER_BYTES:FRAME_HEADER_BYTES + len(data)] = data
            header = slot[:FRAME_HEADER_BYTES].view(HEADER)
            header["cycle"], header["length"] = 10 * self.produced, len(data)
            header["source"] = source
            header["phase"] = (self.produced // COUNT & 1) ^ 1
            self.produced += 1

    @staticmethod
    def frame(number):
        return np.random.default_rng(number).integers(0, 256, 60 + number % 1400, np.uint8)


@pytest.fixture
def board(fake_board):
    fake_board.frame_ring = np.zeros(COUNT * SLOT, np.uint8)
    return fake_board


def registers_of(board):
    return Registers(board, identify(board))


def test_frames_come_once_in_order_over_many_rounds(board):
    registers = registers_of(board)
    writer, frames = Writer(board), Frames(board.frame_ring, registers, SLOT)
    assert registers.read("FRAME_RING") == 0, "nobody listens yet"
    assert frames.poll() == []
    assert registers.read("FRAME_RING") == COUNT
    seen = 0
    for count in (1, 5, 31, 32, 7, 17, 32, 32, 1):
        writer.write(count)
        while found := frames.poll(10):
            for frame in found:
                assert np.shares_memory(frame.data, board.frame_ring)
                assert frame.cycle == 10 * seen
                assert bytes(frame.data) == bytes(writer.frame(seen))
                seen += 1
        assert registers.read("FRAMES_CONSUMED") == seen == writer.produced


def test_the_next_reader_goes_on_where_the_last_one_stopped(board):
    writer, frames = Writer(board), Frames(board.frame_ring, registers_of(board), SLOT)
    frames.poll()
    writer.write(9)
    assert len(frames.poll(5)) == 5
    frames.poll(0)
    again = Frames(board.frame_ring, registers_of(board), SLOT)
    assert [one.cycle for one in again.poll()] == [50, 60, 70, 80]


def test_each_source_has_a_queue_and_slots_go_back_in_order(board):
    registers = registers_of(board)
    writer, frames = Writer(board), Frames(board.frame_ring, registers, SLOT)
    frames.poll()
    for source in (0, 4, 1, 4, 0):
        writer.write(1, source)

    def numbers(found):
        return [one.cycle // 10 for one in found]

    assert numbers(frames.received(3)) == [1, 3] and numbers(frames.received(2)) == []
    assert frames.received(3) == [] and registers.read("FRAMES_CONSUMED") == 0, "0 is the oldest"
    assert numbers(frames.poll()) == [0, 4] and frames.poll() == []
    assert registers.read("FRAMES_CONSUMED") == 2
    assert numbers(frames.received(0)) == [2] and frames.received(0) == []
    assert registers.read("FRAMES_CONSUMED") == 5
    # Many rounds, in any order of sources and of reading
    rng, expected, got = np.random.default_rng(1), {0: [], 1: [], 5: []}, {0: [], 1: [], 5: []}
    for _ in range(300):
        for _ in range(rng.integers(8)):
            if writer.produced - registers.read("FRAMES_CONSUMED") < COUNT:
                source = int(rng.choice([0, 1, 5]))
                expected[source].append(writer.produced)
                writer.write(1, source)
        source = int(rng.choice([0, 1, 5]))
        found = frames.received(source - 1) if source else frames.poll(int(rng.integers(1, 9)))
        assert all(bytes(one.data) == bytes(writer.frame(one.cycle // 10)) for one in found)
        got[source] += numbers(found)
    for source in (0, 1, 5, 0, 1, 5):
        while found := frames.poll() if source == 0 else frames.received(source - 1):
            got[source] += numbers(found)
    assert got == expected and registers.read("FRAMES_CONSUMED") == writer.produced > 400


def test_frames_that_nobody_polls_for_are_given_back(board):
    registers = registers_of(board)
    writer, frames = Writer(board), Frames(board.frame_ring, registers, SLOT)
    assert frames.received(0) == []
    writer.write(20)
    writer.write(1, source=1)
    (piece,) = frames.received(0)
    assert bytes(piece.data) == bytes(writer.frame(20))
    assert frames.received(0) == [] and registers.read("FRAMES_CONSUMED") == 21


def test_a_board_without_a_ring_has_no_frames(fake_board):
    frames = Frames(fake_board.frame_ring, registers_of(fake_board), SLOT)
    assert frames.poll() == []
    assert registers_of(fake_board).read("FRAME_RING") == 0


def test_a_ring_of_other_slots_is_refused(board):
    with pytest.raises(BoardError, match="65536 bytes, which is no multiple of FRAME_SLOT, 3000"):
        Frames(board.frame_ring, registers_of(board), 3000)


def test_the_engine_fills_slots_round_after_round(toy_library):
    with Gateway(Engine(toy_library, frame_slots=4)) as gateway:
        engine, seen = gateway.board, []

        def take():
            while found := gateway.frames.poll():
                seen.extend((one.cycle, int(one.data.view(np.uint64)[0])) for one in found)

        take()
        for number in range(11):
            data = np.full(20, 0x0707070707070707, np.uint64)
            control = np.full(20, 0xFF, np.uint8)
            data[5], control[5] = START, 1
            engine.run(data, control)
            if number % 3 == 2:
                take()
        take()
        assert len(seen) == 11 and all(cycle == data for cycle, data in seen)
        assert seen == sorted(set(seen))
        # Four slots are in use, then there is no room for more.
        for _ in range(6):
            engine.run(data, control)
        seen.clear()
        take()
        assert len(seen) == 4


def test_station_filter_and_groups_reach_their_registers(board):
    registers = registers_of(board)
    network = Network(registers)
    network.station = "02:00:0A:00:00:c4"
    assert registers.read("STATION") == 0x02000A0000C4
    assert network.station == "02:00:0a:00:00:c4"
    network.receive(broadcast=False, promiscuous=True)
    assert registers.fields("FRAME_FILTER") == {"own": 1, "broadcast": 0, "promiscuous": 1}
    groups = ["01:00:5e:00:00:01", "01:00:5e:6f:01:01"]
    network.groups(groups)
    bits = {(zlib.crc32(bytes.fromhex(one.replace(":", ""))) ^ 0xFFFF_FFFF) >> 26
            for one in groups}
    assert registers.read("MULTICAST_HASH") == sum(1 << bit for bit in bits)
    assert {group_hash(one) for one in groups} == bits
    network.all_groups()
    assert registers.read("MULTICAST_HASH") == (1 << 64) - 1


@pytest.mark.parametrize("address, sentence", [
    ("01:00:5e:00:00:01", "STATION takes the address of one station, not that of a group"),
    ("02:00:0a:00:00", "STATION takes a MAC address such as '02:00:0a:00:00:02', not '02:00:0a"),
    ("02:00:0a:00:00:0g", "STATION takes a MAC address")])
def test_wrong_addresses_are_refused(board, address, sentence):
    with pytest.raises(RegisterError, match=sentence):
        Network(registers_of(board)).station = address
