"""The options of a TCP header: the one that matters is found, the others are skipped."""

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from tickwire.hdl.ip.octets import number

__all__ = ["OptionWalk"]

_LANES = 8
_HALF = 4
_END, _NO_OPERATION, _MSS = 0, 1, 2     # kinds (RFC 9293, 3.2)
_MSS_BYTES = 4
_DEFAULT_MSS = 536                      # RFC 9293, 3.7.1 (MUST-15)
_NEVER = 63                             # to a kind that this list does not reach any more


class OptionWalk(wiring.Component):
    """Finds the maximum segment size (RFC 9293, 3.7.1) in a list of options of any kind.

    What is not known is skipped by its length (MUST-6). A list with a length below 2, or with one
    that goes beyond the header, is not looked at any further (MUST-7), as Linux does; what stood
    before it counts. Of several such options the last one counts.

    A list is a chain: where an option ends only its length says. So for each byte of a half it is
    found first where the half would be left if a kind stood there; the list itself then takes one
    step a half.

    Latency: beat → ``o_mss``, ``o_malformed`` 3 cycles; they stand until the next list.

    Members
    -------
    i_valid : In, 1 bit
    i_start : In, 1 bit
        A segment's list begins with this beat, or in its upper half if ``i_start_high``.
    i_start_high : In, 1 bit
    i_low, i_high : In, 1 bit
        This half of the beat belongs to the list. A beat behind the list has neither.
    i_data : In, 64 bits
    i_next : In, 8 bits
        The byte that follows.
    o_mss : Out, 16 bits
        536 if there is no such option.
    o_malformed : Out, 1 bit
    """

    i_valid: In(1)
    i_start: In(1)
    i_start_high: In(1)
    i_low: In(1)
    i_high: In(1)
    i_data: In(8 * _LANES)
    i_next: In(8)
    o_mss: Out(16)
    o_malformed: Out(1)

    def elaborate(self, platform):
        m = Module()
        octets = [*(self.i_data.word_select(lane, 8) for lane in range(_LANES)), self.i_next]
        inside = [self.i_low] * _HALF + [self.i_high] * _HALF

        # Stage 1: each byte, as if it were a kind
        jump = [Signal(6, name=f"jump_{lane}", reset_less=True) for lane in range(_LANES)]
        is_mss, is_end = Signal(_LANES), Signal(_LANES)
        for lane in range(_LANES):
            kind, length = octets[lane], octets[lane + 1]
            with m.If(~inside[lane] | (kind == _END)):
                m.d.sync += jump[lane].eq(_NEVER)
            with m.Elif(kind == _NO_OPERATION):
                m.d.sync += jump[lane].eq(1)
            with m.Else():
                m.d.sync += jump[lane].eq(
                    Mux((length < 2) | length[6:].any(), _NEVER, length[:6]))
            # The list is right if it ends by its mark, or just where the header does.
            ends = inside[lane] & (kind == _END)
            if lane == 0:
                ends |= ~self.i_low
            if lane == _HALF:
                ends |= ~self.i_high & (self.i_low | self.i_start_high)
            m.d.sync += [is_mss[lane].eq((kind == _MSS) & (length == _MSS_BYTES)),
                         is_end[lane].eq(ends)]

        def later(value, name):
            register = Signal.like(value, name=name)
            m.d.sync += register.eq(value)
            return register

        valid_1, valid_2 = Signal(), Signal()
        m.d.sync += [valid_1.eq(self.i_valid), valid_2.eq(valid_1)]
        here = Cat(self.i_data, self.i_start, self.i_start & self.i_start_high, self.i_low,
                   self.i_high)
        here = later(later(here, "here_1"), "here_2")
        octets_2, (start, start_high, low, high) = here[:64], here[64:]
        is_mss_2, is_end_2 = later(is_mss, "is_mss_2"), later(is_end, "is_end_2")

        # Stage 2: from each byte of a half to the one behind the half, and all kinds on the way
        leaves = [Signal(6, name=f"leaves_{lane}", reset_less=True) for lane in range(_LANES)]
        passes = [Signal(_HALF, name=f"passes_{lane}", reset_less=True) for lane in range(_LANES)]
        for first in (0, _HALF):
            out, way = {}, {}
            for lane in reversed(range(_HALF)):
                step = jump[first + lane]
                out[lane], way[lane] = Signal(6), Signal(_HALF)
                m.d.comb += [out[lane].eq(Mux(step == _NEVER, _NEVER, step + lane - _HALF)),
                             way[lane].eq(1 << lane)]
                for target in range(lane + 1, _HALF):
                    with m.If(step == target - lane):
                        m.d.comb += [out[lane].eq(out[target]),
                                     way[lane].eq(way[target] | 1 << lane)]
                m.d.sync += [leaves[first + lane].eq(out[lane]), passes[first + lane].eq(way[lane])]

        # Stage 3: the list's own way
        skip = Signal(6)        # bytes to the next kind, from the beat's first one
        over = Signal()         # the list has ended in a beat before
        reached = Signal(_LANES)

        def through(entry, first):
            """Bytes behind this half to the next kind, which is ``entry`` behind its first byte."""
            left = Signal(6)
            m.d.comb += left.eq(Mux(entry >= _NEVER - _LANES, _NEVER, entry - _HALF))
            for lane in range(_HALF):
                with m.If(entry == lane):
                    m.d.comb += [left.eq(leaves[first + lane]),
                                 reached[first:first + _HALF].eq(passes[first + lane])]
            return left

        begin = Signal(6)
        m.d.comb += begin.eq(Mux(start, Mux(start_high, _HALF, 0), skip))
        walks = valid_2 & (start | ~over)
        after = through(through(begin, 0), _HALF)
        hits = reached & is_mss_2
        # An option that the beat ends before its value is completed by the next one.
        half_value = Signal(8, reset_less=True)
        awaited = Signal(3)

        def value(first):
            return number(octets_2[8 * first:8 * (first + 2)])

        with m.If(walks):
            m.d.sync += [
                skip.eq(after),
                over.eq(~high),
                self.o_malformed.eq((start | self.o_malformed)
                                    & ~reduce(or_, list(reached & is_end_2))),
                awaited.eq(hits[5:] & high.replicate(3)),
                half_value.eq(octets_2[56:]),
            ]
            with m.If(start):
                m.d.sync += self.o_mss.eq(_DEFAULT_MSS)
            with m.Elif(low):
                with m.If(awaited[0]):
                    m.d.sync += self.o_mss.eq(Cat(octets_2[:8], half_value))
                with m.If(awaited[1]):
                    m.d.sync += self.o_mss.eq(value(0))
                with m.If(awaited[2]):
                    m.d.sync += self.o_mss.eq(value(1))
            for lane in range(_LANES - _MSS_BYTES + 1):
                whole = low if lane == 0 else high
                with m.If(hits[lane] & whole):
                    m.d.sync += self.o_mss.eq(value(lane + 2))
        return m
