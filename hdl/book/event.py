"""What a book says at the end of each logical update."""

from amaranth.lib import data

__all__ = ["TopOfBook", "BookEvent"]


class TopOfBook(data.Struct):
    """The touch: best level of both sides. Prices are ordered keys, amounts the venue's bits."""

    bid_price: 64
    bid_amount: 64
    ask_price: 64
    ask_amount: 64
    bid_valid: 1
    ask_valid: 1


class BookEvent(data.Struct):
    """The touch of one instrument after one logical update."""

    instrument: 7           # dense index
    touch: TopOfBook
    tradable: 1             # the book is whole, its chain unbroken, its channel without a gap
    timestamp: 64           # the venue's
    change_id: 64
    stamp: 16               # of the FeedEvent that completed the update
