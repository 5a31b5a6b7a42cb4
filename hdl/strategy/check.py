"""Runs a strategy's gateware against its Python model, event by event."""

import random

from amaranth.sim import Simulator
from tickwire.hdl.feed.event import FeedEventKind

from .model import ASK, BID, Intent, Message, Quote, Touch, Verdict

__all__ = ["ModelMismatchError", "check_against_model", "run_gateware"]

_NOTICE = 3         # cycles from INSTRUMENT event to notice
_DECISION = 3       # least cycles from a notice to a decision
_SETTLES = 24       # cycles after which a late event or a written row has had its effect


class ModelMismatchError(AssertionError):
    """Gateware and model disagree; the text says at which event."""


def check_against_model(strategy, events, *, model=None, cut_through=False, seed=0):
    """Compare what the gateware of a strategy does with what its model does.

    The events are laid out in time as the gateway does it: as close as the rules of
    :class:`tickwire.hdl.strategy.interface.Strategy` allow, or with random pauses. Under
    ``cut_through`` a verdict does not come in the cycle of an intent: models have no cycles.

    Parameters
    ----------
    strategy : Strategy
        The gateware, not elaborated before. Its parameter table, if it has one, is ``i_write``.
    events : iterable of Event
        What happens, in order.
    model : Model
        By default ``strategy.model()``.
    cut_through : bool
        Launch policy that the gateware is told.
    seed : int
        Of the pauses; 0: no pauses.

    Returns
    -------
    list of Intent
        What both said.

    Raises
    ------
    ModelMismatchError
        At the first event at which they differ, or if an intent comes at another time than one
        cycle after an event that is not committed.
    """
    events = list(events)
    model = model or strategy.model()
    wanted = [model.step(event) for event in events]
    found = run_gateware(strategy, events, cut_through=cut_through, seed=seed)
    for number, (event, want, have) in enumerate(zip(events, wanted, found, strict=True)):
        if want != have:
            raise ModelMismatchError(f"Event {number}, {event}: the model says {want}, "
                                f"the gateware says {have}")
    return [intent for intent in wanted if intent is not None]


def run_gateware(strategy, events, *, cut_through=False, seed=0):
    """The intent that the gateware makes of each event, or None.

    Raises
    ------
    ModelMismatchError
        If there is an intent that no event can have brought.
    """
    schedule, cycles = _lay_out(events, random.Random(seed) if seed else None, cut_through)
    garbage = random.Random(seed)
    found = [None] * len(events)
    strobes = [strategy.i_instrument, strategy.i_feed, strategy.i_book, strategy.i_late,
               strategy.i_verdict]
    writes = getattr(strategy, "i_write", None)
    if writes is not None:
        strobes.append(writes)

    async def testbench(ctx):
        last = early = None         # the last decided event, and that of the cycle before
        ctx.set(strategy.i_cut_through, cut_through)
        for cycle in range(cycles):
            if cycle == 0 or cycle - 1 in schedule:     # garbage wherever nothing is valid
                for port in strobes:
                    ctx.set(port.valid, 0)
                    payload = port.payload.as_value()
                    ctx.set(payload, garbage.getrandbits(len(payload)))
                ctx.set(strategy.i_tradable, garbage.getrandbits(1))
            now = None
            for number, event, drive in schedule.get(cycle, ()):
                drive(ctx, strategy, event)
                if isinstance(event, (Quote, Touch)):
                    now = number
            *_, valid, intent, committed = await ctx.tick().sample(
                strategy.o.valid, strategy.o.payload, strategy.o_committed)
            if valid:
                number = last if committed else early
                if number is None or found[number] is not None:
                    raise ModelMismatchError(f"Cycle {cycle}: an intent that no event has brought")
                found[number] = Intent(intent.instrument, intent.side.value, intent.price,
                                       intent.quantity, intent.trigger, intent.timestamp,
                                       bool(committed))
            early = now
            last = now if now is not None else last

    simulator = Simulator(strategy)
    simulator.add_clock(1e-8)
    simulator.add_testbench(testbench)
    simulator.run()
    return found


def _lay_out(events, pauses, cut_through):
    """Cycle → what is driven in it, and the number of cycles."""
    schedule = {}
    free = 2        # first cycle in which anything may happen
    decision = 0    # first cycle in which the last message may be decided on

    def put(cycle, number, event, drive):
        schedule.setdefault(cycle, []).append((number, event, drive))

    for number, event in enumerate(events):
        if pauses is not None:
            free += pauses.choice((0, 0, 0, 1, 2, 7))
        if isinstance(event, Message):
            put(free, number, event, _instrument)
            put(free + _NOTICE, number, event, _notice)
            decision = free + _NOTICE + _DECISION
            free += _NOTICE + 1
        elif isinstance(event, Quote):
            cycle = max(free, decision)
            put(cycle, number, event, _quote)
            free = cycle + 2
        elif isinstance(event, Touch) and not event.committed:
            cycle = max(free, decision)
            put(cycle, number, event, _touch)
            free = cycle + 1 + cut_through
        elif isinstance(event, Verdict):
            put(free, number, event, _verdict)
            free += 9       # the shortest frame's
        else:
            put(free, number, event, _touch if isinstance(event, Touch) else _write)
            free += _SETTLES
    return schedule, free + _SETTLES


def _instrument(ctx, strategy, event):
    _feed(ctx, strategy, {"kind": FeedEventKind.INSTRUMENT, "timestamp": event.timestamp})


def _notice(ctx, strategy, event):
    ctx.set(strategy.i_instrument.valid, 1)
    ctx.set(strategy.i_instrument.payload.known, event.instrument is not None)
    if event.instrument is not None:
        ctx.set(strategy.i_instrument.payload.index, event.instrument)


def _quote(ctx, strategy, event):
    kind = {BID: FeedEventKind.BID, ASK: FeedEventKind.ASK}[event.side]
    _feed(ctx, strategy, {"kind": kind, "price": event.price, "suspect": event.suspect,
                          "stamp": event.stamp})
    ctx.set(strategy.i_tradable, event.tradable)


def _feed(ctx, strategy, fields):
    ctx.set(strategy.i_feed.valid, 1)
    for name, value in fields.items():
        ctx.set(strategy.i_feed.payload[name], value)


def _touch(ctx, strategy, event):
    port = strategy.i_late if event.committed else strategy.i_book
    book = port.payload
    ctx.set(port.valid, 1)
    for name in ("instrument", "tradable", "timestamp", "stamp"):
        ctx.set(book[name], getattr(event, name))
    for side, price in (("bid", event.bid), ("ask", event.ask)):
        ctx.set(book.touch[f"{side}_valid"], price is not None)
        if price is not None:
            ctx.set(book.touch[f"{side}_price"], price)


def _verdict(ctx, strategy, event):
    ctx.set(strategy.i_verdict.valid, 1)
    ctx.set(strategy.i_verdict.payload.good, event.good)


def _write(ctx, strategy, event):
    ctx.set(strategy.i_write.valid, 1)
    ctx.set(strategy.i_write.payload.index, event.instrument)
    ctx.set(strategy.i_write.payload.row, dict(event.row))
