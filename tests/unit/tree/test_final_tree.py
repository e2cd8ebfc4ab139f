"""The final tree: files appear whole, are replaced atomically, and nothing leads out."""

import contextlib
import errno
import os
import shutil
import time
from pathlib import Path

import pytest

from oxidicom.tree.final_tree import FinalTree
from oxidicom.tree.versions import Versions
from tests.powers import filesystem_in_memory
from tests.waiting import wait_until

PATH = "SERVICES/PACS/A/p/s/r/1.dcm"


@pytest.fixture
def root(tmp_path):
    (tmp_path / "tmp").mkdir()
    (tmp_path / ".oxidicom").mkdir()
    (tmp_path / "SERVICES/PACS").mkdir(parents=True)
    return tmp_path


@pytest.fixture
def tree(root):
    with contextlib.closing(FinalTree(str(root), str(root / "tmp"), time.time_ns)) as made:
        yield made


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


def test_the_version_that_was_committed_last_stays_in_whatever_order_they_come(tree, root):
    tree.place(source(root, b"new", "new", mtime=1_100_000_000), PATH)
    tree.place(source(root, b"old", "old", mtime=1_000_000_000), PATH)
    assert (root / PATH).read_bytes() == b"new"
    tree.place(source(root, b"newest", "newest", mtime=1_200_000_000), PATH)
    assert (root / PATH).read_bytes() == b"newest"


def test_a_file_from_before_the_clock_was_set_back_does_not_win_for_ever(tree, root):
    tree.place(source(root, b"of the future", "future", mtime=time.time() + 3600), PATH)
    tree.place(source(root, b"new", "new"), PATH)
    assert (root / PATH).read_bytes() == b"new"


def waits_for_a_lock(pid):
    return any("->" in line and f" {pid} " in line for line in Path("/proc/locks").read_text().splitlines())


@pytest.mark.parametrize("how", ["by links", "by copies"])
def test_a_version_that_comes_between_look_and_replacement_waits_for_its_turn(root, tree, how, monkeypatch):
    """Two gateways at the same path: the older version has been looked at, when the later one comes."""

    def refuse(*_, **__):
        raise OSError(errno.EPERM, "Operation not permitted")

    if how == "by copies":
        monkeypatch.setattr(os, "link", refuse)
    oldest, older, latest = (source(root, name.encode(), name, 1_000_000_000 + n) for n, name in enumerate("abc"))
    tree.place(oldest, PATH)
    stays, others = Versions.stays, []

    def overtaken(versions, *arguments):
        answer = stays(versions, *arguments)
        if not others:
            others.append(os.fork())
            if not others[0]:
                (root / "tmp2").mkdir()
                FinalTree(str(root), str(root / "tmp2"), time.time_ns).place(latest, PATH)
                os._exit(0)
            ended = lambda: os.waitid(os.P_PID, others[0], os.WEXITED | os.WNOHANG | os.WNOWAIT)  # noqa: E731
            wait_until(lambda: ended() or waits_for_a_lock(others[0]), "the other has come as far as it can")
        return answer

    monkeypatch.setattr(Versions, "stays", overtaken)
    tree.place(older, PATH)
    assert os.waitpid(others[0], 0)[1] == 0
    assert (root / PATH).read_bytes() == b"c"


def test_a_private_copy_that_a_crash_left_on_another_filesystem_is_removed(services_elsewhere, root):
    private = root / "SERVICES/.oxidicom"
    private.mkdir()
    left = private / "01HZ7TF03EZD364005NP332RBQ-1"
    left.touch()
    strange = private / "values.txt"
    strange.touch()
    FinalTree(str(root), str(root / "tmp"), time.time_ns).place(source(root), PATH)
    assert list(private.iterdir()) == [strange]


@pytest.mark.parametrize("path", ["SERVICES/PACS/../../x/1.dcm", "SERVICES/PACS/./1.dcm", "SERVICES/PACS//1.dcm"])
def test_a_path_that_leads_out_is_refused(tree, root, path):
    """A damaged ledger may hold any path."""
    for place in (lambda: tree.place(source(root), path), lambda: tree.place_empty(path)):
        with pytest.raises(OSError):
            place()
    assert not (root / "x").exists()


