"""What a table of open orders owes: stated on what goes in, and on the rows and sums it keeps.

The memories are read beside the gateware's own ports, and what was taken is remembered here. The
gateware's registers are named only to say which entry and which update is on its way.
"""

from amaranth.hdl import Assert, Assume, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from seeded import through
from tickwire.hdl.entry.execution import ExecutionKind
from tickwire.hdl.entry.intent import Action
from tickwire.hdl.feed.event import Side
from tickwire.hdl.risk.exposure import Exposure
from tickwire.hdl.risk.open_orders import OpenOrders
from tickwire.hdl.risk.order_state import OpenOrder, OrderChange, OrderSent, OrderState, is_open

ROWS = INSTRUMENTS = 2
FREE_BITS = {"client_id": (0, 1, 63), "instrument": (0,), "exponent": (0,), "price": (),
             "quantity": (0, 1, 2, 33), "leaves": (0, 1, 2, 40), "filled": (0,)}
RELEASING = (ExecutionKind.ACCEPTED, ExecutionKind.EXECUTED, ExecutionKind.CANCELLED,
             ExecutionKind.REJECTED)


def narrow(value, name):
    """All bits are 0 but those that are free."""
    free = sum(1 << bit for bit in FREE_BITS[name])
    return value & ((1 << len(value)) - 1 - free) == 0


class ReservationsAreReleasedOnce(wiring.Component):
    """The count is that of the open rows, and each sum that of what is open in them.

    What is open in a row becomes more than nothing only when an order is sent, and is then all of
    it; it only becomes less, down to nothing when the order is done, and that only by a change
    which names this order. A done order never opens again. So what is reserved is released
    exactly once, and no reservation is ever negative.

    Parameters
    ----------
    orders : OpenOrders
        With ``ROWS`` rows and ``INSTRUMENTS`` instruments.
    """

    def __init__(self, orders=None):
        self.orders = orders or OpenOrders(rows=ROWS, instruments=INSTRUMENTS)
        super().__init__(self.orders.signature)

    def elaborate(self, platform):
        m = Module()
        m.submodules.orders = orders = self.orders
        through(m, self, orders)
        exposures, wiping = orders.exposures, orders.wiping

        def contents(memory):
            ports = [memory.read_port(domain="comb") for _ in range(ROWS)]
            m.d.comb += [port.addr.eq(number) for number, port in enumerate(ports)]
            return [port.data for port in ports]

        rows, sums = contents(orders.memory), contents(exposures.memory)
        taken, marks = contents(orders.taken), [is_open(row.state) for row in rows]

        # Numbers have a few bits that are free, low and high ones, so that the proof ends. Dense
        # indices only; of larger ones only the low bits count.
        for payload in (self.i_sent.payload, self.i_change.payload, self.i_position.payload):
            m.d.comb += [Assume(narrow(payload[name], name)) for name in FREE_BITS
                         if name in dict(data.Layout.cast(payload.shape()))]

        # What was taken last, and how long ago.
        sent, change = Signal(OrderSent), Signal(OrderChange)
        is_sent, is_change, age = Signal(), Signal(), Signal(3, init=7)
        for door, what, happened in ((self.i_sent, sent, is_sent),
                                     (self.i_change, change, is_change)):
            with m.If(door.valid & door.ready):
                m.d.sync += what.eq(door.payload)
            with m.If(orders.stage[0] & ~wiping):
                m.d.sync += happened.eq(door.valid & door.ready)
        m.d.sync += age.eq(Mux(orders.stage[0] & ~wiping, 1, age + ~age.all()))

        # Each row, and what it was a cycle ago.
        settled = Signal()          # the table was whole a cycle ago
        m.d.sync += settled.eq(~wiping)
        for number, row in enumerate(rows):
            was = Signal(OpenOrder, name=f"was_{number}")
            m.d.sync += was.eq(row)
            was_open, now_open = is_open(was.state), is_open(row.state)
            names = (was.client_id == change.client_id) & is_change & (age == 5)
            new = is_sent & (sent.action == Action.NEW) & (age == 5)
            with m.If(settled & ~wiping):
                with m.If(was_open):
                    m.d.comb += [
                        Assert((row.client_id == was.client_id) & (row.side == was.side)
                               & (row.instrument == was.instrument)
                               & (row.quantity == was.quantity) & (row.price == was.price)),
                        Assert(row.open <= was.open),
                        Assert((row.open == was.open)
                               | names & sum(change.kind == kind for kind in RELEASING).any()),
                        Assert((row.open == 0) == (row.state == OrderState.DONE)),
                    ]
                with m.Elif(now_open):
                    m.d.comb += [
                        Assert(new & (row.client_id == sent.client_id)),
                        Assert((row.open == sent.quantity) & (row.quantity == sent.quantity)),
                        Assert(row.state == OrderState.SENT),
                    ]
            with m.If(~wiping):
                m.d.comb += [
                    Assert(now_open == (row.open != 0)),
                    Assert(row.open <= row.quantity),
                    Assert(taken[number] == now_open),
                    *(Assert(narrow(row[name], name)) for name in
                      ("client_id", "instrument", "exponent", "quantity", "price")),
                ]
            with m.Elif(number < orders.wipe_at):
                m.d.comb += Assert((row.as_value() == 0) & (taken[number] == 0)
                                   & (sums[number].as_value() == 0))
        with m.If(wiping):
            m.d.comb += [Assert(self.o_open == 0), Assert(orders.stage == 1),
                         Assert(~exposures.i.valid & ~exposures.reads & ~exposures.writes)]
        with m.Else():
            m.d.comb += Assert(self.o_open == sum(marks))
        m.d.comb += Assert(sum(orders.stage) == 1)

        # Sums: those of the rows, but for the update that is on its way.
        update, coming = exposures.update, exposures.i.payload
        coming_now, reads, writes = exposures.i.valid, exposures.reads, exposures.writes
        of_update = Mux(update.instrument[0], sums[1].as_value(), sums[0].as_value())
        m.d.comb += [
            Assert(coming_now + reads + writes <= 1),
            # Invariants: when updates come, and that they are of what the memory holds.
            Assert(~coming_now | orders.stage[0] & (coming.instrument < INSTRUMENTS)),
            Assert(~reads | orders.stage[:2].any()), Assert(~writes | orders.stage[:3].any()),
            Assert(~(reads | writes) | (update.instrument < INSTRUMENTS)),
            Assert(~reads | (exposures.read.data.as_value() == of_update)),
            Assert(~writes | (exposures.row.as_value() == of_update)),
        ]
        for instrument, total in enumerate(sums):
            for side, name in ((Side.BID, "buying"), (Side.ASK, "selling")):
                of_rows = sum(Mux((row.instrument == instrument) & (row.side == side), row.open, 0)
                              for row in rows)
                underway = Signal(signed(40), name=f"underway_{instrument}_{name}")
                for valid, one in ((coming_now, coming), (reads | writes, update)):
                    with m.If(valid & (one.instrument == instrument) & (one.side == side)):
                        m.d.comb += underway.eq(one.reserved)
                with m.If(~wiping):
                    m.d.comb += [
                        Assert(total[name] + underway == of_rows),
                        Assert(total[name] <= ROWS * ((1 << 32) - 1)),      # it was never below 0
                    ]
        return m


