"""The door between the gateway and a strategy."""

from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from tickwire.hdl.book.event import BookEvent
from tickwire.hdl.entry.intent import OrderIntent
from tickwire.hdl.feed.event import FeedEvent, FrameVerdict
from tickwire.hdl.stream.packet import strobe

__all__ = ["InstrumentNotice", "Strategy"]


class InstrumentNotice(data.Struct):
    """Which instrument the message that is arriving is about."""

    known: 1        # the instrument is in the table
    index: 7        # dense index
    channel: 6      # dense index of the channel


class Strategy(wiring.Component):
    """A strategy: market data in, orders wanted out.

    Latency: event → ``o`` 1 cycle; those of ``i_late`` may take longer.

    A strategy works ahead on hearsay, so what it remembers of its own intents has to be undone if
    the frame proves bad, unless ``i_cut_through`` was set: then the order has left.

    Parameters
    ----------
    members : mapping
        Further ports, such as the table of the strategy's parameters, which is called ``i_write``.

    Members
    -------
    i_instrument : In(strobe(InstrumentNotice))
        3 cycles after a message's INSTRUMENT event and at least 3 before any decision on it: the
        time to fetch what is kept for the instrument.
    i_feed : In(strobe(FeedEvent))
        Fields of messages, among them the touch in a ticker message.
    i_book : In(strobe(BookEvent))
        The touch after a logical update of the instrument in the last notice, one cycle after the
        update's last LEVEL event.
    i_late : In(strobe(BookEvent))
        The same, but after its frame's good verdict, for any instrument, at any time.
    i_tradable : In(1)
        The book of the instrument in the last notice may be traded on; for triggers by ticker.
    i_verdict : In(strobe(FrameVerdict))
        Ends the frame. Comes at least one cycle after the last event that was decided on.
    i_cut_through : In(1)
        Launch policy: intents leave before the verdict.
    i_room : In(1)
        The launch gate can take another intent in each of the next two cycles.
    o : Out(strobe(OrderIntent))
        The order that is wanted.
    o_committed : Out(1)
        With ``o``: it rests on a late event, so it waits for no verdict.
    """

    def __init__(self, members=()):
        super().__init__({
            "i_instrument": In(strobe(InstrumentNotice)),
            "i_feed": In(strobe(FeedEvent)),
            "i_book": In(strobe(BookEvent)),
            "i_late": In(strobe(BookEvent)),
            "i_tradable": In(1, init=1),
            "i_verdict": In(strobe(FrameVerdict)),
            "i_cut_through": In(1),
            "i_room": In(1, init=1),
            "o": Out(strobe(OrderIntent)),
            "o_committed": Out(1),
            **dict(members),
        })

    def model(self):
        """The same behaviour in Python: a :class:`tickwire.hdl.strategy.model.Model`."""
        raise NotImplementedError(f"{type(self).__name__} has no Python model, "
                                  "so nothing can check what it does")
