"""TcpTransmit between a host, a control room, an order path and a MAC that take their time."""

import random
import subprocess

from amaranth.hdl import Cat
from amaranth.sim import Simulator
from frame_bench import beats_of
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether
from scapy.utils import wrpcap
from segment_bench import (
    OWN_ADDRESS,
    OWN_MAC,
    OWN_PORT,
    PEER_ADDRESS,
    PEER_MAC,
    PEER_PORT,
    SETTINGS,
    mac_number,
    number,
)
from tickwire.hdl.tcp.segment import SegmentJob
from tickwire.hdl.tcp.transmit import TcpTransmit

END = {"mac": mac_number(PEER_MAC), "address": number(PEER_ADDRESS), "port": PEER_PORT,
       "local_port": OWN_PORT}
COUNTS = ("message_taken", "message_refused", "lost", "sent", "resent", "failed")
NEXT = 1


def frame_of(payload=b"", *, seq, ack, window, flags="PA", mss=None):
    """As scapy builds it; it leaves trailing NOPs away if there is only the one option."""
    return bytes(Ether(src=OWN_MAC, dst=PEER_MAC)
                 / IP(src=OWN_ADDRESS, dst=PEER_ADDRESS, id=0, flags="DF")
                 / TCP(sport=OWN_PORT, dport=PEER_PORT, seq=seq, ack=ack, window=window,
                       flags=flags, options=[("MSS", mss)] if mss else [])
                 / payload)


def job(flags="A", *, end=END, **values):
    names = {"F": "fin", "S": "syn", "R": "rst", "P": "psh", "A": "ack"}
    return {"session": 3, "control": {names[flag]: 1 for flag in flags}, "origin": NEXT,
            "end": end, **values}


def tshark(tmp_path, frames):
    """Per frame: expert messages, checksum status of IPv4 and TCP, and TCP options' kinds."""
    path = tmp_path / "sent.pcap"
    wrpcap(str(path), [Ether(frame) for frame in frames])
    printed = subprocess.run(
        ["tshark", "-n", "-r", str(path), "-o", "ip.check_checksum:TRUE", "-o",
         "tcp.check_checksum:TRUE", "-o", "tcp.analyze_sequence_numbers:FALSE", "-T", "fields",
         "-e", "_ws.malformed", "-e", "ip.checksum.status", "-e", "tcp.checksum.status", "-e",
         "tcp.option_kind", "-e", "tcp.len"], check=True, capture_output=True, text=True).stdout
    return [line.split("\t") for line in printed.splitlines()]


