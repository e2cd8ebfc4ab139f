"""What is taken over is what is over: by locks that hold, of a format that is known, and nothing is removed with it."""

import fcntl
import os
from pathlib import Path

import pytest

from oxidicom.spool import gateway_directory as module
from oxidicom.spool.adoption import adopt_orphans
from oxidicom.spool.association_directory import associations
from oxidicom.spool.gateway_directory import FORMAT, GatewayDirectory
from oxidicom.spool.ledger import Started
from oxidicom.spool.names import RECEIVED, EntryName
from oxidicom.spool.spool_writer import SpoolWriter
from tests.fixtures.storage import commit, describe_file, make_gateway_directory, no_trouble

STARTED = Started("01HZ7TF03EZD364005NP332RBQ", "TEST", "ChRIS", "127.0.0.1:1")


@pytest.fixture
def spool_writer(gateway_directory):
    """The spool_writer of an association under way at the gateway."""
    made = SpoolWriter(gateway_directory.spool, STARTED)
    commit(made, describe_file())
    return made


@pytest.fixture
def adopt(tmp_path):
    """A function by which another gateway adopts; it returns how many, and what it told."""

    def adopt():
        told = []
        other = make_gateway_directory(tmp_path / "files")
        return adopt_orphans(other, lambda path, reason: told.append((path, reason))), told

    return adopt


def everything(directory):
    return sorted(str(path) for path in Path(directory).rglob("*"))


def test_a_living_gateway_is_left_although_the_lock_on_its_directory_is_granted(
    gateway_directory, spool_writer, adopt, monkeypatch
):
    """Network filesystems know no lock for directories: it is local to each host."""
    spool_writer._ledger.close()
    before = everything(gateway_directory.path)
    monkeypatch.setattr(module, "_lock_directory", lambda path, how=0: os.open(path, os.O_RDONLY))
    assert adopt() == ((0, 0), [])
    assert everything(gateway_directory.path) == before


def test_where_locks_do_not_hold_nothing_of_others_is_adopted(gateway_directory, spool_writer, adopt, monkeypatch):
    before = everything(gateway_directory.path)
    gateway_directory._unlock()
    spool_writer._ledger.close()
    monkeypatch.setattr(fcntl, "flock", lambda *_: None)
    assert adopt() == ((0, 0), [])
    assert everything(gateway_directory.path) == before


def test_locks_are_proved_when_they_are_taken(gateway_directory, tmp_path, monkeypatch):
    assert gateway_directory.locks_hold
    inherited = GatewayDirectory(gateway_directory.files_root)  # of a process that began before it was made
    inherited.ulid, inherited.path = gateway_directory.ulid, gateway_directory.path
    assert not inherited.locks_hold
    inherited.learn()
    assert inherited.locks_hold
    monkeypatch.setattr(fcntl, "flock", lambda *_: None)
    assert not make_gateway_directory(tmp_path / "files").locks_hold


def test_an_association_whose_listener_lives_stays_where_it_is(gateway_directory, spool_writer, adopt):
    """Its gateway is dead, and it is dying."""
    gateway_directory._unlock()
    assert adopt() == ((0, 0), [])
    assert associations(gateway_directory.spool) == [spool_writer.directory]
    spool_writer._ledger.close()
    assert adopt() == ((1, 0), [])
    assert not os.path.exists(gateway_directory.path)


@pytest.mark.parametrize(
    "written",
    [f'{{"format": {FORMAT + 1}}}', "{", "[1]", "\xff", '{"format": "new"}', '{"format":1,"x":' + "[" * 4000],
)
def test_a_spool_of_a_newer_format_is_left_to_the_newer_version(gateway_directory, spool_writer, adopt, written):
    spool_writer._ledger.close()
    gateway_directory._unlock()
    Path(gateway_directory.path, "format.json").write_text(written)
    before = everything(gateway_directory.path)
    ((path, reason),) = adopt()[1]
    assert path == gateway_directory.path
    assert "format" in reason
    assert everything(gateway_directory.path) == before


@pytest.fixture
def of_version_4_0_0(gateway_directory, spool_writer):
    """The gateway is of a version that locks its directory and knows no other files; return what ends it."""
    spool_writer._ledger.close()
    gateway_directory._unlock()
    for name in ("lock", "format.json"):
        os.unlink(os.path.join(gateway_directory.path, name))
    lock = os.open(gateway_directory.path, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lambda: os.close(lock)


def test_a_gateway_of_an_older_version_is_adopted_when_it_is_gone_and_not_before(
    gateway_directory, of_version_4_0_0, adopt
):
    assert module.is_running(gateway_directory.path)
    assert adopt() == ((0, 0), [])
    of_version_4_0_0()
    assert not module.is_running(gateway_directory.path)
    assert adopt() == ((1, 0), [])
    assert not os.path.exists(gateway_directory.path)


def test_a_gateway_of_an_older_version_does_not_adopt_this_one(gateway_directory):
    """It looks at the lock of the directory only."""
    descriptor = os.open(gateway_directory.path, os.O_RDONLY)
    with pytest.raises(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(descriptor)


def test_an_association_without_its_ledger_is_adopted_with_its_entries(gateway_directory, spool_writer, tmp_path):
    spool_writer._ledger.close()
    os.unlink(os.path.join(spool_writer.directory, "ledger.jsonl"))
    gateway_directory._unlock()
    successor = make_gateway_directory(tmp_path / "files")
    assert adopt_orphans(successor, no_trouble) == (1, 0)
    (directory,) = associations(successor.spool)
    assert os.listdir(directory)


@pytest.mark.parametrize("planted", ["core", "01HZ7TF03EZD364005NP332RBR"])
def test_what_is_strange_in_a_spool_is_left_and_keeps_its_place(gateway_directory, spool_writer, adopt, planted):
    spool_writer._ledger.close()
    gateway_directory._unlock()
    os.mkfifo(os.path.join(gateway_directory.spool, planted))
    assert adopt() == ((1, 0), [])
    assert os.listdir(gateway_directory.spool) == [planted]


@pytest.mark.parametrize("name", ["lock", "format.json", "spool"])
def test_something_strange_in_place_of_a_file_of_a_gateway_makes_nobody_wait(gateway_directory, adopt, name):
    path = Path(gateway_directory.path, name)
    gateway_directory._unlock()
    if path.is_dir():
        path.rmdir()
    else:
        path.unlink()
    os.mkfifo(path)
    taken, _ = adopt()
    assert taken == (0, 0)
    assert path.is_fifo()


def test_an_entry_that_comes_while_its_directory_is_removed_stays(gateway_directory, spool_writer):
    """Whatever the order: a directory goes by rmdir, which an entry refuses."""
    entry = Path(spool_writer.directory, EntryName(2, "0" * 20, 0).at(RECEIVED))
    entry.touch()
    spool_writer.end("released", 0)
    assert entry.exists()
