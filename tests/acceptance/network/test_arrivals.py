"""Before the request: who says nothing, or a byte now and then, holds no listener; and who may not be here at all."""

import contextlib
import json
import os
import signal
import ssl
import threading
import time
import urllib.request

import pytest

from tests.acceptance.network.wire import (
    ACCEPTED,
    DATA,
    LOST,
    REJECTED,
    RELEASED,
    SecureWire,
    Wire,
    client_context,
)
from tests.dicom import make_series, send
from tests.fixtures.gateway import free_port
from tests.processes import descriptors
from tests.unit.association.association_peer import CT, EXPLICIT, RELEASE_RQ, associate_rq, echo_rq
from tests.waiting import readable, wait_until

LISTENERS = 16
WELL_BEFORE_THE_DEADLINE = 15
"""Seconds; a peer has 30 for its request."""


@contextlib.contextmanager
def besieged(port, opening):
    """As many connections as there are listeners that say nothing, and as many that send `opening` byte by byte."""
    over = threading.Event()

    def trickle():
        for byte in opening:
            for wire in trickling:
                wire.send(bytes([byte]))
            if over.wait(0.2):
                return

    with contextlib.ExitStack() as stack:
        for _ in range(LISTENERS):
            stack.enter_context(Wire(port))
        trickling = [stack.enter_context(Wire(port)) for _ in range(LISTENERS)]
        thread = threading.Thread(target=trickle)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def client_hello(authority):
    """Return a client's side of TLS without a socket, its two buffers, and its first message."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context(authority).wrap_bio(incoming, outgoing, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return client, incoming, outgoing, outgoing.read()


def shake_hands(wire, client, incoming, outgoing):
    """Go on with a handshake whose first message was sent."""
    while True:
        with contextlib.suppress(ssl.SSLWantReadError):
            client.do_handshake()
            return
        wire.send(outgoing.read())
        incoming.write(wire.socket.recv(65536))


@contextlib.contextmanager
def in_the_waiting_room(gateway, data, wires=1):
    """Connections that have sent `data` only, and that the doorman has by now."""
    doorman = gateway.pids_of("doorman")
    held = descriptors(doorman)
    with contextlib.ExitStack() as stack:
        made = [stack.enter_context(Wire(gateway.port)).send(data) for _ in range(wires)]
        wait_until(lambda: descriptors(doorman) >= held + wires, "the doorman has them")
        yield made


def echoes(wire):
    assert wire.send(echo_rq()).receive()[0] == DATA
    return wire.send(RELEASE_RQ).receive()[0] == RELEASED


# -- the promise -----------------------------------------------------------------------------------------------------


def test_silent_and_trickling_connections_hold_no_listener(make_gateway, tmp_path):
    gateway = make_gateway(CHRIS_LISTENER_THREADS=str(LISTENERS))
    paths = make_series(tmp_path / "in", 1)
    with besieged(gateway.port, associate_rq()):
        for _ in range(6):
            began = time.monotonic()
            assert [status.Status for status in send(gateway.port, paths)] == [0]
            assert time.monotonic() - began < WELL_BEFORE_THE_DEADLINE


def test_within_tls_they_hold_none_either(make_tls_gateway, authority):
    gateway = make_tls_gateway(CHRIS_LISTENER_THREADS=str(LISTENERS))
    with besieged(gateway.port, client_hello(authority)[3]):
        for _ in range(6):
            began = time.monotonic()
            with SecureWire(gateway.port, client_context(authority)) as wire:
                assert wire.associate()[0] == ACCEPTED
                assert echoes(wire)
            assert time.monotonic() - began < WELL_BEFORE_THE_DEADLINE


# -- who comes to the point after all --------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [1, 6, 100], ids=["type", "header", "part of the body"])
def test_a_request_in_two_parts_is_served(make_gateway, first):
    gateway = make_gateway(CHRIS_LISTENER_THREADS="1")
    with in_the_waiting_room(gateway, associate_rq()[:first]) as (wire,):
        assert wire.send(associate_rq()[first:]).receive()[0] == ACCEPTED
        assert echoes(wire)


def test_a_request_that_is_longer_than_what_the_kernel_keeps_is_served(gateway):
    syntaxes = [EXPLICIT, *(f"1.2.840.10008.1.2.{number}" for number in range(1000, 1200))]
    request = associate_rq(contexts=[(number, CT, syntaxes) for number in range(1, 256, 2)])
    assert len(request) > 500_000
    with in_the_waiting_room(gateway, request[:1000]) as (wire,):
        assert wire.send(request[1000:]).receive()[0] == ACCEPTED


def test_a_client_hello_in_two_parts_is_served(make_tls_gateway, authority):
    gateway = make_tls_gateway(CHRIS_LISTENER_THREADS="1")
    client, incoming, outgoing, hello = client_hello(authority)
    with in_the_waiting_room(gateway, hello[:50]) as (wire,):
        wire.send(hello[50:])
        shake_hands(wire, client, incoming, outgoing)
        client.write(associate_rq())
        wire.send(outgoing.read())
        while not incoming.pending:
            incoming.write(wire.socket.recv(65536))
        assert client.read(1) == bytes([ACCEPTED])


def test_who_was_silent_for_longer_than_the_kernel_waits_is_served(make_gateway):
    gateway = make_gateway(CHRIS_LISTENER_THREADS="1", CHRIS_SCP_REQUEST_SECONDS="6")
    with in_the_waiting_room(gateway, b"") as (wire,):
        assert wire.send(associate_rq()).receive()[0] == ACCEPTED
        assert echoes(wire)


def test_who_hangs_up_in_the_waiting_room_leaves_it(gateway):
    doorman = gateway.pids_of("doorman")
    held = descriptors(doorman)
    with in_the_waiting_room(gateway, b"\1", wires=4) as wires:
        wires[0].reset()
        wires[1].half_close()
        assert wires[1].receive() is LOST
    wait_until(lambda: descriptors(doorman) == held, "nobody is left")


def test_who_has_waited_there_and_finds_no_listener_is_told_so(make_gateway):
    gateway = make_gateway(CHRIS_LISTENER_THREADS="1", CHRIS_SCP_BUSY_SECONDS="2")
    with in_the_waiting_room(gateway, associate_rq()[:50]) as (wire,), Wire(gateway.port) as served:
        assert served.associate()[0] == ACCEPTED
        began = time.monotonic()
        assert wire.send(associate_rq()[50:]).receive() == (REJECTED, bytes((0, 2, 3, 2)))
        assert time.monotonic() - began >= 1.5
        assert echoes(served)


def closed(wires):
    """Return those that the gateway has closed."""
    of_socket = {wire.socket: wire for wire in wires}
    return {of_socket[end] for end in readable(of_socket)}


# -- what bounds the room --------------------------------------------------------------------------------------------


def test_of_too_many_the_oldest_are_closed(gateway):
    doorman = gateway.pids_of("doorman")
    held = descriptors(doorman)
    with contextlib.ExitStack() as stack:
        wires = [stack.enter_context(Wire(gateway.port)).send(b"\1") for _ in range(300)]
        wait_until(lambda: len(closed(wires)) == 300 - 256, "no more are there than the room has places")
        assert closed(wires) <= set(wires[:60]), "the oldest went; the first of all have had a moment of a listener"
        (line,) = wait_until(lambda: gateway.lines("crowded"), "it is said once")
        assert line["level"] == "WARNING"
        assert wires[-1].send(associate_rq()[1:]).receive()[0] == ACCEPTED
    wait_until(lambda: descriptors(doorman) == held, "nobody is left")


def test_the_room_has_a_new_doorman_when_the_old_one_dies(make_gateway):
    gateway = make_gateway(CHRIS_LISTENER_THREADS="1")
    (doorman,) = gateway.pids_of("doorman")
    with in_the_waiting_room(gateway, b"\1") as (wire,):
        os.kill(doorman, signal.SIGKILL)
        assert wire.receive() is LOST
    wait_until(lambda: gateway.pids_of("doorman") not in ([], [doorman]), "its successor")
    test_a_request_in_two_parts_is_served(lambda **_: gateway, 6)


def test_the_gateway_stops_in_order_while_somebody_is_in_the_room(gateway):
    with in_the_waiting_room(gateway, b"\1") as (wire,), Wire(gateway.port) as served:
        assert served.associate()[0] == ACCEPTED
        gateway.process.send_signal(signal.SIGTERM)
        assert wire.receive() is LOST
        assert echoes(served), "an association goes on meanwhile"
        assert gateway.process.wait(60) == 0


# -- who may not be here ---------------------------------------------------------------------------------------------


def test_who_is_on_no_network_of_the_list_is_turned_away_without_a_byte(make_gateway):
    gateway = make_gateway(CHRIS_SCP_ALLOWED_AETS="TEST@10.1.2.0/24,OTHER@::1", CHRIS_VERBOSE="yes")
    began = time.monotonic()
    for data in (b"\1", associate_rq(), b"GET / HTTP/1.1\r\n\r\n"):
        with Wire(gateway.port) as wire:
            assert wire.send(data).receive() is LOST
    assert time.monotonic() - began < WELL_BEFORE_THE_DEADLINE
    with Wire(gateway.port, "::1") as wire:
        assert wire.associate(b"OTHER")[0] == ACCEPTED
    rejected = wait_until(lambda: len(lines := gateway.lines("association_rejected")) == 2 and lines, "a line each")
    assert [line["level"] for line in rejected].count("WARNING") == 1, "one a minute, the other is a detail"
    assert {line["remedy"] for line in rejected} == {
        "if it may send from there, add its AE title with @127.0.0.1 to CHRIS_SCP_ALLOWED_AETS"
    }
    (probe,) = wait_until(lambda: gateway.lines("no_association"), "that of who asked for no association")
    assert (probe["level"], "CHRIS_SCP_ALLOWED_AETS" in probe["how"]) == ("INFO", True)


def test_who_is_turned_away_is_so_also_while_all_listeners_are_busy(make_gateway):
    gateway = make_gateway(
        CHRIS_SCP_ALLOWED_AETS="TEST@127.0.0.1", CHRIS_LISTENER_THREADS="1", CHRIS_SCP_BUSY_SECONDS="1"
    )
    with Wire(gateway.port) as served:
        assert served.associate()[0] == ACCEPTED
        with Wire(gateway.port, "::1") as wire:
            assert wire.associate() is LOST
        (line,) = wait_until(lambda: gateway.lines("association_rejected"), "it is told")
        assert line["role"].startswith("doorman"), line


def test_who_is_turned_away_is_counted_each_time_and_told_once_a_minute(make_gateway):
    gateway = make_gateway(CHRIS_SCP_ALLOWED_AETS="TEST@10.1.2.0/24", CHRIS_HTTP_PORT=str(free_port()))
    Wire(gateway.port).socket.close()
    for data in (b"GET / HTTP/1.1\r\n\r\n", *[associate_rq()] * 20):
        with Wire(gateway.port) as wire:
            assert wire.send(data).receive() is LOST

    def page(path):
        with urllib.request.urlopen(f"http://127.0.0.1:{gateway.environment['CHRIS_HTTP_PORT']}{path}") as answer:
            return answer.read().decode()

    def reasons():
        found = json.loads(page("/status.json"))["judgement"]["reasons"]
        return [one["sentence"] for one in found if one["subject"] == "rejections"]

    wait_until(lambda: any("20 associations rejected" in one for one in reasons()), "mere probes are not among them")
    assert json.loads(page("/status.json"))["rejections"] == {"network not allowed": 20}
    assert 'oxidicom_association_rejected_total{reason="network not allowed"} 20' in page("/metrics")
    record = wait_until(lambda: gateway.run("log", "--refused", "--json").stdout, "the history", every=0.2)
    (one,) = map(json.loads, record.splitlines())
    assert (one["calling_ae_title"], one["rejected"], one["peer"].split(":")[0]) == ("", True, "127.0.0.1")
    assert one["how"] == (
        "turned away: CHRIS_SCP_ALLOWED_AETS lists nobody on the peer's network "
        "(to do: if it may send from there, add its AE title with @127.0.0.1 to CHRIS_SCP_ALLOWED_AETS)"
    )
    assert "  ? -> ?  127.0.0.1  turned away" in gateway.run("log", "--refused").stdout
