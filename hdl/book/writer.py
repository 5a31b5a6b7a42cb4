"""Feed events become records in the queue, in messages that are numbered."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from tickwire.hdl.book.memory import NumberWrite
from tickwire.hdl.book.record import (
    NUMBER,
    EndRecord,
    InstrumentLookup,
    LevelRecord,
    MessageHeader,
    Record,
    side_key,
)
from tickwire.hdl.feed.event import (
    FeedEvent,
    FeedEventKind,
    FrameVerdict,
    MessageKind,
    is_kind,
)
from tickwire.hdl.stream.packet import strobe

__all__ = ["RecordWriter"]


class RecordWriter(wiring.Component):
    """Writes every increment and snapshot of a known instrument to the queue.

    A header, the levels, an end. A message that is cut off by the next one or by the verdict gets
    an end that says so. When the queue is full the frame is lost as if it had never come: its
    channel has a gap.

    A snapshot message is ``adrift`` if datagrams were missing before its frame, until one
    that ends a snapshot has passed: its first parts may be what is missing. (The parts of one
    snapshot follow each other on their channel.)

    Relies on 3 cycles between the last event of a message and the next message's INSTRUMENT: the
    24 bytes between them take that long.

    Latency: event → its record 2 cycles (LEVEL), 3 cycles (end), 4 cycles after INSTRUMENT or 2
    after HEADER, whichever is later (header); verdict → commit or rewind 4 cycles.

    Members
    -------
    i : In, strobe(FeedEvent)
    i_instrument : In, strobe(InstrumentLookup)
        3 cycles after INSTRUMENT.
    i_verdict : In, strobe(FrameVerdict)
    enable : In, 1 bit
        Frames that begin while it is low are refused.
    i_previewed : In, 1 bit
        One cycle after a message's last LEVEL: the preview gave an event.
    i_signature : In, 32 bits
        Three cycles after it: signature of that event's touch.
    o_header : Out, MessageHeader
        Fields of the message that is arriving, from one cycle after their event.
    o : Out, strobe(Record)
    i_full : In, 1 bit
    o_commit, o_rewind : Out, 1 bit
        For the queue.
    o_verdict : Out, strobe(FrameVerdict)
        With ``o_commit`` or ``o_rewind``; a lost frame counts as a gap.
    o_last : Out, strobe(NumberWrite)
        Number of the message whose header has been written.
    o_number : Out, 48 bits
        Number of the last message that stays in the queue, if there is no further verdict.
    o_pending_verdict : Out, 1 bit
        A verdict with a loss has come and is not out yet.
    o_count_unknown_instrument : Out, 1 bit
        A message named an instrument that is not in the table.
    o_count_queue_overflow : Out, 1 bit
        A good frame was lost.
    """

    i: In(strobe(FeedEvent))
    i_instrument: In(strobe(InstrumentLookup))
    i_verdict: In(strobe(FrameVerdict))
    enable: In(1)
    i_previewed: In(1)
    i_signature: In(32)
    o_header: Out(MessageHeader)
    o: Out(strobe(Record))
    i_full: In(1)
    o_commit: Out(1)
    o_rewind: Out(1)
    o_verdict: Out(strobe(FrameVerdict))
    o_last: Out(strobe(NumberWrite))
    o_number: Out(NUMBER)
    o_pending_verdict: Out(1)
    o_count_unknown_instrument: Out(1)
    o_count_queue_overflow: Out(1)

    def elaborate(self, platform):
        m = Module()
        event, header = self.i.payload, self.o_header

        # Fields are kept at once; what is done with them is decided a cycle later, by `kind`.
        valid, kind, last = Signal(), Signal.like(Value.cast(event.kind)), Signal()
        arriving, level = (Signal(LevelRecord, reset_less=True, name=name)
                           for name in ("arriving", "level"))
        m.d.sync += [valid.eq(self.i.valid), kind.eq(event.kind), last.eq(event.last)]
        with m.If(self.i.valid & is_kind(event.kind, FeedEventKind.INSTRUMENT)):
            m.d.sync += [
                getattr(header, name).eq(getattr(event, name))
                for name in ("message", "channel", "suspect", "timestamp")]
        with m.If(self.i.valid & is_kind(event.kind, FeedEventKind.HEADER)):
            m.d.sync += [
                getattr(header, name).eq(getattr(event, name))
                for name in ("previous_change_id", "change_id", "final", "complete")]
        m.d.sync += [
            arriving.side.eq(event.side),
            arriving.change.eq(event.change),
            arriving.entry.key.eq(side_key(event.side, event.price)),
            arriving.entry.amount.eq(event.amount),
            level.eq(arriving),
        ]

        def comes(*kinds):
            return valid & is_kind(kind, *kinds)

        begins = Signal()
        m.d.comb += begins.eq(comes(FeedEventKind.INSTRUMENT))

        # The verdict follows the records of its frame.
        verdicts = [Signal(FrameVerdict, reset_less=True, name=f"verdict_{n}") for n in range(4)]
        valids = [Signal(name=f"verdict_valid_{n}") for n in range(4)]
        m.d.sync += [
            here.eq(before) for here, before in zip(
                verdicts + valids, [self.i_verdict.payload, *verdicts[:-1],
                                    self.i_verdict.valid, *valids[:-1]], strict=True)]
        frame_ends, verdict, decided = valids[0], verdicts[-1], valids[-1]

        # A frame that began too early is refused to its end.
        refused = Signal()
        with m.If(valid & ~self.enable):
            m.d.sync += refused.eq(1)

        # Header record: as soon as both the fields and the index are known.
        lookup = self.i_instrument.payload
        wanted, has_fields, has_header, ended = Signal(), Signal(), Signal(), Signal()
        index, channel = Signal(7), Signal(6)
        write_header = Signal()
        m.d.comb += [
            write_header.eq(wanted & has_fields & ~has_header),
            self.o_count_unknown_instrument.eq(self.i_instrument.valid & ~lookup.known),
        ]
        with m.If(self.i_instrument.valid):
            m.d.sync += [
                wanted.eq(lookup.known & (header.message != MessageKind.TICKER)
                          & self.enable & ~refused),
                index.eq(lookup.index),
                channel.eq(lookup.channel),
            ]
        with m.If(comes(FeedEventKind.HEADER)):
            m.d.sync += has_fields.eq(1)
        with m.If(write_header):
            m.d.sync += has_header.eq(1)

        # Level record and end record.
        write_level = Signal()
        m.d.sync += write_level.eq(comes(FeedEventKind.LEVEL) & wanted)
        ends, cut = Signal(), Signal()
        ending, cutting, write_end, previewed = Signal(), Signal(), Signal(), Signal()
        end = Signal(EndRecord, reset_less=True)
        stamps = [Signal(16, reset_less=True, name=f"stamp_{age}") for age in (1, 2)]
        m.d.comb += [
            ends.eq(comes(FeedEventKind.END) | comes(FeedEventKind.LEVEL) & last),
            cut.eq((begins | frame_ends) & (has_header | write_header)
                   & ~ended & ~ends),
        ]
        m.d.sync += [
            ending.eq(ends),
            cutting.eq(cut),
            previewed.eq(self.i_previewed),
            stamps[0].eq(event.stamp),
            stamps[1].eq(stamps[0]),
            # has_header: an empty message may end before its index is known.
            write_end.eq(cutting | ending & (has_header | write_header)),
            end.broken.eq(cutting),
            end.previewed.eq(previewed & ending),
            end.stamp.eq(stamps[1]),
        ]
        with m.If(ends | cut):
            m.d.sync += ended.eq(1)
        with m.If(begins):
            m.d.sync += [wanted.eq(0), has_fields.eq(0), has_header.eq(0), ended.eq(0)]

        with m.If(frame_ends):
            m.d.sync += refused.eq(0)

        # Snapshots whose beginning may be missing.
        adrift = Signal(64)
        is_adrift, snapshot_seen, starts_adrift = Signal(), Signal(), Signal()
        was_adrift = Signal()       # the channel is known a cycle before this is used
        m.d.sync += was_adrift.eq(adrift.bit_select(header.channel, 1))
        m.d.comb += starts_adrift.eq(header.suspect & ~snapshot_seen | was_adrift)
        with m.If(comes(FeedEventKind.HEADER) & (header.message == MessageKind.SNAPSHOT)):
            m.d.sync += [
                is_adrift.eq(starts_adrift),
                snapshot_seen.eq(1),
                adrift.bit_select(header.channel, 1).eq(starts_adrift & ~header.final),
            ]

        with m.If(frame_ends):
            m.d.sync += snapshot_seen.eq(0)

        # At most one of the three is written in a cycle.
        lost = Signal()
        writes = Signal()
        record = self.o.payload
        m.d.comb += [
            writes.eq(write_header | write_level | write_end),
            self.o.valid.eq(writes & ~lost & ~self.i_full),
        ]
        with m.If(writes & self.i_full):
            m.d.sync += lost.eq(1)
        with m.If(write_header):
            m.d.comb += [
                record.header.snapshot.eq(header.message == MessageKind.SNAPSHOT),
                record.header.final.eq(header.final),
                record.header.complete.eq(header.complete),
                record.header.adrift.eq(is_adrift),
                record.header.index.eq(index),
                record.header.frame_channel.eq(header.channel),
                record.header.channel.eq(channel),
                record.header.previous_change_id.eq(header.previous_change_id),
                record.header.change_id.eq(header.change_id),
            ]
        with m.Elif(write_level):
            m.d.comb += record.level.eq(level)
            m.d.comb += record.level.end.eq(0)
        with m.Else():
            m.d.comb += record.end.eq(end)
            m.d.comb += [
                record.end.end.eq(1),
                record.end.signature.eq(self.i_signature),
                record.end.timestamp.eq(header.timestamp),
            ]

        # Numbers, and what the verdict makes of them.
        number, committed = Signal(NUMBER), Signal(NUMBER)
        m.d.comb += [
            self.o_commit.eq(decided & verdict.good & ~lost),
            self.o_rewind.eq(decided & ~self.o_commit),
            self.o_verdict.valid.eq(decided),
            self.o_verdict.payload.eq(verdict),
            self.o_verdict.payload.gap.eq(verdict.gap | lost),
            self.o_number.eq(Mux(self.o_rewind, committed, number)),
            self.o_pending_verdict.eq(Cat(
                there & (~one.good | one.gap | lost)
                for there, one in zip(valids, verdicts, strict=True)).any()),
            self.o_count_queue_overflow.eq(decided & verdict.good & lost),
            self.o_last.valid.eq(write_header & self.o.valid),
            self.o_last.payload.index.eq(index),
            self.o_last.payload.number.eq(number + 1),
        ]
        with m.If(self.o_last.valid):
            m.d.sync += number.eq(number + 1)
        with m.If(self.o_commit):
            m.d.sync += committed.eq(number)
        with m.If(self.o_rewind):
            m.d.sync += number.eq(committed)
        with m.If(decided):
            m.d.sync += lost.eq(0)
            with m.If(lost):
                m.d.sync += adrift.bit_select(verdict.channel, 1).eq(1)
        return m
