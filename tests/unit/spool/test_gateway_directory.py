"""Who owns a spool, and how an orphan is adopted."""

import errno
import os

import pytest

from oxidicom.errors import BootError
from oxidicom.spool import adoption
from oxidicom.spool.adoption import adopt_orphans
from oxidicom.spool.association_directory import associations, ledger_of
from oxidicom.spool.gateway_directory import GatewayDirectory, gateway_paths, is_running, lock_gateway
from oxidicom.spool.ledger import Started
from oxidicom.spool.spool_writer import SpoolWriter
from tests.fixtures.storage import commit, describe_file, make_gateway_directory, no_trouble

STARTED = Started("01HZ7TF03EZD364005NP332RBQ", "TEST", "ChRIS", "127.0.0.1:1")


def receive(gateway_directory):
    spool_writer = SpoolWriter(gateway_directory.spool, STARTED)
    commit(spool_writer, describe_file())
    spool_writer._ledger.close()
    return spool_writer


def die(gateway_directory):
    gateway_directory._unlock()


def test_a_living_gateway_is_not_adopted(gateway_directory, tmp_path):
    receive(gateway_directory)
    assert adopt_orphans(make_gateway_directory(tmp_path / "files"), no_trouble) == (0, 0)
    assert len(associations(gateway_directory.spool)) == 1


def test_the_associations_of_a_dead_gateway_move_to_the_one_that_adopts_it(gateway_directory, tmp_path):
    receive(gateway_directory)
    die(gateway_directory)
    successor = make_gateway_directory(tmp_path / "files")
    assert adopt_orphans(successor, no_trouble) == (1, 0)
    (directory,) = associations(successor.spool)
    assert ledger_of(directory).committed
    assert not os.path.exists(gateway_directory.path)
    assert adopt_orphans(successor, no_trouble) == (0, 0)


def test_an_empty_directory_is_removed_at_the_end(gateway_directory):
    assert gateway_directory.remove_if_empty() is True
    assert not os.path.exists(gateway_directory.path)


def test_a_directory_with_a_backlog_stays(gateway_directory):
    receive(gateway_directory)
    assert gateway_directory.remove_if_empty() is False


def test_the_spool_is_private(gateway_directory):
    assert os.stat(gateway_directory.path).st_mode & 0o077 == 0


def test_a_storage_that_is_no_directory_is_named(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"")
    with pytest.raises(BootError, match="CHRIS_FILES_ROOT must be a directory"):
        GatewayDirectory(str(path)).make()


def test_what_a_death_left_hidden_is_removed_with_the_orphan(gateway_directory, tmp_path):
    os.mkdir(os.path.join(gateway_directory.spool, f".{STARTED.association}"))
    with open(os.path.join(gateway_directory.spool, ".probe-1"), "wb"):
        pass
    die(gateway_directory)
    assert adopt_orphans(make_gateway_directory(tmp_path / "files"), no_trouble) == (0, 0)
    assert not os.path.exists(gateway_directory.path)


def test_whether_a_gateway_runs_is_told_without_disturbing_anybody(gateway_directory, tmp_path):
    receive(gateway_directory)
    assert is_running(gateway_directory.path)
    die(gateway_directory)
    assert not is_running(gateway_directory.path)
    assert adopt_orphans(make_gateway_directory(tmp_path / "files"), no_trouble) == (1, 0)


def test_a_gateway_that_is_about_to_start_is_not_seen_before_it_has_its_lock(gateway_directory, tmp_path):
    os.mkdir(tmp_path / "files" / ".oxidicom" / "01HZ7TF03EZD364005NP332RBR")
    assert gateway_paths(str(tmp_path / "files")) == [gateway_directory.path]
    assert gateway_paths(str(tmp_path / "elsewhere")) == []


def test_what_is_released_is_for_others(gateway_directory, tmp_path):
    receive(gateway_directory)
    gateway_directory.release()
    assert adopt_orphans(make_gateway_directory(tmp_path / "files"), no_trouble) == (1, 0)


def test_what_cannot_be_taken_over_is_told_and_left(gateway_directory, tmp_path, monkeypatch):
    receive(gateway_directory)
    die(gateway_directory)
    successor = make_gateway_directory(tmp_path / "files")
    told = []

    def refuse(source, target):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(os, "rename", refuse)
        assert adopt_orphans(successor, lambda path, reason: told.append((path, reason))) == (0, 0)
    assert told == [(os.path.join(gateway_directory.spool, STARTED.association), "No space left on device")]
    assert adopt_orphans(successor, no_trouble) == (1, 0)


def test_another_may_take_it_over_between_look_and_lock(gateway_directory, tmp_path, monkeypatch):
    receive(gateway_directory)
    die(gateway_directory)
    first, second = (make_gateway_directory(tmp_path / "files") for _ in range(2))

    def overtaken(path):
        monkeypatch.setattr(adoption, "lock_gateway", lock_gateway)
        assert adopt_orphans(first, no_trouble) == (1, 0)
        return lock_gateway(path)

    monkeypatch.setattr(adoption, "lock_gateway", overtaken)
    assert adopt_orphans(second, no_trouble) == (0, 0)
    assert len(associations(first.spool)) == 1
