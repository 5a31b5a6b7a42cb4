"""What a strategy's or host's order owes before it leaves, stated apart from the gateware.

Everything is remembered a cycle in registers of this harness; the gateware's own registers are
named only in invariants, which help the induction and weaken nothing.
"""

from amaranth.hdl import Assert, Assume, Module, Mux, Signal
from amaranth.lib import data, wiring
from seeded import through
from tickwire.hdl.entry.intent import Action, OrderIntent, Reason, Source
from tickwire.hdl.risk.checks import RiskLimits
from tickwire.hdl.risk.gate import RiskGate
from tickwire.hdl.strategy.launch import LaunchGate

FLAGS = ("armed", "killed", "host_timeout", "log_full", "session_ok", "window_ok", "tx_busy")


class OrdersWaitForTheirFrame(wiring.Component):
    """The launch gate under one launch policy, with free inputs.

    Parameters
    ----------
    cut_through : bool
        The launch policy.
    credulous : bool
        A seeded bug: every verdict looks good to the gate.
    """

    def __init__(self, *, cut_through, credulous=False):
        self.cut_through = cut_through
        self.credulous = credulous
        self.launch = LaunchGate(depth=2)
        super().__init__({name: member for name, member in self.launch.signature.members.items()
                          if name != "cut_through"})

    def elaborate(self, platform):
        # One intent is marked; it is handed over or void once, and never after a bad frame.
        m = Module()
        m.submodules.launch = launch = self.launch
        through(m, self, launch, {"cut_through": self.cut_through})
        if self.credulous:
            m.d.comb += launch.i_verdict.payload.good.eq(1)

        marked = self.i.valid & self.i.payload.client_id[0]
        seen, done, judged, good, committed = (Signal(name=name) for name in (
            "seen", "done", "judged", "good", "committed"))
        m.d.comb += Assume(~(marked & seen))
        was_marked, next_before = Signal(), Signal(7)
        m.d.sync += [was_marked.eq(marked), next_before.eq(launch.o_next.payload)]
        here = seen | marked
        here_committed = committed | (marked & self.i_committed)
        judged_now = judged | (here & self.i_verdict.valid)
        good_now = Mux(judged, good, self.i_verdict.payload.good)
        with m.If(marked):
            m.d.sync += [seen.eq(1), committed.eq(self.i_committed)]
        m.d.sync += [judged.eq(judged_now), good.eq(judged_now & good_now)]

        handed = launch.o.valid & launch.o.ready & launch.o.payload.client_id[0]
        void = launch.o_void.valid & launch.o.payload.client_id[0]
        with m.If(handed | void):
            m.d.sync += done.eq(1)
        with m.If(handed):
            m.d.comb += Assert(here & ~done & ~void)
            if self.cut_through:
                m.d.comb += Assert(here_committed | ~judged_now | good_now)
            else:
                m.d.comb += Assert(here_committed | (judged_now & good_now))
        with m.If(void):
            m.d.comb += Assert(here & ~done)
            with m.If(launch.o_void.payload == Reason.BAD_FRAME):
                m.d.comb += Assert(judged_now & ~good_now & ~here_committed)
            with m.Else():
                m.d.comb += Assert((launch.o_void.payload == Reason.RATE) & was_marked)
        with m.If(launch.o_void.valid):
            m.d.comb += [Assert(~launch.o.valid),
                         Assert((launch.o_void.payload == Reason.BAD_FRAME)
                                | (launch.o_void.payload == Reason.RATE))]
        any_before = Signal()
        m.d.sync += any_before.eq(launch.o_any)
        with m.If(launch.o_void.valid | launch.o.valid):
            m.d.comb += Assert(launch.o_any)
        with m.If(launch.o_void.valid):
            m.d.comb += Assert(any_before)
        m.d.comb += Assert(~(launch.used[0] | launch.crowded) | any_before)
        with m.If(launch.o.valid):
            m.d.comb += [
                Assert(launch.o.payload.instrument == launch.o_next.payload),
                Assert(~launch.o_next.valid | (launch.o.payload.instrument == next_before)),
            ]

        # Invariant: what was seen and is not done waits in the queue, once, with its verdict.
        rows = [launch.memory.read_port(domain="comb") for _ in range(2)]
        for n, row in enumerate(rows):
            m.d.comb += row.addr.eq(n)
        next_place, place_behind = (
            Mux(launch.read_at[0] ^ other, rows[1].data.intent.client_id[0],
                rows[0].data.intent.client_id[0]) for other in range(2))
        places = (Mux(launch.loaded, launch.head.intent.client_id[0], next_place),
                  Mux(launch.loaded, next_place, place_behind))
        crowded = launch.crowded & launch.crowded_out.intent.client_id[0]
        m.d.comb += [
            Assert(launch.used[0] | (launch.loaded & ~launch.used[1] & ~launch.crowded)),
            Assert(launch.write_at == launch.read_at ^ launch.used[1] ^ ~launch.loaded),
            Assert(((places[0] & launch.used[0]) + (places[1] & launch.used[1]) + crowded)
                   == (seen & ~done)),
            Assert(~crowded | was_marked),
            Assert(~(launch.used[0] & launch.loaded)
                   | (launch.head.intent.instrument == next_before)),
            Assert(seen | (~done & ~committed & ~judged)),
            Assert(judged | ~good),
        ]
        for n in range(2):
            m.d.comb += Assert(launch.used[n]
                               | ~(launch.good[n] | launch.bad[n] | launch.free[n]))
            with m.If(launch.used[n] & places[n]):
                m.d.comb += [
                    Assert(launch.good[n] == (committed | (judged & good))),
                    Assert(launch.bad[n] == (~committed & judged & ~good)),
                    Assert(~launch.free[n] | self.cut_through),
                ]
        return m


