# amaranth: UnusedElaboratable=no
"""PriceLevelBook on directed traffic: levels, horizon, chain, losses, snapshots."""

from itertools import pairwise

import pytest
from book_bench import host_level, image_level, play, read_all
from book_game import SMALL, SNAPSHOTS, Game, increment, snapshot
from book_golden import ASK, BID, CHANGED, CREATED, DELETED, TICKER, Frame, Message
from tickwire.hdl.book import preview


def ticker(instrument):
    return Message(TICKER, instrument)


def started(**options):
    """A game in which all four books are built, with change id 7."""
    game = Game(**options)
    for instrument in range(4):
        game.frame(snapshot(instrument, 7, *SMALL), channel=SNAPSHOTS)
    game.started = len(game.expected)
    return game


def late_or_early(game, heard):
    """For each event after the start, its distance from the message's last event, or None."""
    last = dict(zip([event[4] for event in game.expected], range(10**6), strict=False))
    ends = game.script.last_events
    return [cycle - ends[last[event[4]]] for cycle, event in heard.o][game.started:]


def test_snapshot_then_increment_one_cycle_after_last_level():
    game = Game()
    game.frame(snapshot(0, 7, *SMALL), channel=SNAPSHOTS)
    game.frame(increment(0, 7, 8, (BID, CREATED, 105, 9), (ASK, DELETED, 110, 0)))
    heard = game.run()
    assert [event for _, event in heard.o] == [event[:5] for event in game.expected]
    assert heard.o[1][1][1] == ((105, 9), (120, 5))
    assert heard.o[1][0] == game.script.last_events[1] + 1
    assert heard.counts["late"] == 0


@pytest.mark.parametrize("slack", [0, 1, 4])
def test_latency_is_one_cycle_at_any_distance_between_events(slack):
    game = started(slack=slack)
    for number in range(20):
        game.frame(increment(number % 4, 7 + number // 4, 8 + number // 4,
                             (BID, CREATED, 200 + number, 1),
                             (ASK, CREATED if number < 4 else CHANGED, 105, 2 + number)),
                   drain=30 + number)
    heard = game.run()
    assert set(late_or_early(game, heard)) == {1}
    assert heard.counts["late"] == 0


@pytest.mark.parametrize("row_levels", [2, 4])
def test_levels_inserted_changed_and_deleted_at_every_depth(row_levels):
    game = Game()
    game.frame(snapshot(2, 1, [], []), channel=SNAPSHOTS)
    change_id = 1
    for place in range(8):
        for depth in range(place + 1):
            # `place` levels are there, at the odd numbers; one comes and goes between them.
            for change in ((CREATED, 2 * depth, 50), (CHANGED, 2 * depth, 60),
                           (DELETED, 2 * depth, 0)):
                number, kind, amount = change[1], change[0], change[2]
                levels = [(BID, kind, 100 - number, amount), (ASK, kind, 200 + number, amount)]
                game.frame(increment(2, change_id, change_id + 1, *levels), channel=2)
                change_id += 1
        level = [(BID, CREATED, 99 - 2 * place, 70 + place),
                 (ASK, CREATED, 201 + 2 * place, 70 + place)]
        game.frame(increment(2, change_id, change_id + 1, *level), channel=2)
        change_id += 1
    wanted = read_all(game.script, [2], 8)
    heard = game.run(row_levels=row_levels)
    image = game.golden.books[2].image()
    assert [host_level(answer) for _, answer in heard.host] == [
        image_level(image, side, level) for _, side, level in wanted]
    assert image[4][BID][0] == (99, 70) and len(image[4][ASK]) == 8
    assert heard.counts["level_changes"] == 2 * change_id - 2


