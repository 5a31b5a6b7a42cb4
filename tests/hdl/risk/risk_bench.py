"""Drives a risk gate cycle by cycle, and says from its description what has to come out."""

import random
from itertools import zip_longest

from amaranth.sim import Simulator
from tickwire.hdl.entry.intent import Action, Reason, Source
from tickwire.hdl.risk.gate import RiskGate

PERMISSIVE = {"enabled": 1, "minimum_quantity": 1, "maximum_quantity": 100,
              "lowest_price": 1000, "highest_price": 2000}
CALM = {"armed": 1, "killed": 0, "host_timeout": 0, "log_full": 0, "session_ok": 1,
        "window_ok": 1, "tx_busy": 0, "i_tradable": 1}


def intent(instrument=3, **fields):
    return {"action": Action.NEW, "instrument": instrument, "price": 1500, "quantity": 10,
            "client_id": 77, "trigger": 5, "timestamp": 9} | fields


class Bucket:
    def __init__(self):
        self.tokens = self.burst = self.period = self.elapsed = 0

    def tick(self, limit, take):
        """The state after a cycle."""
        if limit is not None:
            self.period, self.burst = limit["period"], limit["burst"]
            self.tokens, self.elapsed = self.burst, 0
            return
        full = self.tokens == self.burst
        self.tokens -= take
        self.elapsed = 0 if full else self.elapsed + 1
        if self.period and not full and self.elapsed == self.period:
            self.tokens += 1
            self.elapsed = 0


class Oracle:
    """Keeps what was written, and judges an intent as the documentation says."""

    def __init__(self, instruments):
        self.instruments = instruments
        self.writes = []        # cycle in which the memory was written, index, limits
        self.disarms = []       # cycle, index
        self.budgets = {Action.NEW: Bucket(), Action.CANCEL: Bucket()}

    def limits(self, index, until):
        """The limits of an instrument by the writes up to a cycle, and the last one's cycle."""
        for cycle, written, limits in reversed(self.writes):
            if written == index and cycle <= until:
                return limits, cycle
        return dict.fromkeys(PERMISSIVE, 0), -1

    def judge(self, cycle, order, flags, *, from_host, left_before, left_earlier):
        index, new = order["instrument"], order["action"] == Action.NEW
        known = index < self.instruments
        row, written = self.limits(index, cycle - 3)
        restricted = not row["enabled"] or any(
            of == index and written <= when <= cycle - 2 for when, of in self.disarms)
        checks = {
            Reason.NOT_ARMED: new and not flags["armed"] and not flags["host_timeout"],
            Reason.KILLED: new and flags["killed"],
            Reason.HOST_TIMEOUT: new and flags["host_timeout"],
            Reason.LOG_FULL: flags["log_full"],
            Reason.NO_SESSION: not flags["session_ok"],
            Reason.RESTRICTED: new and known and restricted,
            Reason.STALE_BOOK: new and from_host and not flags["i_tradable"],
            Reason.MALFORMED: not known or (new and order["quantity"] == 0),
            Reason.SIZE: new and not (row["minimum_quantity"] <= order["quantity"]
                                      <= row["maximum_quantity"]),
            Reason.PRICE_BAND: new and not (row["lowest_price"] <= order["price"]
                                            <= row["highest_price"]),
            Reason.RATE: self.budgets[order["action"]].tokens <= (
                order["action"] in (left_before, left_earlier)),
            Reason.NO_WINDOW: not flags["window_ok"],
            Reason.TX_BUSY: flags["tx_busy"] or left_before is not None,
        }
        return next((reason for reason, fails in checks.items() if fails), Reason.PASSED)


