"""What a received frame's first bytes say, at the time of its verdict."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from tickwire.hdl.mac.frame import FrameEnd
from tickwire.hdl.phy.xgmii import LANES
from tickwire.hdl.stream.packet import Packet, strobe

__all__ = ["Summary", "FrameSummary"]

# IEEE 802.3-2022: Table 31A-1 and annex 31B
_CONTROL_TYPE = 0x8808
_PAUSE_OPCODE = 0x0001
_PAUSE_GROUP = 0x0180c2000001
_BROADCAST = 0xffff_ffff_ffff
_HEADER = 18                # bytes: addresses, type, opcode, parameter


class Summary(data.Struct):
    """Of one frame: its verdict, and what kind it is if that is good."""

    end: FrameEnd
    broadcast: 1
    multicast: 1        # a group address, but not broadcast
    control: 1          # MAC Control: belongs to the MAC, not to its client
    pause: 1            # PAUSE, to the reserved group or to the own address
    quanta: 16          # its parameter, in 512 bit times


class FrameSummary(wiring.Component):
    """Reads along with the receive path; nothing waits for it.

    Latency: ``i_end`` → ``o`` 0 cycles: everything else has been ready since the cycle before.

    Members
    -------
    i : In, strobe(Packet(8))
        As :class:`~tickwire.hdl.mac.receive.MacReceive` gives it.
    i_end : In, strobe(FrameEnd)
        2 cycles after the frame's last beat.
    i_address : In, 48 bits
        The own MAC address, first byte highest.
    o : Out, strobe(Summary)
    """

    i: In(strobe(Packet(LANES)))
    i_end: In(strobe(FrameEnd))
    i_address: In(48)
    o: Out(strobe(Summary))

    def elaborate(self, platform):
        m = Module()
        beat = self.i.payload
        # The header's bytes in halves of beats, which is as far as a frame may be shifted.
        halves = [Signal(32, name=f"half_{n}", reset_less=True) for n in range(-(-_HEADER // 4))]
        index = Signal(3)           # of the beat's lower half, in halves
        begins_high = beat.begin[2]
        lower = Mux(beat.first, 0, index)
        with m.If(self.i.valid):
            following = Mux(beat.first & begins_high, 1, lower + 2)
            m.d.sync += index.eq(Mux(lower >= len(halves), lower, following))
            with m.Switch(Cat(beat.first & begins_high, lower)):
                with m.Case("---1"):
                    m.d.sync += halves[0].eq(beat.data[32:])
                for n in range(len(halves)):
                    with m.Case(n << 1):
                        for place, part in enumerate((beat.data[:32], beat.data[32:])):
                            if n + place < len(halves):
                                m.d.sync += halves[n + place].eq(part)

        header = Cat(halves)

        def number(first, count):
            """Bytes of the header in network order."""
            return Cat(header.word_select(n, 8) for n in reversed(range(first, first + count)))

        destination = number(0, 6)
        # The last beat is in `halves` in the cycle before `i_end`, when the next frame's first one
        # may be on `i` already: so these registers hold just the frame that `i_end` is about.
        broadcast, group, control, pause = (
            Signal(name=name, reset_less=True) for name in ("broadcast", "group", "control",
                                                            "pause"))
        quanta = Signal(16, reset_less=True)
        m.d.sync += [
            broadcast.eq(destination == _BROADCAST),
            group.eq(header[0]),
            control.eq(number(12, 2) == _CONTROL_TYPE),
            pause.eq((number(12, 4) == _CONTROL_TYPE << 16 | _PAUSE_OPCODE)
                     & ((destination == _PAUSE_GROUP) | (destination == self.i_address))),
            quanta.eq(number(16, 2)),
        ]
        good = self.i_end.payload.good
        summary = self.o.payload
        m.d.comb += [
            self.o.valid.eq(self.i_end.valid),
            summary.end.eq(self.i_end.payload),
            summary.broadcast.eq(good & broadcast),
            summary.multicast.eq(good & group & ~broadcast),
            summary.control.eq(good & control),
            summary.pause.eq(good & pause),
            summary.quanta.eq(quanta),
        ]
        return m