def test_full_side_keeps_its_best_and_is_stale_when_the_horizon_reaches_the_touch():
    game = started()
    create = [(BID, CREATED, 70 - n, 9) for n in range(5)]
    game.frame(increment(0, 7, 8, *create))                             # 8 levels: 100 … 66
    game.frame(increment(0, 8, 9, (BID, CREATED, 95, 9)))               # 66 falls off
    game.frame(increment(0, 9, 10, (BID, DELETED, 66, 0), (BID, CREATED, 50, 9)))   # ignored
    game.frame(increment(0, 10, 11, (BID, CREATED, 66, 9)))             # ignored as well
    for number, price in enumerate((100, 95, 90, 80, 70, 69, 68)):
        game.frame(increment(0, 11 + number, 12 + number, (BID, DELETED, price, 0)))
    game.frame(increment(0, 18, 19, (ASK, CHANGED, 110, 77)))
    game.frame(increment(0, 19, 20, (BID, DELETED, 67, 0)))             # nothing is left
    game.frame(increment(0, 20, 21, (BID, CREATED, 99, 9)))             # stale: no event
    game.frame(snapshot(0, 30, [(98, 1)], [(110, 77)]), channel=SNAPSHOTS)
    heard = game.run()
    assert heard.counts["beyond_horizon"] == 4
    assert heard.counts["exhausted"] == 1
    assert heard.o[-2][1][:3] == (0, (None, None), False)
    assert heard.o[-1][1][:3] == (0, ((98, 1), (110, 77)), True)


def test_full_side_loses_a_level_that_is_worse_than_all():
    game = started()
    game.frame(increment(0, 7, 8, *[(ASK, CREATED, 140 + n, 9) for n in range(5)]))
    game.frame(increment(0, 8, 9, (ASK, CREATED, 150, 1)))
    game.frame(increment(0, 9, 10, (ASK, CREATED, 145, 1), (ASK, DELETED, 144, 0)))
    wanted = read_all(game.script, [0], 8)
    heard = game.run()
    image = game.golden.books[0].image()
    assert [host_level(answer) for _, answer in heard.host] == [
        image_level(image, side, level) for _, side, level in wanted]
    assert image[5] == (False, True)


def test_snapshot_deeper_than_a_side():
    bids = [(100 - n, n + 1) for n in range(11)]
    game = Game()
    game.frame(snapshot(1, 5, bids, bids[::-1]), channel=SNAPSHOTS)
    game.frame(increment(1, 5, 6, (BID, DELETED, 91, 0), (BID, DELETED, 100, 0)))
    wanted = read_all(game.script, [1], 8)
    heard = game.run()
    image = game.golden.books[1].image()
    assert [host_level(answer) for _, answer in heard.host] == [
        image_level(image, side, level) for _, side, level in wanted]
    assert heard.max_depth == 8


def test_chain_break_withdraws_once_and_a_snapshot_mends():
    game = started()
    game.frame(increment(0, 7, 9, (BID, CREATED, 101, 1)))
    game.frame(increment(0, 8, 9, (BID, CREATED, 102, 1)), ticker(0))   # contained
    game.frame(increment(0, 10, 11, (BID, CREATED, 103, 1)))            # 10 is missing
    game.frame(increment(0, 11, 12, (BID, CREATED, 104, 1)), ticker(0))
    game.frame(snapshot(0, 12, *SMALL), channel=SNAPSHOTS)
    game.frame(increment(0, 12, 13, (BID, CREATED, 105, 1)))
    heard = game.run()
    assert [event[2] for _, event in heard.o[4:]] == [True, False, True, True]
    assert heard.counts["chain_breaks"] == heard.counts["contained"] == 1
    assert list(heard.tradable.values())[4:] == [1, 1, 1, 1, 0, 0, 0, 1]


def test_contradiction_makes_the_book_stale():
    game = started()
    wrong = [(BID, CREATED, 90, 5), (BID, CHANGED, 91, 5), (BID, DELETED, 91, 0),
             (ASK, DELETED, 70, 0), (ASK, CREATED, 115, 0), (ASK, CHANGED, 110, 1 << 63)]
    for level in wrong:
        game.frame(increment(0, 7, 8, level, (BID, CREATED, 300, 1)))
        game.frame(increment(0, 8, 9, (BID, CREATED, 301, 1)))
        game.frame(snapshot(0, 7, *SMALL), channel=SNAPSHOTS)
    heard = game.run()
    assert heard.counts["inconsistent"] == len(wrong)
    assert [event[2] for _, event in heard.o[4:]] == [False, True] * len(wrong)


def test_contradiction_behind_the_rows_of_the_preview_withdraws_what_it_said():
    game = started()
    game.frame(increment(0, 7, 8, (BID, CHANGED, 10, 5), (BID, CREATED, 300, 1)))
    heard = game.run()
    assert [event[:3] for _, event in heard.o[4:]] == [
        (0, ((300, 1), (110, 4)), True), (0, (None, None), False)]


