"""Placement: every key in one of its two slots, moves that lose none, a clear end."""

import random

import pytest
from tickwire.hdl.wire.placement import (
    POLYNOMIALS,
    Placement,
    PlacementError,
    masks,
    polynomials,
    remainder,
    subscription_key,
)


@pytest.mark.parametrize("seed", range(5))
def test_inserts_and_removes_in_any_order(seed):
    rng = random.Random(seed)
    placement, slots, present = Placement(64), {}, set()
    for _ in range(600):
        if present and (len(present) > 55 or rng.random() < 0.4):
            key = rng.choice(sorted(present))
            present.remove(key)
            del slots[placement.remove(key)]
        else:
            key = rng.choice([rng.getrandbits(48), rng.randrange(200)])
            writes = placement.insert(key)
            assert bool(writes) == (key not in present)
            for slot, moved in writes:
                slots[slot] = moved
                assert present <= set(slots.values()), "a key was overwritten before it moved"
            present.add(key)
        assert set(placement.keys.values()) == present
        for slot, key in placement.keys.items():
            assert slot in placement.slots(key) and placement.find(key) == slot
            assert slots[slot] == key


def test_default_tables_take_what_they_are_made_for():
    rng = random.Random(9)
    for keys in (range(210000, 210128), range(1, 129),
                 [subscription_key(0xefff0000 + group, 6100 + port)
                  for group in range(32) for port in range(4)],
                 rng.sample(range(1 << 32), 128)):
        placement = Placement(512)
        for key in keys:
            placement.insert(key)
        assert sorted(placement.keys.values()) == sorted(keys)


def test_what_cannot_be_placed_says_so_and_changes_nothing():
    placement = Placement(64)
    first, second = POLYNOMIALS[6]
    product = 0
    for bit in range(7):
        product ^= (first << bit) * (second >> bit & 1)
    placement.insert(0)
    placement.insert(product)
    before = dict(placement.keys)
    with pytest.raises(PlacementError, match=r"^Key 0x[0-9a-f]+ has no place beside the 2 keys of "
                                             r"a table with two ways of 64 rows: "):
        placement.insert(product << 1)
    assert placement.keys == before
    with pytest.raises(KeyError, match="Key 0x7 is not in the table"):
        placement.remove(7)


def test_masks_are_the_remainder():
    rng = random.Random(3)
    for pair in POLYNOMIALS.values():
        for polynomial in pair:
            rows = masks(48, polynomial)
            for _ in range(20):
                key = rng.getrandbits(48)
                assert remainder(key, polynomial) == sum(
                    ((key & mask).bit_count() & 1) << bit for bit, mask in enumerate(rows))


def test_impossible_sizes_are_rejected():
    for rows in (0, 1, 32, 100, 2048):
        with pytest.raises(ValueError, match=rf"^A hash table must have 64, 128, 256, 512, 1024 "
                                             rf"rows a way, not {rows}$"):
            polynomials(rows)
