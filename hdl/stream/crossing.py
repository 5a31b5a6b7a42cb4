"""XGMII words from the recovered clock into the core's, with a stamp, in constant time."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from tickwire.hdl.phy.xgmii import Character, XgmiiWord, column
from tickwire.hdl.stream.packet import strobe
from tickwire.hdl.timing.stamp import STAMP_BITS, gray_decode, gray_encode

__all__ = ["ElasticCrossing"]

_DEPTH = 16         # words: one LUT memory block deep
_POINTER_BITS = 5
# Words that the writer sees waiting when the clocks run at one rate: those that are on their way,
# as the reader's pointer comes back late.
_STEADY = 6


class _Slot(data.Struct):
    word: XgmiiWord
    stamp: STAMP_BITS


class ElasticCrossing(wiring.Component):
    """Carries received words from domain ``rx`` to ``sync``.

    The reader takes a word as soon as it sees it, so a backlog, which a faster ``rx`` clock builds
    up, shows as latency until it is made up for:

    - Words that say nothing are not stored: idle or an ordered set (IEEE 802.3-2022, 46.3.4) in
      both columns, when no frame can be open. The first of them after octets without TERMINATE
      does get through, because it is what ends that frame.
    - Some traffic at line rate has no such word, because each gap ends in the word after
      the one with TERMINATE (68-byte frames from lane 4, 12 characters apart). Then, with a backlog
      of two words or more, START's column is put beside TERMINATE's: the gap shrinks by
      8 characters.

    Each gap that a transmitter may leave (9 characters or more, 46.3.1.4) allows one of the two.
    Clocks 200 ppm apart slip by a word in 40,000 bytes, so the backlog stays below three words.

    Neither domain's reset touches the pointers, and if ``rx`` stops, ``o`` merely falls silent. An
    open frame then stays open; the next START breaks it off.

    Latency: 3 cycles from word to word with equal, phase-aligned clocks and no backlog, ± 1 with
    phase and jitter (with a fixed other phase it is 2, counted from the word's stamp).
    ``o.payload`` comes out of registers, ``o.valid`` from a comparison.

    Members
    -------
    i : In, strobe(XgmiiWord), domain ``rx``
        May have gaps.
    i_stamp : In, 16 bits, domain ``rx``
        Travels with the word.
    o : Out, strobe(XgmiiWord), domain ``sync``
        Has gaps where nothing had to be said or ``rx`` is slower.
    o_stamp : Out, 16 bits, domain ``sync``
    o_count_overflow : Out, 1 bit, domain ``sync``
        A word was lost for lack of room; it does not happen within 100 ppm.
    """

    i: In(strobe(XgmiiWord))
    i_stamp: In(STAMP_BITS)
    o: Out(strobe(XgmiiWord))
    o_stamp: Out(STAMP_BITS)
    o_count_overflow: Out(1)

    def __init__(self):
        super().__init__()
        # State, and what becomes of a word, here so that the proofs may name it
        self.memory = Memory(shape=_Slot, depth=_DEPTH, init=[])
        self.produced = Signal(_POINTER_BITS, reset_less=True)
        self.consumed = Signal(_POINTER_BITS, reset_less=True)
        self.consumed_rx = Signal(_POINTER_BITS, reset_less=True)
        self.may_be_open = Signal(reset_less=True)      # the last word may have left a frame open
        # The last word ended a frame in its lower column and had nothing in the upper one.
        self.half_free = Signal(reset_less=True)
        self.last = Signal(36, reset_less=True)         # its lower column
        self.last_slot = Signal(_POINTER_BITS - 1, reset_less=True)
        self.last_stamp = Signal(STAMP_BITS, reset_less=True)
        self.output = Signal(_Slot, reset_less=True)
        self.stores, self.joins, self.loses = Signal(), Signal(), Signal()

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = self.memory
        write = memory.write_port(domain="rx")
        read = memory.read_port(domain="comb")

        def register(name, width=1, *, init=0):
            return Signal(width, name=name, init=init, reset_less=True)

        # Writer, in rx.
        produced = self.produced
        produced_gray = register("produced_gray", _POINTER_BITS)
        consumed_gray = register("consumed_gray", _POINTER_BITS)
        consumed_gray_rx = Signal(_POINTER_BITS)
        m.submodules.consumed = FFSynchronizer(consumed_gray, consumed_gray_rx, o_domain="rx")
        consumed_rx = self.consumed_rx
        m.d.rx += consumed_rx.eq(gray_decode(consumed_gray_rx))
        waiting = Signal(_POINTER_BITS)
        m.d.comb += waiting.eq(produced - consumed_rx)

        word = self.i.payload
        columns = [(word.data[:32], word.control[:4]), (word.data[32:], word.control[4:])]

        def is_idle(octets, control):
            expected_data, expected_control = column([Character.IDLE] * 4)
            return (octets == expected_data) & (control == expected_control)

        def is_ordered_set(octets, control):
            return (octets[:8] == Character.SEQUENCE) & (control == 0b0001)

        def starts(octets, control):
            return (octets[:8] == Character.START) & control[0]

        idle = [is_idle(*half) for half in columns]
        start = [starts(*half) for half in columns]
        empty = Cat(idle[half] | is_ordered_set(*columns[half]) for half in range(2)).all()

        may_be_open = self.may_be_open
        redundant = empty & ~may_be_open

        half_free, last, last_slot = self.half_free, self.last, self.last_slot
        last_stamp = self.last_stamp
        # With such a backlog the reader is two words or more away from the last slot.
        joins = half_free & idle[0] & start[1] & (waiting >= _STEADY + 2)

        full = waiting[-1]
        stores = self.i.valid & ~redundant & ~joins & ~full
        loses = self.i.valid & ~redundant & ~joins & full
        m.d.comb += [
            self.stores.eq(stores), self.joins.eq(self.i.valid & joins), self.loses.eq(loses),
            write.en.eq(self.i.valid & ~redundant & (joins | ~full)),
            write.addr.eq(Mux(joins, last_slot, produced[:-1])),
            write.data.word.data.eq(Cat(Mux(joins, last[:32], columns[0][0]), columns[1][0])),
            write.data.word.control.eq(Cat(Mux(joins, last[32:], columns[0][1]), columns[1][1])),
            write.data.stamp.eq(Mux(joins, last_stamp, self.i_stamp)),
        ]
        following = Signal(_POINTER_BITS)
        m.d.comb += following.eq(produced + stores)
        m.d.rx += [
            produced.eq(following),
            produced_gray.eq(gray_encode(following)),
        ]
        with m.If(write.en):
            m.d.rx += [
                may_be_open.eq(~word.control.any() | start[0] | start[1]),
                half_free.eq(columns[0][1].any() & ~start[0] & ~idle[0] & idle[1]),
                last.eq(Cat(columns[0])),
                last_slot.eq(produced),
                last_stamp.eq(self.i_stamp),
            ]
        lost = register("lost")     # changes with each loss
        m.d.rx += lost.eq(lost ^ loses)

        # Reader, in sync. The slot is read a cycle ahead, into a register.
        produced_gray_sync = Signal(_POINTER_BITS)
        m.submodules.produced = FFSynchronizer(produced_gray, produced_gray_sync)
        consumed, output = self.consumed, self.output
        upcoming = Signal(_POINTER_BITS)
        m.d.comb += [
            self.o.valid.eq(produced_gray_sync != consumed_gray),
            self.o.payload.eq(output.word),
            self.o_stamp.eq(output.stamp),
            upcoming.eq(consumed + self.o.valid),
            read.addr.eq(upcoming),
        ]
        m.d.sync += [
            consumed.eq(upcoming),
            consumed_gray.eq(gray_encode(upcoming)),
            output.eq(read.data),
        ]

        lost_sync, lost_before = Signal(), register("lost_before")
        m.submodules.lost = FFSynchronizer(lost, lost_sync)
        m.d.sync += lost_before.eq(lost_sync)
        m.d.comb += self.o_count_overflow.eq(lost_sync != lost_before)
        return m
