"""Where keys go in the hash tables of the gateway: computed by the host, read by the hardware.

A table has two ways of ``rows`` rows each. A key may stand in one row of either way, so that the
hardware reads two rows and compares twice. The row is the remainder of the key, as a polynomial
over GF(2), divided by the way's polynomial: XOR gates only. Two keys can only collide in both ways
if the difference of their bits is a multiple of both polynomials, so runs of ids never do. Slots
are numbered through: way 0 first.

With at most an eighth of the slots in use, a placement practically always exists: for random
keys, 128 in 1,024 slots, about six sets in a million have none.
"""

from functools import reduce
from operator import xor

__all__ = ["POLYNOMIALS", "PlacementError", "polynomials", "remainder", "masks", "Placement",
           "subscription_key"]

#: Two primitive polynomials for each number of row bits, highest power included.
POLYNOMIALS = {
    6: (0b1000011, 0b1011011),
    7: (0b10000011, 0b10001001),
    8: (0b100011101, 0b101100011),
    9: (0b1000010001, 0b1001011001),
    10: (0b10000001001, 0b10000011011),
}


class PlacementError(ValueError):
    """The keys do not fit the table."""


def polynomials(rows):
    """The two polynomials of a table with ``rows`` rows a way.

    Raises
    ------
    ValueError
        If no table of that size is built.
    """
    bits = max(rows - 1, 0).bit_length()
    if rows != 1 << bits or bits not in POLYNOMIALS:
        raise ValueError("A hash table must have "
                         f"{', '.join(str(1 << bits) for bits in POLYNOMIALS)} rows a way, "
                         f"not {rows!r}")
    return POLYNOMIALS[bits]


def remainder(key, polynomial):
    """Row of ``key``: remainder of the division by ``polynomial`` over GF(2)."""
    degree = polynomial.bit_length() - 1
    while (excess := key.bit_length() - 1 - degree) >= 0:
        key ^= polynomial << excess
    return key


def masks(width, polynomial):
    """For each bit of the row, the bits of a ``width``-bit key whose XOR it is."""
    degree = polynomial.bit_length() - 1
    images = [remainder(1 << bit, polynomial) for bit in range(width)]
    return [reduce(xor, (1 << bit for bit in range(width) if images[bit] >> row & 1), 0)
            for row in range(degree)]


def subscription_key(group, port):
    """Key of the subscription table, from IPv4 group (first byte highest) and UDP port."""
    return group | port << 32


class Placement:
    """Contents of one hash table.

    Parameters
    ----------
    rows : int
        Rows a way; the table has twice as many slots.

    Attributes
    ----------
    keys : dict
        Slot to key.
    """

    def __init__(self, rows):
        self.rows = rows
        self.keys = {}
        self._polynomials = polynomials(rows)

    def slots(self, key):
        """The two slots in which the hardware looks for ``key``."""
        return tuple(way * self.rows + remainder(key, polynomial)
                     for way, polynomial in enumerate(self._polynomials))

    def find(self, key):
        """Slot in which ``key`` stands, or None."""
        return next((slot for slot in self.slots(key) if self.keys.get(slot) == key), None)

    def insert(self, key):
        """Makes room for ``key``.

        Returns
        -------
        list of (int, int)
            Slots and the keys to write there, in an order in which no key is ever missing from
            the table on the way; the last one is ``key``. Empty if ``key`` is there already.

        Raises
        ------
        PlacementError
            If no arrangement of the keys has room. The table is unchanged.
        """
        if self.find(key) is not None:
            return []
        # Breadth first: a path of slots, each of whose keys can move to the next one.
        paths = [[slot] for slot in self.slots(key)]
        seen = {path[0] for path in paths}
        for path in paths:
            occupant = self.keys.get(path[-1])
            if occupant is None:
                moved = [self.keys[slot] for slot in path[:-1]]
                writes = list(zip(path, [key, *moved], strict=True))[::-1]
                self.keys.update(writes)
                return writes
            for slot in self.slots(occupant):
                if slot not in seen:
                    seen.add(slot)
                    paths.append([*path, slot])
        raise PlacementError(
            f"Key {key:#x} has no place beside the {len(self.keys)} keys of a table with two ways "
            f"of {self.rows} rows: leave one of {len(seen)} keys out that share its rows, or "
            "build the gateway with more rows")

    def remove(self, key):
        """Slot that becomes free.

        Raises
        ------
        KeyError
            If ``key`` is not in the table.
        """
        slot = self.find(key)
        if slot is None:
            raise KeyError(f"Key {key:#x} is not in the table")
        del self.keys[slot]
        return slot
