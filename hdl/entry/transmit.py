"""An order becomes a frame: its template, with the holes filled while it leaves."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from tickwire.hdl.csr.table import table_write
from tickwire.hdl.entry.checksum import OrderChecksum, OrderHoles
from tickwire.hdl.entry.frame import OrderFrame
from tickwire.hdl.entry.intent import Action, Order, OrderIntent, OrderOutcome, Reason
from tickwire.hdl.entry.price import PriceConverter
from tickwire.hdl.mac.transmit import FrameDone
from tickwire.hdl.stream.packet import packet_stream, strobe
from tickwire.hdl.tcp.session import Commit, SessionState
from tickwire.hdl.wire.order_template import BEAT_BYTES, ORDER_LAYOUTS, TEMPLATE_BEATS

__all__ = ["OrderTransmit"]

CONVERSION = 6              # cycles of PriceConverter
ZERO_KEY = 1 << 63          # ordered key of 0.0


class OrderTransmit(wiring.Component):
    """Sends each order that the risk gate passes, as a frame of its own.

    The frame is offered in the cycle of ``i`` itself and then, without a pause, as fast as it is
    taken; it must be taken no faster than :class:`tickwire.hdl.mac.transmit.MacTransmit` does, a
    beat a cycle from the cycle after the offer on. While another frame is on the wire the offer
    waits. Sequence numbers, time and client id are those of the cycle of ``i``.

    The price is converted from ``i_intent`` on, one cycle ahead of ``i``, and the TCP checksum,
    which needs it, is ready in the cycle in which its beat leaves at the earliest. A price that
    is no multiple of 1e-9, or too large, has the frame broken off as soon as it has begun.

    What an order uses up (bytes of the TCP stream, the venue's sequence number, a client id) is
    handed to the session with one strobe, when the frame has left whole; a frame that was
    broken off uses up nothing.

    Latency: ``i`` → first beat offered 0 cycles; ``i`` → ``o_inexact`` 6 cycles; ``i_done`` →
    ``o_commit``, ``o_outcome`` 1 cycle; ``i_done`` → not ``o_busy`` 3 cycles (for a frame broken
    off: and not before its last beat was taken and thrown away).

    Parameters
    ----------
    instruments : int
        Rows of the table of the venue's instrument ids, at most 128.

    Members
    -------
    i_intent : strobe of :class:`~tickwire.hdl.entry.intent.OrderIntent`
        Every intent in the cycle in which the risk gate takes it, passed or not.
    i : strobe of :class:`~tickwire.hdl.entry.intent.Order`
        An order whose intent was in ``i_intent`` one cycle before.
    o : packet_stream of 8 lanes
        ``valid`` and ``first`` may rise with ``i``; the beat itself is already there.
    o_goes_on : 1 bit
        ``o.valid`` from a register: not yet in the cycle of ``i``.
    o_abort : 1 bit
        Break off the frame that is leaving. From the cycle after its first beat was taken, or 6
        cycles after ``i``, up to ``i_done``. Never while another frame leaves.
    i_started : 1 bit
        A START character stands on the XGMII output. The last one before the frame's end is the
        order's, so those of other frames do no harm.
    i_done : strobe of :class:`~tickwire.hdl.mac.transmit.FrameDone`
        A frame has ended. It counts for this order after its first beat was taken.
    i_session : :class:`~tickwire.hdl.tcp.session.SessionState`
    o_commit : strobe of :class:`~tickwire.hdl.tcp.session.Commit`
    o_outcome : strobe of :class:`~tickwire.hdl.entry.intent.OrderOutcome`
        For each order: PASSED, INEXACT_PRICE or ABORTED.
    o_inexact : strobe of 7 bits
        This instrument's price could not be converted: disarm it.
    o_busy : 1 bit
        An intent that the risk gate takes in this cycle must be refused. From the cycle after
        ``i`` on (in that of ``i`` the gate refuses by itself) until ``i_session`` and the window
        that follows from it show the commit.
    now : 16 bits
        Cycle counter, for the stamp ``preamble``.
    i_time : 64 bits
        Nanoseconds since the Unix epoch.
    i_template : table_write of 64-bit rows
        See :class:`~tickwire.hdl.entry.template.OrderTemplates`. Only while no order can be sent.
    i_instrument : table_write of 64-bit rows
        The venue's id of each instrument. Only while no order of that instrument can be sent.

    Raises
    ------
    ValueError
        If ``instruments`` is not from 2 to 128.
    """

    def __init__(self, instruments=128):
        if not 2 <= instruments <= 128:
            raise ValueError("OrderTransmit instruments must be from 2 to 128, as an intent's "
                             f"index has 7 bits, not {instruments!r}")
        self._instruments = instruments
        super().__init__({
            "i_intent": In(strobe(OrderIntent)),
            "i": In(strobe(Order)),
            "o": Out(packet_stream(BEAT_BYTES)),
            "o_goes_on": Out(1),
            "o_abort": Out(1),
            "i_started": In(1),
            "i_done": In(strobe(FrameDone)),
            "i_session": In(SessionState),
            "o_commit": Out(strobe(Commit)),
            "o_outcome": Out(strobe(OrderOutcome)),
            "o_inexact": Out(strobe(7)),
            "o_busy": Out(1),
            "now": In(16),
            "i_time": In(64),
            "i_template": In(table_write(64, len(ORDER_LAYOUTS) * TEMPLATE_BEATS)),
            "i_instrument": In(table_write(64, instruments)),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.converter = converter = PriceConverter()
        m.submodules.frame = frame = OrderFrame()
        m.submodules.checksum = checksum = OrderChecksum()
        m.submodules.instrument_table = instrument_table = Memory(
            shape=64, depth=self._instruments, init=[])

        # What is being sent
        order = Signal(Order, reset_less=True)
        holes = Signal(OrderHoles, reset_less=True)
        instrument = Signal(64, reset_less=True)
        price = Signal(64, reset_less=True)
        preamble = Signal(16, reset_less=True)
        intent = self.i.payload.intent
        new = intent.action == Action.NEW

        # How far it is
        active = Signal()           # from the cycle after `i`
        begun = Signal()            # the first beat was taken
        exhausted = Signal()        # the last beat was taken
        done = Signal()             # the frame has ended on the wire
        inexact = Signal()
        settling = Signal(2)        # two cycles until the session's window shows the commit
        offered = active & ~exhausted
        taken = offered & self.o.ready
        done_now = self.i_done.valid & begun & ~done
        finished = (exhausted | (taken & self.o.payload.last)) & (done | done_now)

        since = Signal(CONVERSION - 1)      # bit n: n + 1 cycles ago there was `i`
        with m.If(self.i.valid):
            m.d.sync += since.eq(1)
        with m.Else():
            m.d.sync += since.eq(since << 1)

        m.d.sync += settling.eq(settling << 1)
        with m.If(self.i.valid):
            m.d.sync += active.eq(1)
        with m.If(taken):
            m.d.sync += [begun.eq(1), exhausted.eq(self.o.payload.last)]
        with m.If(done_now):
            m.d.sync += done.eq(1)
        with m.If(finished):
            m.d.sync += [active.eq(0), begun.eq(0), exhausted.eq(0), done.eq(0), inexact.eq(0),
                         settling[0].eq(1)]
        m.d.comb += self.o_busy.eq(active | settling.any())

        # Loaded all the time until there is an order: so `i.valid` need not reach all of it.
        session = self.i_session
        with m.If(~active):
            m.d.sync += [
                order.eq(self.i.payload),
                holes.new.eq(new),
                holes.client_id.eq(Mux(new, session.client_id, intent.client_id)),
                holes.quantity.eq(intent.quantity),
                holes.side.eq(intent.side),
                holes.send_time.eq(self.i_time),
                *(holes[name].eq(session[name]) for name in (
                    "sequence", "acknowledgement", "window", "venue_sequence", "last_processed")),
            ]
        with m.If(self.i_started):
            m.d.sync += preamble.eq(self.now)

        # The venue's id of the instrument
        write_port = instrument_table.write_port()
        read_port = instrument_table.read_port()
        m.d.comb += [
            write_port.addr.eq(self.i_instrument.payload.index),
            write_port.data.eq(self.i_instrument.payload.row),
            write_port.en.eq(self.i_instrument.valid),
            read_port.addr.eq(intent.instrument),
            read_port.en.eq(self.i.valid),
        ]
        with m.If(since[0]):
            m.d.sync += instrument.eq(read_port.data)

        # Price: a cancel has none, so it converts 0.
        wanted = self.i_intent.payload
        converted = converter.o.payload
        m.d.comb += [
            converter.i.valid.eq(self.i_intent.valid),
            converter.i.payload.eq(Mux(wanted.action == Action.NEW, wanted.price, ZERO_KEY)),
        ]
        m.d.sync += self.o_inexact.valid.eq(0)
        with m.If(since[CONVERSION - 2]):
            m.d.sync += [
                price.eq(converted.price),
                inexact.eq(~converted.exact),
                self.o_inexact.valid.eq(~converted.exact),
            ]
        m.d.comb += [
            self.o_inexact.payload.eq(order.intent.instrument),
            self.o_abort.eq(begun & inexact & ~done & ~self.i_done.valid),
            checksum.i_holes.eq(holes),
            checksum.i_instrument.eq(instrument),
            checksum.i_constant.eq(frame.o_constant),
            checksum.i_price_valid.eq(since[CONVERSION - 2]),
            checksum.i_price.eq(converted.price),
        ]

        # The frame
        wiring.connect(m, wiring.flipped(self.i_template), frame.i_write)
        m.d.comb += [
            frame.i_select.eq(~self.i.valid & ~active),
            frame.i_selected.eq(wanted.action),
            frame.i_start.eq(self.i.valid),
            frame.i_action.eq(intent.action),
            frame.i_taken.eq(taken),
            frame.i_finished.eq(finished),
            frame.i_holes.eq(holes),
            frame.i_instrument.eq(instrument),
            frame.i_price.eq(price),
            frame.i_checksum.eq(checksum.o),
            self.o.valid.eq(self.i.valid | offered),
            self.o_goes_on.eq(offered),
            self.o.payload.eq(frame.o),
        ]

        # The end: what it has used up, and what became of it
        lengths = [layout.payload_length for layout in ORDER_LAYOUTS]
        aborted = self.i_done.payload.aborted
        outcome = self.o_outcome.payload
        m.d.comb += [
            self.o_commit.payload.sequence.eq(holes.sequence),
            self.o_commit.payload.length.eq(Mux(holes.new, *lengths)),
            self.o_commit.payload.new.eq(holes.new),
            outcome.intent.eq(order.intent),
            outcome.decided.eq(order.decided),
            outcome.released.eq(order.released),
            outcome.preamble.eq(preamble),
            outcome.client_id.eq(
                Mux(holes.new & (outcome.reason == Reason.PASSED), holes.client_id, 0)),
        ]
        reason = Signal(Reason)
        m.d.sync += [
            self.o_commit.valid.eq(done_now & ~aborted),
            self.o_outcome.valid.eq(done_now),
            reason.eq(Mux(~aborted, Reason.PASSED,
                          Mux(inexact, Reason.INEXACT_PRICE, Reason.ABORTED))),
        ]
        m.d.comb += outcome.reason.eq(reason)
        return m
