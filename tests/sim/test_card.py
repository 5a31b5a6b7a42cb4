"""The simulated card: its own process, one access a bus access, and either side may die."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
from tickwire.gateware.registers import MAGIC, REGISTERS
from tickwire.host.card_memory import FIELDS, Layout, c_header
from tickwire.host.card_process import log_path, memory_path
from tickwire.host.errors import BoardError, CardDiedError
from tickwire.host.gateway import Gateway
from tickwire.host.simulated import SimulatedBoard
from tickwire.sim.engine import Engine
from tickwire.sim.engine_build import build_library
from tickwire.sim.toy_gateway import ToyGateway

TOY = "tickwire.sim.toy_gateway:ToyGateway"
IDLE = 0x0707070707070707
START = 0xD5555555555555FB
PERIOD = REGISTERS.offset("DEAD_MAN_PERIOD")


@pytest.fixture(scope="module", autouse=True)
def library():
    return build_library(ToyGateway())


@pytest.fixture
def board():
    board = SimulatedBoard.start(top=TOY)
    yield board
    board.close()


def words_with_starts(count, places):
    data, control = np.full(count, IDLE, np.uint64), np.full(count, 0xFF, np.uint8)
    data[places], control[places] = START, 1
    return data, control


def until(condition, seconds=60):
    """Wait for something that another process does."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def run_python(text, **options):
    return subprocess.Popen([sys.executable, "-c", textwrap.dedent(text)],
                            stdout=subprocess.PIPE, text=True, **options)


def test_each_access_is_one_bus_access(board):
    before = board.accesses
    assert board.read32(0) == MAGIC
    board.write32(PERIOD, 0xDEAD_BEEF)
    assert board.read32(PERIOD) == 0xDEAD_BEEF
    assert board.accesses - before == 3


def test_card_and_engine_do_the_same(board, library):
    """Paused, a card is as exact as an engine in this process."""
    data, control = words_with_starts(5000, [7, 400, 4000])
    skips = np.array([[100, 5000], [3000, 7]], np.uint64)

    def play(target):
        gateway = Gateway(target)
        run = target.play if isinstance(target, SimulatedBoard) else target.run
        first = target.cycles
        run(data, control, skips)
        cycle = target.read32(REGISTERS.offset("CYCLES"))
        records = gateway.events.poll()
        taken = target.take_tx()
        tx = taken if isinstance(taken, tuple) else (taken.cycle, taken.data, taken.control)
        keep = tx[0] >= first
        return (target.cycles - first, cycle, records["sequence"].tolist(),
                (tx[0][keep] - first).tolist(), tx[1][keep].tolist(), tx[2][keep].tolist())

    board.pause()
    board.collect_tx()
    with Engine(library) as engine:
        # A card ran idle until it was paused: the same distance from the first access on.
        card, local = play(board), play(engine)
    assert card[2:] == local[2:] and len(card[2]) == 3
    assert card[0] == local[0]


def test_a_paused_card_stands_still(board):
    board.pause()
    cycles = board.cycles
    time.sleep(0.05)
    assert board.cycles == cycles
    board.run(1000)
    assert board.cycles == cycles + 1000
    board.resume()
    with pytest.raises(ValueError, match="call pause"):
        board.run(1)


def test_more_words_than_the_rings_hold(board):
    size = Layout().wire_words
    count = 3 * size + 77
    data = np.arange(1, count + 1, dtype=np.uint64)
    control = np.zeros(count, np.uint8)
    board.pause()
    board.collect_tx()
    taken = []
    for start in range(0, count, 1000):
        board.play(data[start:start + 1000], control[start:start + 1000])
        taken.append(board.take_tx()[1])
    board.run(2)
    taken.append(board.take_tx()[1])
    sent = np.concatenate(taken)
    assert np.array_equal(sent[-count:], data)


def test_idle_time_follows_the_wall_clock(board):
    gateway = Gateway(board)
    until(lambda: board.read32(0) == MAGIC)
    time.sleep(0.2)
    first = gateway.cycles
    ran = board.cycles
    time.sleep(0.5)
    passed = gateway.cycles - first
    # Half a second is 78 million cycles, of which only a few were run.
    assert passed > 30_000_000
    assert board.cycles - ran < 10_000_000


def test_events_reach_the_host_without_a_copy(board):
    gateway = Gateway(board)
    board.play(*words_with_starts(1000, [10, 500]))
    seen = []

    def poll():
        records = gateway.events.poll()
        assert np.shares_memory(records, board.ring)
        seen.extend(records["sequence"].tolist())
        return len(seen) >= 2

    until(poll)
    assert seen == [0, 1]


