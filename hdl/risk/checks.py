"""The pre-trade checks, each with its reason, in one list."""

from amaranth.lib import data
from tickwire.hdl.entry.intent import Action, Reason

__all__ = ["RiskLimits", "comparisons", "failures"]


class RiskLimits(data.Struct):
    """Limits of one instrument, read as one set. All bounds are inclusive."""

    enabled: 1
    minimum_quantity: 32    # mantissa
    maximum_quantity: 32
    lowest_price: 64        # ordered key
    highest_price: 64


def comparisons(intent, limits):
    """What is wrong with an intent's numbers, each comparison by itself, in three groups: quantity
    is zero; quantity is below or above the limits; price is."""
    return ((intent.quantity == 0,),
            (intent.quantity < limits.minimum_quantity, intent.quantity > limits.maximum_quantity),
            (intent.price < limits.lowest_price, intent.price > limits.highest_price))


def failures(intent, sizes, *, armed, killed, host_timeout, log_full, session_ok, restricted,
             stale, unknown, rate_ok, window_ok, tx_busy):
    """Every check that an order fails: pairs of a :class:`Reason` and a condition.

    A cancel only takes risk away: it need not be armed, passes while killed, and is held to no
    limit of its instrument.

    Parameters
    ----------
    intent : OrderIntent
        The order.
    sizes : sequence
        The three groups of :func:`comparisons`, a bit each.
    armed, killed, …
        The state of things, 1 bit each. ``restricted``: the instrument is not enabled; ``unknown``:
        there is no such instrument; ``rate_ok``: there is a token for this action.
    """
    new = intent.action == Action.NEW
    empty, size, price = sizes
    return (
        (Reason.NOT_ARMED, new & ~armed & ~host_timeout),
        (Reason.KILLED, new & killed),
        (Reason.HOST_TIMEOUT, new & host_timeout),
        (Reason.LOG_FULL, log_full),
        (Reason.NO_SESSION, ~session_ok),
        (Reason.RESTRICTED, new & restricted & ~unknown),
        (Reason.STALE_BOOK, new & stale),
        (Reason.MALFORMED, (new & empty) | unknown),
        (Reason.SIZE, new & size),
        (Reason.PRICE_BAND, new & price),
        (Reason.RATE, ~rate_ok),
        (Reason.NO_WINDOW, ~window_ok),
        (Reason.TX_BUSY, tx_busy),
    )
