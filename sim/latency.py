"""Latency tables, from the probes in the gateware and from the wire itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tickwire.gateware.vocabulary import Reason, Source
from tickwire.sim.event_records import elapsed
from tickwire.sim.models.decisions import Decision
from tickwire.sim.wire_words import WireFrame, WordChunk

__all__ = ["CYCLE_NS", "Measurement", "sent_by_strategy", "from_probes", "from_wire", "cases",
           "stages"]

CYCLE_NS = 6.4              # XGMII at 156.25 MHz


@dataclass(frozen=True)
class Measurement:
    """What was measured in one case.

    Members
    -------
    what : str
        ``frame_end_to_order``, ``message_to_order`` or ``book_to_order``.
    """

    policy: str
    what: str
    trigger: str
    lane: int | None
    cycles: tuple[int, ...]
    loaded: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Unit, count, least, most and histogram, as summary.json has it."""
        counts = Counter(self.cycles)
        return {"unit": "cycles", "count": len(self.cycles),
                "min": min(self.cycles, default=None), "max": max(self.cycles, default=None),
                "histogram": {str(value): counts[value] for value in sorted(counts)}}

    def case(self) -> dict[str, Any]:
        return {"policy": self.policy, "what": self.what, "trigger": self.trigger,
                "lane": self.lane, "loaded": self.loaded, **self.as_dict()}


def sent_by_strategy(orders: NDArray[Any]) -> NDArray[Any]:
    return orders[(orders["reason"] == Reason.PASSED) & (orders["source"] == Source.STRATEGY)]


def from_probes(orders: NDArray[Any], policy: str) -> NDArray[np.int64]:
    """Cycles of each order that was sent, from the 16-bit stamps in its record.

    Under ``after_fcs`` from the word with the end of the frame (``frame_end``), under
    ``cut_through`` from the word with the deciding field's last byte (``stamp``), each to the word
    with the order's START.
    """
    sent = sent_by_strategy(orders)
    return elapsed(sent["frame_end" if policy == "after_fcs" else "stamp"], sent["preamble"])


def from_wire(frames: Sequence[WireFrame], decisions: Sequence[Decision],
              received: NDArray[Any], policy: str) -> NDArray[np.int64]:
    """The same from outside: words on the XGMII input and output, nothing from the gateware.

    Parameters
    ----------
    frames : sequence of WireFrame
        One order frame for each decision.
    received : array of FRAME_DTYPE
        Where the frames stood on the input; words count as the cycles of ``frames`` do.
    """
    count = min(len(frames), len(decisions))
    rows = received[np.searchsorted(received["packet"], [d.packet for d in decisions[:count]])]
    starts = np.array([frame.start_cycle for frame in frames[:count]], dtype=np.int64)
    if policy == "after_fcs":
        word = rows["end_word"]
    else:
        word = WordChunk.word_of_byte(rows, np.array([d.field_end for d in decisions[:count]]))
    return starts - word.astype(np.int64)


def cases(cycles: NDArray[np.int64], decisions: Sequence[Decision], received: NDArray[Any],
          policy: str, *, loaded: bool = False) -> list[Measurement]:
    """Sort the measurements by trigger and by the lane in which the deciding frame began."""
    count = min(len(cycles), len(decisions))
    rows = np.searchsorted(received["packet"], [d.packet for d in decisions[:count]])
    lanes = received["start_lane"][rows].tolist()
    found: dict[tuple[str, int], list[int]] = {}
    for decision, lane, value in zip(decisions[:count], lanes, cycles.tolist(), strict=False):
        found.setdefault((decision.trigger, lane), []).append(value)
    return [Measurement(policy, _what(policy, trigger), trigger, lane, tuple(values), loaded)
            for (trigger, lane), values in sorted(found.items())]


def _what(policy: str, trigger: str) -> str:
    if policy == "after_fcs":
        return "frame_end_to_order"
    return "message_to_order" if trigger == "ticker" else "book_to_order"


def together(measurements: Sequence[Measurement], policy: str, what: str) -> Measurement:
    """All cases of one policy and one kind in one."""
    values = [value for one in measurements
              if (one.policy, one.what) == (policy, what) and not one.loaded
              for value in one.cycles]
    return Measurement(policy, what, "", None, tuple(values))


def stages(orders: NDArray[Any], policy: str) -> list[tuple[str, tuple[int, ...]]]:
    """The probes one after the other: name of each part of the way, and its cycles.

    Parameters
    ----------
    orders : structured array
        Order records that were sent and belong to one case.
    """
    probes: tuple[tuple[str, str, str], ...] = (
        ("frame_end", "released", "end of frame → released"),
        ("released", "preamble", "released → order's START"))
    if policy == "cut_through":
        probes = (("stamp", "decided", "deciding byte → decision"),
                  ("decided", "released", "decision → released"), probes[1])
    return [(text, tuple(elapsed(orders[start], orders[end]).tolist()))
            for start, end, text in probes]