def test_several_hosts_on_one_card(board):
    board.write32(PERIOD, 0)
    text = f"""
        from tickwire.host.simulated import SimulatedBoard
        board = SimulatedBoard.attach({board.name!r})
        for k in range(300):
            board.write32({PERIOD}, k)
            assert 0 <= board.read32({PERIOD}) < 300
        board.close()
        """
    with run_python(text) as first, run_python(text) as second:
        assert [host.wait(timeout=60) for host in (first, second)] == [0, 0]
    assert board.accesses >= 1200
    assert board.read32(PERIOD) == 299


def test_a_killed_host_leaves_the_card_and_the_next_one_goes_on(board):
    gateway = Gateway(board)
    gateway.arm()
    host = run_python(f"""
        from tickwire.host.simulated import SimulatedBoard
        board = SimulatedBoard.attach({board.name!r})
        print("up", flush=True)
        while True:
            board.write32({PERIOD}, 7)
        """)
    assert host.stdout.readline() == "up\n"
    host.kill()
    host.wait()
    host.stdout.close()
    assert gateway.status()["armed"]
    board.write32(PERIOD, 9)
    with Gateway.open(f"sim:{board.name}") as second:
        assert second.status()["armed"]
        assert second.registers.read("DEAD_MAN_PERIOD") == 9
    assert board.read32(0) == MAGIC


def test_a_killed_card_is_named_with_what_to_do(board):
    os.kill(board._pid, signal.SIGKILL)
    with pytest.raises(CardDiedError, match=rf"card {board.name} \(process {board._pid}\) has "
                                            "ended with status -9 during a read of BAR offset "
                                            "0x0000: close this gateway and open a new one"):
        board.read32(0)
    with pytest.raises(BoardError, match=f"no simulated card named {board.name}"):
        SimulatedBoard.attach(board.name)
    memory_path(board.name).unlink()


def test_a_card_of_ones_own_ends_with_its_host():
    host = run_python(f"""
        import time
        from tickwire.host.simulated import SimulatedBoard
        board = SimulatedBoard.start(top={TOY!r})
        print(board.name, flush=True)
        time.sleep(100)
        """)
    name = host.stdout.readline().strip()
    assert memory_path(name).exists()
    host.kill()
    host.wait()
    host.stdout.close()
    until(lambda: not memory_path(name).exists())
    assert not log_path(name).exists()


def test_a_named_card_lives_on_its_own_and_ends_when_told():
    name = f"test-{os.getpid()}"
    command = [sys.executable, "-m", "tickwire.sim.card", name, "--top", TOY,
               "--event-records", "128"]
    card = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        until(lambda: _attachable(name))
        for _ in range(2):
            with Gateway.open(f"sim:{name}") as gateway:
                assert not gateway.board.fresh
                assert len(gateway.board.ring) == 128 * 64
        again = subprocess.run(command, capture_output=True, text=True, check=False)
        assert again.returncode == 1
        assert f"There is a card named {name} already" in again.stderr
    finally:
        card.terminate()
        assert card.wait(timeout=60) == 0
        card.stdout.close()
    assert not memory_path(name).exists()


def _attachable(name):
    try:
        SimulatedBoard.attach(name).close()
    except BoardError:
        return False
    return True


def test_open_sim_starts_a_card(monkeypatch):
    monkeypatch.setenv("TICKWIRE_SIM_TOP", TOY)
    with Gateway.open("sim:") as gateway:
        assert gateway.board.fresh
        path = memory_path(gateway.board.name)
        assert path.exists()
        assert gateway.config.instruments == 128
    assert not path.exists()


def test_a_card_that_cannot_start_says_why():
    with pytest.raises(BoardError, match="ended with status 2.*(?s:.*)no attribute 'Nothing'"):
        SimulatedBoard.start(top="tickwire.sim.toy_gateway:Nothing")
    with pytest.raises(BoardError, match="(?s:.*)A top is named as module:class, not 'toy'"):
        SimulatedBoard.start(top="toy")


def test_the_c_side_has_the_same_places():
    header = c_header()
    for place, name in enumerate(FIELDS):
        assert f"  {name} = {place}," in header
    regions = list(Layout().regions().values())
    for (start, kind, count), following in zip(regions, regions[1:], strict=False):
        assert start % 4096 == 0
        assert start + count * np.dtype(kind).itemsize <= following[0]
    with pytest.raises(ValueError, match="Layout.wire_words must be a power of two"):
        Layout(wire_words=100)

