"""The door through which event records leave for the host."""

from amaranth.lib import data

__all__ = ["EventWord", "RECORD_WORDS"]

RECORD_WORDS = 8


class EventWord(data.Struct):
    """Eight bytes of an event record (``gateware/records.py``), the first ones first.

    A record is eight words on a ``strobe(EventWord)``; ``first`` marks its first word, and there
    may be pauses between words. The phase bit is left 0: whoever writes the ring in host memory
    knows its size, and sets it.
    """

    word: 64
    first: 1
