"""Several gateways behind HAProxy in TCP mode: one is killed under load, one drained, one added."""

import socket
import struct
import subprocess
import time

import psycopg
import pytest

from oxidicom.association.proxy_protocol import SIGNATURE
from tests.acceptance.drills.account import metadata_is_right, nothing_lost, settled
from tests.acceptance.drills.load import Load, Sender
from tests.acceptance.network.wire import ACCEPTED, LOST, REJECTED, RELEASED, Wire
from tests.dicom import make_series, send
from tests.fixtures.gateway import free_port
from tests.fixtures.postgres import value_of
from tests.processes import descriptors
from tests.unit.association.association_peer import RELEASE_RQ
from tests.waiting import wait_until

pytestmark = pytest.mark.haproxy

CONFIGURATION = """
global
    maxconn 256
    stats socket {socket} level admin
defaults
    mode tcp
    timeout connect 2s
    timeout client 60s
    timeout server 60s
frontend dicom
    bind 127.0.0.1:{port}
    default_backend gateways
backend gateways
    balance leastconn
    option httpchk GET /readyz
    option redispatch
    retries 3
    default-server check inter 200ms fall 1 rise 1 send-proxy-v2
{servers}
"""


class Balancer:
    """HAProxy before gateways; each is (gateway, port of its health page)."""

    def __init__(self, directory, gateways):
        self.port = free_port()
        self._socket = directory / "haproxy.sock"
        servers = "\n".join(
            f"    server g{number} 127.0.0.1:{gateway.port} port {health}"
            for number, (gateway, health) in enumerate(gateways)
        )
        path = directory / "haproxy.cfg"
        path.write_text(CONFIGURATION.format(socket=self._socket, port=self.port, servers=servers))
        self._process = subprocess.Popen(["haproxy", "-f", str(path), "-db"])
        wait_until(lambda: "UP" in self.states(), "a gateway is up")

    def states(self):
        """Return the states of the gateways, as HAProxy sees them."""
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(str(self._socket))
                connection.sendall(b"show stat\n")
                text = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
        except OSError:
            return []
        lines = [line.split(",") for line in text.splitlines() if line.startswith("gateways,g")]
        return [fields[17].split()[0] for fields in lines]

    def stop(self):
        self._process.terminate()
        self._process.wait()


@pytest.fixture
def make_behind(make_gateway):
    """A function that makes a gateway behind a balancer, not started yet, and the port of its health page."""

    def make(name):
        health = free_port()
        gateway = make_gateway(
            start=False,
            name=name,
            CHRIS_PROXY_PROTOCOL="yes",
            CHRIS_HTTP_PORT=str(health),
            CHRIS_LISTENER_THREADS="4",
            TOKIO_WORKER_THREADS="1",
            CHRIS_DRAIN_SECONDS="5",
        )
        return gateway, health

    return make


@pytest.fixture
def balancer_of(tmp_path):
    made = []

    def make(gateways):
        made.append(Balancer(tmp_path, gateways))
        return made[-1]

    yield make
    for balancer in made:
        balancer.stop()


@pytest.mark.timeout(240)
def test_gateways_die_drain_and_join_under_load_and_nothing_is_lost(make_behind, balancer_of, database, rows, tmp_path):
    gateways = [make_behind(f"gateway{number}") for number in range(3)]
    for gateway, _ in gateways[:2]:
        gateway.start()
    balancer = balancer_of(gateways)
    with Load([Sender([balancer.port], tmp_path, number) for number in range(4)]) as sent:
        sent.await_progress(20)
        gateways[2][0].start()
        wait_until(lambda: balancer.states() == ["UP", "UP", "UP"], "the added one takes part")
        sent.await_progress(40)
        gateways[0][0].kill_all()
        sent.await_progress(40)
        assert gateways[1][0].stop() == 0
        sent.await_progress(40)
        wait_until(lambda: balancer.states() == ["DOWN", "DOWN", "UP"], "only the added one is left")
    gateways[0][0].start()  # and takes up what it left
    settled(gateways[2][0], 90)
    found = nothing_lost(gateways[2][0], rows, sent.acknowledged)
    assert metadata_is_right(rows(metadata=True)) == len(found)
    with psycopg.connect(database) as connection:
        query = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        assert value_of(connection, query) == 0
    peers = {line["peer"].rpartition(":")[0] for gateway, _ in gateways for line in gateway.lines("association_ended")}
    assert peers == {"127.0.0.1"}


