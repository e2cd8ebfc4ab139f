"""A low limit of open files: either the gateway does all its work with it, or it does not start and says why."""

import concurrent.futures
import os
import sys
from pathlib import Path

import pytest

from tests.acceptance.drills.account import metadata_is_right, nothing_lost, settled
from tests.dicom import make_series, send
from tests.processes import descriptors
from tests.waiting import wait_until

SENDERS, SERIES, INSTANCES = 4, 80, 2


def limited(gateway, limit):
    """Let a gateway start with no more than so many open files, as a soft and hard limit."""
    gateway.command = ["bash", "-c", f'ulimit -n {limit} && exec {sys.executable} -m oxidicom "$@"', "bash"]
    return gateway


def limits(pid):
    (line,) = [line for line in Path(f"/proc/{pid}/limits").read_text().splitlines() if "open files" in line]
    return line.split()[3:5]


@pytest.mark.timeout(300)
def test_with_256_several_hundred_series_at_once_are_stored_and_registered(make_gateway, rows, tmp_path):
    gateway = make_gateway(start=False, CHRIS_LISTENER_THREADS="16", TOKIO_WORKER_THREADS="4")
    limited(gateway, 256).start()
    paths = {
        (sender, series): make_series(tmp_path / f"{sender}-{series}", INSTANCES, f"1.2.{sender + 1}.{series + 1}")
        for sender in range(SENDERS)
        for series in range(SERIES)
    }

    def deliver(sender):
        mine = [path for series in range(SERIES) for path in paths[sender, series]]
        return {status.Status for status in send(gateway.port, mine, f"SENDER{sender}")}

    with concurrent.futures.ThreadPoolExecutor(SENDERS) as pool:
        assert list(pool.map(deliver, range(SENDERS))) == [{0}] * SENDERS
    settled(gateway, 120)
    acknowledged = {
        f"1.2.{sender + 1}.{series + 1}.{number}": path
        for (sender, series), series_paths in paths.items()
        for number, path in enumerate(series_paths, 1)
    }
    found = nothing_lost(gateway, rows, acknowledged)
    assert metadata_is_right(rows(metadata=True)) == len(found) == SENDERS * SERIES * INSTANCES
    assert not [line for line in gateway.lines() if line["level"] not in ("DEBUG", "INFO")]
    assert max(descriptors([pid]) for pid in gateway.children()) < 256


def test_the_soft_limit_is_raised_to_the_hard_one(make_gateway):
    gateway = make_gateway(start=False)
    gateway.command = ["bash", "-c", f"ulimit -Sn 300 && ulimit -Hn 2000 && exec {sys.executable} -m oxidicom"]
    gateway.start()
    for pid in (gateway.process.pid, *gateway.children()):
        assert limits(pid) == ["2000", "2000"]


def test_with_too_few_it_does_not_start_and_says_how_many_are_needed(make_gateway):
    gateway = make_gateway(start=False, new=True, TOKIO_WORKER_THREADS="64")
    limited(gateway, 200).start(wait=False)
    assert gateway.process.wait(60) == 78
    text = gateway.log_path.read_text()
    assert "the limit of open files (ulimit -n; systemd: LimitNOFILE) is 200, but 616 are needed" in text
    assert "TOKIO_WORKER_THREADS=64" in text
    assert not list(gateway.files_root.iterdir()), "nothing was begun"


def test_with_as_many_as_are_needed_it_starts(make_gateway, rows, tmp_path):
    gateway = make_gateway(start=False, TOKIO_WORKER_THREADS="64", CHRIS_LISTENER_THREADS="2")
    limited(gateway, 616).start()
    assert [status.Status for status in send(gateway.port, make_series(tmp_path / "in", 3))] == [0] * 3
    wait_until(lambda: len(rows()) == 3, "the rows")
    assert os.path.exists(f"/proc/{gateway.process.pid}")
