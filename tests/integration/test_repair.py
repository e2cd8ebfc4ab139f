"""A row is inserted only after its file is synced, wherever that lies."""

import concurrent.futures
import contextlib
import os
import shutil
import tempfile

import psycopg
import pytest

from oxidicom.operations.database import database_of
from oxidicom.operations.repair import NoRowError, Repair, dicom_row, series_end
from oxidicom.settings import Settings
from oxidicom.tree.group_sync import GroupSync
from tests.fixtures.postgres import value_of
from tests.fixtures.storage import entry_file
from tests.waiting import wait_until


@pytest.fixture
def root(tmp_path):
    (tmp_path / "files").mkdir()
    return tmp_path / "files"


@contextlib.contextmanager
def repair_of(root, database):
    settings = Settings.from_environment({"CHRIS_DB_CONNECTION": database, "CHRIS_FILES_ROOT": str(root)})
    with database_of(settings) as cube, Repair(str(root), cube) as made:
        yield made


@pytest.fixture
def repair(root, database):
    with repair_of(root, database) as made:
        yield made


def make_file(root, number):
    """Put an instance at its final path; return its row."""
    row = entry_file(root / "entry", number).file
    (root / row.fname).parent.mkdir(parents=True, exist_ok=True)
    (root / "entry").rename(root / row.fname)
    return dicom_row(str(root), row.fname)


def test_without_a_sync_nothing_is_registered(root, repair, rows, monkeypatch):
    def failing(*_):
        raise OSError(5, "Input/output error")

    found = [make_file(root, number) for number in (1, 2)]
    monkeypatch.setattr(GroupSync, "sync", failing)
    with pytest.raises(OSError, match="Input/output"):
        list(repair.register(found))
    assert not rows()


def test_what_was_deleted_meanwhile_gets_no_row(root, repair, rows):
    found = [make_file(root, number) for number in (1, 2)]
    (root / found[0].fname).unlink()
    assert list(repair.register(found)) == [(found[0].fname, "it was deleted meanwhile")]
    assert [row["fname"] for row in rows()] == [found[1].fname]


def test_what_is_deleted_while_the_insert_waits_gets_no_row(root, repair, rows, database):
    """By CUBE, whose deletion it waits for; the others are inserted."""
    found = [make_file(root, number) for number in (1, 2, 3)]
    with psycopg.connect(database) as locking, concurrent.futures.ThreadPoolExecutor(1) as thread:
        locking.execute("LOCK TABLE pacsfiles_pacsfile IN EXCLUSIVE MODE")
        registering = thread.submit(lambda: list(repair.register(found)))
        with psycopg.connect(database, autocommit=True) as watching:
            waits = (
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            wait_until(lambda: value_of(watching, waits), "the insert waits")
        (root / found[1].fname).unlink()
        locking.rollback()
        assert registering.result(60) == [(found[1].fname, "it was deleted meanwhile")]
    assert [row["fname"] for row in rows()] == [found[0].fname, found[2].fname]


def test_a_series_that_is_deleted_before_its_row_is_inserted_gets_none(root, folders_database, series_rows):
    row = make_file(root, 1)
    directory = os.path.dirname(row.fname)
    with repair_of(root, folders_database) as repair:
        assert list(repair.register([row])) == []
        end = series_end(str(root), directory)
        away = (root / directory).rename(root / "away")
        assert list(repair.register_series([end])) == [(directory, "it was deleted meanwhile")]
        assert not series_rows()
        away.rename(root / directory)
        assert list(repair.register_series([end])) == []
    assert len(series_rows()) == 1


def test_files_on_another_filesystem_are_synced_there(root, repair, rows, monkeypatch):
    if os.stat("/dev/shm").st_dev == os.stat(root).st_dev:
        pytest.skip("/dev/shm is no filesystem of its own")
    synced = []
    monkeypatch.setattr("oxidicom.operations.repair.sync_file", synced.append)
    found = [make_file(root, number) for number in range(1, 60)]
    elsewhere = tempfile.mkdtemp(dir="/dev/shm")
    try:
        shutil.move(root / "SERVICES" / "PACS", elsewhere)
        (root / "SERVICES" / "PACS").symlink_to(os.path.join(elsewhere, "PACS"))
        assert list(repair.register(found)) == []
    finally:
        shutil.rmtree(elsewhere)
    assert len(rows()) == len(synced) == 59


def test_a_file_that_is_no_instance_has_no_row(root):
    (root / "SERVICES" / "PACS").mkdir(parents=True)
    (root / "SERVICES" / "PACS" / "x").write_bytes(b"")
    with pytest.raises(NoRowError, match="file is empty"):
        dicom_row(str(root), "SERVICES/PACS/x")
    with pytest.raises(NoRowError, match="No such file"):
        dicom_row(str(root), "SERVICES/PACS/y")
