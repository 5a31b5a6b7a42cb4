"""The core's cycle count, and the same count seen from another clock domain."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

__all__ = ["STAMP_BITS", "CycleCounter", "StampCrossing", "gray_encode", "gray_decode"]

STAMP_BITS = 16

_STAGES = 2             # of the synchroniser
_DELAY = _STAGES + 2    # cycles from `i_gray` to `o` of the crossing: synchroniser, decode, add


def gray_encode(value):
    """Binary to Gray code."""
    return value ^ value[1:]


def gray_decode(value):
    """Gray code to binary."""
    return Cat(value[bit:].xor() for bit in range(len(value)))


class CycleCounter(wiring.Component):
    """Counts core cycles from reset on; the low bits also in Gray code, fit to cross domains.

    Both outputs stand for the present cycle: in the first cycle after reset they are 0.

    Latency: ``i_skip`` → ``o`` 1 cycle.

    Parameters
    ----------
    width : int
        Bits of the count, at least 16.

    Members
    -------
    i_skip : In, ``width`` bits
        Cycles to count beside this one: a simulation leaves out idle time so. 0 on a board.
    o : Out, ``width`` bits
        Wraps around.
    o_gray : Out, 16 bits
        Gray code of the low 16 bits of ``o``, out of registers: no glitches.

    Raises
    ------
    ValueError
        If ``width`` is less than 16.
    """

    def __init__(self, width=STAMP_BITS):
        if width < STAMP_BITS:
            raise ValueError(f"CycleCounter width must be at least {STAMP_BITS} bits, the width "
                             f"of a stamp, not {width!r}")
        super().__init__({"i_skip": In(width), "o": Out(width), "o_gray": Out(STAMP_BITS)})

    def elaborate(self, platform):
        m = Module()
        following = Signal(len(self.o))
        m.d.comb += following.eq(self.o + 1 + self.i_skip)
        m.d.sync += [
            self.o.eq(following),
            self.o_gray.eq(gray_encode(following[:STAMP_BITS])),
        ]
        return m


class StampCrossing(wiring.Component):
    """Shows the core's cycle count in the domain ``rx``.

    With equal, phase-aligned clocks ``o`` is the count of the very same cycle; else it is off by
    one at most, as long as both clocks run at nearly the same rate. It stops with its clock and
    is right again 4 cycles after that resumes. Rename ``rx`` for further receive ports.

    Latency: 0 cycles as seen from outside (4 within, made up for by adding 4).

    Members
    -------
    i_gray : In, 16 bits
        ``CycleCounter.o_gray``, in ``sync``.
    o : Out, 16 bits
        Core cycle count, in ``rx``.
    """

    i_gray: In(STAMP_BITS)
    o: Out(STAMP_BITS)

    def __init__(self):
        super().__init__()
        self.binary = Signal(STAMP_BITS, reset_less=True)   # here so that the proofs may name it

    def elaborate(self, platform):
        m = Module()
        synchronised = Signal(STAMP_BITS)
        m.submodules.synchroniser = FFSynchronizer(self.i_gray, synchronised, o_domain="rx",
                                                   stages=_STAGES)
        m.d.rx += [
            self.binary.eq(gray_decode(synchronised)),
            self.o.eq(self.binary + _DELAY),
        ]
        return m
