"""The record of routed results that is kept with the sources, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["RouteRecord", "RouteRegressionError", "compare"]

TOLERANCE = 0.05
_WATCHED_CELLS = ("luts", "flip_flops", "block_rams", "multipliers")


class RouteRegressionError(RuntimeError):
    """The core became slower or larger by more than 5 % and nobody said why."""


def compare(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """What became worse by more than 5 %, one sentence each, from two results of ``build_core``."""
    worse = []
    for clock, mhz in before["fmax_mhz_median"].items():
        now = after["fmax_mhz_median"].get(clock)
        if now is not None and now < mhz * (1 - TOLERANCE):
            worse.append(f"Fmax of {clock} fell from {mhz} to {now} MHz.")
    for kind in _WATCHED_CELLS:
        had = before["cells"].get(kind, {}).get("used", 0)
        has = after["cells"].get(kind, {}).get("used", 0)
        # A few cells more of a kind that was hardly used are no regression.
        if has > max(had * (1 + TOLERANCE), had + 8):
            worse.append(f"The number of {kind} rose from {had} to {has}.")
    return worse


class RouteRecord:
    """A file of routed results, the newest last: one for each landing that changed the netlist.

    Each entry is ``{date, revision, because, part, config, netlist, seeds, fmax_mhz_median, cells,
    limit}``, where ``limit`` is the worst path of the slowest seed and ``because`` says why an
    entry may be worse than the one before it (empty if it is not).

    Raises
    ------
    ValueError
        If the file is not such a list.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries: list[dict[str, Any]] = []
        if path.exists():
            found = json.loads(path.read_text())
            if not isinstance(found, list):
                raise ValueError(f"{path} is not a list of routed results.")
            self.entries = found

    def entry(self, netlist: str) -> dict[str, Any] | None:
        """The newest entry of this netlist."""
        return next((entry for entry in reversed(self.entries) if entry["netlist"] == netlist),
                    None)

    def add(self, timing: Mapping[str, Any], *, date: str, revision: str,
            because: str = "") -> None:
        """Append a result and write the file; an entry of the same netlist is replaced.

        Raises
        ------
        RouteRegressionError
            If it is worse than the entry before it by more than 5 %, and ``because`` is empty.
        """
        others = [entry for entry in self.entries if entry["netlist"] != timing["netlist"]]
        if others and not because:
            self._refuse(compare(others[-1], timing))
        limit = max(timing["worst_paths"], key=lambda path: path["delay_ns"], default=None)
        kept = {key: timing[key] for key in
                ("part", "config", "netlist", "seeds", "fmax_mhz_median", "cells")}
        self.entries = [*others, {"date": date, "revision": revision, "because": because,
                                  **kept, "limit": limit}]
        self.path.write_text(json.dumps(self.entries, indent=1) + "\n")

    def check(self, netlist: str, route: Callable[[Sequence[int]], Mapping[str, Any]]) -> str:
        """Refuse a regression against the record; route only what it does not know.

        A netlist with an entry was compared when it was entered, so it costs nothing here. An
        unknown one is routed with one seed, and, because seeds differ by some percent, with three
        if the first looks like a regression.

        Parameters
        ----------
        route : callable
            Gives the result of ``build_core`` for some seeds.

        Returns
        -------
        str
            A sentence on what was found.

        Raises
        ------
        RouteRegressionError
            If the core is worse than the newest entry by more than 5 %.
        """
        known = self.entry(netlist)
        if known is not None:
            position = self.entries.index(known)
            if position and not known["because"]:
                self._refuse(compare(self.entries[position - 1], known))
            return f"Netlist {netlist} is on record: {_figures(known)}."
        timing = route((1,))
        if self.entries and compare(self.entries[-1], timing):
            timing = route((1, 2, 3))
            self._refuse(compare(self.entries[-1], timing))
        return (f"Netlist {netlist} is not on record yet and was routed: {_figures(timing)}. "
                "Enter it with `tickwire build core --record`.")

    def _refuse(self, worse: list[str]) -> None:
        if worse:
            raise RouteRegressionError(
                " ".join(worse) + f" {self.path} allows 5 %: mend it, or enter it with "
                "`tickwire build core --record --because '…'`.")


def _figures(timing: Mapping[str, Any]) -> str:
    mhz = ", ".join(f"{clock} {value} MHz" for clock, value in timing["fmax_mhz_median"].items())
    return f"{mhz}, {timing['cells']['luts']['used']} LUTs"
