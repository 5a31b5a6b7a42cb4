"""The way through the entries of a message's group."""

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from tickwire.hdl.entry.execution import ExecutionKind
from tickwire.hdl.entry.framer import LANES
from tickwire.hdl.feed.window import ByteWindow, field_at
from tickwire.hdl.stream.packet import Packet, strobe
from tickwire.hdl.wire import starbase

__all__ = ["EntryWalk", "entry_stops"]

_BITS = 14                      # of a place in a message
_REACH = 13                     # bytes that ByteWindow gives


def entry_stops(layout, wanted):
    """Places in an entry, a beat apart at least, at which all ``wanted`` fields can be read.

    Returns
    -------
    list of (int, list of str)
        One past the stop's last byte, and the fields that end there or a few bytes before.

    Raises
    ------
    ValueError
        If fields end too close together to be read in a beat each, and too far apart for one.
    """
    stops = []
    for field in sorted((layout[name] for name in wanted), key=lambda field: field.offset):
        end = field.offset + field.size
        if not stops or end - stops[-1][0] >= LANES:
            stops.append([end, [field.name]])
        else:
            stops[-1][0] = end
            stops[-1][1].append(field.name)
    for (before, _), (end, names) in zip([(0, None), *stops], stops, strict=False):
        first = min(layout[name].offset for name in names)
        if end - before < LANES or end - first > _REACH:
            raise ValueError(f"Fields {', '.join(names)} of {layout.name} must end 8 bytes behind "
                             f"the ones before them and within {_REACH} bytes")
    return [tuple(stop) for stop in stops]


