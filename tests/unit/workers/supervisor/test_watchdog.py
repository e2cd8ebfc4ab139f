"""How a stuck process is told from a busy, a waiting and a stopped one."""

import os
import subprocess
import time

import pytest

from tests.processes import freeze
from tests.waiting import wait_until
from workers.channels.scoreboard import ProcessState, Role, Scoreboard
from workers.supervisor.watchdog import Watchdog, waits_for_disk


class Clock:
    """Stands in for the monotonic clock, so that no test waits."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(time, "monotonic", made)
    return made


@pytest.fixture
def slot():
    made = Scoreboard(1).slots[0]
    made.begin(Role.STORAGE, os.getpid())
    return made


def look_for(watchdog, slot, clock, seconds, tick=0.5):
    """Look each `tick`; return whether it was ever found stuck."""
    stuck = False
    for _ in range(int(seconds / tick)):
        clock.now += tick
        stuck |= watchdog.is_stuck(slot)
    return stuck


@pytest.mark.parametrize("state", [ProcessState.BOOTING, ProcessState.WAITING, ProcessState.WORKING])
def test_silence_is_stuck(state, slot, clock):
    slot.beat(state)
    watchdog = Watchdog(30)
    assert not look_for(watchdog, slot, clock, 29)
    assert look_for(watchdog, slot, clock, 3)


def test_a_slow_sync_is_not_stuck(slot, clock):
    slot.beat(ProcessState.SYNCING)
    assert not look_for(Watchdog(30), slot, clock, 1000)


def test_a_sign_of_life_begins_the_count_anew(slot, clock):
    watchdog = Watchdog(30)
    for _ in range(10):
        slot.beat(ProcessState.WORKING)
        assert not look_for(watchdog, slot, clock, 25)


def test_when_the_whole_gateway_was_stopped_for_an_hour_nobody_is_stuck(slot, clock):
    watchdog = Watchdog(30)
    watchdog.is_stuck(slot)
    assert not look_for(watchdog, slot, clock, 3600, tick=3600)


def test_a_successor_begins_anew(slot, clock):
    watchdog = Watchdog(30)
    look_for(watchdog, slot, clock, 29)
    watchdog.begin()
    assert not look_for(watchdog, slot, clock, 20)


def test_a_process_that_sleeps_or_is_stopped_does_not_wait_for_the_disk():
    process = subprocess.Popen(["sleep", "60"])
    try:
        wait_until(lambda: not waits_for_disk(process.pid), "the program is loaded, for which the disk is read")
        freeze(process.pid)
        assert not waits_for_disk(process.pid)
    finally:
        process.kill()
        process.wait()
    assert not waits_for_disk(process.pid)
