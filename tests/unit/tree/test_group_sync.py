"""A group of files is durable when the sync returns, or none of it may be trusted."""

import os

import pytest

from oxidicom.errors import BootError
from oxidicom.tree import group_sync
from oxidicom.tree.group_sync import GroupSync


@pytest.fixture
def files(tmp_path):
    made = [tmp_path / str(number) for number in range(12)]
    for path in made:
        path.write_bytes(b"data")
    return [str(path) for path in made]


@pytest.fixture
def synced(monkeypatch):
    """What was synced: paths, and the filesystem as `syncfs`."""
    calls = []
    sync_file = group_sync.sync_file
    monkeypatch.setattr(group_sync, "sync_file", lambda path: (calls.append(path), sync_file(path)))
    sync_filesystem = GroupSync._sync_filesystem
    monkeypatch.setattr(GroupSync, "_sync_filesystem", lambda self: (calls.append("syncfs"), sync_filesystem(self)))
    return calls


@pytest.mark.parametrize(
    ("kernel", "count", "calls"),
    [
        ("6.1.0-13-amd64", 12, ["syncfs"]),
        ("5.8", 9, ["syncfs"]),
        ("6.1", 8, 8),
        ("6.1", 1, 1),
        ("4.18.0-553.el8", 12, 12),
        ("strange", 12, 12),
    ],
)
def test_files_are_synced_together_where_the_kernel_reports_errors(files, synced, tmp_path, kernel, count, calls):
    sync = GroupSync(str(tmp_path), kernel)
    sync.sync(count, files[:count])
    sync.close()
    assert synced == (calls if isinstance(calls, list) else files[:calls])


def test_an_error_of_the_filesystem_is_raised(files, tmp_path):
    sync = GroupSync(str(tmp_path))
    os.close(sync._filesystem)
    with pytest.raises(OSError, match="Bad file descriptor"):
        sync.sync(len(files), files)


def test_a_file_that_is_not_there_is_an_error(tmp_path):
    sync = GroupSync(str(tmp_path))
    with pytest.raises(FileNotFoundError):
        sync.sync(1, [str(tmp_path / "missing")])
    sync.close()


def test_without_its_directory_it_cannot_begin(tmp_path):
    with pytest.raises(BootError, match="cannot be opened"):
        GroupSync(str(tmp_path / "missing"))
