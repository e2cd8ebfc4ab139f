"""A row is inserted only after its file is synced, wherever that lies."""

import os
import shutil
import tempfile

import pytest

from oxidicom.cube.database import Database
from oxidicom.operations.repair import NoRowError, Repair, dicom_row
from oxidicom.tree.group_sync import GroupSync
from tests.fixtures.storage import entry_file


@pytest.fixture
def cube(database):
    made = Database(database)
    yield made
    made.close()


@pytest.fixture
def root(tmp_path):
    (tmp_path / "files").mkdir()
    return tmp_path / "files"


@pytest.fixture
def repair(root, cube):
    with Repair(str(root), cube) as made:
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
