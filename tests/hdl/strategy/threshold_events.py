"""Random but lawful lives of the threshold strategy, as events."""

from tickwire.hdl.strategy.model import ASK, BID, Message, Quote, Touch, Verdict, Write, price_key
from tickwire.hdl.strategy.threshold_model import BOOK, TICKER

PRICES = [price_key(value) for value in (
    0.0, -0.0, 0.5, 1.0, 1.5, 2.0, -1.0, float("inf"), float("-inf"), float("nan"),
    1.7976931348623157e308, -1.7976931348623157e308, 5e-324)]


def row(**fields):
    """Parameters that buy at 1.0 or less on the book's touch, unless said otherwise."""
    return {"enabled": 1, "buy": 1, "sell": 0, "trigger": BOOK, "one_shot": 0,
            "buy_limit": price_key(1.0), "sell_limit": price_key(2.0), "quantity": 5,
            "minimum_gap": 0} | fields


def random_row(rng):
    return row(enabled=rng.random() < 0.9, buy=rng.randrange(2), sell=rng.randrange(2),
               trigger=rng.choice((BOOK, TICKER)), one_shot=rng.random() < 0.3,
               buy_limit=rng.choice(PRICES), sell_limit=rng.choice(PRICES),
               quantity=rng.getrandbits(32), minimum_gap=rng.choice((0, 0, 1, 5, 2**32 - 1)))


def random_events(rng, frames, *, instruments=8):
    """Frames of messages with touches and tickers; verdicts; late touches; rows written."""
    yield from (Write(index, random_row(rng)) for index in range(instruments))
    time = rng.choice((10, 2**64 - 200))
    for _ in range(frames):
        if rng.random() < 0.25:
            yield Write(rng.randrange(instruments), random_row(rng))
        for _ in range(rng.choice((1, 1, 1, 2, 3, 14))):
            time = min(time + rng.choice((-1, 0, 0, 1, 5)), 2**64 - 1)
            instrument = rng.choice([None, *range(instruments)])
            yield Message(instrument, time)
            if rng.random() < 0.5:
                suspect, tradable = rng.random() < 0.1, rng.random() < 0.9
                yield from (Quote(side, rng.choice(PRICES), suspect, tradable,
                                  rng.getrandbits(16)) for side in (BID, ASK))
            elif instrument is not None:
                yield touch(rng, instrument, time)
            if rng.random() < 0.05:
                yield touch(rng, rng.randrange(instruments), time, committed=True)
            if rng.random() < 0.05:
                yield Write(rng.randrange(instruments), random_row(rng))
        yield Verdict(rng.random() < 0.7)


def touch(rng, instrument, time, *, committed=False):
    return Touch(instrument, time, rng.choice([None, *PRICES]), rng.choice([None, *PRICES]),
                 rng.random() < 0.9, committed, rng.getrandbits(16))
