"""The server of the health page, by itself."""

import http.server
import socket
import threading
import time
import urllib.request

import pytest
from loguru import logger

from workers.channels.ports import open_port
from workers.channels.scoreboard import ProcessState, Role
from workers.observer.health import _Server, health


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/bug":
            raise LookupError("a bug")
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def serve():
    servers = []

    def start(address):
        servers.append(_Server(open_port(address, 0), Page))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return servers[-1].socket.getsockname()[1]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def status(host, port, path="/"):
    with urllib.request.urlopen(f"http://{host}:{port}{path}", timeout=20) as response:
        return response.status


@pytest.mark.parametrize(
    ("address", "hosts"),
    [("::", ["[::1]", "127.0.0.1"]), ("::1", ["[::1]"]), ("127.0.0.1", ["127.0.0.1"]), ("0.0.0.0", ["127.0.0.1"])],
)
def test_it_speaks_the_family_of_its_address(serve, address, hosts):
    port = serve(address)
    assert {status(host, port) for host in hosts} == {204}


def test_it_starts_without_a_question_to_the_dns(serve, monkeypatch):
    def ask(*_):
        raise AssertionError("the DNS may take half a minute to say that it does not know")

    for name in ("getfqdn", "gethostbyaddr", "gethostbyname"):
        monkeypatch.setattr(socket, name, ask)
    assert status("127.0.0.1", serve("127.0.0.1")) == 204


def test_a_bug_in_a_page_is_one_line_of_log(serve, capsys):
    lines = []
    logger.remove()
    handler = logger.add(lines.append, format="{message} {extra[action]}")
    try:
        with pytest.raises(OSError):
            status("127.0.0.1", serve("127.0.0.1"), "/bug")
    finally:
        logger.remove(handler)
    (line,) = lines
    assert line.startswith("Unexpected LookupError in test_health.py:")
    assert capsys.readouterr().err == ""


def test_a_process_that_waits_for_the_storage_is_not_silent_and_one_that_hangs_is(shared, monkeypatch):
    for slot in shared.scoreboard.slots:
        slot.begin(slot.role, 0)  # as the supervisor does before it forks the first
    (doorman,) = shared.scoreboard.of_role(Role.DOORMAN)
    doorman.begin(Role.DOORMAN, 4711)
    later_ns = time.monotonic_ns() + 100_000_000_000
    monkeypatch.setattr(time, "monotonic_ns", lambda: later_ns)
    assert health(shared) == (False, {"status": "failing", "silent": ["doorman"]})
    doorman.beat(ProcessState.WAITING)
    assert health(shared) == (True, {"status": "ok", "silent": []})
