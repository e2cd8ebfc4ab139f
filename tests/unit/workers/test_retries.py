"""What failed is tried again, with back-off, and not for ever unless the storage is to blame."""

import errno

import pytest

from workers import retries as module
from workers.retries import Retries


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def fail(retries, code, times):
    return [retries.failed("x", OSError(code, "")) for _ in range(times)]


def test_each_try_waits_longer(clock):
    retries = Retries()
    fail(retries, errno.EACCES, 1)
    assert not retries.due()
    clock[0] = 1.0
    assert retries.take_due() == ["x"]
    fail(retries, errno.EACCES, 1)
    clock[0] = 2.5
    assert not retries.due()


def test_what_the_file_itself_is_to_blame_for_ends(clock):
    assert fail(Retries(), errno.EACCES, 8) == [True] * 7 + [False]


def test_a_full_disk_is_waited_for_as_long_as_it_takes(clock):
    assert all(fail(Retries(), errno.ENOSPC, 100))


def test_a_success_forgets(clock):
    retries = Retries()
    fail(retries, errno.EACCES, 1)
    retries.forget("x")
    assert not retries.knows("x")
    assert not retries.due()
