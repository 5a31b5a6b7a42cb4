"""The PCIe board, on a file that stands for ``resource0``."""

import pytest
from tickwire.gateware.registers import MAGIC, REGISTERS
from tickwire.host.board import PcieBoard
from tickwire.host.errors import BoardError, BusError
from tickwire.host.gateway import Gateway
from tickwire.host.registers import identify

ADDRESS = "0000:03:00.0"


@pytest.fixture
def device(tmp_path):
    (tmp_path / ADDRESS).mkdir()
    resource = tmp_path / ADDRESS / "resource0"
    resource.write_bytes(MAGIC.to_bytes(4, "little") + bytes(0x10000 - 4))
    return resource


def test_reads_and_writes_words(device, tmp_path):
    board = PcieBoard(ADDRESS, root=tmp_path)
    assert board.read32(0) == MAGIC
    board.write32(0x4008, 0x1122_3344)
    assert device.read_bytes()[0x4008:0x400C] == bytes.fromhex("44332211")
    assert board.read32(0x4008) == 0x1122_3344
    assert len(board.ring) == 0
    board.close()


def test_another_register_table_is_refused(device, tmp_path):
    board = PcieBoard(ADDRESS, root=tmp_path)
    with pytest.raises(BoardError, match=f"0x0000000000000000.*{REGISTERS.hash:#018x}"):
        identify(board)
    board.close()


def test_a_device_that_is_gone(device, tmp_path):
    device.write_bytes(b"\xff" * 0x10000)
    board = PcieBoard(ADDRESS, root=tmp_path)
    with pytest.raises(BusError, match="device 0000:03:00.0 does not answer.*0x2000"):
        board.read32(0x2000)
    board.close()


def test_no_device_and_a_small_bar(device, tmp_path):
    with pytest.raises(BoardError, match="no PCI device 0000:04:00.0.*resource0"):
        PcieBoard("0000:04:00.0", root=tmp_path)
    device.write_bytes(bytes(4096))
    with pytest.raises(BoardError, match="has 4096 bytes; a gateway has 65536"):
        PcieBoard(ADDRESS, root=tmp_path)


def test_names_of_boards():
    with pytest.raises(BoardError, match="not 'eth0'"):
        Gateway.open("eth0")
    with pytest.raises(BoardError, match="no PCI device ffff:1f:1f.7"):
        Gateway.open("ffff:1f:1f.7")
    with pytest.raises(BoardError, match="no simulated card named nobody.*tickwire.sim.card"):
        Gateway.open("sim:nobody")
    with pytest.raises(BoardError, match="letters, digits"):
        Gateway.open("sim:../x")