class Bench:
    """Runs a gate over a list of cycles; checks every outcome against the oracle.

    Each cycle is a dict: ``strategy`` and ``host`` (an intent to offer until it is taken),
    ``write`` (index, limits), ``rate`` (row, limit), ``disarm`` (index, index or None),
    ``notice`` (index), ``next`` (index, from then on; -1 ends), ``void`` (reason, intent), ``any``
    (from then on), and any flag of ``CALM``, from then on.

    Attributes
    ----------
    taken : list of (cycle, source)
    outcomes : list of (cycle, reason, instrument, source)
    """

    def __init__(self, cycles, *, instruments=8, tail=12):
        self.gate = RiskGate(instruments=instruments)
        self.oracle = Oracle(instruments)
        self.cycles = [*cycles, *({} for _ in range(tail))]
        self.taken, self.outcomes = [], []
        simulator = Simulator(self.gate)
        simulator.add_clock(1e-8)
        simulator.add_testbench(self.testbench)
        simulator.run()

    async def testbench(self, ctx):
        g = self.gate
        garbage = random.Random(3)
        flags = dict(CALM)
        waiting, first = False, -1      # whether an intent is there; the instrument of the first
        offered = {"strategy": [], "host": []}
        ports = {"strategy": g.i_strategy, "host": g.i_host}
        expected = None             # outcome in this cycle
        left_before = None          # action of the order that left in this cycle
        left_earlier = None         # and in the one before
        for name, value in flags.items():
            ctx.set(getattr(g, name), value)
        for now, cycle in enumerate(self.cycles):
            ctx.set(g.now, now)
            for name in CALM:
                if name in cycle:
                    flags[name] = cycle[name]
                    ctx.set(getattr(g, name), cycle[name])
            for name, port in ports.items():
                if name in cycle:
                    offered[name].append(cycle[name])
                stands = name == "host" and self.taken and self.taken[-1] == (now - 1, "host")
                ctx.set(port.valid, bool(offered[name]) and not stands)
                if stands:
                    pass        # the payload, for one more cycle
                elif offered[name]:
                    ctx.set(port.payload, offered[name][0])
                else:
                    ctx.set(port.payload.as_value(), garbage.getrandbits(240))
            if "void" in cycle:
                assert not offered["strategy"]
                ctx.set(g.i_strategy.payload, cycle["void"][1])
            waiting = cycle.get("any", waiting)
            following = self.cycles[now + 1] if now + 1 < len(self.cycles) else {}
            ctx.set(g.i_any, bool(offered["strategy"]) or waiting
                    or "void" in cycle or "void" in following)
            ctx.set(g.i_decided, now ^ 0x1111)
            ctx.set(g.i_released, now ^ 0x2222)
            self._drive_strobes(ctx, now, cycle)
            first = cycle.get("next", first)
            soon = following.get("next", -1)
            ctx.set(g.i_next.valid, first >= 0)
            ctx.set(g.i_next.payload, first if first >= 0 else offered["strategy"][0]["instrument"]
                    if offered["strategy"] else soon if soon >= 0 else garbage.getrandbits(7))

            (*_, strategy_ready, host_ready, sent, order, refused, record, count, written) = (
                await ctx.tick().sample(g.i_strategy.ready, g.i_host.ready, g.o.valid, g.o.payload,
                                        g.o_refused.valid, g.o_refused.payload, g.o_count,
                                        g.rows.o_written.valid))
            if written:
                self.oracle.writes.append((now, *self.writing))
            assert not (sent and refused)
            if sent or refused:
                reason = Reason.PASSED if sent else record.reason
                found = order if sent else record
                assert count == 1 << reason.value
                self.outcomes.append((now, reason, found.intent.instrument, found.intent.source))
                assert expected is not None, f"cycle {now}: an outcome of nothing"
                want_reason, want, stamps = expected
                assert reason == want_reason, f"cycle {now}: {reason}, not {want_reason}"
                assert (found.decided, found.released) == stamps
                for name, value in want.items():
                    assert found.intent[name] == value, (now, name)
            else:
                assert expected is None, f"cycle {now}: no outcome of {expected}"
                assert count == 0

            expected = None
            took = [(name, offered[name][0]) for name, ready in
                    (("strategy", strategy_ready), ("host", host_ready))
                    if ready and offered[name]]
            assert len(took) <= 1
            for name, wanted in took:
                offered[name].pop(0)
                self.taken.append((now, name))
                host = name == "host"
                expected = (
                    self.oracle.judge(now, wanted, flags, from_host=host, left_before=left_before,
                                      left_earlier=left_earlier),
                    wanted | {"source": Source.HOST if host else Source.STRATEGY},
                    (now, now) if host else (now ^ 0x1111, now ^ 0x2222))
            if "void" in cycle:
                assert not took, f"cycle {now}: an intent was taken beside a void one"
                expected = (cycle["void"][0], cycle["void"][1] | {"source": Source.STRATEGY},
                            (now ^ 0x1111, now ^ 0x2222))
            rate = cycle.get("rate")
            for row, (action, budget) in enumerate(self.oracle.budgets.items()):
                budget.tick(rate[1] if rate and rate[0] == row else None,
                            left_earlier == action and budget.tokens > 0)
            left_earlier = left_before
            left_before = expected[1]["action"] if expected and expected[0] is Reason.PASSED \
                else None
        assert not offered["strategy"] and not offered["host"], "an intent was never decided"

    def _drive_strobes(self, ctx, now, cycle):
        g = self.gate
        ctx.set(g.i_write.valid, "write" in cycle)
        if "write" in cycle:
            index, limits = cycle["write"]
            ctx.set(g.i_write.payload, {"index": index, "row": limits})
            self.writing = (index, limits)
        ctx.set(g.i_rate.valid, "rate" in cycle)
        if "rate" in cycle:
            ctx.set(g.i_rate.payload, {"index": cycle["rate"][0], "row": cycle["rate"][1]})
        for port, index in zip_longest(g.i_disarm, cycle.get("disarm", ())):
            ctx.set(port.valid, index is not None)
            if index is not None:
                ctx.set(port.payload, index)
                self.oracle.disarms.append((now, index))
        ctx.set(g.i_instrument.valid, "notice" in cycle)
        if "notice" in cycle:
            ctx.set(g.i_instrument.payload, {"known": 1, "index": cycle["notice"]})
        ctx.set(g.i_void.valid, "void" in cycle)
        if "void" in cycle:
            ctx.set(g.i_void.payload, cycle["void"][0])


def script(events, *, instrument=3, limits=PERMISSIVE):
    """Cycles in which limits and wide budgets are set and a row is fetched; then the events.

    ``events`` maps cycle → dict, counted from ``START``.
    """
    cycles = [{"write": (instrument, limits)},
              {"rate": (0, {"burst": 50, "period": 100})},
              {"rate": (1, {"burst": 50, "period": 100})}, {"notice": instrument},
              {}, {}, {}, {}, {}, {}]
    assert len(cycles) == START
    cycles += [{} for _ in range(max(events, default=0) + 1)]
    for cycle, event in events.items():
        cycles[START + cycle] = event
    return cycles


START = 10
