"""A venue's messages become executions."""

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from tickwire.hdl.entry.entry_walk import EntryWalk
from tickwire.hdl.entry.execution import Execution, ExecutionKind
from tickwire.hdl.entry.framer import LANES
from tickwire.hdl.stream.packet import Packet, strobe

__all__ = ["ExecutionDecoder"]


# What an execution of an entry has from elsewhere, and what belongs to the root block alone.
_OF_ENTRY = ("kind", "final", "stated", "part", "sequence")
_OF_ROOT = ("previous_id", "leaves", "reason", "quantity", "exponent", "price", "match_id")


def _choose(cases):
    """AND-OR of ``(condition, value)`` pairs, of which at most one condition holds."""
    return reduce(or_, [Mux(condition, value, 0) for condition, value in cases], Const(0, 1))


class ExecutionDecoder(wiring.Component):
    """Reads the messages of an :class:`tickwire.hdl.entry.execution_plan.ExecutionPlan`.

    Every message begins in lane 0, so a field of the header or of the root block has its beat and
    its lanes once and for all. The entries of a group are walked through.

    An execution is said as soon as its last byte is there, not at the message's end: TCP has seen
    to it that the bytes are the venue's. A message that is too short for what it says it has is
    counted when it ends.

    Latency: beat with the root block's or an entry's last byte → ``o`` 1 cycle; last beat of a
    response that says that the rest was cancelled → ``o`` 2 cycles. Last beat → counts 1 cycle.

    Parameters
    ----------
    plan : ExecutionPlan

    Members
    -------
    i : In, strobe(Packet(8))
        Whole messages, from a ``MessageFramer``.
    i_reset : In, 1 bit
        The message that is coming will not end.
    i_apply : In, 1 bit
        In the cycle of a beat, of messages with a header of their own from the fifth beat on:
        this message counts.
    i_sequence : In, 64 bits
        In the same cycle: its number, if it has none in its header.
    o : Out, strobe(Execution)
        From registers.
    o_count_other : Out, 1 bit
        A message that is none of the plan's.
    o_count_malformed : Out, 1 bit
        One that counts, but ends too early, or whose entries are too short.
    """

    def __init__(self, plan):
        self._plan = plan
        super().__init__({
            "i": In(strobe(Packet(LANES))),
            "i_reset": In(1),
            "i_apply": In(1),
            "i_sequence": In(64),
            "o": Out(strobe(Execution)),
            "o_count_other": Out(1),
            "o_count_malformed": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        plan, messages = self._plan, self._plan.messages
        beat = self.i.payload
        octets = [beat.data.word_select(lane, 8) for lane in range(LANES)]

        # Which beat this is, and of which message.
        last_place = -(-plan.fixed_size // LANES)       # and all beats behind it
        count, place = Signal(range(last_place + 1)), Signal(range(last_place + 1))
        m.d.comb += place.eq(Mux(beat.first, 0, count))
        with m.If(self.i.valid):
            m.d.sync += count.eq(place + (place != last_place))

        def field_now(offset, size):
            """A field of the header within the present beat."""
            return Cat(octets[offset:offset + size][::-1 if plan.byteorder == "big" else 1])

        kinds, kinds_now = Signal(len(messages)), Signal(len(messages))
        guarded = Signal()
        guard_now = Const(1, 1)
        if plan.guard is not None:
            guard_now = (octets[plan.guard[0]] == plan.guard[1]) & (beat.end > plan.guard[0])
        m.d.comb += kinds_now.eq(Cat(
            guard_now & (beat.end >= sum(plan.code)) & (field_now(*plan.code) == message.code)
            for message in messages))
        with m.If(self.i.valid & beat.first):
            m.d.sync += [guarded.eq(guard_now), kinds.eq(kinds_now)]

        def is_any(numbers):
            """The message is one of these; known from its second beat on."""
            return Cat(kinds[number] for number in numbers).any()

        # Fields: each byte of a member comes from one or a few places.
        execution = self.o.payload
        places = {}             # (member, byte) -> {offset: numbers of messages}
        for number, message in enumerate(messages):
            fields = [(member, plan.start + message.layout[name].offset, message.layout[name].size)
                      for member, name in message.fields.items()]
            fields += [(member, *where) for member, where in plan.header.items()]
            for member, offset, size in fields:
                for byte in range(size):
                    at = offset + (size - 1 - byte if plan.byteorder == "big" else byte)
                    places.setdefault((member, byte), {}).setdefault(at, set()).add(number)
        for (member, byte), sources in places.items():
            for at, numbers in sources.items():
                here = self.i.valid & (place == at // LANES)
                if numbers != set(range(len(messages))):
                    here &= is_any(numbers)
                with m.If(here):
                    m.d.sync += Value.cast(execution[member]).word_select(byte, 8).eq(
                        octets[at % LANES])
        if "sequence" not in plan.header:
            with m.If(self.i.valid):
                m.d.sync += execution.sequence.eq(self.i_sequence)

        # The root block's end.
        def reaches(at):
            """The present beat has this byte of the message."""
            return self.i.valid & (place == at // LANES) & (beat.end > at % LANES)

        ends, ended = Signal(), Signal()        # of the root block: in this beat; it has come
        by_end = {}
        for number, message in enumerate(messages):
            by_end.setdefault(plan.start + message.layout.size - 1, []).append(number)
        m.d.comb += ends.eq(_choose((is_any(numbers), reaches(at))
                                    for at, numbers in by_end.items()))
        speaks = is_any([number for number, message in enumerate(messages)
                         if message.kind is not None])
        with m.If(self.i.valid):
            m.d.sync += ended.eq(ends | ended & ~beat.first)

        # Single values of a message: what its last field says, or always the same.
        def value(number, what):
            """Whether a field has a value; the field's last byte is where the block ends, or it
            has come before."""
            name, equals = what
            one = messages[number].layout[name]
            at = plan.start + one.offset
            flag = Signal(name=f"{name}_{number}_is_{equals}")
            found = octets[at % LANES] == equals
            with m.If(self.i.valid & (place == at // LANES)):
                m.d.sync += flag.eq(found)
            return Mux(place == at // LANES, found, flag)

        final = _choose(
            (kinds[number], value(number, message.final_value) if message.final_value
             else Const(message.final, 1)) for number, message in enumerate(messages))
        closes = _choose((kinds[number], value(number, message.closes))
                         for number, message in enumerate(messages) if message.closes)
        root_kind = _choose((kinds[number], Const(message.kind.value, ExecutionKind.as_shape()))
                            for number, message in enumerate(messages)
                            if message.kind is not None)
        stated = is_any([number for number, message in enumerate(messages) if message.stated])

        # Executions, one after the other. What a message does not say is 0.
        part = Signal(16)
        says_root, says_entry, says_close = Signal(), Signal(), Signal()
        m.d.comb += says_root.eq(ends & speaks & self.i_apply)
        m.d.sync += self.o.valid.eq(says_root | says_entry | says_close)
        with m.If(says_root):
            m.d.sync += [Value.cast(execution.kind).eq(root_kind), execution.final.eq(final),
                         execution.stated.eq(stated)]
            for (member, byte), sources in places.items():
                lacking = set(range(len(messages))) - set().union(*sources.values())
                with m.If(is_any(lacking)):
                    m.d.sync += Value.cast(execution[member]).word_select(byte, 8).eq(0)
            m.d.sync += [execution[member].eq(0) for message in messages if message.entries
                         for member in message.entries.fields if (member, 0) not in places]
        with m.If(says_root | says_entry | says_close):
            m.d.sync += [part.eq(part + 1), execution.part.eq(part)]
        with m.If(self.i.valid & beat.first):
            m.d.sync += part.eq(0)

        broken = Const(0, 1)
        if any(message.entries for message in messages):
            m.submodules.walk = walk = EntryWalk(plan)
            m.d.comb += [
                walk.i.payload.eq(beat), walk.i.valid.eq(self.i.valid),
                walk.i_place.eq(place), walk.i_message.eq(kinds),
                says_entry.eq(walk.o_hit & self.i_apply),
            ]
            broken = walk.o_broken
            with m.If(says_entry):
                m.d.sync += [Value.cast(execution.kind).eq(walk.o_kind),
                             execution.final.eq(walk.o_final), execution.stated.eq(0)]
                for member, _ in data.Layout.cast(Execution):
                    lacking = [number for number, message in enumerate(messages)
                               if message.entries and member not in _OF_ENTRY
                               and member not in message.entries.fields and (
                                   member not in message.fields or member in _OF_ROOT)]
                    with m.If(is_any(lacking)):
                        m.d.sync += Value.cast(execution[member]).eq(0)
            for member, (condition, found) in walk.fields.items():
                with m.If(condition):
                    m.d.sync += execution[member].eq(found)
            m.d.sync += says_close.eq(self.i.valid & beat.last & closes & (ended | ends)
                                      & self.i_apply & ~walk.o_broken)
            with m.If(says_close):
                m.d.sync += [
                    execution.kind.eq(ExecutionKind.CANCELLED), execution.final.eq(1),
                    *(execution[member].eq(0) for member in (
                        "stated", "previous_id", "leaves", "match_id", "price", "quantity",
                        "exponent")),
                ]

        last = self.i.valid & beat.last
        m.d.sync += [
            self.o_count_other.eq(last & Mux(
                beat.first, guard_now & (kinds_now == 0), guarded & (kinds == 0))),
            self.o_count_malformed.eq(last & self.i_apply & Mux(
                beat.first, kinds_now.any(), kinds.any() & (broken | ~(ended | ends)))),
        ]
        with m.If(self.i_reset):
            m.d.sync += [self.o.valid.eq(0), kinds.eq(0), says_close.eq(0), ended.eq(0)]
        return m
