"""Times and numbers for people."""

import datetime

import pytest

from oxidicom.wording import counted, days_away, duration, seconds_in


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (-1, "0 s"), (59, "59 s"), (60, "1 min"), (61, "1 min 1 s"), (3600, "1 h"), (90061, "1 d 1 h")],
)
def test_a_time_has_its_two_largest_units(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("15min", 900), ("1.5 h", 5400), (" 2d ", 172_800)])
def test_a_time_is_a_number_with_its_unit(text, seconds):
    assert seconds_in(text) == seconds


def test_units_and_most_are_those_of_the_caller():
    assert seconds_in("500ms", units="ms s", most_seconds=60) == 0.5
    for text in ("61s", "1min"):
        with pytest.raises(ValueError, match="is expected, up to 1 min, such as 500ms"):
            seconds_in(text, "500ms", units="ms s", most_seconds=60)


@pytest.mark.parametrize("text", ["", "15", "min", "-1h", "1e3s", "5m", "١min", "1h30min"])
def test_anything_else_is_not_guessed(text):
    with pytest.raises(ValueError, match="a number with its unit"):
        seconds_in(text)


@pytest.mark.parametrize(
    ("hours", "text"),
    [
        (49, "in 2 days"),
        (24, "in 1 day"),
        (23, "within a day"),
        (0, "within a day"),
        (-1, "less than a day ago"),
        (-24, "1 day ago"),
        (-95, "3 days ago"),
    ],
)
def test_days_are_counted_in_both_directions(hours, text):
    assert days_away(datetime.timedelta(hours=hours)) == text


def test_one_is_no_plural():
    assert [counted(number, "process") for number in (0, 1, 2)] == ["0 processes", "1 process", "2 processes"]
