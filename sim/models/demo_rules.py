"""Chooses threshold rules for a capture, so that a replay has orders worth looking at.

The choice uses the capture alone and is the same each time: limits are taken from the touches
that the capture shows, instruments are added one after the other as long as their orders
neither meet on the transmitter nor depend on a fine point of the rules.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from tickwire.sim.capture import CapturedPacket
from tickwire.sim.models.decisions import (
    Decision,
    Event,
    Rule,
    Trigger,
    events,
    judge,
    price_units,
)
from tickwire.sim.wire_words import FRAME_DTYPE, WordChunk, WordWriter

__all__ = ["demo_rules", "line_rate_frames", "decision_words"]

SPACING = 40                # wire words between two orders: one needs about 21
GAPS_MS = (0, 500, 1000, 2000, 5000, 10000)
SHARES = (2, 3, 4, 8)       # a limit lets through one touch in so many
MOST = 24                   # orders of one instrument
QUANTITIES = (1, 2, 3, 5, 10)

Capture = Callable[[], Iterable[CapturedPacket]]


def line_rate_frames(packets: Iterable[CapturedPacket]) -> np.ndarray:
    """Where each packet stands in a replay back to back: an array of FRAME_DTYPE."""
    writer = WordWriter()
    found = [chunk.frames for chunk in
             writer.words((packet.number, packet.time_ns, packet.data) for packet in packets)]
    return np.concatenate(found) if found else np.empty(0, FRAME_DTYPE)


def decision_words(decisions: Sequence[Decision],
                   frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Words of the deciding byte and of the frame's TERMINATE, for each decision."""
    rows = frames[np.searchsorted(frames["packet"], [d.packet for d in decisions])]
    offsets = np.array([d.field_end for d in decisions], dtype=np.uint64)
    return WordChunk.word_of_byte(rows, offsets), rows["end_word"]


def demo_rules(capture: Capture, *, orders_per_trigger: int = 80,
               spacing: int = SPACING) -> list[Rule]:
    """Rules for several instruments, some triggered by the book, some by the ticker.

    Parameters
    ----------
    capture : callable
        Gives an iterator over the packets, each time from the beginning.
    orders_per_trigger : int
        Instruments are added until each trigger makes so many orders (or none is left).
    spacing : int
        Words between the deciding frame of one order and the deciding byte of the next one, so
        that none meets a busy transmitter under either launch policy.

    Returns
    -------
    list of Rule
        Sorted by instrument. Empty if the capture has nothing to decide on.
    """
    frames = line_rate_frames(capture())
    moments: dict[int, dict[Trigger, list[Event]]] = defaultdict(
        lambda: {"book": [], "ticker": []})
    for event in events(capture()):
        moments[event.instrument_id][event.trigger].append(event)
    chosen: list[Rule] = []
    taken: list[tuple[int, int]] = []
    counts: dict[Trigger, int] = {"book": 0, "ticker": 0}
    # The busiest instruments are shared out between the triggers in turn.
    instruments = sorted(moments, key=lambda i: (-len(moments[i]["book"]), i))
    for turn, instrument in enumerate(instruments):
        triggers: tuple[Trigger, ...] = (("book", "ticker") if turn % 2 == 0
                                         else ("ticker", "book"))
        for trigger in triggers:
            if counts[trigger] >= orders_per_trigger:
                continue
            found = _fit(moments[instrument][trigger], frames, taken, spacing,
                         QUANTITIES[turn % len(QUANTITIES)])
            if found:
                rule, words = found
                chosen.append(rule)
                taken = sorted(taken + words)
                counts[trigger] += len(words)
                break
    return sorted(chosen, key=lambda rule: rule.instrument_id)


def _fit(moments: list[Event], frames: np.ndarray, taken: list[tuple[int, int]], spacing: int,
         quantity: int) -> tuple[Rule, list[tuple[int, int]]] | None:
    """The rule for one instrument that makes the most orders without meeting those taken."""
    touches = [event.touch for event in moments if not event.snapshot]
    bids = sorted(touch[0] for touch in touches if touch[1])
    asks = sorted(touch[2] for touch in touches if touch[3])
    best: tuple[Rule, list[tuple[int, int]]] | None = None
    for sides in ("both", "sell", "buy"):
        for share in SHARES:
            buy = asks[max(0, len(asks) // share - 1)] if asks and sides != "sell" else None
            sell = bids[-max(1, len(bids) // share)] if bids and sides != "buy" else None
            if buy is None and sell is None:
                continue
            for gap in GAPS_MS:
                rule = Rule(instrument_id=moments[0].instrument_id, quantity=quantity,
                            trigger=moments[0].trigger, gap_ms=gap, buy_limit=buy,
                            sell_limit=sell)
                decisions = judge(moments, [rule])
                if (not 1 <= len(decisions) <= MOST
                        or (best is not None and len(decisions) <= len(best[1]))
                        or not _plain(moments, rule, decisions)):
                    continue
                words = _words(decisions, frames)
                if _apart(taken, words, spacing):
                    best = rule, words
    return best


def _words(decisions: Sequence[Decision], frames: np.ndarray) -> list[tuple[int, int]]:
    fields, ends = decision_words(decisions, frames)
    return list(zip(fields.tolist(), ends.tolist(), strict=True))


def _apart(taken: list[tuple[int, int]], words: list[tuple[int, int]], spacing: int) -> bool:
    both = sorted(taken + words)
    return all(after[0] - before[1] >= spacing
               for before, after in zip(both, both[1:], strict=False))


def _plain(moments: list[Event], rule: Rule, decisions: list[Decision]) -> bool:
    """The rule's orders hang on no fine point that another strategy could see otherwise.

    A ticker trigger could judge a Ticker though the book is not there yet, and then rest, or
    decide on both of its sides; a book trigger could judge the snapshot that begins a book.
    Prices must fit into an order.
    """
    try:
        for decision in decisions:
            price_units(decision.price)
    except ValueError:
        return False
    packets = [decision.packet for decision in decisions]
    return (len(set(packets)) == len(packets)
            and judge(moments, [rule], any_book=True, snapshots=True) == decisions)
