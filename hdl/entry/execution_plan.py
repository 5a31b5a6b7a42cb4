"""Which messages of a venue say something of our orders, and where: what a decoder is made from."""

from dataclasses import dataclass, field

from tickwire.hdl.entry.execution import ExecutionKind
from tickwire.hdl.wire import ouch, soupbintcp, starbase
from tickwire.hdl.wire.fixed import FixedLayout

__all__ = ["Entries", "MessagePlan", "ExecutionPlan", "OUCH_PLAN", "STARBASE_PLAN"]

_FLAG_FULLY_FILLED = 2      # Starbase, FillFlags.isFullyFilled
_STATUS_CANCELED = 3        # Starbase, OrderStatus.CANCELED


@dataclass(frozen=True)
class Entries:
    """A group right behind the root block; each entry is an execution.

    Parameters
    ----------
    layout : FixedLayout
        What the table knows of an entry; a longer one is skipped to its end.
    kind : ExecutionKind
    fields : dict
        Member of ``Execution`` to field.
    final : int
        Value of ``final``, if ``final_flag`` does not say it.
    final_flag : tuple of (str, int) or None
        Field and the bits of it, one of which says that the order is done.
    """

    layout: FixedLayout
    kind: ExecutionKind
    fields: dict
    final: int = 0
    final_flag: tuple | None = None


@dataclass(frozen=True)
class MessagePlan:
    """One message.

    Parameters
    ----------
    layout : FixedLayout
        The root block.
    code : int
        What stands in the field that tells the type.
    kind : ExecutionKind or None
        Of the root block's execution; None: there are only those of the entries.
    fields : dict
        Member of ``Execution`` to field. A field may serve several members.
    final : int
        Value of ``final``, if ``final_value`` does not say it.
    final_value : tuple of (str, int) or None
        Field, and its value if the order is done.
    stated : int
        Value of ``stated``.
    entries : Entries or None
    closes : tuple of (str, int) or None
        Field, and its value if what the entries have left of the order is cancelled.
    """

    layout: FixedLayout
    code: int
    kind: ExecutionKind | None
    fields: dict
    final: int = 0
    final_value: tuple | None = None
    stated: int = 0
    entries: Entries | None = None
    closes: tuple | None = None


@dataclass(frozen=True)
class ExecutionPlan:
    """A venue's messages.

    Parameters
    ----------
    name : str
    start : int
        Where the root block begins, counted from the message's first byte.
    code : tuple of (int, int)
        Where the type is told, and how many bytes that are; within the first eight.
    byteorder : str
    guard : tuple of (int, int) or None
        A byte's place and what it must be, or the message is none of these.
    header : dict
        Member of ``Execution`` to place and size in the header.
    messages : tuple of MessagePlan
    """

    name: str
    start: int
    code: tuple
    byteorder: str
    messages: tuple
    guard: tuple | None = None
    header: dict = field(default_factory=dict)

    @property
    def fixed_size(self):
        """Bytes from a message's first one on in which fields have fixed places."""
        return self.start + max(message.layout.size for message in self.messages) \
            + starbase.GROUP_HEADER.size


_OUCH = {"client_id": "userRefNum", "time": "timestamp"}
_OUCH_TERMS = _OUCH | {"order_id": "orderReferenceNumber", "quantity": "quantity",
                       "leaves": "quantity", "price": "price"}


def _ouch(message, kind, fields, **more):
    code, = (code for code, layout in ouch.FROM_HOST.items() if layout is message)
    return MessagePlan(message, code[0], kind, fields, **more)


