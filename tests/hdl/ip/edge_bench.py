"""A NetworkEdge between a source, two sinks and a sender of datagrams, with pauses on all sides."""

import random

from amaranth.hdl import Cat
from amaranth.lib.data import Layout
from amaranth.sim import Simulator
from tickwire.hdl.ip.edge import EdgeCounts, NetworkEdge
from tickwire.hdl.stream.packet import Packet

OWN_MAC, OWN_ADDRESS = "02:00:00:0a:0b:0c", "192.168.7.5"
PEER_MAC, PEER_ADDRESS = "02:11:22:33:44:55", "192.168.7.77"
GATEWAY_MAC, GATEWAY_ADDRESS = "02:11:22:33:44:66", "192.168.7.1"


def mac_number(text):
    return int(text.replace(":", ""), 16)


def address_number(text):
    return int.from_bytes(bytes(map(int, text.split("."))))


WIDTH = 1 + Packet(8).size      # valid and payload of a packet stream
ONES = (1 << WIDTH) - 1
SETTINGS = {
    "mac": mac_number(OWN_MAC), "address": address_number(OWN_ADDRESS), "netmask": 0xFFFFFF00,
    "gateway": address_number(GATEWAY_ADDRESS), "arp": 1, "echo": 1, "igmp": 1, "udp_echo": 1,
    "udp_echo_port": 7, "unreachable": 0,
}


def beats(octets, rng):
    """Beats of a packet as numbers, garbage where it has no bytes; and which is the last."""
    layout = Packet(8)
    chunks = [octets[at:at + 8] for at in range(0, len(octets), 8)] or [b""]
    for index, chunk in enumerate(chunks):
        last = index == len(chunks) - 1
        padded = chunk + rng.randbytes(8 - len(chunk))
        beat = layout.const({"data": int.from_bytes(padded, "little"), "end": len(chunk),
                             "first": index == 0, "last": last})
        yield beat.as_bits(), last


class Source:
    """Drives beats into a packet stream, with pauses."""

    def __init__(self, stream, pause, rng):
        self.queue = []         # (beat, last, destination)
        self.inputs = [stream.valid, stream.payload.as_value()]
        self.ready = stream.ready
        self.pause = pause
        self.rng = rng
        self.driving = False
        self.ends = []          # cycle in which a last beat was accepted

    def drive(self):
        """Value of ``inputs``, and the destination that stands beside it."""
        if not self.driving:
            self.driving = bool(self.queue) and self.rng.random() >= self.pause
            self.shown = (1 | self.queue[0][0] << 1, self.queue[0][2]) if self.driving else (
                self.rng.getrandbits(WIDTH - 1) << 1, self.rng.getrandbits(64))
        return self.shown

    def see(self, ready, cycle):
        if ready and self.driving:
            _, last, _ = self.queue.pop(0)
            self.driving = False
            if last:
                self.ends.append(cycle)


class Sink:
    """What comes out of a packet stream, with the rules of the stream checked."""

    def __init__(self, stream, ready):
        self.outputs = [stream.valid, stream.payload.as_value()]
        self.input = stream.ready
        self.ready = ready      # probability
        self.frames = []
        self.starts = []        # cycle in which a first beat was offered
        self.part = None
        self.offered = None
        self.takes = 0
        self.layout = Packet(8)

    def see(self, seen, cycle):
        if not seen & 1:
            assert self.offered is None, "a beat was taken back"
            return
        beat = self.layout.from_bits(seen >> 1)
        shown = (beat.data, beat.end, beat.first, beat.last)
        assert self.offered in (None, shown), "a beat changed while it waited"
        if self.offered is None and beat.first:
            self.starts.append(cycle)
        self.offered = shown
        if self.takes:
            self.offered = None
            assert beat.begin == 0 and (beat.last or beat.end == 8) and beat.end
            assert beat.first == (self.part is None)
            self.part = (self.part or bytearray()) + beat.data.to_bytes(8, "little")[:beat.end]
            if beat.last:
                self.frames.append(bytes(self.part))
                self.part = None


