"""A card's gateway with an address whose hardware speaks TCP to a kernel."""

import random
import sys
from pathlib import Path

from namespaces import Hardware
from tickwire.gateware.vocabulary import TcpState
from tickwire.sim.commands.sim import ADDRESS

PEER, PORT = Path(__file__).with_name("kernel_peer.py"), 9000
LINUX = ADDRESS.split("/")[0]
#: Cycles: a millisecond of TCP's, about as long as the card needs to simulate them.
TICK = 150
ENDED = (TcpState.CLOSED, TcpState.TIME_WAIT)


def start_peer(spaces):
    spaces.start("wire", sys.executable, str(PEER), str(PORT), until="^listening")


class TcpHardware(Hardware):
    """``gateway.tcp`` works as soon as this is made."""

    def __init__(self, card):
        super().__init__(card)
        registers = self.gateway.registers
        registers.write("TCP_TICK_PERIOD", TICK)
        registers.write("TICK_PERIOD", 100 * TICK)
        self.tcp = self.gateway.tcp

    def connect(self, line, **options):
        """Connect to the peer, whose first line says what it does."""
        connection = self.tcp.connect(LINUX, PORT, timeout=120, **options)
        connection.send(line.encode() + b"\n", timeout=120)
        return connection

    def ended(self, connection):
        """Wait for the end, and let the session be free for the next one."""
        connection.wait_closed(120)
        if connection.state is TcpState.TIME_WAIT:
            connection.abort()
            connection.wait_closed(120)

    @staticmethod
    def octets(seed, length):
        return random.Random(seed).randbytes(length)

    @staticmethod
    def read_all(connection, length=None):
        """Up to the peer's FIN, or so many bytes."""
        found = b""
        while length is None or len(found) < length:
            got = connection.read(1 << 16, timeout=120)
            if not got:
                break
            found += got
        return found

    def counts(self):
        """The engine's counters that are not 0."""
        return {name: value for name, value in self.gateway.stats().items()
                if name.startswith("TCP_") and value}
