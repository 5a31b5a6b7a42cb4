"""The counters page: everything that the gateware counts, in the order in which a frame goes."""

import re

from tickwire.hdl.book.counts import AUTHORITY_COUNTS, WRITER_COUNTS
from tickwire.hdl.csr.register_table import Counter
from tickwire.hdl.wire.deribit import DERIBIT

from .register_network import NETWORK_COUNTERS
from .register_statistics import LINK, STATISTICS
from .register_tcp import TCP_COUNTERS
from .vocabulary import Reason

__all__ = ["COUNTERS"]


def upper_snake(name: str) -> str:
    """``snapshotStart`` is SNAPSHOT_START."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).upper()


def _counters(unit: str, *pairs: tuple[str, str]) -> tuple[Counter, ...]:
    return tuple(Counter(name=name, meaning=meaning, unit=unit) for name, meaning in pairs)


_RECEIVE = _counters(
    "frames",
    ("RX_GOOD", "Frames received with a good FCS and a legal length."),
    ("RX_SYMBOL", "Frames with an error character or a broken preamble."),
    ("RX_RUNT", "Frames shorter than 64 bytes."),
    ("RX_OVERSIZE", "Frames longer than the configured maximum."),
    ("RX_FCS", "Frames with a wrong FCS and no other fault."),
    ("RX_PREAMBLE", "START characters that no frame followed."),
)

_CROSSING = _counters(
    "words",
    ("CROSSING_OVERFLOW", "XGMII words lost in the elastic crossing."),
)

_IP = _counters(
    "frames",
    ("IP_NOT_IP", "Good frames with another EtherType than IPv4."),
    ("IP_BAD_IP_HEADER", "IPv4 headers with a wrong version or length."),
    ("IP_IP_CHECKSUM", "IPv4 headers with a wrong checksum."),
    ("IP_FRAGMENT", "IPv4 fragments, which are dropped."),
    ("IP_NOT_UDP", "IPv4 packets with another protocol than UDP."),
    ("IP_DESTINATION", "Datagrams to another MAC address than that of their group."),
    ("IP_UDP_LENGTH", "UDP lengths that disagree with the IPv4 length."),
    ("IP_UDP_CHECKSUM", "UDP datagrams with a wrong checksum."),
    ("IP_NO_SUBSCRIPTION", "UDP datagrams for a group and port without a subscription."),
    ("IP_ACCEPTED", "Datagrams for a subscription."),
)

_FEED = _counters(
    "datagrams",
    ("FEED_GOOD", "Datagrams of subscribed channels that were taken."),
    ("FEED_MALFORMED", "Datagrams whose lengths, counts or values do not fit."),
    ("FEED_DUPLICATE", "Datagrams whose sequence number had been seen; they change nothing."),
    ("FEED_GAP", "Datagrams before which others of their channel are missing."),
) + _counters(
    "messages",
    *((f"MESSAGES_{upper_snake(message.name)}", f"Messages {message.name} in good datagrams.")
      for message in DERIBIT.messages),
    ("MESSAGES_OTHER", "Messages with another template id in good datagrams."),
)

_BOOK = _counters(
    "times",
    *((f"BOOK_{name.upper()}", f"Book: {meaning}.")
      for name, meaning in (AUTHORITY_COUNTS | WRITER_COUNTS).items()),
)

_STRATEGY = _counters(
    "orders",
    ("STRATEGY_INTENT", "Orders that the strategy wanted."),
    ("STRATEGY_NO_ROOM", "Orders that the strategy did not make because too many others waited."),
    ("STRATEGY_MISMATCH", "Events on which nothing was decided, because no row had been fetched."),
)

_ARMING = _counters(
    "times",
    ("ARMING_ARMED", "Times that the gateway was armed."),
    ("ARMING_REFUSED", "Times that a nonce was wrong, late or not allowed."),
    ("ARMING_KILLED", "Times that the kill switch went on."),
    ("ARMING_HOST_TIMEOUT", "Times that the host was lost."),
)

_ORDERS = _counters("orders", ("ORDERS_SENT", "Orders whose frame left whole.")) + _counters(
    "orders",
    *((f"REFUSED_{reason.name}", f"Orders refused or broken off with the reason {reason.name}.")
      for reason in Reason if reason is not Reason.PASSED),
)

_TRANSMIT = _counters(
    "frames",
    ("TX_FRAMES", "Frames that left whole."),
    ("TX_ABORTED", "Frames broken off on purpose: they ended with an error character."),
    ("TX_UNDERRUN", "Frames broken off because a beat came too late."),
    ("TX_FAULT", "Frames broken off or thrown away because the link was at fault."),
)

_HOST = _counters(
    "frames", ("HOST_FRAME_REFUSED", "Frames of the host's that were too long, too short or came "
                                     "while the queue was full.")) + _counters(
    "records", ("EVENT_LOST", "Event records lost because a queue was full.")) + _counters(
    "orders", ("HOST_ORDER_LOST", "Posts that came before the result of the last one.")) \
    + _counters("accesses", ("BUS_UNMAPPED", "Accesses to a place where nothing answers to them."))

COUNTERS: tuple[Counter, ...] = (_RECEIVE + _CROSSING + _IP + NETWORK_COUNTERS + TCP_COUNTERS
                                 + _FEED + _BOOK + _STRATEGY + _ARMING + _ORDERS + _TRANSMIT
                                 + _HOST + LINK + STATISTICS)
