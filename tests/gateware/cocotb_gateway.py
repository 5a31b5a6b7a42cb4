"""cocotb half of test_gateway_cocotb.py: real packets in, order frames out, a host on the bus.

The host package is the one that users import. It only finds a board whose accesses are cycles of
this simulation.
"""

import cocotb
from cocotb.clock import Clock
from cocotb.task import bridge
from cocotb.triggers import ClockCycles, RisingEdge, Timer
from cocotb.utils import get_sim_time
from cocotbext.eth import XgmiiFrame, XgmiiSink, XgmiiSource
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether
from tickwire.gateware.vocabulary import Action, Reason, Side
from tickwire.host.errors import OrderRefusedError
from tickwire.host.events import select
from tickwire.host.gateway import Gateway
from tickwire.host.orders import Connection, Order, OrderTerms
from tickwire.host.price import from_bits, from_key
from tickwire.sim.cocotb_board import CocotbBoard
from tickwire.sim.cocotb_runner import parameters
from tickwire.sim.models.starbase import NEW, parse_order

PERIOD = 6_400_000                      # fs: 156.25 MHz
HUNDRED_PPM = PERIOD // 10_000
NOON = 1_767_268_800_123_456_789
RECORDS = 256                           # the log keeps the last places for orders
ORDER_ID = 1_000_015                    # the instrument's id in orders
CONNECTION = Connection(
    source_mac="02:00:0a:00:00:02", destination_mac="02:00:0a:00:00:03", source_ip="10.0.0.2",
    destination_ip="10.0.0.3", source_port=40_000, destination_port=9_000)
SEQUENCE, ACKNOWLEDGEMENT, VENUE_SEQUENCE, CLIENT_ID = 1_000, 77, 500, 9_000

TOLD = parameters()
SNAPSHOT, *TICKS = map(bytes.fromhex, TOLD["frames"])


