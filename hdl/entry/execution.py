"""What the venue says of our orders, in one form for all venues."""

from amaranth.lib import data, enum

__all__ = ["ExecutionKind", "Execution"]


class ExecutionKind(enum.Enum, shape=3):
    ACCEPTED = 0
    EXECUTED = 1            # one fill
    CANCELLED = 2           # of the order `quantity` has gone, or with `final` all the rest
    REPLACED = 3            # the order `previous_id` is now `client_id`, or has other terms
    REJECTED = 4            # the order never was
    BROKEN = 5              # a fill that was reported before does not hold
    CANCEL_REJECTED = 6


class Execution(data.Struct):
    """One thing that happened to one order. What the venue does not say is 0."""

    kind: ExecutionKind
    final: 1                # the order is not open any more, whatever was open of it before
    stated: 1               # the venue says in `leaves` how much is still open
    part: 16                # counts the executions of one message, from 0
    sequence: 64            # the venue's, of the message
    client_id: 64
    previous_id: 64         # REPLACED only
    order_id: 64            # the venue's
    quantity: 64            # mantissa
    exponent: 8             # of quantity and leaves, signed: a power of ten
    price: 64               # in the venue's unit
    leaves: 64
    match_id: 64
    reason: 16              # the venue's number or letters
    time: 64                # in the venue's unit
