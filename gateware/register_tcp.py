"""The TCP page: connections that live in hardware, and what the host says through them."""

from tickwire.hdl.csr.register_table import Access, Command, Counter, Entry, Field, Register

from .vocabulary import TcpCall, TcpEvent, TcpRefusal, TcpState

__all__ = ["TCP", "TCP_COUNTERS"]


def _status(name: str, meaning: str, width: int = 32, unit: str = "") -> Register:
    return Register(name=name, access=Access.READ_ONLY, meaning=meaning, width=width, unit=unit)


_SETTINGS = (
    Register(name="TCP_SESSIONS", access=Access.CONSTANT, value="tcp_sessions",
             meaning="Connections that there can be at a time."),
    Register(name="TCP_LARGEST", access=Access.CONSTANT, value="tcp_largest", unit="bytes",
             meaning="Longest message."),
    Register(name="TCP_ENABLE", fields=(
        Field(name="CLAIM_ALL", width=1,
              meaning="All TCP to IPV4_ADDRESS is the hardware's: what belongs to no connection is "
                      "answered with a reset. Otherwise it goes to the host."),
        Field(name="DELAYED_ACK", width=1,
              meaning="A lone segment is acknowledged with the next tick only."),
    ), meaning="How the engine treats what comes."),
    Register(name="TCP_SECRET_LOW", width=64,
             meaning="Key of the initial sequence numbers (RFC 6528), first half."),
    Register(name="TCP_SECRET_HIGH", width=64, meaning="Second half."),
    Register(name="TCP_TICK_PERIOD", unit="cycles",
             meaning="Length of a tick of TCP's timers; 0 is a millisecond by CORE_HZ."),
    Register(name="TCP_KEEP_ALIVE", width=23, reset=7_200_000, unit="ticks",
             meaning="Idle time before the first probe (RFC 9293, 3.8.4)."),
    Register(name="TCP_USER_TIMEOUT", width=23, reset=100_000, unit="ticks",
             meaning="Time without an acknowledgement after which a connection is given up, R2."),
    Register(name="TCP_SYN_TIMEOUT", width=23, reset=180_000, unit="ticks",
             meaning="The same while it is opened."),
)

_CALLS = (
    Register(name="TCP_PEER_MAC", width=48,
             meaning="Of the next call: MAC address of the next hop, first byte highest."),
    Register(name="TCP_PEER_ADDRESS", meaning="Their IPv4 address, first byte highest."),
    Register(name="TCP_PORTS", fields=(
        Field(name="PEER", width=16, meaning="Their port."),
        Field(name="OWN", width=16, meaning="Our port."),
    ), meaning="Ports of the next call."),
    Command(name="TCP_CALL", width=32, fields=(
        Field(name="SESSION", width=6, meaning="Whose it is."),
        Field(name="KIND", width=2, meaning="What is asked for.",
              values=tuple(call.name for call in TcpCall)),
        Field(name="KEEP_ALIVE", width=1, meaning="OPEN, LISTEN: idle connections are probed."),
        Field(name="AGAIN", width=1, meaning="LISTEN: listen again when the connection is over."),
    ), meaning="A call of RFC 9293, 3.9.1. Only while TCP_BUSY is 0."),
    _status("TCP_BUSY", "1: the last call has not been taken yet.", width=1),
    Command(name="TCP_MESSAGE", fields=(
        Field(name="LENGTH", width=11, unit="bytes", meaning="1 to TCP_LARGEST."),
        Field(name="SESSION", width=6, meaning="Whose it is."),
    ), meaning="Sends what is in FRAME through a connection, in one segment: at once, or not at "
               "all. Only while STATUS.FRAME_BUSY is 0."),
    _status("TCP_MESSAGES", "Messages that were sent or refused, modulo 2^32.",
            unit="messages"),
    Register(name="TCP_MESSAGE_RESULT", access=Access.READ_ONLY, fields=(
        Field(name="REFUSED", width=1, meaning="It was not sent."),
        Field(name="REASON", width=2, meaning="Why not.",
              values=tuple(reason.name for reason in TcpRefusal)),
    ), meaning="What became of the last one."),
)

_ORDERS = (
    Register(name="TCP_ORDERS", fields=(
        Field(name="ENABLE", width=1,
              meaning="Orders leave through a connection of the engine's, which keeps them for "
                      "retransmission and takes the acknowledgements. Otherwise the host says by "
                      "SESSION and ACKNOWLEDGE what is known of a connection of its own."),
        Field(name="SESSION", width=6, meaning="Which one."),
    ), meaning="The connection of the orders. To be changed only while disarmed."),
)

_WATCH = (
    Register(name="TCP_SELECT", width=6, meaning="Session that is shown below."),
    Register(name="TCP_STATE", access=Access.READ_ONLY, fields=(
        Field(name="STATE", width=4, meaning="RFC 9293, 3.3.2.",
              values=tuple(state.name for state in TcpState)),
        Field(name="EVENT", width=4, meaning="What happened last.",
              values=tuple(event.name for event in TcpEvent)),
        Field(name="RETRANSMISSIONS", width=16, meaning="Since it was opened, at most 65,535."),
        Field(name="PENDING", width=1,
              meaning="Bytes that it has received are on their way to the frame ring."),
    ), meaning="How the connection is."),
    _status("TCP_SEND_NEXT", "[SND.NXT]."),
    _status("TCP_SEND_UNACKNOWLEDGED", "[SND.UNA]."),
    _status("TCP_SEND_WINDOW", "[SND.WND].", width=16, unit="bytes"),
    _status("TCP_USABLE_WINDOW", "The smaller one of that and the congestion window.", width=16,
            unit="bytes"),
    _status("TCP_RECEIVE_NEXT", "[RCV.NXT]."),
    _status("TCP_RECEIVE_WINDOW", "[RCV.WND].", width=16, unit="bytes"),
)

TCP: tuple[Entry, ...] = _SETTINGS + _CALLS + _ORDERS + _WATCH

TCP_COUNTERS = tuple(Counter(name=f"TCP_{name}", meaning=meaning, unit=unit)
                     for name, meaning, unit in (
    ("ACCEPTED", "Segments whose checksums and lengths were right, for a connection.", "segments"),
    ("HEADER", "Segments whose headers were not sound.", "segments"),
    ("CHECKSUM", "Segments with a wrong checksum.", "segments"),
    ("NO_ROOM", "Segments that were lost because too many waited.", "segments"),
    ("OPTIONS", "Segments with a malformed list of options, of which the rest was ignored.",
     "segments"),
    ("UNMATCHED", "Segments to IPV4_ADDRESS that belong to no connection.", "segments"),
    ("SENT", "Segments sent, orders apart.", "segments"),
    ("RESENT", "Of those: sent again.", "segments"),
    ("FAILED", "Segments that were broken off, and are sent again.", "segments"),
    ("LOST", "Records for retransmission that found no room.", "records"),
    ("LIMITED", "Resets and challenge acknowledgements that were one too many (RFC 5961, 7).",
     "segments"),
    ("UNTIMELY", "Segments of whose payload nothing was new, or that came before another one.",
     "segments"),
))
