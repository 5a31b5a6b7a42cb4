"""UDP payloads of a feed become events, and each datagram gets a verdict."""

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from tickwire.hdl.feed.event import (
    FeedEvent,
    FeedEventKind,
    FrameVerdict,
    Side,
    price_key,
)
from tickwire.hdl.feed.plan import DERIBIT_PLAN, LANES
from tickwire.hdl.feed.sequence import SequenceTable
from tickwire.hdl.feed.stops import FRAME, GROUP, MESSAGE
from tickwire.hdl.feed.tally import MessageTally
from tickwire.hdl.feed.walk import MessageWalk
from tickwire.hdl.feed.window import ByteWindow, field_at
from tickwire.hdl.ip.datagram import DatagramEnd
from tickwire.hdl.stream.packet import Packet, strobe

__all__ = ["FeedDecoder"]

_PRICES = ("price", "bid_price")
_LARGEST = {"change": 2, "final": 1, "complete": 1}
_EXPONENT = slice(52, 63)       # of an IEEE 754 double


def _ordered(double):
    """Key of a price; negative zero, and negative numbers below 2.3e-308, lose their sign."""
    return price_key(Cat(double[:63], double[63] & double[_EXPONENT].any()))


class FeedDecoder(wiring.Component):
    """Reads the messages of a :class:`FeedPlan` out of datagrams, at any alignment of their bytes.

    Fields of the event keep their values until the walk comes to the place that brings the next.
    Of a snapshot ``previous_change_id`` is undefined and ``change`` CREATED, of an increment
    ``complete`` is 0. ``sequence`` is the venue's 32-bit number. A price that is infinite or no
    number makes a datagram malformed if it is a level's; in a ticker the event is left out, and
    TICKER with it. So do sides, changes and flags that have no meaning.

    A datagram whose sequence number has been seen on its channel gives neither events nor a
    verdict. After a missing one all events are ``suspect``. The channel's expectation moves on
    with a good verdict only.

    Latency: beat with an event's last byte → ``o`` 1 cycle, for every alignment. ``i_end`` →
    ``o_verdict`` 1 cycle, counts 2 cycles; counts of messages follow, one a cycle, from 4 cycles
    on.

    Parameters
    ----------
    plan : FeedPlan
    channels : int
        Dense channel indices.

    Members
    -------
    i : In, strobe(Packet(8))
        UDP payloads; three cycles at least from one's last beat to the next one's first.
    i_stamp : In, 16 bits
        Of the beat.
    i_channel, i_match : In, 6 bits and 1 bit
        Of the datagram: known two cycles before the 32nd byte of the payload comes, at the
        latest, until a cycle after ``i_end``.
    i_end : In, strobe(DatagramEnd)
        Two cycles after the last beat at the earliest, before the next one's first.
    reset_sequence : In, strobe(channel)
        Take the next datagram of this channel as it is.
    o : Out, strobe(FeedEvent)
        From registers.
    o_verdict : Out, strobe(FrameVerdict)
    o_count_good : Out, 1 bit
        A datagram that is right and subscribed was taken. One of this, ``o_count_malformed`` and
        ``o_count_duplicate`` for each that comes with a good ``DatagramEnd``.
    o_count_malformed : Out, 1 bit
        Its lengths, counts or values do not fit.
    o_count_duplicate : Out, 1 bit
        Its sequence number has been seen.
    o_count_gap : Out, 1 bit
        With ``o_count_good``: others are missing before it.
    o_count_message : Out, a bit for each message of the schema, in its order, and one for others
        Messages of good datagrams.

    Raises
    ------
    ValueError
        If ``channels`` is not a power of two between 2 and 64.
    """

    def __init__(self, plan=DERIBIT_PLAN, channels=64):
        if not 2 <= channels <= 64 or channels & (channels - 1):
            raise ValueError("FeedDecoder channels must be a power of two between 2 and 64, "
                             f"not {channels!r}")
        self._plan = plan
        self._channels = channels
        super().__init__({
            "i": In(strobe(Packet(LANES))),
            "i_stamp": In(16),
            "i_channel": In(6),
            "i_match": In(1),
            "i_end": In(strobe(DatagramEnd)),
            "reset_sequence": In(strobe(range(channels))),
            "o": Out(strobe(FeedEvent)),
            "o_verdict": Out(strobe(FrameVerdict)),
            "o_count_good": Out(1),
            "o_count_malformed": Out(1),
            "o_count_duplicate": Out(1),
            "o_count_gap": Out(1),
            "o_count_message": Out(len(plan.schema.messages) + 1),
        })

    def elaborate(self, platform):
        m = Module()

        beat = self.i.payload
        m.submodules.window = window = ByteWindow()
        m.submodules.walk = walk = MessageWalk(self._plan)
        wiring.connect(m, wiring.flipped(self.i), walk.i)
        m.d.comb += [
            window.i_valid.eq(self.i.valid),
            window.i_data.eq(beat.data),
            window.lane.eq(walk.o_lane),
            walk.window.eq(window.o),
        ]
        at, hit = walk.o_at, walk.o_hit

        # Sequence numbers.
        m.submodules.sequence = sequence = SequenceTable(self._channels)
        header = self._plan.schema.frame_header
        field = header["sequence"]
        number = Signal(32, reset_less=True)
        numbered = Signal()         # the frame header has come
        with m.If(self.i.valid & beat.first):
            m.d.sync += numbered.eq(0)
        with m.If(hit & at[FRAME]):
            m.d.sync += [
                number.eq(field_at(window.o, header.size - field.offset - field.size,
                                   field.size)),
                numbered.eq(1),
            ]
        m.d.comb += [
            sequence.channel.eq(self.i_channel),
            sequence.sequence.eq(number),
        ]
        wiring.connect(m, wiring.flipped(self.reset_sequence), sequence.reset)
        repeated = numbered & sequence.o_repeated

        # Fields. Each comes from one or a few places of the window.
        places = {}                 # event field -> {(distance, size): [stop number]}
        for stop in walk.stops:
            for target, distance, size in stop.stop.places(stop.layout):
                places.setdefault(target, {}).setdefault((distance, size), []).append(stop.number)

        def is_at(numbers):
            return reduce(or_, [at[number] for number in numbers], Const(0, 1))

        event = self.o.payload
        faults = []
        finite = Const(1, 1)
        for target, sources in places.items():
            raw = reduce(or_, [Mux(is_at(numbers), field_at(window.o, *place), 0)
                               for place, numbers in sources.items()]) \
                if len(sources) > 1 else field_at(window.o, *next(iter(sources)))
            stops = [number for numbers in sources.values() for number in numbers]
            value = raw
            if target in _PRICES:
                value = _ordered(raw)
            elif target == "side":
                value = Mux(raw == self._plan.ask, Side.ASK, Side.BID)
                faults.append(is_at(stops) & (raw != self._plan.ask) & (raw != self._plan.bid))
            if target == "price":
                finite = ~raw[_EXPONENT].all()
                faults.append(is_at([stop.number for stop in walk.stops
                                     if stop.number in stops and stop.in_entry]) & ~finite)
            if target in _LARGEST:
                faults.append(is_at(stops) & (raw > _LARGEST[target]))
            # Loaded in each beat up to the stop: so the hit, which is late, need not reach here.
            with m.If(self.i.valid & is_at(stops)):
                m.d.sync += event[target].eq(value)
        m.d.comb += walk.i_fault.eq(reduce(or_, faults))

        # Events.
        def stops_of(*kinds):
            return [stop for stop in walk.stops if stop.stop.event in kinds]

        priced = is_at([stop.number for stop in walk.stops
                        if "price" in [target for target, _, _ in stop.stop.places(stop.layout)]])
        complete_ticker = Signal()      # no price was left out
        ticker = is_at([stop.number for stop in stops_of(FeedEventKind.TICKER)])
        begins = is_at([stop.number for stop in stops_of(FeedEventKind.INSTRUMENT)])
        with m.If(hit & begins):
            m.d.sync += complete_ticker.eq(1)
        with m.Elif(hit & priced & ~finite):
            m.d.sync += complete_ticker.eq(0)
        says = is_at([stop.number for stop in walk.stops if stop.stop.event is not None])
        m.d.sync += self.o.valid.eq(
            hit & self.i_match & ~repeated & ~walk.o_malformed
            & (says & (~priced | finite) & (~ticker | complete_ticker)
               | at[GROUP] & walk.o_empty))

        kinds = {kind: is_at([stop.number for stop in stops_of(kind)])
                 for kind in FeedEventKind if stops_of(kind)}
        kinds[FeedEventKind.END] = at[GROUP]
        with m.If(self.i.valid):
            m.d.sync += [
                event.kind.eq(reduce(or_, [Mux(condition, kind.value, 0)
                                           for kind, condition in kinds.items()])),
                event.last.eq(walk.o_last_entry),
                event.stamp.eq(self.i_stamp),
            ]
        with m.If(self.i.valid & begins):
            m.d.sync += [
                event.message.eq(reduce(or_, [
                    Mux(at[stop.number], stop.plan.kind.value, 0)
                    for stop in stops_of(FeedEventKind.INSTRUMENT)])),
                event.channel.eq(self.i_channel),
                event.sequence.eq(number),
                event.suspect.eq(sequence.o_gap),
            ]
            for target in ("change", "complete"):
                m.d.sync += event[target].eq(0)

        # The verdict: registers, but for what is known last of a datagram without messages.
        end, verdict = self.i_end.payload, self.o_verdict.payload
        ended, matched, sound = Signal(), Signal(), Signal()
        accepts = Signal()
        m.submodules.tally = tally = MessageTally(len(self.o_count_message))
        m.d.sync += [
            ended.eq(self.i_end.valid),
            matched.eq(self.i_end.valid & end.match),
            sound.eq(end.good),
            verdict.good.eq(end.good & ~walk.o_malformed),
            verdict.channel.eq(end.channel),
            verdict.stamp.eq(end.stamp),
        ]
        m.d.comb += [
            self.o_verdict.valid.eq(matched & ~repeated),
            verdict.gap.eq(verdict.good & sequence.o_gap),
            accepts.eq(self.o_verdict.valid & verdict.good),
            sequence.accept.eq(accepts),
        ]
        m.d.sync += [
            self.o_count_good.eq(accepts),
            self.o_count_gap.eq(accepts & sequence.o_gap),
            self.o_count_malformed.eq(self.o_verdict.valid & sound & ~verdict.good),
            self.o_count_duplicate.eq(matched & repeated & sound),
            tally.i_valid.eq(hit & at[MESSAGE]),
            tally.i_kind.eq(walk.o_message),
            tally.drop.eq(ended & ~accepts),
        ]

        m.d.comb += [
            tally.keep.eq(self.o_count_good),
            self.o_count_message.eq(tally.o),
        ]
        return m