@pytest.mark.parametrize("how", [shutil.rmtree, lambda path: os.rename(path, f"{path}.moved")])
def test_a_directory_that_goes_before_it_is_synced_is_no_trouble(tree, root, how):
    """A group failed after it was placed; then CUBE removes the directory, or a person moves it."""
    tree.place(source(root), PATH)
    how(root / "SERVICES/PACS/A")
    tree.doubt()
    tree.place(source(root, name="other"), PATH)
    tree.sync_directories()
    assert (root / PATH).exists()


def test_a_directory_that_is_moved_away_is_left_and_the_path_made_again(tree, root):
    tree.place(source(root), PATH)
    tree.sync_directories()
    os.rename(root / "SERVICES/PACS/A", root / "moved")
    tree.doubt()
    tree.place(source(root, b"two", "two"), PATH)
    assert (root / PATH).read_bytes() == b"two"
    assert (root / PATH.replace("SERVICES/PACS/A", "moved")).read_bytes() == b"one"


def test_what_a_killed_process_left_on_its_way_is_removed_and_nothing_else(tree, root):
    for name in ("999999999", str(os.getpid()), "values"):
        (root / "tmp" / name).touch()
    tree.clear()
    assert set(os.listdir(root / "tmp")) == {str(os.getpid()), "values"}


def test_without_the_tree_nothing_is_made(tree, root):
    shutil.rmtree(root / "SERVICES")
    with pytest.raises(FileNotFoundError):
        tree.place(source(root), PATH)
    with pytest.raises(FileNotFoundError):
        tree.place_empty(PATH)
    assert not (root / "SERVICES").exists()


def test_an_entry_whose_sync_failed_becomes_another_inode_with_the_same_content_and_time(tree, root):
    entry = source(root, mtime=1_000_000_000)
    before = os.stat(entry)
    tree.write_anew(entry)
    after = os.stat(entry)
    assert after.st_ino != before.st_ino
    assert after.st_mtime_ns == before.st_mtime_ns
    assert (root / "entry").read_bytes() == b"one"
    assert os.listdir(root / "tmp") == []


@pytest.fixture
def services_elsewhere(root):
    """SERVICES is a filesystem of its own."""
    with filesystem_in_memory(root / "SERVICES", 8):
        (root / "SERVICES/PACS").mkdir()
        yield


def test_on_another_filesystem_the_file_is_copied_and_nothing_temporary_is_seen(services_elsewhere, root):
    tree = FinalTree(str(root), str(root / "tmp"), time.time_ns)
    assert not tree.probe(source(root))
    tree.remove_probe()
    tree.place(source(root, b"one", "one", mtime=1_000_000_000), PATH)
    assert (root / PATH).read_bytes() == b"one"
    tree.place(source(root, b"two", "two", mtime=1_100_000_000), PATH)
    tree.place(source(root, b"old", "old", mtime=1_000_000_000), PATH)
    assert (root / PATH).read_bytes() == b"two"
    assert [path.name for path in (root / "SERVICES").rglob("*") if path.is_file()] == ["1.dcm"]


def test_a_directory_that_was_deleted_meanwhile_is_made_again(tree, root):
    tree.place(source(root), PATH)
    shutil.rmtree(root / "SERVICES/PACS/A")
    tree.place(source(root), PATH)
    assert (root / PATH).read_bytes() == b"one"


def test_an_empty_file_is_made_although_its_directory_was_deleted_meanwhile(tree, root):
    tree.place_empty(PATH)
    shutil.rmtree(root / "SERVICES/PACS/A")
    tree.place_empty(PATH)
    assert (root / PATH).read_bytes() == b""


def test_a_source_that_is_gone_is_told_apart_from_a_directory_that_is_gone(tree, root):
    entry = source(root)
    os.unlink(entry)
    with pytest.raises(FileNotFoundError):
        tree.place(entry, PATH)
    assert not tree._directories._changed or not (root / PATH).exists()


@pytest.fixture
def synced(monkeypatch):
    """The inodes of the directories and files that were synced."""
    done = set()
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: (done.add(os.fstat(descriptor).st_ino), fsync(descriptor)))
    return done


