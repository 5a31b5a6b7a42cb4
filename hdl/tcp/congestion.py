"""How much may be in flight: slow start, congestion avoidance, fast recovery."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, enum, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Congestion", "CongestionControl", "CongestionEvent"]

_LARGEST = 0xffff           # of a window without the option that scales it
_DUPLICATES = 3             # acknowledgements that stand for a loss (RFC 5681, 3.2)
_LARGE_SEGMENT = 1095       # bytes; the initial window is smaller beyond (RFC 5681, 3.1)


class Congestion(data.Struct):
    """A session's congestion state. Windows are in bytes."""

    cwnd: 16
    ssthresh: 16
    credit: 16              # acknowledged since cwnd grew, in congestion avoidance
    duplicates: 2           # acknowledgements, up to 3
    recovering: 1           # in fast recovery
    recover: 32             # SND.NXT when the last loss was seen (RFC 6582, 3.2)


class CongestionEvent(enum.Enum, shape=2):
    """What has happened."""

    OPENED = 0
    ACKNOWLEDGED = 1        # something new
    DUPLICATE = 2           # acknowledgement (RFC 5681, 2)
    TIMEOUT = 3             # of the retransmission timer


class CongestionControl(wiring.Component):
    """RFC 5681 with the NewReno modification to fast recovery (RFC 6582), for one event.

    In congestion avoidance cwnd grows by a segment when as many bytes as it allows have been
    acknowledged (RFC 5681, 3.1). After a timeout as in fast recovery, each new acknowledgement
    below ``recover`` sends the next record again: what was in flight is taken for lost.

    Latency: ``o`` and ``o_resend`` belong to the inputs of 2 cycles before.

    Members
    -------
    i : In, Congestion
    i_event : In, CongestionEvent
    i_again : In, 1 bit
        OPENED: a SYN was lost. TIMEOUT: of a segment that was resent already.
    i_mss : In, 11 bits
    i_acked : In, 16 bits
        Bytes acknowledged for the first time.
    i_flight : In, 16 bits
        Bytes in flight before that.
    i_acknowledgement, i_next : In, 32 bits
        SEG.ACK and SND.NXT.
    o : Out, Congestion
    o_resend : Out, 1 bit
        The oldest segment is to be sent again.
    """

    i: In(Congestion)
    i_event: In(CongestionEvent)
    i_again: In(1)
    i_mss: In(11)
    i_acked: In(16)
    i_flight: In(16)
    i_acknowledgement: In(32)
    i_next: In(32)
    o: Out(Congestion)
    o_resend: Out(1)

    def elaborate(self, platform):
        m = Module()

        def bounded(value):
            return Mux(value > _LARGEST, _LARGEST, value)

        # 1: sums and comparisons
        before, event, again = Signal(Congestion), Signal(CongestionEvent), Signal()
        mss, following, acknowledged = Signal(11), Signal(32), Signal(32)
        slow, full, covered, beyond = Signal(), Signal(), Signal(), Signal()
        started, grown, half, initial = Signal(16), Signal(16), Signal(16), Signal(16)
        credit, spent, deflated = Signal(17), Signal(16), Signal(16)
        ahead = Signal(32)
        m.d.comb += ahead.eq(self.i_acknowledgement - self.i.recover)
        twice = self.i_mss << 1
        rest = Signal(16)
        whole = self.i_acked >= self.i_mss      # RFC 6582, 3.2, step 3: partial
        m.d.comb += rest.eq(Mux(self.i.cwnd > self.i_acked, self.i.cwnd - self.i_acked, 0))
        m.d.sync += [
            before.eq(self.i), event.eq(self.i_event), again.eq(self.i_again),
            mss.eq(self.i_mss), following.eq(self.i_next),
            acknowledged.eq(self.i_acknowledgement),
            slow.eq(self.i.cwnd < self.i.ssthresh),
            started.eq(bounded(self.i.cwnd + Mux(whole, self.i_mss, self.i_acked))),
            grown.eq(bounded(self.i.cwnd + self.i_mss)),
            credit.eq(self.i.credit + self.i_acked),
            full.eq(self.i.credit + self.i_acked >= self.i.cwnd),
            spent.eq(self.i.credit + self.i_acked - self.i.cwnd),
            half.eq(Mux(self.i_flight[1:] > twice, self.i_flight[1:], twice)),
            initial.eq(twice + Mux(self.i_mss > _LARGE_SEGMENT, self.i_mss, twice)),
            deflated.eq(Mux(whole | (rest < self.i_mss), rest + self.i_mss, rest)),
            covered.eq(~ahead[31]), beyond.eq(~ahead[31] & ahead.any()),
        ]

        # 2: what follows
        m.d.sync += [self.o.eq(before), self.o_resend.eq(0)]
        with m.Switch(event):
            with m.Case(CongestionEvent.OPENED):
                m.d.sync += [self.o.cwnd.eq(Mux(again, mss, initial)),
                             self.o.ssthresh.eq(_LARGEST)]
            with m.Case(CongestionEvent.ACKNOWLEDGED):
                m.d.sync += [self.o.duplicates.eq(0), self.o_resend.eq(~covered)]
                with m.If(beyond):      # it must not fall behind by half of the numbers
                    m.d.sync += self.o.recover.eq(acknowledged - 1)
                with m.If(before.recovering & covered):
                    m.d.sync += [self.o.recovering.eq(0), self.o.cwnd.eq(before.ssthresh)]
                with m.Elif(before.recovering):
                    m.d.sync += self.o.cwnd.eq(deflated)
                with m.Elif(slow):
                    m.d.sync += self.o.cwnd.eq(started)
                with m.Elif(full):
                    m.d.sync += [self.o.cwnd.eq(grown), self.o.credit.eq(spent)]
                with m.Else():
                    m.d.sync += self.o.credit.eq(credit)
            with m.Case(CongestionEvent.DUPLICATE):
                with m.If(before.recovering):
                    m.d.sync += self.o.cwnd.eq(grown)
                with m.Elif(before.duplicates != _DUPLICATES):
                    m.d.sync += self.o.duplicates.eq(before.duplicates + 1)
                    with m.If((before.duplicates == _DUPLICATES - 1) & beyond):
                        m.d.sync += [
                            self.o.ssthresh.eq(half), self.o.cwnd.eq(half + mss + (mss << 1)),
                            self.o.recovering.eq(1), self.o.recover.eq(following),
                            self.o_resend.eq(1),
                        ]
            with m.Case(CongestionEvent.TIMEOUT):
                m.d.sync += [
                    self.o.cwnd.eq(mss), self.o.credit.eq(0), self.o.recovering.eq(0),
                    self.o.recover.eq(following), self.o.duplicates.eq(0),
                ]
                with m.If(~again):      # RFC 5681, 3.1: held while it is the same segment
                    m.d.sync += self.o.ssthresh.eq(half)
        return m
