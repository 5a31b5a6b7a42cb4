"""The one gate that every order passes, or is refused at with a reason."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from tickwire.hdl.csr.table import table_write
from tickwire.hdl.entry.intent import Action, Order, OrderIntent, OrderOutcome, Reason, Source
from tickwire.hdl.strategy.interface import InstrumentNotice
from tickwire.hdl.strategy.prefetch import RowPrefetch
from tickwire.hdl.stream.packet import strobe

from .checks import RiskLimits, comparisons, failures
from .rate import RateLimit, TokenBucket

__all__ = ["RiskGate"]


class RiskGate(wiring.Component):
    """Checks every intent of the strategy's and the host's; each gives one order or one refusal.

    The reason of a refusal is the lowest one that holds. A decision takes nothing but registers and
    the comparison of this very order with the limits of its instrument, whose row was fetched
    before. If the row of another instrument stands there, the intent waits until its own has come.

    Latency: ``i_strategy`` and ``i_void`` → ``o`` or ``o_refused`` 1 cycle; if the row of another
    instrument stands there, 6 cycles from the one in which ``i_next`` names the intent's.
    ``i_host`` → ``o`` or ``o_refused`` 5 cycles while neither the strategy nor the fetch of its
    row needs the gate. Controls → decision 1 cycle, ``i_disarm`` 2 cycles; ``i_write`` → decision 4
    cycles for the strategy, 6 for the host.

    Parameters
    ----------
    instruments : int
        Dense indices, a power of two; intents of others are MALFORMED.

    Members
    -------
    i_instrument : In(strobe(InstrumentNotice))
        The message that is arriving is about this instrument: its row is fetched.
    i_next : In(strobe(7))
        An intent is waiting at the launch gate: its row goes first. The payload is the instrument
        of the intent that waits first in the next cycle; if none waits, of the one that comes.
    i_strategy : In(stream.Signature(OrderIntent))
        Released intents: what waits at the launch gate first, and if nothing waits what comes.
        The strategy wins over the host, whose turn is settled a cycle before it.
    i_decided, i_released : In(16)
        With ``i_strategy`` and ``i_void``.
    i_void : In(strobe(Reason))
        The intent at ``i_strategy.payload`` was refused before it came here. Never while
        ``i_strategy.valid``.
    i_any : In(1)
        An intent comes to the launch gate or waits there: the host waits, too. High in the cycle
        before ``i_void``.
    i_host : In(stream.Signature(OrderIntent))
        The host's intents. Taken in the cycle of the decision; the payload stands a cycle longer.
    i_write : In(table_write(RiskLimits, instruments))
        Limits of one instrument. Writing them lifts what ``i_disarm`` did.
    i_rate : In(table_write(RateLimit, 2))
        Budgets: row 0 for new orders, row 1 for cancels.
    i_disarm : In(strobe(7)).array(3)
        Restrict this instrument until its limits are written again.
    armed, killed, host_timeout : In(1)
        From :class:`tickwire.hdl.risk.arming.Arming`.
    log_full, session_ok, window_ok : In(1)
        The audit log has no room for this order's records; there is an order session; its window
        has room for this order.
    tx_busy : In(1)
        An order could not begin now. Need not know of an ``o`` in the cycle before the decision.
    o_query : Out(7)
        Instrument of the host's intent, from the cycle of its arrival on.
    o_asked : Out(OrderIntent)
        The intent that is decided on in this cycle, if any is; known from registers alone.
    i_tradable : In(1)
        The book of the instrument at ``o_query`` may be traded on. Used from the third cycle on.
    now : In(16)
        Cycle counter.
    o : Out(strobe(Order))
        Send this order: its frame begins in this very cycle.
    o_refused : Out(strobe(OrderOutcome))
        Audit record of a refusal.
    o_count : Out(len(Reason))
        Bit n: an outcome with the reason n. Bit 0: sent. At most one bit is high.
    """

    def __init__(self, *, instruments=128):
        if instruments < 2 or instruments > 128 or instruments & (instruments - 1):
            raise ValueError("RiskGate instruments must be a power of two from 2 to 128, "
                             f"not {instruments!r}")
        self.instruments = instruments
        super().__init__({
            "i_instrument": In(strobe(InstrumentNotice)),
            "i_next": In(strobe(7)),
            "i_strategy": In(stream.Signature(OrderIntent)),
            "i_decided": In(16),
            "i_released": In(16),
            "i_void": In(strobe(Reason)),
            "i_any": In(1),
            "i_host": In(stream.Signature(OrderIntent)),
            "i_write": In(table_write(RiskLimits, instruments)),
            "i_rate": In(table_write(RateLimit, 2)),
            "i_disarm": In(strobe(7)).array(3),
            "armed": In(1), "killed": In(1), "host_timeout": In(1),
            "log_full": In(1), "session_ok": In(1), "window_ok": In(1), "tx_busy": In(1),
            "o_query": Out(7),
            "o_asked": Out(OrderIntent),
            "i_tradable": In(1),
            "now": In(16),
            "o": Out(strobe(Order)),
            "o_refused": Out(strobe(OrderOutcome)),
            "o_count": Out(len(Reason)),
        })
        self.rows = RowPrefetch(RiskLimits, instruments)
        self.new_budget, self.cancel_budget = TokenBucket(), TokenBucket()
        # Instruments that were disarmed since their limits were written; after reset, all.
        self.disarmed = Signal(instruments, init=-1)

    def elaborate(self, platform):
        m = Module()
        m.submodules.rows = rows = self.rows
        m.submodules.new_budget = new_budget = self.new_budget
        m.submodules.cancel_budget = cancel_budget = self.cancel_budget
        connect(m, flipped(self.i_write), rows.i_write)
        strategy, host = self.i_strategy.payload, self.i_host.payload

        # Row of the instrument that is waited for, or that the arriving message is about.
        notice = self.i_instrument
        noticed = Signal(7)
        listed = notice.valid & notice.payload.known
        waits, first_waits = Signal(), Signal(7)
        m.d.sync += [waits.eq(self.i_next.valid), first_waits.eq(self.i_next.payload)]
        wanted = Mux(waits, first_waits, noticed)
        with m.If(listed):
            m.d.sync += noticed.eq(notice.payload.index)
        with m.If(listed & ~self.i_next.valid):
            m.d.comb += rows.i_fetch.payload.eq(notice.payload.index)
        with m.Else():
            m.d.comb += rows.i_fetch.payload.eq(wanted)
        again = Signal(init=1)      # the row of another instrument stands there
        m.d.comb += rows.i_fetch.valid.eq((listed & ~self.i_next.valid) | again)
        m.d.sync += again.eq(~rows.i_fetch.valid & (rows.o_index != wanted[:len(rows.o_index)]))

        # A restriction is lifted with the written row, not before it.
        disarmed, lifts = self.disarmed, Signal()
        lifted = Signal(range(self.instruments))
        disarms = []
        for number, source in enumerate(self.i_disarm):
            valid, index = Signal(name=f"disarms_{number}"), Signal(7, name=f"disarm_{number}")
            m.d.sync += [valid.eq(source.valid), index.eq(source.payload)]
            disarms.append((valid, index))
        m.d.sync += [lifts.eq(rows.o_written.valid), lifted.eq(rows.o_written.payload)]
        for n in range(self.instruments):
            with m.If(lifts & (lifted == n)):
                m.d.sync += disarmed[n].eq(0)
            for valid, index in disarms:
                with m.If(valid & (index == n)):
                    m.d.sync += disarmed[n].eq(1)

        def restricted(row, index):
            flag = Signal()
            now = disarmed.bit_select(index, 1)
            for valid, which in disarms:
                now = now | (valid & (which == index))
            m.d.sync += flag.eq(now)
            return flag | ~row.enabled

        # The strategy's turn, as soon as the row is there. Of an intent that waits, a register says
        # so; it looks a cycle ahead, when the intent may be just coming.
        known_host = host.instrument < self.instruments
        def row_stands(index):
            return (index >= self.instruments) | (rows.o_ready & (rows.o_index == index))

        stands, host_turn, own_row = Signal(), Signal(), Signal()
        m.d.sync += stands.eq(~rows.i_fetch.valid & row_stands(self.i_next.payload))
        m.d.comb += self.i_strategy.ready.eq(~host_turn & Mux(
            self.i_next.valid, stands, row_stands(strategy.instrument)))
        strategy_turn = self.i_strategy.valid & self.i_strategy.ready

        # The host's turn, after a fetch, when nobody else wanted to decide in the cycle before: so
        # a register chooses whose intent it is.
        host_sizes = [Signal(name=f"host_size_{n}") for n in range(3)]
        m.d.comb += [
            self.o_query.eq(host.instrument),
            rows.i_slow.payload.eq(host.instrument),
            self.i_host.ready.eq(host_turn),
        ]
        m.d.sync += [register.eq(value) for register, value in
                     zip(host_sizes, (Cat(one).any() for one in comparisons(
                         host, rows.o_slow_row)), strict=True)]
        m.d.sync += own_row.eq(
            (rows.o_slow_ready & (rows.o_slow_index == host.instrument)) | ~known_host)
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += rows.i_slow.valid.eq(self.i_host.valid & ~host_turn)
                with m.If(rows.i_slow.valid & rows.i_slow.ready):
                    m.next = "LOAD"
            with m.State("LOAD"):
                m.next = "COMPARE"
            with m.State("COMPARE"):
                m.next = "DECIDE"
            with m.State("DECIDE"):
                with m.If(~self.i_host.valid | ~own_row):
                    m.next = "IDLE"
                with m.Elif(~self.i_any):
                    m.d.sync += host_turn.eq(1)
                    m.next = "IDLE"
        with m.If(host_turn):
            m.d.sync += host_turn.eq(0)

        from_host = host_turn
        intent = self.o_asked
        m.d.comb += intent.eq(Mux(from_host, host, strategy))
        # A token is taken a cycle after the order has begun: until then two must be there.
        sends_new = self.o.valid & (self.o.payload.intent.action == Action.NEW)
        sends_cancel = self.o.valid & (self.o.payload.intent.action == Action.CANCEL)
        m.d.sync += [new_budget.i_take.eq(sends_new), cancel_budget.i_take.eq(sends_cancel)]
        new_ok = Mux(new_budget.i_take, new_budget.o_more, new_budget.o_ok)
        cancel_ok = Mux(cancel_budget.i_take, cancel_budget.o_more, cancel_budget.o_ok)
        # Whether an order goes out in this very cycle is known late, so it is looked at in the
        # next one: the transmitter is busy with it, and it may have taken the last token.
        sent, spent = Signal(), Signal()
        m.d.sync += [
            sent.eq(self.o.valid),
            spent.eq((intent.action == self.o.payload.intent.action) & ~Mux(
                intent.action == Action.NEW, new_budget.o_more, cancel_budget.o_more)),
        ]
        fails = failures(
            intent, [from_host & size for size in host_sizes],
            armed=self.armed, killed=self.killed, host_timeout=self.host_timeout,
            log_full=self.log_full, session_ok=self.session_ok,
            restricted=Mux(from_host, restricted(rows.o_slow_row, rows.o_slow_index),
                           restricted(rows.o_row, rows.o_index)),
            stale=from_host & ~self.i_tradable,
            unknown=intent.instrument >= self.instruments,
            rate_ok=Mux(intent.action == Action.NEW, new_ok, cancel_ok),
            window_ok=self.window_ok, tx_busy=self.tx_busy)

        # From here on only registers. Whether everything holds is found from few of them: the
        # strategy's comparisons, each by itself, and all the rest.
        failed_rest, failed = Signal(len(Reason)), Signal(len(Reason))
        late = {reason: [] for reason in (Reason.MALFORMED, Reason.SIZE, Reason.PRICE_BAND)
                if reason in dict(fails)}
        for (reason, registers), conditions in zip(
                late.items(), comparisons(strategy, rows.o_row), strict=False):
            for number, condition in enumerate(conditions):
                register = Signal(name=f"{reason.name.lower()}_{number}")
                m.d.sync += register.eq(condition & ~from_host & (intent.action == Action.NEW))
                registers.append(register)
        late_any = Cat(late.values()).any()
        of_order_before = {Reason.RATE: sent & spent, Reason.TX_BUSY: sent}
        m.d.comb += failed.eq(failed_rest | Cat(
            Cat(*late.get(reason, ()), of_order_before.get(reason, 0)).any()
            for reason in Reason))
        blocked, turned, by_host, voided = Signal(), Signal(), Signal(), Signal()
        void_reason = Signal(Reason)
        of_strategy = Signal(OrderIntent, reset_less=True)
        order, refusal = self.o.payload, self.o_refused.payload
        m.d.sync += [
            turned.eq(strategy_turn | host_turn),
            failed_rest.eq(Cat(dict(fails).get(reason, Const(0, 1)) for reason in Reason)),
            blocked.eq(Cat(condition for _, condition in fails).any()),
            by_host.eq(from_host),
            of_strategy.eq(strategy),
            voided.eq(self.i_void.valid),
            void_reason.eq(self.i_void.payload),
            order.decided.eq(Mux(from_host, self.now, self.i_decided)),
            order.released.eq(Mux(from_host, self.now, self.i_released)),
        ]
        fails_any = blocked | late_any | sent
        first = Signal(len(Reason))     # which failed check has the lowest number
        m.d.comb += [
            self.o.valid.eq(turned & ~fails_any),
            self.o_refused.valid.eq(turned & fails_any | voided),
            order.intent.eq(Mux(by_host, host, of_strategy)),
            order.intent.source.eq(Mux(by_host, Source.HOST, Source.STRATEGY)),
            refusal.intent.eq(order.intent),
            refusal.decided.eq(order.decided),
            refusal.released.eq(order.released),
            first.eq(Mux(voided, Const(1) << Value.cast(void_reason), failed & (~failed + 1))),
            self.o_count.eq(Mux(self.o_refused.valid, first, self.o.valid)),
        ]
        for reason in Reason:
            with m.If(first[reason.value]):
                m.d.comb += refusal.reason.eq(reason)

        m.d.comb += [
            new_budget.i_limit.valid.eq(self.i_rate.valid & (self.i_rate.payload.index == 0)),
            cancel_budget.i_limit.valid.eq(self.i_rate.valid & (self.i_rate.payload.index == 1)),
            new_budget.i_limit.payload.eq(self.i_rate.payload.row),
            cancel_budget.i_limit.payload.eq(self.i_rate.payload.row),
        ]
        return m
