"""The simulated card: the native engine as a process of its own, behind shared memory.

It answers bus accesses one by one through a mailbox, plays words from a ring, keeps what it
transmits in another, and writes event records into the host's ring, whoever of the two sides
comes, dies or is stopped meanwhile.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import mmap
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tickwire.host.card_memory import FIELDS, HEADER_BYTES, MAGIC, Layout
from tickwire.host.card_process import log_path, memory_path
from tickwire.host.simulated import SimulatedBoard
from tickwire.sim.build_tools import ToolError
from tickwire.sim.engine import load_library
from tickwire.sim.engine_build import library_of_top

__all__ = ["main", "serve"]

_FIELD = {name: place for place, name in enumerate(FIELDS)}
_SLICE_NS = 100_000_000     # how often the card looks whether its owner lives


@contextlib.contextmanager
def _memory(name: str, layout: Layout) -> Iterator[mmap.mmap]:
    """A new shared memory of that name; gone from the file system at the end."""
    path = memory_path(name)
    with contextlib.suppress(Exception):
        SimulatedBoard.attach(name).close()
        raise SystemExit(f"There is a card named {name} already: attach to it with 'sim:{name}', "
                         "or choose another name")
    path.unlink(missing_ok=True)    # what a killed card has left
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.ftruncate(file, layout.size)
        memory = mmap.mmap(file, layout.size)
    finally:
        os.close(file)
    try:
        yield memory
    finally:
        path.unlink(missing_ok=True)


def serve(name: str, library: Path, layout: Layout, *, core_hz: int, owner: int = 0,
          wire: int | None = None) -> None:
    """Be a card until it is told to stop, or its owner is gone.

    Parameters
    ----------
    owner : int
        The parent process without which the card ends; 0: it lives on its own.
    wire : int
        Descriptor of what is at the other end of the wire and takes and gives whole frames: a TAP
        device or a packet socket. Words that hosts play go in between.
    """
    with _memory(name, layout) as memory:
        header = memoryview(memory)[:HEADER_BYTES].cast("Q")
        for field, value in (("pid", os.getpid()), ("owner", owner), ("core_hz", core_hz),
                             ("event_records", layout.event_records),
                             ("wire_words", layout.wire_words),
                             ("frame_slots", layout.frame_slots),
                             ("frame_slot", layout.frame_slot)):
            header[_FIELD[field]] = value
        base = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        names = ("events", "frames", "rx_data", "rx_control", "tx_cycle", "tx_data", "tx_control",
                 "burst")
        places = [base, *(base + layout.regions()[region][0] for region in names)]
        regions = (ctypes.c_void_p * len(places))(*places)
        functions = load_library(library)

        def stop(number: int, frame: Any) -> None:
            header[_FIELD["stop"]] = 1

        signal.signal(signal.SIGTERM, stop)
        # Ctrl-C reaches the host's whole process group; an owned card waits for its owner.
        signal.signal(signal.SIGINT, signal.SIG_IGN if owner else stop)
        card = functions.tickwire_card_create(regions)
        if wire is not None:
            functions.tickwire_card_wire(card, wire)
        header[_FIELD["magic"]] = MAGIC
        print(f"card {name}, process {os.getpid()}: ready", flush=True)
        while not header[_FIELD["stop"]]:
            functions.tickwire_card_serve(card, _SLICE_NS)
            if owner and os.getppid() != owner:
                # Nobody is left who would read the log.
                log_path(name).unlink(missing_ok=True)
                break
        functions.tickwire_card_destroy(card)
        header[_FIELD["ended"]] = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Start a card in this process; what it prints is its log."""
    parser = argparse.ArgumentParser(prog="python -m tickwire.sim.card", description=__doc__)
    parser.add_argument("name", help="hosts attach with Gateway.open('sim:NAME')")
    parser.add_argument("--top", default="tickwire.gateware.gateway:SimulatedGateway",
                        metavar="MODULE:CLASS", help="the gateware (default: %(default)s)")
    parser.add_argument("--owner", type=int, default=0, metavar="PID",
                        help="end when this parent process ends")
    parser.add_argument("--event-records", type=int, default=1 << 16, metavar="N",
                        help="records in the event ring (default: %(default)s)")
    parser.add_argument("--wire-words", type=int, default=1 << 16, metavar="N",
                        help="words in each ring of the cable (default: %(default)s)")
    parser.add_argument("--frame-slots", type=int, default=256, metavar="N",
                        help="slots in the ring of received frames (default: %(default)s)")
    parser.add_argument("--wire-fd", type=int, metavar="FD",
                        help="an inherited descriptor that is the other end of the wire")
    options = parser.parse_args(arguments)
    try:
        layout = Layout(event_records=options.event_records, wire_words=options.wire_words,
                        frame_slots=options.frame_slots)
        library, core_hz = library_of_top(options.top,
                                          progress=lambda text: print(text, flush=True))
    except (ToolError, ValueError, ImportError, AttributeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    serve(options.name, library, layout, core_hz=core_hz, owner=options.owner,
          wire=options.wire_fd)
    return 0


if __name__ == "__main__":
    sys.exit(main())