class Bench:
    """Wire, clocks and host of one test. Calls of the host go through :meth:`host`."""

    async def start(self, dut, *, period=PERIOD, policy="after_fcs", trigger="book"):
        self.dut = dut
        for port in (dut.kill, dut.pps, dut.csr__read, dut.csr__write, dut.i_skip):
            port.value = 0
        dut.rx__valid.value = 1
        self.source = XgmiiSource(dut.rx__payload__data, dut.rx__payload__control, dut.rx_clk)
        self.sink = XgmiiSink(dut.tx__data, dut.tx__control, dut.clk)
        self.rx_clock = Clock(dut.rx_clk, period, unit="fs")
        self.rx_clock.start()
        Clock(dut.clk, PERIOD, unit="fs").start()
        dut.rst.value = dut.rx_rst.value = 1
        await ClockCycles(dut.clk, 10)
        dut.rst.value = dut.rx_rst.value = 0
        await ClockCycles(dut.clk, 10)
        # The gateway's tables may hold an older test's rows.
        self.board = CocotbBoard(dut, event_records=RECORDS, fresh=False)
        await self.host(self.configure, policy, trigger)
        return self

    async def host(self, call, *arguments, **named):
        return await bridge(call)(*arguments, **named)

    def configure(self, policy, trigger):
        self.gw = gw = Gateway(self.board)
        gw.policy = policy
        gw.publish(book=True, ticker=False)
        gw.subscribe(TOLD["group"], 6100, 0)
        gw.subscribe(TOLD["group"], 6101, 1)
        self.instrument = gw.add_instrument("ETH", id=TOLD["instrument"], channel=0,
                                            order_id=ORDER_ID)
        gw.templates.load(CONNECTION, OrderTerms())
        gw.session.load(sequence=SEQUENCE, peer_window=1 << 20, acknowledgement=ACKNOWLEDGEMENT,
                        window=0xFFFF, venue_sequence=VENUE_SEQUENCE, client_id=CLIENT_ID)
        for cancels in (False, True):
            gw.risk.rate(orders_per_second=1_000_000, burst=100, cancels=cancels)
        gw.risk.set(self.instrument, maximum_quantity=10, lowest_price=1000, highest_price=2000)
        limit = ({"buy_at": TOLD["buy_at"]} if trigger == "book" else {"sell_at": TOLD["sell_at"]})
        gw.strategy.threshold(self.instrument, quantity=TOLD["quantity"], trigger=trigger, **limit)
        gw.arm()
        self.counted = gw.stats()

    async def send(self, *frames, damage=False):
        """Frames back to back; what they start has come to rest afterwards."""
        for octets in frames:
            frame = XgmiiFrame.from_payload(octets)
            if damage:
                frame.data[-1] ^= 0x80              # of the FCS
            await self.source.send(frame)
        await self.source.wait()
        await ClockCycles(self.dut.clk, 200)

    async def stats(self):
        """What was counted since the start: counters outlive a reset."""
        now = await self.host(self.gw.stats)
        return {name: value - self.counted[name] for name, value in now.items()}

    async def records(self, kind):
        await ClockCycles(self.dut.clk, 40)         # the last one may be on its way
        return await self.host(lambda: select(self.gw.events.poll().copy(), kind))

    async def has_book(self, number, *, tradable=True):
        """The book is the golden one after this frame, level by level."""
        book = await self.host(lambda: self.gw.books[self.instrument])
        assert book.tradable == tradable
        golden = TOLD["levels"][number]
        for name in ("bids", "asks"):
            found = [[float(level.price), float(level.amount)] for level in getattr(book, name)]
            assert found == golden[name]
        assert book.change_id == golden["change_id"]

    async def follow_ticks(self):
        """Sends all ticks; after each one book and order are the golden ones."""
        expected = []
        for tick, octets in enumerate(TICKS):
            await self.send(octets)
            await self.has_book(1 + tick)
            for order in orders_of("book", tick):
                self.has_order(len(expected), order)
                expected.append(order)
            assert self.sink.empty()
        return expected

    def has_order(self, place, expected):
        """The next frame is the order number ``place`` of the session, for (side, price)."""
        received = self.sink.recv_nowait()
        assert received.check_fcs()
        assert received.get_preamble() == bytes([*[0x55] * 7, 0xd5])
        octets = bytes(received.get_payload())
        packet = Ether(octets)
        assert (packet.src, packet.dst) == (CONNECTION.source_mac, CONNECTION.destination_mac)
        assert (packet[IP].src, packet[IP].dst) == ("10.0.0.2", "10.0.0.3")
        assert (packet[TCP].sport, packet[TCP].dport) == (40_000, 9_000)
        assert packet[TCP].ack == ACKNOWLEDGEMENT
        assert packet[TCP].flags == "PA"
        rebuilt = packet.copy()
        del rebuilt[IP].chksum, rebuilt[IP].len, rebuilt[TCP].chksum
        assert bytes(rebuilt) == octets             # lengths and checksums are those of scapy
        order = parse_order(octets)
        side, price = expected
        assert order.message == NEW
        assert (order.side, order.price, order.quantity) == (side, price, TOLD["quantity"])
        assert order.instrument == ORDER_ID
        assert order.client_id == CLIENT_ID + place
        assert order.venue_sequence == VENUE_SEQUENCE + place
        assert order.tcp_sequence == SEQUENCE + place * order.tcp_length


def orders_of(trigger, tick):
    return [tuple(one) for one in TOLD["orders"][trigger][tick]]


def reasons(records):
    return [Reason(one) for one in records["reason"]]


