"""Simple Binary Encoding: what a schema says, as tables from which decoders are generated.

A message is a header, a root block of fixed fields, repeating groups and variable-length data, in
this order (FIX Simple Binary Encoding 1.0, 3). The lengths of blocks are on the wire, so a reader
skips what a newer version has added behind the fields that it knows.
"""

from dataclasses import dataclass

from .fixed import FixedLayout

__all__ = ["SIZES", "Group", "Message", "Schema"]

#: Bytes of each field type.
SIZES = {"u8": 1, "u16": 2, "u32": 4, "u64": 8, "i32": 4, "f64": 8, "char8": 8, "char16": 16}


def _layout(name, fields):
    for field, kind in fields:
        if kind not in SIZES:
            raise ValueError(f"Field {field} of {name} has the type {kind!r}; known are "
                             f"{', '.join(SIZES)}")
    return FixedLayout(name, [(field, SIZES[kind]) for field, kind in fields],
                       byteorder="little")


class _Block:
    """Fields in the order of the wire: ``(name, type)`` pairs, and the layout made of them."""

    def __init__(self, name, fields):
        self.name = name
        self.fields = tuple(fields)
        self.layout = _layout(name, self.fields)

    @property
    def block_length(self):
        """Bytes of the fields that the table knows; more may be on the wire."""
        return self.layout.size


class Group(_Block):
    """A repeating group: each entry is a block of ``fields``."""


class Message(_Block):
    """One message.

    Parameters
    ----------
    name : str
    template_id : int
    fields : iterable of (str, str)
        Names and types of the root block.
    groups : iterable of Group
    data : iterable of str
        Names of the variable-length fields.
    """

    def __init__(self, name, template_id, fields=(), groups=(), data=()):
        super().__init__(name, fields)
        self.template_id = template_id
        self.groups = tuple(groups)
        self.data = tuple(data)


@dataclass(frozen=True, eq=False)
class Schema:
    """A feed's framing and its messages.

    Parameters
    ----------
    name : str
    schema_id : int
        What each message's header must name.
    frame_header : FixedLayout
        Stands once at the head of a datagram; has ``length`` (bytes behind it) and ``sequence``.
    message_header : FixedLayout
        Has ``blockLength``, ``templateId``, ``schemaId``, ``numGroups``, ``numVarDataFields``.
    group_header : FixedLayout
        Has ``blockLength``, ``numInGroup``, ``numGroups``, ``numVarDataFields``.
    messages : tuple of Message
        In the order in which they are counted.

    Raises
    ------
    ValueError
        If two messages share a name or a template id.
    KeyError
        From ``schema[name]``, if there is no such message.
    """

    name: str
    schema_id: int
    frame_header: FixedLayout
    message_header: FixedLayout
    group_header: FixedLayout
    messages: tuple

    def __post_init__(self):
        for attribute in ("name", "template_id"):
            values = [getattr(message, attribute) for message in self.messages]
            for value in values:
                if values.count(value) > 1:
                    raise ValueError(f"{self.name} has two messages with the {attribute} {value}")

    def __getitem__(self, name):
        for message in self.messages:
            if message.name == name:
                return message
        raise KeyError(f"{self.name} has no message {name}, only "
                       f"{', '.join(message.name for message in self.messages)}")
