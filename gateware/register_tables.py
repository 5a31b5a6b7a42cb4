"""The configuration page: switches, and the tables that the host fills row by row."""

from tickwire.hdl.csr.register_table import Entry, Field, Register, Staging, Table

__all__ = ["CONFIGURATION"]

_VALID = Field(name="VALID", width=1, meaning="The row is in use.")

_HASHED = ("A hash table with two ways of 512 rows: hdl/wire/placement.py says where the key {} "
           "may stand.")

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
    name="SUBSCRIPTIONS", depth=1024,
    meaning="Multicast groups that are market data, one group and port a row.",
    side_effects=_HASHED.format("GROUP | PORT << 32"),
    fields=(
        _VALID,
        Field(name="GROUP", width=32, meaning="IPv4 destination address, first byte highest."),
        Field(name="PORT", width=16, meaning="UDP destination port."),
        Field(name="CHANNEL", width=6, meaning="Dense index of the channel."),
    ),
)

_INSTRUMENT_TABLE = Table(
    name="INSTRUMENT_TABLE", depth=1024,
    meaning="The venue's instrument ids and the dense indices that stand for them.",
    side_effects=_HASHED.format("ID"),
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
        Field(name="MINIMUM_QUANTITY", width=32, unit="mantissa",
              meaning="Smallest quantity of one order."),
        Field(name="MAXIMUM_QUANTITY", width=32, unit="mantissa",
              meaning="Largest quantity of one order."),
        Field(name="LOWEST_PRICE", width=64, unit="price key", meaning="Lower end of the band."),
        Field(name="HIGHEST_PRICE", width=64, unit="price key", meaning="Upper end of the band."),
    ),
)

_TEMPLATE = Table(
    name="TEMPLATE", depth=64,
    meaning="Order frames, 8 bytes a row, with holes that the gateware fills: row 32 x action + "
            "beat, see hdl/wire/order_template.py.",
    side_effects="To be written only while the gateway is disarmed.",
    fields=(Field(name="BYTES", width=64, meaning="Bytes of the frame, first byte lowest."),),
)

_VENUE_INSTRUMENT = Table(
    name="VENUE_INSTRUMENT", depth="instruments",
    meaning="The venue's instrument ids in orders; the row's number is the dense index.",
    side_effects="To be written only while the instrument may not be traded.",
    fields=(Field(name="ID", width=64, meaning="Two's complement."),),
)

_SESSION = Table(
    name="SESSION", depth=1,
    meaning="Loads the order session, all of it at once. Names in brackets are RFC 9293's.",
    fields=(
        Field(name="OPEN", width=1, meaning="The venue has accepted the logon: orders may leave."),
        Field(name="SEQUENCE", width=32, meaning="Next byte to send [SND.NXT]."),
        Field(name="UNACKNOWLEDGED", width=32, meaning="Oldest unacknowledged byte [SND.UNA]."),
        Field(name="PEER_WINDOW", width=32, unit="bytes",
              meaning="What the venue takes beyond that, scaled [SND.WND]."),
        Field(name="ACKNOWLEDGEMENT", width=32, meaning="Next byte expected [RCV.NXT]."),
        Field(name="WINDOW", width=16, meaning="Our window as the header says it."),
        Field(name="VENUE_SEQUENCE", width=64, meaning="The venue's number of the next message."),
        Field(name="LAST_PROCESSED", width=64, meaning="The venue's last message processed."),
        Field(name="CLIENT_ID", width=64, meaning="Client id of the next new order."),
    ),
)

_ACKNOWLEDGE = Table(
    name="ACKNOWLEDGE", depth=1,
    meaning="What the venue's segments say, handed over at once; the rest of the session stands.",
    fields=tuple(part for part in _SESSION.fields
                 if part.name in ("UNACKNOWLEDGED", "PEER_WINDOW", "ACKNOWLEDGEMENT",
                                  "LAST_PROCESSED")),
)

_CLOCK_SET = Table(
    name="CLOCK_SET", depth=1,
    meaning="Sets the clock whose time stands in orders.",
    fields=(Field(name="TIME", width=64, unit="ns", meaning="Time since the Unix epoch."),),
)

_CLOCK_OFFSET = Table(
    name="CLOCK_OFFSET", depth=1,
    meaning="Corrects that clock once.",
    fields=(Field(name="OFFSET", width=64, unit="ns", meaning="Two's complement."),),
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
           _SESSION, _ACKNOWLEDGE, _RATE, _CLOCK_SET, _CLOCK_OFFSET)

CONFIGURATION: tuple[Entry, ...] = (
    Staging(name="ROW", words=-(-max(table.width for table in _TABLES) // 32),
            meaning="The row that the next write to a table's word commits."),
    _CONTROL,
    Register(name="CLOCK_INCREMENT", width=40, unit="2^-32 ns", reset=27_487_790_694,
             meaning="Length of a cycle for the clock; reset: 6.4 ns."),
    Register(name="MAX_FRAME_LENGTH", width=14, unit="bytes",
             meaning="Longest good frame with FCS, without VLAN tags, at most 9,216; 0 is "
                     "MAX_FRAME, which the gateway was built with."),
    *_TABLES,
)