def test_gap_makes_all_books_of_its_channel_stale():
    game = started()
    game.frame(ticker(0), increment(1, 7, 8, (BID, CREATED, 101, 1)), channel=1, gap=True)
    game.frame(ticker(0), ticker(1), ticker(2), channel=1)
    game.frame(increment(0, 7, 8, (BID, CREATED, 101, 1)), channel=1)
    game.frame(increment(2, 7, 8, (BID, CREATED, 101, 1)), channel=2)
    game.frame(snapshot(0, 8, *SMALL), snapshot(2, 8, *SMALL), channel=SNAPSHOTS)
    game.frame(increment(0, 8, 9, (BID, CREATED, 111, 1)), channel=1)
    heard = game.run()
    assert [event[:3] for _, event in heard.o[4:]] == [
        (1, (None, None), False), (0, (None, None), False),
        (2, ((101, 1), (110, 4)), True), (0, ((100, 1), (110, 4)), True),
        (0, ((111, 1), (110, 4)), True)]
    assert list(heard.tradable.values())[4:9] == [0, 0, 0, 0, 1]
    assert heard.counts["snapshots_ignored"] == 1


def test_bad_frame_changes_nothing():
    game = started()
    game.frame(increment(0, 7, 8, (BID, CREATED, 105, 1)), good=False)
    game.frame(increment(0, 7, 8, (BID, CREATED, 104, 1)), drain=0, pause=1)
    game.frame(snapshot(1, 9, [(1, 1)], []), channel=SNAPSHOTS, good=False)
    game.frame(increment(1, 7, 8, (ASK, DELETED, 110, 0)))
    wanted = read_all(game.script, range(4), 8)
    heard = play(game.script)
    # The preview of the bad frame was hearsay; the authority never knew of it.
    assert [event[:3] for _, event in heard.o[4:]] == [
        (0, ((105, 1), (110, 4)), True), (0, ((104, 1), (110, 4)), True),
        (1, ((100, 1), (120, 5)), True)]
    assert [event[:3] for _, event, *_ in heard.book[4:]] == [
        (0, ((104, 1), (110, 4)), True), (1, ((100, 1), (120, 5)), True)]
    assert not heard.disarmed and not heard.counts["preview_mismatch"]
    for (index, side, level), (_, answer) in zip(wanted, heard.host, strict=True):
        assert host_level(answer) == image_level(game.golden.books[index].image(), side, level)


def test_bad_frame_under_cut_through_disarms_all_that_it_named():
    game = started(cut_through=True)
    game.frame(ticker(3), increment(0, 7, 8, (BID, CREATED, 105, 1)), Message(TICKER, -1),
               good=False)
    game.frame(ticker(0), ticker(1), ticker(3))
    game.frame(increment(0, 7, 8, (BID, CREATED, 104, 1)))
    game.frame(increment(1, 7, 8, (BID, CREATED, 104, 1)))
    game.frame(snapshot(3, 9, *SMALL), snapshot(0, 9, *SMALL), channel=SNAPSHOTS)
    game.frame(ticker(0), ticker(1), ticker(3))
    heard = game.run(tail=200)
    assert heard.disarmed == [3, 0]
    assert list(heard.tradable.values())[-3:] == [1, 1, 1]
    assert list(heard.tradable.values())[7:10] == [0, 1, 0]


def test_snapshot_in_several_parts_and_frames():
    game = Game()
    parts = [snapshot(0, 5, [(100, 1), (99, 2), (98, 3)], [], final=0),
             snapshot(0, 5, [(97, 4)], [(110, 5)], final=0),
             snapshot(0, 5, [], [(120, 6), (115, 7)])]
    game.frame(parts[0], channel=SNAPSHOTS)
    game.frame(ticker(0), snapshot(1, 3, *SMALL), channel=SNAPSHOTS)
    game.frame(parts[1], parts[2], channel=SNAPSHOTS)
    game.frame(increment(0, 5, 6, (BID, DELETED, 97, 0), (ASK, DELETED, 110, 0)))
    heard = game.run()
    assert heard.o[-1][1][1] == ((100, 1), (115, 7))
    assert heard.counts["snapshots_built"] == 2


