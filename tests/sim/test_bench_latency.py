"""docs/latency.md says what is measured."""

from pathlib import Path

from tickwire.sim.bench_latency import answers, order_rows, page, rooms
from tickwire.sim.engine import Engine
from tickwire.sim.engine_build import library_of_top
from tickwire.sim.machine import SIMULATED_TOP

PAGE = Path(__file__).parents[2] / "docs" / "latency.md"


def test_the_page_has_the_cycles_that_are_measured():
    with Engine(library_of_top(SIMULATED_TOP)[0], event_records=1024) as engine:
        answered = answers(engine)
    # What an order waits is asserted by the replays; here stands what the page says of it.
    text = PAGE.read_text()
    table = text.partition("| launch policy, trigger |")[2].splitlines()[2:]
    orders = table[:table.index("")]
    capture = text.partition("## What a replay measures\n\n")[2].partition(" back to back")[0]
    assert len(orders) == 5
    assert text == page(measured=rooms(), answered=answered, orders=orders, capture=capture)


def test_rows_of_orders_say_the_extremes_of_each_case():
    def case(policy, trigger, lane, least, most, loaded=False):
        return {"policy": policy, "trigger": trigger, "lane": lane, "loaded": loaded, "count": 20,
                "min": least, "max": most}

    rows = order_rows({"latency": {"cases": [
        case("cut_through", "book", 0, 10, 10), case("cut_through", "book", 4, 9, 11),
        case("after_fcs", "book", 0, 10, 10), case("after_fcs", "book", 0, 10, 200, True),
        case("after_fcs", "ticker", 4, 12, 190, True)]}})
    assert [row.strip("| ").split(" | ")[-4:] for row in rows] == [
        ["lane 0 / lane 4", "20 / 20", "9", "11"], ["lane 0 / lane 4", "20", "10", "10"],
        ["either", "40", "10", "200"]]