# -- the PROXY protocol over the wire --------------------------------------------------------------------------------


def proxy_header(address, port):
    body = socket.inet_aton(address) + socket.inet_aton("10.0.0.1") + struct.pack(">HH", 104, port)
    return SIGNATURE + struct.pack(">BBH", 0x21, 0x11, len(body)) + body


def proxied_answer(port, address, calling=b"TEST"):
    """Say that the connection is of `address`, and ask for an association. Return the type of the answer."""
    with Wire(port) as wire:
        wire.send(proxy_header(address, port))
        answer = wire.associate(calling)
        return answer and answer[0]


def test_access_rules_see_the_pacs_and_not_the_balancer(make_gateway):
    gateway = make_gateway(CHRIS_PROXY_PROTOCOL="yes", CHRIS_SCP_ALLOWED_AETS="TEST@10.1.2.0/24")
    assert proxied_answer(gateway.port, "10.1.2.3") == ACCEPTED
    assert proxied_answer(gateway.port, "10.1.2.3", b"OTHER") == REJECTED
    assert proxied_answer(gateway.port, "10.9.9.9") is LOST, "turned away, since nobody is allowed from there"
    wait_until(lambda: [line for line in gateway.lines() if "10.9.9.9:104" in line.get("peer", "")], "its address")


def test_who_may_not_be_here_is_turned_away_as_soon_as_the_balancer_has_said_who_it_is(make_gateway):
    gateway = make_gateway(CHRIS_PROXY_PROTOCOL="yes", CHRIS_SCP_ALLOWED_AETS="TEST@10.1.2.0/24")
    began = time.monotonic()
    with Wire(gateway.port) as wire:
        wire.send(proxy_header("10.9.9.9", gateway.port))
        assert wire.receive() is LOST
    assert time.monotonic() - began < 25, "long before the deadline of its request"


def test_a_header_in_two_parts_is_waited_for_by_the_doorman(make_gateway):
    gateway = make_gateway(CHRIS_PROXY_PROTOCOL="yes", CHRIS_LISTENER_THREADS="1")
    header = proxy_header("10.1.2.3", gateway.port)
    doorman = gateway.pids_of("doorman")
    held = descriptors(doorman)
    with Wire(gateway.port) as wire:
        wire.send(header[:20])
        wait_until(lambda: descriptors(doorman) > held, "the doorman has it")
        wire.send(header[20:])
        assert wire.associate()[0] == ACCEPTED
        assert wire.send(RELEASE_RQ).receive()[0] == RELEASED
    (line,) = wait_until(lambda: gateway.lines("association_ended"), "the closing line")
    assert line["peer"] == "10.1.2.3:104"


def test_a_trickled_header_is_no_excuse(make_gateway):
    gateway = make_gateway(CHRIS_PROXY_PROTOCOL="yes", CHRIS_SCP_REQUEST_SECONDS="2")
    with Wire(gateway.port) as wire:
        assert wire.trickle(SIGNATURE + struct.pack(">BBH", 0x21, 0x11, 2000) + bytes(2000), 0.2) < 6


def test_a_balancer_that_is_not_trusted_is_cut_off_with_one_line(make_gateway):
    gateway = make_gateway(CHRIS_PROXY_PROTOCOL="yes", CHRIS_PROXY_TRUSTED="192.0.2.0/24")
    assert proxied_answer(gateway.port, "10.1.2.3") is LOST
    (line,) = wait_until(lambda: gateway.lines("no_association"), "the line")
    assert "CHRIS_PROXY_TRUSTED" in line["message"]


def test_a_pacs_that_comes_without_the_balancer_is_cut_off_with_one_line(make_gateway, tmp_path):
    gateway = make_gateway(CHRIS_PROXY_PROTOCOL="yes")
    with pytest.raises(AssertionError):
        send(gateway.port, make_series(tmp_path / "in", 1))
    (line,) = wait_until(lambda: gateway.lines("no_association"), "the line")
    assert "send-proxy-v2" in line["message"]
