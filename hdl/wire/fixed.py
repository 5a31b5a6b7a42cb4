"""Tables of headers and messages whose fields have fixed sizes and follow one another."""

from typing import NamedTuple

__all__ = ["FixedField", "FixedLayout"]


class FixedField(NamedTuple):
    """Where one field stands: ``offset`` and ``size`` in bytes from the layout's first byte."""

    name: str
    offset: int
    size: int


class FixedLayout:
    """Fields without gaps, in the order of the wire.

    Parameters
    ----------
    name : str
        What the standard calls it.
    fields : iterable of (str, int)
        Field names and sizes in bytes.
    byteorder : str
        ``"big"`` or ``"little"``, as ``int.to_bytes`` takes it.

    Raises
    ------
    ValueError
        For a size below 1, a repeated name or an unknown byte order.
    KeyError
        From ``layout[name]`` and :meth:`pack`, for a field that the layout does not have.
    """

    def __init__(self, name, fields, *, byteorder):
        if byteorder not in ("big", "little"):
            raise ValueError(f"Byte order of {name} must be 'big' or 'little', not {byteorder!r}")
        self.name = name
        self.byteorder = byteorder
        self.size = 0
        self._fields = {}
        for field, size in fields:
            if size < 1:
                raise ValueError(f"Field {field} of {name} must have a size of at least one byte, "
                                 f"not {size!r}")
            if field in self._fields:
                raise ValueError(f"{name} has two fields called {field}")
            self._fields[field] = FixedField(field, self.size, size)
            self.size += size

    def __getitem__(self, field):
        try:
            return self._fields[field]
        except KeyError:
            raise KeyError(f"{self.name} has no field {field}, only "
                           f"{', '.join(self._fields)}") from None

    def __iter__(self):
        return iter(self._fields.values())

    def pack(self, **values):
        """Bytes of the layout. Fields that are not named are zero; negative numbers are signed.

        Raises
        ------
        ValueError
            If a value does not fit its field.
        """
        image = bytearray(self.size)
        for name, value in values.items():
            field = self[name]
            try:
                packed = value.to_bytes(field.size, self.byteorder, signed=value < 0)
            except OverflowError:
                raise ValueError(f"{value} does not fit field {name} of {self.name}, which has "
                                 f"{field.size} bytes") from None
            image[field.offset:field.offset + field.size] = packed
        return bytes(image)
