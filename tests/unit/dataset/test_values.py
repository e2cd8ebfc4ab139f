"""Dates, ages and UIDs: the usable ones, and all others."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oxidicom.dataset.values import MAX_INTEGER, is_strict_uid, is_uid, parse_age_days, parse_date


@pytest.mark.parametrize("text", ["20130308", "2013-03-08", "2013.03.08"])
def test_a_date_is_parsed_in_three_spellings(text: str) -> None:
    assert parse_date(text) == datetime.date(2013, 3, 8)


@pytest.mark.parametrize(
    "text",
    ["", "20130229", "00000101", "20131301", "2013-0308", "2013-03.08", "201303", "20130308 ", "２0130308"],
)
def test_what_is_no_day_of_the_calendar_is_unusable(text: str) -> None:
    assert parse_date(text) is None


@given(st.dates())
def test_every_date_is_parsed(date: datetime.date) -> None:
    assert parse_date(f"{date.year:04}{date.month:02}{date.day:02}") == date


@pytest.mark.parametrize(
    ("text", "days"),
    [("030Y", 10957), ("020D", 20), ("2W", 14), ("5M", 152), ("000D", 0), ("2147483647D", MAX_INTEGER)],
)
def test_an_age_is_parsed_into_days(text: str, days: int) -> None:
    assert parse_age_days(text) == days


@pytest.mark.parametrize("text", ["", "Y", "030", "030y", "-30Y", "2147483648D", "9999999999Y", "9" * 4000 + "Y"])
def test_another_age_is_unusable(text: str) -> None:
    assert parse_age_days(text) is None


@pytest.mark.parametrize(("text", "usable"), [("1.2.3", True), ("1" * 64, True), ("1" * 65, False), ("", False)])
def test_a_uid_has_1_to_64_characters(text: str, usable: bool) -> None:
    assert is_uid(text) is usable


@pytest.mark.parametrize("text", ["1.2/3", "1.2.x", "~!", "f00-ba4_+="])
def test_a_uid_has_any_visible_characters(text: str) -> None:
    assert is_uid(text)
    assert not is_strict_uid(text)


@pytest.mark.parametrize("text", ["1.2\n", "١.2", "1 2", "1.2\x7f", "é"])
def test_a_uid_has_visible_characters_of_ascii_only(text: str) -> None:
    assert not is_uid(text)


@pytest.mark.parametrize(("text", "strict"), [("1.2.0.3", True), ("1.02", False), ("1..2", False), (".1", False)])
def test_stricter_rules_are_told_apart(text: str, strict: bool) -> None:
    assert is_strict_uid(text) is strict
