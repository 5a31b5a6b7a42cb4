"""What a replay has shown: comparisons, latencies, and summary.json."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tickwire.gateware.vocabulary import Side
from tickwire.sim import checks, latency
from tickwire.sim.capture import write_pcap
from tickwire.sim.checks import Comparison
from tickwire.sim.event_records import flatten, key_to_float
from tickwire.sim.latency import CYCLE_NS, Measurement
from tickwire.sim.models.decisions import Decision, Rule
from tickwire.sim.plan import Plan
from tickwire.sim.replay import PassResult

__all__ = ["Outcome", "evaluate", "write_files"]


@dataclass
class Outcome:
    """Everything that summary and report say.

    Members
    -------
    first : PassResult
        The pass of which the books are checked.
    comparisons : dict of Comparison
        By name, as people read it.
    measurements : list of Measurement
        All latency cases, idle and loaded transmitter.
    """

    plan: Plan
    venue: str
    rules: Sequence[Rule]
    decisions: Sequence[Decision]
    passes: Sequence[PassResult]
    tickers: Comparison
    snapshots: Comparison
    orders: dict[str, Comparison]
    frames: dict[str, Comparison]
    measurements: list[Measurement] = field(default_factory=list)

    @property
    def first(self) -> PassResult:
        return self.passes[0]

    def comparisons(self) -> dict[str, Comparison]:
        found = {"Tickers equal to the hardware's touch": self.tickers,
                 "Later snapshots equal to all levels read back": self.snapshots}
        for policy in self.orders:
            found[f"Orders equal to the decision list, {policy}"] = self.orders[policy]
            found[f"Order frames on the wire, {policy}"] = self.frames[policy]
        return found

    @property
    def good(self) -> bool:
        return (all(one.good for one in self.comparisons().values())
                and not any(checks.drops(self.first.counters).values()))

    def summary(self) -> dict[str, Any]:
        """The content of summary.json."""
        run, golden = self.first, self.plan.golden
        wanted = {"after_fcs": ("frame_end_to_order",),
                  "cut_through": ("message_to_order", "book_to_order")}
        sent = latency.sent_by_strategy(run.records["ORDER"])
        return {
            "capture": str(self.plan.capture.path), "sha256": self.plan.sha256,
            "venue": self.venue, "engine": run.engine, "timing": run.options.timing,
            "cycles": run.cycles, "wall_s": round(sum(p.wall_s for p in self.passes), 3),
            "packets": golden.packets, "rewritten": self.plan.rewritten,
            "messages": checks.messages(run.counters),
            "book": {
                "instruments": len(self.plan.instruments),
                "level_changes": run.counters.get("BOOK_LEVEL_CHANGES", 0),
                "updates": run.counters.get("BOOK_UPDATES", 0),
                "tickers_checked": self.tickers.checked, "tickers_equal": self.tickers.equal,
                "tickers_before_book": self.tickers.apart,
                "snapshots_checked": self.snapshots.checked,
                "snapshots_equal": self.snapshots.equal, "max_depth": self.max_depth(),
                "stale_instruments": len(run.stale)},
            "orders": {"sent": len(sent), "refused": checks.refusals(run.records["ORDER"]),
                       "decided": len(self.decisions),
                       "equal": {policy: one.equal for policy, one in self.orders.items()}},
            "latency": {
                **{policy: {what: latency.together(self.measurements, policy, what).as_dict()
                            for what in whats} for policy, whats in wanted.items()},
                "cases": [one.case() for one in self.measurements]},
            "drops": checks.drops(run.counters),
            "passes": [{"policy": p.options.policy, "loaded": p.options.loaded,
                        "cycles": p.cycles, "wall_s": round(p.wall_s, 3),
                        "counters": p.counters} for p in self.passes],
        }

    def max_depth(self) -> int:
        """Deepest side among the books that were read back."""
        return max((len(side) for levels in self.first.snapshots.values() if levels is not None
                    for side in levels), default=0)


def evaluate(plan: Plan, rules: Sequence[Rule], decisions: Sequence[Decision],
             passes: Sequence[PassResult], *, venue: str = "deribit") -> Outcome:
    """Compare all passes with the golden model and measure them.

    The first pass must have read the snapshots back. Loaded passes are only measured: an order
    that meets a host frame may rightly be refused there.
    """
    first = passes[0]
    outcome = Outcome(
        plan=plan, venue=venue, rules=rules, decisions=decisions, passes=passes,
        tickers=checks.compare_tickers(first.records["BOOK"], first.records["TICKER"],
                                       plan.golden.books.tickers, plan.index_of),
        snapshots=checks.compare_snapshots(
            first.snapshots, [check for check in plan.golden.books.snapshots
                              if check.instrument_id in plan.index_of]),
        orders={}, frames={})
    for one in passes:
        records, options = one.records["ORDER"], one.options
        matched, rows = match(records, decisions, plan.index_of)
        outcome.measurements += latency.cases(
            latency.from_probes(records, options.policy)[rows], matched, one.received,
            options.policy, loaded=options.loaded)
        if not options.loaded:
            outcome.orders[options.policy] = checks.compare_orders(records, decisions,
                                                                   plan.index_of)
            outcome.frames[options.policy], _ = checks.compare_frames(
                one.frames, decisions, one.venue_instruments)
    return outcome


def match(orders: NDArray[Any], decisions: Sequence[Decision],
          index_of: Mapping[int, int]) -> tuple[list[Decision], list[int]]:
    """Which decision each sent order belongs to: decisions, and rows among the sent orders."""
    sent = latency.sent_by_strategy(orders)
    waiting: dict[tuple[Any, ...], list[Decision]] = {}
    for decision in reversed(decisions):
        key = (index_of.get(decision.instrument_id), decision.timestamp_ms, decision.side,
               decision.price)
        waiting.setdefault(key, []).append(decision)
    prices = key_to_float(sent["price"]).tolist()
    matched, rows = [], []
    for row, (record, price) in enumerate(zip(sent, prices, strict=True)):
        side = "buy" if record["side"] == Side.BID else "sell"
        queue = waiting.get((int(record["instrument"]), int(record["timestamp"]), side, price))
        if queue:
            matched.append(queue.pop())
            rows.append(row)
    return matched, rows


def write_files(outcome: Outcome, folder: Path) -> list[Path]:
    """Write summary.json, orders.pcap, events.npy and report.html; gives back their paths."""
    from tickwire.sim.report import render

    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    (folder / "summary.json").write_text(json.dumps(outcome.summary(), indent=1) + "\n",
                                         encoding="utf-8")
    paths.append(folder / "summary.json")
    for one in outcome.passes:
        if one.options.loaded:
            continue
        path = folder / ("orders.pcap" if one is outcome.first
                         else f"orders-{one.options.policy}.pcap")
        write_pcap(path, ((round(frame.start_cycle * CYCLE_NS), frame.data)
                          for frame in one.frames if frame.fcs_good and frame.intact))
        paths.append(path)
    np.save(folder / "events.npy", flatten(outcome.first.raw_records))
    paths.append(folder / "events.npy")
    (folder / "report.html").write_text(render(outcome), encoding="utf-8")
    paths.append(folder / "report.html")
    return paths
