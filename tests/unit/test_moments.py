"""Moments that no calendar has, or that a time zone pushes out of it."""

import datetime
import time

import pytest

from oxidicom.moments import local_time, moment_at


@pytest.mark.parametrize("seconds", [1e14, -1e14, 1e300, float("inf")])
def test_a_moment_that_no_calendar_has_is_the_first(seconds):
    assert moment_at(seconds) == datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def test_a_moment_is_shown_in_local_time_if_there_is_one(monkeypatch):
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        assert local_time(moment_at(0)) == "1969-12-31 19:00:00"
        first = datetime.datetime.min.replace(tzinfo=datetime.UTC)
        assert local_time(first, "%H:%M:%S") == "00:00:00"
    finally:
        monkeypatch.undo()
        time.tzset()
