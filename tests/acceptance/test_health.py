"""The health page, for people, Prometheus and Kubernetes; and what systemd is told."""

import contextlib
import json
import os
import signal
import socket
import struct
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.dicom import make_series, send
from tests.fixtures.gateway import free_port
from tests.processes import descriptors
from tests.waiting import wait_until


@pytest.fixture
def page(make_gateway):
    """A gateway with a health page."""

    class Page:
        def __init__(self, **variables):
            self.port = free_port()
            self.gateway = make_gateway(CHRIS_HTTP_PORT=str(self.port), **variables)

        def get(self, path):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as response:
                    return response.status, response.read().decode()
            except urllib.error.HTTPError as error:
                return error.code, error.read().decode()

        def json(self, path):
            status, text = self.get(path)
            return status, json.loads(text)

        def samples(self):
            families = text_string_to_metric_families(self.get("/metrics")[1])
            return {
                (sample.name, tuple(sorted(sample.labels.items()))): sample.value
                for family in families
                for sample in family.samples
            }

    return Page


def test_the_page_of_a_gateway_that_is_well(page, tmp_path):
    page = page()
    send(page.gateway.port, make_series(tmp_path / "in", 3), "A")
    assert page.json("/healthz") == (200, {"status": "ok", "silent": []})
    status, body = wait_until(
        lambda: (answer := page.json("/readyz"))[1]["database"] == "up" and answer, "registered, and said so"
    )
    assert (status, body["status"], body["reasons"]) == (200, "ready", [])
    told_last = {
        ("oxidicom_row_registered_total", ()): 5,
        ("oxidicom_ae_instances_total", (("ae_title", "A"),)): 3,  # when the association has ended
    }
    samples = wait_until(lambda: told_last.items() <= (found := page.samples()).items() and found, "all of it is told")
    assert samples[("oxidicom_instance_committed_total", ())] == 3
    assert samples[("oxidicom_store_duration_seconds_count", ())] == 3
    assert samples[("oxidicom_store_duration_seconds_bucket", (("le", "+Inf"),))] == 3
    assert samples[("oxidicom_storage_free_bytes", ())] > 0
    assert page.get("/nothing")[0] == 404


def test_without_its_database_a_gateway_is_degraded_and_ready(page, proxied, proxy, tmp_path):
    proxy.refuse()
    page = page(db=proxied)
    send(page.gateway.port, make_series(tmp_path / "in", 1))
    status, body = wait_until(
        lambda: (answer := page.json("/readyz"))[1]["status"] == "degraded" and answer, "degraded"
    )
    assert (status, body["database"]) == (200, "down")
    wait_until(lambda: page.json("/readyz")[1]["backlog"]["entries"] >= 1, "what waits was counted")
    assert page.get("/healthz")[0] == 200


def test_below_its_reserve_a_gateway_is_not_ready(page):
    status, body = page(CHRIS_STORAGE_RESERVE_BYTES=str(1 << 60)).json("/readyz")
    assert (status, body["status"]) == (503, "not ready")
    assert "reserve" in body["reasons"][0]


def test_while_stopping_a_gateway_is_not_ready(page, tmp_path):
    from pynetdicom import build_context

    from tests.dicom import CT, open_association

    page = page()
    association = open_association(page.gateway.port, [build_context(CT)])
    page.gateway.process.send_signal(signal.SIGTERM)
    wait_until(lambda: page.get("/readyz")[0] == 503, "not ready")
    association.release()
    assert page.gateway.process.wait(60) == 0


def test_with_the_environment_of_the_kubernetes_manifest_the_page_is_there_over_ipv6_and_ipv4(make_gateway):
    port = free_port()
    manifest = Path(__file__).parents[2] / "deploy/kubernetes/oxidicom.yaml"
    (config,) = [part for part in yaml.safe_load_all(manifest.read_text()) if part["kind"] == "ConfigMap"]
    here = {"CHRIS_HTTP_PORT": str(port)}
    make_gateway(**{name: value for name, value in config["data"].items() if name != "CHRIS_FILES_ROOT"} | here)
    for host in ("[::1]", "127.0.0.1"):
        with urllib.request.urlopen(f"http://{host}:{port}/healthz", timeout=20) as response:
            assert response.status == 200


