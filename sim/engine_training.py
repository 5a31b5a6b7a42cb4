"""Plays generated traffic through a library that counts what it does, in a process of its own.

The counts are written when the process ends. A gateware that nobody has configured will do: what
runs in it in every cycle is the same, and what does not run is not taken for what never runs.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tickwire.sim.capture import read_capture
from tickwire.sim.engine import Engine
from tickwire.sim.traffic import write_traffic
from tickwire.sim.wire_words import frames_to_words

__all__ = ["train"]

PACKETS = 500
SEED = 2                    # not the traffic that `make bench` measures with


def train(library: Path) -> None:
    """Play PACKETS packets."""
    with tempfile.TemporaryDirectory(prefix="tickwire-training-") as name:
        capture = Path(name) / "frames.pcap"
        write_traffic(capture, SEED, PACKETS)
        words = frames_to_words(packet.data for packet in read_capture(capture))
    with Engine(library) as engine:
        engine.run(words.data, words.control)


if __name__ == "__main__":
    train(Path(sys.argv[1]).resolve())
