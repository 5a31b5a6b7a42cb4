"""The configuration page: switches, and the tables that the host fills row by row."""

from .register_table import Entry, Field, Register, Staging, Table

__all__ = ["CONFIGURATION"]

_VALID = Field(name="VALID", width=1, meaning="The row is in use.")

_CONTROL = Register(
    name="CONTROL", meaning="Switches of the data path.",
    fields=(
        Field(name="CUT_THROUGH", width=1, meaning="Launch policy of the strategy's orders.",
              values=("AFTER_FCS", "CUT_THROUGH")),
        Field(name="PUBLISH_BOOK", width=1, meaning="Book events go to the event ring."),
        Field(name="PUBLISH_TICKER", width=1, meaning="Tickers go to the event ring."),
    ),
)

_SUBSCRIPTIONS = Table(
    name="SUBSCRIPTIONS", depth="subscriptions",
    meaning="Multicast groups that are market data, one group and port a row.",
    fields=(
        _VALID,
        Field(name="GROUP", width=32, meaning="IPv4 destination address, first byte highest."),
        Field(name="PORT", width=16, meaning="UDP destination port."),
        Field(name="CHANNEL", width=6, meaning="Dense index of the channel."),
    ),
)

_INSTRUMENT_TABLE = Table(
    name="INSTRUMENT_TABLE", depth="instruments",
    meaning="The venue's instrument ids and the dense indices that stand for them.",
    fields=(
        _VALID,
        Field(name="ID", width=32, meaning="The venue's instrument id in market data."),
        Field(name="INDEX", width=7, meaning="Dense index, by which all other tables go."),
        Field(name="CHANNEL", width=6, meaning="Channel on which the instrument's book comes."),
    ),
)

_THRESHOLD = Table(
    name="THRESHOLD", depth="instruments",
    meaning="Threshold strategy: the row's number is the instrument's dense index.",
    fields=(
        Field(name="ENABLED", width=1, meaning="The strategy may act on this instrument."),
        Field(name="BUY", width=1, meaning="Take the offer at BUY_LIMIT or below."),
        Field(name="SELL", width=1, meaning="Hit the bid at SELL_LIMIT or above."),
        Field(name="TRIGGER", width=1, meaning="What decides.", values=("BOOK", "TICKER")),
        Field(name="ONE_SHOT", width=1, meaning="Act once, until the row is written again."),
        Field(name="BUY_LIMIT", width=64, unit="price key", meaning="Highest price to buy at."),
        Field(name="SELL_LIMIT", width=64, unit="price key", meaning="Lowest price to sell at."),
        Field(name="QUANTITY", width=32, unit="mantissa", meaning="Quantity of each order."),
        Field(name="MINIMUM_GAP", width=32, unit="venue time",
              meaning="Least time of the feed between two orders of this instrument."),
    ),
)

_RISK = Table(
    name="RISK", depth="instruments",
    meaning="Limits of one instrument, read as one set: row number is the dense index.",
    fields=(
        Field(name="ENABLED", width=1, meaning="Orders of this instrument may pass."),
        Field(name="MAXIMUM_QUANTITY", width=32, unit="mantissa",
              meaning="Largest quantity of one order."),
        Field(name="LOWEST_PRICE", width=64, unit="price key", meaning="Lower end of the band."),
        Field(name="HIGHEST_PRICE", width=64, unit="price key", meaning="Upper end of the band."),
    ),
)

_TEMPLATE = Table(
    name="TEMPLATE", depth=64,
    meaning="Order frames, 8 bytes a row, with holes that the gateware fills.",
    fields=(Field(name="BYTES", width=64, meaning="Bytes of the frame, first byte lowest."),),
)

_VENUE_INSTRUMENT = Table(
    name="VENUE_INSTRUMENT", depth="instruments",
    meaning="The venue's instrument ids in orders; the row's number is the dense index.",
    fields=(Field(name="ID", width=64, meaning="Two's complement."),),
)

_SESSION = Table(
    name="SESSION", depth=1,
    meaning="Sets the order session's running numbers all at once.",
    fields=(
        _VALID,
        Field(name="TCP_SEQUENCE", width=32, meaning="Sequence number of the next byte."),
        Field(name="TCP_ACKNOWLEDGE", width=32, meaning="Acknowledgement that is sent."),
        Field(name="WINDOW_END", width=32, meaning="First sequence number not yet allowed."),
        Field(name="VENUE_SEQUENCE", width=64, meaning="The venue's number of the next message."),
        Field(name="CLIENT_ID", width=64, meaning="Client id of the next order."),
    ),
)

_RATE = Table(
    name="RATE", depth=2,
    meaning="Token buckets: row 0 for new orders, row 1 for cancels.",
    fields=(
        Field(name="PERIOD", width=32, unit="cycles", meaning="Time after which a token comes."),
        Field(name="BURST", width=16, unit="orders", meaning="Tokens that the bucket holds."),
    ),
)

_TABLES = (_SUBSCRIPTIONS, _INSTRUMENT_TABLE, _THRESHOLD, _RISK, _TEMPLATE, _VENUE_INSTRUMENT,
           _SESSION, _RATE)

CONFIGURATION: tuple[Entry, ...] = (
    Staging(name="ROW", words=-(-max(table.width for table in _TABLES) // 32),
            meaning="The row that the next write to a table's word commits."),
    _CONTROL,
    *_TABLES,
)
