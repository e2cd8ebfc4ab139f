"""A process that dies has a successor, also when the successor cannot begin at first."""

import os
import signal
import socket
import sys

import pytest

from tests.acceptance.drills.account import metadata_is_right, nothing_lost, settled
from tests.dicom import make_series, send
from tests.waiting import wait_until


def test_a_storage_worker_that_begins_while_its_tree_is_gone_waits_and_stops_nothing_else(make_gateway, rows, tmp_path):
    gateway = make_gateway(CHRIS_LISTENER_THREADS="2", TOKIO_WORKER_THREADS="1")
    tree = gateway.files_root / "SERVICES" / "PACS"
    away = tree.with_name("away")
    tree.rename(away)
    tree.touch()  # a file where its directory has to be
    os.kill(gateway.pids_of("storage")[0], signal.SIGKILL)
    wait_until(lambda: gateway.lines("tree_unavailable"), "its successor says so", 30)
    paths = make_series(tmp_path / "in", 3, "1.2.3")
    assert [status.Status for status in send(gateway.port, paths)] == [0] * 3, "the spool takes them"
    tree.unlink()
    away.rename(tree)
    settled(gateway)
    assert len(gateway.lines("process_died")) == 1
    nothing_lost(gateway, rows, {f"1.2.3.{number}": path for number, path in enumerate(paths, 1)})
    assert metadata_is_right(rows(metadata=True)) == 3


@pytest.mark.strace
def test_a_fork_that_fails_is_tried_again(make_gateway, inject, rows, tmp_path):
    gateway = make_gateway(CHRIS_LISTENER_THREADS="2", TOKIO_WORKER_THREADS="1")
    tracer = inject(gateway.process.pid, "/^(clone|fork|vfork)", "error=EAGAIN:when=1")
    os.kill(gateway.pids_of("registration")[0], signal.SIGKILL)
    wait_until(lambda: gateway.lines("fork_failed"), "the fork fails")
    tracer.detach()  # it would let the first thread of the successor fail too
    wait_until(lambda: gateway.pids_of("registration"), "there is a successor")
    (path,) = make_series(tmp_path / "in", 1, "1.2.3")
    assert [status.Status for status in send(gateway.port, [path])] == [0]
    settled(gateway)
    nothing_lost(gateway, rows, {"1.2.3.1": path})


def test_whoever_reads_the_log_may_be_gone(make_gateway, rows, tmp_path):
    gateway = make_gateway(start=False, CHRIS_LISTENER_THREADS="2", TOKIO_WORKER_THREADS="1")
    gateway.command = ["bash", "-c", f"exec {sys.executable} -m oxidicom 2> >(head -c 1 >/dev/null)"]
    gateway.start(wait=False)
    wait_until(lambda: len(gateway.pids_of("listener")) == 2, "it has begun")
    first, second = make_series(tmp_path / "in", 2, "1.2.3")
    wait_until(lambda: accepts(gateway.port), "it accepts")
    assert [status.Status for status in send(gateway.port, [first])] == [0]
    old = set(gateway.pids_of("listener"))
    for pid in old:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: len(set(gateway.pids_of("listener")) - old) == 2, "they have successors")
    assert [status.Status for status in send(gateway.port, [second])] == [0]
    settled(gateway)
    nothing_lost(gateway, rows, {"1.2.3.1": first, "1.2.3.2": second})
    assert gateway.stop() == 0


def accepts(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except ConnectionRefusedError:
        return False
    return True