@cocotb.test()
async def ticks_become_orders(dut):
    bench = await Bench().start(dut)
    before = await bench.host(lambda: bench.gw.books[bench.instrument])
    assert not before.tradable
    await bench.send(SNAPSHOT)
    await bench.has_book(0)
    assert bench.sink.empty()
    expected = await bench.follow_ticks()
    stats = await bench.stats()
    assert stats["RX_GOOD"] == stats["IP_ACCEPTED"] == stats["FEED_GOOD"] == 1 + len(TICKS)
    assert stats["ORDERS_SENT"] == stats["TX_FRAMES"] == len(expected)
    records = await bench.host(lambda: bench.gw.events.poll().copy())
    orders, books = select(records, "ORDER"), select(records, "BOOK")
    assert reasons(orders) == [Reason.PASSED] * len(expected)
    assert orders["client_id"].tolist() == [CLIENT_ID + n for n in range(len(expected))]
    assert [from_key(int(one)) * 10**9 for one in orders["price"]] == [p for _, p in expected]
    for record, golden in zip(books, TOLD["levels"], strict=True):
        touch = [float(from_key(int(record["bid_price"]))),
                 float(from_bits(int(record["bid_amount"]))),
                 float(from_key(int(record["ask_price"]))),
                 float(from_bits(int(record["ask_amount"])))]
        assert touch == [*golden["bids"][0], *golden["asks"][0]]
        assert record["change_id"] == golden["change_id"]


@cocotb.test()
async def a_kill_between_two_ticks_stops_the_second_order(dut):
    bench = await Bench().start(dut)
    await bench.send(SNAPSHOT, TICKS[0])
    dut.kill.value = 1
    await ClockCycles(dut.clk, 10)
    dut.kill.value = 0
    await bench.send(TICKS[1])
    assert bench.sink.count() == 1
    status = await bench.host(bench.gw.status)
    assert status["killed"] and status["armed"]
    stats = await bench.stats()
    assert stats["REFUSED_KILLED"] == stats["ORDERS_SENT"] == stats["TX_FRAMES"] == 1
    assert reasons(await bench.records("ORDER")) == [Reason.PASSED, Reason.KILLED]
    await bench.has_book(2)
    await bench.host(bench.gw.release_kill)
    await bench.host(bench.gw.arm)
    await bench.send(TICKS[2])
    assert bench.sink.count() == 2
    bench.has_order(0, *orders_of("book", 0))
    bench.has_order(1, *orders_of("book", 2))


@cocotb.test()
async def after_fcs_a_damaged_tick_does_nothing(dut):
    bench = await Bench().start(dut)
    await bench.send(SNAPSHOT)
    await bench.send(TICKS[0], damage=True)
    assert bench.sink.empty()
    await bench.has_book(0)
    stats = await bench.stats()
    assert (stats["RX_FCS"], stats["RX_GOOD"]) == (1, 1)
    assert stats["REFUSED_BAD_FRAME"] == 1
    assert stats["ORDERS_SENT"] == stats["TX_FRAMES"] == stats["FEED_GAP"] == 0
    await bench.send(TICKS[0])                      # whole this time
    await bench.has_book(1)
    assert bench.sink.count() == 1
    bench.has_order(0, *orders_of("book", 0))
    assert reasons(await bench.records("ORDER")) == [Reason.BAD_FRAME, Reason.PASSED]


@cocotb.test()
async def under_cut_through_a_damaged_tick_disarms_its_instrument(dut):
    bench = await Bench().start(dut, policy="cut_through", trigger="ticker")
    await bench.send(SNAPSHOT)
    assert bench.sink.empty()
    await bench.send(TICKS[0], damage=True)
    assert bench.sink.count() == 1                  # it had left before the FCS came
    bench.has_order(0, *orders_of("ticker", 0))
    await bench.has_book(0, tradable=False)
    assert (await bench.stats())["RX_FCS"] == 1
    await bench.send(*TICKS[1:2])
    assert bench.sink.empty()
    order = Order(instrument=bench.instrument, side=Side.BID, price=1500, quantity=1)
    try:
        await bench.host(bench.gw.send, order)
        raise AssertionError("an order of a disarmed instrument left")
    except OrderRefusedError as refusal:
        assert refusal.reason is Reason.RESTRICTED
    assert bench.sink.empty()


