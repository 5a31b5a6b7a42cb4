"""MAC and IP receiver alone in the native engine: each frame's payload and verdict, by the million.

A frame's slot in the frame ring holds what the parsers made of it: the payload's beats, and then
one word with all that was counted.
"""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from tickwire.hdl.csr.bus import CsrBus
from tickwire.hdl.csr.event import EventWord
from tickwire.hdl.csr.frame import FrameWord
from tickwire.hdl.ip.receive import IpReceive
from tickwire.hdl.mac.receive import MacReceive
from tickwire.hdl.phy.xgmii import IDLE_WORD, XgmiiWord
from tickwire.hdl.stream.packet import strobe
from tickwire.hdl.wire.placement import Placement, subscription_key
from tickwire.sim.engine import Engine
from tickwire.sim.engine_build import build_library
from tickwire.sim.wire_words import frames_to_words

MAC_COUNTS = ("good", "symbol", "runt", "oversize", "fcs")
IP_COUNTS = ("not_ip", "bad_ip_header", "ip_checksum", "fragment", "not_udp", "destination",
             "udp_length", "udp_checksum", "no_subscription", "accepted")
ROWS = 64
SLOT, SLOTS = 2048, 4096
_HEADER = 16        # bytes of a slot before the second beat


class ParserLine(wiring.Component):
    """The ports of the engine; writes of three words fill the subscription table.

    Word 0: group; word 1: port, channel above; word 2: the row's index, which writes it.
    """

    rx: In(strobe(XgmiiWord))
    tx: Out(XgmiiWord)
    csr: In(CsrBus())
    o_event: Out(strobe(EventWord))
    o_frame: Out(strobe(FrameWord))
    kill: In(1)
    i_skip: In(64)

    def elaborate(self, platform):
        m = Module()
        m.submodules.mac = mac = MacReceive()
        m.submodules.ip = ip = IpReceive(rows=ROWS)
        m.d.comb += [
            self.tx.data.eq(IDLE_WORD.data), self.tx.control.eq(IDLE_WORD.control),
            mac.i.valid.eq(self.rx.valid), mac.i.payload.eq(self.rx.payload),
            ip.i.valid.eq(mac.o.valid), ip.i.payload.eq(mac.o.payload),
            ip.i_end.valid.eq(mac.o_end.valid), ip.i_end.payload.eq(mac.o_end.payload),
        ]
        write, row = self.csr.write, ip.subscribe.payload.row
        m.d.sync += self.csr.acknowledge.eq(self.csr.write | self.csr.read)
        m.d.comb += [row.valid.eq(1), ip.subscribe.valid.eq(write & (self.csr.address == 2)),
                     ip.subscribe.payload.index.eq(self.csr.write_data)]
        group, where = Signal(32), Signal(32)
        with m.If(write & (self.csr.address == 0)):
            m.d.sync += group.eq(self.csr.write_data)
        with m.If(write & (self.csr.address == 1)):
            m.d.sync += where.eq(self.csr.write_data)
        m.d.comb += [row.group.eq(group), row.port.eq(where[:16]), row.channel.eq(where[16:])]

        # What the MAC counts comes two cycles before what IP counts.
        said = Cat(getattr(mac, f"o_count_{name}") for name in MAC_COUNTS)
        ended, mac_counts = mac.o_end.valid, said
        for age in range(2):
            before = ended, mac_counts
            ended, mac_counts = Signal(name=f"ended_{age}"), Signal.like(said, name=f"mac_{age}")
            m.d.sync += [ended.eq(before[0]), mac_counts.eq(before[1])]
        ip_counts = Cat(getattr(ip, f"o_count_{name}") for name in IP_COUNTS)

        beat = ip.o.payload
        begin, size = Signal(3), Signal(14)
        added = beat.end - beat.begin
        with m.If(ip.o.valid):
            m.d.sync += size.eq(Mux(beat.first, added, size + added))
            with m.If(beat.first):
                m.d.sync += begin.eq(beat.begin)
        with m.Elif(ended):
            m.d.sync += size.eq(0)
        info = Cat(mac_counts, ip_counts, ip.o_match, ip.o_channel, begin, size)
        m.d.comb += [
            self.o_frame.valid.eq(ip.o.valid | ended),
            self.o_frame.payload.first.eq(ip.o.valid & beat.first),
            self.o_frame.payload.last.eq(ended),
            self.o_frame.payload.word.eq(Mux(ended, Cat(info, Const(0, 64)), beat.data)),
        ]
        return m


class Parsed:
    """What became of one frame: the counts' names, the payload and its channel, or None."""

    def __init__(self, slot):
        info = int.from_bytes(slot[8:15].tobytes(), "little")
        names = [name for at, name in enumerate(MAC_COUNTS) if info >> at & 1]
        names += [name for at, name in enumerate(IP_COUNTS) if info >> 5 + at & 1]
        self.counts = tuple(names)
        self.channel = info >> 16 & 63 if info >> 15 & 1 else None
        begin, size = info >> 22 & 7, info >> 25 & 0x3fff
        self.payload = None
        if size:
            beats = slot[:8].tobytes() + slot[_HEADER:].tobytes()
            self.payload = beats[begin:begin + size]


class Parser:
    """An engine with subscriptions ``{(group number, port): channel}``."""

    def __init__(self, subscriptions):
        self.engine = Engine(build_library(ParserLine()), frame_slots=SLOTS, frame_slot=SLOT)
        self._read = 0
        placement = Placement(ROWS)
        for group, port in subscriptions:
            for slot, key in placement.insert(subscription_key(group, port)):
                pair = key & 0xffffffff, key >> 32
                self.engine.write32(0, pair[0])
                self.engine.write32(4, pair[1] | subscriptions[pair] << 16)
                self.engine.write32(8, slot)

    def parse(self, frames, **options):
        """Frames with their FCS, back to back; a :class:`Parsed` for each, or what is missing."""
        assert len(frames) <= SLOTS
        words = frames_to_words(frames, raw=True, tail=16, **options)
        ring = self.engine.frame_ring.reshape(SLOTS, SLOT)
        self.engine.run(words.data, words.control)
        found = []
        while len(found) <= len(frames):
            slot = ring[self._read % SLOTS]
            if slot[15] != 1 - (self._read // SLOTS & 1):
                break
            found.append(Parsed(slot))
            self._read += 1
        return found

    @property
    def cycles(self):
        return self.engine.cycles

    def close(self):
        self.engine.close()
