"""The page over HTTP: what it says, to whom, and what those cost who mean no good."""

import contextlib
import html
import http.client
import json
import os
import selectors
import signal
import socket
import threading
from email.message import Message
from typing import NamedTuple

import pytest

from tests.dicom import contexts_of, make_series, open_association, send
from tests.fixtures.gateway import free_port
from tests.processes import descriptors, own_bytes, private_kilobytes
from tests.waiting import wait_until

TINY = {"Rows": 4, "Columns": 4, "PixelData": bytes(32)}


class Answer(NamedTuple):
    status: int
    text: str
    headers: Message


class Site:
    """A gateway with a page, and one who asks for it."""

    def __init__(self, make_gateway, **variables):
        self.port = free_port()
        self.gateway = make_gateway(CHRIS_HTTP_PORT=str(self.port), **variables)

    def ask(self, path="/", method="GET", host="localhost"):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            connection.request(method, path, headers={"Host": host})
            response = connection.getresponse()
            return Answer(response.status, response.read().decode(), response.headers)

    def status(self):
        return json.loads(self.ask("/status.json").text)

    def await_status(self, wanted, what):
        """Return the first status of which `wanted` is true."""

        def look():
            with contextlib.suppress(OSError):  # it is being respawned
                status = self.status()
                return wanted(status) and status
            return None

        return wait_until(look, what)


@pytest.fixture
def site(make_gateway):
    return Site(make_gateway)


def test_the_status_follows_an_association_from_its_begin_to_its_verdict(site, tmp_path):
    paths = make_series(tmp_path / "in", 3, "1.2.3", **TINY)
    association = open_association(site.gateway.port, contexts_of(paths), "SCANNER")
    for path in paths[:2]:
        association.send_c_store(os.fspath(path))
    status = site.await_status(
        lambda status: (
            status["under_way"]["associations"] and status["under_way"]["associations"][0]["registered"] == 2
        ),
        "two are registered",
    )
    (one,) = status["under_way"]["associations"]
    assert (one["calling_ae_title"], one["is_open"], one["received"]) == ("SCANNER", True, 2)
    assert one["peer"].startswith("127.0.0.1")
    expected = {"series_instance_uid": "1.2.3", "received": 2, "registered": 2, "set_aside": 0, "expected": None}
    assert one["series"] == [expected]
    assert status["totals"]["associations_open"] == 1
    association.send_c_store(os.fspath(paths[2]))
    association.release()
    status = site.await_status(lambda status: status["series"] and status["pacs"], "the verdict")
    (series,) = status["series"]
    assert (series["series_instance_uid"], series["received"], series["registered"]) == ("1.2.3", 3, 3)
    assert (series["calling_ae_title"], series["verdict"], series["expected"]) == ("SCANNER", "unknown", None)
    (pacs,) = status["pacs"]
    assert (pacs["calling_ae_title"], pacs["associations"], pacs["instances"]) == ("SCANNER", 1, 3)
    assert site.await_status(lambda status: not status["under_way"]["associations"], "nothing is under way")


def test_no_patient_data_is_on_it(site, tmp_path):
    secret = {
        "PatientID": "SECRET1",
        "PatientName": "SECRET2",
        "StudyDescription": "SECRET3",
        "AccessionNumber": "SECRET4",
    }
    paths = make_series(tmp_path / "in", 2, "1.2.3", SeriesDescription="SECRET5", **secret, **TINY)
    association = open_association(site.gateway.port, contexts_of(paths))
    association.send_c_store(os.fspath(paths[0]))
    said = [json.dumps(site.await_status(lambda status: status["under_way"]["associations"], "under way"))]
    said.append(site.ask("/").text)
    association.release()
    said.append(json.dumps(site.await_status(lambda status: status["series"], "done")))
    said.append(site.ask("/").text)
    assert all("1.2.3" in text for text in said)
    assert not [text for text in said if "SECRET" in text or "SERVICES" in text or str(tmp_path) in text]


