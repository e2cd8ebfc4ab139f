"""The gateway does its work with the power that deploy/ gives it, and that power is as small as it says."""

import os
import signal
import subprocess
import sys
import urllib.request

import pytest

from tests.dicom import make_series, send
from tests.fixtures.gateway import Gateway, free_port
from tests.fixtures.postgres import with_its_password
from tests.powers import need_mounts
from tests.sandbox import container, service
from tests.sandbox.unit import UNIT, allowed_calls, calls_of, directives
from tests.waiting import wait_until


def does_its_work(gateway, rows, directory):
    """Receive, store, register, serve the page, replace a process that dies, do its commands, and stop in order."""
    page = free_port()
    gateway.environment["CHRIS_HTTP_PORT"] = str(page)
    gateway.start()
    send(gateway.port, make_series(directory / "a", 3, "1.2.1"))
    wait_until(lambda: len(rows()) == 3 and len(rows(metadata=True)) == 2, "a series is registered")
    wait_until(lambda: gateway.run("status").returncode == 0, "all is well", every=0.5)
    (lost, *_) = gateway.pids_of("listener")
    os.kill(lost, signal.SIGKILL)
    wait_until(lambda: len(gateway.pids_of("listener")) == 4 and lost not in gateway.children(), "a successor")
    send(gateway.port, make_series(directory / "b", 3, "1.2.2"))
    wait_until(lambda: len(rows()) == 6 and len(rows(metadata=True)) == 4, "another series is registered")
    with urllib.request.urlopen(f"http://127.0.0.1:{page}/healthz", timeout=30) as answer:
        assert answer.status == 200
    for command in ("send-test", "reconcile"):
        done = gateway.run(command)
        assert done.returncode == 0, done.stdout + done.stderr
    assert gateway.stop() == 0
    assert not gateway.spooled()
    assert not [line for line in gateway.lines() if line["level"] in ("ERROR", "CRITICAL")]


@pytest.mark.systemd
def test_under_the_filters_of_the_systemd_unit(make_gateway, rows, tmp_path):
    gateway = make_gateway(start=False)
    service.confine(gateway)
    does_its_work(gateway, rows, tmp_path)


@pytest.mark.systemd
@pytest.mark.parametrize(
    ("attempt", "answer"),
    [
        ("os.chown('.', -1, -1)", "PermissionError"),
        ("os.nice(1)", "PermissionError"),
        ("os.chroot('/')", "PermissionError"),
        ("os.mkdir('set-group-id', 0o2755)", "PermissionError"),
        ("mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)", "PermissionError"),
        ("socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)", "OSError: [Errno 97]"),
        ("os.mkdir('directory', 0o755)", ""),
        ("socket.socket(socket.AF_INET6)", ""),
    ],
)
def test_what_the_filters_refuse(attempt, answer, tmp_path):
    command = [sys.executable, "-m", "tests.sandbox", sys.executable, "-c"]
    script = f"import mmap, os, socket; os.chdir({str(tmp_path)!r}); {attempt}"
    done = subprocess.run([*command, script], capture_output=True, text=True, timeout=120)
    last = (done.stderr.splitlines() or [""])[-1]
    assert last.startswith(answer) if answer else not last, done.stderr


@pytest.mark.systemd
def test_the_filters_are_those_of_the_unit():
    unit = directives(UNIT.read_text())
    allowed = allowed_calls(unit["SystemCallFilter"])
    assert {"openat", "fdatasync", "execve", "clock_gettime"} <= allowed
    assert not allowed & (calls_of("@privileged") | calls_of("@resources") | calls_of("@obsolete"))
    assert "CapabilityBoundingSet" in unit
    assert "#CapabilityBoundingSet" not in unit


@pytest.mark.timeout(900)  # it installs all that the gateway needs
def test_as_the_user_of_the_container_with_a_read_only_root(public_directory, database, rows, tmp_path):
    """What the Containerfile installs, run as its user where only the storage can be written to."""
    need_mounts()
    if reason := container.why_not():
        pytest.skip(reason)
    gateway = Gateway(public_directory, with_its_password(database))
    container.confine(gateway, container.install(gateway.files_root.parent))
    try:
        does_its_work(gateway, rows, tmp_path)
        outside = gateway.run("check", CHRIS_FILES_ROOT=public_directory)
        assert outside.returncode == 2, outside.stdout
    finally:
        if gateway.process and gateway.process.poll() is None:
            gateway.kill_all()
