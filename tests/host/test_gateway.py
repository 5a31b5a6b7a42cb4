"""The host's API on the compiled toy: every call reaches its registers and comes back."""

from decimal import Decimal

import numpy as np
import pytest
from tickwire.gateware.registers import REGISTERS
from tickwire.gateware.vocabulary import Reason, Side
from tickwire.hdl.wire.order_template import new_order_template
from tickwire.host.errors import ArmingError, OrderRefusedError, RegisterError
from tickwire.host.events import flag, select
from tickwire.host.gateway import Gateway
from tickwire.host.orders import Connection, Order, OrderTerms
from tickwire.host.price import to_key
from tickwire.sim.engine import Engine

CONNECTION = Connection(source_mac="02:00:00:00:00:01", destination_mac="02:00:00:00:00:02",
                        source_ip="192.0.2.1", destination_ip="192.0.2.2", source_port=40000,
                        destination_port=9000)


@pytest.fixture
def gateway(toy_library):
    with Gateway(Engine(toy_library)) as gateway:
        yield gateway


@pytest.fixture
def instrument(gateway):
    return gateway.add_instrument("BTC-PERPETUAL", id=210838, channel=3)


def order(instrument, **change):
    return Order(**{"instrument": instrument, "side": Side.BID, "price": "35000.5",
                    "quantity": 7, **change})


def spy(gateway):
    """Writes from now on, by the name of the register's first word."""
    names = {REGISTERS.offset(entry.name): entry.name for entry in REGISTERS.entries()}
    log, real = [], gateway.board.write32

    def write32(offset, value):
        log.append((names.get(offset, offset), value))
        real(offset, value)

    gateway.board.write32 = write32
    return log


def test_arming_in_two_steps(gateway):
    assert not gateway.status()["armed"]
    gateway.arm(dead_man=0.5)
    assert gateway.status()["armed"]
    assert gateway.registers.read("DEAD_MAN_PERIOD") == 78_125_000
    gateway.touch()
    gateway.disarm()
    assert not gateway.status()["armed"]


def test_a_kill_latches_until_it_is_released(gateway):
    gateway.arm()
    gateway.kill()
    assert gateway.status()["killed"]
    assert not gateway.status()["armed"]
    with pytest.raises(ArmingError, match=r"STATUS.ARMED is 0 after ARM: .*gw.release_kill\(\)"):
        gateway.arm()
    gateway.release_kill()
    gateway.arm()
    gateway.board.kill_pin(True)
    with pytest.raises(ArmingError, match="STATUS.KILLED is 1 after KILL_RELEASE: its pin"):
        gateway.release_kill()


def test_a_period_that_the_timer_cannot_hold(gateway):
    with pytest.raises(RegisterError, match="DEAD_MAN_PERIOD takes up to 27.48.* seconds, not 30"):
        gateway.arm(dead_man=30)
    assert not gateway.status()["armed"]


def test_orders_pass_or_say_why_not(gateway, instrument):
    with pytest.raises(OrderRefusedError) as error:
        gateway.send(order(instrument))
    assert error.value.reason is Reason.NOT_ARMED
    assert str(error.value) == ("BID 7 BTC-PERPETUAL at 35000.5 was refused: ORDER_RESULT.REASON "
                                "is NOT_ARMED. Remedy: arm the gateway with gw.arm().")
    gateway.arm()
    assert gateway.send(order(instrument)).client_id == 7
    registers = gateway.registers
    assert registers.read("ORDER_PRICE") == to_key("35000.5")
    assert registers.fields("ORDER") == {"action": 0, "side": 0, "instrument": 0}
    assert gateway.cancel(instrument, 99).client_id == 99
    assert registers.fields("ORDER")["action"] == 1
    assert registers.read("ORDER_CLIENT_ID") == 99
    gateway.kill()
    with pytest.raises(OrderRefusedError, match="is KILLED. Remedy: release the kill switch"):
        gateway.cancel(instrument, 1)
    stats = gateway.stats()
    assert (stats["ORDERS_SENT"], stats["REFUSED_NOT_ARMED"]) == (2, 2)


def test_a_second_host_counts_its_posts_on(gateway, instrument):
    gateway.arm()
    gateway.send(order(instrument))
    second = Gateway(gateway.board)
    log = spy(second)
    second.send(order(instrument))
    assert ("ORDER_POST", 2) in log


def test_templates_set_the_unit_of_quantities(gateway, instrument):
    log = spy(gateway)
    gateway.templates.load(CONNECTION, OrderTerms(quantity_exponent=-2))
    rows = [value for name, value in log if name == "ROW"]
    assert rows[:3] == [row & 0xFFFF_FFFF for row in new_order_template(
        CONNECTION, OrderTerms(quantity_exponent=-2))[:3]]
    assert [value for name, value in log if name == "TEMPLATE"][0] == 0
    assert ("TEMPLATE", 32) in log
    gateway.arm()
    gateway.send(order(instrument, quantity=Decimal("1.25")))
    assert gateway.registers.read("ORDER_QUANTITY") == 125
    with pytest.raises(RegisterError, match="whole multiples of 1e-2, up to .*not 0.001"):
        gateway.send(order(instrument, quantity=Decimal("0.001")))
    with pytest.raises(RegisterError, match=r"TEMPLATE may not .* armed: call gw.disarm\(\)"):
        gateway.templates.load(CONNECTION)


def test_session_is_loaded_at_once_and_read_back(gateway):
    gateway.session.load(sequence=1000, peer_window=65536, acknowledgement=2000, window=512,
                         venue_sequence=3, client_id=0x1_0000_0001)
    state = gateway.session.state()
    assert (state["open"], state["sequence"], state["venue_sequence"], state["client_id"]) == (
        1, 1000, 3, 0x1_0000_0001)
    log = spy(gateway)
    gateway.session.acknowledge(unacknowledged=1, peer_window=2, acknowledgement=3,
                                last_processed=4)
    assert log[-1] == ("ACKNOWLEDGE", 0)
    gateway.session.close()
    assert gateway.session.state()["open"] == 0


