"""What the gateware writes into the rings in the host's memory; no Amaranth.

An event record is a struct of whole bytes, little-endian, first field at the lowest address, 64
bytes long. All kinds end in the same 8 bytes. The last byte holds the phase bit: it is written
last, and it is the negation of what stood there on the round before, so a reader knows that the
record is whole.

The frame ring has slots, one a received frame, or one a piece of what a TCP session has received: a
header of 16 bytes, which ends in a phase byte as an event record does, then the frame without its
FCS or the bytes.
"""

from dataclasses import dataclass

from .vocabulary import Action, Reason, Side, Source

__all__ = ["RecordField", "Record", "BOOK", "TICKER", "ORDER", "RECORDS", "RECORD_BYTES",
           "FLAGS", "FRAME_HEADER", "FRAME_HEADER_BYTES"]

RECORD_BYTES = 64

#: Bits of the field ``flags``: the record's instrument may be traded; its sides have a level.
FLAGS = ("tradable", "bid_valid", "ask_valid")


@dataclass(frozen=True)
class RecordField:
    """One field: ``width`` bits (8, 16, 32 or 64) at the next place."""

    name: str
    width: int
    meaning: str
    unit: str = ""
    values: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.width not in (8, 16, 32, 64):
            raise ValueError(f"Record field {self.name} must have 8, 16, 32 or 64 bits, "
                             f"not {self.width}")


@dataclass(frozen=True)
class Record:
    """One kind of record; ``number`` stands in its field ``kind``."""

    name: str
    number: int
    meaning: str
    fields: tuple[RecordField, ...]

    def __post_init__(self) -> None:
        width = 0
        for part in self.fields:
            if width % part.width:
                raise ValueError(f"Record {self.name} has {part.name} at bit {width}, which is no "
                                 f"multiple of its width {part.width}")
            width += part.width
        if width != 8 * RECORD_BYTES:
            raise ValueError(f"Record {self.name} must have {8 * RECORD_BYTES} bits, not {width}")

    def low(self, name: str) -> int:
        """Lowest bit of a field, counted from bit 0 of the record."""
        low = 0
        for part in self.fields:
            if part.name == name:
                return low
            low += part.width
        raise KeyError(name)


_TOUCH = (
    RecordField("bid_price", 64, "Price of the best bid.", "price key"),
    RecordField("bid_amount", 64, "Amount at the best bid.", "venue's bits"),
    RecordField("ask_price", 64, "Price of the best offer.", "price key"),
    RecordField("ask_amount", 64, "Amount at the best offer.", "venue's bits"),
    RecordField("timestamp", 64, "Time of the message.", "venue time"),
)

_FRAME = RecordField("frame", 32, "Frames that had ended at the receiver when the record was "
                                  "made.")

_PLACE = (
    RecordField("published", 16, "Cycle in which the record was sent.", "cycles mod 2^16"),
    RecordField("instrument", 8, "Dense index."),
    RecordField("flags", 8, "Bits: " + ", ".join(FLAGS) + "."),
)

_END = (
    RecordField("sequence", 32, "Number of the record, modulo 2^32; the first one is 0."),
    RecordField("stamp", 16, "Cycle in which the deciding field's last byte stood on the XGMII "
                             "input.", "cycles mod 2^16"),
    RecordField("kind", 8, "Which record this is."),
    RecordField("phase", 8, "Bit 0: the phase; the others are 0."),
)

BOOK = Record("BOOK", 1, "A book's touch after one logical update.", (
    *_TOUCH,
    RecordField("change_id", 64, "The venue's id of the update."),
    RecordField("published_high", 32, "The next 32 bits of `published`.", "2^16 cycles"),
    *_PLACE, *_END,
))

TICKER = Record("TICKER", 2, "A ticker message of a frame that was good.", (
    *_TOUCH,
    RecordField("cycle", 64, "Cycle in which the record was made.", "cycles"),
    _FRAME, *_PLACE, *_END,
))

ORDER = Record("ORDER", 3, "What became of one order, sent or refused; `stamp` is its trigger's.", (
    RecordField("price", 64, "Price that was asked for.", "price key"),
    RecordField("client_id", 64, "Of a new order that was sent: its id. Of a cancel: the id of the "
                                 "order to cancel."),
    RecordField("timestamp", 64, "Time of the message that triggered it.", "venue time"),
    RecordField("cycle", 64, "Cycle in which the record was made.", "cycles"),
    RecordField("quantity", 32, "Quantity that was asked for.", "mantissa"),
    RecordField("decided", 16, "Cycle of the decision.", "cycles mod 2^16"),
    RecordField("released", 16, "Cycle of the frame's verdict, or of the decision.",
                "cycles mod 2^16"),
    RecordField("preamble", 16, "Cycle in which the START character stood on the XGMII output.",
                "cycles mod 2^16"),
    RecordField("frame_end", 16, "Cycle in which the frame whose verdict came last before the "
                                 "order ended on the XGMII input.", "cycles mod 2^16"),
    RecordField("reason", 8, "PASSED, or why it was refused.",
                values=tuple(reason.name for reason in Reason)),
    RecordField("action", 8, "What was asked for.", values=tuple(a.name for a in Action)),
    RecordField("source", 8, "Who asked.", values=tuple(s.name for s in Source)),
    RecordField("side", 8, "BID bought, ASK sold.", values=tuple(s.name for s in Side)),
    _FRAME, *_PLACE, *_END,
))

RECORDS = (BOOK, TICKER, ORDER)

#: The header of a slot of the frame ring; ``cycle`` is when the frame went to the host.
FRAME_HEADER = (
    RecordField("cycle", 64, "When it left for the ring.", "cycles"),
    RecordField("sequence", 32, "Number of the frame, modulo 2^32."),
    RecordField("length", 16, "Bytes without FCS.", "bytes"),
    RecordField("source", 8, "0: a received frame. n + 1: bytes that TCP session n has received."),
    RecordField("phase", 8, "1 on the first round, 0 on the second, and so on."),
)
FRAME_HEADER_BYTES = sum(part.width for part in FRAME_HEADER) // 8
