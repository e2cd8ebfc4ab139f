"""The history as the observer keeps it: what is lost leaves a gap, and trouble with the file costs nothing else."""

import contextlib
import os
import sqlite3
import threading
import time
from pathlib import Path

import msgspec
import pytest
from loguru import logger

from oxidicom.history.reader import HistoryReader, Wanted
from oxidicom.history.schema import FORMAT, DamagedHistoryError
from oxidicom.history.store import HistoryStore
from oxidicom.judgement.rules import judge
from tests.waiting import wait_until
from workers.channels.condition import condition_of
from workers.channels.ending import Ending, EndKind
from workers.channels.facts import AssociationFinished
from workers.channels.scoreboard import Counter, Role
from workers.observer import history, lost_associations
from workers.observer.history import History
from workers.observer.history_entries import enter


@pytest.fixture
def path(shared):
    return shared.settings.history_path


@pytest.fixture
def slot(shared):
    return shared.scoreboard.of_role(Role.OBSERVER)[0]


@pytest.fixture
def begin(shared, slot):
    """A function that begins to keep the history."""
    with contextlib.ExitStack() as stack:

        def make():
            kept = History(shared, slot)
            stack.callback(kept.close)
            return kept

        yield make


@pytest.fixture
def actions():
    written = []
    sink = logger.add(lambda message: written.append(message.record["extra"].get("action")), level="INFO")
    yield written
    logger.remove(sink)


def finished(number):
    now_ns = time.time_ns()
    return AssociationFinished(
        f"A{number}",
        now_ns,
        now_ns,
        "10.1.2.3",
        104,
        "PACS",
        "ChRIS",
        Ending(EndKind.RELEASED),
        received=1,
        committed=1,
    )


def kept_in(path):
    """Return the associations and the gaps of the history."""
    with contextlib.suppress(OSError, sqlite3.Error, DamagedHistoryError), HistoryReader(path) as reader:
        found = [one.association for one in reader.records(Wanted())]
        return found, [gap.reports for gap in reader.gaps(Wanted())]
    return [], []


def test_facts_that_found_no_room_leave_a_gap_with_their_number(begin, slot, path):
    kept = begin()
    slot.add(Counter.HISTORY_DROPPED, 7)
    kept.take(finished(1))
    wait_until(lambda: kept_in(path) == (["A1"], [7]), "the gap is noted")
    kept.take(finished(2))
    wait_until(lambda: kept_in(path) == (["A1", "A2"], [7]), "and noted once")


def test_what_a_predecessor_had_not_written_leaves_a_gap_of_unknown_size(begin, slot, path):
    slot.add(Counter.RESPAWNS)
    begin().take(finished(1))
    wait_until(lambda: kept_in(path) == (["A1"], [None]), "the gap is noted")


def test_what_waits_for_a_file_that_takes_nothing_is_bounded_and_written_when_it_does(
    begin, path, actions, slot, shared, monkeypatch
):
    monkeypatch.setattr(history, "_MAX_WAITING_BYTES", 3 * len(msgspec.msgpack.encode(finished(0))))
    in_the_way = Path(path).parent
    in_the_way.write_text("a file")
    kept = begin()
    for number in range(10):
        kept.take(finished(number))
    wait_until(lambda: "history_unavailable" in actions, "it is told")
    assert len(kept._waiting) == 3
    assert "history" in {reason.subject for reason in judge(condition_of(shared)).reasons}
    in_the_way.unlink()
    wait_until(lambda: kept_in(path) == (["A0", "A1", "A2"], [7]), "what waited, and how much was given up")
    wait_until(lambda: "history_available" in actions, "it is told that it is over")
    assert actions.count("history_unavailable") == 1
    assert slot.note == ""


def test_a_later_format_is_left_as_it_is_and_nothing_gathers(begin, path, actions, slot):
    store = HistoryStore(path, 30)
    with store.transaction():
        pass
    store.close()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {FORMAT + 1}")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = Path(path).read_bytes()
    kept = begin()
    kept.take(finished(1))
    wait_until(lambda: actions == ["history_failed"], "it is told")
    assert "later version" in slot.note
    for number in range(10):
        kept.take(finished(number))
    assert not kept._waiting
    kept.close()
    assert Path(path).read_bytes() == before
    assert not os.path.exists(f"{path}.damaged")


def test_a_bug_of_ours_costs_what_met_it_and_is_a_gap(begin, path, actions, monkeypatch):
    monkeypatch.setattr(history, "enter", lambda *_: 1 / 0)
    kept = begin()
    kept.take(finished(1))
    wait_until(lambda: "unexpected" in actions, "it is told")
    monkeypatch.undo()
    kept.take(finished(2))
    wait_until(lambda: kept_in(path) == (["A2"], [1]), "it goes on")


def unsettled(path, association):
    """Write an association into the history that ended long ago, of whose end nobody told."""
    store = HistoryStore(path, 30)
    with store.transaction() as transaction:
        fact = msgspec.structs.replace(finished(0), association=association, began_ns=1, ended_ns=time.time_ns() // 2)
        enter(transaction, fact, "G")
    store.close()


def settled_in(path):
    with contextlib.suppress(OSError, sqlite3.Error), HistoryReader(path) as reader:
        return {one.association: (one.settled, one.whole) for one in reader.records(Wanted())}
    return {}


def test_a_storage_that_hangs_keeps_nothing_from_being_written(begin, path, monkeypatch):
    answers, asked = threading.Event(), threading.Event()

    def hangs(*_):
        asked.set()
        return not answers.wait(600)

    monkeypatch.setattr(lost_associations, "is_in_a_spool", hangs)
    monkeypatch.setattr(history, "_LOOK_SECONDS", 0.05)
    monkeypatch.setattr(HistoryStore, "prune", lambda self: None)  # the association is older than any that is kept
    unsettled(path, "LOST")
    kept = begin()
    assert asked.wait(600), "it is looked for"
    try:
        for number in range(3):
            kept.take(finished(number))
        wait_until(lambda: {"A0", "A1", "A2"} <= settled_in(path).keys(), "what comes meanwhile is written")
        assert settled_in(path)["LOST"] == (False, True)
    finally:
        answers.set()
    wait_until(lambda: settled_in(path)["LOST"] == (True, False), "and what is lost is found when it answers")
