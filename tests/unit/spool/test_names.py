"""Names in the directory of an association."""

import pytest

from oxidicom.spool.journal import is_open, is_to_be_told
from oxidicom.spool.names import (
    DUE,
    RECEIVED,
    REGISTERED,
    STORED,
    TOLD,
    EntryName,
    MetadataValue,
    in_order,
    parse_name,
    part_name,
)

HASH = "0123456789abcdef0123"


@pytest.mark.parametrize("state", [RECEIVED, STORED])
def test_an_entry_is_read_as_it_was_written(state):
    name = EntryName(17, HASH, 4096)
    assert parse_name(name.at(state)) == (name, state)


def test_names_are_in_the_order_of_their_numbers_then_come_values():
    names = [EntryName(number, HASH, 1).at(STORED) for number in (1, 999_999, 1_000_000, 10_000_000)]
    names.append(MetadataValue("0" * 20, "KEY", "1").at(STORED))
    assert sorted(names, key=in_order) == names


@pytest.mark.parametrize("state", [DUE, STORED, REGISTERED])
def test_a_value_is_read_as_it_was_written(state):
    name = MetadataValue(HASH, "OxidicomAttemptedPushCount", "17")
    assert parse_name(name.at(state)) == (name, state)


@pytest.mark.parametrize("other", [part_name(1), "ledger.jsonl", "1-x-2.received", "", "000001-0-1.stored", "a=b.due"])
def test_every_other_name_is_passed_over(other):
    assert parse_name(other) is None


def test_the_end_of_a_series_may_be_told():
    name = MetadataValue(HASH, "OxidicomAttemptedPushCount", "17")
    assert parse_name(name.at(TOLD)) == (name, TOLD)
    assert is_to_be_told(name, REGISTERED)
    assert not is_to_be_told(name, STORED)
    assert not is_to_be_told(name, TOLD)
    assert not is_to_be_told(name._replace(key="NumberOfSeriesRelatedInstances"), REGISTERED)
    assert not is_to_be_told(name._replace(text="unknown"), REGISTERED), "a placeholder of what was put back"
    assert not is_open(name, REGISTERED)
    assert not is_open(name, TOLD)