def test_increments_between_the_parts_are_passed_over():
    game = Game()
    game.frame(snapshot(0, 5, [(100, 1)], [], final=0), channel=SNAPSHOTS)
    game.frame(increment(0, 5, 6, (BID, CREATED, 101, 1)))
    game.frame(snapshot(0, 5, [], [(110, 1)]), channel=SNAPSHOTS)
    game.frame(increment(0, 6, 7, (BID, CREATED, 102, 1)))
    heard = game.run()
    assert [event[2] for _, event in heard.o] == [True, False]


@pytest.mark.parametrize("count, missing", [(3, 0), (3, 1), (2, 0)])
def test_snapshot_with_a_missing_part_builds_no_book(count, missing):
    game = Game()
    parts = [snapshot(0, 5, [(100 - n, 1)], [(110 + n, 1)], final=int(n == count - 1))
             for n in range(count)]
    for number, part in enumerate(parts):
        if number != missing:
            game.frame(part, channel=SNAPSHOTS, gap=number == missing + 1)
    game.frame(*parts, channel=SNAPSHOTS)
    heard = game.run()
    assert [event[1] for _, event in heard.o] == [((100, 1), (110, 1))]
    assert heard.counts["snapshots_ignored"] == 1


def test_parts_of_a_snapshot_that_was_passed_over_are_passed_over():
    game = started()
    game.frame(snapshot(0, 8, [(100, 1)], [], final=0), channel=SNAPSHOTS)
    game.frame(increment(0, 8, 9, (BID, CREATED, 101, 1)))      # 8 is missing: stale
    game.frame(snapshot(0, 8, [], [(110, 1)]), channel=SNAPSHOTS)
    game.frame(snapshot(0, 9, *SMALL), channel=SNAPSHOTS)
    heard = game.run()
    assert [event[2] for _, event in heard.o[4:]] == [False, True]


@pytest.mark.parametrize("final", [0, 1])
def test_snapshot_that_is_not_the_whole_book_builds_none(final):
    game = Game()
    game.frame(snapshot(0, 5, *SMALL, complete=0, final=final), channel=SNAPSHOTS)
    game.frame(increment(0, 5, 6, (BID, CREATED, 101, 1)))
    heard = game.run()
    assert not heard.o


def test_message_cut_off_makes_the_book_stale():
    game = started()
    game.frame(increment(0, 7, 8, (BID, CREATED, 101, 1), cut=True),
               increment(1, 7, 8, (BID, CREATED, 101, 1), cut=True))
    game.frame(increment(0, 8, 9, (BID, CREATED, 101, 1)), ticker(1))
    heard = game.run()
    assert heard.counts["inconsistent"] == 2
    assert [event[:3] for _, event in heard.o[4:]] == [
        (0, (None, None), False), (1, (None, None), False)]


def test_update_of_several_messages_is_one_event():
    game = started()
    game.frame(increment(0, 7, 8, (BID, CREATED, 105, 1), final=0),
               increment(0, 8, 9, (BID, CREATED, 104, 1), final=0), ticker(0))
    game.frame(increment(0, 9, 10, (ASK, CREATED, 106, 2)), drain=0)
    # The same ids in every message, and an empty one at the end.
    game.frame(increment(1, 7, 9, (BID, CREATED, 105, 1), final=0), increment(1, 7, 9))
    heard = game.run()
    assert [event[1] for _, event in heard.o[4:]] == [
        ((105, 1), (106, 2)), ((105, 1), (110, 4))]
    assert late_or_early(game, heard)[0] > 0


def test_registers_go_on_while_the_authority_is_behind():
    game = started()
    for number in range(6):
        game.frame(increment(0, 7 + number, 8 + number, (BID, CREATED, 101 + number, 1)),
                   drain=0, pause=1, verdict_after=1)
    heard = game.run()
    assert heard.counts["late"] == 0
    cycles = [cycle for cycle, _ in heard.o[4:]]
    assert cycles == [cycle + 1 for cycle in game.script.last_events[4:]]
    assert cycles[-1] < heard.book[-3][0]


def test_event_is_late_once_when_the_memory_is_behind():
    game = started()
    game.frame(increment(0, 7, 8, (BID, CREATED, 105, 1)),
               increment(1, 7, 8, (BID, CREATED, 106, 1)),
               increment(0, 8, 9, (BID, DELETED, 105, 0)), drain=0)
    game.frame(increment(0, 9, 10, (BID, CREATED, 107, 1)))
    game.frame(increment(0, 10, 11, (BID, CREATED, 108, 1)))
    heard = game.run()
    assert heard.counts["late"] == 2
    assert [event[1][0] for _, event in heard.o[4:]] == [
        (105, 1), (106, 1), (100, 1), (107, 1), (108, 1)]


