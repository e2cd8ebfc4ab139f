"""A mass of equal trouble is one line with a count, whichever process meets it."""

import os

import pytest
from loguru import logger

from workers.channels import repetitions
from workers.channels.repetitions import Repetitions
from workers.channels.scoreboard import Scoreboard


@pytest.fixture
def lines():
    written = []
    sink = logger.add(lambda message: written.append(message.record), level="INFO", format="{message}")
    yield written
    logger.remove(sink)


@pytest.fixture
def slots():
    return Scoreboard(3).slots


def log(repeated, slot, kind="a kind", number=0):
    return repeated.log(slot, kind, "WARNING", "Trouble {number}", number=number, action="tested")


def test_the_first_is_told_at_once_and_the_others_with_their_count(lines, slots):
    repeated = Repetitions(3)
    assert [log(repeated, slots[1], number=number) for number in range(1000)] == [True] + [False] * 999
    repeated.tell_rest()
    assert [line["message"] for line in lines] == ["Trouble 0"], "its minute is not over"
    assert repeated.has_rest
    repeated.tell_rest(all_of_it=True)
    assert not repeated.has_rest
    (_, rest) = lines
    assert rest["message"] == "Trouble 999 (999 of this kind since the last line)"
    assert rest["extra"]["count"] == 999
    assert rest["level"].name == "WARNING"


def test_after_a_minute_the_next_one_counts_those_before_it(lines, slots, monkeypatch):
    repeated = Repetitions(3)
    for number in range(3):
        log(repeated, slots[1], number=number)
    monkeypatch.setattr(repetitions, "_MINUTE_NS", 0)
    assert log(repeated, slots[1], number=3)
    assert [line["extra"].get("count") for line in lines] == [None, 3]
    assert not repeated.has_rest
    log(repeated, slots[1], number=4)
    assert lines[-1]["message"] == "Trouble 4"


def test_it_is_for_all_processes_together(lines, slots):
    repeated = Repetitions(3)
    if not (pid := os.fork()):
        os._exit(0 if log(repeated, slots[1]) and not log(repeated, slots[1]) else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert not log(repeated, slots[2])
    repeated.tell_rest(all_of_it=True)
    assert [line["extra"]["count"] for line in lines] == [2], "what the process that died kept is not lost"
    assert log(repeated, slots[2], "another kind")


def test_what_it_keeps_is_bounded(slots):
    repeated = Repetitions(3)
    for number in range(20_000):
        log(repeated, slots[1], f"kind {number}")
    assert len(repeated._kept) <= repetitions.PLACES
