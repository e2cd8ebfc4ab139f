"""A snapshot is whole or it is the one before, whenever its writer dies."""

import os
import signal
import time

from workers.channels.snapshot import Snapshot


def test_a_successor_reads_what_was_kept_last():
    snapshot = Snapshot(100)
    assert snapshot.read() is None
    pid = os.fork()
    if pid == 0:
        for data in (b"first", b"second", b""):
            snapshot.write(data or b"third")
        os._exit(0)
    os.waitpid(pid, 0)
    assert snapshot.read() == b"third"


def test_what_is_too_large_is_not_kept_and_what_was_there_stays():
    snapshot = Snapshot(5)
    assert snapshot.write(b"small")
    assert not snapshot.write(b"larger")
    assert snapshot.read() == b"small"
    assert not Snapshot(0).write(b"x")


def test_a_writer_that_is_killed_leaves_a_whole_one():
    snapshot = Snapshot(100_000)
    pieces = [bytes([number]) * 100_000 for number in range(7)]
    snapshot.write(pieces[0])
    for _ in range(20):
        pid = os.fork()
        if pid == 0:
            while True:
                for data in pieces:
                    snapshot.write(data)
        deadline = time.monotonic() + 0.005
        while time.monotonic() < deadline:
            pass
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        assert snapshot.read() in pieces
