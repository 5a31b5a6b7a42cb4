"""The 64-bit XGMII word: eight characters, and the characters that the MAC knows."""

from amaranth.hdl import Const
from amaranth.lib import data, enum

__all__ = ["Character", "XgmiiWord", "LANES", "PREAMBLE", "SFD", "IDLE_WORD", "LOCAL_FAULT",
           "REMOTE_FAULT", "column", "word_const"]

LANES = 8           # characters in a word
PREAMBLE = 0x55     # preamble octet (IEEE 802.3-2022, 3.2.1)
SFD = 0xd5          # start frame delimiter (3.2.2)


class Character(enum.IntEnum):
    """XGMII control characters (IEEE 802.3-2022, Table 46-3); control bit 1."""

    IDLE = 0x07
    SEQUENCE = 0x9c     # lane 0 or 4 only: begins an ordered set
    START = 0xfb        # lane 0 or 4 only: stands for the first preamble octet
    TERMINATE = 0xfd
    ERROR = 0xfe


class XgmiiWord(data.Struct):
    """Two columns of XGMII in one word, 156.25 MHz (IEEE 802.3-2022, clause 46).

    Lane n is ``data[8n:8n+8]`` with ``control[n]``; lane 0 was on the wire first. ``control`` is
    1 for a control character and 0 for an octet of a frame.

    A stream of words is ``strobe(XgmiiWord)``: ``valid`` may have gaps, for transceivers whose
    words come at another rate than the clock's.
    """

    data: 64
    control: 8


def word_const(characters):
    """A constant :class:`XgmiiWord`.

    Parameters
    ----------
    characters : sequence of 8
        Lane 0 first; a :class:`Character` is a control character, a plain int an octet.
    """
    characters = list(characters)
    if len(characters) != LANES:
        raise ValueError(f"An XGMII word has {LANES} characters, not {len(characters)}")
    return XgmiiWord.const({
        "data": sum(int(value) << 8 * lane for lane, value in enumerate(characters)),
        "control": sum(isinstance(value, Character) << lane
                       for lane, value in enumerate(characters)),
    })


IDLE_WORD = word_const([Character.IDLE] * LANES)

# Ordered sets of link fault signalling, a column each (IEEE 802.3-2022, Table 46-5)
LOCAL_FAULT = (Character.SEQUENCE, 0x00, 0x00, 0x01)
REMOTE_FAULT = (Character.SEQUENCE, 0x00, 0x00, 0x02)


def column(characters):
    """Four characters as (data, control) constants of 32 and 4 bits, lane 0 first."""
    return (Const(sum(int(value) << 8 * lane for lane, value in enumerate(characters)), 32),
            Const(sum(isinstance(value, Character) << lane
                      for lane, value in enumerate(characters)), 4))
