"""The native engine: the gateware compiled with Verilator, in this process, driven in bulk.

It drives a top component with exactly these ports:

============  ==================================================================
``rx``        ``strobe(XgmiiWord)``, in, domain ``rx``: a word each cycle
``tx``        ``XgmiiWord``, out
``csr``       ``CsrBus``, in
``o_event``   ``strobe(EventWord)``, out: eight words an event record
``o_frame``   ``strobe(FrameWord)``, out: received frames for the host
``kill``      1 bit, in: level of the kill pin
``i_skip``    64 bits, in: the time counters count so many cycles more than one
============  ==================================================================

Its domains ``sync`` and ``rx`` have one clock here, ``clk``. There is no reset: registers begin
with their initial values.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from tickwire.host.errors import BusError
from tickwire.sim.branch import Branch, branch, let_go
from tickwire.sim.engine_build import build_library
from tickwire.sim.wire_words import WireFrame, WordReader

__all__ = ["Engine", "TxWords", "load_library"]

T = TypeVar("T")


@dataclass(frozen=True)
class TxWords:
    """Words that left and were not idle: the cycle of each, its data and control bits."""

    cycle: NDArray[np.uint64]
    data: NDArray[np.uint64]
    control: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.cycle)


def _pointer(array: NDArray[Any]) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def load_library(path: Path) -> ctypes.CDLL:
    """The library with its functions declared."""
    library = ctypes.CDLL(str(path))
    p, u64, u32 = ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint32
    declared: dict[str, tuple[Any, list[Any]]] = {
        "create": (p, []),
        "destroy": (None, [p]),
        "event_ring": (None, [p, p, u64]),
        "frame_ring": (None, [p, p, u64, u64]),
        "run": (None, [p, p, p, u64, p, u64]),
        "idle": (None, [p, u64]),
        "skip": (None, [p, u64]),
        "kill_pin": (None, [p, ctypes.c_int]),
        "access": (ctypes.c_int64, [p, ctypes.c_int, u32, u32]),
        "cycles": (u64, [p]),
        "events": (u64, [p]),
        "tx_count": (u64, [p]),
        "take_tx": (None, [p, p, p, p]),
        "waves": (ctypes.c_int, [p, ctypes.c_char_p]),
        "card_create": (p, [p]),
        "card_serve": (None, [p, u64]),
        "card_wire": (None, [p, ctypes.c_int]),
        "card_destroy": (None, [p]),
    }
    for name, (result, arguments) in declared.items():
        function = getattr(library, f"tickwire_{name}")
        function.restype, function.argtypes = result, arguments
    return library


class Engine:
    """One gateware, reset and at cycle 0.

    It is a board as `tickwire.host` sees one: it has ``bar`` accesses (:meth:`read32`,
    :meth:`write32`) and an event ring in ``ring``. An access takes the cycles that it takes on
    the bus, while the wire idles; between calls no time passes. ``frame_ring`` is the ring of
    received frames.

    Parameters
    ----------
    library : Path
        What :func:`build_library` has made. :meth:`build` does both.
    event_records : int
        Records in the event ring.
    frame_slots, frame_slot : int
        Slots of the frame ring, and bytes of one: the gateware's GatewayConfig.frame_slot.
    waves : Path
        Write waveforms into this file, a VCD. Cycle n is from n * 6.4 ns on, skipped ones
        counted, and the clocks' rising edges are in its middle. The library has to be built with
        ``waves``, which says which signals.

    Raises
    ------
    ValueError
        If the library has no waves, or the file cannot be written.
    """

    name = "verilator"
    _handle: int | None = None

    def __init__(self, library: Path, *, event_records: int = 1 << 16,
                 frame_slots: int = 256, frame_slot: int = 2048,
                 waves: Path | None = None) -> None:
        if event_records < 64 or event_records & (event_records - 1):
            raise ValueError("Engine event_records must be a power of two and at least 64, "
                             f"not {event_records}")
        self._library = load_library(library)
        self.ring: NDArray[np.uint8] = np.zeros(64 * event_records, dtype=np.uint8)
        self.frame_ring: NDArray[np.uint8] = np.zeros(frame_slots * frame_slot, dtype=np.uint8)
        self.fresh = True
        self._handle = self._library.tickwire_create()
        self._library.tickwire_event_ring(self._handle, _pointer(self.ring), event_records)
        self._library.tickwire_frame_ring(self._handle, _pointer(self.frame_ring), frame_slots,
                                          frame_slot)
        self._reader = WordReader()
        self._waves = waves
        if waves is not None and not self._library.tickwire_waves(self._handle, bytes(waves)):
            raise ValueError(f"{waves} cannot be written, or {library} was built without waves")

    @classmethod
    def build(cls, component: Any, *, event_records: int = 1 << 16,
              progress: Callable[[str], None] | None = None) -> Self:
        """Compile a top component, unless that was done before, and start it."""
        return cls(build_library(component, progress=progress), event_records=event_records)

    def run(self, data: ArrayLike, control: ArrayLike, skips: ArrayLike | None = None) -> None:
        """Play XGMII words, one a cycle.

        Parameters
        ----------
        data, control : arrays of uint64 and uint8
        skips : array of uint64, shape (n, 2)
            (index, cycles), indices rising: before the word at ``index`` so many idle cycles
            pass at once. They cost the time of one.
        """
        words = np.ascontiguousarray(data, dtype=np.uint64)
        codes = np.ascontiguousarray(control, dtype=np.uint8)
        jumps = np.ascontiguousarray(np.zeros((0, 2)) if skips is None else skips,
                                     dtype=np.uint64).reshape(-1, 2)
        if words.ndim != 1 or words.shape != codes.shape:
            raise ValueError("Engine.run needs as many data words as control words, not "
                             f"{words.shape} and {codes.shape}")
        if np.any(jumps[:, 0] >= len(words)) or np.any(jumps[1:, 0] < jumps[:-1, 0]):
            raise ValueError("Engine.run needs skips at rising indices of its words")
        self._library.tickwire_run(self._open(), _pointer(words), _pointer(codes), len(words),
                                   _pointer(jumps), len(jumps))

    def idle(self, cycles: int) -> None:
        """Let idle cycles pass, each of them run."""
        self._library.tickwire_idle(self._open(), cycles)

    def skip(self, cycles: int) -> None:
        """Let idle cycles pass at once: the gateware's time jumps."""
        self._library.tickwire_skip(self._open(), cycles)

    def kill_pin(self, level: bool) -> None:
        """Set the kill pin, from the next cycle on."""
        self._library.tickwire_kill_pin(self._open(), level)

    def take_tx(self) -> TxWords:
        """Words that have left since the last call, idle ones left out."""
        count = self._library.tickwire_tx_count(self._open())
        words = TxWords(np.empty(count, np.uint64), np.empty(count, np.uint64),
                        np.empty(count, np.uint8))
        self._library.tickwire_take_tx(self._handle, _pointer(words.cycle), _pointer(words.data),
                                       _pointer(words.control))
        return words

    def take_frames(self) -> list[WireFrame]:
        """Frames that have left since the last call; instead of :meth:`take_tx`."""
        words = self.take_tx()
        return self._reader.feed_busy(words.cycle, words.data, words.control)

    def branch(self, action: Callable[[], T]) -> Branch[T]:
        """See :func:`tickwire.sim.branch.branch`; the copy writes no waveforms."""
        def alone() -> T:
            if self._waves is not None:
                let_go(self._waves)
            return action()

        return branch(alone)

    def read32(self, offset: int) -> int:
        """One bus access. BusError if it is not acknowledged."""
        value: int = self._library.tickwire_access(self._open(), 0, offset, 0)
        if value < 0:
            raise BusError(f"The engine's bus did not answer a read of BAR offset {offset:#06x}: "
                           "the register bank is not clocked or not connected.")
        return value

    def write32(self, offset: int, value: int) -> None:
        """One bus access. BusError if it is not acknowledged."""
        self.fresh = False
        if self._library.tickwire_access(self._open(), 1, offset, value) < 0:
            raise BusError(f"The engine's bus did not answer a write to BAR offset {offset:#06x}: "
                           "the register bank is not clocked or not connected.")

    @property
    def cycles(self) -> int:
        """Cycles run since reset; skipped ones count as one."""
        value: int = self._library.tickwire_cycles(self._open())
        return value

    @property
    def events(self) -> int:
        """Event records written into the ring since reset."""
        value: int = self._library.tickwire_events(self._open())
        return value

    def write_words(self, offset: int, values: Sequence[int]) -> None:
        """A bus access for each value. BusError if one is not acknowledged."""
        for number, value in enumerate(values):
            self.write32(offset + 4 * number, value)

    def close(self) -> None:
        """Free the gateware. The ring stays readable."""
        if self._handle is not None:
            self._library.tickwire_destroy(self._handle)
            self._handle = None

    def _open(self) -> int:
        if self._handle is None:
            raise ValueError("This engine is closed.")
        return self._handle

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()
