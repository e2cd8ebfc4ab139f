"""All listeners are busy: whoever waits too long is told so."""

import concurrent.futures
import contextlib
import os
import signal
import subprocess
import time

import pytest

from tests.acceptance.network.wire import ABORTED, ACCEPTED, LOST, REJECTED, RELEASED, Wire
from tests.dicom import make_series, send
from tests.processes import descriptors
from tests.unit.association.association_peer import RELEASE_RQ, associate_rq
from tests.waiting import wait_until

LOCAL_LIMIT_EXCEEDED = (REJECTED, bytes((0, 2, 3, 2)))
BUSY_SECONDS = 2


@pytest.fixture
def gateway(make_gateway):
    return make_gateway(CHRIS_LISTENER_THREADS="2", CHRIS_SCP_BUSY_SECONDS=str(BUSY_SECONDS))


@contextlib.contextmanager
def all_busy(gateway, listeners=2):
    """Hold every listener."""
    with contextlib.ExitStack() as stack:
        wires = [stack.enter_context(Wire(gateway.port)) for _ in range(listeners)]
        assert {wire.associate()[0] for wire in wires} == {ACCEPTED}
        yield wires


def rejected_after(gateway, calling=b"TEST"):
    """Return after how many seconds an association is rejected."""
    began = time.monotonic()
    with Wire(gateway.port) as wire:
        assert wire.associate(calling) == LOCAL_LIMIT_EXCEEDED
        assert wire.receive() is LOST
    return time.monotonic() - began


def test_who_finds_no_listener_in_time_is_rejected_as_transient(gateway):
    with all_busy(gateway):
        assert BUSY_SECONDS <= rejected_after(gateway) < BUSY_SECONDS + 20
    (line,) = wait_until(lambda: gateway.lines("association_rejected"), "the line")
    assert line["calling_ae_title"] == "TEST"
    assert "CHRIS_LISTENER_THREADS" in line["remedy"]


def test_who_finds_one_in_time_is_served(gateway, tmp_path):
    with all_busy(gateway) as wires, Wire(gateway.port) as wire:
        wire.send(associate_rq())
        wires[0].send(RELEASE_RQ).receive()
        assert wire.receive()[0] == ACCEPTED


def test_when_a_listener_is_free_again_associations_are_accepted(gateway, tmp_path):
    with all_busy(gateway):
        rejected_after(gateway)
    assert send(gateway.port, make_series(tmp_path / "in", 1))[0].Status == 0


def test_many_are_rejected_at_once_and_silent_ones_hold_up_nobody(gateway):
    with all_busy(gateway), contextlib.ExitStack() as stack:
        silent = [stack.enter_context(Wire(gateway.port)) for _ in range(100)]
        with concurrent.futures.ThreadPoolExecutor(50) as pool:
            seconds = list(pool.map(lambda _: rejected_after(gateway), range(50)))
        assert max(seconds) < BUSY_SECONDS + 20, "one after the other would take 100 s"
        assert silent[0].receive() is LOST


def test_bytes_that_are_no_request_are_aborted(gateway):
    with all_busy(gateway), Wire(gateway.port) as wire:
        assert wire.send(b"GET / HTTP/1.1\r\n\r\n").receive() == (ABORTED, bytes(4))


def test_who_would_never_be_accepted_is_told_so(make_gateway):
    gateway = make_gateway(
        CHRIS_LISTENER_THREADS="2", CHRIS_SCP_BUSY_SECONDS="1", CHRIS_SCP_ALLOWED_AETS="TEST,OTHER@10.0.0.0/8"
    )
    with all_busy(gateway), Wire(gateway.port) as wire:
        assert wire.associate(b"OTHER") == (REJECTED, bytes((0, 1, 1, 3)))
    text = wait_until(lambda: gateway.run("log", "--refused").stdout, "the history", every=0.2)
    assert (
        "OTHER -> ChRIS  127.0.0.1  rejected: calling ae title not recognized (CHRIS_SCP_ALLOWED_AETS has "
        "this AE title for other networks only, not for 127.0.0.1; "
        "to do: if it may send from there, add OTHER@127.0.0.1 to"
    ) in text


def test_nobody_is_rejected_while_the_queue_moves_on(gateway):
    """Twice as many peers as listeners, always some waiting, for several times the busy time."""
    until = time.monotonic() + 4 * BUSY_SECONDS

    def associate_again_and_again():
        answers = []
        while time.monotonic() < until:
            with Wire(gateway.port) as wire:
                answers.append(wire.associate()[0])
                time.sleep(0.3)
                assert wire.send(RELEASE_RQ).receive()[0] == RELEASED
        return answers

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        futures = [pool.submit(associate_again_and_again) for _ in range(6)]
        answers = [answer for future in futures for answer in future.result()]
    assert set(answers) == {ACCEPTED}
    assert len(answers) > 6, "they came again"


def test_the_doorman_is_replaced_when_it_dies(gateway):
    (doorman,) = gateway.pids_of("doorman")
    with all_busy(gateway):
        os.kill(doorman, signal.SIGKILL)
        wait_until(lambda: gateway.pids_of("doorman") not in ([], [doorman]), "its successor")
        assert rejected_after(gateway) < BUSY_SECONDS + 20
    assert gateway.process.poll() is None


def test_the_gateway_stops_in_order_while_somebody_is_being_rejected(gateway):
    doorman = gateway.pids_of("doorman")
    before = descriptors(doorman)
    with all_busy(gateway) as wires, Wire(gateway.port) as wire:
        wire.send(associate_rq()[:50])
        wait_until(lambda: descriptors(doorman) > before, "the doorman has it")
        gateway.process.send_signal(signal.SIGTERM)
        for held in wires:
            held.send(RELEASE_RQ).receive()
        assert wire.receive() is LOST
        assert gateway.process.wait(60) == 0


@pytest.mark.dcmtk
def test_storescu_says_why_it_was_rejected(gateway, tmp_path):
    (path,) = make_series(tmp_path / "in", 1)
    with all_busy(gateway):
        command = ["storescu", "-aet", "SCU", "-aec", "ChRIS", "127.0.0.1", str(gateway.port), str(path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert "Rejected Transient" in done.stderr
    assert "Local Limit Exceeded" in done.stderr
