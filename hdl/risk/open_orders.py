"""Every order that was sent, until the venue has said what became of it."""

from amaranth.hdl import Const, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out, connect
from tickwire.hdl.entry.execution import ExecutionKind
from tickwire.hdl.entry.intent import Action
from tickwire.hdl.feed.event import Side
from tickwire.hdl.risk.exposure import ExposureTable, WorstCase
from tickwire.hdl.risk.order_reader import OrderReader
from tickwire.hdl.risk.order_state import (
    QUANTITY_BITS,
    Anomaly,
    OpenOrder,
    OrderChange,
    OrderSent,
    OrderState,
    is_open,
    one_hot,
)
from tickwire.hdl.stream.packet import strobe

__all__ = ["PositionSet", "OpenOrders"]


class PositionSet(data.Struct):
    """The host says what the position is, without what is open."""

    instrument: 7
    filled: signed(64)


class OpenOrders(wiring.Component):
    """A table of orders; a row is found by the low bits of the client id, and the rest compared.

    What an order may still fill is reserved when it is sent and released by what is filled,
    cancelled or rejected of it: never more than is still open, and the rest at once when it is
    done. So what was reserved is released exactly once, in whatever order the changes come and
    however often. A reset empties the table.

    Latency: a change, an order sent or a position is taken → row, ``o_open`` and ``o_anomaly``
    5 cycles, the exposures' memory 8 cycles. One every 5 cycles. ``i_next`` → ``o_taken`` 2 cycles.
    ``i_break`` → walk through the rows 2 cycles, when nothing is being entered; it takes 5 cycles
    a row, and nothing else is taken meanwhile. Reset → the first is taken as many cycles later as
    there are rows, or instruments if these are more.

    Parameters
    ----------
    rows : int
        A power of two, at least 2.
    instruments : int
        Dense indices, a power of two; of larger ones only the low bits count.

    Members
    -------
    i_sent : In, stream(OrderSent)
        Goes before ``i_change``.
    i_change : In, stream(OrderChange)
    i_position : In, stream(PositionSet)
        Comes last.
    i_break : In, 1 bit
        The session broke: all open orders become UNKNOWN, and stay reserved. Only a change that
        the venue or the host makes brings them out of it.
    i_next : In, 64 bits
        Client id of the next order.
    o_taken : Out, 1 bit
        Its row holds an order that is open: sent now, it would not get into the table.
    o_open : Out
        Orders that are open.
    o_pending : Out, 1 bit
        Something is being entered or waits for it: the figures are not the last ones yet.
    i_query : In, 7 bits
    o_worst : Out, WorstCase
        Of the instrument asked for: see ``ExposureTable``.
    i_read, o_read, i_list, o_listed, o_listing
        See ``OrderReader``.
    o_anomaly : Out, a bit for each Anomaly
        Strobes.

    Raises
    ------
    ValueError
        If ``rows`` is not a power of two of at least 2.
    """

    def __init__(self, *, rows=256, instruments=128):
        if rows < 2 or rows & (rows - 1):
            raise ValueError("OpenOrders rows must be a power of two of at least 2, "
                             f"not {rows!r}")
        self.rows = rows
        self.exposures = ExposureTable(instruments)
        self.memory = Memory(shape=OpenOrder, depth=rows, init=[], attrs={"no_rw_check": 1})
        self.read = self.memory.read_port()
        self.taken = Memory(shape=1, depth=rows, init=[], attrs={"no_rw_check": 1})
        self.reader = OrderReader(self.memory, rows)
        super().__init__({
            "i_sent": In(stream.Signature(OrderSent)),
            "i_change": In(stream.Signature(OrderChange)),
            "i_position": In(stream.Signature(PositionSet)),
            "i_break": In(1),
            "i_next": In(64), "o_taken": Out(1),
            "o_open": Out(range(rows + 1)),
            "o_pending": Out(1),
            "i_query": In(7), "o_worst": Out(WorstCase),
            "i_read": In(stream.Signature(range(rows))),
            "o_read": Out(strobe(OpenOrder)),
            "i_list": In(1),
            "o_listed": Out(stream.Signature(OpenOrder)),
            "o_listing": Out(1),
            "o_anomaly": Out(len(Anomaly)),
        })
        self.wiping = Signal(init=1)
        self.wipe_at = Signal(range(max(rows, instruments)))
        # Of what is being entered. `stage` is one-hot: TAKE, LOAD, COMPARE, DECIDE, WRITE.
        self.stage = Signal(5, init=1)
        self.at = Signal(range(rows))
        self.walking, self.walks, self.broken = Signal(), Signal(), Signal()
        self.is_sent, self.is_change, self.is_position = Signal(), Signal(), Signal()
        self.sent, self.change = Signal(OrderSent), Signal(OrderChange)
        self.position = Signal(PositionSet)
        self.row = Signal(OpenOrder)

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = self.memory
        m.submodules.exposures = exposures = self.exposures
        m.submodules.reader = reader = self.reader
        m.submodules.taken = taken = self.taken
        read, write = self.read, self.memory.write_port()
        take, load, _, _, enters = self.stage
        at, row, sent, change = self.at, self.row, self.sent, self.change
        wiping, wipe_at = self.wiping, self.wipe_at
        m.d.sync += wipe_at.eq(wipe_at + wiping)
        with m.If(wipe_at == max(self.rows, self.exposures.instruments) - 1):
            m.d.sync += wiping.eq(0)

        m.d.comb += [
            exposures.i_wipe.valid.eq(wiping),
            exposures.i_wipe.payload.eq(wipe_at),
            exposures.i_query.eq(self.i_query),
            self.o_worst.eq(exposures.o),
            reader.i_writing.eq(write.en),
            reader.i_list.eq(self.i_list),
            self.o_listing.eq(reader.o_listing),
        ]
        for name in ("i_read", "o_read", "o_listed"):
            connect(m, wiring.flipped(getattr(self, name)), getattr(reader, name))

        # TAKE: whose turn it is. A walk has the rows one after another.
        broken, last_row = self.broken, at == self.rows - 1
        m.d.comb += [
            self.i_sent.ready.eq(take & ~self.walking & ~wiping),
            self.i_change.ready.eq(self.i_sent.ready & ~self.i_sent.valid & ~broken),
            self.i_position.ready.eq(self.i_change.ready & ~self.i_change.valid),
            self.o_pending.eq(
                ~take | wiping | self.walking | broken | exposures.i.valid | exposures.reads
                | exposures.writes | self.i_sent.valid | self.i_change.valid
                | self.i_position.valid),
        ]
        wanted = Mux(self.walking, at, Mux(self.i_sent.valid, self.i_sent.payload.client_id,
                                           self.i_change.payload.client_id)[:len(at)])
        any_taken = self.i_sent.valid | ~broken & (self.i_change.valid | self.i_position.valid)
        m.d.comb += read.addr.eq(wanted)
        with m.If(take):
            m.d.sync += [
                at.eq(wanted),
                self.walks.eq(self.walking),
                self.is_sent.eq(self.i_sent.valid & self.i_sent.ready),
                self.is_change.eq(self.i_change.valid & self.i_change.ready),
                self.is_position.eq(self.i_position.valid & self.i_position.ready),
                sent.eq(self.i_sent.payload),
                change.eq(self.i_change.payload),
                self.position.eq(self.i_position.payload),
            ]
        with m.If((~take | self.walking | any_taken) & ~wiping):
            m.d.sync += self.stage.eq(self.stage.rotate_left(1))
        with m.If(load):
            m.d.sync += row.eq(read.data)
        # What was sent before the session broke is in the table before the walk begins.
        starts = take & ~wiping & ~self.walking & broken & ~self.i_sent.valid
        m.d.sync += broken.eq(self.i_break | broken & ~starts)
        with m.If(starts):
            m.d.sync += [self.walking.eq(1), at.eq(0)]
        with m.If(enters & self.walking):
            m.d.sync += [self.walking.eq(~last_row), at.eq(at + 1)]

        # COMPARE: everything that needs the row's numbers.
        found, opened, same_unit = Signal(), Signal(), Signal()
        exceeds, fewer = Signal(), Signal()
        after_fill = Signal(QUANTITY_BITS)
        client_id = Mux(self.is_sent, sent.client_id, change.client_id)
        m.d.sync += [
            found.eq((row.client_id == client_id) & (row.state != OrderState.FREE)),
            opened.eq(is_open(row.state)),
            same_unit.eq(row.exponent == change.exponent),
            exceeds.eq(change.quantity > row.open),
            after_fill.eq(row.open - change.quantity),
            fewer.eq(change.leaves < row.open),
        ]

        # DECIDE: the new row, and what it releases.
        kind, new, state = change.kind, Signal(OpenOrder), row.state
        anomalies = {anomaly: Signal(name=f"is_{anomaly.name.lower()}") for anomaly in Anomaly}
        filled, gone = Signal(), Signal(QUANTITY_BITS)
        rest = Signal(QUANTITY_BITS)
        partly = OrderState(Mux(rest != row.quantity, OrderState.PARTIAL, OrderState.ACKNOWLEDGED))
        m.d.comb += [new.eq(row), rest.eq(row.open)]

        def counts(anomaly):
            return anomalies[anomaly].eq(1)

        def leaves_rest(*states):
            """The order stays open with ``rest``, or is done."""
            for held, becomes in states:
                with m.If(Const(1, 1) if held is None else state == held):
                    m.d.comb += new.state.eq(becomes)
            with m.If(change.final | (rest == 0)):
                m.d.comb += [new.state.eq(OrderState.DONE), new.open.eq(0), gone.eq(row.open)]
            with m.Else():
                m.d.comb += [new.open.eq(rest), gone.eq(row.open - rest)]

        with m.If(self.walks):
            m.d.comb += new.state.eq(OrderState(Mux(opened, OrderState.UNKNOWN, state)))
        with m.Elif(self.is_sent & (sent.action == Action.NEW)):
            with m.If(opened):
                m.d.comb += counts(Anomaly.COLLISION)
            with m.Elif(sent.quantity != 0):
                m.d.comb += [new[name].eq(sent[name]) for name in (
                    "client_id", "instrument", "side", "exponent", "quantity", "price")]
                m.d.comb += [new.open.eq(sent.quantity), new.state.eq(OrderState.SENT)]
        with m.Elif(self.is_sent | self.is_change):
            with m.If(~found):
                m.d.comb += counts(Anomaly.STRAY)
            with m.Elif(self.is_sent):
                with m.If(~opened | (state == OrderState.CANCEL_SENT)):
                    m.d.comb += counts(Anomaly.REPEATED)
                with m.Elif(state != OrderState.UNKNOWN):
                    m.d.comb += new.state.eq(OrderState.CANCEL_SENT)
            with m.Elif(kind == ExecutionKind.EXECUTED):
                with m.If(~same_unit):
                    m.d.comb += counts(Anomaly.EXPONENT)
                    with m.If(opened):
                        m.d.comb += new.state.eq(OrderState.UNKNOWN)
                with m.Else():
                    m.d.comb += [filled.eq(1), rest.eq(Mux(exceeds, 0, after_fill))]
                    with m.If(opened):
                        leaves_rest((None, OrderState.PARTIAL),
                                    (OrderState.CANCEL_SENT, OrderState.CANCEL_SENT))
                        with m.If(exceeds):
                            m.d.comb += counts(Anomaly.EXCESS)
                    with m.Else():
                        m.d.comb += counts(Anomaly.LATE)
            with m.Elif(kind == ExecutionKind.BROKEN):
                m.d.comb += counts(Anomaly.BROKEN)
            with m.Elif(~opened):
                m.d.comb += counts(Anomaly.REPEATED)
            with m.Elif(kind == ExecutionKind.REPLACED):
                m.d.comb += [counts(Anomaly.REPLACED), new.state.eq(OrderState.UNKNOWN)]
            with m.Elif(kind == ExecutionKind.REJECTED):
                m.d.comb += rest.eq(0)
                leaves_rest()
            with m.Elif(kind == ExecutionKind.CANCELLED):
                with m.If(change.final):
                    m.d.comb += rest.eq(0)
                with m.Elif(~same_unit):
                    m.d.comb += counts(Anomaly.EXPONENT)
                with m.Elif(change.stated):
                    m.d.comb += rest.eq(Mux(fewer, change.leaves, row.open))
                with m.Else():
                    m.d.comb += rest.eq(Mux(exceeds, 0, after_fill))
                leaves_rest((None, OrderState.PARTIAL),
                            (OrderState.CANCEL_SENT, OrderState.CANCEL_SENT))
                with m.If(~change.final & ~same_unit):
                    m.d.comb += new.state.eq(OrderState.UNKNOWN)
            with m.Elif(kind == ExecutionKind.ACCEPTED):
                with m.If((state == OrderState.ACKNOWLEDGED) & ~change.final):
                    m.d.comb += counts(Anomaly.REPEATED)
                with m.Else():
                    with m.If(same_unit & change.stated & fewer):
                        m.d.comb += rest.eq(change.leaves)
                    leaves_rest((OrderState.SENT, partly), (OrderState.UNKNOWN, partly))
            with m.Elif(kind == ExecutionKind.CANCEL_REJECTED):
                with m.If(state == OrderState.CANCEL_SENT):
                    m.d.comb += new.state.eq(partly)
                with m.Elif(state != OrderState.UNKNOWN):
                    m.d.comb += counts(Anomaly.REPEATED)

        # WRITE: the row, the count, and the exposures behind it.
        new_row, was_open, goes = Signal(OpenOrder), Signal(), Signal(QUANTITY_BITS)
        fills, strange = Signal(signed(64)), Signal(len(Anomaly))
        m.d.sync += [
            new_row.eq(new), was_open.eq(opened), goes.eq(gone), strange.eq(one_hot(anomalies)),
            fills.eq(Mux(self.is_position, self.position.filled, Mux(filled, Mux(
                row.side == Side.ASK, -change.quantity, change.quantity), 0))),
        ]
        reserves = ~was_open & is_open(new_row.state)
        releases = was_open & ~is_open(new_row.state)
        m.d.comb += [
            write.en.eq(enters | wiping),
            write.addr.eq(Mux(wiping, wipe_at, at)),
            write.data.eq(Mux(wiping, 0, new_row.as_value())),
        ]
        m.d.sync += self.o_anomaly.eq(Mux(enters, strange, 0))
        with m.If(enters):
            m.d.sync += self.o_open.eq(self.o_open + reserves - releases)
        update = exposures.i.payload
        m.d.sync += [
            exposures.i.valid.eq(enters),
            update.instrument.eq(Mux(self.is_position, self.position.instrument,
                                     new_row.instrument)),
            update.side.eq(new_row.side),
            update.set.eq(self.is_position),
            update.filled.eq(fills),
            update.reserved.eq(Mux(reserves, new_row.open, 0) - goes),
        ]

        # Which rows are taken, for who is about to send.
        look, mark = taken.read_port(), taken.write_port()
        looked_at_written = Signal()
        m.d.comb += [
            look.addr.eq(self.i_next), mark.addr.eq(write.addr), mark.en.eq(write.en),
            mark.data.eq(is_open(write.data.state)),
        ]
        m.d.sync += [
            looked_at_written.eq(enters & (self.i_next[:len(at)] == at)),
            self.o_taken.eq(look.data | looked_at_written),
        ]
        return m
