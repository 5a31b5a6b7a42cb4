"""Fields of a fixed layout by name: bytes from values and values from bytes."""

from __future__ import annotations

from collections.abc import Container, Mapping

from tickwire.hdl.wire.fixed import FixedLayout

__all__ = ["Value", "WireError", "pack", "unpack"]

Value = int | str


class WireError(ValueError):
    """Bytes or values do not fit a venue's message; the text says which and why."""


def pack(layout: FixedLayout, values: Mapping[str, Value], *, text: Container[str], fill: bytes,
         size: int | None = None) -> bytes:
    """Bytes of a layout, or of its first ``size`` ones. What is not named is 0, text is empty.

    Parameters
    ----------
    text : container of str
        Fields that are text, ``fill`` behind it.

    Raises
    ------
    WireError
        If a value does not fit its field, or there is no such field.
    """
    unknown = values.keys() - {field.name for field in layout}
    if unknown:
        raise WireError(f"{layout.name} has no field {', '.join(sorted(unknown))}")
    image = b""
    for field in layout:
        if field.name in text:
            written = str(values.get(field.name, ""))
            if len(written) > field.size or not written.isascii():
                raise WireError(f"{field.name} of {layout.name} has {field.size} ASCII "
                                f"characters, not those of {written!r}")
            image += written.encode("ascii").ljust(field.size, fill)
            continue
        number = int(values.get(field.name, 0))
        try:
            image += number.to_bytes(field.size, layout.byteorder, signed=number < 0)
        except OverflowError:
            raise WireError(f"{field.name} of {layout.name} has {field.size} bytes, too few for "
                            f"{number}") from None
    return image[:size]


def unpack(layout: FixedLayout, image: bytes, *, text: Container[str], fill: bytes,
           unsigned: Container[str] | None = None, size: int | None = None) -> dict[str, Value]:
    """Values of a layout's fields, or of those in its first ``size`` bytes.

    Parameters
    ----------
    unsigned : container of str or None
        Numbers that are never negative; None: all of them.

    Raises
    ------
    WireError
        If there are too few bytes, or a text is not ASCII.
    """
    size = layout.size if size is None else size
    if len(image) < size:
        raise WireError(f"{layout.name} has {len(image)} bytes, not {size}")
    values: dict[str, Value] = {}
    for field in layout:
        if field.offset >= size:
            break
        part = image[field.offset:field.offset + field.size]
        if field.name not in text:
            values[field.name] = int.from_bytes(
                part, layout.byteorder, signed=unsigned is not None and field.name not in unsigned)
            continue
        try:
            values[field.name] = part.rstrip(fill).decode("ascii")
        except UnicodeDecodeError:
            raise WireError(f"{field.name} of {layout.name} is not ASCII") from None
    return values