#: OUCH 5.0 in SoupBinTCP's sequenced data. Accepted and Replaced come before any execution of what
#: they tell, so their quantity is open.
OUCH_PLAN = ExecutionPlan(
    "OUCH 5.0", start=soupbintcp.PACKET_HEADER.size, code=(soupbintcp.PACKET_HEADER.size, 1),
    byteorder="big", guard=(soupbintcp.PACKET_HEADER["type"].offset, soupbintcp.SEQUENCED[0]),
    messages=(
        _ouch(ouch.ACCEPTED, ExecutionKind.ACCEPTED, _OUCH_TERMS, stated=1,
              final_value=("orderState", ord("D"))),
        _ouch(ouch.REPLACED, ExecutionKind.REPLACED,
              _OUCH_TERMS | {"previous_id": "origUserRefNum"}, stated=1,
              final_value=("orderState", ord("D"))),
        _ouch(ouch.CANCELED, ExecutionKind.CANCELLED,
              _OUCH | {"quantity": "quantity", "reason": "reason"}),
        _ouch(ouch.EXECUTED, ExecutionKind.EXECUTED,
              _OUCH | {"quantity": "quantity", "price": "price", "match_id": "matchNumber"}),
        _ouch(ouch.BROKEN_TRADE, ExecutionKind.BROKEN,
              _OUCH | {"match_id": "matchNumber", "reason": "reason"}),
        _ouch(ouch.REJECTED, ExecutionKind.REJECTED, _OUCH | {"reason": "rejectReason"}, final=1),
        _ouch(ouch.CANCEL_REJECT, ExecutionKind.CANCEL_REJECTED, _OUCH),
    ))

_STARBASE = {"time": "timestamp", "client_id": "clientOrderId", "order_id": "orderId"}
_TERMS = _STARBASE | {"price": "price", "quantity": "quantity.mantissa",
                      "exponent": "quantity.exponent"}
_FILL = {"match_id": "matchId", "quantity": "fillQty.mantissa", "exponent": "fillQty.exponent"}
_ORDER = {"client_id": "clientOrderId", "order_id": "orderId"}


def _starbase(message, kind, fields, **more):
    return MessagePlan(message, starbase.RESPONSE_TYPES[message], kind, fields, **more)


def _group(message, number=0):
    return starbase.GROUPS[message][number]


#: Deribit Starbase. A response's fills follow its acknowledgement, and a cancel of the rest
#: follows these. Of a combination's legs nothing is read.
STARBASE_PLAN = ExecutionPlan(
    "Starbase", start=starbase.HEADER.size,
    code=(starbase.HEADER["messageTypeId"].offset, starbase.HEADER["messageTypeId"].size),
    byteorder="little",
    header={"sequence": (starbase.HEADER["sequenceNumber"].offset,
                         starbase.HEADER["sequenceNumber"].size)},
    messages=(
        _starbase(starbase.NEW_ORDER_RESPONSE, ExecutionKind.ACCEPTED,
                  _TERMS | {"leaves": "quantity.mantissa"}, stated=1,
                  entries=Entries(_group(starbase.NEW_ORDER_RESPONSE), ExecutionKind.EXECUTED,
                                  _FILL | {"price": "fillPrice"}),
                  closes=("status", _STATUS_CANCELED)),
        _starbase(starbase.NEW_ORDER_REJECT, ExecutionKind.REJECTED,
                  _STARBASE | {"reason": "reason"}, final=1),
        _starbase(starbase.AMEND_ORDER_RESPONSE, ExecutionKind.REPLACED,
                  _TERMS | {"previous_id": "clientOrderId"},
                  entries=Entries(_group(starbase.AMEND_ORDER_RESPONSE), ExecutionKind.EXECUTED,
                                  _FILL | {"price": "fillPrice"}),
                  closes=("status", _STATUS_CANCELED)),
        _starbase(starbase.CANCEL_ORDER_RESPONSE, ExecutionKind.CANCELLED, _STARBASE, final=1),
        _starbase(starbase.CANCEL_ORDER_REJECT, ExecutionKind.CANCEL_REJECTED,
                  _STARBASE | {"reason": "reason"}),
        _starbase(starbase.ORDER_FILLED, None, {"time": "timestamp"},
                  entries=Entries(_group(starbase.ORDER_FILLED), ExecutionKind.EXECUTED,
                                  _ORDER | _FILL | {"price": "price"},
                                  final_flag=("flags", _FLAG_FULLY_FILLED))),
        _starbase(starbase.ORDERS_CANCELED, None, {"time": "timestamp"},
                  entries=Entries(_group(starbase.ORDERS_CANCELED), ExecutionKind.CANCELLED,
                                  _ORDER | {"reason": "cancelReason"}, final=1)),
    ))
