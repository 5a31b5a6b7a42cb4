"""Counters of the link and of the port as network management names them."""

from tickwire.hdl.csr.register_table import Counter

__all__ = ["LINK", "STATISTICS"]

LINK = tuple(Counter(name=name, meaning=meaning, unit=unit) for unit, name, meaning in (
    ("times", "LINK_LOCAL_FAULT", "Times that the own receiver lost its signal."),
    ("times", "LINK_REMOTE_FAULT", "Times that the other end said it had lost ours."),
    ("frames", "PAUSE_FRAMES", "PAUSE frames received, obeyed or not."),
    ("frames", "PAUSE_UNKNOWN", "Other MAC Control frames received, which are discarded."),
))

_ETHER = {
    "PKTS": "Frames received, bad ones too.",
    "BROADCAST_PKTS": "Good frames to the broadcast address.",
    "MULTICAST_PKTS": "Good frames to a group address, broadcast left out.",
    "CRC_ALIGN_ERRORS": "Frames of legal length with a wrong FCS or an error character.",
    "UNDERSIZE_PKTS": "Frames shorter than 64 bytes with a good FCS.",
    "OVERSIZE_PKTS": "Frames beyond the configured maximum with a good FCS.",
    "FRAGMENTS": "Frames shorter than 64 bytes with a wrong FCS or an error character.",
    "JABBERS": "Frames beyond the configured maximum with a wrong FCS or an error character.",
    "PKTS_64_OCTETS": "Frames of 64 bytes.",
    "PKTS_65_TO_127_OCTETS": "Frames of 65 to 127 bytes.",
    "PKTS_128_TO_255_OCTETS": "Frames of 128 to 255 bytes.",
    "PKTS_256_TO_511_OCTETS": "Frames of 256 to 511 bytes.",
    "PKTS_512_TO_1023_OCTETS": "Frames of 512 to 1,023 bytes.",
    "PKTS_1024_TO_1518_OCTETS": "Frames of 1,024 to 1,518 bytes.",
    "PKTS_1519_OCTETS_AND_MORE": "Frames of 1,519 bytes and more.",
}

_INTERFACE = {
    "IN_UCAST_PKTS": "Good frames received that are neither to a group nor MAC Control.",
    "IN_MULTICAST_PKTS": "Good frames received to a group, broadcast left out.",
    "IN_BROADCAST_PKTS": "Good frames received to the broadcast address.",
    "IN_DISCARDS": "Good frames received and dropped for lack of room.",
    "IN_ERRORS": "Bad frames received.",
    "OUT_UCAST_PKTS": "Frames given to the transmitter that are not to a group.",
    "OUT_MULTICAST_PKTS": "Frames given to the transmitter to a group, broadcast left out.",
    "OUT_BROADCAST_PKTS": "Frames given to the transmitter to the broadcast address.",
    "OUT_DISCARDS": "Frames to send that were dropped for lack of room.",
    "OUT_ERRORS": "Frames that did not leave whole.",
}

#: RFC 2819's ``etherStatsX`` are ETHER_STATS_X, RFC 2863's ``ifX`` are IF_X.
STATISTICS = (
    Counter(name="ETHER_STATS_OCTETS", unit="bytes", step=4,
            meaning="Bytes of frames received, of bad ones too, FCS included."),
    *(Counter(name=f"ETHER_STATS_{name}", meaning=meaning, unit="frames")
      for name, meaning in _ETHER.items()),
    *(Counter(name=f"IF_{way}_OCTETS", unit="bytes", step=14,
              meaning=f"Bytes of good frames {how}, FCS included.")
      for way, how in (("IN", "received"), ("OUT", "sent"))),
    # Two rooms can drop a received frame in the same cycle.
    *(Counter(name=f"IF_{name}", meaning=meaning, unit="frames",
              step=2 if name == "IN_DISCARDS" else 1)
      for name, meaning in _INTERFACE.items()),
)
