"""Who gets an association, and what the others are told."""

import os
import signal

import pytest

from tests.acceptance.drills.test_stuck import holds_a_connection
from tests.acceptance.network.wire import ACCEPTED, LOST, REJECTED, RELEASED, Wire
from tests.dicom import make_series, send
from tests.unit.association.association_peer import RELEASE_RQ
from tests.waiting import wait_until

CALLING_NOT_RECOGNIZED = (REJECTED, bytes((0, 1, 1, 3)))
CALLED_NOT_RECOGNIZED = (REJECTED, bytes((0, 1, 1, 7)))
LOCAL_LIMIT_EXCEEDED = (REJECTED, bytes((0, 2, 3, 2)))


def answer(gateway, calling, host="127.0.0.1"):
    with Wire(gateway.port, host) as wire:
        return wire.associate(calling)


def test_only_listed_ae_titles_from_their_networks_get_in(make_gateway):
    gateway = make_gateway(CHRIS_SCP_ALLOWED_AETS="ANYWHERE,LOCAL4@127.0.0.0/8,LOCAL6@::1,ELSEWHERE@10.0.0.0/8")
    for host, good, bad in (("127.0.0.1", b"LOCAL4", b"LOCAL6"), ("::1", b"LOCAL6", b"LOCAL4")):
        assert answer(gateway, b"ANYWHERE", host)[0] == ACCEPTED
        assert answer(gateway, good, host)[0] == ACCEPTED
        for title in (bad, b"ELSEWHERE", b"anywhere", b"NOBODY"):
            assert answer(gateway, title, host) == CALLING_NOT_RECOGNIZED
    lines = wait_until(
        lambda: len(lines := gateway.lines("association_rejected")) == 8 and lines, "a line for each title and address"
    )
    assert {line["level"] for line in lines} == {"WARNING"}
    assert {(line["calling_ae_title"], line["called_ae_title"]) for line in lines} >= {("NOBODY", "ChRIS")}
    assert all("CHRIS_SCP_ALLOWED_AETS" in line["remedy"] + line["reason"] and line["peer"] for line in lines)


def test_a_title_that_is_rejected_again_and_again_is_one_line_with_a_count(make_gateway):
    gateway = make_gateway(CHRIS_SCP_ALLOWED_AETS="PACS")
    for _ in range(50):
        assert answer(gateway, b"OTHER") == CALLING_NOT_RECOGNIZED
    assert gateway.stop() == 0
    first, *rest = gateway.lines("association_rejected")
    assert "count" not in first
    assert sum(line.get("count", 1) for line in rest) == 49
    assert len(rest) <= 4, "the listeners tell at their end what they kept"


def test_the_called_ae_title_is_checked_on_request(make_gateway):
    gateway = make_gateway(CHRIS_SCP_CHECK_CALLED_AET="yes", CHRIS_SCP_AET="OTHER")
    assert answer(gateway, b"TEST") == CALLED_NOT_RECOGNIZED


@pytest.mark.parametrize(
    "title",
    [b"PADDED\0\0\0\0", b"\xc9COLE", b"\x1b[31mRED", b"A\nB", b"back\\slash", b"../../etc", b"\xff" * 16, b"%s{0}"],
)
def test_an_ae_title_of_any_bytes_crashes_nothing(gateway, title):
    with Wire(gateway.port) as wire:
        assert wire.associate(title)[0] == ACCEPTED
        assert wire.send(RELEASE_RQ).receive()[0] == RELEASED
    wait_until(lambda: gateway.lines("association_ended"), "the closing line")
    assert not gateway.lines("process_died")


@pytest.mark.parametrize("title", [b"", b"\0" * 16, b" \0 \0", b".", b"..", b"\0..\0"])
def test_an_ae_title_that_is_no_name_is_not_recognized(gateway, title):
    assert answer(gateway, title) == CALLING_NOT_RECOGNIZED


def test_one_ae_title_cannot_take_all_listeners(make_gateway, tmp_path):
    gateway = make_gateway(CHRIS_SCP_MAX_ASSOCIATIONS_PER_AE="2")
    with Wire(gateway.port) as first, Wire(gateway.port) as second:
        assert first.associate(b"GREEDY")[0] == second.associate(b"GREEDY")[0] == ACCEPTED
        assert answer(gateway, b"GREEDY") == LOCAL_LIMIT_EXCEEDED
        assert {status.Status for status in send(gateway.port, make_series(tmp_path / "in", 2), "MODEST")} == {0}
        first.send(RELEASE_RQ).receive()
        # A connection that the dying listener had just taken is lost with it.
        wait_until(lambda: (answer(gateway, b"GREEDY") or [LOST])[0] == ACCEPTED, "a place is free again")


def test_a_place_is_free_before_the_peer_knows_that_its_association_is_over(make_gateway):
    gateway = make_gateway(CHRIS_SCP_MAX_ASSOCIATIONS_PER_AE="1")
    for _ in range(50):
        with Wire(gateway.port) as wire:
            assert wire.associate(b"QUICK")[0] == ACCEPTED
            assert answer(gateway, b"QUICK") == LOCAL_LIMIT_EXCEEDED
            assert wire.send(RELEASE_RQ).receive()[0] == RELEASED
            with Wire(gateway.port) as next_wire:
                assert next_wire.associate(b"QUICK")[0] == ACCEPTED
                assert next_wire.send(RELEASE_RQ).receive()[0] == RELEASED


def test_a_listener_that_dies_gives_its_place_back(make_gateway):
    gateway = make_gateway(CHRIS_SCP_MAX_ASSOCIATIONS_PER_AE="1", CHRIS_LISTENER_THREADS="2")
    with Wire(gateway.port) as wire:
        assert wire.associate(b"GREEDY")[0] == ACCEPTED
        for pid in gateway.pids_of("listener"):
            os.kill(pid, signal.SIGKILL)
        # A connection that the dying listener had just taken is lost with it.
        wait_until(lambda: (answer(gateway, b"GREEDY") or [LOST])[0] == ACCEPTED, "a place is free again")


@pytest.mark.strace
def test_the_place_of_a_listener_that_died_is_free_before_it_has_a_successor(make_gateway, inject):
    gateway = make_gateway(CHRIS_SCP_MAX_ASSOCIATIONS_PER_AE="1", CHRIS_LISTENER_THREADS="3")
    with Wire(gateway.port) as wire:
        assert wire.associate(b"GREEDY")[0] == ACCEPTED
        assert answer(gateway, b"GREEDY") == LOCAL_LIMIT_EXCEEDED
        (holder,) = [pid for pid in gateway.pids_of("listener") if holds_a_connection(pid)]
        inject(gateway.process.pid, "/^(clone|fork|vfork)", "error=EAGAIN")
        os.kill(holder, signal.SIGKILL)
        wait_until(lambda: gateway.lines("fork_failed"), "it has no successor")
        assert len(gateway.pids_of("listener")) == 2
        assert answer(gateway, b"GREEDY")[0] == ACCEPTED
