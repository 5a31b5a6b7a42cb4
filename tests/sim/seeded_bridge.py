"""A bad network between a card's wire and a TAP device: loss, duplicates, changed order, bit flips.

    python seeded_bridge.py CARD TOP TAP A.B.C.D/N CHANCES SEED

CHANCES is a JSON object of chances per frame: loss, duplication, reordering, flip. On SIGUSR1 it
prints what was done to the frames of each direction, on SIGTERM it ends. What happens to a frame
comes from the seed and the frame's number in its direction, so the same traffic suffers the same.
"""

import json
import os
import random
import select
import signal
import socket
import subprocess
import sys
import time
from ipaddress import IPv4Interface

from tickwire.host.tap import Tap

CHANCES = ("loss", "duplication", "reordering", "flip")
ETHERNET = 14           # bytes that are never flipped: their own FCS is made behind the bridge
HELD = 0.02             # seconds until a held frame goes without another one passing it


class Way:
    """One direction."""

    def __init__(self, seed, chances, give):
        self.rng, self.give = random.Random(seed), give
        self.chances = [chances.get(name, 0) for name in CHANCES]
        self.held, self.since = None, 0.0
        self.counts = dict.fromkeys(
            ("seen", "lost", "doubled", "overtaken", "flipped", "given"), 0)

    def _out(self, frame):
        self.give(frame)
        self.counts["given"] += 1

    def take(self, frame):
        lost, doubled, late, flipped = (self.rng.random() < chance for chance in self.chances)
        place, bit = self.rng.randrange(ETHERNET, len(frame)), self.rng.randrange(8)
        self.counts["seen"] += 1
        if lost:
            self.counts["lost"] += 1
            return
        if flipped:
            self.counts["flipped"] += 1
            frame = frame[:place] + bytes((frame[place] ^ 1 << bit,)) + frame[place + 1:]
        if late and self.held is None:
            self.held, self.since = frame, time.monotonic()
            return
        self._out(frame)
        if doubled:
            self.counts["doubled"] += 1
            self._out(frame)
        if self.held is not None:
            self.counts["overtaken"] += 1
            self.release()

    def release(self):
        held, self.held = self.held, None
        if held is not None:
            self._out(held)

    def tick(self):
        if self.held is not None and time.monotonic() - self.since > HELD:
            self.release()


def main(card, top, tap, address, chances, seed):
    chances = json.loads(chances)
    assert set(chances) <= set(CHANCES), chances
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with Tap(tap) as device:
        device.up(IPv4Interface(address))
        process = subprocess.Popen(
            [sys.executable, "-m", "tickwire.sim.card", card, "--top", top,
             "--owner", str(os.getpid()), "--wire-fd", str(theirs.fileno())],
            pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        theirs.close()
        ways = {"to_card": Way(f"{seed} in", chances, ours.send),
                "from_card": Way(f"{seed} out", chances,
                                 lambda frame: os.write(device.file, frame))}
        ends = []
        signal.signal(signal.SIGTERM, lambda number, frame: ends.append(number))
        signal.signal(signal.SIGUSR1, lambda number, frame: print(json.dumps(
            {name: way.counts for name, way in ways.items()}), flush=True))
        while not ends:
            ready, _, _ = select.select([device.file, ours], [], [], 0.01)
            if device.file in ready:
                ways["to_card"].take(os.read(device.file, 65536))
            if ours in ready:
                ways["from_card"].take(ours.recv(65536))
            for way in ways.values():
                way.tick()
        process.terminate()
        process.wait()
        ours.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
