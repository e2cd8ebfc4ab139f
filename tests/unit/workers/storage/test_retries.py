"""What failed is tried again, with back-off, and not for ever unless the storage is to blame."""

import errno

import pytest

from workers.storage import retries as module
from workers.storage.retries import Retries


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("workers.storage.retries.time.monotonic", lambda: now[0])
    return now


def fail(retries, code, times):
    return [retries.failed("x", OSError(code, "")) for _ in range(times)]


def test_each_try_waits_longer(clock):
    retries = Retries(str)
    fail(retries, errno.EACCES, 1)
    assert not retries.is_due
    clock[0] = 1.0
    assert retries.due() == ["x"]
    fail(retries, errno.EACCES, 1)
    clock[0] = 2.5
    assert not retries.is_due


def test_what_the_file_itself_is_to_blame_for_ends(clock):
    assert fail(Retries(str), errno.EACCES, 8) == [True] * 7 + [False]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.ENOENT, errno.ETIMEDOUT, errno.ENOTCONN, None])
def test_a_storage_that_is_full_or_away_is_waited_for_as_long_as_it_takes(code, clock):
    assert all(fail(Retries(str), code, 100))


def test_a_success_forgets(clock):
    retries = Retries(str)
    fail(retries, errno.EACCES, 1)
    retries.forget("x")
    assert not retries.knows("x")
    assert not retries.is_due


def test_the_same_thing_told_otherwise_is_known(clock):
    """The time of a commit may have fewer digits when it is read from the filesystem."""
    retries = Retries(lambda thing: thing[0])
    retries.failed(("x", 1), OSError(errno.EIO, ""))
    assert retries.knows(("x", 2))
    assert retries.knows_key("x")
    retries.forget(("x", 2))
    assert not retries.knows(("x", 1))


def test_no_more_is_remembered_than_memory_is_given_to(clock, monkeypatch):
    monkeypatch.setattr(module, "_MAX_WAITING", 2)
    retries = Retries(str)
    for thing in ("x", "y", "z"):
        assert retries.failed(thing, OSError(errno.ENOSPC, ""))
    assert retries.is_full
    assert not retries.knows("z")
    retries.forget("x")
    assert not retries.is_full
