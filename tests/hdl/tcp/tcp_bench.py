"""Simulations of a TcpControl: one by itself, or several with a network between them."""

from amaranth.hdl import Module
from amaranth.sim import Simulator
from tcp_engine import MASK, Engine
from tickwire.hdl.tcp.connection import CommandKind, Event, State


class Channel:
    """Carries what one engine sends to another one, and loses, doubles and reorders it."""

    def __init__(self, source, target, rng, *, loss=0.0, double=0.0, delay=(5, 60)):
        self.source, self.target, self.rng = source, target, rng
        self.loss, self.double, self.delay = loss, double, delay
        self.cycle, self.under_way = 0, []
        self.lost = 0

    def move(self):
        self.cycle += 1
        for frame in self.source.taken():
            copies = 1 + (self.rng.random() < self.double)
            if self.rng.random() < self.loss:
                copies, self.lost = 0, self.lost + 1
            for _ in range(copies):
                self.under_way.append((self.cycle + self.rng.randint(*self.delay), frame))
        for item in [item for item in self.under_way if item[0] <= self.cycle]:
            self.under_way.remove(item)
            self._arrives(item[1])

    def _arrives(self, frame):
        theirs = frame["end"] or dict(self.source.binds)[frame["session"]]
        row = {"address": self.source.settings["address"], "port": theirs["local_port"],
               "local_port": theirs["port"]}
        session, matched = self.target.match(row)
        if self.loss and len(self.target.arriving) > 8:     # a receiver's queue is of some length
            self.lost += 1
            return
        self.target.hear(frame["seq"], frame["flags"], ack=frame["ack"], window=frame["window"],
                         data=frame["data"], mss=frame["mss"], session=session, matched=matched,
                         **row)


class Bench(Engine):
    """One engine in a simulation of its own."""

    def run(self, script):
        async def bench(ctx):
            self.ctx = ctx
            self.start(ctx)
            await script(self)

        simulator = Simulator(self.module())
        simulator.add_clock(6.4e-9)
        simulator.add_testbench(bench)
        simulator.run()
        return self

    async def cycle(self, count=1):
        for _ in range(count):
            self.drive(self.ctx)
            self.look(self.ctx)
            await self.ctx.tick()

    def quiet_now(self):
        return not (self.commands or self.arriving or self.payload or self.consumed
                    or self.job is not None or self.flying or self.orders
                    or (self.messages and not self.blocked))

    async def quiet(self, limit=6000, cycles=30):
        """Until nothing is being done: no longer than it takes to open a connection."""
        calm = 0
        while calm < cycles:
            await self.cycle()
            calm = calm + 1 if self.quiet_now() else 0
            limit -= 1
            assert limit, "it does not come to rest"

    async def tick(self, count=1):
        for _ in range(count):
            self.ticks_wanted = 1
            await self.cycle()
            await self.quiet(cycles=18 + 6 * self.parameters.sessions)

    async def state(self, session=0):
        return (await self.read(session))["state"]

    async def read(self, session=0):
        self.ctx.set(self.dut.i_status_session, session)
        await self.cycle()
        await self.cycle()
        status = self.ctx.get(self.dut.o_status)
        result = {name: getattr(status, name) for name in (
            "retransmissions", "pending", "sequence", "unacknowledged", "peer_window",
            "usable_window", "acknowledgement", "window")}
        return result | {"state": State(status.state), "event": Event(status.event)}

    # connections

    async def opened(self, session=0, *, irs=1000, window=8192, mss=1460, keep_alive=0, **values):
        """An active OPEN up to ESTABLISHED; gives (our next, their next) sequence number."""
        self.command(CommandKind.OPEN, session, keep_alive=keep_alive, **values)
        await self.quiet()
        syn, = self.taken()
        assert syn["flags"] == "S"
        self.hear(irs, "SA", ack=syn["seq"] + 1, window=window, mss=mss, session=session, **values)
        await self.quiet()
        ack, = self.taken()
        assert (ack["flags"], ack["seq"], ack["ack"]) == ("A", syn["seq"] + 1 & MASK,
                                                         irs + 1 & MASK)
        assert Event.ESTABLISHED in self.heard_events()
        return syn["seq"] + 1 & MASK, irs + 1 & MASK

    async def accepted(self, session=0, *, irs=1000, window=8192, mss=1460, again=0, **values):
        """A passive OPEN up to ESTABLISHED; gives (our next, their next) sequence number."""
        self.command(CommandKind.LISTEN, session, again=again)
        await self.quiet()
        self.hear(irs, "S", window=window, mss=mss, session=session, **values)
        await self.quiet()
        syn, = self.taken()
        assert (syn["flags"], syn["ack"]) == ("SA", irs + 1 & MASK)
        self.hear(irs + 1, "A", ack=syn["seq"] + 1, window=window, session=session, **values)
        await self.quiet()
        assert self.taken() == [] and self.heard_events() == [Event.ESTABLISHED]
        return syn["seq"] + 1 & MASK, irs + 1 & MASK


def brief(frames):
    """Flags, sequence number, acknowledgement and payload of frames."""
    return [(frame["flags"], frame["seq"], frame["ack"] if "A" in frame["flags"] else None,
             frame["data"]) for frame in frames]


def run_together(engines, script, clock=6.4e-9):
    """Several engines in one simulation; the script gets a function that advances all."""
    m = Module()
    for engine in engines:
        m.submodules += engine.module()

    async def bench(ctx):
        for engine in engines:
            engine.start(ctx)

        async def cycle():
            for engine in engines:
                engine.drive(ctx)
            for engine in engines:
                engine.look(ctx)
            await ctx.tick()

        await script(ctx, cycle)

    simulator = Simulator(m)
    simulator.add_clock(clock)
    simulator.add_testbench(bench)
    simulator.run()
