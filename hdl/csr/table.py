"""The door through which the host writes a row of a table."""

from amaranth.lib import stream
from amaranth.lib.data import StructLayout

__all__ = ["table_write"]


def table_write(row, depth):
    """A strobe that writes one whole row: ``payload.index`` (0 … depth - 1), ``payload.row``."""
    return stream.Signature(StructLayout({"index": range(depth), "row": row}), always_ready=True)
