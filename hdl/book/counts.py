"""What the book counts, by name of its port without ``o_count_``."""

__all__ = ["AUTHORITY_COUNTS", "WRITER_COUNTS"]

AUTHORITY_COUNTS = {
    "updates": "logical updates applied whole",
    "level_changes": "level changes of increments applied",
    "snapshots_built": "books built from a snapshot",
    "snapshots_ignored": "snapshots of a healthy book, or that could not be used",
    "contained": "increments that the book already contains",
    "chain_breaks": "increments that do not follow the book's change id",
    "inconsistent": "messages that contradict the book, or are not whole",
    "beyond_horizon": "levels ignored, or lost, behind a full side's horizon",
    "exhausted": "books whose side is empty while levels beyond its horizon are unknown",
    "late": "events of increments that the preview could not give",
    "preview_mismatch": "preview events that the authority contradicts: must stay 0",
}

WRITER_COUNTS = {
    "queue_overflow": "good frames lost because the queue was full",
    "unknown_instrument": "messages of an instrument that is not in the table",
}