class WorstCaseIsOfTheTable(wiring.Component):
    """When nothing is pending, the worst cases are those of the fills and of what is open.

    Of the instrument asked for, if it has stood there for some cycles without an entry.
    """

    def __init__(self, orders=None):
        self.orders = orders or OpenOrders(rows=ROWS, instruments=INSTRUMENTS)
        super().__init__(self.orders.signature)

    def elaborate(self, platform):
        m = Module()
        m.submodules.orders = orders = self.orders
        through(m, self, orders)
        asked, quiet = Signal(7), Signal(3)
        m.d.comb += Assume(self.i_query < INSTRUMENTS)
        m.d.sync += [
            asked.eq(self.i_query),
            quiet.eq(Mux(self.o_pending | (asked != self.i_query), 0, quiet + ~quiet.all())),
        ]
        ports = [orders.exposures.memory.read_port(domain="comb") for _ in range(INSTRUMENTS)]
        m.d.comb += [port.addr.eq(number) for number, port in enumerate(ports)]
        with m.If((quiet >= 4) & (asked == self.i_query) & ~self.o_pending):
            total = of_instrument(asked, ports)
            m.d.comb += [
                Assert(self.o_worst.instrument == asked),
                Assert(self.o_worst.long == (total.filled + total.buying)[:64].as_signed()),
                Assert(self.o_worst.short == (total.filled - total.selling)[:64].as_signed()),
            ]
        return m


def of_instrument(index, ports):
    """The sum of one instrument."""
    return Exposure(Mux(index[0], ports[1].data.as_value(), ports[0].data.as_value()))
