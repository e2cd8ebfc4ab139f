"""A stencil fits what differs from its sample in its holes only."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oxidicom.stencil import Stencil


@pytest.mark.parametrize("data", [b"abXXefYhij", b"ab..ef.hijklm", bytearray(b"abcdefghij"), memoryview(b"ab  ef hij")])
def test_holes_may_differ_and_more_may_follow(data: bytes) -> None:
    assert Stencil(b"abcdefghij", [(6, 7), (2, 4)]).fits(data)


@pytest.mark.parametrize("data", [b"abXXefYhi", b"aXcdefghij", b"abcdeXghij", b"abcdefghiX", b""])
def test_what_is_covered_may_not(data: bytes) -> None:
    assert not Stencil(b"abcdefghij", [(2, 4), (6, 7)]).fits(data)


@given(st.binary(min_size=1, max_size=60), st.data())
def test_it_fits_exactly_what_is_equal_outside_of_its_holes(sample: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(sample)), max_size=8)))
    holes = [(start, end) for start, end in zip(cuts[::2], cuts[1::2], strict=False)]
    covered = [at for at in range(len(sample)) if not any(start <= at < end for start, end in holes)]
    other = bytearray(sample)
    for at in data.draw(st.sets(st.integers(0, len(sample) - 1), max_size=4)):
        other[at] = data.draw(st.integers(0, 255))
    assert Stencil(sample, holes).fits(other) == all(other[at] == sample[at] for at in covered)
