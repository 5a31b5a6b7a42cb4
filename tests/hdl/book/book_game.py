"""A script and the golden books, side by side; and short ways to write messages."""

import random

from book_bench import Script, check, play
from book_golden import ASK, BID, BOOK, CREATED, SNAPSHOT, Books, Frame, Message

CHANNELS = {0: 1, 1: 1, 2: 2, 3: 2}     # incremental channel of each instrument
SNAPSHOTS = 5                           # their snapshots' channel
SMALL = ([(100, 1), (90, 2), (80, 3)], [(110, 4), (120, 5), (130, 6)])


def snapshot(instrument, change_id, bids, asks, **fields):
    levels = [(BID, CREATED, price, amount) for price, amount in bids]
    levels += [(ASK, CREATED, price, amount) for price, amount in asks]
    return Message(SNAPSHOT, instrument, levels, change_id=change_id,
                   timestamp=1000 + change_id, **fields)


def increment(instrument, previous, change_id, *levels, **fields):
    return Message(BOOK, instrument, list(levels), previous, change_id,
                   timestamp=5000 + change_id, **fields)


class Game:
    """What is played goes into a script and into the golden books."""

    def __init__(self, *, levels=8, cut_through=False, slack=0, seed=0):
        self.script = Script(CHANNELS, random.Random(seed), slack)
        self.golden = Books(CHANNELS, levels, cut_through=cut_through)
        self.cut_through, self.levels = cut_through, levels
        self.expected = []

    def play(self, frame, drain=150, **timing):
        self.script.frame(frame, **timing)
        self.expected += self.golden.play(frame)
        self.script.wait(drain)

    def frame(self, *messages, channel=1, good=True, gap=False, **timing):
        self.play(Frame(channel, list(messages), good, gap), **timing)

    def run(self, **sizes):
        heard = play(self.script, cut_through=self.cut_through, levels=self.levels, **sizes)
        check(self.script, heard, self.expected, self.golden)
        return heard
