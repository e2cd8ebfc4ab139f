"""The final tree: files appear whole, are replaced atomically, and nothing leads out."""

import errno
import os
import shutil

import pytest

from oxidicom.storage.final_tree import FinalTree, links_work
from oxidicom.storage.group_sync import LARGE_GROUP, GroupSync

PATH = "SERVICES/PACS/A/p/s/r/1.dcm"


@pytest.fixture
def root(tmp_path):
    (tmp_path / "tmp").mkdir()
    return tmp_path


@pytest.fixture
def tree(root):
    return FinalTree(str(root), str(root / "tmp"))


def source(root, content=b"one", name="entry", mtime=None):
    path = root / name
    path.write_bytes(content)
    if mtime:
        os.utime(path, (mtime, mtime))
    return str(path)


def test_a_file_appears_as_a_link_to_its_entry(tree, root):
    entry = source(root)
    tree.place(entry, PATH)
    assert os.path.samefile(entry, root / PATH)


def test_a_newer_version_replaces_the_older_one_and_leaves_no_private_name(tree, root):
    tree.place(source(root), PATH)
    tree.place(source(root, b"two", "entry2"), PATH)
    assert (root / PATH).read_bytes() == b"two"
    assert os.listdir(root / "tmp") == []


def test_to_place_the_same_entry_again_changes_nothing(tree, root):
    entry = source(root)
    tree.place(entry, PATH)
    tree.place(entry, PATH)
    assert os.path.samefile(entry, root / PATH)
    assert os.listdir(root / "tmp") == []


def test_at_replay_an_older_version_does_not_replace_a_newer_one(tree, root):
    tree.place(source(root, b"new", "new", mtime=2_000_000_000), PATH)
    tree.place(source(root, b"old", "old", mtime=1_000_000_000), PATH, unless_newer=True)
    assert (root / PATH).read_bytes() == b"new"
    tree.place(source(root, b"newest", "newest", mtime=2_100_000_000), PATH, unless_newer=True)
    assert (root / PATH).read_bytes() == b"newest"


def test_a_directory_that_was_deleted_meanwhile_is_made_again(tree, root):
    tree.place(source(root), PATH)
    shutil.rmtree(root / "SERVICES/PACS/A")
    tree.place(source(root), PATH)
    assert (root / PATH).read_bytes() == b"one"


def test_a_directory_in_the_place_of_a_file_is_an_error_and_stays(tree, root):
    (root / PATH).mkdir(parents=True)
    with pytest.raises(OSError):
        tree.place(source(root), PATH)
    assert (root / PATH).is_dir()
    assert os.listdir(root / "tmp") == []


def test_a_planted_symbolic_link_is_not_followed(tree, root):
    (root / "elsewhere").mkdir()
    (root / "SERVICES/PACS/A").symlink_to(root / "elsewhere")
    with pytest.raises(OSError):
        tree.place(source(root), PATH)
    assert os.listdir(root / "elsewhere") == []


def test_services_itself_may_be_a_link(root):
    (root / "mounted").mkdir()
    (root / "SERVICES").symlink_to(root / "mounted")
    FinalTree(str(root), str(root / "tmp")).place(source(root), PATH)
    assert (root / PATH).read_bytes() == b"one"


def test_without_hard_links_the_file_is_copied(tree, root, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    entry = source(root)
    assert not links_work(entry, str(root))
    tree.place(entry, PATH)
    assert (root / PATH).read_bytes() == b"one"
    assert not os.path.samefile(entry, root / PATH)


def test_many_directories_do_not_keep_many_descriptors(tree, root):
    before = len(os.listdir("/proc/self/fd"))
    for number in range(600):
        tree.place_empty(f"SERVICES/PACS/A/{number}/x")
        tree.sync_directories()
    assert len(os.listdir("/proc/self/fd")) < before + 300


@pytest.mark.parametrize("count", [1, 3, LARGE_GROUP])
def test_a_group_is_synced_or_fails_as_a_whole(root, count):
    sync = GroupSync(str(root))
    paths = [source(root, name=str(number)) for number in range(count)]
    sync.sync(paths)
    if count < LARGE_GROUP:
        with pytest.raises(FileNotFoundError):
            sync.sync([*paths[1:], str(root / "missing")])
    sync.close()
