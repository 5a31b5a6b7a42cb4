"""Deribit's classic multicast feed: SBE messages, several in a UDP datagram.

Source: Deribit's schema ``com.deribit.multicast``, id 1, version 3, whose field names these are.
All numbers are little-endian. Prices and amounts are IEEE 754 doubles, timestamps milliseconds
since the Unix epoch. Message and group header are longer than SBE's own: both also say how many
groups and variable-length fields follow. Each variable-length field is a length byte and as many
bytes.
"""

from .fixed import FixedLayout
from .sbe import Group, Message, Schema

__all__ = ["FRAME_HEADER", "MESSAGE_HEADER", "GROUP_HEADER", "ASK", "BID", "CREATED", "CHANGED",
           "DELETED", "SNAPSHOT_CHANNELS", "DERIBIT"]

ASK, BID = 0, 1                         # bookSide
CREATED, CHANGED, DELETED = 0, 1, 2     # bookChange
SNAPSHOT_CHANNELS = 100                 # channels from this number on carry snapshots

FRAME_HEADER = FixedLayout("Deribit frame header", [
    ("length", 2),                      # of the messages behind it
    ("channel", 2),
    ("sequence", 4),                    # of this datagram, per channel
], byteorder="little")

MESSAGE_HEADER = FixedLayout("Deribit message header", [
    ("blockLength", 2),
    ("templateId", 2),
    ("schemaId", 2),
    ("version", 2),
    ("numGroups", 2),
    ("numVarDataFields", 2),
], byteorder="little")

GROUP_HEADER = FixedLayout("Deribit group header", [
    ("blockLength", 2),
    ("numInGroup", 2),
    ("numGroups", 2),
    ("numVarDataFields", 2),
], byteorder="little")

_INSTRUMENT_HEAD = (
    ("instrumentId", "u32"),
    ("instrumentState", "u8"),
    ("kind", "u8"),
    ("instrumentType", "u8"),
    ("optionType", "u8"),
)
_INSTRUMENT_TAIL = (
    ("settlementPeriod", "u8"),
    ("settlementPeriodCount", "u16"),
    ("baseCurrency", "char8"),
    ("quoteCurrency", "char8"),
    ("counterCurrency", "char8"),
    ("settlementCurrency", "char8"),
    ("sizeCurrency", "char8"),
    ("creationTimestampMs", "u64"),
    ("expirationTimestampMs", "u64"),
    ("strikePrice", "f64"),
    ("contractSize", "f64"),
    ("minTradeAmount", "f64"),
    ("tickSize", "f64"),
    ("makerCommission", "f64"),
    ("takerCommission", "f64"),
    ("blockTradeCommission", "f64"),
    ("maxLiquidationCommission", "f64"),
    ("maxLeverage", "f64"),
)

DERIBIT = Schema(
    "Deribit multicast", 1, FRAME_HEADER, MESSAGE_HEADER, GROUP_HEADER, (
        Message("instrument", 1000, (*_INSTRUMENT_HEAD, ("rfq", "u8"), *_INSTRUMENT_TAIL),
                data=("instrumentName",)),
        Message("book", 1001, (
            ("instrumentId", "u32"),
            ("timestampMs", "u64"),
            ("prevChangeId", "u64"),
            ("changeId", "u64"),
            ("isLast", "u8"),
        ), groups=(Group("changesList", (
            ("side", "u8"),
            ("change", "u8"),
            ("price", "f64"),
            ("amount", "f64"),
        )),)),
        Message("trades", 1002, (("instrumentId", "u32"),), groups=(Group("tradesList", (
            ("direction", "u8"),
            ("price", "f64"),
            ("amount", "f64"),
            ("timestampMs", "u64"),
            ("markPrice", "f64"),
            ("indexPrice", "f64"),
            ("tradeSeq", "u64"),
            ("tradeId", "u64"),
            ("tickDirection", "u8"),
            ("liquidation", "u8"),
            ("iv", "f64"),
            ("blockTradeId", "u64"),
            ("comboTradeId", "u64"),
        )),)),
        Message("ticker", 1003, (
            ("instrumentId", "u32"),
            ("instrumentState", "u8"),
            ("timestampMs", "u64"),
            ("openInterest", "f64"),
            ("minSellPrice", "f64"),
            ("maxBuyPrice", "f64"),
            ("lastPrice", "f64"),
            ("indexPrice", "f64"),
            ("markPrice", "f64"),
            ("bestBidPrice", "f64"),
            ("bestBidAmount", "f64"),
            ("bestAskPrice", "f64"),
            ("bestAskAmount", "f64"),
            ("currentFunding", "f64"),
            ("funding8h", "f64"),
            ("estimatedDeliveryPrice", "f64"),
            ("deliveryPrice", "f64"),
            ("settlementPrice", "f64"),
        )),
        Message("snapshot", 1004, (
            ("instrumentId", "u32"),
            ("timestampMs", "u64"),
            ("changeId", "u64"),
            ("isBookComplete", "u8"),
            ("isLastInBook", "u8"),
        ), groups=(Group("levelsList", (
            ("side", "u8"),
            ("price", "f64"),
            ("amount", "f64"),
        )),)),
        Message("snapshotStart", 1005, (("snapshotDelay", "u32"),)),
        Message("snapshotEnd", 1006),
        Message("comboLegs", 1007, (("instrumentId", "u32"),), groups=(Group("legsList", (
            ("legInstrumentId", "u32"),
            ("legSize", "i32"),
        )),)),
        Message("priceIndex", 1008, (
            ("indexName", "char16"),
            ("price", "f64"),
            ("timestampMs", "u64"),
        )),
        Message("rfq", 1009, (
            ("instrumentId", "u32"),
            ("state", "u8"),
            ("side", "u8"),
            ("amount", "f64"),
            ("timestampMs", "u64"),
        )),
        Message("instrumentV2", 1010, (*_INSTRUMENT_HEAD, *_INSTRUMENT_TAIL),
                groups=(Group("tickStepsList", (
                    ("abovePrice", "f64"),
                    ("tickSize", "f64"),
                )),), data=("instrumentName",)),
    ))
