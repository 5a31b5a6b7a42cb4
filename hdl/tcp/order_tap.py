"""The payload of an order's frame, taken down as the frame leaves."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from tickwire.hdl.ip.checksum import ChecksumTest
from tickwire.hdl.stream.packet import Packet, strobe
from tickwire.hdl.tcp.segment import LARGEST_SEGMENT, Record
from tickwire.hdl.tcp.session import Commit
from tickwire.hdl.tcp.sums import fold
from tickwire.hdl.wire.ethernet import ETHERNET_HEADER
from tickwire.hdl.wire.ipv4 import IPV4_HEADER
from tickwire.hdl.wire.tcp import TCP_HEADER

__all__ = ["OrderTap"]

_LANES = 8
_BEAT, _LANE = divmod(ETHERNET_HEADER.size + IPV4_HEADER.size + TCP_HEADER.size, _LANES)


class OrderTap(wiring.Component):
    """Moves an order's payload to lane 0 and sums it; it stands behind headers without options.

    Latency: frame's first beat → ``o_begin`` 0 cycles; beat → word that it completes 0 cycles;
    last beat → word with what is left of it 1 cycle; ``i_commit`` → ``o_commit`` 0 cycles.

    Members
    -------
    i : In, strobe(Packet(8))
        Beats of the order's frame in the cycles in which they are accepted.
    i_commit : In, strobe of :class:`~tickwire.hdl.tcp.session.Commit`
        The frame has left whole, at least two cycles after its last beat was accepted.
    o_begin : Out, 1 bit
    o_word : Out, strobe of 64 bits
    o_commit : Out, strobe(Record)
    """

    i: In(strobe(Packet(_LANES)))
    i_commit: In(strobe(Commit))
    o_begin: Out(1)
    o_word: Out(strobe(64))
    o_commit: Out(strobe(Record))

    def elaborate(self, platform):
        m = Module()
        m.submodules.sum = total = ChecksumTest(LARGEST_SEGMENT // 2)
        beat, valid = self.i.payload, self.i.valid
        index = Signal(range(_BEAT + 2))        # of the beat, up to the payload's second one
        held = Signal(8 * (_LANES - _LANE), reset_less=True)
        rest = Signal()
        at_payload, behind = index == _BEAT, index == _BEAT + 1

        with m.If(valid):
            m.d.sync += held.eq(beat.data[8 * _LANE:])
            with m.If(beat.first):
                m.d.sync += index.eq(1)
            with m.Elif(~behind):
                m.d.sync += index.eq(index + 1)
        ends_high = beat.end > _LANE
        m.d.sync += rest.eq(valid & beat.last & (at_payload | behind) & ends_high)
        m.d.comb += [
            self.o_begin.eq(valid & beat.first),
            self.o_word.valid.eq(valid & ~beat.first & behind | rest),
            self.o_word.payload.eq(Cat(held, beat.data[:8 * _LANE])),
            total.i_valid.eq(valid),
            total.i_restart.eq(at_payload),
            total.i_data.eq(beat.data),
            total.i_mask.eq(Cat((beat.end > lane) & (behind | at_payload & (lane >= _LANE))
                                for lane in range(_LANES))),
            self.o_commit.valid.eq(self.i_commit.valid),
            self.o_commit.payload.sequence.eq(self.i_commit.payload.sequence),
            self.o_commit.payload.length.eq(self.i_commit.payload.length),
            self.o_commit.payload.sum.eq(fold(total.o_sum[:28])),
        ]
        return m