class Edge:
    """Runs a script against a NetworkEdge; ``tick`` moves everything by a cycle."""

    def __init__(self, *, seed=1, pause=0.0, ready=1.0, settings=None, period=0):
        self.rng = random.Random(seed)
        self.dut = dut = NetworkEdge(cache_rows=4, group_rows=4)
        self.settings = {**SETTINGS, **(settings or {})}
        self.period = period
        self.cycle = 0
        self.frames_in = Source(dut.i, pause, self.rng)
        self.udp_in = Source(dut.i_udp, pause, self.rng)
        self.out, self.host = Sink(dut.o, ready), Sink(dut.o_host, ready)
        self.counts = dict.fromkeys((name for name, _ in Layout.cast(EdgeCounts)), 0)
        self._inputs = Cat(self.out.input, self.host.input, *self.frames_in.inputs,
                           *self.udp_in.inputs, dut.i_udp_to.as_value())
        self._outputs = Cat(self.frames_in.ready, self.udp_in.ready, *self.out.outputs,
                            *self.host.outputs, dut.o_counts.as_value())

    @property
    def sent(self):
        """Frames that came out of ``o``, taken away."""
        frames, self.out.frames = self.out.frames, []
        return frames

    @property
    def to_host(self):
        """Frames that came out of ``o_host``, taken away."""
        frames, self.host.frames = self.host.frames, []
        return frames

    def run(self, script):
        async def bench(ctx):
            ctx.set(self.dut.i_settings, self.settings)
            ctx.set(self.dut.i_tick_period, self.period)
            self.ctx = ctx
            await script(self)

        simulator = Simulator(self.dut)
        simulator.add_clock(6.4e-9)
        simulator.add_testbench(bench)
        simulator.run()
        return self

    def give(self, frame):
        """Queue a frame without FCS (bytes or scapy's) for reception."""
        self.frames_in.queue += [(*beat, 0) for beat in beats(bytes(frame), self.rng)]

    def send(self, payload, address, source_port, destination_port):
        """Queue a datagram that the gateway is to send."""
        to = address_number(address) | source_port << 32 | destination_port << 48
        for index, beat in enumerate(beats(payload, self.rng)):
            self.udp_in.queue.append((*beat, self.rng.getrandbits(64) if index else to))

    async def tick(self, cycles=1):
        ctx = self.ctx
        for _ in range(cycles):
            for sink in (self.out, self.host):
                sink.takes = int(self.rng.random() < sink.ready)
            frame, _ = self.frames_in.drive()
            payload, to = self.udp_in.drive()
            ctx.set(self._inputs, self.out.takes | self.host.takes << 1 | frame << 2
                    | payload << 2 + WIDTH | to << 2 + 2 * WIDTH)
            seen = ctx.get(self._outputs)
            self.frames_in.see(seen & 1, self.cycle)
            self.udp_in.see(seen >> 1 & 1, self.cycle)
            self.out.see(seen >> 2 & ONES, self.cycle)
            self.host.see(seen >> 2 + WIDTH & ONES, self.cycle)
            if counts := seen >> 2 + 2 * WIDTH:
                for place, name in enumerate(self.counts):
                    self.counts[name] += counts >> place & 1
            await ctx.tick()
            self.cycle += 1

    async def settle(self, quiet=90, limit=30_000):
        """Go on until nothing has happened for a while."""
        def state():
            return (len(self.out.starts), len(self.host.starts), self.counts.copy(),
                    len(self.frames_in.queue), len(self.udp_in.queue))

        before, last = state(), self.cycle
        for _ in range(limit):
            await self.tick()
            after = state()
            if before != after or self.out.part or self.host.part:
                before, last = after, self.cycle
            if self.cycle - last > quiet:
                return
        raise AssertionError(f"the edge is not quiet after {limit} cycles")

    def counted(self):
        """Counts that are not 0, and all of them are 0 afterwards."""
        counted = {name: count for name, count in self.counts.items() if count}
        self.counts = dict.fromkeys(self.counts, 0)
        return counted
