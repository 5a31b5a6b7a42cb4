# amaranth: UnusedElaboratable=no
"""Sizes of a price-level book that are refused, with the field, the value and what is allowed."""

import pytest
from tickwire.hdl.book.price_level import PriceLevelBook


@pytest.mark.parametrize("sizes, sentence", [
    ({"instruments": 129}, "instruments must be a power of two from 2 to 128, not 129"),
    ({"levels": 48}, "levels must be a power of two from 2 to 128, not 48"),
    ({"levels": 8, "row_levels": 16}, "row_levels must be a power of two from 2 to 8, not 16"),
    ({"queue": 4}, "queue must be a power of two from 8 to 4096, not 4"),
    ({"channels": 65}, "channels must be a power of two from 2 to 64, not 65")])
def test_sizes_that_are_not_supported(sizes, sentence):
    with pytest.raises(ValueError, match=f"PriceLevelBook {sentence}"):
        PriceLevelBook(**sizes)