def test_strategy_and_risk_rows(gateway, instrument):
    log = spy(gateway)
    gateway.strategy.threshold(instrument, buy_at=100, quantity=5, trigger="ticker",
                               one_shot=True, minimum_gap=50)
    assert log[-1] == ("THRESHOLD", 0)
    staged = [value for _, value in log[:-1]]
    row = sum(word << 32 * k for k, word in enumerate(staged))
    assert row == (0b11011 | to_key(100) << 5 | 5 << 133 | 50 << 165)
    log.clear()
    gateway.risk.set(instrument, minimum_quantity=1, maximum_quantity=9, lowest_price="-0.5",
                     highest_price=40000)
    row = sum(word << 32 * k for k, (_, word) in enumerate(log[:-1]))
    assert row == 1 | 1 << 1 | 9 << 33 | to_key("-0.5") << 65 | to_key(40000) << 129
    log.clear()
    gateway.risk.rate(orders_per_second=1000, burst=20)
    gateway.risk.rate(orders_per_second=0, burst=3, cancels=True)
    assert [entry for entry in log if entry[0] in ("ROW", "RATE")] == [
        ("ROW", 156_250), ("RATE", 0), ("ROW", 0), ("RATE", 1)]
    gateway.strategy.off(instrument)
    gateway.risk.restrict(instrument)
    assert log[-1] == ("RISK", 0)


@pytest.mark.parametrize("act, sentence", [
    (lambda g, i: g.risk.set(i, maximum_quantity=1, lowest_price=2, highest_price=1),
     "RISK.LOWEST_PRICE (2) must not be above RISK.HIGHEST_PRICE (1): no order could pass"),
    (lambda g, i: g.risk.set(i, maximum_quantity=1, minimum_quantity=2, lowest_price=1,
                             highest_price=1),
     "RISK.MINIMUM_QUANTITY (2) must not be above RISK.MAXIMUM_QUANTITY (1): no order could pass"),
    (lambda g, i: g.risk.rate(orders_per_second=-1, burst=1),
     "RATE.PERIOD needs a number of orders per second that is not negative, not -1"),
    (lambda g, i: g.strategy.threshold(i, quantity=1, trigger="trade"),
     "THRESHOLD.TRIGGER takes 'book' or 'ticker', not 'trade'"),
    (lambda g, i: setattr(g, "policy", "fast"),
     "CONTROL.CUT_THROUGH takes 'after_fcs' or 'cut_through', not 'fast'"),
    (lambda g, i: g.send_frame(bytes(1515)),
     "FRAME_SEND.LENGTH takes 14 to 1514 bytes, not 1515"),
    (lambda g, i: g.send(order(i, quantity=1 << 32)),
     "ORDER_QUANTITY takes whole multiples of 1e0, up to 4294967295 of them, not 4294967296: set "
     "quantity_exponent in OrderTerms"),
])
def test_errors(gateway, instrument, act, sentence):
    log = spy(gateway)
    with pytest.raises(RegisterError) as error:
        act(gateway, instrument)
    assert str(error.value) == sentence
    assert not [name for name, _ in log if name in ("RISK", "RATE", "THRESHOLD", "ORDER_POST")]


def test_policy_and_what_is_published_are_apart(gateway):
    gateway.publish(book=True, ticker=False)
    assert gateway.policy == "after_fcs"
    gateway.policy = "cut_through"
    assert gateway.registers.fields("CONTROL") == {"cut_through": 1, "publish_book": 1,
                                                   "publish_ticker": 0}


def test_frames(gateway):
    log = spy(gateway)
    gateway.send_frame(bytes(range(60)), repeat=3)
    assert log[0] == ("FRAME", 0x0302_0100)
    assert len(log) == 16
    assert log[-1] == ("FRAME_SEND", 60 | 3 << 11)
    gateway.stop_frames()
    assert log[-1] == ("FRAME_STOP", 1)


def test_books_have_all_levels_of_both_sides(gateway, instrument):
    book = gateway.books["BTC-PERPETUAL"]
    assert book == gateway.books[instrument]
    assert book.tradable
    assert (len(book.bids), len(book.asks)) == (3, 3)
    # The toy's amount is made of what was selected: side in bit 7, level from bit 8.
    assert [to_key(level.amount) - to_key(0) for level in book.asks] == [
        (1 << 7 | level << 8) << 32 for level in range(3)]
    assert all(level.price == level.amount for level in book.bids)


def test_events_come_with_their_cycles(gateway):
    data = np.full(300, 0x0707070707070707, np.uint64)
    control = np.full(300, 0xFF, np.uint8)
    data[[50, 150]], control[[50, 150]] = 0xD5555555555555FB, 1
    gateway.board.run(data, control)
    gateway.board.idle(20)
    events = gateway.events.poll()
    books = select(events, "BOOK")
    assert books["sequence"].tolist() == [0, 1]
    assert int(books["change_id"][1] - books["change_id"][0]) == 100
    assert flag(books, "tradable").all()
    assert len(gateway.events.poll()) == 0
    assert gateway.registers.read("EVENTS_CONSUMED") == 2
    assert gateway.cycles > 300


def test_time_is_written_as_one_row(gateway):
    log = spy(gateway)
    gateway.clock.set(1_700_000_000_123_456_789)
    assert [name for name, _ in log][-1] == "CLOCK_SET"
    assert log[0][1] | log[1][1] << 32 == 1_700_000_000_123_456_789
