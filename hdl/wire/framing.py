"""How messages follow one another in a venue's TCP stream."""

from dataclasses import dataclass

from . import soupbintcp, starbase
from .fixed import FixedField

__all__ = ["Framing", "SOUPBINTCP_FRAMING", "STARBASE_FRAMING"]


@dataclass(frozen=True)
class Framing:
    """Where a message's header says how long it is, and what it may say.

    Parameters
    ----------
    name : str
        What the venue calls the protocol.
    length : FixedField
        The length field, within the first eight bytes.
    byteorder : str
        Of the length field.
    outside : int
        Bytes of the message that the length does not count.
    alignment : int
        A message is padded to a multiple of so many bytes, which the length does not count either.
    smallest, largest : int
        Bytes of a message, padding not counted; another length is impossible.
    marker : int or None
        What the first byte must be.

    Raises
    ------
    ValueError
        If the length field is not within the first eight bytes or not of 2 bytes, or if the
        limits contradict one another.
    """

    name: str
    length: FixedField
    byteorder: str
    outside: int
    alignment: int
    smallest: int
    largest: int
    marker: int | None = None

    def __post_init__(self):
        if self.length.size != 2 or self.length.offset + 2 > 8:
            raise ValueError(f"Length of {self.name} must be 2 bytes among the first 8, not "
                             f"{self.length.size} at offset {self.length.offset}")
        if not self.length.offset + 2 <= self.smallest <= self.largest <= 65535:
            raise ValueError(f"Messages of {self.name} must have from {self.length.offset + 2} to "
                             f"65535 bytes, smallest first, not {self.smallest} to {self.largest}")


#: The largest is ours: no message of the venue comes near it.
SOUPBINTCP_FRAMING = Framing(
    "SoupBinTCP", soupbintcp.PACKET_HEADER["length"], soupbintcp.PACKET_HEADER.byteorder,
    outside=soupbintcp.PACKET_HEADER["length"].size, alignment=1,
    smallest=soupbintcp.PACKET_HEADER.size, largest=2048)

#: Deribit Starbase. Its length counts the header, but not the padding.
STARBASE_FRAMING = Framing(
    "Starbase", starbase.HEADER["messageLength"], starbase.HEADER.byteorder, outside=0,
    alignment=starbase.ALIGNMENT, smallest=starbase.HEADER.size, largest=8192,
    marker=starbase.PROTOCOL_ID)
