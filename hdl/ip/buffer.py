"""The one buffer of the network edge: a received frame, or a payload that is to become one."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from tickwire.hdl.ip.program import HEADER_BYTES
from tickwire.hdl.stream.packet import Packet, packet_stream, strobe

__all__ = ["EdgeBuffer", "MAXIMUM_PAYLOAD"]

_LANES = 8
_HEADER_BEATS, _HEADER_LANES = divmod(HEADER_BYTES, _LANES)
_MAXIMUM_FRAME = 1514           # bytes without FCS, of a datagram that is sent
MAXIMUM_PAYLOAD = _MAXIMUM_FRAME - HEADER_BYTES     # bytes
_LIMIT = _MAXIMUM_FRAME // _LANES                   # beat in which the longest datagram ends


class EdgeBuffer(wiring.Component):
    """Takes a frame from ``i``, or a payload from ``i_udp`` to where it stands behind its headers.

    Latency: beat accepted → ``o_beat`` 0 cycles; last one accepted → ``o_length`` 1 cycle.
    A payload ends a cycle after its last beat if that has more than 6 bytes.

    Parameters
    ----------
    depth : int
        Beats, a power of two, at least 256.

    Members
    -------
    i : In, packet_stream(8)
    i_udp : In, packet_stream(8)
        An empty payload is a beat with ``end`` = 0.
    i_take_frame, i_take_payload : In, 1 bit
        Beats are accepted from ``i`` or ``i_udp``, from the start of the buffer on. Not both;
        neither for at least one cycle between two takings.
    o_beat : Out, strobe(Packet(8))
        As it is written.
    o_ended : Out, 1 bit
        The last beat is written in this cycle.
    o_full : Out, 1 bit
        So is the buffer's last one, but not the frame's.
    o_length : Out
        Bytes of the frame (of that part of it, if it does not fit), headers included.
    o_too_long : Out, 1 bit
        The payload has more than ``MAXIMUM_PAYLOAD`` bytes; stands with ``o_ended``.
    i_address, i_read, o_data : In, In (1 bit), Out (64 bits)
        Read port: ``o_data`` is that of ``i_address`` when ``i_read`` last was high.
    """

    def __init__(self, depth=512):
        if depth < 256 or depth & (depth - 1):
            raise ValueError("EdgeBuffer depth must be a power of two of at least 256 beats, "
                             f"not {depth!r}")
        self._depth = depth
        super().__init__({
            "i": In(packet_stream(_LANES)),
            "i_udp": In(packet_stream(_LANES)),
            "i_take_frame": In(1),
            "i_take_payload": In(1),
            "o_beat": Out(strobe(Packet(_LANES))),
            "o_ended": Out(1),
            "o_full": Out(1),
            "o_length": Out(range(depth * _LANES + 1)),
            "o_too_long": Out(1),
            "i_address": In(range(depth)),
            "i_read": In(1),
            "o_data": Out(64),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = Memory(shape=64, depth=self._depth, init=[],
                                              attrs={"ram_style": "block", "no_rw_check": 1})
        write, read = memory.write_port(), memory.read_port()
        m.d.comb += [read.addr.eq(self.i_address), read.en.eq(self.i_read),
                     self.o_data.eq(read.data)]

        # A payload's bytes move up by the header's lanes, so its last beat may leave a rest.
        fill, index = Signal(range(self._depth)), Signal(range(self._depth))
        rest, rest_end = Signal(), Signal(range(_HEADER_LANES + 1))
        carry = Signal(8 * _HEADER_LANES)
        beat, payload = self.o_beat.payload, self.i_udp.payload
        end = Signal(range(_LANES + _HEADER_LANES + 1))
        overruns, overran = Signal(), Signal()
        m.d.comb += [
            self.i.ready.eq(self.i_take_frame),
            self.i_udp.ready.eq(self.i_take_payload & ~rest),
            end.eq(Mux(rest, rest_end, payload.end + _HEADER_LANES)),
            index.eq(Mux(self.i_take_payload & beat.first, _HEADER_BEATS, fill)),
        ]
        with m.If(self.i_take_frame):
            m.d.comb += [self.o_beat.valid.eq(self.i.valid), beat.eq(self.i.payload)]
        with m.Else():
            m.d.comb += [
                self.o_beat.valid.eq(self.i_take_payload & (self.i_udp.valid | rest)),
                beat.data.eq(Cat(carry, payload.data)),
                beat.first.eq(payload.first & ~rest),
                beat.begin.eq(Mux(beat.first, _HEADER_LANES, 0)),
                beat.last.eq(rest | payload.last & (end <= _LANES)),
                beat.end.eq(Mux(end > _LANES, _LANES, end)),
                overruns.eq((index == _LIMIT) & (~beat.last | (end > _MAXIMUM_FRAME % _LANES))),
            ]
        m.d.comb += [
            write.addr.eq(index),
            write.data.eq(beat.data),
            write.en.eq(self.o_beat.valid & ~overran),
            self.o_ended.eq(self.o_beat.valid & beat.last),
            self.o_full.eq(self.o_beat.valid & ~beat.last & index.all()),
            self.o_too_long.eq(overran | overruns),
        ]
        with m.If(~self.i_take_frame & ~self.i_take_payload):
            m.d.sync += [fill.eq(0), overran.eq(0), rest.eq(0)]
        with m.Elif(self.o_beat.valid):
            m.d.sync += [
                fill.eq(index + 1),
                overran.eq(self.o_too_long),
                self.o_length.eq(beat.end + (index << 3)),
                carry.eq(payload.data[64 - 8 * _HEADER_LANES:]),
                rest.eq(payload.last & ~beat.last & self.i_take_payload),
                rest_end.eq(payload.end + _HEADER_LANES - _LANES),
            ]
        return m
