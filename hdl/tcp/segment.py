"""What the rooms of the TCP engine say to each other: segments in, segments out, connections."""

from amaranth.lib import data, enum

__all__ = ["SESSION_BITS", "LARGEST_SEGMENT", "Binding", "Control", "Endpoint", "Left", "Message",
           "Record", "Release", "Segment", "SegmentJob", "Sequence", "SessionView"]

SESSION_BITS = 6            # index of a session, 64 of them at most
LARGEST_SEGMENT = 1460      # bytes of payload: 1,500 less the headers of IPv4 and TCP


class Control(data.Struct):
    """Control bits (RFC 9293, 3.1) that the engine acts upon; URG is not used."""

    fin: 1
    syn: 1
    rst: 1
    psh: 1
    ack: 1


class Endpoint(data.Struct):
    """The other end of a connection, and our port. Addresses are numbers, first byte highest."""

    mac: 48                 # of the next hop
    address: 32
    port: 16                # theirs
    local_port: 16


class Binding(data.Struct):
    """Which segments belong to a session: one row of the receiver's match table."""

    valid: 1
    listening: 1            # any address and port of theirs: a passive open
    address: 32
    port: 16
    local_port: 16


class Segment(data.Struct):
    """A segment whose FCS, lengths and checksums were right, to our address."""

    session: SESSION_BITS   # of the row that matches; one of a connection goes before a listening
    matched: 1              # there is such a row; if not, the segment has no payload in the queue
    control: Control
    sequence: 32            # [SEG.SEQ]
    acknowledgement: 32     # [SEG.ACK]
    window: 16              # [SEG.WND]
    mss: 16                 # option 2 (RFC 9293, 3.7.1); 536 if there is none
    length: 11              # bytes of payload: [SEG.LEN] without SYN and FIN
    end: Endpoint           # who sent it: `mac` is the frame's source


class Sequence(enum.Enum, shape=1):
    """Where a segment's sequence number comes from."""

    GIVEN = 0               # the job's
    NEXT = 1                # SND.NXT of the session, in the cycle in which the frame begins


class SegmentJob(data.Struct):
    """A segment to be sent. What it acknowledges, and the window, are those of the cycle in
    which its frame begins, unless it resets a connection that no session has."""

    session: SESSION_BITS
    control: Control
    origin: Sequence
    sequence: 32
    stray: 1                # `acknowledgement` is given too, the window is 0
    acknowledgement: 32
    end: Endpoint
    mss: 1                  # with the option, as a SYN has it
    payload: 1              # the message in front of the message queue
    resend: 1               # the session's oldest record in the retransmission buffer


class SessionView(data.Struct):
    """What a segment that begins now has to know of its session."""

    sequence: 32            # [SND.NXT]
    acknowledgement: 32     # [RCV.NXT]
    window: 16              # [RCV.WND]


class Left(data.Struct):
    """A frame of a session has left whole."""

    session: SESSION_BITS
    sequence: 32            # of its first byte
    length: 11              # in sequence space: bytes of payload, SYN and FIN


class Message(data.Struct):
    """The message that waits in front."""

    session: SESSION_BITS
    length: 11              # bytes


class Record(data.Struct):
    """Payload that was sent and may have to be sent again."""

    sequence: 32            # of its first byte
    length: 11              # bytes
    sum: 16                 # one's-complement sum of its words as they stand in the beats


class Release(data.Struct):
    """Records that need not be kept any more."""

    session: SESSION_BITS
    acknowledgement: 32     # those that end at or before it
    all: 1                  # every one of the session
