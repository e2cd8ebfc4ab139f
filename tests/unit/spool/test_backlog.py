"""What waits is counted by how far it has come, and nothing is changed by looking."""

import os
import tempfile
from pathlib import Path

import pytest

from oxidicom.paths.final_path import series_hash
from oxidicom.records import COMMITTED_COUNT_KEY, EXPECTED_COUNT_KEY
from oxidicom.spool.backlog import Amount, backlog_of, paths_in_work
from oxidicom.spool.ledger import Started
from oxidicom.spool.metadata_rows import metadata_row
from oxidicom.spool.names import DUE, RECEIVED, REGISTERED, STORED, EntryName, MetadataValue
from oxidicom.spool.spool_writer import SpoolWriter
from tests.fixtures.storage import begin_part, commit, describe_file, entry_file, make_gateway_directory

STARTED = Started("01HZ7TF03EZD364005NP332RBQ", "TEST", "ChRIS", "127.0.0.1:1")


@pytest.fixture
def root(tmp_path, gateway_directory):
    return str(tmp_path / "files")


@pytest.fixture
def spool_writer(gateway_directory):
    return SpoolWriter(gateway_directory.spool, STARTED)


def receive(spool_writer, number, data=b"data"):
    return commit(spool_writer, describe_file(number), data)


def move(spool_writer, name, before, after):
    os.rename(
        os.path.join(spool_writer.directory, name.at(before)), os.path.join(spool_writer.directory, name.at(after))
    )


def touch(spool_writer, value, state):
    with open(os.path.join(spool_writer.directory, value.at(state)), "wb"):
        pass


def test_nothing_was_ever_received(tmp_path):
    assert backlog_of(str(tmp_path)) == []
    assert list(paths_in_work(str(tmp_path))) == []


def test_everything_is_counted_by_its_step(root, gateway_directory, spool_writer):
    receive(spool_writer, 1)
    move(spool_writer, receive(spool_writer, 2, b"stored"), RECEIVED, STORED)
    begin_part(spool_writer, b"part")
    touch(spool_writer, MetadataValue("0" * 20, EXPECTED_COUNT_KEY, "2"), REGISTERED)
    touch(spool_writer, MetadataValue("0" * 20, COMMITTED_COUNT_KEY, "2"), DUE)
    (gateway,) = backlog_of(root)
    assert (gateway.gateway, gateway.running) == (gateway_directory.ulid, True)
    (association,) = gateway.associations
    assert (association.association, association.calling_ae_title) == (STARTED.association, "TEST")
    assert f"{association.since:%Y-%m-%d}" == "2024-05-31"
    waiting = association.waiting
    steps = (waiting.receiving, waiting.committed, waiting.stored, waiting.metadata)
    assert [(step.count, step.size_bytes) for step in steps] == [(1, 4), (1, 4), (1, 6), (1, 0)]
    assert gateway.waiting == waiting


def test_the_oldest_is_told_by_its_commit(root, spool_writer):
    for number, moment in ((1, 2000), (2, 1000), (3, 3000)):
        path = os.path.join(spool_writer.directory, receive(spool_writer, number).at(RECEIVED))
        os.utime(path, (moment, moment))
    (gateway,) = backlog_of(root)
    assert gateway.waiting.committed.oldest.timestamp() == 1000


def test_a_time_beyond_the_calendar_is_no_trouble():
    with tempfile.TemporaryDirectory(dir="/dev/shm") as top:  # most filesystems on disks hold no such time
        directory = make_gateway_directory(Path(top))
        spool_writer = SpoolWriter(directory.spool, STARTED)
        path = os.path.join(spool_writer.directory, receive(spool_writer, 1).at(RECEIVED))
        os.utime(path, (2**40, 2**40))
        (gateway,) = backlog_of(top)
        directory.release()
    assert gateway.waiting.committed.oldest.year == 2262


def test_sums_of_nothing_have_no_oldest():
    total = Amount()
    total.add(Amount())
    assert total == Amount(0, 0, None)


def test_a_gateway_that_is_gone_is_told_from_one_that_runs(root, gateway_directory, spool_writer):
    receive(spool_writer, 1)
    spool_writer.end("released", 0)
    gateway_directory.release()
    (gateway,) = backlog_of(root)
    assert not gateway.running
    assert gateway.waiting.committed.count == 1


def test_what_is_in_work_is_told_by_its_final_path(root, spool_writer):
    first = receive(spool_writer, 1)
    receive(spool_writer, 2)
    os.unlink(os.path.join(spool_writer.directory, first.at(RECEIVED)))  # registered
    series = describe_file().series
    registered = MetadataValue(first.series_hash, EXPECTED_COUNT_KEY, "2")
    due = MetadataValue(first.series_hash, COMMITTED_COUNT_KEY, "2")
    touch(spool_writer, registered, REGISTERED)
    touch(spool_writer, due, DUE)
    paths = {describe_file(2).file.fname, metadata_row(STARTED.association, series, due).fname}
    expected = {*paths, series.directory}  # of a series that is not finished its own row is still to come
    assert set(paths_in_work(root)) == expected


def test_an_entry_that_the_ledger_does_not_have_tells_its_path_itself(root, spool_writer, tmp_path):
    description = entry_file(tmp_path / "entry", 5)
    name = EntryName(5, series_hash(description.series), (tmp_path / "entry").stat().st_size)
    os.rename(tmp_path / "entry", os.path.join(spool_writer.directory, name.at(RECEIVED)))
    assert list(paths_in_work(root)) == [description.file.fname]
