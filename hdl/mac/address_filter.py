"""Which frames are for this station, by their destination address."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from tickwire.hdl.mac.crc import INITIAL, crc_step
from tickwire.hdl.phy.xgmii import LANES
from tickwire.hdl.stream.packet import Packet, strobe

__all__ = ["AddressFilter", "FilterSettings"]

_ADDRESS = 6            # bytes
_HASH_BITS = 6


class FilterSettings(data.Struct):
    """What an :class:`AddressFilter` lets pass; any one that fits is enough.

    Bit h of ``groups`` stands for all group addresses with the hash h: bits 31 to 26 of the
    CRC-32 (IEEE 802.3-2022, 3.2.9) of the address's six bytes, without its final complement.
    Groups that share a hash cannot be told apart: software behind the filter looks again.
    """

    station: 8 * _ADDRESS       # own address, first byte highest
    own: 1                      # frames to it
    broadcast: 1
    promiscuous: 1              # all frames
    groups: 1 << _HASH_BITS     # multicast


class AddressFilter(wiring.Component):
    """Compares the destination address of each frame (IEEE 802.3-2022, 3.2.3).

    Latency: beat with the address's last byte → ``o_pass`` 3 cycles. It stands until 2 cycles
    after the next frame's first beat.

    Members
    -------
    i : In, strobe(Packet(8))
        Frames that begin in lane 0 or 4. May have gaps.
    settings : In, FilterSettings
        A change counts from the next frame on, at the latest.
    o_pass : Out, 1 bit
    """

    i: In(strobe(Packet(LANES)))
    settings: In(FilterSettings)
    o_pass: Out(1)

    def __init__(self):
        super().__init__()
        # State, here so that the proofs may name it
        self.address = Signal(8 * _ADDRESS, reset_less=True)    # first byte lowest
        self.half = Signal()    # its last two bytes are in the next beat

    def elaborate(self, platform):
        m = Module()
        beat, settings = self.i.payload, self.settings
        address, half = self.address, self.half
        with m.If(self.i.valid):
            m.d.sync += half.eq(beat.first & (beat.begin == 4))
            with m.If(beat.first):
                m.d.sync += address.eq(Mux(beat.begin == 4, beat.data[32:], beat.data))
            with m.Elif(half):
                m.d.sync += address[32:].eq(beat.data)

        reversed_bytes = Cat(address.word_select(_ADDRESS - 1 - n, 8) for n in range(_ADDRESS))
        is_own, is_broadcast = Signal(), Signal()
        is_group, number = Signal(), Signal(_HASH_BITS)
        m.d.sync += [
            is_own.eq(reversed_bytes == settings.station),
            is_broadcast.eq(address.all()),
            is_group.eq(address[0]),
            number.eq(crc_step(Const(INITIAL, 32), address, _ADDRESS,
                               range(32 - _HASH_BITS, 32))),
            self.o_pass.eq(settings.promiscuous | settings.own & is_own
                           | settings.broadcast & is_broadcast
                           | is_group & ~is_broadcast & settings.groups.bit_select(number, 1)),
        ]
        return m
