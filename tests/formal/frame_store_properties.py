"""What the store owes the receiver and the queue behind it, stated on beats and bytes.

The queue's own duties are proved elsewhere, so what is looked at here is what goes into it. One
byte of each frame may be watched, any one, and is seen to arrive in its place. The gateware's
registers are named only in invariants.
"""

from amaranth.hdl import Assert, Assume, Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In
from seeded import through
from tickwire.hdl.mac.frame_store import FrameStore
from tickwire.hdl.phy.xgmii import LANES

DELAY = 4           # cycles from a beat to the one in which its frame's fate is decided
LEAST = 32          # bytes of a good frame, so that its address was compared in time
FCS = 4
LENGTH_BITS = 16    # lengths and places wrap around


def any_hash(state, address, octets, rows=range(26, 32)):
    """In the place of the filter's ``crc_step``: which hash of an address it is matters nowhere."""
    return address[rows.start:rows.stop]


class StoreTakesGoodFrames(wiring.Component):
    """Of a frame all bytes but the last 4 go into the queue, from lane 0 on, and only if wanted.

    Wanted is a frame with a good end, no MAC Control frame, that nobody claimed and that the filter
    lets pass. Any other is aborted with its last beat, and one that was good and not claimed is
    counted as filtered. Whatever happens behind the store, in front of it nothing ever waits.

    Assumed is what is proved of the receiver: frames have one first and one last beat, begin in
    lane 0 or 4 and are full in between; only a frame of ``LEAST`` bytes or more is good. Beats may
    have gaps. The filter's settings stay as they are.

    Parameters
    ----------
    store : FrameStore
    invariants : bool
        State them too; a bounded check does without.
    """

    def __init__(self, store=None, *, invariants=True):
        self.store = store or FrameStore(8)
        self.invariants = invariants
        super().__init__({**self.store.signature.members, "watch": In(1), "lane": In(3)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.store = store = self.store
        through(m, self, store)
        queue, late = store.queue, store.late

        # The beat whose frame's fate is decided, and the fate
        before, valid_before = self.i.payload.as_value(), self.i.valid
        for stage in range(DELAY):
            later = Signal.like(before, name=f"beat_{stage}", reset_less=True)
            valid_later = Signal(name=f"valid_{stage}")
            m.d.sync += [later.eq(before), valid_later.eq(valid_before)]
            before, valid_before = later, valid_later
        m.d.comb += [Assert(late.valid == valid_before), Assert(late.payload.as_value() == before)]
        beat, valid = late.payload, late.valid
        ended, good = Signal(), Signal()
        m.d.sync += [ended.eq(self.i_end.valid & self.i_end.payload.good & ~self.i_control),
                     good.eq(ended)]

        open_, total = Signal(), Signal(LENGTH_BITS)        # of the frame; its bytes so far
        before_beat = Mux(beat.first, 0, total)[:LENGTH_BITS]
        after_beat = (before_beat + beat.end - beat.begin)[:LENGTH_BITS]
        ends = valid & beat.last
        with m.If(valid):
            m.d.sync += [open_.eq(~beat.last), total.eq(after_beat)]
            m.d.comb += [
                Assume(beat.first == ~open_), Assume(beat.begin <= beat.end),
                Assume((beat.begin == 0) | (beat.first & (beat.begin == 4))),
                Assume(beat.last == (beat.end < LANES)), Assume(beat.end <= LANES),
            ]
        m.d.comb += Assume(~good | (ends & (after_beat >= LEAST)))
        wanted = good & ~self.i_claimed
        passes = self.passes(m, valid, beat, open_, total)
        keeps = wanted & passes

        # What goes into the queue: in the cycle of the frame's last beat, or the one behind
        sent, sent_beat = Signal(LENGTH_BITS), queue.i.payload
        just_ended, keeps_then, total_then = Signal(), Signal(), Signal(LENGTH_BITS)
        was_filtered, sent_last = Signal(), Signal()
        closes = queue.i.valid & sent_beat.last
        in_time = closes & ~store.tail          # the last chunk leaves with the last beat
        m.d.sync += [just_ended.eq(ends), keeps_then.eq(keeps), total_then.eq(after_beat),
                     was_filtered.eq(wanted & ~passes), sent_last.eq(in_time)]
        with m.If(queue.i.valid):
            m.d.sync += sent.eq(Mux(sent_beat.last, 0, sent + sent_beat.end))
            m.d.comb += [Assert((sent_beat.end >= 1) & (sent_beat.end <= LANES)),
                         Assert(sent_beat.last | (sent_beat.end == LANES))]
        with m.If(closes):
            m.d.comb += [
                Assert(Mux(in_time, ends, just_ended)),
                Assert((sent + sent_beat.end + FCS)[:LENGTH_BITS]
                       == Mux(in_time, after_beat, total_then)),
                Assert(queue.i_abort == ~Mux(in_time, keeps, keeps_then)),
            ]
        m.d.comb += [
            Assert(queue.i.ready), Assert(~queue.i_abort | closes),
            Assert(self.o_count_filtered == was_filtered),
            # A frame that is wanted does close, and nothing follows on what has not been closed.
            Assert(~(just_ended & keeps_then) | sent_last | closes),
            Assert(~just_ended | (sent == 0) | closes),
        ]

        # The watched byte
        watched, place, value = Signal(), Signal(LENGTH_BITS), Signal(8)
        offset = (place - sent)[:LENGTH_BITS]
        arrives = watched & queue.i.valid & (offset < sent_beat.end)
        with m.If(closes | just_ended | arrives):
            m.d.sync += watched.eq(0)
        with m.Elif(valid & self.watch & ~watched & ~beat.last):
            m.d.sync += [watched.eq((self.lane >= beat.begin) & (self.lane < beat.end)),
                         place.eq(before_beat + self.lane - beat.begin),
                         value.eq(beat.data.word_select(self.lane, 8))]
        with m.If(arrives):
            m.d.comb += Assert(sent_beat.data.word_select(offset[:3], 8) == value)
        if not self.invariants:
            return m

        # Invariants: what the store has of the frame is what is missing in the queue.
        base = (sent + Mux(store.holds, LANES, 0))[:LENGTH_BITS]
        ahead = (place - base)[:LENGTH_BITS]
        m.d.comb += [
            Assert(~(open_ & store.tail)), Assert(~store.tail | just_ended),
            Assert(open_ | ~store.holds), Assert(open_ | store.tail | (sent == 0)),
            Assert(store.holds | store.tail | (sent == 0)), Assert(sent[:3] == 0),
            Assert(~open_ | (total == (base + Mux(store.upper, 4, 0))[:LENGTH_BITS])),
            Assert(~store.tail | (store.tail_keeps == keeps_then)),
            Assert(~store.tail | ((sent + store.tail_end + FCS)[:LENGTH_BITS] == total_then)),
            Assert(~watched | open_ | just_ended),
        ]
        with m.If(watched & open_):
            m.d.comb += Assert(offset < (total - sent)[:LENGTH_BITS])
            with m.If(store.holds & (offset < LANES)):
                m.d.comb += Assert(store.held.word_select(offset[:3], 8) == value)
            with m.If(store.upper & (ahead < 4)):
                m.d.comb += Assert(store.high.word_select(ahead[:2], 8) == value)
        with m.If(watched & store.tail & (offset < LANES)):
            m.d.comb += Assert(store.held.word_select(offset[:3], 8) == value)
        return m

    def passes(self, m, valid, beat, open_, total):
        """Whether the filter has to let the present frame pass, by its first six bytes."""
        settings, settled = self.filter, Signal(reset_less=True)
        before = Signal.like(settings.as_value(), reset_less=True)
        m.d.sync += [before.eq(settings), settled.eq(1)]
        m.d.comb += Assume(~settled | (settings.as_value() == before))

        octets = [Signal(8, name=f"address_{n}", reset_less=True) for n in range(6)]
        missing = Signal()          # the last two are in the next beat
        with m.If(valid):
            m.d.sync += missing.eq(beat.first & (beat.begin == 4))
            with m.If(beat.first):
                begun = Mux(beat.begin == 4, beat.data[32:], beat.data[:48])
                m.d.sync += [octet.eq(begun[8 * n:8 * n + 8]) for n, octet in enumerate(octets)]
            with m.Elif(missing):
                m.d.sync += [octets[4].eq(beat.data[:8]), octets[5].eq(beat.data[8:16])]
        address = Cat(octets)
        if self.invariants:
            m.d.comb += [Assert(self.store.address.half == missing),
                         Assert(~missing | ~open_ | (total == LANES // 2)),
                         Assert(self.store.address.address == address)]
        own = Cat(reversed(octets)) == settings.station
        everybody = address == 2**48 - 1
        number = any_hash(None, address, 6)
        return (settings.promiscuous | settings.own & own | settings.broadcast & everybody
                | address[0] & ~everybody & settings.groups.bit_select(number, 1))
