"""The receiver with everything that reads along with it, fed with a wire."""

from amaranth.hdl import Cat, Module
from amaranth.lib.wiring import connect
from amaranth.sim import Simulator
from tickwire.hdl.mac.pause import PauseTimer
from tickwire.hdl.mac.receive import MacReceive
from tickwire.hdl.mac.statistics import EtherStatistics, InterfaceStatistics
from tickwire.hdl.mac.summary import FrameSummary
from xgmii_bench import IDLE, pack

OWN = 0x02_00_00_00_00_07
COUNTERS = ("ether", "interface", "timer")


class Listening:
    """Totals of every counter, and (cycle, value) of each change of ``o_pause_*``."""

    def __init__(self, words, *, max_length=1518, tick=8, settings=(), extra=20):
        self.totals, self.pauses, self.ends, self.steps = {}, [], [], []
        self.octets = 0
        m = Module()
        m.submodules.receive = receive = MacReceive()
        m.submodules.summary = summary = FrameSummary()
        m.submodules.ether = self.ether = EtherStatistics()
        m.submodules.interface = self.interface = InterfaceStatistics()
        m.submodules.timer = self.timer = PauseTimer(tick)
        connect(m, receive.o, summary.i)
        m.d.comb += [
            summary.i_end.valid.eq(receive.o_end.valid),
            summary.i_end.payload.eq(receive.o_end.payload),
            self.ether.i.valid.eq(receive.o.valid),
            self.ether.i.payload.eq(receive.o.payload),
            summary.i_address.eq(OWN),
            receive.max_length.eq(max_length),
            self.ether.max_length.eq(max_length),
        ]
        for sink in (self.ether.i_summary, self.interface.i_summary, self.timer.i):
            m.d.comb += [sink.valid.eq(summary.o.valid), sink.payload.eq(summary.o.payload)]
        counts = [(f"{kind}.{port.removeprefix('o_count_')}", getattr(room, port))
                  for kind, room in (("ether", self.ether), ("interface", self.interface),
                                     ("timer", self.timer))
                  for port in room.signature.members if port.startswith("o_count_")]
        seen = Cat(value for _, value in counts)
        pauses = Cat(self.timer.o_pause_host, self.timer.o_pause_orders)

        async def bench(ctx):
            for name, value in settings:
                ctx.set(getattr(self.timer, name), value)
            before = 0
            ended = False
            for cycle, (data, control) in enumerate([*words,
                                                     *[pack([(IDLE, 1)] * 8)] * extra]):
                ctx.set(receive.i.payload, {"data": data, "control": control})
                ctx.set(receive.i.valid, 1)
                # Counts come one cycle after what they count.
                vector = ctx.get(seen)
                assert ended == bool(vector >> [n for n, _ in counts].index("ether.pkts") + 3 & 1)
                ended = bool(ctx.get(receive.o_end.valid))
                if ended:
                    self.ends.append(cycle)
                for name, value in counts:
                    self.totals[name] = self.totals.get(name, 0) + (
                        vector & (1 << len(value)) - 1)
                    vector >>= len(value)
                pause = ctx.get(pauses)
                if pause != before:
                    self.pauses.append((cycle, pause))
                    before = pause
                await ctx.tick()

        sim = Simulator(m)
        sim.add_clock(6.4e-9)
        sim.add_testbench(bench)
        sim.run()

    def of(self, kind):
        return {name.partition(".")[2]: total for name, total in self.totals.items()
                if name.startswith(f"{kind}.")}
