"""The threshold strategy in Python, standard library only: it can be run over a capture."""

from .model import ASK, BID, Intent, Message, Quote, Touch, Verdict, Write

__all__ = ["BOOK", "TICKER", "ThresholdModel"]

BOOK, TICKER = 0, 1     # as Trigger in threshold.py

_ZERO = (0x8000_0000_0000_0000, 0x7FFF_FFFF_FFFF_FFFF)     # keys of 0.0 and -0.0
_LEAST, _MOST = 0x0010_0000_0000_0000, 0xFFEF_FFFF_FFFF_FFFF   # keys of the largest finite doubles


class ThresholdModel:
    """Defines what :class:`tickwire.hdl.strategy.threshold.ThresholdStrategy` does.

    Parameters
    ----------
    cut_through : bool
        Launch policy: intents of a bad frame have left all the same, so they are not undone.
    hearsay : int
        Intents that one frame may bring before its verdict; more are not made.

    Attributes
    ----------
    no_room : int
        Intents that were not made for that reason.
    """

    def __init__(self, *, cut_through=False, hearsay=8):
        self.cut_through = cut_through
        self.hearsay = hearsay
        self.no_room = 0
        self._rows = {}
        self._fired = {}        # instrument → time of its last intent, of good frames
        self._pending = []      # (instrument, time) of intents of the frame that is arriving
        self._brought = 0       # how many the frame has brought
        self._message = Message(None, 0)

    def step(self, event):
        if isinstance(event, Message):
            self._message = event
        elif isinstance(event, Write):
            self._rows[event.instrument] = dict(event.row)
            self._fired.pop(event.instrument, None)
            self._pending = [entry for entry in self._pending if entry[0] != event.instrument]
        elif isinstance(event, Verdict):
            if event.good or self.cut_through:
                self._fired.update(self._pending)
            self._pending = []
            self._brought = 0
        elif isinstance(event, Touch):
            row = self._rows.get(event.instrument)
            if row and row["trigger"] == BOOK and event.tradable:
                return self._decide(row, event.instrument, event.timestamp, event.bid, event.ask,
                                    event.stamp, event.committed)
        elif isinstance(event, Quote):
            row = self._rows.get(self._message.instrument)
            if (row and row["trigger"] == TICKER and event.tradable and not event.suspect
                    and event.price not in _ZERO):
                return self._decide(row, self._message.instrument, self._message.timestamp,
                                    event.price if event.side == BID else None,
                                    event.price if event.side == ASK else None,
                                    event.stamp, False)
        return None

    def _decide(self, row, instrument, timestamp, bid, ask, stamp, committed):
        if not row["enabled"] or not self._allowed(row, instrument, timestamp):
            return None
        if row["buy"] and _finite(ask) and ask <= row["buy_limit"]:
            side, price = BID, ask
        elif row["sell"] and _finite(bid) and bid >= row["sell_limit"]:
            side, price = ASK, bid
        else:
            return None
        settled = committed or self.cut_through
        if self._brought >= self.hearsay:
            self.no_room += 1
            return None
        if settled:
            self._fired[instrument] = timestamp
            self._pending = [entry for entry in self._pending if entry[0] != instrument]
        else:
            self._pending.append((instrument, timestamp))
            self._brought += 1
        return Intent(instrument, side, price, row["quantity"], stamp, timestamp, committed)

    def _allowed(self, row, instrument, timestamp):
        last = dict(self._pending).get(instrument, self._fired.get(instrument))
        return last is None or (not row["one_shot"] and timestamp >= last + row["minimum_gap"])


def _finite(price):
    return price is not None and _LEAST <= price <= _MOST
