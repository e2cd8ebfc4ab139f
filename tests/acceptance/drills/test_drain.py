"""SIGTERM under load, and what systemd and Kubernetes do after it: SIGKILL at any moment."""

import signal
import time

import pytest

from tests.acceptance.drills.account import metadata_is_right, nothing_lost, settled
from tests.acceptance.drills.load import load
from tests.waiting import wait_until

DRAIN_SECONDS = 2


def is_whole(gateway, rows, sent):
    """What the stopped gateway left is taken up by the next; then everything is there."""
    gateway.start()
    settled(gateway)
    found = nothing_lost(gateway, rows, sent.acknowledged)
    assert metadata_is_right(rows(metadata=True)) == len(found)


def test_sigterm_under_load_loses_nothing_and_returns_in_time(make_gateway, rows, tmp_path):
    gateway = make_gateway(CHRIS_DRAIN_SECONDS=str(DRAIN_SECONDS))
    with load([gateway], tmp_path) as sent:
        sent.await_progress(20)
        began = time.monotonic()
        assert gateway.stop() == 0
        assert time.monotonic() - began < DRAIN_SECONDS + 20
    is_whole(gateway, rows, sent)


def test_a_second_sigterm_stops_at_once(make_gateway, rows, tmp_path):
    gateway = make_gateway(CHRIS_DRAIN_SECONDS="60")
    with load([gateway], tmp_path) as sent:
        sent.await_progress(20)
        gateway.process.send_signal(signal.SIGTERM)
        wait_until(lambda: gateway.lines("stopping"), "it waits for what runs")
        began = time.monotonic()
        gateway.stop()
        assert time.monotonic() - began < 40
    is_whole(gateway, rows, sent)


@pytest.mark.parametrize("grace_seconds", [0.0, 0.02, 0.1, 0.3, 1.0, 2.2])
def test_sigkill_at_any_moment_of_the_drain_loses_nothing(grace_seconds, make_gateway, rows, tmp_path):
    """systemd (TimeoutStopSec) and Kubernetes (terminationGracePeriodSeconds) end a stop in this way."""
    gateway = make_gateway(CHRIS_DRAIN_SECONDS=str(DRAIN_SECONDS))
    with load([gateway], tmp_path) as sent:
        sent.await_progress(10)
        gateway.process.send_signal(signal.SIGTERM)
        time.sleep(grace_seconds)  # the moment of the SIGKILL is what this test is about
        gateway.kill_all()
    is_whole(gateway, rows, sent)