def test_the_page_is_there_at_an_address_of_ipv6(page):
    page = page(CHRIS_HTTP_ADDRESS="::1")
    with urllib.request.urlopen(f"http://[::1]:{page.port}/healthz", timeout=20) as response:
        assert response.status == 200
    with pytest.raises(urllib.error.URLError):
        page.get("/healthz")


def test_clients_that_hang_up_leave_no_word_in_the_log(page):
    page = page()
    before = page.gateway.log_path.read_text()
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", page.port)) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.sendall(b"GET /metrics HTTP/1.1\r\n")
            client.sendall(b"\r\n")
    assert page.get("/healthz")[0] == 200
    assert page.gateway.log_path.read_text() == before


def test_of_too_many_clients_the_last_is_cut_off_and_the_page_is_there_again(page):
    page = page()
    server = page.gateway.pids_of("page")
    assert page.get("/healthz")[0] == 200, "it has begun"
    held = descriptors(server)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(socket.create_connection(("127.0.0.1", page.port))) for _ in range(40)]
        assert clients[-1].recv(1) == b""
        wait_until(lambda: descriptors(server) <= held + 20, "no more than 16 are served")
    wait_until(lambda: answers(page), "the page")


def answers(page):
    try:
        return page.get("/healthz")[0] == 200
    except OSError:
        return False


def test_a_health_port_in_use_stops_nothing(make_gateway, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        gateway = make_gateway(CHRIS_HTTP_PORT=str(other.getsockname()[1]))
        (line,) = wait_until(lambda: gateway.lines("page_unavailable"), "one line says so")
    assert "CHRIS_HTTP_PORT" in line["message"]
    assert send(gateway.port, make_series(tmp_path / "in", 1))[0].Status == 0


def test_systemd_is_told_ready_alive_status_and_stopping(make_gateway, tmp_path):
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.setblocking(False)
        said = []

        def heard(word):
            try:
                while True:
                    said.append(manager.recv(4096).decode())
            except BlockingIOError:
                return [text for text in said if word in text]

        gateway = make_gateway(NOTIFY_SOCKET=path, WATCHDOG_USEC="1000000", CHRIS_DRAIN_SECONDS="200")
        (ready,) = wait_until(lambda: heard("READY=1"), "READY")
        assert f"port {gateway.port}" in ready
        wait_until(lambda: len(heard("WATCHDOG=1")) >= 3, "signs of life")
        send(gateway.port, make_series(tmp_path / "in", 2))
        wait_until(lambda: heard("2 instances committed"), "a status line", 30)
        os.kill(gateway.process.pid, signal.SIGTERM)
        assert gateway.process.wait(60) == 0
        (stopping,) = heard("STOPPING=1")
        extension = int(stopping.partition("EXTEND_TIMEOUT_USEC=")[2])
        assert extension >= 205e6, "systemd waits as long as the gateway may take, not TimeoutStopSec="


def test_a_page_whose_port_is_taken_is_not_announced_and_comes_when_it_is_free(make_gateway, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        gateway = make_gateway(CHRIS_HTTP_PORT=str(port))
        (ready,) = gateway.lines("ready")
        assert ready["page"] == ""
        assert ready["level"] == "WARNING"
        reason = f"there is no page: 127.0.0.1, port {port}: Address already in use"
        wait_until(lambda: reason in (done := gateway.run("status")).stdout and done.returncode == 1, "it is told")
    wait_until(lambda: gateway.lines("page_available"), "the port is taken once it is free")
    wait_until(lambda: gateway.run("status").returncode == 0, "all is well")
    (tmp_path / "second").mkdir()
    second = make_gateway(directory=tmp_path / "second", name="second", start=False, CHRIS_HTTP_PORT=str(port))
    done = second.run("top", "--once")
    assert done.returncode == 1
    assert "is the page of another gateway" in done.stderr
    assert second.run("top", "--once", "--url", f"http://127.0.0.1:{port}/").returncode == 0
