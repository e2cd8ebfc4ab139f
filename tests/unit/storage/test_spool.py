"""The journal: what is committed is found again, whatever moment a crash chose."""

import os
from pathlib import Path

import pytest

from oxidicom.dataset.part10 import build_file_meta
from oxidicom.storage.ledger import LEDGER_NAME, Ended, LedgerWriter, Started, read_ledger
from oxidicom.storage.names import RECEIVED, EntryName
from oxidicom.storage.reception import Reception
from oxidicom.storage.spool import associations, contents, end_for_the_dead, ledger_of, remove_finished
from tests.dicom import dataset_bytes, make_instance
from tests.fixtures.storage import begin_part, commit, describe_file

STARTED = Started("01HZ7TF03EZD364005NP332RBQ", "TEST", "ChRIS", "127.0.0.1:1")
CT = "1.2.840.10008.5.1.4.1.1.2"


@pytest.fixture
def reception(tmp_path):
    return Reception(str(tmp_path), STARTED)


def receive(reception, number=1, data=b"data", series_uid="1.2.3"):
    return commit(reception, describe_file(number, series_uid=series_uid), data)


def die(reception):
    """What the kernel does to the files of a process that is killed."""
    reception._ledger.close()


def test_a_committed_entry_has_its_size_and_series_in_its_name(reception):
    name = receive(reception)
    assert list(contents(reception.directory)) == [(name, RECEIVED)]
    assert name.size_bytes == 4
    assert os.path.getsize(os.path.join(reception.directory, name.at(RECEIVED))) == 4


def test_the_ledger_counts_by_series(reception):
    for number in (1, 2):
        receive(reception, number)
    other = receive(reception, 3, series_uid="1.2.4")
    reception.end("released", 0)
    ledger = ledger_of(reception.directory)
    assert ledger.started == STARTED
    assert sorted(ledger.committed.values()) == [1, 2]
    assert ledger.series[other.series_hash].series_instance_uid == "1.2.4"
    assert ledger.ended == Ended("released", 0)


def test_an_association_without_an_instance_leaves_nothing(reception, tmp_path):
    reception.remove(begin_part(reception))
    reception.end("released", 0)
    assert associations(str(tmp_path)) == []


def test_a_living_listener_is_left_alone(reception):
    receive(reception)
    assert end_for_the_dead(reception.directory) is False
    assert ledger_of(reception.directory).ended is None


def test_a_dead_listener_is_ended_and_its_unfinished_part_removed(reception):
    receive(reception)
    begin_part(reception)
    die(reception)
    assert end_for_the_dead(reception.directory) is True
    assert ledger_of(reception.directory).ended == Ended("listener died")
    assert not [name for name in os.listdir(reception.directory) if name.endswith(".part")]
    assert end_for_the_dead(reception.directory) is True
    assert (Path(reception.directory) / LEDGER_NAME).read_text().count("ended") == 1


@pytest.mark.parametrize("missing_bytes", [1, 10_000])
def test_an_entry_that_was_not_written_whole_before_the_crash_is_no_instance(reception, missing_bytes):
    noted = receive(reception)
    cut = EntryName(2, noted.series_hash, missing_bytes)
    with open(os.path.join(reception.directory, cut.at(RECEIVED)), "wb"):
        pass
    assert end_for_the_dead(reception.directory) is False
    assert cut in dict(contents(reception.directory)), "its listener may be about to write it"
    die(reception)
    end_for_the_dead(reception.directory)
    assert dict(contents(reception.directory)) == {noted: RECEIVED}
    assert ledger_of(reception.directory).committed == {noted.series_hash: 1}


def test_a_crash_between_file_and_ledger_is_counted(reception, tmp_path):
    receive(reception)
    source = make_instance(tmp_path / "a.dcm", 7)
    meta = build_file_meta(
        sop_class_uid=CT,
        sop_instance_uid="1.2.3.7",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        calling_ae_title="TEST",
        our_ae_title="ChRIS",
    )
    data = meta + dataset_bytes(source)
    name = EntryName(2, "0123456789abcdef0123", len(data))
    with open(os.path.join(reception.directory, name.at(RECEIVED)), "wb") as file:
        file.write(data)
    die(reception)
    end_for_the_dead(reception.directory)
    ledger = ledger_of(reception.directory)
    assert ledger.committed["0123456789abcdef0123"] == 1
    assert ledger.series["0123456789abcdef0123"].patient_id == "1CT1"


@pytest.mark.parametrize("cut", [1, 10])
def test_a_torn_line_is_passed_over_and_mended(reception, cut):
    receive(reception)
    die(reception)
    path = os.path.join(reception.directory, LEDGER_NAME)
    os.truncate(path, os.path.getsize(path) - cut)
    assert read_ledger(path).committed == {}
    writer = LedgerWriter(path)
    writer.mend_tail()
    writer.append(Ended("x"))
    writer.close()
    assert read_ledger(path).ended == Ended("x")


def test_a_ledger_has_one_writer(reception):
    with pytest.raises(BlockingIOError):
        LedgerWriter(os.path.join(reception.directory, LEDGER_NAME))


def test_a_finished_directory_is_removed_ledger_first(reception, monkeypatch):
    receive(reception)
    reception.end("released", 0)
    removed = []
    unlink = os.unlink
    monkeypatch.setattr(os, "unlink", lambda path: (removed.append(os.path.basename(path)), unlink(path)))
    remove_finished(reception.directory)
    assert removed[0] == LEDGER_NAME
    assert not os.path.exists(reception.directory)
