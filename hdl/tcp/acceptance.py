"""How a segment stands to its connection: all comparisons of sequence numbers in one place."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from tickwire.hdl.tcp.connection import ControlBlock, Hot
from tickwire.hdl.tcp.segment import Segment

__all__ = ["Acceptance", "Findings", "bad_address"]


class Findings(data.Struct):
    """What holds of a segment. Names in brackets are those of RFC 9293, 3.3.1."""

    same_end: 1             # it comes from the row's other end
    bad_source: 1           # nobody can have this address
    acceptable: 1           # 3.4: it begins or ends in the window; nothing at its edge, see below
    in_window: 1            # its first byte is in the window, or at a window of 0
    exact: 1                # SEG.SEQ = RCV.NXT
    not_before: 1           # SEG.SEQ >= RCV.NXT
    skip: 11                # bytes that came before
    take: 11                # new ones after these that fit the window
    fin_in_order: 1         # its FIN comes after these, and fits
    acked: 16               # SEG.ACK - SND.UNA, if `ack_new`
    flight: 16              # SND.NXT - SND.UNA
    ack_new: 1              # SND.UNA < SEG.ACK =< SND.NXT
    ack_equal: 1            # SEG.ACK = SND.UNA
    ack_all: 1              # SEG.ACK = SND.NXT
    ack_valid: 1            # RFC 5961, 5.2
    newer: 1                # its window is not an old one, see below
    timed: 1                # it acknowledges what is being timed


def bad_address(address):
    """Neither broadcast, multicast, reserved, loopback nor "this network" is another host."""
    return (address[28:] >= 0xe) | (address[24:] == 0) | (address[24:] == 127)


class Acceptance(wiring.Component):
    """Compares a segment with its connection.

    Two rules are wider than those of RFC 9293, as they are in Linux. An empty segment at the right
    edge of the window is acceptable: a peer that has filled the window sends its acknowledgements
    there, and if both sides have done so while segments are missing, they would never hear each
    other again (RFC 9293, A.2). And a window comes with every new acknowledgement, also with that
    of a segment that was resent: the window is counted from SND.UNA, and would else be too large.

    Latency: ``o`` belongs to the inputs of 2 cycles before.

    Members
    -------
    i : In, Segment
    i_row : In, ControlBlock
    i_hot : In, Hot
    i_next : In, 32 bits
        SND.NXT.
    o : Out, Findings
    """

    i: In(Segment)
    i_row: In(ControlBlock)
    i_hot: In(Hot)
    i_next: In(32)
    o: Out(Findings)

    def elaborate(self, platform):
        m = Module()
        segment, row, hot = self.i, self.i_row, self.i_hot

        # 1: differences, modulo 2^32 (RFC 9293, 3.4)
        offset, ahead, flight = Signal(32), Signal(32), Signal(32)
        wl1, wl2, timed = Signal(32), Signal(32), Signal(32)
        length, space = Signal(11), Signal(11)      # payload; that with SYN and FIN
        window, max_window = Signal(16), Signal(16)
        same_end, bad_source = Signal(), Signal()
        m.d.sync += [
            offset.eq(segment.sequence - hot.acknowledgement),
            ahead.eq(segment.acknowledgement - hot.unacknowledged),
            flight.eq(self.i_next - hot.unacknowledged),
            wl1.eq(segment.sequence - row.wl1),
            wl2.eq(segment.acknowledgement - row.wl2),
            timed.eq(segment.acknowledgement - row.timed),
            length.eq(segment.length),
            space.eq(segment.length + segment.control.syn + segment.control.fin),
            window.eq(hot.window), max_window.eq(row.max_window),
            same_end.eq((segment.end.address == row.address) & (segment.end.port == row.port)
                        & (segment.end.local_port == row.local_port)),
            bad_source.eq(bad_address(segment.end.address)),
        ]

        # 2: what they mean
        end, back, skip, fresh = Signal(32), Signal(32), Signal(11), Signal(11)
        m.d.comb += [
            end.eq(offset + space - 1),
            back.eq(-ahead),
            skip.eq(Mux(offset[31], -offset, 0)),
            fresh.eq(length - skip),
        ]
        begins, ends = offset < window, end < window
        m.d.sync += [
            self.o.same_end.eq(same_end), self.o.bad_source.eq(bad_source),
            self.o.exact.eq(offset == 0), self.o.not_before.eq(~offset[31]),
            self.o.in_window.eq(begins | (offset == 0)),
            self.o.acceptable.eq(Mux(space == 0, begins | (offset == window),
                                     (window != 0) & (begins | ends))),
            self.o.skip.eq(skip),
            self.o.take.eq(Mux((offset != 0) & ~offset[31], 0,
                               Mux(fresh > window, window, fresh))),
            self.o.fin_in_order.eq(((offset == 0) | offset[31]) & (fresh < window)),
            self.o.acked.eq(ahead), self.o.flight.eq(flight),
            self.o.ack_new.eq((ahead != 0) & (ahead <= flight)),
            self.o.ack_equal.eq(ahead == 0), self.o.ack_all.eq(ahead == flight),
            self.o.ack_valid.eq((ahead <= flight) | (back <= max_window)),
            self.o.newer.eq(((ahead != 0) & (ahead <= flight))
                            | ((ahead == 0) & ((~wl1[31] & wl1.any())
                                               | (~wl1.any() & ~wl2[31])))),
            self.o.timed.eq(row.timing & ~timed[31]),
        ]
        return m
