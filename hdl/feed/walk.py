"""The way of a decoder through a datagram: from one place that matters to the next."""

from functools import reduce
from operator import or_
from typing import NamedTuple

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from tickwire.hdl.feed.lengths import LengthFields
from tickwire.hdl.feed.plan import LANES, WINDOW
from tickwire.hdl.feed.stops import (
    DATA,
    ENTRY,
    ENTRY_DATA,
    FRAME,
    GROUP,
    GROUP_DATA,
    MESSAGE,
    field_stops,
)
from tickwire.hdl.feed.window import pick
from tickwire.hdl.stream.packet import Packet, strobe

__all__ = ["MessageWalk"]

_BITS = 12              # of a position in the datagram


_NOTHING = Const(0, 3)


class _Step(NamedTuple):
    """One way from a stop to the next one: taken if ``condition`` and ``late`` hold."""

    condition: Value                # from registers
    stop: int                       # the next one's number
    size: int                       # bytes to it ...
    variable: Value = _NOTHING      # ... and what is added to these
    late: Value | None = None       # out of the window


def _choose(cases):
    """AND-OR of ``(condition, value)`` pairs, of which at most one condition holds."""
    return reduce(or_, [Mux(condition, value, 0) for condition, value in cases])


def _is_below_8(first, second, low):
    """Whether a sum, whose three lowest bits are ``low``, is less than 8, without its carries.

    A sum is zero in all bits from 3 up exactly if each bit's half sum is the carry that zeros below
    it would have made.
    """
    carry = first[2] & second[2] | (first[2] | second[2]) & ~low[2]
    found = []
    for bit in range(3, len(first)):
        found.append(first[bit] ^ second[bit] ^ ~carry)
        carry = first[bit] | second[bit]
    return Cat(found).all()


