"""Series of one association that share a subject: they are found once, and the spool tells which were told."""

import os
from pathlib import Path

import pytest

from oxidicom.records import COMMITTED_COUNT_KEY
from oxidicom.spool.ledger import LEDGER_NAME, LedgerWriter, SeriesOpened, Started, opened_lines
from oxidicom.spool.metadata_rows import UNKNOWN
from oxidicom.spool.names import DUE, REGISTERED, STORED, TOLD, MetadataValue
from oxidicom.spool.spool_writer import SpoolWriter
from tests.fixtures.storage import commit, describe_file
from workers.channels.scoreboard import Scoreboard
from workers.observer import shared_subjects as module
from workers.observer.shared_subjects import SharedSubjects

ASSOCIATION = "01HZ7TF03EZD364005NP332RBQ"
OTHER = "01HZ7TF03EZD364005NP332RBR"


@pytest.fixture
def subjects(gateway_directory):
    return SharedSubjects(gateway_directory.spool, Scoreboard(1).slots[0], lambda series: series.series_instance_uid)


@pytest.fixture
def make_association(gateway_directory):
    """A function that makes the ledger of an association with the series that it is given, and returns their hashes."""

    def make(*series, association=ASSOCIATION):
        spool_writer = SpoolWriter(gateway_directory.spool, Started(association, "TEST", "ChRIS", "127.0.0.1:1"))
        names = [commit(spool_writer, describe_file(1, directory, uid)) for directory, uid in series]
        spool_writer.end("released", 0)
        return [name.series_hash for name in names]

    return make


@pytest.fixture
def mark(gateway_directory):
    """A function that leaves the count of a series at a state."""
    directory = Path(gateway_directory.spool, ASSOCIATION)
    return lambda series, state, text="1": (
        directory / MetadataValue(series, COMMITTED_COUNT_KEY, text).at(state)
    ).touch()


def reads(monkeypatch):
    """Write down what ledgers are read."""
    paths = []
    read = opened_lines
    monkeypatch.setattr(module, "opened_lines", lambda path: paths.append(path) or read(path))
    return paths


def test_a_series_that_shares_with_none_costs_one_reading_of_the_ledger_for_all(
    subjects, make_association, monkeypatch
):
    hashes = make_association(*((f"d{number}", f"1.2.{number}") for number in range(50)))
    monkeypatch.setattr(module, "contents", None)  # the directory is not looked into
    paths = reads(monkeypatch)
    assert [subjects.of(ASSOCIATION, one) for one in hashes] == [None] * 50
    assert len(paths) == 1


def test_those_that_share_a_subject_are_one(subjects, make_association, mark):
    first, second, alone, third = make_association(("a", "1.2.3"), ("b", "1.2.3"), ("c", "1.2.4"), ("d", "1.2.3"))
    mark(first, TOLD, "7")
    mark(second, REGISTERED)
    shared = subjects.of(ASSOCIATION, second)
    assert shared.told == {first: 7}
    assert shared.untold == shared.awaited == {second, third}
    assert shared.untold is not shared.awaited
    assert subjects.of(ASSOCIATION, third) is shared
    assert subjects.of(ASSOCIATION, alone) is None


def test_a_series_without_an_instance_is_not_waited_for(subjects, make_association, gateway_directory):
    first, second = make_association(("a", "1.2.3"), ("b", "1.2.3"))
    ledger = LedgerWriter(os.path.join(gateway_directory.spool, ASSOCIATION, LEDGER_NAME))
    ledger.append(SeriesOpened("0" * 20, describe_file(1, "c").series))
    ledger.close()
    assert subjects.of(ASSOCIATION, first).untold == {first, second}


@pytest.mark.parametrize("state", [DUE, STORED, REGISTERED])
def test_of_what_was_put_back_only_a_count_that_is_put_back_is_waited_for(subjects, make_association, mark, state):
    first, second = make_association(("a", "1.2.3"), ("b", "1.2.3"))
    for one in (first, second):
        mark(one, REGISTERED, UNKNOWN)
    mark(second, state)
    assert subjects.of(ASSOCIATION, second).untold == {second}


def test_an_association_that_is_gone(subjects):
    with pytest.raises(FileNotFoundError):
        subjects.of(ASSOCIATION, "0" * 20)


def test_another_ledger_of_the_same_association_is_read(subjects, make_association, mark, gateway_directory):
    first, second = make_association(("a", "1.2.3"), ("b", "1.2.3"))
    assert subjects.of(ASSOCIATION, first).untold == {first, second}
    ledger = LedgerWriter(os.path.join(gateway_directory.spool, ASSOCIATION, LEDGER_NAME))
    ledger.append(SeriesOpened("0" * 20, describe_file(1, "c", "1.2.9").series))
    ledger.close()
    mark(first, TOLD)
    assert subjects.of(ASSOCIATION, first).untold == {second}


def test_memory_is_bounded_and_what_is_in_use_is_not_read_anew(subjects, make_association, mark, monkeypatch):
    monkeypatch.setattr(module, "_MAX_SERIES", 3)
    paths = reads(monkeypatch)
    (first, second) = make_association(("a", "1.2.3"), ("b", "1.2.3"))
    (other, _) = make_association(("a", "1.2.3"), ("b", "1.2.3"), association=OTHER)
    in_use = subjects.of(ASSOCIATION, first)
    subjects.of(OTHER, other)
    assert list(subjects._known) == [OTHER]
    assert subjects.of(ASSOCIATION, second) is in_use
    subjects.of(OTHER, other)
    del in_use
    mark(first, TOLD)
    assert subjects.of(ASSOCIATION, second).untold == {second}
    assert len(paths) == 2 * 5
