"""A gateway without a market: ports and registers of the real one, an echo behind them."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from tickwire.gateware.config import GatewayConfig
from tickwire.gateware.records import BOOK, FLAGS
from tickwire.gateware.registers import REGISTERS
from tickwire.gateware.vocabulary import Reason
from tickwire.hdl.csr.bank import RegisterBank
from tickwire.hdl.csr.bus import CsrBus
from tickwire.hdl.csr.event import EventWord
from tickwire.hdl.csr.frame import FrameWord
from tickwire.hdl.phy.xgmii import XgmiiWord
from tickwire.hdl.stream.packet import strobe
from tickwire.hdl.timing.clock import NanosecondClock

__all__ = ["ToyGateway"]


class ToyGateway(wiring.Component):
    """Echoes XGMII words, answers to the host, and makes a record and a frame of every START.

    It lets engine, simulated card and host package be tested in seconds. Every word that comes in
    goes out again, two cycles later. Every START makes a BOOK record, whose ``change_id`` is the
    cycle, and a frame of 8 bytes for the host, the cycle as well. An order of the host's is PASSED,
    if armed, and its quantity is echoed as client id. The nonce is the cycle in which it was asked
    for, and never expires. A level of a book has what BOOK_SELECT named it by as the upper half of
    its amount's and of its price's bits. The nanosecond clock is the real one.
    """

    def __init__(self, config: GatewayConfig | None = None) -> None:
        self.config = config or GatewayConfig()
        super().__init__({
            "rx": In(strobe(XgmiiWord)),
            "tx": Out(XgmiiWord),
            "csr": In(CsrBus()),
            "o_event": Out(strobe(EventWord)),
            "o_frame": Out(strobe(FrameWord)),
            "kill": In(1),
            "i_skip": In(64),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.bank = bank = RegisterBank(REGISTERS, self.config)
        wiring.connect(m, wiring.flipped(self.csr), bank.bus)
        cycles = self._elaborate_time(m, bank)

        word = Signal(XgmiiWord)
        m.d.rx += word.eq(self.rx.payload)
        m.d.sync += self.tx.eq(word)
        ends = Signal()
        starts = Signal()
        characters = [word.control[k] & (word.data.word_select(k, 8) == code)
                      for code in (0xFD, 0xFB) for k in range(8)]
        m.d.comb += [ends.eq(Cat(characters[:8]).any()), starts.eq(Cat(characters[8:]).any())]
        m.d.comb += bank.i_count_rx_good.eq(ends)
        with m.If(ends):
            m.d.sync += bank.i_frames.eq(bank.i_frames + 1)
        self._elaborate_events(m, bank, starts, cycles)
        self._elaborate_frames(m, bank, starts, cycles)
        self._elaborate_arming(m, bank, cycles)
        self._elaborate_orders(m, bank)
        return m

    def _elaborate_time(self, m: Module, bank: RegisterBank) -> Signal:
        cycles = Signal(64)
        m.d.sync += cycles.eq(cycles + self.i_skip + 1)
        m.submodules.clock = clock = NanosecondClock()
        m.d.comb += [
            bank.i_cycles.eq(cycles),
            bank.i_nanoseconds.eq(clock.o),
            bank.i_nanoseconds_cycle.eq(cycles),
            clock.i_skip.eq(self.i_skip),
            clock.i_increment.eq(bank.o_clock_increment),
        ]
        for table, port in ((bank.o_clock_set, clock.i_set),
                            (bank.o_clock_offset, clock.i_offset)):
            m.d.comb += [port.valid.eq(table.valid),
                         port.payload.eq(Value.cast(table.payload.row))]
        return cycles

    def _elaborate_events(self, m: Module, bank: RegisterBank, starts: Signal,
                          cycles: Signal) -> None:
        """Eight words a record; a START while one is leaving makes none."""
        left = Signal(4)
        record = Signal(512)
        produced = bank.i_events_produced
        room = Signal()
        m.d.comb += [
            room.eq(Value.cast(produced - bank.o_events_consumed)[:32] < bank.o_event_ring),
            bank.i_status.log_full.eq(~room),
            self.o_event.valid.eq(left != 0),
            self.o_event.payload.word.eq(record[:64]),
            self.o_event.payload.first.eq(left == 8),
        ]
        with m.If(left != 0):
            m.d.sync += [left.eq(left - 1), record.eq(record >> 64)]
        with m.Elif(starts & room):
            fields = {"change_id": cycles, "sequence": produced, "stamp": cycles[:16],
                      "kind": Const(BOOK.number, 8),
                      "flags": Const(1 << FLAGS.index("tradable"), 8)}
            m.d.sync += [
                left.eq(8),
                produced.eq(produced + 1),
                record.eq(Cat(fields.get(part.name, Const(0, part.width))
                              for part in BOOK.fields)),
            ]

    def _elaborate_frames(self, m: Module, bank: RegisterBank, starts: Signal,
                          cycles: Signal) -> None:
        """Three words a frame; a START while they are leaving makes none."""
        left, cycle = Signal(2), Signal(64)
        produced = bank.i_frames_produced
        room = Signal()
        m.d.comb += [
            room.eq(Value.cast(produced - bank.o_frames_consumed)[:32] < bank.o_frame_ring),
            self.o_frame.valid.eq(left != 0),
            self.o_frame.payload.first.eq(left == 3),
            self.o_frame.payload.last.eq(left == 1),
            self.o_frame.payload.word.eq(Mux(left == 1, Cat(produced, Const(8, 16)), cycle)),
        ]
        with m.If(left != 0):
            m.d.sync += [left.eq(left - 1), produced.eq(produced + (left == 1))]
        with m.Elif(starts & room):
            m.d.sync += [left.eq(3), cycle.eq(cycles)]

    def _elaborate_arming(self, m: Module, bank: RegisterBank, cycles: Signal) -> None:
        status = bank.i_status
        with m.If(bank.o_arm_request):
            m.d.sync += bank.i_arm_nonce.eq(cycles[:32])
        with m.If(bank.o_arm.valid & (bank.o_arm.payload == bank.i_arm_nonce)):
            m.d.sync += status.armed.eq(1)
        with m.If(bank.o_kill_release.valid
                  & (bank.o_kill_release.payload == bank.i_arm_nonce)):
            m.d.sync += status.killed.eq(0)
        with m.If(bank.o_disarm | bank.o_kill | self.kill | status.killed):
            m.d.sync += status.armed.eq(0)
        with m.If(bank.o_kill | self.kill):
            m.d.sync += status.killed.eq(1)
        with m.If(bank.o_session.valid):
            m.d.sync += [
                status.session.eq(bank.o_session.payload.row.open),
                bank.i_session_sequence.eq(bank.o_session.payload.row.sequence),
                bank.i_session_venue_sequence.eq(bank.o_session.payload.row.venue_sequence),
                bank.i_session_client_id.eq(bank.o_session.payload.row.client_id),
            ]

    def _elaborate_orders(self, m: Module, bank: RegisterBank) -> None:
        armed, killed = bank.i_status.armed, bank.i_status.killed
        with m.If(bank.o_order_post.valid):
            m.d.sync += [
                bank.i_order_result.done.eq(1),
                bank.i_order_result.reason.eq(Mux(killed, Reason.KILLED.value,
                                                  Mux(armed, 0, Reason.NOT_ARMED.value))),
                bank.i_order_result_post.eq(bank.o_order_post.payload),
                bank.i_order_result_client_id.eq(bank.o_order_quantity),
            ]
        m.d.comb += bank.i_count_orders_sent.eq(bank.o_order_post.valid & armed)
        m.d.comb += bank.i_count_refused_not_armed.eq(bank.o_order_post.valid & ~armed)
        with m.If(bank.o_book_select.valid):
            chosen = Value.cast(bank.o_book_select.payload)
            m.d.sync += [
                bank.i_book_price.eq(Cat(Const(0, 32), chosen, Const(1 << 7, 8))),
                bank.i_book_amount.eq(Cat(Const(0, 32), chosen)),
                bank.i_book_state.done.eq(1),
                bank.i_book_state.valid.eq(bank.o_book_select.payload.level < 3),
                bank.i_book_state.tradable.eq(1),
                bank.i_book_state.bids.eq(3),
                bank.i_book_state.asks.eq(3),
            ]
