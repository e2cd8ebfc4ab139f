"""A group of files is durable when the sync returns, except what it tells; or none of it may be trusted."""

import errno
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


def test_what_cannot_be_synced_by_itself_is_told_and_the_rest_is_synced(files, synced, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to(files[0])
    bad = [str(tmp_path / name) for name in ("fifo", "link", "missing")]
    sync = GroupSync(str(tmp_path))
    failed = sync.sync(5, [*bad, *files[:2]])
    sync.close()
    assert {path: error.errno for path, error in failed.items()} == dict(
        zip(bad, (errno.EINVAL, errno.ELOOP, errno.ENOENT), strict=True)
    )
    assert synced == [*bad, *files[:2]]


@pytest.mark.parametrize(("plant", "is_careful"), [(os.mkfifo, True), (lambda _: None, False)])
def test_after_an_error_each_file_is_synced_by_itself(files, synced, tmp_path, plant, is_careful):
    """That a file is gone is no error of the disk."""
    plant(tmp_path / "bad")
    sync = GroupSync(str(tmp_path), "6.1")
    assert sync.sync(1, [str(tmp_path / "bad")])
    synced.clear()
    assert sync.sync(len(files), files) == {}
    sync.close()
    assert synced == (files if is_careful else ["syncfs"])


def test_without_its_directory_it_cannot_begin(tmp_path):
    with pytest.raises(BootError, match="cannot be opened"):
        GroupSync(str(tmp_path / "missing"))
