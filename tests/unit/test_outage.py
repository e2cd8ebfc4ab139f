"""An outage in the log: its begin, each hour, its end."""

import pytest
from loguru import logger

from oxidicom import outage as module
from oxidicom.outage import Outage


class Clock:
    """A monotonic clock that stands until it is told to go on."""

    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def lines():
    written = []
    sink = logger.add(lambda message: written.append(message.record), level="INFO", format="{message}")
    yield written
    logger.remove(sink)


def fail(outage, reason="no route", waits=""):
    outage.goes_on("Rows wait", reason, remedy="start it on {host}", waits=waits, host="db")


def test_it_has_a_begin_and_an_end_however_often_it_is_met(lines, clock):
    outage = Outage("database")
    outage.is_over("it is back")
    assert not lines
    for _ in range(59 * 60):
        fail(outage)
        clock.now += 1
    assert outage.lasts
    outage.is_over("it is back; {spool_entries} wait", spool_entries=7)
    assert not outage.lasts
    begin, end = lines
    assert begin["message"] == "Rows wait, because no route. To do: start it on db"
    assert (begin["level"].name, begin["extra"]["action"]) == ("WARNING", "database_unavailable")
    assert begin["extra"]["remedy"] == "start it on db"
    assert end["message"] == "After 59 min: it is back; 7 wait"
    assert (end["level"].name, end["extra"]["action"], end["extra"]["seconds"]) == ("INFO", "database_available", 3540)


def test_while_it_lasts_there_is_a_line_an_hour_with_its_length_and_what_waits(lines, clock):
    outage = Outage("database")
    for _ in range(3 * 3600 + 10):
        fail(outage, waits="12 wait in the spool")
        clock.now += 1
    assert len(lines) == 4
    assert "because no route (for 3 h now; 12 wait in the spool)" in lines[-1]["message"]


def test_another_reason_is_told_at_most_once_a_minute(lines, clock):
    outage = Outage("database")
    for number in range(180):
        fail(outage, f"reason {number % 2}")
        clock.now += 1
    assert [line["extra"]["reason"] for line in lines] == ["reason 0", "reason 1", "reason 0"]


def test_what_comes_and_goes_by_the_second_is_told_three_times_a_minute(lines, clock):
    outage = Outage("database")
    for _ in range(120):
        fail(outage)
        clock.now += 0.5
        outage.is_over("it is back")
    assert len(lines) == 6
    clock.now += 60
    fail(outage)
    assert len(lines) == 7
