"""The one packet type that every room of the data path speaks."""

from amaranth.lib import data, stream

__all__ = ["Packet", "packet_stream", "strobe"]


class Packet(data.StructLayout):
    """One beat of a frame or of a part of a frame.

    A beat carries ``lanes`` bytes in the order of the wire: byte lane 0 (the least significant
    bits of ``data``) came first. A packet need not begin in lane 0: the receiver does not move
    bytes, because moving them would cost the bytes in the upper lanes a cycle.

    Parameters
    ----------
    lanes : int
        Bytes in a beat.

    Members
    -------
    data : 8 × lanes bits
        The bytes. Lanes outside ``begin`` … ``end`` are undefined.
    begin : unsigned
        First lane that belongs to the packet; 0 unless ``first``.
    end : unsigned
        One past the last lane that belongs to the packet; ``lanes`` unless ``last``.
    first, last : 1 bit
        The beat is the packet's first or last one.
    """

    def __init__(self, lanes):
        if lanes < 1 or lanes & (lanes - 1):
            raise ValueError(f"Packet lanes must be a power of two, not {lanes!r}")
        self.lanes = lanes
        super().__init__({
            "data": 8 * lanes,
            "begin": range(lanes),
            "end": range(lanes + 1),
            "first": 1,
            "last": 1,
        })


def packet_stream(lanes, *, always_ready=False):
    """A stream of :class:`Packet`. Receive paths are ``always_ready``: they cannot be stalled."""
    return stream.Signature(Packet(lanes), always_ready=always_ready)


def strobe(shape):
    """A value that is there for one cycle, when ``valid``; nobody can refuse it."""
    return stream.Signature(shape, always_ready=True)
