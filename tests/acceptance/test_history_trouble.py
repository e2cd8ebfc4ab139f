"""The history of a real gateway in trouble: a full disk, another version, a crowd."""

import contextlib
import sqlite3

import pytest

from oxidicom.history.schema import FORMAT
from tests.acceptance.network.test_doorman import all_busy, rejected_after
from tests.acceptance.test_history import log, settled
from tests.dicom import make_series, send
from tests.powers import filesystem_in_memory
from tests.waiting import wait_until


@pytest.fixture
def small_disk(tmp_path):
    """A disk of one megabyte where the history is kept."""
    point = tmp_path / "state"
    point.mkdir()
    with filesystem_in_memory(point, 1):
        yield point


def fill(directory):
    """Fill the disk of a directory to the last byte. Return the file that does so."""
    path = directory / "filling"
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    return path


def test_a_full_disk_costs_nothing_but_time(small_disk, make_gateway, rows, tmp_path):
    gateway = make_gateway()
    send(gateway.port, make_series(tmp_path / "first", 1), "BEFORE")
    settled(gateway)
    filling = fill(small_disk)
    send(gateway.port, make_series(tmp_path / "second", 2), "MEANWHILE")
    (line,) = wait_until(lambda: gateway.lines("history_unavailable"), "it is told")
    assert "full" in line["reason"]
    wait_until(lambda: len(rows()) == 3 and not gateway.spooled(), "all is registered")
    assert [one["calling_ae_title"] for one in log(gateway)] == ["BEFORE"]
    filling.unlink()
    wait_until(lambda: gateway.lines("history_available"), "it is told that it is over")
    assert [one["calling_ae_title"] for one in settled(gateway, 2)] == ["BEFORE", "MEANWHILE"]
    assert gateway.run("log").stderr == "", "nothing is missing"


def test_a_history_of_a_later_version_is_told_as_such(gateway, tmp_path):
    send(gateway.port, make_series(tmp_path / "in", 1))
    settled(gateway)
    gateway.stop()
    (path,) = tmp_path.glob("state/history-*.sqlite")
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {FORMAT + 1}")
    done = gateway.run("log")
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert "was written by a later version" in line


def test_who_found_no_listener_is_in_the_history(make_gateway):
    gateway = make_gateway(CHRIS_LISTENER_THREADS="1", CHRIS_SCP_BUSY_SECONDS="1")
    with all_busy(gateway, 1):
        rejected_after(gateway, b"CROWD")
        (record,) = settled(gateway, 1, "--refused")
    assert record["calling_ae_title"] == "CROWD"
    assert record["rejected"]
    assert "local limit exceeded" in record["how"]
    assert "CROWD" in gateway.run("log").stdout
