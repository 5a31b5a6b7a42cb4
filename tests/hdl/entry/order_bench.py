"""OrderTransmit with its session, in front of a transmitter that follows MacTransmit's protocol."""

import random
import struct
from dataclasses import dataclass, field, replace

from amaranth.hdl import Module
from amaranth.lib.wiring import connect
from amaranth.sim import Simulator
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether
from tickwire.hdl.entry.intent import Action, Source
from tickwire.hdl.entry.transmit import OrderTransmit
from tickwire.hdl.feed.event import Side
from tickwire.hdl.tcp.session import TransmitSession
from tickwire.hdl.wire.order_template import (
    Connection,
    OrderTerms,
    cancel_order_template,
    new_order_template,
)

CONNECTION = Connection(
    source_mac="02:00:00:00:00:01", destination_mac="02:00:00:00:00:fe",
    source_ip="192.0.2.17", destination_ip="198.51.100.200",
    source_port=40001, destination_port=9443)
# Nothing shares a byte with the other template that it need not share.
CANCEL_CONNECTION = replace(CONNECTION, destination_mac="02:00:00:00:00:fd", schema_version=17)
TERMS = OrderTerms(quantity_exponent=-3, self_match_prevention_id=0x1122334455667788, flags=1,
                   self_trading_mode=1)


def double_bits(value):
    return struct.unpack("<Q", struct.pack("<d", value))[0]


def key_of(value):
    """Ordered key of a double, by the rule of hdl/feed/event.py."""
    pattern = double_bits(value)
    return pattern ^ ((1 << 64) - 1) if pattern >> 63 else pattern | 1 << 63


def make_intent(*, action=Action.NEW, instrument=3, side=Side.BID, price=0.0005, quantity=10,
                client_id=0, source=Source.STRATEGY, trigger=0x1234, timestamp=77):
    return {"action": action, "source": source, "instrument": instrument, "side": side,
            "price": key_of(price), "quantity": quantity, "client_id": client_id,
            "trigger": trigger, "timestamp": timestamp}


@dataclass
class Frame:
    """What the transmitter saw of one frame."""

    offered: int
    start: int
    beats: list = field(default_factory=list)
    taken: list = field(default_factory=list)
    done: int | None = None
    aborted: bool = False

    @property
    def octets(self):
        return b"".join(beat["data"].to_bytes(8, "little")[:beat["end"]] for beat in self.beats)


def parse(octets):
    """A frame read by scapy and by fixed formats, checksums compared with scapy's own."""
    packet = Ether(octets)
    again = Ether(octets)
    del again[IP].chksum
    del again[TCP].chksum
    again = Ether(bytes(again))
    assert packet[IP].chksum == again[IP].chksum
    assert packet[TCP].chksum == again[TCP].chksum
    assert packet[IP].len == len(octets) - 14
    payload = bytes(packet[TCP].payload)
    names = ("protocol", "flags", "length", "type", "version", "sequence", "last_processed",
             "send_time")
    message = dict(zip(names, struct.unpack_from("<BBHHHqqq", payload), strict=True))
    assert message["protocol"] == 0xDB
    assert len(payload) == (message["length"] + 7) // 8 * 8
    assert not any(payload[message["length"]:])
    if message["type"] == 100:
        names = ("client_id", "correlation", "instrument", "price", "quantity", "exponent",
                 "show_quantity", "show_exponent", "smp", "side", "tif", "order_flags", "stm")
        values = struct.unpack_from("<qqqqqbqbqbbHb", payload, 32)
    else:
        names = ("client_id", "correlation", "instrument")
        values = struct.unpack_from("<qqq", payload, 32)
    return packet, message | dict(zip(names, values, strict=True))