def test_every_directory_that_got_an_entry_is_synced(tree, root, synced):
    tree.place(source(root), PATH)
    tree.sync_directories()
    directory = root / PATH
    while (directory := directory.parent) != root / "SERVICES":
        assert directory.stat().st_ino in synced, directory


def test_a_changed_directory_is_synced_before_it_is_closed(tree, root, synced):
    tree.place(source(root), PATH)
    directory = (root / PATH).parent.stat().st_ino
    tree._directories.forget(os.path.dirname(PATH))
    assert directory in synced


@pytest.mark.parametrize("levels", range(5))
def test_a_directory_that_cannot_be_synced_is_made_good_when_it_is_needed_again(tree, root, synced, unsyncable, levels):
    """Whichever it is: the one of the file, or one that holds the name of a directory."""
    bad = (root / PATH).parents[levels]
    unsyncable.add(str(bad))
    for _ in range(2):
        tree.place(source(root), PATH)
        assert set(tree.sync_directories()) == {str(bad.relative_to(root))}
    unsyncable.clear()
    synced.clear()
    tree.place(source(root), PATH)
    assert tree.sync_directories() == {}
    assert {path.stat().st_ino for path in (root / PATH).parents[: levels + 1]} <= synced


def test_a_directory_that_cannot_be_synced_costs_the_others_nothing(tree, root, unsyncable):
    tree.place(source(root), PATH)
    unsyncable.add(str((root / PATH).parent))
    tree.place_empty("SERVICES/PACS/B/p/s/r/1.dcm")
    assert set(tree.sync_directories()) == {os.path.dirname(PATH)}
    tree.place_empty("SERVICES/PACS/B/p/s/r/2.dcm")
    assert tree.sync_directories() == {}


def test_nor_does_it_when_it_is_closed_to_make_room(tree, root, unsyncable):
    """It is told by the next sync, although it may be opened again before that."""
    tree.place(source(root), PATH)
    unsyncable.add(str((root / PATH).parent))
    for number in range(600):
        tree.place_empty(f"SERVICES/PACS/B/{number}/x")
    unsyncable.clear()
    tree.place(source(root), PATH)
    assert set(tree.sync_directories()) == {os.path.dirname(PATH)}


def test_a_copy_is_durable_before_it_has_its_name(root, tree, synced):
    entry = source(root)
    tree.write_anew(entry)
    assert os.stat(entry).st_ino in synced


def test_a_probe_that_a_crash_left_is_no_obstacle(tree, root):
    entry = source(root)
    os.link(entry, root / "SERVICES/PACS/.oxidicom-probe")
    assert tree.probe(entry)
    tree.remove_probe()
    assert os.listdir(root / "SERVICES/PACS") == []


def test_a_directory_in_the_place_of_a_file_is_an_error_and_stays(tree, root):
    entry = source(root)
    (root / PATH).mkdir(parents=True)
    os.utime(entry, (1_000_000_000, 1_000_000_000))  # the directory is younger: no later version for all that
    with pytest.raises(OSError):
        tree.place(entry, PATH)
    assert (root / PATH).is_dir()
    assert os.listdir(root / "tmp") == []


def test_a_planted_symbolic_link_is_not_followed(tree, root):
    (root / "elsewhere").mkdir()
    (root / "SERVICES/PACS/A").symlink_to(root / "elsewhere")
    with pytest.raises(OSError):
        tree.place(source(root), PATH)
    assert os.listdir(root / "elsewhere") == []


def test_services_itself_may_be_a_link(root):
    os.rename(root / "SERVICES", root / "mounted")
    (root / "SERVICES").symlink_to(root / "mounted")
    FinalTree(str(root), str(root / "tmp"), time.time_ns).place(source(root), PATH)
    assert (root / PATH).read_bytes() == b"one"


def test_without_hard_links_the_file_is_copied(tree, root, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    entry = source(root)
    assert not tree.probe(entry)
    tree.place(entry, PATH)
    assert (root / PATH).read_bytes() == b"one"
    assert not os.path.samefile(entry, root / PATH)


def test_many_directories_do_not_keep_many_descriptors(tree, root):
    before = len(os.listdir("/proc/self/fd"))
    for number in range(600):
        tree.place_empty(f"SERVICES/PACS/A/{number}/x")
        tree.sync_directories()
    assert len(os.listdir("/proc/self/fd")) < before + 300
