"""report.html: one page that stands alone and says what a replay has shown."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from tickwire.sim import checks, latency
from tickwire.sim.event_records import flag, key_to_float
from tickwire.sim.latency import CYCLE_NS, Measurement
from tickwire.sim.outcome import Outcome, match
from tickwire.sim.replay import PassResult
from tickwire.sim.report_style import SCRIPT, STYLE
from tickwire.sim.report_svg import Stage, data_path, histogram, spread, stage_bars

__all__ = ["render"]

POINTS = 3000               # touches of one instrument that are drawn
INSTRUMENTS = 16            # instruments to choose from
ORDERS = 500                # rows of the order list

POLICIES = {"after_fcs": "after FCS", "cut_through": "cut-through"}
FROM = {"frame_end_to_order": "end of frame", "message_to_order": "ticker message's field",
        "book_to_order": "update's last level"}


def render(outcome: Outcome) -> str:
    """The whole page as text."""
    path = outcome.plan.capture.path
    verdict = ('<span class="pill good">all checks equal</span>' if outcome.good
               else '<span class="pill bad">differences found</span>')
    sections = (_path, _latency, _touch, _orders, _losses, _facts)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>tickwire: {escape(path.name)}</title><style>{STYLE}</style></head><body><main>
<header><h1>tickwire replay</h1>{verdict}
<p class="sub">{escape(path.name)} through the simulated gateway,
{"back to back at 10 Gb/s" if outcome.first.options.timing == "line-rate" else "recorded times"},
engine {escape(outcome.first.engine)}</p></header>
{_cards(outcome)}
{"".join(section(outcome) for section in sections)}
<footer>Every latency is in cycles of the 156.25 MHz XGMII clock (6.4 ns), from word to word on the
XGMII interface, without transceivers. Every figure comes from the gateware's own records, counters
and frames; the models it is compared with are plain Python.</footer>
</main><script>{SCRIPT}</script></body></html>
"""


def _card(value: str, label: str, *, good: bool = True) -> str:
    return (f'<div class="card{"" if good else " bad"}"><div class="value">{value}</div>'
            f'<div class="label">{label}</div></div>')


def _of(one: checks.Comparison) -> str:
    return f"{one.equal:,} <small>of {one.checked:,}</small>"


def _cards(outcome: Outcome) -> str:
    drops = sum(checks.drops(outcome.first.counters).values())
    orders = next(iter(outcome.orders.values()), checks.Comparison())
    cards = [
        _card(_of(outcome.tickers), "tickers equal to the hardware's touch",
              good=outcome.tickers.good),
        _card(_of(outcome.snapshots), "later snapshots equal to all levels read back",
              good=outcome.snapshots.good),
        _card(_of(orders), "orders equal to the decision list", good=orders.good),
        _card(f"{drops:,}", "frames, messages or updates dropped", good=not drops)]
    for policy, what in (("cut_through", "message_to_order"), ("cut_through", "book_to_order"),
                         ("after_fcs", "frame_end_to_order")):
        found = latency.together(outcome.measurements, policy, what).cycles
        if found:
            cards.append(_card(f"{spread(found)} <small>cycles, {max(found) * CYCLE_NS:.1f} ns"
                               "</small>", f"{FROM[what]} → order's START, {POLICIES[policy]}"))
    return f'<div class="cards">{"".join(cards)}</div>'


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[int] = (),
           classes: Mapping[int, Mapping[str, str]] | None = None) -> str:
    """A table of HTML cells; ``numbers`` are columns on the right, classes go by the text."""
    def cell(tag: str, at: int, text: str) -> str:
        names = ["n"] * (at in numbers)
        if tag == "td" and classes and at in classes:
            names.append(classes[at].get(text, ""))
        name = f' class="{" ".join(names).strip()}"' if any(names) else ""
        return f"<{tag}{name}>{text}</{tag}>"

    top = "".join(cell("th", at, text) for at, text in enumerate(head))
    body = "".join("<tr>" + "".join(cell("td", at, text) for at, text in enumerate(row)) + "</tr>"
                   for row in rows)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def _section(title: str, note: str, body: str) -> str:
    return f'<section><h2>{title}</h2><p class="note">{note}</p>{body}</section>'


def _path(outcome: Outcome) -> str:
    rows: list[tuple[str, Sequence[Stage]]] = []
    for one in outcome.passes:
        if one.options.loaded:
            continue
        policy = one.options.policy
        decisions, at = match(one.records["ORDER"], outcome.decisions, outcome.plan.index_of)
        sent = latency.sent_by_strategy(one.records["ORDER"])[at]
        triggers = np.array([decision.trigger for decision in decisions])
        for trigger in ("ticker", "book"):
            chosen = sent[triggers == trigger] if len(sent) else sent
            if len(chosen):
                rows.append((f"{POLICIES[policy]}, trigger {trigger}",
                             latency.stages(chosen, policy)))
    rows.sort(key=lambda row: not row[0].startswith("cut"))
    body = data_path() + (stage_bars(rows) if rows else "")
    return _section(
        "Data path", "A packet's way from left to right, and what the latency probes in the "
        "gateware measured between them, transmitter idle.", body)


