"""What the storage worker remembers of an association does not keep it from one that is put back."""

import os
import types

import pytest

from oxidicom.records import COMMITTED_COUNT_KEY, EXPECTED_COUNT_KEY
from oxidicom.settings import Settings
from oxidicom.storage.ledger import LEDGER_NAME, Ended, LedgerWriter, SeriesOpened, Started
from oxidicom.storage.names import DUE, RECEIVED, REGISTERED, STORED, EntryName, NoteName
from oxidicom.storage.paths import series_hash
from oxidicom.storage.spool import Reception, contents, remove_finished
from tests.fixtures.storage import describe_file, entry_file
from workers.messages import SeriesCounted, ToInquiry, ToRegistration, ToStorage
from workers.queues import Queue
from workers.scoreboard import Role, Scoreboard
from workers.storage import StorageWorker

ASSOCIATION = "01HZ7TF03EZD364005NP332RBQ"


@pytest.fixture
def worker(gateway_directory, tmp_path):
    environment = {"CHRIS_DB_CONNECTION": "x", "CHRIS_FILES_ROOT": str(tmp_path / "files")}
    scoreboard = Scoreboard(3)
    scoreboard.slots[1].begin(Role.STORAGE, 1)
    scoreboard.slots[2].begin(Role.INQUIRY, 2)
    queues = Queue(ToStorage), Queue(SeriesCounted), Queue(ToInquiry), Queue(ToRegistration)
    shared = types.SimpleNamespace(
        settings=Settings.from_environment(environment),
        directory=gateway_directory,
        scoreboard=scoreboard,
        storage_queues=(queues[0],),
        answer_queues=(queues[1],),
        inquiry_queue=queues[2],
        registration_queue=queues[3],
    )
    worker = StorageWorker(shared, scoreboard.slots[1], 0)
    worker.boot()
    yield worker
    worker._sync.close()
    for queue in queues:
        queue.close()


@pytest.fixture
def spool(gateway_directory):
    return gateway_directory.spool


def make_association(spool, tmp_path, notes_at=REGISTERED, received=0):
    """Make the directory of an association that has ended, with both notes, and so many instances to be stored."""
    directory = os.path.join(spool, ASSOCIATION)
    os.mkdir(directory)
    description = entry_file(tmp_path / "entry")
    name = EntryName(1, series_hash(description.series), (tmp_path / "entry").stat().st_size)
    ledger = LedgerWriter(os.path.join(directory, LEDGER_NAME))
    ledger.append(Started(ASSOCIATION, "TEST", "", ""), SeriesOpened(name.series_hash, description.series), Ended("x"))
    ledger.close()
    notes = [NoteName(name.series_hash, key, "1") for key in (EXPECTED_COUNT_KEY, COMMITTED_COUNT_KEY)]
    for note in notes:
        with open(os.path.join(directory, note.at(notes_at)), "wb"):
            pass
    if received:
        os.rename(tmp_path / "entry", os.path.join(directory, name.at(RECEIVED)))
    return directory, name, notes


def test_an_association_is_taken_up_again_although_it_was_settled_a_moment_ago(worker, spool, tmp_path):
    directory, _, _ = make_association(spool, tmp_path)
    worker._rescan()
    assert directory in worker._settled
    remove_finished(directory)
    _, name, notes = make_association(spool, tmp_path, notes_at=DUE, received=1)
    worker._rescan()
    worker._notes.write_due()
    assert set(contents(directory)) == {(one, STORED) for one in (name, *notes)}


def test_what_has_its_notes_is_not_asked_again_because_of_an_instance(worker, spool, tmp_path):
    directory, name, notes = make_association(spool, tmp_path, received=1)
    worker._rescan()
    worker._notes.take_answers()
    assert worker._shared.inquiry_queue.get() is None
    assert set(contents(directory)) == {(name, STORED), *((note, REGISTERED) for note in notes)}
    assert directory in worker._settled


def test_what_cannot_be_set_aside_is_left_alone_and_the_rest_goes_on(worker, spool, tmp_path):
    directory, name, _ = make_association(spool, tmp_path, received=1)
    damaged = EntryName(2, name.series_hash, 1000)
    with open(os.path.join(directory, damaged.at(RECEIVED)), "wb"):
        pass
    rejected = worker._shared.directory.rejected
    os.rmdir(rejected)
    with open(rejected, "wb"):
        pass
    worker._rescan()
    there = set(contents(directory))
    assert {(name, STORED), (damaged, RECEIVED)} <= there
    assert worker._received_in(directory) == []


def test_an_entry_that_its_living_listener_is_about_to_write_is_left_alone(worker, spool):
    reception = Reception(spool, Started(ASSOCIATION, "TEST", "ChRIS", "127.0.0.1:1"))
    worker._shared.scoreboard.slots[1].begin(Role.LISTENER, 1)
    worker._shared.scoreboard.slots[1].hold(ASSOCIATION, "TEST")
    name = reception.name_of(reception.next_number(), 1000, describe_file())
    os.close(reception.create(name.at(RECEIVED)))
    worker._rescan()
    assert dict(contents(reception.directory)) == {name: RECEIVED}
    assert os.listdir(worker._shared.directory.rejected) == []
    reception.end("released", 0)
