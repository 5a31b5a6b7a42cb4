"""The way of a decoder through a datagram: from one place that matters to the next."""

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Const, Module, Mux, Signal
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
from tickwire.hdl.stream.packet import Packet, strobe

__all__ = ["MessageWalk"]

_BITS = 12              # of a position in the datagram


def _choose(cases, width):
    """AND-OR of ``(condition, value)`` pairs, of which at most one condition holds."""
    return reduce(or_, [Mux(condition, value, Const(0, width)) for condition, value in cases])


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

        # Where the next stop's last byte is, counted from lane 0 of the present beat; what it is.
        position = Signal(_BITS, init=LANES - 1)
        at = Signal(self._stop_count, init=1 << FRAME)
        active = Signal()
        here = Signal()
        m.d.comb += [
            self.o_lane.eq(position[:3]),
            self.o_at.eq(at),
            here.eq(~position[3:].any() & (position[:3] < beat.end)
                    & Mux(beat.first, beat.begin == 0, active)),
            self.o_hit.eq(self.i.valid & here),
        ]

        m.submodules.lengths = lengths = LengthFields(self._plan, self.stops)
        m.d.comb += [
            lengths.i_valid.eq(self.i.valid),
            lengths.i_data.eq(beat.data),
            lengths.lane.eq(self.o_lane),
            lengths.window.eq(self.window),
            lengths.hit.eq(self.o_hit),
            lengths.at.eq(at),
            self.o_empty.eq(lengths.levels & lengths.empty),
            self.o_last_entry.eq(lengths.last_entry),
            self.o_message.eq(lengths.message_index),
        ]

        # Steps: condition, next stop, bytes to it, and what is added to these.
        steps = list(self._steps(at, lengths))
        variables = {}
        for condition, _, _, variable in steps:
            if variable is not None:
                variables.setdefault(id(variable), (variable, []))[1].append(condition)
        successor = Cat(reduce(or_, [condition for condition, number, _, _ in steps
                                     if number == stop], Const(0, 1))
                        for stop in range(self._stop_count))

        constant = _choose([(condition, Const((size - LANES) % (1 << _BITS), _BITS))
                            for condition, _, size, _ in steps], _BITS)
        variable = _choose([(here & reduce(or_, conditions), value[:_BITS])
                            for value, conditions in variables.values()], _BITS)
        passed = Mux(beat.first, beat.begin - 1, position - LANES)
        base = Signal(_BITS)
        m.d.comb += base.eq(Mux(here, self.o_lane + constant, passed))
        with m.If(self.i.valid):
            m.d.sync += position.eq(base + variable)
        with m.If(self.o_hit):
            m.d.sync += at.eq(successor)

        # The end: the next message header would begin right behind the payload.
        frame_length = Signal(16, reset_less=True)
        octets = Signal(16, reset_less=True)        # behind the frame header
        ended = Signal()
        end = Signal(range(LANES + 1), reset_less=True)
        header = self._plan.schema.frame_header
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
            m.d.sync += [at.eq(at.init), position.eq(position.init)]
            beyond = self._plan.schema.message_header.size - 1 - LANES
            with m.If(~at[MESSAGE] | (position != end + beyond) | (octets != frame_length)):
                m.d.sync += self.o_malformed.eq(1)
        return m

    def _steps(self, at, lengths):
        """``(condition, next stop, bytes to it, None or what is added)`` for every way to go on."""
        schema, plans = self._plan.schema, self._plan.messages
        distance = lengths.distance
        empty, last = lengths.empty, lengths.last_entry
        planned, message = lengths.planned, lengths.message
        first = {(stop.plan.name, stop.in_entry): stop for stop in self.stops if stop.first}

        def data(condition):
            yield condition & lengths.one_datum, MESSAGE, distance[MESSAGE], lengths.data_length
            yield condition & ~lengths.one_datum, DATA, distance[DATA], lengths.data_length

        def follow(condition, following, variable=None, size=None):
            for kind, holds in following.items():
                yield (condition & holds, kind, distance[kind] if size is None else size,
                       variable)

        yield at[FRAME], MESSAGE, schema.message_header.size, None
        for index, plan in enumerate(plans):
            stop = first[plan.name, False]
            yield at[MESSAGE] & planned[index], stop.number, stop.end, None
        yield from follow(at[MESSAGE] & ~planned.any(), lengths.behind_header, lengths.block_now)

        for index, plan in enumerate(plans):
            if plan.group is not None:
                stop = first[plan.name, True]
                yield (at[GROUP] & ~empty & lengths.levels & message[index], stop.number,
                       stop.end, None)
        yield at[GROUP] & ~empty & ~lengths.levels, ENTRY, 0, lengths.entry_now
        yield from follow(at[GROUP] & empty, lengths.behind_empty)
        yield at[GROUP_DATA] & ~empty, ENTRY_DATA, 0, lengths.entry_now
        yield from data(at[GROUP_DATA] & empty)
        yield at[ENTRY] & ~last, ENTRY, 0, lengths.entry
        yield from follow(at[ENTRY] & last, lengths.behind_group)
        yield at[ENTRY_DATA] & ~last, ENTRY_DATA, 0, lengths.entry
        yield from data(at[ENTRY_DATA] & last)
        yield from data(at[DATA])

        for stop, successor in zip(self.stops, [*self.stops[1:], None], strict=True):
            here = at[stop.number]
            if not stop.last:
                yield here, successor.number, successor.end - stop.end, None
            elif stop.in_entry:
                yield (here & ~last, first[stop.plan.name, True].number, LANES,
                       lengths.entry_rest)
                yield from follow(here & last, lengths.behind_group, lengths.entry_rest, LANES)
            else:
                yield from follow(here, lengths.behind_root, lengths.root_rest, LANES)
