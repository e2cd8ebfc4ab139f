"""The registration worker with a real spool and a real database."""

import json
import os
from pathlib import Path

import pytest

from oxidicom.cube import flat
from oxidicom.cube.database import Database
from oxidicom.records import COMMITTED_COUNT_KEY, EXPECTED_COUNT_KEY
from oxidicom.spool.entries import entries
from oxidicom.spool.ledger import Started
from oxidicom.spool.metadata_rows import metadata_row
from oxidicom.spool.names import RECEIVED, STORED, MetadataValue
from oxidicom.spool.spool_writer import SpoolWriter
from tests.fixtures.storage import entry_file
from tests.waiting import wait_until
from workers.channels.messages import AssociationEnded, ProcessDied
from workers.channels.scoreboard import Counter, GatewayPhase, Role
from workers.registration.registration_worker import RegistrationWorker

ASSOCIATION = "01HZ7TF03EZD364005NP332RBQ"


@pytest.fixture
def shared(make_shared, database):
    return make_shared(CHRIS_DB_CONNECTION=database)


@pytest.fixture
def work_off(shared):
    """A function that lets the worker register what it can, until nothing is left that can be done now."""

    def run():
        worker = RegistrationWorker(shared, shared.scoreboard.of_role(Role.REGISTRATION)[0])
        shared.scoreboard.phase = GatewayPhase.FLUSHING_REGISTRATION
        worker.run()
        worker._thread.shutdown()
        os.close(worker._batch_done)

    return run


@pytest.fixture
def association(shared, tmp_path):
    """An association that is over: three instances and both metadata values are stored."""
    root = Path(shared.settings.files_root)
    spool_writer = SpoolWriter(shared.directory.spool, Started(ASSOCIATION, "TEST", "ChRIS", "127.0.0.1:1"))
    for number in (1, 2, 3):
        description = entry_file(tmp_path / "entry", number)
        data = (tmp_path / "entry").read_bytes()
        name = spool_writer.name_of(spool_writer.next_number(), len(data), description)
        with open(os.path.join(spool_writer.directory, name.at(STORED)), "wb") as file:
            file.write(data)
        spool_writer.enter_in_ledger(name, description)
        (root / description.file.fname).parent.mkdir(parents=True, exist_ok=True)
        os.link(file.name, root / description.file.fname)
    for key in (EXPECTED_COUNT_KEY, COMMITTED_COUNT_KEY):
        value = MetadataValue(name.series_hash, key, "3")
        Path(spool_writer.directory, value.at(STORED)).touch()
        final = root / metadata_row(ASSOCIATION, description.series, value).fname
        final.parent.mkdir(parents=True, exist_ok=True)
        final.touch()
    spool_writer.end("released", 0)
    return spool_writer.directory


def stumble_over(monkeypatch, number, times):
    """Our own code raises KeyError for the row of one instance, so many times."""
    arrays = flat._arrays
    stumbled = []

    def stumble(rows):
        if any(row.fname.endswith(f".{number}.dcm") for row in rows) and len(stumbled) < times:
            stumbled.append(len(rows))
            raise KeyError("Wang^XiaoDong")
        return arrays(rows)

    monkeypatch.setattr(flat, "_arrays", stumble)


def test_an_entry_whose_file_goes_right_after_the_commit_goes_back_to_storage(
    association, shared, work_off, rows, monkeypatch
):
    root, register = Path(shared.settings.files_root), Database.register

    def register_and_remove(*arguments):
        registered = register(*arguments)
        for path in root.glob("SERVICES/PACS/TEST/**/*.2.dcm"):
            path.unlink()
        return registered

    monkeypatch.setattr(Database, "register", register_and_remove)
    work_off()
    assert len(rows()) == 3
    (entry,) = entries(association)
    assert entry[1] == RECEIVED
    assert shared.storage_queues[0].get().number == entry[0].number == 2


def fill(queue):
    """Leave no room in a queue."""
    while queue.put(AssociationEnded("x" * 1000)):
        pass


def drained(queue):
    return [message for message in iter(queue.get, None) if not isinstance(message, AssociationEnded)]


@pytest.mark.parametrize("pattern", ["**/*.2.dcm", f"**/{EXPECTED_COUNT_KEY}=*"])
def test_of_what_goes_back_without_room_for_a_message_storage_is_told_once_there_is_room(
    association, shared, tmp_path, monkeypatch, pattern
):
    """Into an association that goes on storage does not look by itself."""
    for path in Path(shared.settings.files_root).glob(f"SERVICES/PACS/{pattern}"):
        path.unlink()
    (queue,) = shared.storage_queues
    fill(queue)
    worker = RegistrationWorker(shared, shared.scoreboard.of_role(Role.REGISTRATION)[0])
    try:
        worker._rescan.run_if_due()
        worker._send_batch()
        wait_until(worker._in_flight.done, "the batch is done")
        worker._finish_batch()
        assert drained(queue) == []
        worker._clearing.tell_storage()
        assert drained(queue) == [ProcessDied()]
        worker._clearing.tell_storage()
        assert drained(queue) == [], "once is enough"
    finally:
        worker._thread.shutdown()
        worker._database.close()
        os.close(worker._batch_done)


def test_storage_is_told_of_a_value_that_goes_back(association, shared, work_off):
    (gone,) = Path(shared.settings.files_root).glob(f"SERVICES/PACS/**/{EXPECTED_COUNT_KEY}=*")
    gone.unlink()
    work_off()
    assert drained(shared.storage_queues[0]) == [ProcessDied()]


def test_a_row_over_which_our_code_stumbles_is_set_aside_after_three_tries(
    association, shared, work_off, rows, monkeypatch, tmp_path
):
    stumble_over(monkeypatch, 2, times=1000)
    work_off()
    assert [row["fname"][-5] for row in rows()] == ["1", "3"]
    assert [row["ProtocolName"] for row in rows(metadata=True)] == [EXPECTED_COUNT_KEY, COMMITTED_COUNT_KEY]
    assert not os.path.exists(association)
    (aside,) = [name for name in os.listdir(os.path.join(shared.directory.aside, ASSOCIATION)) if "json" in name]
    with open(os.path.join(shared.directory.aside, ASSOCIATION, aside), encoding="utf-8") as file:
        reason = json.load(file)["reason"]
    assert reason.startswith("unexpected KeyError in test_registration.py:")
    assert "Wang" not in reason
    assert shared.scoreboard.of_role(Role.REGISTRATION)[0][Counter.ROWS_SET_ASIDE] == 1


def test_a_row_over_which_our_code_stumbles_twice_is_registered_and_the_count_comes_after_it(
    association, work_off, rows, database, monkeypatch
):
    stumble_over(monkeypatch, 2, times=7)  # in the whole batch, in two parts of it and alone, and so again
    work_off()
    names = [row["fname"] for row in (*rows(), *rows(metadata=True))]
    assert len(names) == 5
    last = max((*rows(), *rows(metadata=True)), key=lambda row: row["id"])
    assert last["ProtocolName"] == COMMITTED_COUNT_KEY
    assert not os.path.exists(association)
