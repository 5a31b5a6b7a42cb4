"""Event records of the gateware as NumPy arrays, and the numbers in them as people read them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from tickwire.gateware.records import FLAGS, RECORD_BYTES, RECORDS, Record

__all__ = ["dtype_of", "split", "key_to_float", "float_to_key", "bits_to_float", "touches",
           "elapsed", "flag", "flatten"]

_UNSIGNED = {8: "u1", 16: "<u2", 32: "<u4", 64: "<u8"}


def dtype_of(record: Record) -> np.dtype[Any]:
    """Layout of one kind of record, 64 bytes."""
    return np.dtype([(part.name, _UNSIGNED[part.width]) for part in record.fields])


def split(raw: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
    """Records of each kind, by the kind's name, in the order in which they were made.

    Parameters
    ----------
    raw : array of uint8
        Any number of whole records, as they stand in the ring.

    Raises
    ------
    ValueError
        If the bytes are no whole records, or a record is of no known kind.
    """
    raw = np.ascontiguousarray(raw, dtype=np.uint8).reshape(-1)
    if raw.size % RECORD_BYTES:
        raise ValueError(f"{raw.size} bytes are no whole number of records of {RECORD_BYTES} bytes")
    rows = raw.reshape(-1, RECORD_BYTES)
    kinds = rows[:, RECORDS[0].low("kind") // 8]
    known = np.isin(kinds, [record.number for record in RECORDS])
    if not known.all():
        raise ValueError(f"event record {int(np.flatnonzero(~known)[0])} has the unknown kind "
                         f"{int(kinds[~known][0])}")
    return {record.name: rows[kinds == record.number].copy().view(dtype_of(record)).reshape(-1)
            for record in RECORDS}


def key_to_float(keys: Any) -> NDArray[np.float64]:
    """Ordered keys (sign inverted, negative numbers inverted whole) to doubles."""
    keys = np.asarray(keys, dtype=np.uint64)
    top = np.uint64(1 << 63)
    return np.where(keys & top, keys ^ top, ~keys).view(np.float64)


def float_to_key(values: Any) -> NDArray[np.uint64]:
    """Doubles to ordered keys; negative zero is taken as zero."""
    bits = (np.asarray(values, dtype=np.float64) + 0.0).view(np.uint64)
    top = np.uint64(1 << 63)
    return np.where(bits & top, ~bits, bits | top)


def bits_to_float(bits: Any) -> NDArray[np.float64]:
    """The venue's bits of an amount as a double."""
    return np.ascontiguousarray(bits, dtype=np.uint64).view(np.float64)


def flag(records: NDArray[Any], name: str) -> NDArray[np.bool_]:
    """One bit of the field ``flags``."""
    return (records["flags"] >> FLAGS.index(name) & 1).astype(bool)


def touches(records: NDArray[Any]) -> NDArray[np.float64]:
    """Bid price, bid amount, ask price, ask amount a row; zeros for a side without a level."""
    found = np.stack([key_to_float(records["bid_price"]), bits_to_float(records["bid_amount"]),
                      key_to_float(records["ask_price"]), bits_to_float(records["ask_amount"])],
                     axis=1)
    found[~flag(records, "bid_valid"), :2] = 0.0
    found[~flag(records, "ask_valid"), 2:] = 0.0
    return found


def elapsed(start: Any, end: Any) -> NDArray[np.int64]:
    """Cycles from one 16-bit stamp to a later one (less than 65,536 apart)."""
    return ((np.asarray(end, dtype=np.int64) - np.asarray(start, dtype=np.int64)) & 0xFFFF)


_FLAT = np.dtype([
    ("sequence", "<u4"), ("kind", "U6"), ("frame", "<u4"), ("instrument", "u1"),
    ("tradable", "?"), ("timestamp", "<u8"), ("change_id", "<u8"), ("bid_price", "<f8"),
    ("bid_amount", "<f8"), ("ask_price", "<f8"), ("ask_amount", "<f8"), ("side", "u1"),
    ("price", "<f8"), ("quantity", "<u4"), ("client_id", "<u8"), ("reason", "u1"),
    ("action", "u1"), ("source", "u1"), ("cycle", "<u8"), ("published", "<u2"), ("stamp", "<u2"),
    ("decided", "<u2"), ("released", "<u2"), ("frame_end", "<u2"), ("preamble", "<u2"),
])


def flatten(raw: NDArray[np.uint8]) -> NDArray[Any]:
    """All records as one table in the order in which they were made; doubles as doubles.

    Fields that a kind of record does not have are 0, prices and amounts NaN.
    """
    parts = []
    for name, records in split(raw).items():
        part = np.zeros(len(records), dtype=_FLAT)
        for field in ("bid_price", "bid_amount", "ask_price", "ask_amount", "price"):
            part[field] = np.nan
        part["kind"] = name
        part["tradable"] = flag(records, "tradable")
        for field in records.dtype.names or ():
            if field.endswith("price"):
                part[field] = key_to_float(records[field])
            elif field.endswith("amount"):
                part[field] = bits_to_float(records[field])
            elif field in (part.dtype.names or ()) and field != "kind":
                part[field] = records[field]
        if name == "BOOK":
            part["cycle"] = (records["published_high"].astype(np.uint64) << np.uint64(16)
                             | records["published"])
            for at, field in enumerate(("bid_price", "bid_amount", "ask_price", "ask_amount")):
                part[field] = touches(records)[:, at]
        parts.append(part)
    found = np.concatenate(parts)
    return found[np.argsort(found["sequence"], kind="stable")]