class OrdersArePermitted(wiring.Component):
    """The risk gate, with free inputs but for what the launch gate is proved to do."""

    def __init__(self, *, deaf=()):
        self.deaf = dict(deaf)
        self.gate = RiskGate(instruments=2)
        super().__init__(self.gate.signature)

    def elaborate(self, platform):
        # Each intent taken gives one outcome; an order has passed every check of its own.
        m = Module()
        m.submodules.gate = gate = self.gate
        through(m, self, gate, self.deaf)
        host = self.i_host
        strategy_taken = gate.i_strategy.valid & gate.i_strategy.ready
        host_taken = host.valid & host.ready

        # The host keeps what it offers, and a cycle longer.
        offered, waits, was_taken = Signal(OrderIntent), Signal(), Signal()
        m.d.sync += [offered.eq(host.payload), waits.eq(host.valid & ~host.ready),
                     was_taken.eq(host_taken)]
        with m.If(waits):
            m.d.comb += Assume(host.valid)
        with m.If(waits | was_taken):
            m.d.comb += Assume(host.payload.as_value() == offered.as_value())

        # The host writes a row when the one before has got to the table.
        writes, row_waits = Signal(self.i_write.payload.shape()), Signal()
        written = gate.rows.o_written.valid
        with m.If(self.i_write.valid):
            m.d.comb += Assume(~row_waits)
            m.d.sync += [writes.eq(self.i_write.payload), row_waits.eq(1)]
        with m.If(written):
            m.d.comb += Assert(row_waits)
            m.d.sync += row_waits.eq(0)

        # The table as it was written, and as it stood 1 and 2 cycles ago.
        table = [Signal(RiskLimits, reset_less=True, name=f"table_{n}") for n in range(2)]
        restricted = Signal(2, init=-1)
        disarms = []
        for number, port in enumerate(self.i_disarm):
            valid, payload = (Signal(name=f"disarm_valid_{number}"),
                              Signal(7, name=f"disarm_{number}"))
            m.d.sync += [valid.eq(port.valid), payload.eq(port.payload)]
            disarms.append((valid, payload))
        for n in range(2):
            lifted = Signal(name=f"lifted_{n}")
            m.d.sync += lifted.eq(written & (writes.index == n))
            with m.If(written & (writes.index == n)):
                m.d.sync += table[n].eq(writes.row)
            with m.If(lifted):
                m.d.sync += restricted[n].eq(0)
            for valid, payload in disarms:
                with m.If(valid & (payload == n)):
                    m.d.sync += restricted[n].eq(1)
        older = [Signal(RiskLimits, reset_less=True, name=f"older_{n}") for n in range(2)]
        oldest = [Signal(RiskLimits, reset_less=True, name=f"oldest_{n}") for n in range(2)]
        restricted_then, disarmed_then = Signal(2, init=-1), Signal(2)
        for n in range(2):
            m.d.sync += [older[n].eq(table[n]), oldest[n].eq(older[n])]
            m.d.sync += disarmed_then[n].eq(
                sum(valid & (payload == n) for valid, payload in disarms) != 0)
        m.d.sync += restricted_then.eq(restricted)

        def of(index, rows):
            return RiskLimits(Mux(index, rows[1], rows[0]))

        # The decision, remembered for the cycle in which its outcome is out.
        wanted = OrderIntent(Mux(host_taken, host.payload, gate.i_strategy.payload))
        index = wanted.instrument[0]
        limits = of(index, oldest)
        new = wanted.action == Action.NEW
        tokens = Mux(new, gate.new_budget.o_tokens, gate.cancel_budget.o_tokens)
        leaving = self.o.valid & (self.o.payload.intent.action == wanted.action)
        taking = Mux(new, gate.new_budget.i_take, gate.cancel_budget.i_take)
        wrong = {
            Reason.NOT_ARMED: new & ~self.armed & ~self.host_timeout,
            Reason.KILLED: new & self.killed,
            Reason.HOST_TIMEOUT: new & self.host_timeout,
            Reason.LOG_FULL: self.log_full,
            Reason.NO_SESSION: ~self.session_ok,
            Reason.RESTRICTED: new & (wanted.instrument < 2) & (
                ~limits.enabled | restricted_then.bit_select(index, 1)
                | disarmed_then.bit_select(index, 1)),
            Reason.STALE_BOOK: new & host_taken & ~self.i_tradable,
            Reason.MALFORMED: (wanted.instrument > 1) | (new & (wanted.quantity == 0)),
            Reason.SIZE: new & ~((limits.minimum_quantity <= wanted.quantity)
                                 & (wanted.quantity <= limits.maximum_quantity)),
            Reason.PRICE_BAND: new & ~((limits.lowest_price <= wanted.price)
                                       & (wanted.price <= limits.highest_price)),
            Reason.RATE: tokens < 1 + (leaving | taking),
            Reason.NO_WINDOW: ~self.window_ok,
            Reason.TX_BUSY: self.tx_busy | self.o.valid,
        }
        happened, was_void, was_host = Signal(), Signal(), Signal()
        next_before = Signal(7)
        any_before = Signal()
        m.d.sync += [next_before.eq(gate.i_next.payload), any_before.eq(gate.i_any)]
        was = Signal(OrderIntent)
        reason, void_reason = Signal(Reason), Signal(Reason)
        flags = {name: Signal(name=f"was_{name}") for name in FLAGS}
        m.d.sync += [
            happened.eq(strategy_taken | host_taken), was_host.eq(host_taken),
            was.eq(wanted), was_void.eq(gate.i_void.valid),
            void_reason.eq(gate.i_void.payload), reason.eq(Reason.PASSED),
            *(flag.eq(getattr(self, name)) for name, flag in flags.items()),
        ]
        for which in sorted(wrong, key=lambda reason: -reason.value):
            with m.If(wrong[which]):
                m.d.sync += reason.eq(which)
        known = Signal()            # of an unknown instrument there are no limits to compare with
        m.d.sync += known.eq(wanted.instrument < 2)

        order, refusal = self.o.payload, self.o_refused.payload
        m.d.comb += [
            Assert(~(strategy_taken & host_taken)),
            Assert(~(gate.i_void.valid & host_taken)),
            Assume(~(gate.i_void.valid & gate.i_strategy.valid)),
            Assume(gate.i_any | ~(gate.i_void.valid | gate.i_strategy.valid)),
            Assume(any_before | ~gate.i_void.valid),
            Assume(~gate.i_strategy.valid
                   | (gate.i_strategy.payload.instrument == gate.i_next.payload)),
            Assume(~(gate.i_strategy.valid & gate.i_next.valid)
                   | (gate.i_strategy.payload.instrument == next_before)),
            Assume((gate.i_void.payload == Reason.BAD_FRAME)
                   | (gate.i_void.payload == Reason.RATE)),
            Assert((self.o.valid + self.o_refused.valid) == (happened | was_void)),
        ]
        with m.If(self.o.valid):
            m.d.comb += [
                Assert(happened & ~was_void & (reason == Reason.PASSED)),
                Assert(same_order(order.intent, was)),
                Assert((order.intent.source == Source.HOST) == was_host),
                Assert(flags["session_ok"] & flags["window_ok"]),
                Assert(~flags["log_full"] & ~flags["tx_busy"]),
                Assert(self.o_count == 1),
            ]
            with m.If(order.intent.action == Action.NEW):
                m.d.comb += Assert(flags["armed"] & ~flags["killed"] & ~flags["host_timeout"])
        with m.If(self.o_refused.valid):
            m.d.comb += [
                Assert(refusal.reason.as_value() == Mux(was_void, void_reason, reason)),
                Assert(refusal.reason != Reason.PASSED),
                Assert(same_order(refusal.intent, was)),
                Assert(self.o_count == 1 << refusal.reason.as_value()),
            ]
        with m.If(~happened & ~was_void):
            m.d.comb += Assert(self.o_count == 0)

        # Invariants: the table's memory and the rows that were fetched from it.
        rows = gate.rows
        for n in range(2):
            row = rows.memory.read_port(domain="comb")
            m.d.comb += [row.addr.eq(n), Assert(row.data.as_value() == table[n].as_value())]
        for ready, row, at in ((rows.o_ready, rows.o_row, rows.o_index),
                               (rows.o_slow_ready, rows.o_slow_row, rows.o_slow_index)):
            with m.If(ready):
                m.d.comb += Assert(row.as_value() == of(at, oldest).as_value())
        m.d.comb += [
            Assert(gate.disarmed == restricted),
            Assert(rows.waits == row_waits),
            Assert(~rows.waits | (rows.pending.as_value() == writes.as_value())),
        ]
        return m


def same_order(one, other):
    """All fields are equal but the source, which the gate sets."""
    return one.as_value() & ~SOURCE == other.as_value() & ~SOURCE


SOURCE = data.Layout.cast(OrderIntent).const({"source": Source.HOST}).as_bits()