class Transmit:
    """A bench that is stepped by the test's script, which it calls with itself.

    ``begin`` is how likely the MAC begins a frame that is offered, in each cycle; ``offer`` how
    likely the host shows a beat of a message.
    """

    def __init__(self, *, begin=1.0, offer=1.0, seed=1, **parameters):
        self.dut = TcpTransmit(**parameters)
        self.sessions = parameters.get("sessions", 8)
        self.rng = random.Random(seed)
        self.begin, self.offer = begin, offer
        self.views = {index: {"sequence": self.rng.getrandbits(32),
                              "acknowledgement": self.rng.getrandbits(32),
                              "window": self.rng.getrandbits(16)} for index in range(64)}
        self.follow = True              # SND.NXT follows what left
        self.jobs, self.messages, self.queue = [], [], []
        self.frames, self.left, self.failed = [], [], []
        self.counts = dict.fromkeys(COUNTS, 0)
        self.cycle = 0
        self.breaks = False             # the link is at fault
        self.in_frame, self.done_in, self.idle = None, None, 0
        self.sampled = []               # view that a frame was to be made of
        self.accepted_at, self.offered_at, self.done_at, self.left_at = [], [], [], []
        self.offered = False
        self.busy = []                  # o_busy of every cycle
        self.foreign = None             # what somebody else's frame does in this cycle
        self.hold = False               # orders have the wire

    def run(self, script):
        async def bench(ctx):
            self.ctx = ctx
            ctx.set(self.dut.i_settings, SETTINGS)
            for _ in range(self.sessions):      # until the buffer is clear
                await self.step()
            await script(self)

        simulator = Simulator(self.dut)
        simulator.add_clock(1e-6)
        simulator.add_testbench(bench)
        simulator.run()
        return self

    def send(self, octets, session=3):
        beats = beats_of(octets) if octets else [
            {"data": 0, "begin": 0, "end": 0, "first": 1, "last": 1}]
        self.queue += [(beat, session) for beat in beats]

    async def settle(self, limit=4000):
        """Until every message and every job is through."""
        for _ in range(limit):
            await self.step()
            if not self.jobs and not self.queue and self.ctx.get(self.dut.i.ready):
                for _ in range(3):
                    await self.step()
                return
        raise AssertionError("the job was never done")

    async def step(self):
        ctx, dut, rng = self.ctx, self.dut, self.rng
        # Jobs and messages
        ctx.set(dut.i.valid, bool(self.jobs))
        ctx.set(dut.i.payload, self.jobs[0] if self.jobs else SegmentJob.as_shape().from_bits(
            rng.getrandbits(200) & (1 << SegmentJob.as_shape().size) - 1))
        if self.jobs and ctx.get(dut.i.ready):
            self.jobs.pop(0)
            self.accepted_at.append(self.cycle)
        showing = getattr(self, "showing", False) or bool(self.queue) and rng.random() < self.offer
        beat, session = self.queue[0] if showing else (
            {"data": rng.getrandbits(64), "end": rng.randrange(9), "first": rng.randrange(2),
             "last": rng.randrange(2)}, rng.randrange(64))
        ctx.set(dut.i_message.valid, showing)
        ctx.set(dut.i_message.payload, beat)
        ctx.set(dut.i_message_session, session)
        taken = showing and ctx.get(dut.i_message.ready)
        if taken:
            self.queue.pop(0)
        self.showing = showing and not taken

        # The view: what counts is how it stands when the fourth beat is taken
        view = self.views[ctx.get(dut.o_session)]
        ctx.set(dut.i_view, view)

        # The MAC
        valid = ctx.get(dut.o.valid)
        if valid and not self.offered:
            self.offered_at.append(self.cycle)
        ready = False
        if self.in_frame is not None:
            ready = True
            assert valid, "the frame pauses"
        elif valid and self.offered and not (self.hold or self.done_in or self.idle):
            # never in the cycle in which it is first offered
            ready = rng.random() < self.begin
        self.offered = valid
        ctx.set(dut.o.ready, ready)
        ctx.set(dut.i_started, self.foreign == "starts" or ready and self.in_frame is None)
        ctx.set(dut.i_done.valid, 0)
        ctx.set(dut.i_done.payload.aborted, rng.randrange(2))
        self.idle = max(0, self.idle - 1)
        if self.foreign == "ends":
            ctx.set(dut.i_done.valid, 1)
        if self.done_in is not None:
            self.done_in -= 1
            if self.done_in == 0:
                self.done_in = None
                self.idle = 1
                self.finish(aborted=self.broken)
        if ready:
            beat = ctx.get(dut.o.payload)
            first = self.in_frame is None
            assert beat.first == first and beat.begin == 0
            if first:
                self.in_frame, self.beats, self.broken = b"", 0, self.breaks
                if self.breaks:
                    self.done_in = 1
            self.in_frame += beat.data.to_bytes(8, "little")[:beat.end]
            assert beat.end == 8 or beat.last and beat.end
            self.beats += 1
            if self.beats == 4:
                self.sampled.append(dict(view))
            if beat.last:
                if not self.broken:
                    self.frames.append(self.in_frame)
                    self.done_in = rng.randrange(1, 4)
                self.in_frame = None

        # What comes of it
        self.busy.append(ctx.get(dut.o_busy))
        if ctx.get(dut.o_left.valid):
            left = ctx.get(dut.o_left.payload)
            self.left.append((left.session, left.sequence, left.length))
            self.left_at.append(self.cycle)
            if self.follow and left.sequence == self.views[left.session]["sequence"]:
                self.views[left.session]["sequence"] = (left.sequence + left.length) % (1 << 32)
        if ctx.get(dut.o_failed.valid):
            self.failed.append(ctx.get(dut.o_failed.payload))
            self.left_at.append(self.cycle)
        seen = ctx.get(Cat(*(getattr(dut, f"o_count_{name}") for name in COUNTS)))
        for place, name in enumerate(COUNTS):
            self.counts[name] += seen >> place & 1
        await ctx.tick()
        self.cycle += 1

    def finish(self, *, aborted):
        self.ctx.set(self.dut.i_done.valid, 1)
        self.ctx.set(self.dut.i_done.payload.aborted, aborted)
        self.done_at.append(self.cycle)

    async def order(self, payload, session, sequence, *, whole=True):
        """A frame of the order path, on the wire in front of what is offered."""
        ctx, dut = self.ctx, self.dut
        while self.in_frame is not None or self.done_in:
            await self.step()
        self.hold = True
        octets = bytes(self.rng.randbytes(54)) + payload
        beats = beats_of(octets)
        for place, beat in enumerate(beats):
            ctx.set(dut.i_order.valid, 1)
            ctx.set(dut.i_order.payload, beat)
            ctx.set(dut.i_order_session, session if place == 0 else self.rng.randrange(64))
            self.foreign = "starts" if place == 0 else None
            await self.step()
            if not whole and place == len(beats) // 2:
                break
        ctx.set(dut.i_order.valid, 0)
        ctx.set(dut.i_order.payload.data, self.rng.getrandbits(64))
        self.foreign = "ends"
        await self.step()
        self.foreign = None
        if whole:
            # Its commit comes a cycle after its end, and shows in the view another one later.
            ctx.set(dut.i_order_commit.valid, 1)
            ctx.set(dut.i_order_commit.payload, {"sequence": sequence, "length": len(payload)})
            await self.step()
            ctx.set(dut.i_order_commit.valid, 0)
        self.hold = False

    async def release(self, session, acknowledgement, *, everything=0):
        ctx, dut = self.ctx, self.dut
        ctx.set(dut.i_release.payload, {"session": session, "acknowledgement": acknowledgement,
                                        "all": everything})
        ctx.set(dut.i_release.valid, 1)
        await self.step()
        ctx.set(dut.i_release.valid, 0)
        ctx.set(dut.i_release.payload.as_value(), self.rng.getrandbits(39))

    async def asked(self, session):
        """(room for a message, room for an order, empty)."""
        ctx, dut = self.ctx, self.dut
        ctx.set(dut.i_asked_message, session)
        ctx.set(dut.i_asked_order, session)
        await self.step()
        return (ctx.get(dut.o_room_message), ctx.get(dut.o_room_order), ctx.get(dut.o_empty))
