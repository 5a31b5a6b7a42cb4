"""What the IP receiver says of a UDP datagram once its frame has ended."""

from amaranth.lib import data

__all__ = ["DatagramEnd"]


class DatagramEnd(data.Struct):
    """Verdict on one UDP datagram.

    ``good``: the frame's FCS, the IPv4 header, the UDP length and the UDP checksum are right and
    the destination MAC address belongs to the destination group.
    """

    good: 1
    match: 1        # destination address and port are subscribed
    channel: 6      # dense index of the subscription; undefined unless `match`
    stamp: 16       # cycle in which the TERMINATE character stood on the XGMII input