class EntryWalk(wiring.Component):
    """Finds the fields of a group's entries, at any alignment.

    Its stops are the ends of fields; they are at least eight bytes apart, so that a beat has one at
    most. How long an entry is says the group's header, whose bytes have fixed places.

    Latency: 0 cycles.

    Parameters
    ----------
    plan : ExecutionPlan

    Attributes
    ----------
    fields : dict
        Member of ``Execution`` to a condition, in which it is read, and its value.

    Members
    -------
    i : In, strobe(Packet(8))
    i_place : In
        Number of the beat in its message.
    i_message : In
        One-hot, from the message's second beat on.
    o_hit : Out, 1 bit
        An entry's last field is in this beat.
    o_kind, o_final : Out, ExecutionKind and 1 bit
        With ``o_hit``.
    o_broken : Out, 1 bit
        With the message's last beat: it ends before its entries do, or they are too short.
    """

    def __init__(self, plan):
        self._plan = plan
        super().__init__({
            "i": In(strobe(Packet(LANES))),
            "i_place": In(range(-(-plan.fixed_size // LANES) + 1)),
            "i_message": In(len(plan.messages)),
            "o_hit": Out(1),
            "o_kind": Out(ExecutionKind),
            "o_final": Out(1),
            "o_broken": Out(1),
        })
        self.fields = {}
        for message in plan.messages:
            if message.entries is not None:
                for member, name in message.entries.fields.items():
                    size = 8 * message.entries.layout[name].size
                    self.fields.setdefault(member, (Signal(name=f"reads_{member}"),
                                                    Signal(size, name=f"read_{member}")))

    def elaborate(self, platform):
        m = Module()
        beat, group_header = self.i.payload, starbase.GROUP_HEADER
        octets = [beat.data.word_select(lane, 8) for lane in range(LANES)]
        groups = [(number, message) for number, message in enumerate(self._plan.messages)
                  if message.entries is not None]

        # The group's header has fixed places, and so has the first stop.
        block, left = Signal(16), Signal(16)        # `left`: entries that are not at their end
        offset = Signal(_BITS)                      # of the stop's last byte, from lane 0 on
        walks = Signal()                            # the offset counts
        headed, short = Signal(), Signal()
        begin, next_offset, left_first = Signal(), Signal(_BITS), Signal(16)
        m.d.comb += next_offset.eq(offset - LANES)
        in_beat = walks & (offset[3:] == 0)
        lane = offset[:3]
        reached = self.i.valid & ~beat.first & in_beat & (lane < beat.end) & (left != 0)
        m.submodules.window = window = ByteWindow()
        m.d.comb += [window.i_valid.eq(self.i.valid), window.i_data.eq(beat.data),
                     window.lane.eq(lane)]
        reads = {member: [] for member in self.fields}
        hits, finals = [], []
        for number, message in groups:
            entries, mine = message.entries, self.i_message[number]
            root_end = self._plan.start + message.layout.size
            for name, register in (("blockLength", block), ("numInGroup", left)):
                where = group_header[name]
                for byte in range(where.size):
                    at = root_end + where.offset + byte
                    with m.If(self.i.valid & mine & (self.i_place == at // LANES)):
                        m.d.sync += register.word_select(byte, 8).eq(octets[at % LANES])
            header_end = root_end + group_header.size
            flag = [entries.final_flag[0]] if entries.final_flag else []
            places = entry_stops(entries.layout, [*entries.fields.values(), *flag])
            signals = [Signal(name=f"stop_{number}_{index}") for index in range(len(places))]
            last_place = (header_end - 1) // LANES
            first_stop = header_end + places[0][0] - 1 - LANES * (last_place + 1)
            begins = (self.i.valid & mine & (self.i_place == last_place)
                      & (beat.end > (header_end - 1) % LANES))
            with m.If(begins):
                m.d.comb += [begin.eq(1), next_offset.eq(first_stop), left_first.eq(Cat(
                    octets[at % LANES] if at // LANES == last_place else left.word_select(byte, 8)
                    for byte, at in enumerate(root_end + group_header["numInGroup"].offset + byte
                                              for byte in range(2))))]
                m.d.sync += [signal.eq(index == 0) for index, signal in enumerate(signals)]
                m.d.sync += headed.eq(1)
            for index, (signal, (end, names)) in enumerate(zip(signals, places, strict=True)):
                here = reached & mine & signal
                following = (index + 1) % len(places)
                with m.If(here):
                    if following:
                        m.d.comb += next_offset.eq(offset + places[following][0] - end - LANES)
                    else:
                        m.d.comb += next_offset.eq(
                            offset + block + places[0][0] - end - LANES)
                        m.d.sync += left.eq(left - 1)
                    m.d.sync += [signal.eq(0), signals[following].eq(1)]
                for member, name in entries.fields.items():
                    if name in names:
                        one = entries.layout[name]
                        reads[member].append((here, field_at(
                            window.o, end - one.offset - one.size, one.size)))
                if not following:
                    final = Const(entries.final, 1)
                    if entries.final_flag:
                        one = entries.layout[entries.final_flag[0]]
                        final = (field_at(window.o, end - one.offset - one.size, one.size)
                                 & entries.final_flag[1]).any()
                    hits.append((here, entries.kind))
                    finals.append(here & final)
            too_short = mine & headed & (block < entries.layout.size) & (left != 0)
            with m.If(too_short):
                m.d.comb += short.eq(1)
        for member, cases in reads.items():
            condition, found = self.fields[member]
            m.d.comb += [
                condition.eq(Cat(here for here, _ in cases).any()),
                found.eq(reduce(or_, [Mux(here, one, 0) for here, one in cases])),
            ]
        for here, kind in hits:
            with m.If(here):
                m.d.comb += self.o_kind.eq(kind)
        m.d.comb += [
            self.o_hit.eq(Cat(here for here, _ in hits).any() & ~short),
            self.o_final.eq(Cat(finals).any()),
        ]
        with m.If(self.i.valid):
            m.d.sync += [offset.eq(next_offset), walks.eq(begin | walks & ~beat.first)]
            with m.If(beat.first):
                m.d.sync += headed.eq(0)

        # At the message's last beat: entries that have not come, or no group at all.
        grouped = Cat(self.i_message[number] for number, _ in groups).any()
        m.d.comb += self.o_broken.eq(grouped & (short | ~(headed | begin) | Mux(
            begin, left_first.any(), left != self.o_hit)))
        return m