def test_what_is_set_aside_is_shown_with_the_command_that_puts_it_back(site):
    ulid = "01HZ7TF03EZD364005NP332RBQ"
    for name in (ulid, "x; rm -rf $HOME"):
        aside = site.gateway.files_root / ".oxidicom/set-aside" / name
        aside.mkdir(parents=True)
        (aside / f"000001-{'0' * 20}-5.received").write_bytes(b"12345")
    reason = {"reason": "<script>alert(1)</script>", "at": "2024-06-01T00:00:00Z"}
    (aside.parent / ulid / f"000001-{'0' * 20}-5.received.json").write_text(json.dumps(reason))
    status = site.await_status(lambda status: status["set_aside"]["associations"], "it was found")
    (one,) = status["set_aside"]["associations"]
    assert (one["files"], one["command"]) == (1, f"oxidicom retry --association {ulid}")
    page = site.ask("/").text
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert" not in page
    assert "rm -rf" not in page


@pytest.mark.parametrize("title", ["<img src=x>", "\"'><b>&amp;", "{{7*7}}"])
def test_an_ae_title_is_text_and_nothing_else(title, site, tmp_path):
    send(site.gateway.port, make_series(tmp_path / "in", 1, "1.2.3", **TINY), title)
    site.await_status(
        lambda status: status["pacs"] and status["series"] and not status["under_way"]["associations"], "it is known"
    )
    page = site.ask("/").text
    assert (title in page) == (html.escape(title) == title)
    assert html.unescape(page).count(title) == 2, "in the table of PACS, and in that of series"


@pytest.mark.parametrize("path", ["/", "/status.json", "/page.css", "/page.js", "/metrics", "/nothing"])
def test_every_answer_keeps_the_browser_on_a_short_leash(path, site):
    answer = site.ask(path)
    policy = dict(part.strip().split(" ", 1) for part in answer.headers.get("content-security-policy").split(";"))
    assert policy.pop("default-src") == "'none'"
    assert set(policy) >= {"script-src", "style-src", "connect-src", "img-src", "base-uri", "form-action"}
    assert set(policy.values()) <= {"'self'", "'none'"}
    assert answer.headers.get("x-content-type-options") == "nosniff"
    assert answer.headers.get("referrer-policy") == "no-referrer"
    assert answer.headers.get("server") is None
    page = site.ask("/").text
    assert "style=" not in page, "the policy would not allow it"
    assert "//" not in page.replace("<!doctype html>", ""), "nothing comes from elsewhere"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_nothing_can_be_changed(method, site):
    assert {site.ask(path, method).status for path in ("/", "/events", "/status.json", "/metrics")} == {405}


def test_at_a_loopback_address_it_answers_to_no_other_name(site):
    asked = {host: site.ask("/status.json", host=host).status for host in ("localhost:1", "127.0.0.1", "[::1]:80")}
    assert set(asked.values()) == {200}
    assert site.ask("/status.json", host="evil.example").status == 421


def test_it_goes_on_where_the_process_before_ended(site, tmp_path):
    send(site.gateway.port, make_series(tmp_path / "in", 2, "1.2.3", **TINY), "SCANNER")
    site.await_status(lambda status: status["series"] and status["pacs"] and status["hour"], "it is known")
    (before,) = site.gateway.pids_of("page")
    wait_until(lambda: len(site.status()["hour"]) > 1, "a snapshot was left with all of it")
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: site.gateway.pids_of("page") not in ([], [before]), "a successor")
    status = site.await_status(lambda status: status["hour"], "what was")
    assert [one["series_instance_uid"] for one in status["series"]] == ["1.2.3"]
    assert [(one["calling_ae_title"], one["instances"]) for one in status["pacs"]] == [("SCANNER", 2)]
    assert send(site.gateway.port, make_series(tmp_path / "b", 1, **TINY))[0].Status == 0


def events(port):
    """Return a connection that has asked for events and reads nothing."""
    client = socket.create_connection(("127.0.0.1", port), 30)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    client.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return client


