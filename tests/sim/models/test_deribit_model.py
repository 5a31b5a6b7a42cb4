"""The golden model gives every figure of data/INDEX.md's table on the real capture."""

import re
import struct
from pathlib import Path

import pytest
from tickwire.sim.capture import read_capture
from tickwire.sim.models import deribit
from tickwire.sim.models.deribit import DeribitError, Message, parse_datagram, udp_payload
from tickwire.sim.models.deribit_books import ASK, BID, Books, summarise
from tickwire.sim.rewrite import flip_bits


@pytest.fixture(scope="module")
def summary(real_capture):
    return summarise(read_capture(real_capture))


def test_message_counts(summary):
    assert summary.messages == {
        "ticker": 4211, "book": 1064, "trades": 332, "priceIndex": 468, "instrument": 194,
        "instrumentV2": 194, "snapshot": 197, "snapshotStart": 60, "snapshotEnd": 60}


def test_figures(summary):
    assert summary.figures() == {
        "packets": 5066, "datagrams": 5066, "messages": 6780, "fills": 421,
        "tickers_checked": 3441, "tickers_equal": 3441, "tickers_before_book": 770,
        "books_started": 84, "books_started_with_change_id_0": 38,
        "level_changes": 1224, "updates": 1064, "not_last": 0, "chain_breaks": 0,
        "sequence_gaps": 0, "snapshots_checked": 110, "snapshots_equal": 110,
        "snapshots_in_parts": 3, "max_depth": 33, "false_touches": 67,
        "crossed_level_changes": 22}
    assert len(summary.channels) == 29


def test_one_damaged_level_is_seen(real_capture):
    """The figures are no constants: one flipped bit in the amount of a level makes both fall."""
    figures = summarise(flip_bits(read_capture(real_capture), 1756, 259, 1)).figures()
    assert (figures["tickers_checked"], figures["tickers_equal"]) == (3441, 3407)
    assert (figures["snapshots_checked"], figures["snapshots_equal"]) == (110, 109)


def book(previous, change_id, levels, *, last=1, instrument=7):
    return Message(1001, {"instrumentId": instrument, "timestampMs": 0, "prevChangeId": previous,
                          "changeId": change_id, "isLast": last}, levels)


def snapshot(change_id, levels, *, last=1, instrument=7):
    return Message(1004, {"instrumentId": instrument, "timestampMs": 0, "changeId": change_id,
                          "isBookComplete": 1, "isLastInBook": last}, levels)


def apply(books, *messages):
    for message in messages:
        books.message(1, message)


def test_updates_in_parts_and_snapshots_in_parts():
    seen = []
    books = Books(on_update=lambda packet, message, book: seen.append(book.touch()))
    apply(books,
          book(1, 2, [(ASK, 0, 9.0, 1.0)]),                     # before the book: nothing
          snapshot(5, [(ASK, 11.0, 1.0)], last=0), snapshot(5, [(BID, 10.0, 2.0)]),
          book(5, 6, [(ASK, 0, 10.5, 3.0)], last=0), book(5, 6, [(BID, 1, 10.0, 4.0)]),
          book(5, 6, [(BID, 1, 10.0, 9.0)]))                    # repeated: is in it already
    assert seen == [(10.0, 4.0, 10.5, 3.0)]
    assert books.started == 1 and books.chain_breaks == 0 and books.already_contained == 1
    apply(books, snapshot(6, [(ASK, 10.5, 3.0), (ASK, 11.0, 1.0), (BID, 10.0, 4.0)]))
    assert [check.equal for check in books.snapshots] == [True]


def test_a_broken_chain_is_mended_by_a_snapshot():
    seen = []
    books = Books(on_update=lambda packet, message, book: seen.append(book.touch()))
    apply(books, snapshot(5, [(ASK, 11.0, 1.0)]), book(6, 7, [(BID, 0, 10.0, 1.0)]),
          book(7, 8, [(BID, 0, 10.1, 1.0)]))
    assert books.chain_breaks == 1 and seen == []
    assert not books.books[7].healthy
    apply(books, snapshot(8, [(ASK, 11.0, 1.0), (BID, 10.1, 1.0)]),
          book(8, 9, [(ASK, 2, 11.0, 0.0)]))
    assert seen == [(10.1, 1.0, 0.0, 0.0)]


def test_damaged_datagrams_are_refused(real_capture):
    packet = next(p for p in read_capture(real_capture) if b"\xe9\x03" in p.data[50:60])
    payload = udp_payload(packet.data)[3]
    good = parse_datagram(payload)
    assert good.messages[-1].end == len(payload)
    for cut in range(len(payload)):
        with pytest.raises(DeribitError):
            parse_datagram(payload[:cut])
        shortened = struct.pack("<H", max(0, cut - 8)) + payload[2:cut]
        if cut >= 8 and cut not in {8, *(message.end for message in good.messages)}:
            with pytest.raises(DeribitError):
                parse_datagram(shortened)


def test_offsets_of_the_ticker_fields_follow_from_the_layout():
    layout, names = deribit.BLOCKS[1003]
    at = {name: struct.calcsize(layout.format[:4] + f"{index - 3}d") if index > 3 else None
          for index, name in enumerate(names)}
    assert (at["bestBidPrice"], at["bestBidAmount"]) == (deribit.TICKER_BID_PRICE,
                                                         deribit.TICKER_BID_AMOUNT)
    assert (at["bestAskPrice"], at["bestAskAmount"]) == (deribit.TICKER_ASK_PRICE,
                                                         deribit.TICKER_ASK_AMOUNT)


def test_the_models_import_nothing_of_the_gateware():
    folder = Path(deribit.__file__).parent
    for path in folder.glob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"^\s*(import|from) +(tickwire\.(hdl|gateware|boards)|amaranth)",
                             text, re.MULTILINE)
