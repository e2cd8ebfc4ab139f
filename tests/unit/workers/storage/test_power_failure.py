"""What is durable before what: the orders on which a power failure depends. `fuzzing/crash_states` tries them all."""

import os
from pathlib import Path

import pytest

from oxidicom.dataset.describer import Describer
from oxidicom.records import EXPECTED_COUNT_KEY
from oxidicom.spool.adoption import adopt_orphans
from oxidicom.spool.association_directory import end_for_the_dead
from oxidicom.spool.entries import contents, entries
from oxidicom.spool.gateway_directory import GatewayDirectory
from oxidicom.spool.incoming import IncomingInstance
from oxidicom.spool.ledger import Started
from oxidicom.spool.names import DUE, RECEIVED, STORED, MetadataValue
from oxidicom.spool.spool_writer import SpoolWriter
from oxidicom.tree.tree_directories import TreeDirectories
from tests.dicom import CT, dataset_bytes, make_instance
from tests.fixtures.storage import DIRECTORY, commit, describe_file, entry_file, make_gateway_directory, no_trouble
from workers.channels.messages import SeriesCounted
from workers.channels.scoreboard import Role
from workers.storage.storage_worker import StorageWorker

ASSOCIATION = "01HZ7TF03EZD364005NP332RBQ"


@pytest.fixture
def synced(monkeypatch):
    """A list of what is synced, each a path with the names that were there in its directory, or in itself, then."""
    done: list[tuple[str, set[str]]] = []

    def note(sync):
        def sync_and_note(descriptor):
            path = os.readlink(f"/proc/self/fd/{descriptor}")
            done.append((path, set(os.listdir(path if os.path.isdir(path) else os.path.dirname(path)))))
            sync(descriptor)

        return sync_and_note

    monkeypatch.setattr(os, "fsync", note(os.fsync))
    monkeypatch.setattr(os, "fdatasync", note(os.fdatasync))
    return done


@pytest.fixture
def worker(shared):
    worker = StorageWorker(shared, shared.scoreboard.of_role(Role.STORAGE)[0], 0)
    yield worker
    worker._tree.close()
    worker._sync.close()


@pytest.fixture
def make_entry(gateway_directory, tmp_path):
    """A function that leaves one instance in the spool, of an association that is over. It returns its description."""

    def make(damage=lambda data: data):
        spool_writer = SpoolWriter(gateway_directory.spool, Started(ASSOCIATION, "TEST", "ChRIS", "127.0.0.1:1"))
        description = entry_file(tmp_path / "entry")
        commit(spool_writer, description, (tmp_path / "entry").read_bytes())
        spool_writer.end("released", 0)
        ((name, state),) = entries(spool_writer.directory)
        damage(Path(spool_writer.directory, name.at(state)))
        return description

    return make


def rescan(worker):
    worker._rescan.somebody_died()
    worker._rescan.run_if_due(worker._store)


def test_the_format_of_a_spool_is_durable_before_there_is_a_spool(tmp_path, synced):
    directory = make_gateway_directory(tmp_path / "files")
    format_path = os.path.join(directory.path, "format.json")
    assert [names for path, names in synced if path == format_path] == [{"lock", "format.json"}]


@pytest.mark.parametrize("left", [b"", bytes(33)])
def test_a_spool_whose_format_the_power_failure_took_is_adopted(tmp_path, left):
    gone = make_gateway_directory(tmp_path / "files")
    SpoolWriter(gone.spool, Started(ASSOCIATION, "TEST", "ChRIS", "127.0.0.1:1"))._ledger.close()
    gone.release()
    Path(gone.path, "format.json").write_bytes(left)
    ours = GatewayDirectory(gone.files_root).make()
    assert adopt_orphans(ours, no_trouble).left_behind == 1
    assert os.listdir(ours.spool) == [ASSOCIATION]


def test_an_association_that_has_its_hidden_name_again_is_adopted(tmp_path):
    gone = make_gateway_directory(tmp_path / "files")
    spool_writer = SpoolWriter(gone.spool, Started(ASSOCIATION, "TEST", "ChRIS", "127.0.0.1:1"))
    commit(spool_writer, describe_file(), b"1234")
    spool_writer._ledger.close()
    os.rename(spool_writer.directory, os.path.join(gone.spool, f".{ASSOCIATION}"))
    gone.release()
    ours = GatewayDirectory(gone.files_root).make()
    assert adopt_orphans(ours, no_trouble).left_behind == 1
    assert len(list(entries(os.path.join(ours.spool, ASSOCIATION)))) == 1
    assert not os.path.exists(gone.path)


