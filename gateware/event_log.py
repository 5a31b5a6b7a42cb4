"""Book events, tickers and what became of orders, as 64-byte records for the host's event ring."""

from amaranth.hdl import Array, C, Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from tickwire.gateware.records import BOOK, ORDER, TICKER
from tickwire.hdl.book.event import BookEvent
from tickwire.hdl.csr.event import EventWord
from tickwire.hdl.entry.intent import OrderOutcome
from tickwire.hdl.feed.event import FeedEvent, FeedEventKind, FrameVerdict, is_kind
from tickwire.hdl.stream.packet import strobe

from .record_lane import WORDS, RecordLane

__all__ = ["EventLog"]

#: Records that the ring keeps free for what became of orders.
RESERVE = 64


def packed(record, **values):
    """A record's bits; fields that are not named are 0."""
    parts = []
    for part in record.fields:
        value = values.pop(part.name, C(0, part.width))
        parts.append(Cat(value, C(0, part.width))[:part.width])
    assert not values, values
    return Cat(parts)


class EventLog(wiring.Component):
    """Turns what the host wants to know into records and sends them, a word a cycle.

    Each kind of record has a queue of its own, so that a burst of one does not cost the others.
    Tickers wait for their frame's verdict. What became of orders goes first, and
    ``RESERVE`` records of the host's ring are kept for it; when less than that is free, book
    events and tickers are dropped and counted, and when the queue of orders or the ring is nearly
    full, ``o_full`` tells the risk gate to let no order pass.

    Latency: event → first word 12 cycles when nothing else waits.

    Members
    -------
    i_book : In(strobe(BookEvent))
        The authority's events.
    i_feed, i_index, i_verdict : In
        Feed events; the dense index of the message's instrument, if it is known; the verdict.
    i_outcome, i_refused : In(strobe(OrderOutcome))
        What became of orders: from the encoder and from the risk gate.
    i_order : In(1)
        An order begins to leave: the outcome that comes next is its.
    i_frame_end : In(16)
        Stamp of the end of the frame whose verdict came last.
    cycle : In(64), frames : In(32)
        Cycle counter; frames that have ended at the receiver.
    publish_book, publish_ticker : In(1)
    ring, consumed : In(32)
        Records that the host's ring holds; records that the host has taken, modulo 2^32.
    o : Out(strobe(EventWord))
    o_produced : Out(32)
        Records sent, modulo 2^32. The phase bit is the ring writer's.
    o_full : Out(1)
    o_count_lost : Out(1)
    """

    def __init__(self):
        super().__init__({
            "i_book": In(strobe(BookEvent)),
            "i_feed": In(strobe(FeedEvent)),
            "i_index": In(strobe(7)),
            "i_verdict": In(strobe(FrameVerdict)),
            "i_outcome": In(strobe(OrderOutcome)),
            "i_refused": In(strobe(OrderOutcome)),
            "i_order": In(1),
            "i_frame_end": In(16),
            "cycle": In(64),
            "frames": In(32),
            "publish_book": In(1),
            "publish_ticker": In(1),
            "ring": In(32),
            "consumed": In(32),
            "o": Out(strobe(EventWord)),
            "o_produced": Out(32),
            "o_full": Out(1),
            "o_count_lost": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.book_lane = book_lane = RecordLane(depth=32)
        m.submodules.ticker_lane = ticker_lane = RecordLane(depth=32, holds=True)
        m.submodules.order_lane = order_lane = RecordLane(depth=32)
        m.submodules.order_queue = order_queue = OutcomeQueue()

        self._room(m, order_lane, order_queue)
        lost = [book_lane.o_count_lost, ticker_lane.o_count_lost, order_queue.o_count_lost]
        m.d.sync += self.o_count_lost.eq(Cat(lost).any())

        touch = self.i_book.payload.touch
        m.d.comb += [
            book_lane.i.valid.eq(self.i_book.valid & self.publish_book & self._spare),
            book_lane.i.payload.eq(packed(
                BOOK, bid_price=touch.bid_price, bid_amount=touch.bid_amount,
                ask_price=touch.ask_price, ask_amount=touch.ask_amount,
                timestamp=self.i_book.payload.timestamp,
                change_id=self.i_book.payload.change_id,
                instrument=self.i_book.payload.instrument,
                flags=Cat(self.i_book.payload.tradable, touch.bid_valid, touch.ask_valid),
                stamp=self.i_book.payload.stamp, kind=C(BOOK.number, 8))),
        ]
        self._tickers(m, ticker_lane)
        order_frame_end = Signal(16)
        with m.If(self.i_order):
            m.d.sync += order_frame_end.eq(self.i_frame_end)
        for number, (source, frame_end) in enumerate((
                (self.i_outcome, order_frame_end), (self.i_refused, self.i_frame_end))):
            m.d.comb += [
                order_queue.i[number].valid.eq(source.valid),
                order_queue.i[number].payload.outcome.eq(source.payload),
                order_queue.i[number].payload.frame_end.eq(frame_end),
            ]
        outcome, intent = order_queue.o.payload.outcome, order_queue.o.payload.outcome.intent
        m.d.comb += [
            order_queue.o.ready.eq(order_lane.o_ready),
            order_lane.i.valid.eq(order_queue.o.valid),
            order_lane.i.payload.eq(packed(
                ORDER, price=intent.price, timestamp=intent.timestamp, cycle=self.cycle,
                client_id=Mux(intent.action.as_value(), intent.client_id, outcome.client_id),
                quantity=intent.quantity, decided=outcome.decided, released=outcome.released,
                preamble=outcome.preamble, frame_end=order_queue.o.payload.frame_end,
                reason=outcome.reason.as_value(), action=intent.action.as_value(),
                source=intent.source.as_value(), side=intent.side.as_value(),
                frame=self.frames, instrument=intent.instrument, stamp=intent.trigger,
                kind=C(ORDER.number, 8))),
        ]
        self._send(m, (order_lane, book_lane, ticker_lane))
        return m

    def _room(self, m, order_lane, order_queue):
        """How many records the host's ring has left, registered: it changes slowly."""
        left = Signal(32)
        spare = self._spare = Signal()
        ring_full = self._ring_full = Signal(init=1)
        m.d.sync += [
            left.eq(self.ring - (self.o_produced - self.consumed)),
            # One record may be on its way.
            spare.eq(~left[31] & (left > RESERVE + 1)),
            ring_full.eq(left[31] | (left < 4)),
            self.o_full.eq(left[31] | (left < RESERVE // 2) | order_queue.o_nearly_full
                           | order_lane.o_nearly_full),
        ]

    def _tickers(self, m, lane):
        event = self.i_feed.payload
        known, index = Signal(), Signal(7)
        with m.If(self.i_feed.valid & is_kind(event.kind, FeedEventKind.INSTRUMENT)):
            m.d.sync += known.eq(0)
        with m.If(self.i_index.valid):
            m.d.sync += [known.eq(1), index.eq(self.i_index.payload)]
        m.d.comb += [
            lane.i.valid.eq(self.i_feed.valid & is_kind(event.kind, FeedEventKind.TICKER) & known
                            & self.publish_ticker & self._spare),
            lane.i.payload.eq(packed(
                TICKER, bid_price=event.bid_price, bid_amount=event.bid_amount,
                ask_price=event.price, ask_amount=event.amount, timestamp=event.timestamp,
                cycle=self.cycle, frame=self.frames, instrument=index,
                flags=Cat(C(0, 1), event.bid_amount.any(), event.amount.any()),
                stamp=event.stamp, kind=C(TICKER.number, 8))),
            lane.i_settle.valid.eq(self.i_verdict.valid),
            lane.i_settle.payload.eq(self.i_verdict.payload.good),
        ]

    def _send(self, m, lanes):
        """One record at a time, the first lane's first; what only now is known is put in."""
        chosen = Signal(range(len(lanes)))
        busy, at = Signal(), Signal(range(WORDS))
        word = Signal(64)
        m.d.comb += word.eq(Array(lane.o_word for lane in lanes)[chosen])
        for number, lane in enumerate(lanes):
            m.d.comb += lane.i_take.eq(busy & (chosen == number))
        with m.If(~busy):
            for number, lane in reversed(list(enumerate(lanes))):
                with m.If(lane.o_whole):
                    m.d.sync += [chosen.eq(number), busy.eq(1)]
        with m.Else():
            m.d.sync += at.eq(at + 1)
            with m.If(at == WORDS - 1):
                m.d.sync += busy.eq(0)

        # The ring had room when the record was taken in; should the host have shrunk it since,
        # the record is dropped here, whole.
        dropped = Signal()
        with m.If(~busy):
            m.d.sync += dropped.eq(self._ring_full)
        published = Signal(64)
        with m.If((at == 0) & busy):
            m.d.sync += published.eq(self.cycle)
        late = Signal(64)
        with m.Switch(at):
            with m.Case(6):
                m.d.comb += late.eq(Cat(
                    Mux(chosen == 1, published[16:48], C(0, 32)), published[:16]))
            with m.Case(7):
                m.d.comb += late.eq(self.o_produced)
        m.d.sync += [
            self.o.valid.eq(busy & ~dropped),
            self.o.payload.word.eq(word | late),
            self.o.payload.first.eq(at == 0),
        ]
        with m.If(busy & (at == WORDS - 1) & ~dropped):
            m.d.sync += self.o_produced.eq(self.o_produced + 1)


class OutcomeQueue(wiring.Component):
    """Takes outcomes of orders and refusals, also in one cycle, and gives them out one by one.

    The first input is for orders that have left, which are a frame apart: one that comes
    while another still waits behind refusals is lost and counted.

    Latency: 2 cycles when empty.

    Members
    -------
    i : In(strobe of ``outcome`` and ``frame_end``), two: orders, refusals
    o : Out(stream of ``outcome`` and ``frame_end``)
    o_nearly_full : Out(1)
        Less than half is free.
    o_count_lost : Out(1)
    """

    DEPTH = 16

    def __init__(self):
        self.entry = data.StructLayout({"outcome": OrderOutcome, "frame_end": 16})
        super().__init__({
            "i": In(strobe(self.entry)).array(2),
            "o": Out(stream.Signature(self.entry)),
            "o_nearly_full": Out(1),
            "o_count_lost": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = Memory(shape=self.entry, depth=self.DEPTH, init=[])
        write, read = memory.write_port(), memory.read_port(domain="comb")

        # Each input has a register that takes whatever stands there. A refusal is written in the
        # next cycle; what came of an order that has left stays until there is no refusal.
        order, refusal = (Signal(self.entry, name=name, reset_less=True)
                          for name in ("order", "refusal"))
        order_waits, refusal_waits = Signal(), Signal()
        head, tail, level = (Signal(range(self.DEPTH)), Signal(range(self.DEPTH)),
                             Signal(range(self.DEPTH + 1)))
        room = Signal(init=1)
        with m.If(~order_waits):
            m.d.sync += order.eq(self.i[0].payload)
        m.d.sync += [
            order_waits.eq(Mux(order_waits, refusal_waits | ~room, self.i[0].valid)),
            refusal.eq(self.i[1].payload),
            refusal_waits.eq(self.i[1].valid),
            # One may be on its way while this is found out.
            room.eq(level < self.DEPTH - 1),
            self.o_count_lost.eq((self.i[0].valid & order_waits) | (refusal_waits & ~room)),
        ]
        m.d.comb += [
            write.en.eq((order_waits | refusal_waits) & room),
            write.addr.eq(tail),
            write.data.eq(Mux(refusal_waits, refusal, order)),
            read.addr.eq(head),
            self.o.valid.eq(level != 0),
            self.o.payload.eq(read.data),
        ]
        pop = self.o.valid & self.o.ready
        with m.If(write.en):
            m.d.sync += tail.eq(tail + 1)
        with m.If(pop):
            m.d.sync += head.eq(head + 1)
        m.d.sync += [
            level.eq(level + write.en - pop),
            self.o_nearly_full.eq(level >= self.DEPTH // 2),
        ]
        return m
