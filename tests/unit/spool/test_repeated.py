"""Which instances came again, whatever their number."""

import itertools

import pytest

from oxidicom.spool.ledger import Committed
from oxidicom.spool.repeated import repeated_counts


def committed(*names):
    return [Committed(number, name[0], 1, name) for number, name in enumerate(names)]


@pytest.mark.parametrize("max_at_once", [1, 2, 3, 100])
def test_each_that_came_before_counts_in_its_series(max_at_once):
    lines = committed("a1", "b1", "a1", "a2", "a1", "b2", "c1")
    found = repeated_counts(itertools.repeat(lines), len(lines), max_at_once=max_at_once)
    assert found == {"a": 2}


def test_a_ledger_of_a_usual_length_is_read_once_and_an_empty_one_not_at_all():
    lines = committed("a1", "a1")
    passes = iter([lines])
    assert repeated_counts(passes, len(lines)) == {"a": 1}
    assert repeated_counts(passes, 0) == {}
