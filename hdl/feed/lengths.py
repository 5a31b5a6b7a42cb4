"""What the headers inside a datagram say about lengths and counts, and what follows from it."""

from functools import reduce
from operator import or_

from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from tickwire.hdl.feed.plan import LANES, WINDOW
from tickwire.hdl.feed.stops import DATA, ENTRY, ENTRY_DATA, GROUP, GROUP_DATA, MESSAGE
from tickwire.hdl.feed.template import TemplateMatch
from tickwire.hdl.feed.window import field_at

__all__ = ["LengthFields"]

_BITS = 12              # of a position
_LONGEST = _BITS - 1    # bits of a length that is possible at all
_MOST = 4               # bits of a number of groups or of data fields
_MOST_ENTRIES = 8       # bits of a number of entries


class LengthFields(wiring.Component):
    """Reads message and group headers in the window, and keeps count of groups and entries.

    ``fault`` says that a header cannot be followed: another schema; a block or an entry shorter
    than the fields of the plan; lengths of 2,048 and more; more than 15 groups or data fields or
    255 entries; entries with groups or data of their own or of less than 8 bytes; a planned message
    without its group. And what would put two stops in one beat, which no known message does: the
    length of data less than 8 bytes behind the stop before it. That stop is the message
    header, the length of other data, or the last field of the plan.

    Latency: ``window`` → names ending in ``_now``, ``empty``, ``data_length``, ``behind_header``
    and what comes from ``TemplateMatch`` 0 cycles; ``root_rest`` and ``entry_rest`` 2; all others
    1, ``fault`` being combinational behind registers.

    Attributes
    ----------
    distance : dict
        Stop to its bytes behind the block or group that it follows.
    behind_header, behind_root, behind_group, behind_empty : dict
        Stop to the condition on which it is the one to follow: behind a message without a plan, a
        planned root block, the present group's entries, a group without entries.

    Members
    -------
    i_valid, i_data : In, 1 and 64 bits
        The beat.
    lane, window, hit, at : In
        As in ``MessageWalk``.
    message_index, planned : Out
        From ``TemplateMatch``.
    message : Out
        One-hot: the present message's index in the plan.
    levels : Out, 1 bit
        The next group is one of levels.
    block_now, entry_now, entry : Out, 16 bits
        Block length in the message header, in the group header, and as it was there.
    empty, last_entry : Out, 1 bit
        Number of entries 0 in the group header; 1 left.
    data_length, one_datum : Out, 8 bits and 1 bit
        The window's last byte; no further data is to follow.
    frame_length : Out, 16 bits
        In the frame header.
    root_rest, entry_rest : Out, 12 bits
        Bytes from the last field of the plan to the next stop, less a beat.
    fault : Out, 1 bit
    """

    def __init__(self, plan, stops):
        self._plan = plan
        self._stops = stops
        schema = plan.schema
        self.distance = {MESSAGE: schema.message_header.size, DATA: 1,
                         GROUP_DATA: schema.group_header.size + 1,
                         GROUP: schema.group_header.size}
        super().__init__({
            "i_valid": In(1),
            "i_data": In(8 * LANES),
            "lane": In(range(LANES)),
            "window": In(8 * WINDOW),
            "hit": In(1),
            "at": In(stops[-1].number + 1),
            "message_index": Out(range(len(schema.messages) + 1)),
            "planned": Out(len(plan.messages) + 1),
            "message": Out(len(plan.messages)),
            "levels": Out(1),
            "block_now": Out(16),
            "entry_now": Out(16),
            "entry": Out(16),
            "empty": Out(1),
            "last_entry": Out(1),
            "data_length": Out(8),
            "one_datum": Out(1),
            "frame_length": Out(16),
            "root_rest": Out(_BITS),
            "entry_rest": Out(_BITS),
            "fault": Out(1),
        })
        # Counts have few bits, so that looking at them takes no time; more is a fault.
        self._groups = Signal(_MOST, name="groups")     # not begun yet
        self._data = Signal(_MOST, name="data")         # variable-length fields not begun yet
        groups, no_data = self._groups, self._data == 0
        groups_now = self._header(schema.message_header, "numGroups")[:_MOST]
        data_now = self._header(schema.message_header, "numVarDataFields")[:_MOST]
        self.behind_header = self._following(groups_now == 0, groups_now == 1, data_now == 0)
        self.behind_root = self._following(groups == 0, groups == 1, no_data, self.levels)
        self.behind_group = self._following(groups == 0, groups == 1, no_data)
        self.behind_empty = self._following(groups == 1, groups == 2, no_data)

    @staticmethod
    def _following(none_left, one_left, no_data, levels=None):
        joined = one_left & ~no_data
        if levels is not None:
            joined &= ~levels
        return {MESSAGE: none_left & no_data, DATA: none_left & ~no_data,
                GROUP_DATA: joined, GROUP: ~none_left & ~joined}

    def _header(self, layout, name, extra=0):
        field = layout[name]
        return field_at(self.window, layout.size - field.offset - field.size + extra, field.size)

    def _group_header(self, name):
        """A field of the group header, which ends at the stop or one byte before."""
        layout = self._plan.schema.group_header
        return Mux(self.at[GROUP_DATA], self._header(layout, name, 1), self._header(layout, name))

    def elaborate(self, platform):
        m = Module()

        schema = self._plan.schema
        at, hit, groups, data = self.at, self.hit, self._groups, self._data

        m.submodules.template = template = TemplateMatch(self._plan)
        m.d.comb += [
            template.i_valid.eq(self.i_valid),
            template.i_data.eq(self.i_data),
            template.lane.eq(self.lane),
            self.message_index.eq(template.o_message),
            self.planned.eq(template.o_planned),
            self.block_now.eq(self._header(schema.message_header, "blockLength")),
            self.entry_now.eq(self._group_header("blockLength")),
            self.empty.eq(Mux(at[GROUP_DATA], *(
                ~self._header(schema.group_header, "numInGroup", extra)[:_MOST_ENTRIES].any()
                for extra in (1, 0)))),
            self.data_length.eq(field_at(self.window, 0, 1)),
            self.frame_length.eq(self._header(schema.frame_header, "length")),
        ]

        # Counts and what is remembered of the headers.
        block = Signal(16, reset_less=True)
        entries = Signal(_MOST_ENTRIES, reset_less=True)    # the present one included
        groups_now = self._header(schema.message_header, "numGroups")
        data_now = self._header(schema.message_header, "numVarDataFields")
        entries_now = self._group_header("numInGroup")
        excess = Signal(reset_less=True)            # a count has more bits than we look at
        own_schema = Signal(reset_less=True)
        nested = Signal(reset_less=True)
        at_message, at_group = hit & at[MESSAGE], hit & (at[GROUP] | at[GROUP_DATA])
        in_group = at[ENTRY] | at[ENTRY_DATA] | reduce(or_, [
            at[stop.number] for stop in self._stops if stop.in_entry and stop.last])
        reads_data = at[DATA] | at[GROUP_DATA] & self.empty | at[ENTRY_DATA] & self.last_entry
        with m.If(at_message):
            m.d.sync += [
                block.eq(self.block_now),
                groups.eq(groups_now),
                data.eq(data_now),
                excess.eq(groups_now[_MOST:].any() | data_now[_MOST:].any()),
                self.message.eq(self.planned[:-1]),
                self.levels.eq(reduce(or_, [
                    self.planned[index] for index, plan in enumerate(self._plan.messages)
                    if plan.group is not None])),
                own_schema.eq(self._header(schema.message_header, "schemaId")
                              == schema.schema_id),
            ]
        with m.If(at_group):
            m.d.sync += [
                groups.eq(groups - 1),
                self.levels.eq(0),
                self.entry.eq(self.entry_now),
                entries.eq(entries_now),
                excess.eq(entries_now[_MOST_ENTRIES:].any()),
                nested.eq(self._group_header("numGroups").any()
                          | self._group_header("numVarDataFields").any()),
            ]
        with m.If(hit & in_group):
            m.d.sync += entries.eq(entries - 1)
        with m.If(hit & reads_data):
            m.d.sync += data.eq(data - 1)
        m.d.comb += [
            self.last_entry.eq(entries == 1),
            self.one_datum.eq(data == 1),
        ]

        # Rests of blocks. They have two stops at least, so there is time to add.
        rests = {False: [], True: []}               # in entry: (condition, constant)
        shorter = {False: [], True: []}             # in entry: (condition, bytes needed)
        for stop in self._stops:
            if not stop.last:
                continue
            message = self.message[self._plan.messages.index(stop.plan)]
            behind = self.behind_group if stop.in_entry else self.behind_root
            last = self.last_entry if stop.in_entry else Const(1, 1)
            rests[stop.in_entry] += [(message & last & holds, self.distance[kind] - stop.end)
                                     for kind, holds in behind.items()]
            shorter[stop.in_entry].append((message, stop.end))
            if stop.in_entry:
                first = next(other for other in self._stops
                             if other.plan is stop.plan and other.in_entry)
                rests[True].append((message & ~last, first.end - stop.end))

        def rest(length, cases):
            modulus = 1 << _BITS
            return length[:_LONGEST] + reduce(or_, [
                Mux(condition, Const((constant - LANES) % modulus, _BITS), Const(0, _BITS))
                for condition, constant in cases])

        m.d.sync += [
            self.root_rest.eq(rest(block, rests[False])),
            self.entry_rest.eq(rest(self.entry, rests[True])),
        ]

        # Faults, looked for in the cycle after the header.
        header_seen, group_seen, group_had_levels = Signal(), Signal(), Signal()
        data_seen = Signal()
        datum = Signal(8, reset_less=True)
        m.d.sync += [
            header_seen.eq(at_message),
            group_seen.eq(at_group),
            group_had_levels.eq(self.levels),
            data_seen.eq(hit & reads_data & ~self.one_datum),
            datum.eq(self.data_length),
        ]

        def too_short(length, cases):
            return reduce(or_, [condition & (length < needed) for condition, needed in cases])

        direct = {in_entry: [(condition, needed + LANES - self.distance[DATA])
                             for condition, needed in cases]
                  for in_entry, cases in shorter.items()}
        bare = ~self.message.any()
        header_fault = (
            ~own_schema | excess | block[_LONGEST:].any() | too_short(block, shorter[False])
            | self.levels & (groups == 0)
            | self.behind_root[DATA] & (too_short(block, direct[False])
                                        | bare & (block < LANES - self.distance[DATA])))
        group_fault = (
            excess
            | (entries != 0) & (nested | (self.entry < LANES) | self.entry[_LONGEST:].any()
                                | group_had_levels & too_short(self.entry, shorter[True]))
            | group_had_levels & self.behind_group[DATA]
            & ((entries == 0) | too_short(self.entry, direct[True])))
        m.d.comb += self.fault.eq(
            header_seen & header_fault | group_seen & group_fault
            | data_seen & (datum < LANES - self.distance[DATA]))
        return m