class MessageWalk(wiring.Component):
    """Knows at each beat whether a stop ends in it, in which lane, and which one comes next.

    Stops are the ends of headers and of the fields of a :class:`FeedPlan`. They are at least eight
    bytes apart, so that a beat has one at most, and a step takes one cycle, lengths on the wire
    included. The one exception, data behind a group, is read in one step with the end of the group:
    a skipped group that is the message's last before data has its stops one byte later, where
    the length of the data would be.

    Malformed is what cannot be walked: a chain of lengths that does not end where the payload does,
    and a frame header that tells another length; furthermore what ``LengthFields`` refuses.

    Latency: beat → ``o_hit`` 0 cycles. Last beat → ``o_malformed`` 2 cycles.

    Parameters
    ----------
    plan : FeedPlan

    Attributes
    ----------
    stops : list of FieldStop

    Members
    -------
    i : In, strobe(Packet(8))
        Payloads; three cycles at least from one's last beat to the next one's first.
    window : In, 104 bits
        From ``ByteWindow``, up to ``o_lane``.
    i_fault : In, 1 bit
        With ``o_hit``: a field has an impossible value, the datagram is malformed.
    o_lane : Out, 3 bits
        Where the next stop ends, if it is in this beat. From registers.
    o_hit : Out, 1 bit
        It is.
    o_at : Out
        One-hot number of that stop. From registers.
    o_empty : Out, 1 bit
        With ``o_hit`` at GROUP: the group that should have levels has none.
    o_last_entry : Out, 1 bit
        At a stop in an entry: it is the group's last. From registers.
    o_message : Out
        With ``o_hit`` at MESSAGE: its index in the schema; one more than the last if unknown.
    o_malformed : Out, 1 bit
        Of the datagram so far; stands until the next one's first beat.
    """

    def __init__(self, plan):
        self._plan = plan
        self.stops = field_stops(plan)
        self._stop_count = self.stops[-1].number + 1
        super().__init__({
            "i": In(strobe(Packet(LANES))),
            "window": In(8 * WINDOW),
            "i_fault": In(1),
            "o_lane": Out(range(LANES)),
            "o_hit": Out(1),
            "o_at": Out(self._stop_count),
            "o_empty": Out(1),
            "o_last_entry": Out(1),
            "o_message": Out(range(len(plan.schema.messages) + 1)),
            "o_malformed": Out(1),
        })

    def elaborate(self, platform):
        m = Module()

        beat = self.i.payload
        header = self._plan.schema.frame_header

        # Where the next stop's last byte is, counted from lane 0 of the present beat, and what it
        # is. Between datagrams it stands as if the next one began in lane 0. The place is kept as a
        # sum not yet done, but for the lane: so the addition has the start of the next cycle.
        offset = Signal(_BITS, init=header.size - 1)
        length = Signal(_BITS)
        lane = Signal(range(LANES), init=(header.size - 1) % LANES)
        position = Signal(_BITS)
        in_beat = Signal()          # it is one of the present beat's lanes
        m.d.comb += [position.eq(offset + length), in_beat.eq(_is_below_8(offset, length, lane))]
        at = Signal(self._stop_count, init=1 << FRAME)
        active = Signal()
        # A step from beyond the payload's end misses the place that is looked for at that end: no
        # step to a message header is shorter than the header. So it does no harm.
        here = Signal()
        m.d.comb += [
            self.o_lane.eq(lane),
            self.o_at.eq(at),
            here.eq(in_beat & Mux(beat.first, beat.begin == 0, active)),
            self.o_hit.eq(self.i.valid & here & (self.o_lane < beat.end)),
        ]

        m.submodules.lengths = lengths = LengthFields(self._plan, self.stops)
        m.d.comb += [
            lengths.i_valid.eq(self.i.valid),
            lengths.i_data.eq(beat.data),
            lengths.lane.eq(self.o_lane),
            lengths.window.eq(self.window),
            lengths.hit.eq(self.i.valid & here),
            lengths.at.eq(at),
            self.o_empty.eq(lengths.levels & lengths.empty),
            self.o_last_entry.eq(lengths.last_entry),
            self.o_message.eq(lengths.message_index),
        ]

        steps = list(self._steps(at, lengths))
        start = Signal(_BITS)       # for a datagram that begins in this beat
        m.d.comb += start.eq(beat.begin + header.size - 1 - LANES)
        passed = Mux(beat.first, start, position - LANES)
        with m.If(self.i.valid):
            m.d.sync += [
                offset.eq(self._next(steps, here, passed, lambda same: self._table(same.size))),
                length.eq(self._next(steps, here, Const(0, 1), lambda same: same.variable)),
                lane.eq(self._next(steps, here, Mux(beat.first, start[:3], lane), lambda same:
                                   (self._table(same.size)[:3] + same.variable[:3])[:3])),
            ]
        with m.If(self.i.valid & here):
            m.d.sync += at.eq(self._next(steps, Const(1, 1), Const(0, 1), lambda same:
                                         Const(1 << same.stop, self._stop_count)))

        # The end: the next message header would begin right behind the payload.
        frame_length = Signal(16, reset_less=True)
        octets = Signal(16, reset_less=True)        # behind the frame header
        ended = Signal()
        end = Signal(range(LANES + 1), reset_less=True)
        m.d.sync += [ended.eq(self.i.valid & beat.last), end.eq(beat.end)]
        with m.If(self.i.valid):
            m.d.sync += [
                active.eq(~beat.last),
                octets.eq(Mux(beat.first, -header.size - beat.begin, octets) + beat.end),
            ]
            with m.If(beat.first):
                m.d.sync += self.o_malformed.eq(0)
        with m.If(self.o_hit & at[FRAME]):
            m.d.sync += frame_length.eq(lengths.frame_length)
        with m.If(lengths.fault | self.o_hit & self.i_fault):
            m.d.sync += self.o_malformed.eq(1)
        with m.If(ended):
            m.d.sync += [register.eq(register.init) for register in (at, offset, length, lane)]
            beyond = self._plan.schema.message_header.size - 1 - LANES
            with m.If(~at[MESSAGE] | (position != end + beyond) | (octets != frame_length)):
                m.d.sync += self.o_malformed.eq(1)
        return m

    def _table(self, size):
        """Where a step of ``size`` bytes leads, in the next beat: no adder, for three bits."""
        return pick([Const((lane + size - LANES) % (1 << _BITS), _BITS) for lane in range(LANES)],
                    self.o_lane)

    @staticmethod
    def _next(steps, here, otherwise, value):
        """``value`` of the step that is taken, or ``otherwise`` if none is taken ``here``.

        What is late is used last: first the steps are chosen from by all that registers tell.
        """
        by_late = {}
        for step in steps:
            by_late.setdefault(id(step.late), (step.late, []))[1].append(step)
        cases = []
        for late, same in by_late.values():
            chosen = Mux(here, _choose((step.condition, value(step)) for step in same),
                         otherwise if late is None else 0)
            cases.append(chosen if late is None else Mux(late, chosen, 0))
        return reduce(or_, cases)

    def _steps(self, at, lengths):
        """Every way to go on. One condition holds at a time."""
        schema, plans = self._plan.schema, self._plan.messages
        distance, last = lengths.distance, lengths.last_entry
        planned, message = lengths.planned, lengths.message
        first = {(stop.plan.name, stop.in_entry): stop for stop in self.stops if stop.first}
        empty, occupied = lengths.empty, ~lengths.empty

        def data(condition, late=None):
            for kind, holds in ((MESSAGE, lengths.one_datum), (DATA, ~lengths.one_datum)):
                yield _Step(condition & holds, kind, distance[kind], lengths.data_length, late)

        def follow(condition, following, variable=_NOTHING, size=None, late=None):
            for kind, holds in following.items():
                yield _Step(condition & holds, kind, distance[kind] if size is None else size,
                            variable, late)

        yield _Step(at[FRAME], MESSAGE, schema.message_header.size)
        for index, plan in enumerate(plans):
            stop = first[plan.name, False]
            yield _Step(at[MESSAGE], stop.number, stop.end, late=planned[index])
        for kind, holds in lengths.behind_header.items():
            yield _Step(at[MESSAGE], kind, distance[kind], lengths.block_now, planned[-1] & holds)

        for index, plan in enumerate(plans):
            if plan.group is not None:
                stop = first[plan.name, True]
                yield _Step(at[GROUP] & lengths.levels & message[index], stop.number, stop.end,
                            late=occupied)
        yield _Step(at[GROUP] & ~lengths.levels, ENTRY, 0, lengths.entry_now, occupied)
        yield from follow(at[GROUP], lengths.behind_empty, late=empty)
        yield _Step(at[GROUP_DATA], ENTRY_DATA, 0, lengths.entry_now, occupied)
        yield from data(at[GROUP_DATA], empty)
        yield _Step(at[ENTRY] & ~last, ENTRY, 0, lengths.entry)
        yield from follow(at[ENTRY] & last, lengths.behind_group)
        yield _Step(at[ENTRY_DATA] & ~last, ENTRY_DATA, 0, lengths.entry)
        yield from data(at[ENTRY_DATA] & last)
        yield from data(at[DATA])

        for stop, successor in zip(self.stops, [*self.stops[1:], None], strict=True):
            here = at[stop.number]
            if not stop.last:
                yield _Step(here, successor.number, successor.end - stop.end)
            elif stop.in_entry:
                yield _Step(here & ~last, first[stop.plan.name, True].number, LANES,
                            lengths.entry_rest)
                yield from follow(here & last, lengths.behind_group, lengths.entry_rest, LANES)
            else:
                yield from follow(here, lengths.behind_root, lengths.root_rest, LANES)