@pytest.mark.parametrize("pieces", [1, 2])
def test_what_is_to_outlive_a_power_failure_has_its_name_after_its_data(gateway_directory, tmp_path, synced, pieces):
    started = Started(ASSOCIATION, "TEST", "ChRIS", "127.0.0.1:1")
    spool_writer = SpoolWriter(gateway_directory.spool, started, durable=True)
    incoming = IncomingInstance(spool_writer, Describer("TEST"), b"", "1.2.840.10008.1.2.1")
    incoming.write(memoryview(dataset_bytes(make_instance(tmp_path / "in"))))
    if pieces > 1:
        incoming.flush()
    name, _ = incoming.commit(CT, "1.2.3.1")
    spool_writer.end("released", 0)
    of_data = [names for path, names in synced if os.path.dirname(path) == spool_writer.directory]
    assert of_data == [{"ledger.jsonl", "000001.part"}]
    assert synced[-1] == (spool_writer.directory, {"ledger.jsonl", name.at(RECEIVED)})


def test_no_name_below_services_comes_before_the_data(worker, make_entry, synced):
    fname = make_entry().file.fname
    final_path = Path(worker._shared.settings.files_root, fname)
    stood = []
    sync = worker._sync.sync

    def sync_and_look(*arguments):
        stood.append(final_path.exists())
        return sync(*arguments)

    worker._sync.sync = sync_and_look
    rescan(worker)
    assert stood == [False]
    assert final_path.exists()
    assert synced[-1][0] in {str(parent) for parent in final_path.parents}


def test_the_directory_of_an_association_is_durable_before_anything_of_it_is_stored(worker, make_entry, synced):
    make_entry()
    rescan(worker)
    spool = worker._spool
    assert [names for path, names in synced if path == spool] == [{ASSOCIATION}]
    assert [state for _, state in entries(os.path.join(spool, ASSOCIATION))] == [STORED]


def test_a_metadata_value_is_durable_in_the_spool_before_it_is_stored(worker, make_entry, synced):
    make_entry()
    rescan(worker)
    worker._metadata.take_answers()
    question = worker._shared.inquiry_queue.get()
    synced.clear()
    worker._shared.answer_queues[0].put(SeriesCounted(question.association, question.series_hash, 7))
    worker._metadata.take_answers()
    worker._metadata.write_due()
    directory = os.path.join(worker._spool, ASSOCIATION)
    value = MetadataValue(question.series_hash, EXPECTED_COUNT_KEY, "7")
    assert [value.at(DUE) in names for path, names in synced if path == directory] == [True]
    assert (value, STORED) in contents(directory)


def test_the_place_where_something_is_set_aside_is_durable_before_it_is_moved_there(
    worker, make_entry, synced, monkeypatch
):
    """A directory of which the name is lost takes all that is in it along."""
    make_entry(lambda path: os.truncate(path, 10))
    aside, rename, before = worker._shared.directory.aside, os.rename, []
    os.rmdir(aside)

    def rename_and_note(source, target):
        before.extend(synced)
        rename(source, target)

    monkeypatch.setattr(os, "rename", rename_and_note)
    rescan(worker)
    assert os.listdir(os.path.join(aside, ASSOCIATION))
    assert (aside, {ASSOCIATION}) in before
    assert any(path == os.path.dirname(aside) and os.path.basename(aside) in names for path, names in before)


def make_hole(path):
    """Take the data of a page away, as if it had never been written."""
    data, mtime_ns = path.read_bytes(), path.stat().st_mtime_ns
    with path.open("wb") as file:
        file.write(data[:8192])
        file.seek(16384)
        file.write(data[16384:])
    os.utime(path, ns=(mtime_ns, mtime_ns))


def test_an_instance_with_pages_that_were_never_written_is_set_aside(worker, make_entry):
    fname = make_entry(make_hole).file.fname
    rescan(worker)
    assert not os.path.exists(os.path.join(worker._shared.settings.files_root, fname))
    assert not list(entries(os.path.join(worker._spool, ASSOCIATION)))
    assert len(os.listdir(os.path.join(worker._shared.directory.aside, ASSOCIATION))) == 2


def test_what_has_lost_pages_and_no_line_in_the_ledger_was_never_acknowledged(gateway_directory, tmp_path, make_entry):
    make_entry(make_hole)
    directory = os.path.join(gateway_directory.spool, ASSOCIATION)
    ledger = Path(directory, "ledger.jsonl")
    ledger.write_text(ledger.read_text().splitlines(keepends=True)[0])
    end_for_the_dead(directory)
    assert not list(entries(directory))


def test_the_names_of_directories_that_somebody_else_made_are_synced(gateway_directory, synced):
    root = gateway_directory.files_root
    os.makedirs(os.path.join(root, DIRECTORY))
    directories = TreeDirectories(root)
    for _ in range(2):
        directories.open(DIRECTORY)
        directories.changed(DIRECTORY)
        directories.sync()
    directories.close()
    paths = [os.path.relpath(path, root) for path, _ in synced]
    levels = DIRECTORY.split("/")
    assert sorted(paths[:-1]) == sorted("/".join(levels[:count]) for count in range(2, len(levels) + 1))
    assert paths[-1] == DIRECTORY, "once is enough"
