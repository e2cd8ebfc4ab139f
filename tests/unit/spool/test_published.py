"""What a running gateway tells of itself through its lock file."""

import os
import time

import msgspec
import pytest

from oxidicom.files.regular_file import NotRegularFileError
from oxidicom.spool.gateway_directory import is_running, lock_of, remove_gateway
from oxidicom.spool.published import publish, published
from tests.unit.judgement.test_rules import GOOD


def test_what_is_published_is_read_and_the_lock_stays(gateway_directory):
    path = gateway_directory.path
    assert published(path) is None, "nothing was told yet"
    long = msgspec.structs.replace(GOOD, pacs_trouble="x" * 300)
    publish(path, long)
    assert published(path) == long
    publish(path, GOOD)
    assert published(path) == GOOD, "nothing of the longer one is left"
    assert is_running(path)


@pytest.mark.parametrize(
    "data", [b"", b"{", b'{"version": "99"}', b"\xff\xfe", b"[" * 100_000, b'{"x":' + b"[" * 10_000, b"null"]
)
def test_what_another_version_or_a_crash_left_is_nothing(data, gateway_directory):
    with open(lock_of(gateway_directory.path), "r+b") as file:
        file.write(data)
    assert published(gateway_directory.path) is None


def test_a_fifo_in_its_place_hangs_nobody(tmp_path):
    os.mkfifo(lock_of(str(tmp_path)))
    for call in (published, lambda path: publish(path, GOOD)):
        with pytest.raises(NotRegularFileError):
            call(str(tmp_path))


def test_what_was_published_goes_with_the_directory(gateway_directory):
    publish(gateway_directory.path, GOOD)
    assert remove_gateway(gateway_directory.path)
    assert not os.path.exists(gateway_directory.path)
    with pytest.raises(FileNotFoundError):
        publish(gateway_directory.path, GOOD)


def test_what_is_half_written_is_read_again_once_the_write_is_over(gateway_directory, monkeypatch):
    path = gateway_directory.path
    with open(lock_of(path), "r+b") as file:
        file.write(b'{"version": "')
    monkeypatch.setattr(time, "sleep", lambda _: publish(path, GOOD))
    assert published(path) == GOOD
