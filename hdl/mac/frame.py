"""What the receiver says of a frame once it has seen its end."""

from amaranth.lib import data

__all__ = ["FrameEnd"]


class FrameEnd(data.Struct):
    """Verdict on one received frame (IEEE 802.3-2022, 3.4 and 4.2.4).

    ``good`` is the negation of all others. ``length`` counts the bytes from the destination
    address to the end of the FCS and saturates.
    """

    good: 1
    fcs_error: 1
    symbol_error: 1     # an error character between START and TERMINATE, or a broken preamble
    runt: 1             # shorter than 64 bytes
    oversize: 1         # longer than the configured maximum
    length: 14
