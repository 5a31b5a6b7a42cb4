"""PriceLevelBook against a plain book on random traffic with losses, damage and contradictions."""

import pytest
from book_bench import check, host_level, image_level, play, read_all
from book_game import CHANNELS, SNAPSHOTS, Game
from book_venue import Venue


@pytest.mark.parametrize("seed, cut_through, row_levels, slack", [
    (1, False, 2, 0), (2, True, 2, 0), (3, True, 4, 2)])
def test_random_traffic(seed, cut_through, row_levels, slack, soak):
    game = Game(cut_through=cut_through, slack=slack, seed=seed)
    venue = Venue(CHANNELS, SNAPSHOTS, seed=seed)
    script = game.script
    asked = []
    for _ in range(600 if soak else 70):
        frame = venue.frame()
        if frame.gap or not frame.good:
            script.wait(1500)       # losses act at once, on what still waits too
        game.play(frame, drain=venue.rng.choice((0, 0, 0, 20, 100, 400)),
                  pause=venue.rng.choice((1, 4, 8)), verdict_after=venue.rng.choice((0, 1, 3)))
        if venue.rng.random() < 0.2 and script.cycle > (asked[-1][0] + 1600 if asked else 0):
            request = (venue.rng.randrange(4), venue.rng.randrange(2), venue.rng.randrange(9))
            script.host(*request)
            asked.append((script.cycle, request))
            script.wait(1)
    images = game.golden.history
    wanted = read_all(script, CHANNELS, 8)
    heard = play(script, cut_through=cut_through, row_levels=row_levels, queue=512)
    check(script, heard, game.expected, game.golden)

    answers = [host_level(answer) for _, answer in heard.host]
    assert len(answers) == len(asked) + len(wanted)
    for (_, (index, side, level)), answer in zip(asked, answers, strict=False):
        assert answer in {image_level(image, side, level) for image in images[index]}
    for (index, side, level), answer in zip(wanted, answers[len(asked):], strict=True):
        assert answer == image_level(game.golden.books[index].image(), side, level)

    # It was worth it: all of this happened.
    counts = game.golden.counts
    assert all(counts[name] for name in ("updates", "level_changes", "snapshots_built",
                                         "snapshots_ignored", "beyond_horizon"))
    assert heard.counts["late"] < counts["updates"] / 2