def _family(measurements: Sequence[Measurement], colour: str) -> str:
    values = [value for one in measurements for value in one.cycles]
    low, high = max(0, min(values) - 2), max(values) + 2
    plots = []
    for one in measurements:
        title = f"{POLICIES[one.policy]}, {one.trigger}, lane {one.lane}"
        plots.append(f"<div><h3>{title}</h3>"
                     f"{histogram(one.cycles, low=low, high=high, colour=colour)}</div>")
    return f'<div class="hist">{"".join(plots)}</div>'


def _latency(outcome: Outcome) -> str:
    body = ""
    for loaded, title, colour in ((False, "Transmitter idle", "s1"),
                                  (True, "Transmitter loaded with host frames of 1,514 bytes",
                                   "s2")):
        family = [one for one in outcome.measurements if one.loaded == loaded and one.cycles]
        if not family:
            continue
        rows = [(POLICIES[one.policy], FROM[one.what], one.trigger, str(one.lane),
                 f"{len(one.cycles):,}", str(min(one.cycles)), str(max(one.cycles)),
                 f"{min(one.cycles) * CYCLE_NS:.1f}", f"{max(one.cycles) * CYCLE_NS:.1f}")
                for one in family]
        table = _table(("launch policy", "from", "trigger", "lane", "orders", "least, cycles",
                        "most, cycles", "least, ns", "most, ns"), rows, numbers=range(3, 9))
        body += f"<h3>{title}</h3>{_family(family, colour)}{table}" + (
            "" if loaded else '<div style="height:22px"></div>')
    return _section("Latency", "Cycles to the order's START on the XGMII output, by launch "
                    "policy, trigger and the lane in which the deciding frame began; the bars "
                    "count orders.", body or "<p>No orders were sent.</p>")


def _touch(outcome: Outcome) -> str:
    """The touch that the hardware said, for the instruments with orders and the busiest ones."""
    book, plan = outcome.first.records["BOOK"], outcome.plan
    sent = latency.sent_by_strategy(outcome.first.records["ORDER"])
    if not len(book):
        return _section("Touch over time", "The gateware said no touch.", "")
    origin = int(book["timestamp"].min())
    counts = np.bincount(book["instrument"], minlength=256)
    with_orders = np.bincount(sent["instrument"], minlength=256)
    ranked = sorted(np.flatnonzero(counts).tolist(),
                    key=lambda at: (-min(1, int(with_orders[at])), -int(counts[at])))
    data: list[dict[str, Any]] = []
    for index in ranked[:INSTRUMENTS]:
        rows = book[book["instrument"] == index][-POINTS:]
        rows = rows[np.argsort(rows["timestamp"], kind="stable")]
        if not (flag(rows, "bid_valid") | flag(rows, "ask_valid")).any():
            continue
        sides = {}
        for side in ("bid", "ask"):
            prices = key_to_float(rows[f"{side}_price"]).tolist()
            sides[side] = [price if valid else None
                           for price, valid in zip(prices, flag(rows, f"{side}_valid").tolist(),
                                                   strict=True)]
        mine = sent[sent["instrument"] == index]
        data.append({
            "name": plan.instruments[index].name or f"instrument {index}",
            "time": ((rows["timestamp"].astype(np.int64) - origin) / 1000).tolist(), **sides,
            "orders": [[(int(row["timestamp"]) - origin) / 1000, price,
                        "sell" if row["side"] else "buy"]
                       for row, price in zip(mine, key_to_float(mine["price"]).tolist(),
                                             strict=True)]})
    options = "".join(f'<option value="{at}">{escape(one["name"])}'
                      f' – {len(one["time"]):,} touches, {len(one["orders"])} orders</option>'
                      for at, one in enumerate(data))
    content = json.dumps(data, separators=(",", ":")).replace("</", "<\\/")
    body = f"""<label>Instrument <select id="touch-pick">{options}</select></label>
<span class="legend"><span><i style="background:var(--bid)"></i>best bid</span>
<span><i style="background:var(--ask)"></i>best ask</span>
<span><i class="dot" style="background:var(--bid)"></i>buy order</span>
<span><i class="dot" style="background:var(--ask)"></i>sell order</span></span>
<div id="touch-plot" style="margin-top:12px"></div>
<script type="application/json" id="touch-data">{content}</script>"""
    return _section("Touch over time", "Best bid and best ask as the hardware's book said them "
                    "after each logical update, and the orders that were sent.", body)


