"""Draws docs/datapath.svg: the rooms in the order in which a packet meets them.

Run ``python scripts/datapath.py``. The latencies are those of docs/architecture.md.
"""

from pathlib import Path

RECEIVE = [
    ("ElasticCrossing", "rx → sync", "3 ± 1"),
    ("MacReceive", "frame, FCS", "1"),
    ("IpReceive", "IPv4, UDP", "1"),
    ("FeedDecoder", "SBE fields", "1"),
    ("PriceLevelBook", "touch", "1"),
]
TRANSMIT = [
    ("ThresholdStrategy", "decides", "1"),
    ("LaunchGate", "waits for FCS", "0"),
    ("RiskGate", "checks", "1"),
    ("OrderTransmit", "template, TCP", "0"),
    ("MacTransmit", "FCS, gap", "1"),
]
WIDTH, HEIGHT, STEP, LEFT = 132, 62, 156, 92
TOP, BOTTOM, HOST = 64, 192, 320
STYLE = """
text { font-family: sans-serif; fill: #1b2733; text-anchor: middle; }
.room { fill: #eef4fa; stroke: #37618e; stroke-width: 1.5; }
.name { font-size: 13px; font-weight: bold; }
.what { font-size: 11px; }
.cycles { font-size: 11px; fill: #9a3412; }
.wire { stroke: #37618e; stroke-width: 2; fill: none; marker-end: url(#head); }
.control { stroke: #6b7785; stroke-width: 1.5; stroke-dasharray: 5 4; fill: none;
  marker-end: url(#grey); }
.host { fill: #f4f1e8; stroke: #8a6d1d; stroke-width: 1.5; }
"""


def room(x, y, name, what, cycles):
    middle = x + WIDTH / 2
    return (f'<rect class="room" x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="6"/>'
            f'<text class="name" x="{middle}" y="{y + 20}">{name}</text>'
            f'<text class="what" x="{middle}" y="{y + 37}">{what}</text>'
            f'<text class="cycles" x="{middle}" y="{y + 53}">{cycles} cycle'
            f'{"" if cycles == "1" else "s"}</text>')


def line(kind, *points):
    path = " L ".join(f"{x} {y}" for x, y in points)
    return f'<path class="{kind}" d="M {path}"/>'


def label(x, y, text):
    return f'<text class="what" x="{x}" y="{y}">{text}</text>'


def row(rooms, y):
    for number, (name, what, cycles) in enumerate(rooms):
        x = LEFT + number * STEP
        yield room(x, y, name, what, cycles)
        if number:
            yield line("wire", (x - STEP + WIDTH, y + HEIGHT / 2), (x - 2, y + HEIGHT / 2))


def main():
    right = LEFT + 5 * STEP
    turn = right + 6
    parts = [*row(RECEIVE, TOP), *row(TRANSMIT, BOTTOM)]
    parts.append(line("wire", (LEFT - 60, TOP + HEIGHT / 2), (LEFT - 2, TOP + HEIGHT / 2)))
    # From the book, round the end of the upper row, into the strategy.
    parts += [
        line("wire", (right - 24, TOP + 31), (turn, TOP + 31), (turn, 159), (40, 159),
             (40, BOTTOM + 31), (LEFT - 2, BOTTOM + 31)),
        line("wire", (right - 24, BOTTOM + 31), (right + 52, BOTTOM + 31)),
        label(44, TOP + 22, "XGMII in"), label(right + 18, BOTTOM + 22, "XGMII out"),
        label(LEFT + 2 * STEP + WIDTH / 2, 152, "BookEvent: touch of both sides"),
        f'<rect class="host" x="{LEFT}" y="{HOST}" width="{4 * STEP + WIDTH}" height="44" rx="6"/>',
        f'<text class="name" x="{LEFT + 2 * STEP + WIDTH / 2}" y="{HOST + 19}">registers (BAR 0), '
        'event ring</text>',
        label(LEFT + 2 * STEP + WIDTH / 2, HOST + 35,
              "a Python program configures, arms, watches, trades, kills"),
        *(line("control", (LEFT + n * STEP + WIDTH / 2, HOST),
               (LEFT + n * STEP + WIDTH / 2, BOTTOM + HEIGHT + 2)) for n in range(5)),
        label(LEFT + 2 * STEP + WIDTH / 2 + 74, HOST - 28, "orders of the host pass"),
        label(LEFT + 2 * STEP + WIDTH / 2 + 74, HOST - 14, "the same RiskGate"),
    ]
    height = HOST + 64
    width = right + 66
    head = "".join(
        f'<marker id="{name}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        f'markerHeight="7" orient="auto"><path d="M 0 0 L 8 4 L 0 8 z" fill="{colour}"/></marker>'
        for name, colour in (("head", "#37618e"), ("grey", "#6b7785")))
    title = "The data path: each room with its latency in cycles of the core's clock"
    Path(__file__).parent.parent.joinpath("docs/datapath.svg").write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img">\n<title>{title}</title>\n'
        f'<style>{STYLE}</style>\n<defs>{head}</defs>\n'
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>\n'
        f'<text class="name" x="{width / 2}" y="30">{title}</text>\n' + "\n".join(parts)
        + "\n</svg>\n")


if __name__ == "__main__":
    main()