@cocotb.test()
@cocotb.parametrize(period=[PERIOD - HUNDRED_PPM, PERIOD + HUNDRED_PPM])
async def a_receive_clock_100_ppm_off_changes_nothing(dut, period):
    bench = await Bench().start(dut, period=period)
    filler = bytes.fromhex("02000a000003 02000a000001 88b5") + bytes(1500)
    count = 160                                     # three words are lost or missing meanwhile
    await bench.send(*[filler] * count, SNAPSHOT)
    await bench.follow_ticks()
    stats = await bench.stats()
    assert stats["RX_GOOD"] == count + 1 + len(TICKS)
    assert stats["IP_NOT_IP"] == count
    assert stats["CROSSING_OVERFLOW"] == stats["RX_FCS"] == stats["RX_SYMBOL"] == 0


@cocotb.test()
async def a_stopped_receive_clock_stops_neither_kill_nor_registers(dut):
    bench = await Bench().start(dut)
    await bench.send(SNAPSHOT)
    await bench.source.send(XgmiiFrame.from_payload(TICKS[0]))
    await ClockCycles(dut.rx_clk, 20)               # in the middle of the tick
    bench.rx_clock.stop()
    await bench.host(bench.gw.cancel, bench.instrument, 4711)
    await ClockCycles(dut.clk, 40)
    assert parse_order(bytes(bench.sink.recv_nowait().get_payload())).client_id == 4711
    await bench.host(bench.gw.kill)
    assert (await bench.host(bench.gw.status))["killed"]
    order = Order(instrument=bench.instrument, side=Side.BID, price=1500, quantity=1)
    try:
        await bench.host(bench.gw.send, order)
        raise AssertionError("an order left although the kill switch was pulled")
    except OrderRefusedError as refusal:
        assert refusal.reason is Reason.KILLED
    orders = await bench.records("ORDER")
    assert [Action(one) for one in orders["action"]] == [Action.CANCEL, Action.NEW]
    stats = await bench.stats()
    assert stats["REFUSED_KILLED"] == stats["RX_GOOD"] == 1
    await bench.has_book(0)
    # The clock comes back: the rest of the tick arrives, but nothing leaves on it.
    bench.rx_clock.start()
    await bench.send()
    await bench.has_book(1)
    assert bench.sink.empty()
    assert (await bench.stats())["REFUSED_KILLED"] == 2


@cocotb.test()
async def pulses_of_the_pps_pin_are_stamped_by_the_clock(dut):
    """At any phase to the clock; the time is that of the cycle in which the pin rose."""
    bench = await Bench().start(dut)
    clock = bench.gw.clock
    counted = (await bench.host(clock.pulse)).count
    await bench.host(clock.set, NOON)
    # One cycle's time, and when it began: reads are sampled a cycle after the strobe.
    begun = None

    async def watch():
        nonlocal begun
        await RisingEdge(dut.csr__read)
        await RisingEdge(dut.clk)
        begun = get_sim_time("fs")

    watcher = cocotb.start_soon(watch())
    measured = await bench.host(clock.measure, 1)
    await watcher
    for number, phase in enumerate((1, PERIOD // 2 - 1, PERIOD // 2 + 1, PERIOD - 1)):
        await RisingEdge(dut.clk)
        edge = get_sim_time("fs")
        await Timer(phase, unit="fs")
        dut.pps.value = 1
        await ClockCycles(dut.clk, 20)
        dut.pps.value = 0
        await ClockCycles(dut.clk, 20)
        pulse = await bench.host(clock.pulse)
        assert pulse.count == counted + number + 1
        cycles = (edge - begun) // PERIOD
        assert abs(pulse.time_ns - measured.clock_ns - cycles * 6.4) <= 2
