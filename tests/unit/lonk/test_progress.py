"""What is said of a series, and when."""

import math

from oxidicom.lonk import progress as module
from oxidicom.lonk.progress import Progress

KEY = ("association", "subject")


def progress_of(before=0, interval=1.0):
    made = Progress(interval)
    made.begin(KEY, before)
    return made


def test_the_first_count_is_said_at_once_and_the_newest_when_the_interval_is_over():
    progress = progress_of()
    progress.add(KEY, 1, 10.0)
    assert list(progress.due(10.0)) == [("subject", 1)]
    for moment in (10.1, 10.2, 10.9):
        progress.add(KEY, 1, moment)
        assert list(progress.due(moment)) == []
    assert progress.next_due() == 11.0
    assert list(progress.due(11.0)) == [("subject", 4)]
    assert list(progress.due(20.0)) == []
    assert progress.next_due() == math.inf


def test_after_a_pause_a_count_is_said_at_once():
    progress = progress_of()
    for moment, count in ((10.0, 1), (15.0, 2)):
        progress.add(KEY, 1, moment)
        assert list(progress.due(moment)) == [("subject", count)]


def test_without_an_interval_each_count_is_said():
    progress = progress_of(interval=0.0)
    for count in (1, 2, 3):
        progress.add(KEY, 1, 10.0)
        assert list(progress.due(10.0)) == [("subject", count)]


def test_what_was_registered_before_is_counted():
    progress = progress_of(before=7)
    progress.add(KEY, 2, 10.0)
    assert list(progress.due(10.0)) == [("subject", 9)]


def test_of_a_series_that_has_ended_nothing_is_said():
    progress = progress_of()
    progress.add(KEY, 1, 10.0)
    progress.end(KEY)
    assert list(progress.due(20.0)) == []
    assert KEY not in progress


def test_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(module, "MAX_SERIES", 3)
    progress = Progress(1.0)
    for number in range(10):
        progress.begin(("association", str(number)), 0)
        progress.add(("association", str(number)), 1, 10.0)
    assert [subject for subject, _ in progress.due(10.0)] == ["7", "8", "9"]
