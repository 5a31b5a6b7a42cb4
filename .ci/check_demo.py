"""Checks the summary of the demo on the real capture against what the capture must give."""

import json
import sys
from pathlib import Path

EXPECTED = {
    "packets": 5_066,
    "book.tickers_checked": 3_441,
    "book.tickers_equal": 3_441,
    "book.tickers_before_book": 770,
    "book.instruments": 84,
    "book.level_changes": 1_224,
    "book.snapshots_checked": 110,
    "book.snapshots_equal": 110,
    "book.max_depth": 33,
    "book.stale_instruments": 0,
}


def find(summary, path):
    for part in path.split("."):
        summary = summary[part]
    return summary


def main(path):
    summary = json.loads(Path(path).read_text())
    wrong = [f"{key} is {found}, not {value}" for key, value in EXPECTED.items()
             if (found := find(summary, key)) != value]
    messages = sum(summary["messages"].values())
    if messages != 6_780:
        wrong.append(f"messages add up to {messages}, not 6780")
    if any(summary["drops"].values()):
        wrong.append(f"something was dropped: {summary['drops']}")
    if summary["orders"]["sent"] < 20:
        wrong.append(f"only {summary['orders']['sent']} orders were sent")
    for sentence in wrong:
        print(f"{path}: {sentence}", file=sys.stderr)
    if not wrong:
        print(f"{path}: every figure is as the capture must give it")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
