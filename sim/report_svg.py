"""The report's drawings as SVG text: the data path with its probes, stage bars, histograms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape

__all__ = ["Stage", "data_path", "stage_bars", "histogram", "spread"]

ROOMS = (("XGMII", "in"), ("Elastic", "crossing"), ("MAC", "receive"), ("IPv4, UDP", "receive"),
         ("Feed", "decoder"), ("Books", ""), ("Strategy", ""), ("Launch", "gate"),
         ("Risk", "gate"), ("Order", "transmit"), ("MAC", "transmit"), ("XGMII", "out"))

# Probe, the room at which it stands, and whether it stands at that room's left or right edge.
PROBES = (("deciding byte", 0, 1), ("end of frame", 0, 1), ("decision", 6, 1), ("released", 7, 1),
          ("order's START", 11, 0))
WIDTH = 1180

# Text of a part of the way, and the cycles that were measured for it.
Stage = tuple[str, Sequence[int]]


def spread(values: Sequence[int]) -> str:
    """One number if all are equal, else least – most."""
    if not values:
        return "–"
    least, most = min(values), max(values)
    return str(least) if least == most else f"{least} – {most}"


def data_path() -> str:
    """The rooms in the order in which a packet meets them, and where the probes stand."""
    gap, top, height = 12.0, 34, 54
    width = (WIDTH - gap * (len(ROOMS) - 1)) / len(ROOMS)
    parts = []
    for index, (first, second) in enumerate(ROOMS):
        left = index * (width + gap)
        middle = left + width / 2
        parts.append(f'<rect class="room" x="{left:.1f}" y="{top}" width="{width:.1f}" '
                     f'height="{height}" rx="8"/>')
        lines = [line for line in (first, second) if line]
        for at, line in enumerate(lines):
            y = top + height / 2 + 5 + (at - (len(lines) - 1) / 2) * 17
            parts.append(f'<text x="{middle:.1f}" y="{y:.1f}" text-anchor="middle">'
                         f'{escape(line)}</text>')
        if index + 1 < len(ROOMS):
            x, y = left + width, top + height / 2
            parts.append(f'<path class="wire" d="M{x:.1f} {y}h{gap - 5}"/>'
                         f'<path class="tip" d="M{x + gap:.1f} {y}l-6 -4v8z"/>')
    below = top + height
    for number, (text, room, edge) in enumerate(PROBES):
        x = room * (width + gap) + (width / 2 if room in (0, 11) else edge * width + gap / 2)
        if text == "end of frame":
            continue                            # stands where the deciding byte does
        label = "deciding byte, end of frame" if number == 0 else text
        anchor = "start" if room == 0 else "end" if room == 11 else "middle"
        text_x = 0.0 if room == 0 else float(WIDTH) if room == 11 else x
        parts.append(f'<path class="wire" d="M{x:.1f} {below}v16"/>'
                     f'<circle class="s1" cx="{x:.1f}" cy="{below + 18}" r="4.5"/>'
                     f'<text class="small" x="{text_x:.1f}" y="{below + 40}" '
                     f'text-anchor="{anchor}">{escape(label)}</text>')
    half = width * 2 + gap * 1.5
    parts.append(f'<text class="soft small" x="0" y="20">receive clock</text>'
                 f'<text class="soft small" x="{half:.1f}" y="20">core clock, which never '
                 'stops</text>')
    return (f'<svg viewBox="0 0 {WIDTH} {below + 48}" role="img" '
            f'aria-label="Data path with the places of the probes">{"".join(parts)}</svg>')


def stage_bars(rows: Sequence[tuple[str, Sequence[Stage]]]) -> str:
    """One bar a case, cut into its stages, to one scale of cycles."""
    totals = [sum(max(values, default=0) for _, values in stages) for _, stages in rows]
    most = max(totals, default=1) or 1
    left, right, pitch, height = 250, 150, 44, 28
    scale = (WIDTH - left - right) / most
    parts, base = [], 10 + pitch * len(rows)
    for cycle in range(0, most + 1, max(1, -(-most // 24))):
        x = left + cycle * scale
        parts.append(f'<path class="grid" d="M{x:.1f} 4V{base}"/>'
                     f'<text class="soft small" x="{x:.1f}" y="{base + 16}" '
                     f'text-anchor="middle">{cycle}</text>')
    parts.append(f'<text class="soft small" x="{WIDTH - right + 26}" y="{base + 16}">'
                 'cycles of 6.4 ns</text>')
    for number, ((name, stages), total) in enumerate(zip(rows, totals, strict=True)):
        y, x = 10 + pitch * number, float(left)
        parts.append(f'<text x="{left - 14}" y="{y + 19}" text-anchor="end">{escape(name)}</text>')
        for at, (text, values) in enumerate(stages):
            cycles = max(values, default=0)
            width = cycles * scale
            colour = f"s{at + 1 + (len(stages) == 2)}"
            label = spread(values)
            parts.append(f'<g><title>{escape(text)}: {label} cycles</title>'
                         f'<rect class="{colour}" x="{x + 1:.1f}" y="{y}" '
                         f'width="{max(0.0, width - 2):.1f}" height="{height}" rx="4"/>')
            if width > 22:
                full = f"{text}: {label}"
                shown = full if width > 7 * len(full) + 12 else label
                parts.append(f'<text class="on small" x="{x + width / 2:.1f}" y="{y + 18.5}" '
                             f'text-anchor="middle">{escape(shown)}</text>')
            parts.append("</g>")
            x += width
        parts.append(f'<text class="strong" x="{x + 10:.1f}" y="{y + 19}">{total}'
                     f'<tspan class="soft" font-weight="400"> = {total * 6.4:.1f} ns</tspan>'
                     '</text>')
    return (f'<svg viewBox="0 0 {WIDTH} {base + 24}" role="img" '
            f'aria-label="Measured cycles of each stage">{"".join(parts)}</svg>')


def histogram(values: Sequence[int], *, low: int, high: int, colour: str) -> str:
    """How many orders took how many cycles; the axis is low … high in all of a family."""
    width, height, left, base = 300, 118, 8, 92
    counts = Counter(values)
    most = max(counts.values(), default=1)
    bins = high - low + 1
    step = 1 if bins <= 40 else -(-bins // 40)
    grouped: Counter[int] = Counter()
    for value, count in counts.items():
        grouped[(value - low) // step] += count
    most = max(grouped.values(), default=1)
    slots = -(-bins // step)
    pitch = (width - 2 * left) / slots
    parts = [f'<path class="axis" d="M{left} {base}H{width - left}"/>']
    for slot, count in sorted(grouped.items()):
        tall = max(2.0, count / most * 66)
        x = left + slot * pitch
        label = (str(low + slot) if step == 1
                 else f"{low + slot * step} – {low + slot * step + step - 1}")
        parts.append(f'<g><title>{count} orders: {label} cycles</title><rect class="{colour}" '
                     f'x="{x + pitch * .08:.1f}" y="{base - tall:.1f}" '
                     f'width="{pitch * .84:.1f}" height="{tall:.1f}" rx="2"/></g>')
        if len(grouped) <= 6:
            parts.append(f'<text class="small strong" x="{x + pitch / 2:.1f}" '
                         f'y="{base - tall - 5:.1f}" text-anchor="middle">{count}</text>')
    every = max(1, -(-slots // 10))
    for slot in range(0, slots, every):
        parts.append(f'<text class="soft small" x="{left + (slot + .5) * pitch:.1f}" '
                     f'y="{base + 16}" text-anchor="middle">{low + slot * step}</text>')
    return (f'<svg viewBox="0 0 {width} {height}" role="img" '
            f'aria-label="Histogram of {len(values)} orders in cycles">{"".join(parts)}</svg>')
