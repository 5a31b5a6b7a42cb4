"""A connection as the control room of the TCP engine keeps it, and what it says about it."""

from amaranth.lib import data, enum
from tickwire.hdl.tcp.congestion import Congestion
from tickwire.hdl.tcp.round_trip import RoundTripEstimate
from tickwire.hdl.tcp.segment import SESSION_BITS, Endpoint

__all__ = ["TIME_BITS", "Command", "CommandKind", "Consumed", "ControlBlock", "Event", "Hot",
           "Notice", "OrderView", "Refusal", "RefusalReason",
           "State", "Status", "TcpSettings", "Timer"]

TIME_BITS = 24              # of a time in ticks; 4 h 39 min of milliseconds


class State(enum.Enum, shape=4):
    """RFC 9293, 3.3.2."""

    CLOSED = 0
    LISTEN = 1
    SYN_SENT = 2
    SYN_RECEIVED = 3
    ESTABLISHED = 4
    FIN_WAIT_1 = 5
    FIN_WAIT_2 = 6
    CLOSE_WAIT = 7
    CLOSING = 8
    LAST_ACK = 9
    TIME_WAIT = 10


class Event(enum.Enum, shape=4):
    """What the host hears of a session."""

    NONE = 0
    ESTABLISHED = 1
    PEER_CLOSED = 2         # its FIN: it sends no more
    CLOSED = 3              # both sides have, or nothing was open
    RESET = 4               # by the peer
    REFUSED = 5             # the peer answered our SYN, or took back its own, with RST
    TIMED_OUT = 6           # R2, or keep-alive (RFC 9293, 3.8.3 and 3.8.4)
    ABORTED = 7             # by the host
    SLOW = 8                # R1: retransmissions go on
    BAD_COMMAND = 9         # the session's state does not allow the command
    BAD_ADDRESS = 10        # OPEN to a broadcast or multicast address


class CommandKind(enum.Enum, shape=2):
    """Calls of the user (RFC 9293, 3.9.1)."""

    OPEN = 0                # active
    LISTEN = 1              # passive OPEN for anybody on a port of ours
    CLOSE = 2               # FIN, after what was sent before
    ABORT = 3               # RST


class Command(data.Struct):
    """A call of the host's."""

    session: SESSION_BITS
    kind: CommandKind
    end: Endpoint           # OPEN: all of it; LISTEN: `local_port`
    keep_alive: 1           # OPEN and LISTEN: with keep-alive
    again: 1                # LISTEN: listen again when the connection is over


class Notice(data.Struct):
    """An event of a session."""

    session: SESSION_BITS
    event: Event


class RefusalReason(enum.Enum, shape=2):
    """Why a message was not sent."""

    NO_SESSION = 0          # neither ESTABLISHED nor CLOSE-WAIT
    TOO_LONG = 1            # for a segment to this peer (RFC 9293, 3.7.1)
    NO_WINDOW = 2           # the peer's, or the congestion window
    NO_ROOM = 3             # in the retransmission buffer


class Refusal(data.Struct):
    """A message that is not sent, and never will be."""

    session: SESSION_BITS
    reason: RefusalReason


class Consumed(data.Struct):
    """Bytes that the host has taken out of a session's receive buffer; before it opens another
    connection in the row, all of the last one."""

    session: SESSION_BITS
    length: 12


class OrderView(data.Struct):
    """What an order that begins now has to know of its session."""

    open: 1                 # ESTABLISHED
    sequence: 32            # [SND.NXT]
    unacknowledged: 32      # [SND.UNA]
    peer_window: 16         # from SND.UNA on: the smaller one of SND.WND and congestion window
    largest: 11             # bytes of a segment
    acknowledgement: 32     # [RCV.NXT]
    window: 16              # [RCV.WND]


class Status(data.Struct):
    """A session, for the host."""

    state: State
    event: Event            # last one
    retransmissions: 16     # since it was opened; stays at its largest value
    pending: 1              # bytes of it are on their way to the host
    sequence: 32            # [SND.NXT]
    unacknowledged: 32      # [SND.UNA]
    peer_window: 16         # [SND.WND]
    usable_window: 16       # min(SND.WND, congestion window)
    acknowledgement: 32     # [RCV.NXT]
    window: 16              # [RCV.WND]


class TcpSettings(data.Struct):
    """What the host sets for all sessions. Times are in ticks, below 2^23; 0: never."""

    address: 32             # ours, first byte highest
    secret: 128             # of the initial sequence numbers (RFC 9293, 3.4.1)
    keep_alive: TIME_BITS   # idle time before the first probe
    user_timeout: TIME_BITS     # R2 (RFC 9293, 3.8.3)
    syn_timeout: TIME_BITS      # R2 while opening
    delayed_ack: 1          # acknowledge a lone segment with the next tick only


class Hot(data.Struct):
    """Of each session in registers, apart from SND.NXT, which frames advance."""

    state: State
    unacknowledged: 32      # [SND.UNA]
    peer_window: 16         # [SND.WND]
    usable: 16              # min(SND.WND, congestion window)
    largest: 11             # bytes of a segment to this peer
    acknowledgement: 32     # [RCV.NXT]
    window: 16              # [RCV.WND]


class Timer(enum.Enum, shape=3):
    """What a session's timer is for."""

    OFF = 0
    RETRANSMIT = 1          # something in flight (RFC 6298)
    PERSIST = 2             # the window is too small (RFC 9293, 3.8.6.1)
    KEEP_ALIVE = 3          # nothing to do (RFC 9293, 3.8.4)
    WAIT = 4                # 2 MSL (RFC 9293, 3.6.1)


class ControlBlock(data.Struct):
    """The rest of the transmission control block: a row of a memory."""

    address: 32             # the other end, as in :class:`Endpoint`
    port: 16
    local_port: 16
    passive: 1              # opened by a LISTEN
    again: 1
    keep_alive: 1
    closing: 1              # CLOSE came in SYN-RECEIVED
    wl1: 32                 # [SND.WL1]
    wl2: 32                 # [SND.WL2]
    max_window: 16          # [MAX.SND.WND] (RFC 5961, 5.2)
    mss: 11                 # of segments to the peer
    buffered: 12            # bytes delivered and not yet consumed
    delayed: 1              # an acknowledgement waits for the tick
    event: Event
    retransmissions: 16
    timer: Timer
    deadline: TIME_BITS
    since: TIME_BITS        # start of R2: flight began, or something in it was acknowledged
    heard: TIME_BITS        # last segment that came
    backoff: 4              # doublings of the timeout
    probes: 4               # keep-alive probes without an answer
    timing: 1               # a round trip is being timed (RFC 6298, 3)
    timed: 32               # ends when this is acknowledged
    started: TIME_BITS
    estimate: RoundTripEstimate
    congestion: Congestion
