"""The report stands alone, says what was found, and shows differences."""

import json
import re
from html.parser import HTMLParser

import pytest
from fake_machine import FakeMachine
from tickwire.sim.models.decisions import decide
from tickwire.sim.models.demo_rules import demo_rules
from tickwire.sim.outcome import evaluate
from tickwire.sim.plan import Capture, make_plan
from tickwire.sim.replay import PassOptions, run_pass
from tickwire.sim.report import render
from tickwire.sim.report_svg import histogram, spread, stage_bars
from tickwire.sim.traffic import write_traffic

VOID = {"meta", "br", "path", "rect", "circle"}


class Balanced(HTMLParser):
    """Every element is closed by its own end tag."""

    def __init__(self):
        super().__init__()
        self.open, self.seen = [], []

    def handle_starttag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, (tag, self.open[-5:])
        self.open.pop()


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "a<b>&.pcap"
    write_traffic(path, 3, 800, instruments=10)
    return make_plan(Capture(path))


def outcome_of(plan, **faults):
    rules = demo_rules(plan.capture.packets, orders_per_trigger=20)
    decisions = decide(plan.capture.packets(), rules)
    passes = [run_pass(FakeMachine(**faults), plan, rules,
                       PassOptions(policy=policy, snapshots=policy == "after_fcs"))
              for policy in ("after_fcs", "cut_through")]
    passes.append(run_pass(FakeMachine(jitter=90), plan, rules, PassOptions(loaded=True)))
    return evaluate(plan, rules, decisions, passes)


@pytest.fixture(scope="module")
def outcome(plan):
    return outcome_of(plan)


def test_the_page_stands_alone_and_is_well_formed(outcome):
    page = render(outcome)
    parser = Balanced()
    parser.feed(page)
    assert parser.open == []
    for tag, attributes in parser.seen:
        assert tag not in ("link", "img", "iframe")
        assert "src" not in attributes and "href" not in attributes
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|url\(|@import", page)
    assert "prefers-color-scheme: dark" in page
    assert "a&lt;b&gt;&amp;.pcap" in page and "a<b>" not in page
    assert len(page) < 300_000


def test_the_page_says_what_was_found(outcome):
    page = render(outcome)
    assert "all checks equal" in page
    assert f"{outcome.tickers.equal:,} <small>of {outcome.tickers.checked:,}</small>" in page
    assert "8 <small>cycles, 51.2 ns</small>" in page
    assert outcome.plan.sha256 in page
    for text in ("deciding byte → decision: 5", "cut-through, trigger ticker", "Transmitter loaded",
                 "No order was refused in any pass", "BTC-PERPETUAL"):
        assert text in page
    for decision in outcome.decisions:
        assert f">{decision.price!r}</td>" in page


def test_the_touch_is_the_hardwares(outcome):
    data = json.loads(re.search(r'id="touch-data">(.*?)</script>', render(outcome))[1])
    assert sum(len(one["orders"]) for one in data) == len(outcome.decisions)
    first = data[0]
    assert len(first["time"]) == len(first["bid"]) == len(first["ask"]) > 10
    assert first["time"] == sorted(first["time"])


def test_differences_are_shown(plan):
    page = render(outcome_of(plan, break_level=300))
    assert "differences found" in page and "all checks equal" not in page
    assert '<ul class="faults"><li>Tickers equal' in page


def test_refusals_are_shown(outcome):
    orders = outcome.first.records["ORDER"].copy()
    orders["reason"][:2] = 13
    outcome.first.records["ORDER"], kept = orders, outcome.first.records["ORDER"]
    try:
        assert "tx busy" in render(outcome)
    finally:
        outcome.first.records["ORDER"] = kept


def test_no_orders_is_no_error(plan):
    passes = [run_pass(FakeMachine(), plan, [], PassOptions(snapshots=True))]
    page = render(evaluate(plan, [], [], passes))
    assert "No orders were sent." in page


def test_spread():
    assert spread([]) == "–"
    assert spread([8, 8]) == "8"
    assert spread([8, 9]) == "8 – 9"


def test_drawings_stay_small():
    assert len(histogram([8, 9_000], low=6, high=9_002, colour="s1")) < 4000
    assert len(stage_bars([("case", [("a → b", [70_000])])])) < 8000