class Bench:
    """Advances one cycle at a time; ``log`` has (cycle, what, value) of everything that came out.

    The transmitter is idle or sends; ``hold`` cycles it pretends to send somebody else's frame.
    ``break_at`` names a beat at which it breaks off the frame by itself.
    """

    def __init__(self, *, seed=0, instruments=128):
        self.random = random.Random(seed)
        self.dut = OrderTransmit(instruments)
        self.session = TransmitSession(96)
        self.module = Module()
        self.module.submodules.dut = self.dut
        self.module.submodules.session = self.session
        self.module.d.comb += self.dut.i_session.eq(self.session.o)
        connect(self.module, self.dut.o_commit, self.session.i_commit)
        self.cycle = 0
        self.frames = []
        self.outcomes = []
        self.log = []
        self.hold = 0
        self.break_at = None
        self._frame = None          # on the wire
        self._finish = 0            # cycles until its TERMINATE
        self._offered = None
        self._set = {"ready": 0, "started": 0, "done": 0, "aborted": 0}

    def run(self, test):
        async def testbench(ctx):
            self.ctx = ctx
            await test(self)

        simulator = Simulator(self.module)
        simulator.add_clock(1e-8)
        simulator.add_testbench(testbench)
        simulator.run()

    def _garbage(self, signal):
        bits = signal.as_value()
        self.ctx.set(bits, self.random.getrandbits(len(bits)))

    async def step(self, *, intent=None, order=None, load=None, acknowledge=None):
        """One cycle with these inputs. Returns whether it was busy."""
        ctx, dut = self.ctx, self.dut
        for door, value in ((dut.i_intent, intent), (dut.i, order), (self.session.i_load, load),
                            (self.session.i_acknowledge, acknowledge)):
            ctx.set(door.valid, value is not None)
            if value is None:
                self._garbage(door.payload)
            else:
                ctx.set(door.payload, value)
        ctx.set(dut.now, self.cycle & 0xFFFF)
        ctx.set(dut.i_time, self.time(self.cycle))
        for port, name in ((dut.i_started, "started"), (dut.i_done.valid, "done"),
                           (dut.i_done.payload.aborted, "aborted")):
            ctx.set(port, self._set[name])
        ready = self._set["ready"]
        if self._frame is None and not self.hold:
            ready = not ctx.get(dut.o.payload.first)    # the rest of a frame that was broken off
        ctx.set(dut.o.ready, ready)
        strobes = {"outcome": dut.o_outcome, "inexact": dut.o_inexact, "commit": dut.o_commit}
        _, _, valid, beat, abort, busy, *strobed = await ctx.tick().sample(
            dut.o.valid, dut.o.payload, dut.o_abort, dut.o_busy,
            *(strobe.valid for strobe in strobes.values()),
            *(strobe.payload for strobe in strobes.values()))
        for what, there, payload in zip(strobes, strobed[:3], strobed[3:], strict=True):
            if there:
                self.log.append((self.cycle, what, payload))
                if what == "outcome":
                    self.outcomes.append(payload)
        if abort:
            self.log.append((self.cycle, "abort", None))
        self._transmit(bool(valid), beat, bool(abort), bool(ready))
        self.cycle += 1
        return bool(busy)

    def time(self, cycle):
        return 1_700_000_000_000_000_000 + cycle * 6_400_000_001

    def _transmit(self, valid, beat, abort, ready):
        """From this cycle's outputs to the next cycle's inputs."""
        self._set = dict.fromkeys(self._set, 0)
        frame = self._frame
        if valid and beat.first and self._offered is None:
            self._offered = self.cycle
        if self.hold:
            assert not abort, "abort while another frame is on the wire"
            self.hold -= 1
            if not self.hold:
                self._set["done"] = 1       # somebody else's
        elif frame is None:
            if valid and beat.first:
                self._frame = Frame(self._offered, self.cycle + 1)
                self._set |= {"started": 1, "ready": 1}
        elif not self._finish:
            assert valid, "a pause in the frame"
            assert beat.begin == 0
            assert beat.first == (not frame.beats)
            frame.beats.append({"data": beat.data, "end": beat.end})
            frame.taken.append(self.cycle)
            self._offered = None
            frame.aborted = abort or self.break_at == len(frame.beats)
            if frame.aborted:
                self._end()
            elif beat.last:
                self._finish = 1 + self.random.randrange(3)
            else:
                assert beat.end == 8
                self._set["ready"] = 1
        else:
            self._finish -= 1
            if not self._finish:
                self._end()

    def _end(self):
        self._set |= {"done": 1, "aborted": self._frame.aborted}
        self._frame.done = self.cycle + 1
        self.frames.append(self._frame)
        self._frame = None

    async def write_tables(self, ids):
        templates = (new_order_template(CONNECTION, TERMS),
                     cancel_order_template(CANCEL_CONNECTION))
        for number, rows in enumerate(templates):
            for beat, row in enumerate(rows):
                self.ctx.set(self.dut.i_template.payload, {"index": 32 * number + beat,
                                                           "row": row})
                self.ctx.set(self.dut.i_template.valid, 1)
                await self.step()
        self.ctx.set(self.dut.i_template.valid, 0)
        for index, row in ids.items():
            self.ctx.set(self.dut.i_instrument.payload, {"index": index, "row": row})
            self.ctx.set(self.dut.i_instrument.valid, 1)
            await self.step()
        self.ctx.set(self.dut.i_instrument.valid, 0)

    async def send(self, intent, *, noise=False):
        """Waits until it may, then sends. Returns the cycle of the order."""
        while True:
            busy = await self.step(intent=intent)
            if not busy:
                break
        at = self.cycle
        order = {"intent": intent, "decided": at - 1 & 0xFFFF, "released": at - 2 & 0xFFFF}
        await self.step(order=order, intent=self.other_intent() if noise else None)
        return at

    def other_intent(self):
        """An intent that will be refused."""
        return make_intent(
            action=self.random.choice(list(Action)), instrument=self.random.randrange(128),
            price=self.random.uniform(-1, 1), quantity=self.random.getrandbits(32),
            side=self.random.choice(list(Side)))

    async def finish(self, *, noise=False):
        """Runs until the transmit part is idle."""
        for _ in range(200):
            if not await self.step(intent=self.other_intent() if noise else None):
                await self.step()
                return
        raise AssertionError("still busy after 200 cycles")


def session_state(**values):
    return {"open": 1, "sequence": 1000, "unacknowledged": 1000, "peer_window": 65535,
            "acknowledgement": 5000, "window": 8192, "venue_sequence": 1, "last_processed": 0,
            "client_id": 1} | values
