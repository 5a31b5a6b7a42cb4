"""PriceLevelBook against a plain book, on directed and on random traffic."""

import pytest
from book_bench import Script, check, play
from book_game import CHANNELS, SMALL, SNAPSHOTS, Game, increment, snapshot
from book_golden import ASK, BID, BOOK, CHANGED, CREATED, DELETED, SNAPSHOT, TICKER, Frame, Message


def test_snapshot_then_increment_one_cycle_after_last_level():
    game = Game()
    game.frame(snapshot(0, 7, *SMALL), channel=SNAPSHOTS)
    game.frame(increment(0, 7, 8, (BID, CREATED, 105, 9), (ASK, DELETED, 110, 0)))
    heard = game.run()
    assert [event for _, event in heard.o] == [event[:6] for event in game.expected]
    assert heard.o[1][1][1] == ((105, 9), (120, 5))
    assert heard.o[1][0] == game.script.last_events[1] + 1
    assert heard.counts["late"] == 0
