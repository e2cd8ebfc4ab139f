"""What is synced before an answer: how strace's notes are read and counted, and one real receiver."""

import os
import shutil
import subprocess
import sys

import pytest
from rich.console import Console

from benchmarks.acknowledge import (
    Exchange,
    Kind,
    Sync,
    before_the_answer,
    measure,
    run,
    seconds_after,
    syncs_in,
    traced,
)
from benchmarks.database import DatabaseServer
from benchmarks.errors import BenchmarkError
from benchmarks.senders.receivers import receivers_with
from tests.powers import reason_against_tracing

EVERYTHING = frozenset(Kind)
SYNCS = """\
import os, sys
sys.stdin.readline()
for path in sys.argv[1:]:
    os.fsync(os.open(path, os.O_RDONLY))
"""


@pytest.fixture
def strace():
    """Skip the test where strace is missing or may not attach."""
    if not shutil.which("strace"):
        pytest.skip("needs strace: apt-get install strace")
    if reason := reason_against_tracing():
        pytest.skip(reason)


def read(*lines, index="/nowhere"):
    return [(sync.ended, sync.kinds) for sync in syncs_in(lines, index)]


def test_a_call_is_told_by_what_it_syncs(tmp_path):
    assert read(f"100.5 fsync(7<{tmp_path}/a.dcm>) = 0 <0.250000>") == [(100.75, {Kind.FILE})]
    assert read(f"100.5 fdatasync(7<{tmp_path}/a.dcm>(deleted)) = 0 <0.250000>") == [(100.75, {Kind.FILE})]
    assert read(f"100.5 fsync(7<{tmp_path}>)           = 0 <0.250000>") == [(100.75, {Kind.NAME})]
    assert read(f"100.5 syncfs(7<{tmp_path}>)          = 0 <0.250000>") == [(100.75, EVERYTHING)]
    assert read("1.5 fsync(7</own/index/index-wal>) = 0 <0.250000>", index="/own/index") == [(1.75, {Kind.INDEX})]
    assert read("1.5 fsync(7</own/index-of-files>) = 0 <0.250000>", index="/own/index") == [(1.75, {Kind.FILE})]


def test_what_did_not_succeed_is_no_sync():
    assert not read(
        "100.5 fsync(7</a.dcm>) = -1 EIO (Input/output error) <0.250000>",
        "100.5 fsync(7</a.dcm> <unfinished ...>",
        "100.5 +++ exited with 0 +++",
    )


def test_only_what_ends_between_request_and_answer_was_before_the_answer():
    exchanges = [Exchange(1.0, 2.0), Exchange(3.0, 4.0), Exchange(5.0, 6.0)]
    syncs = [Sync(1.5, frozenset({Kind.FILE})), Sync(4.5, frozenset({Kind.FILE})), Sync(5.5, frozenset({Kind.NAME}))]
    assert before_the_answer(exchanges, syncs, Kind.FILE) == 1
    assert before_the_answer(exchanges, syncs, Kind.NAME) == 1
    assert before_the_answer(exchanges, syncs, Kind.INDEX) == 0


def test_the_last_sync_before_the_next_instance_counts_for_how_long_it_took():
    exchanges = [Exchange(1.0, 2.0), Exchange(3.0, 4.0), Exchange(5.0, 6.0)]
    syncs = [Sync(moment, EVERYTHING) for moment in (1.5, 2.25, 2.5, 6.75)]
    assert seconds_after(exchanges, syncs) == [0.5, 0.75]


def test_real_calls_are_seen(strace, tmp_path):
    file = tmp_path / "a.dcm"
    file.touch()
    command = [sys.executable, "-c", SYNCS, file, tmp_path]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process, traced(process.pid, str(tmp_path)) as prefix:
        process.communicate(b"\n")
    with open(f"{prefix}.{process.pid}", encoding="utf-8") as noted:
        assert [sync.kinds for sync in syncs_in(noted, "/nowhere")] == [{Kind.FILE}, {Kind.NAME}]


def test_a_receiver_that_syncs_nothing(strace, tmp_path):
    dcmtk = next(one for one in receivers_with(DatabaseServer("/nowhere")) if one.name == "dcmtk")
    if reason := dcmtk.why_missing():
        pytest.skip(reason)
    exchanges, syncs = measure(dcmtk, str(tmp_path), 2)
    assert len(exchanges) == 2
    assert not syncs
    assert len(os.listdir(tmp_path / "files")) == 3


def test_without_strace_it_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BenchmarkError, match="apt-get install strace"):
        run(str(tmp_path), 1, Console())