def _orders(outcome: Outcome) -> str:
    first = outcome.first
    decisions, at = match(first.records["ORDER"], outcome.decisions, outcome.plan.index_of)
    sent = latency.sent_by_strategy(first.records["ORDER"])[at]
    cycles = latency.from_probes(first.records["ORDER"], first.options.policy)[at].tolist()
    prices = key_to_float(sent["price"]).tolist()
    rows = [(str(number), f"{d.packet:,}", escape(outcome.plan.name(d.instrument_id)),
             "sell" if row["side"] else "buy", repr(price), f"{int(row['quantity']):,}",
             d.trigger, str(int(row["timestamp"])), str(took))
            for number, (d, row, price, took) in enumerate(
                zip(decisions, sent, prices, cycles, strict=True), 1)]
    refused = checks.refusals(first.records["ORDER"])
    more = f" The first {ORDERS:,} of them." if len(rows) > ORDERS else ""
    table = _table(("no.", "packet", "instrument", "side", "price", "quantity", "trigger",
                    "feed time, ms", "latency, cycles"), rows[:ORDERS],
                   numbers=(0, 1, 4, 5, 7, 8),
                   classes={3: {"buy": "buy", "sell": "sell"}})
    return _section("Orders", f"{len(rows):,} sent, {sum(refused.values()):,} refused, under "
                    f"{POLICIES[first.options.policy]}; quantity is the mantissa, latency is from "
                    f"the {'end of the frame' if first.options.policy == 'after_fcs' else 'field'}"
                    f".{more}", f'<div class="scroll">{table}</div>')


def _counts(found: Mapping[str, int], what: str) -> str:
    rows = [(escape(name.replace("_", " ").lower()),
             f"{count:,}" if count else '<span class="zero">0</span>')
            for name, count in found.items()]
    return _table((what, "count"), rows or [("none", '<span class="zero">0</span>')], numbers=(1,))


def _losses(outcome: Outcome) -> str:
    columns = [f'<div><h3>Dropped or set aside, by place</h3>'
               f'{_counts(checks.drops(outcome.first.counters), "place")}</div>']
    refused = [checks.refusals(one.records["ORDER"]) for one in outcome.passes]
    reasons = sorted({reason for one in refused for reason in one})
    if reasons:
        rows = [(escape(reason.replace("_", " ").lower()),
                 *(f"{one[reason]:,}" if one.get(reason) else '<span class="zero">0</span>'
                   for one in refused)) for reason in reasons]
        head = ("reason", *(_pass_name(one).removeprefix("pass ") for one in outcome.passes))
        right = _table(head, rows, numbers=range(1, len(head)))
    else:
        right = "<p>No order was refused in any pass.</p>"
    columns.append(f"<div><h3>Refused orders</h3>{right}</div>")
    return _section("Drops and refusals", "Each place in the gateware that can lose something "
                    "counts it. Each order that is not sent has a reason.",
                    f'<div class="columns">{"".join(columns)}</div>')


def _facts(outcome: Outcome) -> str:
    plan, run, golden = outcome.plan, outcome.first, outcome.plan.golden
    changed = {name.replace("_", " "): count for name, count in plan.rewritten.items() if count}
    facts: list[tuple[str, str]] = [
        ("file", f"<code>{escape(str(plan.capture.path))}</code>"),
        ("SHA-256", f"<code>{plan.sha256}</code>"),
        ("venue", escape(outcome.venue)),
        ("packets", f"{golden.packets:,}"),
        ("recorded time", f"{plan.duration_ns / 1e9:.1f} s"),
        ("rewritten", ", ".join(f"{name} {count:,}" for name, count in changed.items())
         or "nothing"),
        ("groups and ports", f"{len(plan.subscriptions)}"),
        ("instruments", f"{len(plan.instruments)}"
         + (f", {len(plan.left_out)} left out" if plan.left_out else "")),
        ("messages", ", ".join(f"{name} {count:,}"
                               for name, count in checks.messages(run.counters).items()))]
    facts += [(_pass_name(one), f"{one.cycles:,} cycles in {one.wall_s:.1f} s") for one in
              outcome.passes]
    rows = [(name, f"{one.equal:,} of {one.checked:,}", "equal" if one.good else "different")
            for name, one in outcome.comparisons().items()]
    faults = "".join(f"<li>{escape(name)}: {escape(fault)}</li>"
                     for name, one in outcome.comparisons().items() for fault in one.faults)
    table = _table(("check", "equal", "verdict"), rows, numbers=(1,),
                   classes={2: {"equal": "ok", "different": "no"}})
    body = (f'<div class="columns"><div><h3>Capture and run</h3>{_table(("", ""), facts)}</div>'
            f'<div><h3>Checks</h3>{table}'
            + (f'<ul class="faults">{faults}</ul>' if faults else "") + "</div></div>")
    before = outcome.tickers.apart
    return _section("Capture and checks", f"{before:,} more tickers came before their instrument "
                    "had a book and are not compared.", body)


def _pass_name(one: PassResult) -> str:
    return "pass " + POLICIES[one.options.policy] + (", loaded" if one.options.loaded else "")