def test_every_probe_is_answered_in_a_port_scan_that_goes_on(site):
    wait_until(lambda: site.ask("/readyz").status == 200, "ready")
    cut_off = 0
    with scanned_by(500, site.port):
        for _ in range(30):
            while (status := probed(site)) is None:
                cut_off += 1
            assert status == 200
    assert cut_off < 30, "more probes were cut off than answered"


def probed(site):
    """Return the status of a probe. None: it was so slow to ask that the scan took its place, and is to ask again."""
    try:
        return site.ask("/readyz").status
    except ConnectionError:
        return None


@contextlib.contextmanager
def scanned_by(count, port):
    """Hold so many idle connections, each opened anew as soon as it is cut off, while it lasts."""
    selector, is_over = selectors.DefaultSelector(), threading.Event()

    def open_one():
        client = socket.socket()
        client.setblocking(False)
        client.connect_ex(("127.0.0.1", port))
        selector.register(client, selectors.EVENT_READ)

    def scan():
        for _ in range(count):
            open_one()
        while not is_over.is_set():
            for key, _ in selector.select(0.1):
                selector.unregister(key.fileobj)
                key.fileobj.close()
                open_one()
        for key in list(selector.get_map().values()):
            key.fileobj.close()
        selector.close()

    scanner = threading.Thread(target=scan)
    scanner.start()
    try:
        yield
    finally:
        is_over.set()
        scanner.join()


def test_two_hundred_who_never_read_and_a_port_scan_hurt_nobody(site, tmp_path):
    (server,) = site.gateway.pids_of("page")
    assert site.ask("/").status == 200, "it has begun"
    before = own_bytes([server])
    with contextlib.ExitStack() as stack:
        for number in range(200):
            with contextlib.suppress(OSError):
                client = stack.enter_context(events(site.port))
                if number % 2:
                    client.sendall(b"\x16\x03\x01" + bytes(2000))  # a port scan speaks TLS, or nothing that is known
        assert send(site.gateway.port, make_series(tmp_path / "in", 5, **TINY))[0].Status == 0
        wait_until(lambda: descriptors([server]) < 80, "most were cut off")
        wait_until(lambda: asked(site, "/healthz") == 200, "probes find room beside those who stay")
        assert own_bytes([server]) - before < 20_000_000
    assert site.gateway.pids_of("page") == [server]
    wait_until(lambda: asked(site, "/") == 200, "the page")
    assert not site.gateway.lines("page_failed")


def asked(site, path):
    with contextlib.suppress(OSError, http.client.HTTPException):
        return site.ask(path).status
    return 0


def test_events_bring_the_sections_and_then_what_changes(site, tmp_path):
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=60)
    with contextlib.closing(connection):
        connection.request("GET", "/events")
        response = connection.getresponse()
        assert response.getheader("content-type").startswith("text/event-stream")

        def event():
            while not (line := response.readline()).startswith(b"data: "):
                assert line
            return json.loads(line[6:])

        assert next(iter(event())) == "judgement"
        send(site.gateway.port, make_series(tmp_path / "in", 1, "1.2.3", **TINY), "SCANNER")
        changes = {}
        while "SCANNER" not in changes.get("pacs", ""):
            changes |= event()
        assert "house" not in changes or "database" in changes["house"].lower()


def test_without_a_port_there_is_no_process_for_it_and_with_one_the_others_are_as_small(make_gateway, tmp_path):
    plain, paged = (
        make_gateway(directory=directory, **variables)
        for directory, variables in (
            (new_directory(tmp_path, "a"), {}),
            (new_directory(tmp_path, "b"), {"CHRIS_HTTP_PORT": str(free_port())}),
        )
    )
    assert plain.pids_of("page") == []
    wait_until(lambda: paged.pids_of("page"), "a page")
    for role in ("doorman", "steward", "inquiry"):
        (one,), (other,) = plain.pids_of(role), paged.pids_of(role)
        assert private_kilobytes(other) < private_kilobytes(one) + 1000


def new_directory(tmp_path, name):
    (tmp_path / name).mkdir()
    return tmp_path / name
