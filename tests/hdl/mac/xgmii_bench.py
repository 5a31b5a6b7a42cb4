"""Frames to XGMII characters and back, in plain Python: what the MAC's tests compare with.

A character is a tuple (value, control).
"""

import random
import zlib

IDLE, START, TERMINATE, ERROR, SEQUENCE = 0x07, 0xfb, 0xfd, 0xfe, 0x9c
PREAMBLE = [(START, 1), *[(0x55, 0)] * 6, (0xd5, 0)]


def with_fcs(octets):
    octets = bytes(octets)
    return octets + zlib.crc32(octets).to_bytes(4, "little")


def some_frame(rng, length):
    """``length`` random bytes, the last four being a good FCS; the type is never a VLAN tag's."""
    octets = bytearray(rng.randbytes(length - 4))
    octets[12:14] = b"\x08\x00"[:len(octets[12:14])]
    return with_fcs(octets)


class Wire:
    """Characters in order; ``start`` and ``end`` of each frame are positions."""

    def __init__(self):
        self.characters = []
        self.frames = []        # (start position, end position, octets)

    def idle(self, count):
        self.characters += [(IDLE, 1)] * count
        return self

    def align(self, lane):
        """Idle up to the given lane."""
        return self.idle((lane - len(self.characters)) % 8)

    def raw(self, characters):
        self.characters += characters
        return self

    def frame(self, octets):
        """START in the current lane, octets with FCS, TERMINATE (first character of the gap)."""
        assert len(self.characters) % 4 == 0, "START belongs into lane 0 or 4"
        start = len(self.characters)
        self.characters += PREAMBLE + [(octet, 0) for octet in octets]
        self.frames.append((start, len(self.characters), bytes(octets)))
        self.characters.append((TERMINATE, 1))
        return self

    def words(self):
        """(data, control) of each word, the last one filled up with idle."""
        self.align(0)
        return [pack(self.characters[at:at + 8]) for at in range(0, len(self.characters), 8)]


def pack(characters):
    return (sum(value << 8 * lane for lane, (value, _) in enumerate(characters)),
            sum(control << lane for lane, (_, control) in enumerate(characters)))


def unpack(data, control):
    return [(data >> 8 * lane & 0xff, control >> lane & 1) for lane in range(8)]


class Sent:
    """A frame found on the wire: positions of START and TERMINATE, and what was between."""

    def __init__(self, start):
        self.start = start
        self.end = None
        self.characters = []

    @property
    def errors(self):
        return sum(control for _, control in self.characters)

    @property
    def octets(self):
        assert not self.errors, "error characters in a frame that should be whole"
        assert self.characters[:7] == PREAMBLE[1:]
        return bytes(value for value, _ in self.characters[7:])

    @property
    def good(self):
        return not self.errors and with_fcs(self.octets[:-4]) == self.octets


def find_frames(words):
    """All frames in a list of words; anything illegal between them fails."""
    frames, current = [], None
    for number, word in enumerate(words):
        for lane, (value, control) in enumerate(unpack(*word)):
            position = 8 * number + lane
            if current is None:
                if (value, control) == (START, 1):
                    assert lane in (0, 4), f"START in lane {lane}"
                    current = Sent(position)
                else:
                    assert (value, control) == (IDLE, 1), f"{value:02x}/{control} between frames"
            elif (value, control) == (TERMINATE, 1):
                current.end = position
                frames.append(current)
                current = None
            else:
                assert not control or value == ERROR, f"{value:02x}/{control} in a frame"
                current.characters.append((value, control))
    assert current is None, "the last frame has no TERMINATE"
    return frames


def gaps(frames):
    return [after.start - before.end for before, after in zip(frames, frames[1:], strict=False)]


def seeded(seed):
    return random.Random(seed)
