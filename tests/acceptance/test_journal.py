"""Under systemd the journal learns the priority of each line."""

import os
import socket
import subprocess

from tests.waiting import wait_until


class Journal:
    """A stream socket, as the journal gives to a service for its standard error."""

    def __init__(self):
        self._ours, self.theirs = socket.socketpair()
        self._ours.setblocking(False)
        self._text = b""

    def text(self):
        try:
            while data := self._ours.recv(65536):
                self._text += data
        except BlockingIOError:
            pass
        return self._text.decode()

    def close(self):
        self._ours.close()
        self.theirs.close()


def start(gateway, journal, stream):
    gateway.process = subprocess.Popen(
        gateway.command,
        env={**gateway.environment, "JOURNAL_STREAM": stream, "CHRIS_UNKNOWN": "yes"},
        stderr=journal.theirs,
        start_new_session=True,
    )
    wait_until(lambda: '"action": "ready"' in journal.text(), "the gateway is ready")


def test_lines_begin_with_their_priority_if_standard_error_is_the_journal(make_gateway):
    journal, gateway = Journal(), make_gateway(start=False)
    try:
        status = os.fstat(journal.theirs.fileno())
        start(gateway, journal, f"{status.st_dev}:{status.st_ino}")
        assert gateway.stop() == 0
        lines = journal.text().splitlines()
        assert lines
        assert {line[:4] for line in lines} == {"<4>{", "<6>{"}
        assert all(('"level": "WARNING"' in line) == line.startswith("<4>") for line in lines)
    finally:
        journal.close()


def test_an_inherited_variable_of_another_service_means_nothing(make_gateway):
    journal, gateway = Journal(), make_gateway(start=False)
    try:
        start(gateway, journal, "1:1")
        assert gateway.stop() == 0
        assert {line[0] for line in journal.text().splitlines()} == {"{"}
    finally:
        journal.close()
