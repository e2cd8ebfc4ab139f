"""The clock of the storage never goes back, and gateways agree about it, whatever clocks are set."""

import os
import time

import pytest

from oxidicom.paths.private_root import PRIVATE_ROOT
from oxidicom.storage.clock import StorageClock, boot_time_ns

SECOND = 1_000_000_000
HOUR = 3600 * SECOND


class Clocks:
    """The time since the boot of a host, and the clock of the filesystem, both to be set."""

    def __init__(self):
        self.boot_ns = 5 * HOUR
        self.filesystem_ns = 1_700_000_000 * SECOND
        self.mtime_ns = self.ctime_ns = 0

    def pass_seconds(self, seconds):
        self.boot_ns += int(seconds * SECOND)
        self.filesystem_ns += int(seconds * SECOND)

    def set_filesystem(self, by_ns):
        self.filesystem_ns += by_ns


class Gateway:
    """A gateway on a host of its own, which was booted at another time."""

    def __init__(self, tmp_path, clocks, booted_ns=0):
        self._clocks, self._booted_ns = clocks, booted_ns
        self.clock = StorageClock(str(tmp_path), boot_time=lambda: clocks.boot_ns + booted_ns)

    def synchronise(self):
        """What `StorageClock.synchronise` does, with times that can be set."""
        clocks = self._clocks
        before = os.stat_result((0,) * 10, {"st_mtime_ns": clocks.mtime_ns, "st_ctime_ns": clocks.ctime_ns})
        boot_ns = clocks.boot_ns + self._booted_ns
        now_ns = self.clock._agree(boot_ns, clocks.filesystem_ns, before)
        clocks.mtime_ns, clocks.ctime_ns = now_ns, clocks.filesystem_ns
        self.clock.offset_ns = now_ns - boot_ns

    @property
    def now_ns(self):
        return self._clocks.boot_ns + self._booted_ns + self.clock.offset_ns


@pytest.fixture
def clocks():
    return Clocks()


@pytest.fixture
def gateway(tmp_path, clocks):
    made = Gateway(tmp_path, clocks)
    made.synchronise()
    return made


def test_it_is_that_of_the_filesystem_at_first(gateway, clocks):
    assert gateway.now_ns == clocks.filesystem_ns


@pytest.mark.parametrize("by_ns", [-HOUR, HOUR, -SECOND // 2, -365 * 24 * HOUR])
def test_a_clock_that_is_set_changes_nothing_for_a_gateway_that_runs(gateway, clocks, by_ns):
    for _ in range(5):
        before = gateway.now_ns
        clocks.set_filesystem(by_ns)
        clocks.pass_seconds(1)
        gateway.synchronise()
        assert 0 < gateway.now_ns - before - SECOND < SECOND or gateway.now_ns == before + SECOND


def test_it_is_not_set_back_by_a_restart(gateway, tmp_path, clocks):
    before = gateway.now_ns
    clocks.set_filesystem(-HOUR)
    successor = Gateway(tmp_path, clocks)
    successor.synchronise()
    assert successor.now_ns > before


def test_after_a_long_pause_it_is_that_of_the_filesystem_again(gateway, tmp_path, clocks):
    clocks.pass_seconds(36_000)
    successor = Gateway(tmp_path, clocks)
    successor.synchronise()
    assert successor.now_ns == clocks.filesystem_ns


@pytest.mark.parametrize("set_by_ns", [0, -HOUR])
def test_a_gateway_that_joins_agrees_with_those_that_run(gateway, tmp_path, clocks, set_by_ns):
    clocks.set_filesystem(set_by_ns)
    clocks.pass_seconds(1)
    gateway.synchronise()
    clocks.pass_seconds(0.3)
    other = Gateway(tmp_path, clocks, booted_ns=7 * HOUR)
    other.synchronise()
    assert abs(other.now_ns - gateway.now_ns) < SECOND // 1000


def test_two_gateways_keep_in_step_although_a_clock_is_set_between_their_looks(gateway, tmp_path, clocks):
    other = Gateway(tmp_path, clocks, booted_ns=7 * HOUR)
    other.synchronise()
    for by_ns in (HOUR, -HOUR, 3 * HOUR, -5 * HOUR):
        for one in (gateway, other):
            clocks.pass_seconds(0.5)
            one.synchronise()
            clocks.set_filesystem(by_ns)
            assert abs(other.now_ns - gateway.now_ns) < SECOND // 1000


def test_a_host_that_slept_takes_up_the_time_of_the_others(gateway, tmp_path, clocks):
    sleeper = Gateway(tmp_path, clocks)
    sleeper.synchronise()
    clocks.pass_seconds(600)
    sleeper._booted_ns = -600 * SECOND  # its clock stood still
    gateway.synchronise()
    sleeper.synchronise()
    assert abs(sleeper.now_ns - gateway.now_ns) < SECOND // 1000


def test_on_a_real_filesystem_two_gateways_agree_and_time_goes_on(tmp_path):
    (tmp_path / ".oxidicom").mkdir()
    clocks = [StorageClock(str(tmp_path)) for _ in range(2)]
    last = 0
    for clock in clocks * 5:
        now = boot_time_ns() + clock.synchronise()
        assert now > last
        last = now
    assert abs(clocks[0].offset_ns - clocks[1].offset_ns) < SECOND
    assert abs(last - time.time_ns()) < 5 * SECOND


def test_who_is_held_up_between_the_two_clocks_is_not_behind_the_others(tmp_path):
    """Its versions of a file would lose against older ones, by as much as it was held up."""
    (tmp_path / PRIVATE_ROOT).mkdir()
    looks = []

    def held_up_at_first():
        looks.append(1)
        if len(looks) <= 2:
            time.sleep(0.5)  # what a busy machine does
        return boot_time_ns()

    first = StorageClock(str(tmp_path)).synchronise()
    second = StorageClock(str(tmp_path), boot_time=held_up_at_first).synchronise()
    assert abs(second - first) < 0.4 * SECOND


def test_a_filesystem_that_shows_its_last_tick_makes_nobody_late(tmp_path, monkeypatch):
    """Linux before 6.13 shows the last tick, 4 or 10 ms ago; later ones do so at the first look after a while."""
    (tmp_path / PRIVATE_ROOT).mkdir()
    tick_ns = 4_000_000
    now_ns = 2_000_000_000 * SECOND + 3_000_000
    set_times = os.utime

    def time_goes_on():
        nonlocal now_ns
        now_ns += 50_000
        return now_ns

    def set_to_last_tick(descriptor, ns=None):
        set_times(descriptor, ns=ns or (now_ns // tick_ns * tick_ns,) * 2)

    monkeypatch.setattr(os, "utime", set_to_last_tick)
    assert abs(StorageClock(str(tmp_path), boot_time=time_goes_on).synchronise()) < 500_000
