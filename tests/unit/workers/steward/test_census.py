"""What the steward counts in the spool."""

import os
import tracemalloc
from pathlib import Path

from oxidicom.spool.names import RECEIVED, EntryName
from workers.channels.scoreboard import Counter
from workers.steward.census import Census

_BEGAN = 1_700_000_000


def test_the_oldest_is_the_one_with_the_least_number_however_many_digits_it_has(shared):
    steward = shared.scoreboard.steward
    directory = Path(shared.directory.spool) / "01HZ7TF03EZD364005NP332RBQ"
    directory.mkdir()
    for number in (999_999, 1_000_000):
        path = directory / EntryName(number, "0123456789abcdef0123", 0).at(RECEIVED)
        path.touch()
        os.utime(path, (_BEGAN + number, _BEGAN + number))
    Census(shared.directory, steward).take_if_due()
    assert steward[Counter.SPOOL_ENTRIES] == 2
    assert steward[Counter.SPOOL_OLDEST_SECONDS] == _BEGAN + 999_999


def test_a_file_from_before_the_epoch_waits_like_any_other(shared):
    directory = Path(shared.directory.spool) / "01HZ7TF03EZD364005NP332RBQ"
    directory.mkdir()
    path = directory / EntryName(1, "0123456789abcdef0123", 0).at(RECEIVED)
    path.touch()
    os.utime(path, (-5, -5))
    Census(shared.directory, shared.scoreboard.steward).take_if_due()
    assert shared.scoreboard.steward[Counter.SPOOL_ENTRIES] == 1


def test_only_what_is_still_there_is_called_a_stranger(shared, logged_warnings):
    """Where names have no kind, one that is gone when it is looked at seems to be no file."""
    strange, gone = (os.path.join(shared.directory.spool, name) for name in ("strange", "01HZ7TF03EZD364005NP332RBQ"))
    Path(strange).touch()
    census = Census(shared.directory, shared.scoreboard.steward)
    census._tell(gone)
    census.take_if_due()
    (line,) = logged_warnings
    assert "strange was not written by this version of the gateway" in line


def test_memory_does_not_grow_with_what_waits(shared):
    directory = Path(shared.directory.spool) / "01HZ7TF03EZD364005NP332RBQ"
    directory.mkdir()
    for number in range(10_000):
        (directory / EntryName(number, "0123456789abcdef0123", 0).at(RECEIVED)).touch()
    census = Census(shared.directory, shared.scoreboard.steward)
    tracemalloc.start()
    try:
        census.take_if_due()
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert shared.scoreboard.steward[Counter.SPOOL_ENTRIES] == 10_000
    assert peak_bytes < 200_000, "10,000 names take a megabyte"
