"""Whoever reads the log stalls, and reads again later, or never: the gateway goes on."""

import contextlib
import fcntl
import json
import os
import pty
import subprocess
import tty

import pytest

from tests.acceptance.drills.account import nothing_lost, settled
from tests.acceptance.drills.test_successors import accepts
from tests.dicom import make_series, send
from tests.waiting import wait_until

ASSOCIATIONS = 30


@contextlib.contextmanager
def unread(kind):
    """A pipe or a terminal for the log, which nobody reads: the end to be read, and that to write to."""
    reader, writer = os.pipe() if kind == "pipe" else pty.openpty()
    if kind == "pipe":
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    else:
        tty.setraw(writer)
    os.set_blocking(reader, False)
    try:
        yield reader, writer
    finally:
        os.close(reader)


class Reader:
    """Reads what there is when it is asked."""

    def __init__(self, descriptor):
        self._descriptor = descriptor
        self._text = b""

    def lines(self):
        with contextlib.suppress(BlockingIOError, OSError):
            while piece := os.read(self._descriptor, 65536):
                self._text += piece
        return self._text.decode().splitlines()


@pytest.mark.parametrize(("kind", "log_format"), [("pipe", "json"), ("pipe", "text"), ("terminal", "text")])
def test_a_reader_that_stalls_blocks_nobody_and_learns_how_much_it_missed(
    make_gateway, rows, tmp_path, kind, log_format
):
    gateway = make_gateway(start=False, CHRIS_LOG_FORMAT=log_format, CHRIS_VERBOSE="yes")
    paths = make_series(tmp_path / "in", ASSOCIATIONS, "1.2.3")
    with unread(kind) as (reader, writer):
        gateway.process = subprocess.Popen(
            gateway.command, env=gateway.environment, stdout=writer, stderr=writer, start_new_session=True
        )
        os.close(writer)
        wait_until(lambda: accepts(gateway.port), "it accepts")
        for path in paths:
            assert [status.Status for status in send(gateway.port, [path])] == [0]
        settled(gateway)
        nothing_lost(gateway, rows, {f"1.2.3.{number}": path for number, path in enumerate(paths, 1)})
        log = Reader(reader)
        told = wait_until(lambda: [line for line in log.lines() if "log lines were lost" in line], "what was lost")
        if log_format == "json":
            assert sum(json.loads(line)["count"] for line in told) > ASSOCIATIONS
            assert all(json.loads(line) for line in log.lines()), "every line is whole"
        assert gateway.stop() == 0
