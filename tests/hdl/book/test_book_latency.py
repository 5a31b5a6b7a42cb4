"""Cycles from a verdict to the authority's event, and events that overtake the index."""

import pytest
from book_bench import play
from book_game import SNAPSHOTS, Game, increment, snapshot
from book_golden import BID, CHANGED, TICKER, Message


@pytest.mark.parametrize("depth, rows", [(3, 1), (9, 3), (20, 5)])
@pytest.mark.parametrize("changes", [0, 1, 3])
def test_authority_takes_18_cycles_and_six_and_the_rows_for_each_change(depth, rows, changes):
    game = Game()
    game.frame(snapshot(0, 7, [(100 - n, 1) for n in range(depth)], []), channel=SNAPSHOTS)
    worst = 101 - depth
    game.frame(increment(0, 7, 8, *[(BID, CHANGED, worst, 50 + n) for n in range(changes)]))
    heard = play(game.script, levels=64, row_levels=4)
    _, verdict = sorted(game.script.verdicts)
    _, told = [cycle for cycle, *_ in heard.book]
    assert told - verdict == 18 + changes * (rows + 6)


def test_empty_message_that_ends_before_its_index_is_known_stops_the_preview():
    """While the authority is behind, the registers go on: not past a message they cannot judge."""
    game = Game()
    game.frame(snapshot(0, 7, [(100, 1), (90, 2)], [(110, 4)]), channel=SNAPSHOTS)
    game.frame(increment(0, 7, 8, *[(BID, CHANGED, 90, 5 + n) for n in range(8)]),
               increment(0, 50, 51), increment(0, 8, 9, (BID, CHANGED, 100, 9)), drain=0)
    heard = game.run()
    assert [event[2] for _, event in heard.o] == [True, True, False]


def test_a_ticker_may_be_traded_on_in_whatever_cycle_the_update_before_it_is_kept():
    game = Game()
    game.frame(snapshot(0, 7, [(100, 1), (90, 2)], [(110, 4)]), channel=SNAPSHOTS)
    for drain in range(48):
        game.frame(increment(0, 7 + drain, 8 + drain, (BID, CHANGED, 90, 5 + drain)), drain=drain)
        game.frame(Message(TICKER, 0))
    heard = game.run()
    assert list(heard.tradable.values())[1:] == [1] * 96
