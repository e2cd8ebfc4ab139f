"""Since when files are registered: any date that can be written, and any time that a file may bear."""

import datetime
import math
import os
import time

import pytest

from oxidicom.operations.consent import Wish, seconds_of

_LAST = datetime.datetime(9999, 12, 31, 23, 59, 59)  # noqa: DTZ001 (local time)


@pytest.fixture
def time_zone(monkeypatch):
    def be(name):
        monkeypatch.setenv("TZ", name)
        time.tzset()

    yield be
    monkeypatch.undo()
    time.tzset()


def day(text):
    return datetime.datetime.fromisoformat(text)


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Tokyo"])
@pytest.mark.parametrize("since", ["0001-01-01", "0001-01-02", "1969-12-31", "1970-01-01"])
@pytest.mark.parametrize("seconds", [0, -1, -100_000, -(2**31), 2**31, 2**33])
def test_up_to_1970_it_is_everything(zone, since, seconds, time_zone, tmp_path):
    time_zone(zone)
    (tmp_path / "x").touch()
    os.utime(tmp_path / "x", (0, seconds))
    assert seconds_of(day(since)) == -math.inf
    assert Wish(True, seconds_of(day(since))).covers(os.fsencode(tmp_path / "x"))


@pytest.mark.parametrize(("seconds", "covered"), [(-(2**31), False), (0, False), (1_500_000_000, False), (2**33, True)])
def test_later_it_is_what_is_not_older(seconds, covered, tmp_path):
    (tmp_path / "x").touch()
    os.utime(tmp_path / "x", (0, seconds))
    assert Wish(True, seconds_of(day("2020-01-01"))).covers(os.fsencode(tmp_path / "x")) is covered
    assert Wish(True).covers(os.fsencode(tmp_path / "x"))


def test_a_day_begins_at_midnight_here(time_zone):
    time_zone("America/New_York")
    assert seconds_of(day("2020-01-01")) == 1_577_854_800


def test_a_date_that_no_clock_has_is_a_value_error(time_zone):
    time_zone("Asia/Tokyo")
    with pytest.raises(ValueError, match="out of range"):
        seconds_of(_LAST)
