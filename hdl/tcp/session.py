"""What the transmit side of one TCP connection, and of the venue's session in it, has to know."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from tickwire.hdl.stream.packet import strobe
from tickwire.hdl.tcp.connection import OrderView
from tickwire.hdl.tcp.segment import Left

__all__ = ["SessionState", "Acknowledgement", "Commit", "TransmitSession"]


class SessionState(data.Struct):
    """One session. Names in brackets are those of RFC 9293, 3.3.1."""

    open: 1                 # the venue has accepted the logon: orders may be sent
    sequence: 32            # of the next byte to send [SND.NXT]
    unacknowledged: 32      # oldest byte that the venue has not acknowledged [SND.UNA]
    peer_window: 32         # bytes that it takes beyond that one, scaled [SND.WND]
    acknowledgement: 32     # next byte expected from the venue [RCV.NXT]
    window: 16              # our window as it stands in the header, already scaled
    venue_sequence: 64      # sequence number of the next message to the venue
    last_processed: 64      # of the venue's last message that was processed
    client_id: 64           # for the next new order


class Acknowledgement(data.Struct):
    """What arrives from the venue changes these members of :class:`SessionState` at once."""

    unacknowledged: 32
    peer_window: 32
    acknowledgement: 32
    last_processed: 64


class Commit(data.Struct):
    """A segment has left whole."""

    sequence: 32            # of its first byte
    length: 11              # bytes of payload
    new: 1                  # it carried a new order, and with it a client id


class TransmitSession(wiring.Component):
    """Keeps one session: the host loads it, segments that have left advance it.

    TCP sequence, venue sequence and client id advance together, in one cycle. A commit counts
    only if its segment began at this session's next byte: if the host loads another session while
    a segment is leaving, that segment belonged to the old one. ``i_load`` goes before a commit
    in the same cycle, which belongs to the old session for the same reason.

    ``i_acknowledge`` is the door of the receive part: whatever reads the venue's segments (at
    present the host, later the TCP engine) hands over, in one strobe per segment, the segment's
    acknowledgement number and scaled window if they are acceptable (RFC 9293, 3.10.7.4), and how
    far its own data was received and processed. It does not touch what commits advance, so
    the two need no arbiter and may come in the same cycle.

    With ``i_follow`` the connection is the TCP engine's: everything of TCP follows ``i_tcp``, a
    cycle later, while SND.NXT is counted here too, so that it is right in the cycle after each
    commit; ``i_left`` says what else the engine has sent in this session. A load then only counts
    for what is the venue's.

    Latency: ``o`` shows a load, a commit or an acknowledgement 1 cycle after its strobe;
    ``o_window_ok`` follows a commit after 2 cycles, a load or an acknowledgement after 3; in the
    two cycles before it shows a loaded session's window, it is 0.

    Parameters
    ----------
    largest : int
        Payload bytes of the largest segment that may be sent.

    Members
    -------
    i_load : strobe of :class:`SessionState`
    i_acknowledge : strobe of :class:`Acknowledgement`
    i_commit : strobe of :class:`Commit`
    i_follow : 1 bit
    i_tcp : OrderView
    i_room : 1 bit
        The engine can keep an order for retransmission. 2 cycles after a commit it must know of it.
    i_left : strobe(Left)
        Of this session only; what was sent again changes nothing.
    o : :class:`SessionState`
        Closed and all zeros after reset.
    o_window_ok : 1 bit
        The venue's window has room for the largest segment: unacknowledged + peer_window -
        sequence >= largest. Sequence numbers are compared modulo 2**32 (RFC 9293, 3.4), which
        holds for the windows that TCP allows, below 2**30 (RFC 7323, 2.3).

    Raises
    ------
    ValueError
        If ``largest`` is not from 1 to 1460.
    """

    def __init__(self, largest):
        if not 1 <= largest <= 1460:
            raise ValueError("TransmitSession largest must be from 1 to 1460 bytes, which a "
                             f"frame holds, not {largest!r}")
        self.largest = largest
        super().__init__({
            "i_load": In(strobe(SessionState)),
            "i_acknowledge": In(strobe(Acknowledgement)),
            "i_commit": In(strobe(Commit)),
            "i_follow": In(1),
            "i_tcp": In(OrderView),
            "i_room": In(1),
            "i_left": In(strobe(Left)),
            "o": Out(SessionState),
            "o_window_ok": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        state = Signal(SessionState)
        open_ = Signal()            # the engine's connection is
        m.d.comb += [
            self.o.eq(state),
            self.o.open.eq(state.open & (open_ | ~self.i_follow)),
        ]

        commit = self.i_commit.payload
        with m.If(self.i_commit.valid & (commit.sequence == state.sequence)):
            m.d.sync += [
                state.sequence.eq(state.sequence + commit.length),
                state.venue_sequence.eq(state.venue_sequence + 1),
                state.client_id.eq(state.client_id + commit.new),
            ]
        with m.If(self.i_acknowledge.valid):
            for member, _ in data.Layout.cast(Acknowledgement):
                m.d.sync += state[member].eq(self.i_acknowledge.payload[member])
        with m.If(self.i_load.valid):
            m.d.sync += state.eq(self.i_load.payload)
        with m.If(self.i_follow):
            tcp = self.i_tcp
            m.d.sync += open_.eq(tcp.open)
            m.d.sync += [state[name].eq(tcp[name]) for name in (
                "unacknowledged", "peer_window", "acknowledgement", "window")]
            left = self.i_left.payload
            with m.If(~open_):
                m.d.sync += state.sequence.eq(tcp.sequence)
            with m.Elif(self.i_left.valid & (left.sequence == state.sequence)):
                m.d.sync += state.sequence.eq(state.sequence + left.length)
            with m.Elif(self.i_load.valid):
                m.d.sync += state.sequence.eq(state.sequence)

        # last sequence number at which the largest segment may begin
        last_start = Signal(32, init=(1 << 32) - self.largest)
        room = Signal(32)
        loaded = Signal()       # `last_start` still belongs to the session before
        window_ok = Signal()
        m.d.comb += [
            room.eq(last_start - state.sequence),
            self.o_window_ok.eq(window_ok & (self.i_room | ~self.i_follow)),
        ]
        m.d.sync += [
            last_start.eq(state.unacknowledged + state.peer_window - self.largest),
            window_ok.eq(~room[31] & ~self.i_load.valid & ~loaded),
            loaded.eq(self.i_load.valid),
        ]
        return m