def test_memory_that_is_behind_is_not_taken_for_the_book():
    """A further message with the same ids fits the memory, which lacks the one before."""
    game = started()
    game.frame(increment(0, 7, 9, (BID, CREATED, 105, 1), final=0),
               increment(1, 7, 8, (BID, CREATED, 106, 1)),
               increment(0, 7, 9, (BID, CREATED, 104, 1)))
    heard = game.run()
    assert heard.counts["late"] == 1
    assert [event[:2] for _, event in heard.o[4:]] == [
        (1, ((106, 1), (110, 4))), (0, ((105, 1), (110, 4)))]


def test_registers_do_not_go_on_after_a_bad_frame():
    game = started()
    game.frame(increment(1, 7, 8, *[(BID, CREATED, 20 + n, 1) for n in range(5)]), drain=0,
               pause=1)
    game.frame(increment(0, 7, 8, (BID, CREATED, 105, 1)), good=False, drain=0, pause=1)
    game.frame(increment(0, 8, 9, (BID, CREATED, 106, 1)))
    heard = play(game.script)
    assert [event[:3] for _, event in heard.o[4:]] == [
        (1, ((100, 1), (110, 4)), True), (0, ((105, 1), (110, 4)), True),
        (0, (None, None), False)]


def test_events_of_preview_and_authority_never_meet():
    game = started()
    for number in range(26):
        game.frame(increment(2, 0, 99, (BID, CREATED, 105, 1)), channel=2)
        game.frame(snapshot(2, 7, *SMALL), channel=SNAPSHOTS, drain=0, pause=10 + number)
        game.frame(increment(0, 7 + number, 8 + number, (BID, CHANGED, 100, 9 + number),
                             (ASK, CHANGED, 110, 9 + number)))
    heard = game.run()
    cycles = [cycle for cycle, _ in heard.o]
    assert any(late - early == 1 for early, late in pairwise(cycles))


def test_event_is_late_when_all_known_levels_are_deleted():
    game = started()
    game.frame(increment(0, 7, 8, (BID, DELETED, 100, 0), (BID, DELETED, 90, 0)))
    game.frame(increment(0, 8, 9, (BID, DELETED, 80, 0)))
    heard = game.run(row_levels=2)
    assert heard.counts["late"] == 1
    assert [event[1][0] for _, event in heard.o[4:]] == [(80, 3), None]


def test_queue_overflow_is_a_gap():
    game = started()
    game.frame(*[increment(0, 7 + n, 8 + n, *[(BID, CREATED, 200 + 8 * n + k, 1)
                                              for k in range(7)]) for n in range(9)])
    game.expected = game.expected[:4]
    game.script.busy_until = 0
    game.script.frame(Frame(1, [increment(1, 7, 8, (BID, CREATED, 101, 1))]))
    game.script.wait(50)
    game.script.frame(Frame(SNAPSHOTS, [snapshot(1, 9, *SMALL)]))
    heard = play(game.script, queue=32)
    assert heard.counts["queue_overflow"] == 1
    assert [event[:3] for _, event, *_ in heard.book[4:]] == [
        (1, (None, None), False), (1, ((100, 1), (110, 4)), True)]


def test_unknown_instruments_are_counted_and_frames_before_ready_refused():
    game = Game()
    game.script.cycle = 1
    game.script.frame(Frame(SNAPSHOTS, [snapshot(0, 7, *SMALL)]))
    game.script.cycle = 60
    game.frame(Message(TICKER, -1), snapshot(-1, 4, *SMALL), increment(-1, 1, 2), channel=1)
    game.frame(snapshot(1, 8, *SMALL), channel=SNAPSHOTS)
    heard = game.run(channels=64)
    assert heard.counts["unknown_instrument"] == 3


def test_self_check_sees_a_wrong_preview(monkeypatch):
    right = preview.signature
    monkeypatch.setattr(preview, "signature", lambda touch: ~right(touch))
    game = started()
    game.frame(increment(0, 7, 8, (BID, CREATED, 105, 1)))
    assert play(game.script).counts["preview_mismatch"] == 1
