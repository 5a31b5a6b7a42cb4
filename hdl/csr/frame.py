"""The door through which received frames leave for the host."""

from amaranth.lib import data

__all__ = ["FrameWord"]


class FrameWord(data.Struct):
    """Eight bytes of a slot of the frame ring (``gateware/records.py``).

    A frame on a ``strobe(FrameWord)`` is the header's first word, marked ``first``, the frame's
    bytes, eight a word, and then the header's second word, marked ``last``, because only then all
    is known that stands in it. There may be pauses between words. A frame whose next word is
    ``first`` again was given up. The phase is left 0: whoever writes the ring in host memory knows
    its size, and sets it.
    """

    word: 64
    first: 1
    last: 1
